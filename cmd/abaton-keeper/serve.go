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

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
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
	peers, closePeers, err := dialPeers(c, set)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer closePeers()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	admin, err := listenAdmin(c.Admin, metrics, &repairDesk{keeper: k, peers: peers, start: wg.Go, ctx: ctx})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	wg.Go(func() { k.Converse(ctx, peers) })
	failed := make(chan error, 1)
	wg.Go(func() {
		server.TLSConfig = keeper.TLSConfig(cert)
		if err := server.Serve(tls.NewListener(ln, server.TLSConfig)); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	log.InfoContext(ctx, "keeper started", "index", c.Index, "listen", ln.Addr().String(), "set", set.ID().String())
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), c.shutdown())
	defer stop()
	err = errors.Join(err, server.Shutdown(grace), admin.Close())
	wg.Wait()
	log.Info("keeper stopped", "index", c.Index)
	return err
}

// dialPeers prepares calls to the other keepers of the set.
func dialPeers(c *config, set *actor.Set) (map[abaton.KeeperIndex]custody.Peer, func(), error) {
	peers := make(map[abaton.KeeperIndex]custody.Peer)
	var clients []*keeper.Client
	for i := range set.Keepers {
		e := &set.Keepers[i]
		if e.X == abaton.KeeperIndex(c.Index) {
			continue
		}
		p, err := keeper.Dial(e.URL, e.SPKI)
		if err != nil {
			return nil, nil, fmt.Errorf("keeper %d: %w", e.X, err)
		}
		peers[e.X] = p
		clients = append(clients, p)
	}
	return peers, func() {
		for _, p := range clients {
			p.Close()
		}
	}, nil
}
