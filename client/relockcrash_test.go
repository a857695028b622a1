package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
)

// TestRelockKilledBetweenMessages: between any two messages of a re-lock the
// locker is killed, a keeper's power fails, and any one keeper is lost for
// good: every record opens all the same (T6). Then the re-lock is finished.
func TestRelockKilledBetweenMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("long; run without -short")
	}
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	if _, err := w.net.NewEpoch(t.Context(), w.patient.hand(), w.root.Line(general), true, w.seedOf); err != nil {
		t.Fatalf("new epoch: %v", err)
	}
	cuts := []struct {
		route string
		after int // messages of this route that arrive
		reply bool
	}{}
	for _, route := range []string{keeper.RoutePrepare, keeper.RouteCommit} {
		for after := range 5 {
			cuts = append(cuts, struct {
				route string
				after int
				reply bool
			}{route, after, after%2 == 0})
		}
	}
	for i, cut := range cuts {
		w.killAfter(cut.route, cut.after, cut.reply)
		x := abaton.KeeperIndex(1 + i%5)
		k := w.keepers.Keepers[x]
		w.keepers.Restart(t, x, func() { k.Records, k.Keys = k.Records.Crash(), k.Keys.Crash() })
		k.AwaitMode(t)
		for lost := abaton.KeeperIndex(1); lost <= 5; lost++ {
			w.cut(lost)
			got, err := w.everything()
			if err != nil || len(got.Records) != 2 || len(got.Faults) != 0 {
				t.Fatalf("%s: %d arrived, keeper %d crashed, keeper %d lost: got %s, want 2 records", cut.route, cut.after, x, lost, tally(got, err))
			}
			w.mend(lost)
		}
		if i%5 == 4 { // else the next run begins where this one was killed
			done, err := w.relocker(w.relocking()).Run(t.Context())
			if err != nil || done.Done != 2 {
				t.Fatalf("finish: got %+v, %v, want 2 of 2", done, err)
			}
			w.wantAll(2)
			if _, err := w.net.NewEpoch(t.Context(), w.patient.hand(), w.root.Line(general), true, w.seedOf); err != nil {
				t.Fatalf("new epoch: %v", err)
			}
		}
	}
}

// killAfter runs a re-lock whose locker dies when so many messages of a route
// have arrived; with reply they were answered, and the next is never sent.
func (w *world) killAfter(route string, arrive int, reply bool) {
	w.t.Helper()
	ctx, kill := context.WithCancel(w.t.Context())
	defer kill()
	var mu sync.Mutex
	count := 0
	dead := errors.New("killed")
	for _, c := range w.wires {
		c.set(func(c *cable) {
			c.tap = func(r string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				if r != route {
					return next(body)
				}
				mu.Lock()
				defer mu.Unlock()
				if count++; count > arrive {
					kill()
					return nil, dead
				}
				out, err := next(body)
				if !reply && count == arrive {
					return nil, fmt.Errorf("%w: the answer is lost", dead)
				}
				return out, err
			}
		})
	}
	r, err := w.net.NewRelocker(w.relocking())
	if err != nil {
		w.t.Fatalf("new relocker: %v", err)
	}
	_, _ = r.Run(ctx) // it was killed
	w.mend(1, 2, 3, 4, 5)
}

// TestTwoLockers: two devices that lock anew at once leave every record open,
// under one lock in the end.
func TestTwoLockers(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	for i := range 4 {
		w.put(wr, w.writes(general, string(rune('a'+i)), 2))
	}
	if _, err := w.net.NewEpoch(t.Context(), w.patient.hand(), w.root.Line(general), true, w.seedOf); err != nil {
		t.Fatalf("new epoch: %v", err)
	}
	var lockers sync.WaitGroup
	for range 3 {
		r := w.relocker(w.relocking())
		lockers.Go(func() { _, _ = r.Run(t.Context()) }) // each may lose numbers to the others
	}
	lockers.Wait()
	w.wantAll(8)
	done, err := w.relocker(w.relocking()).Run(t.Context())
	for again := 0; again < 4 && (err != nil || done.Behind != 0); again++ { // the next run brings a slow keeper along
		done, err = w.relocker(w.relocking()).Run(t.Context())
	}
	if err != nil || done.Done != 8 || done.Behind != 0 {
		t.Fatalf("after both: got %+v, %v, want 8 of 8", done, err)
	}
	w.wantAll(8)
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		w.cut(x, 1+x%5)
		w.wantAll(8)
		w.mend(x, 1+x%5)
	}
}
