package custody_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
)

// TestRecoverAfterRollback: a restored keeper is in quarantine, names the end
// of the ledger it lost, catches up, serves, and does not vote in a slot in
// which it may have voted before.
func TestRecoverAfterRollback(t *testing.T) {
	w := newWorld(t, 1)
	k := w.Keepers[3]
	yesterday, keys := k.Records.Snapshot(), k.Keys.Snapshot()
	forgotten := *w.ana
	k.Intercept(func(route string, _ []byte) ([]byte, error) { // no peer reads its feed
		if route == keeper.RouteQuery {
			return nil, abaton.Refuse(abaton.ReasonStorage)
		}
		return nil, nil
	})
	lost := forgotten.Event(&actor.Granted{Grant: forgotten.Grant(w.org.ID, grant.Read, 7).Marshal()})
	if r := w.sends(t, 3, lost); r.Reason != "" { // a vote that nobody else knows of
		t.Fatalf("vote: got %q, want one", r.Reason)
	}
	first := w.seals(t, 1, 1)
	w.mustDeposit(t, first)
	w.AwaitCosigned(t, 3)
	w.Restart(t, 3, func() { k.Records.Restore(yesterday); k.Keys.Restore(keys) })
	k.Intercept(nil)
	if got := k.AwaitMode(t); got != "quarantined" {
		t.Fatalf("restored: got %s, want quarantined", got)
	}
	if got := w.found(t, 3, abaton.ReasonQuarantine); got == 0 {
		t.Error("a quarantine is no finding")
	}
	old := w.Set.Keeper(3).Origin
	w.Recover(t, 3)
	if got := k.AwaitMode(t); got != "serving" {
		t.Fatalf("recovered: got %s, want serving", got)
	}
	w.firstEntryRecovers(t, 3, old)

	rival := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.org.ID, grant.Read, 8).Marshal()})
	if r := w.sends(t, 3, rival); r.Reason != abaton.ReasonQuarantine {
		t.Errorf("a vote for another event in a slot where it may have voted: got %q, want %q", r.Reason, abaton.ReasonQuarantine)
	}
	w.Publish(t, rival) // the four others certify it
	next := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.org.ID, grant.Read, 9).Marshal()})
	if r := w.sends(t, 3, next); r.Reason != "" {
		t.Errorf("the slot after one that the others certified: got %q, want a vote", r.Reason)
	}
	w.Restart(t, 3, func() {})
	k.AwaitMode(t)
	after := w.doctor.Event(&actor.KeyAdd{Key: actor.Key{ID: w.org.Manage.ID(), Rights: actor.Manage}})
	if r := w.sends(t, 3, after); r.Reason == "" {
		t.Error("after another start it votes where it may have voted before")
	}
	if r := w.sends(t, 3, next); r.Reason != "" {
		t.Errorf("the same vote again: got %q, want it", r.Reason)
	}
}

// firstEntryRecovers: the new ledger begins by naming the end of the old.
func (w *world) firstEntryRecovers(t *testing.T, x abaton.KeeperIndex, old string) {
	t.Helper()
	begun := w.Set.Begun(x)
	if begun.At == 0 || !bytes.HasPrefix(begun.Last, []byte(old+"\n")) {
		t.Fatalf("the set says the ledger of keeper %d began at %d, after %q", x, begun.At, begun.Last)
	}
	want := sha256.Sum256(begun.Last)
	en, err := w.Keepers[x].EntryAt(0)
	if err != nil {
		t.Fatal(err)
	}
	if en.Op != ledger.OpRecover || en.Request != want || en.Actor != w.Set.ID() {
		t.Errorf("first entry: got %s by %s, want recover by the keeper set, naming the last checkpoint", en.Op, en.Actor)
	}
}

