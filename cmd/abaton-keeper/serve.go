package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
)

// serve runs the keeper until ctx ends, then lets running requests finish.
func serve(ctx context.Context, path string, m custody.Mutation, log *slog.Logger) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return err
	}
	set, err := c.loadSet(id)
	if err != nil {
		return err
	}
	s, err := store.Open(c.Dir, store.Options{
		MemTableBytes: c.MemtableMB << 20, CacheBytes: int64(c.CacheMB) << 20, Logger: log,
	})
	if err != nil {
		return err
	}
	k, err := openKeeper(&c, id, set, s, m, log)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	err = listen(ctx, &c, id, set, k, s, log)
	k.Close()
	return errors.Join(err, s.Close())
}

func openKeeper(c *config, id *identity, set *actor.Set, s *store.Store, m custody.Mutation, log *slog.Logger) (*custody.Keeper, error) {
	admitted, err := c.organisations()
	if err != nil {
		return nil, err
	}
	return custody.Open(custody.Config{
		Set: set, Index: abaton.KeeperIndex(c.Index), Incarnation: id.Incarnation, Key: id.signing(), Box: id.box(), Store: s,
		Admitted: admitted, Budget: custody.Budget{PatientsPerHour: c.PatientsPerHour, PatientsPerDay: c.PatientsPerDay}, Log: log, Mutation: m,
	})
}

// listen serves the protocol and the admin address, and talks to the peers.
func listen(ctx context.Context, c *config, id *identity, set *actor.Set, k *custody.Keeper, s *store.Store, log *slog.Logger) error {
	table, err := k.Table()
	if err != nil {
		return err
	}
	cert, _, err := keeper.NewCertificate(id.TLS)
	if err != nil {
		return err
	}
	metrics := newMetrics(k, s)
	handler := keeper.NewHandler(table, set.RelyingParty.Origins, log, metrics.count)
	server := keeper.NewHTTPServer(handler)
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	peers, closePeers, err := daemon.Dial(set, abaton.KeeperIndex(c.Index), func(k *keeper.Client) custody.Peer { return k })
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer closePeers()
	repairing, end := context.WithCancel(ctx)
	var repairs sync.WaitGroup
	defer repairs.Wait()
	defer end()
	admin, err := daemon.Admin(c.Admin, adminRoutes(metrics, &repairDesk{keeper: k, peers: peers, start: repairs.Go, ctx: repairing}))
	if err != nil {
		return errors.Join(fmt.Errorf("listen on admin: %w", err), ln.Close())
	}
	server.TLSConfig = keeper.TLSConfig(cert)
	log.InfoContext(ctx, "keeper started", "index", c.Index, "listen", ln.Addr().String(), "set", set.ID().String())
	err = daemon.Service{
		Front: server, Listener: tls.NewListener(ln, server.TLSConfig), Admin: admin, Grace: c.shutdown(),
		Beside: []func(context.Context) error{func(ctx context.Context) error { k.Converse(ctx, peers); return nil }},
	}.Run(ctx)
	log.Info("keeper stopped", "index", c.Index)
	return err
}
