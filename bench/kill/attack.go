package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/dice"
	"github.com/abaton-health/abaton/internal/local"
)

// Moments: so long between two kills, and so long a victim stays down.
const (
	apartMin, apartMax = 100 * time.Millisecond, 1500 * time.Millisecond
	downMax            = 800 * time.Millisecond
)

// attack imports and kills at once, then reads back.
func attack(ctx context.Context, o *options, p *local.Processes, stderr io.Writer) (*result, error) {
	began := time.Now()
	r := &result{Seed: o.seed, Victims: make(map[string]int)}
	m, err := newImporter(ctx, p.Network)
	if err != nil {
		return nil, err
	}
	defer m.close()
	enough := make(chan struct{})
	g, within := errgroup.WithContext(ctx)
	g.Go(func() error { return m.run(within, enough) })
	g.Go(func() error {
		defer close(enough)
		return (&killer{p: p, dice: dice.New(o.seed), stderr: stderr}).run(within, o.kills, r)
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := m.readBack(ctx, r); err != nil {
		return nil, err
	}
	r.Retries, r.Seconds = m.retries, time.Since(began).Seconds()
	if r.Lost+r.Changed+r.Late > 0 {
		return r, errors.New("something acknowledged is not there")
	}
	return r, nil
}

// killer kills processes and starts them again.
type killer struct {
	p      *local.Processes
	dice   *dice.Dice
	stderr io.Writer
}

// run kills until there were enough, and ends with everything up.
func (k *killer) run(ctx context.Context, kills int, r *result) error {
	for r.Kills < kills {
		if err := pause(ctx, k.dice.Between(apartMin, apartMax)); err != nil {
			return err
		}
		victim := abaton.KeeperIndex(k.dice.Below(local.Keepers + 1)) // 0 is the gateway
		if err := k.kill(ctx, victim); err != nil {
			return err
		}
		r.Kills++
		r.Victims[name(victim)]++
		fmt.Fprintf(k.stderr, "%d of %d: killed %s\n", r.Kills, kills, name(victim))
	}
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		if err := k.p.AwaitKeeper(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

func name(victim abaton.KeeperIndex) string {
	if victim == 0 {
		return "gateway"
	}
	return fmt.Sprintf("keeper %d", victim)
}

// kill ends one process as it stands, and starts it after a while. Every other
// keeper is not waited for: the next victim may fall while it catches up.
func (k *killer) kill(ctx context.Context, victim abaton.KeeperIndex) error {
	if victim == 0 {
		if err := k.p.KillGateway(); err != nil {
			return err
		}
		if err := pause(ctx, k.dice.Between(0, downMax)); err != nil {
			return err
		}
		return k.p.StartGateway(ctx, local.Build{})
	}
	if err := k.p.KillKeeper(victim); err != nil {
		return err
	}
	if err := pause(ctx, k.dice.Between(0, downMax)); err != nil {
		return err
	}
	if err := k.p.LaunchKeeper(victim, local.Build{}); err != nil || k.dice.Below(2) == 0 {
		return err
	}
	return k.p.AwaitKeeper(ctx, victim)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
