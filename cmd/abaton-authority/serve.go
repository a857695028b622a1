package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/keeper"
)

// serve runs the authority until ctx ends, then lets running requests finish.
func serve(ctx context.Context, path string, log *slog.Logger) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return err
	}
	n, hangUp, err := c.network(id)
	if err != nil {
		return err
	}
	defer hangUp()
	a, err := c.authority(id, n, log)
	if err != nil {
		return err
	}
	return c.listen(ctx, id, a, n.Set().RelyingParty.Origins, log)
}

// network asks the keepers for key logs, with the authority's own key.
func (c *config) network(id *identity) (n *client.Network, closeAll func(), err error) {
	set, err := c.loadSet()
	if err != nil {
		return nil, nil, err
	}
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	var dialled []*keeper.Client
	hangUp := func() {
		for _, k := range dialled {
			k.Close()
		}
	}
	for i := range set.Keepers {
		e := &set.Keepers[i]
		k, err := keeper.Dial(e.URL, e.SPKI)
		if err != nil {
			hangUp()
			return nil, nil, fmt.Errorf("keeper %d: %w", e.X, err)
		}
		keepers[e.X], dialled = k, append(dialled, k)
	}
	if n, err = client.New(client.Config{Set: set, Keepers: keepers, Asker: id.asks()}); err != nil {
		hangUp()
		return nil, nil, err
	}
	return n, func() { n.Close(); hangUp() }, nil
}

func (c *config) authority(id *identity, n *client.Network, log *slog.Logger) (*emergency.Authority, error) {
	own, err := abaton.ParseActorID(c.Actor)
	if err != nil {
		return nil, fmt.Errorf("settings: actor: %w", err)
	}
	served, err := c.organisations()
	if err != nil {
		return nil, err
	}
	return emergency.NewAuthority(emergency.Config{Network: n, Actor: own, Box: id.box(), Organisations: served, Log: log})
}

// listen serves the one route, and health at the admin address.
func (c *config) listen(ctx context.Context, id *identity, a *emergency.Authority, origins []string, log *slog.Logger) error {
	table, err := a.Table()
	if err != nil {
		return err
	}
	cert, _, err := keeper.NewCertificate(id.TLS)
	if err != nil {
		return err
	}
	front := keeper.NewHTTPServer(keeper.NewHandler(table, origins, log, nil))
	front.TLSConfig = keeper.TLSConfig(cert)
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	admin, err := listenAdmin(c.Admin)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := front.Serve(tls.NewListener(ln, front.TLSConfig)); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	log.InfoContext(ctx, "authority started", "listen", ln.Addr().String(), "serves", len(c.Organisations))
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), c.shutdown())
	defer stop()
	err = errors.Join(err, front.Shutdown(grace), admin.Close())
	wg.Wait()
	log.Info("authority stopped")
	return err
}

// listenAdmin serves health to this machine; with no address it serves nothing.
func listenAdmin(addr string) (*http.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	admin := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	if addr == "" {
		return admin, nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: admin: %w", err)
	}
	go admin.Serve(ln) // ends with admin.Close
	return admin, nil
}
