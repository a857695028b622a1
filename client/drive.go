package client

import (
	"context"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

// play is a step that asks and waits: what to do for each of its effects.
type play struct {
	start func() []quorum.Effect
	// ask calls one keeper, on its own goroutine, and gives back what to
	// feed the step, which runs in the caller's.
	ask   func(ctx context.Context, x abaton.KeeperIndex) func() []quorum.Effect
	timer func() []quorum.Effect
	ended func() bool
}

// drive runs a step to its end. All goroutines it started have ended when it
// returns.
func drive(ctx context.Context, p play) error {
	ctx, cancel := context.WithCancel(ctx)
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	events := make(chan func() []quorum.Effect)
	give := func(event func() []quorum.Effect) {
		select {
		case events <- event:
		case <-ctx.Done():
		}
	}
	do := func(effects []quorum.Effect) {
		for _, e := range effects {
			switch e.Do {
			case quorum.Send:
				calls.Go(func() { give(p.ask(ctx, e.Keeper)) })
			case quorum.Wake:
				calls.Go(func() {
					if pause(ctx, e.After) {
						give(p.timer)
					}
				})
			}
		}
	}
	do(p.start())
	for !p.ended() {
		select {
		case event := <-events:
			do(event())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// pause waits for d; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
