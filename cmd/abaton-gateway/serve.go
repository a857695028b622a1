package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// headerBytesMax caps the headers of one request.
const headerBytesMax = 32 << 10

// serve runs the gateway until ctx ends, then lets running requests finish.
func serve(ctx context.Context, path string, log *slog.Logger) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return err
	}
	set, err := daemon.ReadSet(c.Set, c.SetID)
	if err != nil {
		return err
	}
	keepers, closeKeepers, err := daemon.Dial(set, 0, func(k *keeper.Client) client.Keeper { return k })
	if err != nil {
		return err
	}
	defer closeKeepers()
	apps, err := openApps(c.Apps, log)
	if err != nil {
		return err
	}
	g, err := open(&c, id, set, keepers, apps, log)
	if err != nil {
		return err
	}
	return errors.Join(listen(ctx, &c, g, log), g.Close())
}

func open(c *config, id *identity, set *actor.Set, keepers map[abaton.KeeperIndex]client.Keeper, apps *appsFile, log *slog.Logger) (*gateway.Gateway, error) {
	org, err := c.organisation()
	if err != nil {
		return nil, err
	}
	validation, err := gateway.ParseValidation(c.Validate)
	if err != nil {
		return nil, err
	}
	authenticators, err := readAuthenticators(c.Authenticators)
	if err != nil {
		return nil, err
	}
	box := key.BoxFromSeed(key.Secret(id.Box))
	duty, err := dutyCharts(c.Duty, org, box)
	if err != nil {
		return nil, err
	}
	return gateway.New(gateway.Config{
		URL: c.URL, Apps: apps.reader(), Set: set, Keepers: keepers, Org: org, Writer: key.SigningFromSeed(key.Secret(id.Writer)),
		OrgBox: box, Duty: duty, IDKey: key.Secret(id.IDs), OutboxKey: key.Secret(id.Outbox),
		Outbox: filepath.Join(c.Dir, "outbox"), Release: release, Log: log, Notify: c.NotifyOrigins,
		PerPerson: rateOf(c.PerPerson, gateway.DefaultPerPerson()), PerOrigin: rateOf(c.PerAddress, gateway.DefaultPerOrigin()), Validate: validation,
		Authenticators: authenticators,
		Wraps:          filepath.Join(c.Dir, "wraps"),
		Relations:      c.Dir,
		Uploads:        filepath.Join(c.Dir, "uploads"), ObjectBytesMax: c.ObjectMaxMB << 20,
	})
}

// dutyCharts reads the list of duty charts; nil for an empty path.
func dutyCharts(path string, org abaton.ActorID, box *key.Box) (gateway.DutyCharts, error) {
	if path == "" {
		return nil, nil
	}
	list, err := careteam.OpenDutyList(path, org, box)
	if err != nil {
		return nil, fmt.Errorf("settings: duty: %w", err)
	}
	return list.Chart, nil
}

// rateOf is a rate with as many seconds' worth at once as the usual one has.
func rateOf(perSecond int, usual gateway.Rate) gateway.Rate {
	return gateway.Rate{PerSecond: float64(perSecond), Burst: float64(perSecond) * usual.Burst / usual.PerSecond}
}

// listen serves FHIR and the admin address.
func listen(ctx context.Context, c *config, g *gateway.Gateway, log *slog.Logger) error {
	ln, err := listener(c)
	if err != nil {
		return err
	}
	legacy, err := openIntake(c, g, log)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	admin, err := daemon.Admin(c.Admin, adminRoutes(append(g.Collectors(), legacy.collectors()...)))
	if err != nil {
		return errors.Join(fmt.Errorf("listen: admin: %w", err), ln.Close(), legacy.close())
	}
	front := &http.Server{Handler: g, ReadHeaderTimeout: gateway.ReadHeaderTimeout, ReadTimeout: gateway.ReadTimeout,
		IdleTimeout: gateway.IdleTimeout, MaxHeaderBytes: headerBytesMax, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	log.InfoContext(ctx, "gateway started", "listen", ln.Addr().String(), "tls", c.TLSCert != "")
	err = daemon.Service{Front: front, Listener: ln, Admin: admin, Beside: []func(context.Context) error{legacy.serve}, Grace: c.shutdown()}.Run(ctx)
	log.Info("gateway stopped")
	return err
}

func listener(c *config) (net.Listener, error) {
	var settings *tls.Config
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("settings: tls_cert, tls_key: %w", err)
		}
		settings = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if settings != nil {
		return tls.NewListener(ln, settings), nil
	}
	return ln, nil
}

// adminRoutes are metrics and health, for this machine.
func adminRoutes(metrics []prometheus.Collector) *http.ServeMux {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics...)
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	routes.HandleFunc("GET /health", daemon.Alive)
	return routes
}
