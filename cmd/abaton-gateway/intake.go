package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/internal/intake"
	"github.com/abaton-health/abaton/internal/settings"
)

// intakeConfig is the part [intake] of the settings. All empty, nothing comes
// in.
type intakeConfig struct {
	// Listen is the address for MLLP. Other than loopback it needs the
	// gateway's TLS settings and ClientCA.
	Listen string `toml:"listen"`
	// ClientCA is a PEM file of those who vouch for senders; relative to the
	// file.
	ClientCA string `toml:"client_ca"`
	// Actor is the agent of the organisation whose session files messages.
	Actor string `toml:"actor"`
	// Zone is the senders' time zone, where a timestamp names none.
	Zone string `toml:"zone"`
	// Systems gives the FHIR identifier system of an assigning authority's
	// namespace id.
	Systems map[string]string `toml:"systems"`
}

func (i *intakeConfig) check(c *config) error {
	if i.Listen == "" {
		if i.Actor != "" || i.ClientCA != "" || len(i.Systems) > 0 {
			return errors.New("settings: intake.listen is missing")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(i.Listen); err != nil {
		return fmt.Errorf("settings: intake.listen: %w", err)
	}
	if _, err := abaton.ParseActorID(i.Actor); err != nil {
		return fmt.Errorf("settings: intake.actor: %w", err)
	}
	if i.ClientCA != "" && c.TLSCert == "" {
		return errors.New("settings: intake.client_ca needs tls_cert and tls_key")
	}
	if i.ClientCA == "" && !settings.Loopback(i.Listen) {
		return errors.New("settings: intake.listen must be a loopback address, or intake.client_ca given: MLLP itself knows no names")
	}
	if _, err := time.LoadLocation(i.Zone); err != nil {
		return fmt.Errorf("settings: intake.zone: %w", err)
	}
	return nil
}

// legacy is the intake with its listener, nil where there is none.
type legacy struct {
	in *intake.Intake
	ln net.Listener
}

func openIntake(c *config, g *gateway.Gateway, log *slog.Logger) (*legacy, error) {
	if c.Intake.Listen == "" {
		return nil, nil
	}
	who, err := abaton.ParseActorID(c.Intake.Actor)
	if err != nil {
		return nil, fmt.Errorf("settings: intake.actor: %w", err)
	}
	zone, err := time.LoadLocation(c.Intake.Zone)
	if err != nil {
		return nil, fmt.Errorf("settings: intake.zone: %w", err)
	}
	in, err := intake.New(intake.Config{
		Session: func() (intake.Session, error) {
			s, err := g.Service(who)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Settled: g.Settled, Ready: func() bool { return g.Below() == 0 }, Zone: zone, Systems: c.Intake.Systems, Log: log,
	})
	if err != nil {
		return nil, err
	}
	ln, err := listenMLLP(c)
	if err != nil {
		return nil, err
	}
	log.Info("intake opened", "listen", ln.Addr().String(), "tls", c.Intake.ClientCA != "")
	return &legacy{in: in, ln: ln}, nil
}

// listenMLLP listens, with TLS and client certificates where it is not
// loopback alone.
func listenMLLP(c *config) (net.Listener, error) {
	ln, err := net.Listen("tcp", c.Intake.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: intake: %w", err)
	}
	if c.Intake.ClientCA == "" {
		return ln, nil
	}
	settings, err := senderTLS(c)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return tls.NewListener(ln, settings), nil
}

func senderTLS(c *config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("settings: tls_cert, tls_key: %w", err)
	}
	text, err := os.ReadFile(c.Intake.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("settings: intake.client_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("settings: intake.client_ca holds no certificate")
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, nil
}

func (l *legacy) serve(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.in.Serve(ctx, l.ln)
}

func (l *legacy) close() error {
	if l == nil {
		return nil
	}
	return l.ln.Close()
}

func (l *legacy) collectors() []prometheus.Collector {
	if l == nil {
		return nil
	}
	return l.in.Collectors()
}
