package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/daemon"
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
	set, err := daemon.ReadSet(c.Set, c.SetID)
	if err != nil {
		return nil, nil, err
	}
	keepers, hangUp, err := daemon.Dial(set, 0, func(k *keeper.Client) client.Keeper { return k })
	if err != nil {
		return nil, nil, err
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
	routes := http.NewServeMux()
	routes.HandleFunc("GET /health", daemon.Alive)
	admin, err := daemon.Admin(c.Admin, routes)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: admin: %w", err), ln.Close())
	}
	log.InfoContext(ctx, "authority started", "listen", ln.Addr().String(), "serves", len(c.Organisations))
	err = daemon.Service{Front: front, Listener: tls.NewListener(ln, front.TLSConfig), Admin: admin, Grace: c.shutdown()}.Run(ctx)
	log.Info("authority stopped")
	return err
}
