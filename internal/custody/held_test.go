package custody_test

import (
	"crypto/rand"
	"maps"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// held asks keeper 1 whom it holds back of the organisation.
func (w *shift) held(t *testing.T) *keeper.Statements {
	t.Helper()
	q := keeper.Query{V: wire.Version, Kind: keeper.QueryHeld, Actors: []abaton.ActorID{w.org.ID}, Time: uint64(w.clock().Unix()), Key: w.org.Manage.ID()}
	rand.Read(q.Nonce[:])
	answer, err := w.Keepers[1].Call(t.Context(), keeper.RouteQuery, wire.Marshal(w.org.Manage.Seal(wire.Query, wire.Marshal(q))))
	var signed keeper.Signed
	s := new(keeper.Statements)
	if err != nil || wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, s) != nil {
		t.Fatalf("held: %v", err)
	}
	return s
}

// verdict has a keeper's own word about somebody told to keeper 1.
func (w *shift) verdict(t *testing.T, x abaton.KeeperIndex, who abaton.ActorID) {
	t.Helper()
	now := w.clock().Unix()
	s, err := contain.Sign(w.Keepers[x].Identity.Key, contain.Verdict{Keeper: x, Organisation: w.org.ID, Subject: contain.Person(who), Level: detect.SuspendPerson,
		Rules: detect.Of(detect.D1, detect.D2), Time: now, Until: now + 3*3600})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteVerdict, wire.Marshal(keeper.Verdicts{V: wire.Version, Verdicts: [][]byte{s.Marshal()}})); err != nil {
		t.Fatal(err)
	}
}

// TestHeldIsLedgeredWhenItTells: who asks again and again leaves an entry for each
// answer that tells something else, and one an hour.
func TestHeldIsLedgeredWhenItTells(t *testing.T) {
	w := newShift(t)
	for _, step := range []struct {
		name   string
		before func()
		more   int
		held   int
	}{
		{"first", func() {}, 1, 0},
		{"again", func() {}, 0, 0},
		{"one keeper's word", func() { w.verdict(t, 2, w.ben.ID) }, 1, 1},
		{"again", func() {}, 0, 1},
		{"another's", func() { w.verdict(t, 3, w.ben.ID) }, 1, 1},
		{"an hour later", func() { w.pass(w.now + time.Hour) }, 1, 1},
	} {
		step.before()
		before := w.Keepers[1].LedgerSize()
		if got := len(w.held(t).Held); got != step.held {
			t.Errorf("%s: held %d, want %d", step.name, got, step.held)
		}
		if got := int(w.Keepers[1].LedgerSize() - before); got != step.more {
			t.Errorf("%s: %d entries, want %d", step.name, got, step.more)
		}
	}
	n := w.Keepers[1].Watched()
	if got := n.Verdicts[custody.TallyKey{Level: detect.SuspendPerson, Rule: detect.D2}]; got != 2 || len(n.Verdicts) != 2 {
		t.Errorf("verdicts counted: got %v, want two heard, by each of two rules", n.Verdicts)
	}
}

// TestFoundIsTold: the organisation is told how often a keeper found something.
func TestFoundIsTold(t *testing.T) {
	w := newShift(t)
	for i := range contain.SubjectsPerHourMax + 1 { // one that says too much is a finding
		w.verdict(t, 2, abaton.ActorID{byte(i), 1})
	}
	counts, err := w.Keepers[1].Findings()
	if err != nil || counts[abaton.ReasonBudget] == 0 {
		t.Fatalf("findings: got %v, %v", counts, err)
	}
	got := make(map[abaton.Reason]uint64)
	for _, f := range w.held(t).Found {
		got[f.Reason] = f.Count
	}
	maps.DeleteFunc(counts, func(_ abaton.Reason, n uint64) bool { return n == 0 })
	if !maps.Equal(got, counts) {
		t.Errorf("got %v, want %v", got, counts)
	}
}
