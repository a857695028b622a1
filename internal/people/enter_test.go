package people_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
)

// clocked is the network of an office whose clock the test moves.
func (l *lost) clocked(t *testing.T) (n *client.Network, move func(time.Duration)) {
	t.Helper()
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range l.keepers.Keepers {
		keepers[x] = k
	}
	var ahead atomic.Int64
	n, err := client.New(client.Config{Set: l.set, Keepers: keepers, Asker: l.org.Manage,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n, func(d time.Duration) { ahead.Add(int64(d)) }
}

func (l *lost) down(down bool, xs ...abaton.KeeperIndex) {
	for _, x := range xs {
		l.keepers.Keepers[x].Down(down)
	}
}

// TestAReturnIsSignedOnce: two keepers let the new passkey in and are away when
// it is sent again, seconds later; what the others vote for must be the same
// event, or nobody ever gets to four.
func TestAReturnIsSignedOnce(t *testing.T) {
	l := newLost(t)
	n, move := l.clocked(t)
	if _, _, err := l.BeginWithKit(t.Context(), n, "ana", l.code); err != nil {
		t.Fatalf("begin: %v", err)
	}
	finish := func() error {
		r, err := l.Returning("ana") // each try is another run of the program
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Finish(t.Context(), n, r)
		move(2 * time.Second)
		return err
	}
	l.pass(1, 2)
	if err := finish(); !refusedFor(err, abaton.ReasonWait) {
		t.Fatalf("two keepers let her in: got %v, want %s", err, abaton.ReasonWait)
	}
	l.pass(3, 4, 5)
	l.down(true, 1, 2)
	if err := finish(); err == nil {
		t.Fatal("three keepers let her in, want four needed")
	}
	l.down(false, 1, 2)
	if err := finish(); err != nil {
		t.Fatalf("all keepers are there: got %v, want her in", err)
	}
}

// TestAReturnNeedsNoMerge: the recovery took the place of an event that narrows
// and whose certificate was under way. That splits the log, and nobody who could
// merge it has a device.
func TestAReturnNeedsNoMerge(t *testing.T) {
	l := newLost(t)
	l.certifies(false)
	phone, _ := l.clocked(t)
	if _, err := phone.Append(t.Context(), l.old.Hand(), &actor.Bar{Actor: abaton.ActorID{1}}); err != nil {
		t.Fatalf("bar: %v", err)
	}
	phone.Close() // before its certificates are out
	r := l.mustBegin(t)
	l.certifies(true)
	l.pass(1, 2, 3, 4, 5)
	if _, err := l.Finish(t.Context(), l.net, r); err != nil {
		t.Fatalf("finish in a split log: got %v, want her in", err)
	}
}

var errLost = errors.New("the line is dead")

// certifies lets certificates reach the keepers, or none of them.
func (l *lost) certifies(reach bool) {
	for _, k := range l.keepers.Keepers {
		k.Intercept(func(route string, _ []byte) ([]byte, error) {
			if !reach && route == keeper.RouteCertify {
				return nil, errLost
			}
			return nil, nil
		})
	}
}