// TestRecoverAsksThree: after a loss a keeper serves only when it has heard
// three others.
func TestRecoverAsksThree(t *testing.T) {
	w := newWorld(t, 1)
	w.AwaitCosigned(t, 3)
	for _, x := range []abaton.KeeperIndex{4, 5} {
		w.Keepers[x].Intercept(func(route string, _ []byte) ([]byte, error) {
			if route == keeper.RouteQuery {
				return nil, abaton.Refuse(abaton.ReasonStorage)
			}
			return nil, nil
		})
	}
	w.Replace(t, 3)
	for end := time.Now().Add(30 * time.Second); w.Keepers[3].HeardNow() < 2; {
		if time.Now().After(end) {
			t.Fatal("keeper 3 does not hear two others")
		}
	}
	if got := w.Keepers[3].Mode().String(); got != "starting" {
		t.Errorf("with two others heard after a loss: got %s, want starting", got)
	}
	w.Keepers[5].Intercept(nil)
	if got := w.Keepers[3].AwaitMode(t); got != "serving" {
		t.Errorf("with three others heard: got %s, want serving", got)
	}
	w.firstEntryRecovers(t, 3, "keeper3.test/ledger")
}

// TestRestoredAfterRecovery: a copy from before the recovery, with its keys, is
// of another incarnation: it appends nothing under either ledger.
func TestRestoredAfterRecovery(t *testing.T) {
	w := newWorld(t, 1)
	k := w.Keepers[3]
	w.AwaitCosigned(t, 3)
	before, records, keys := k.Identity, k.Records.Snapshot(), k.Keys.Snapshot()
	w.Recover(t, 3)
	if got := k.AwaitMode(t); got != "serving" {
		t.Fatalf("recovered: got %s, want serving", got)
	}
	w.Restart(t, 3, func() { k.Identity = before })
	if got := k.Mode().String(); got != "quarantined" {
		t.Errorf("an older incarnation on the newer store: got %s, want quarantined", got)
	}
	older, newer := store.NewMemory(), store.NewMemory()
	older.Restore(records)
	newer.Restore(keys)
	s, err := store.New(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = custody.CoreOf(custody.Config{Set: w.Set, Index: 3, Incarnation: before.Incarnation, Key: before.Key, Box: before.Box, Store: s})
	if !errors.Is(err, custody.ErrStale) {
		t.Error("an older incarnation on the older store began a ledger that the set gave to another")
	}
}

// TestForgottenVoteQuarantines: a vote of its own that a keeper does not know,
// in a certificate, says that it lost less than an entry.
func TestForgottenVoteQuarantines(t *testing.T) {
	w := newWorld(t, 1)
	k := w.Keepers[3]
	records, keys := k.Records.Snapshot(), k.Keys.Snapshot()
	e := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.org.ID, grant.Read, 7).Marshal()})
	k.Intercept(func(route string, _ []byte) ([]byte, error) { // no peer reads its feed
		if route == keeper.RouteQuery {
			return nil, abaton.Refuse(abaton.ReasonStorage)
		}
		return nil, nil
	})
	if r := w.sends(t, 3, e); r.Reason != "" {
		t.Fatalf("keeper 3: got %q, want a vote", r.Reason)
	}
	place := actor.Place{Actor: w.ana.ID, Seq: 2, Hash: actor.HashOf(e.Event)}
	var votes []actor.Vote // as the others will give them
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		votes = append(votes, actor.SignVote(w.Set.ID(), x, w.Keepers[x].Identity.Key, place))
	}
	w.Restart(t, 3, func() { k.Records.Restore(records); k.Keys.Restore(keys) })
	if got := k.AwaitMode(t); got != "serving" {
		t.Fatalf("its ledger is whole: got %s, want serving", got)
	}
	w.certifies(t, 3, e, votes)
	if got := k.Mode().String(); got != "quarantined" {
		t.Errorf("a certificate with a vote that it does not remember: got %s, want quarantined", got)
	}
}

// TestRecoveredKeeperServes: what it had before the loss opens again.
func TestRecoveredKeeperServes(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.AwaitCosigned(t, 3)
	w.Recover(t, 3)
	w.Keepers[3].AwaitMode(t)
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 3, w.release(sealed, 1), keeper.Permitted, "")
}
