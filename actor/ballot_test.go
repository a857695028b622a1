package actor_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// model is every keeper's copy of one log. Keeper 0 lies: it votes for
// everything. Keepers 1 to 4 are the real State and Ballot.
type model struct {
	t      *testing.T
	l      *log
	events []*actor.Authentic
	names  []string
	quorum int
}

// copyState is one honest keeper: which events it applied, in which order,
// and what it voted.
type honest struct {
	st     *actor.State
	ballot *actor.Ballot
}

func (m *model) fresh() *honest {
	h := &honest{st: new(actor.State), ballot: new(actor.Ballot)}
	if err := h.st.Join(m.l.st); err != nil {
		m.t.Fatal(err)
	}
	return h
}

// hears delivers one event: admitted if the rules admit it, voted if the
// ballot allows. What a certificate stands for is applied without admission.
func (m *model) hears(h *honest, a *actor.Authentic) {
	if h.st.Admit(a, m.l.w.door(), m.l.w.now) != nil {
		return
	}
	if h.st.Apply(a) == nil {
		_ = h.ballot.Cast(h.st, a.Hash()) // a refused vote is no vote
	}
}

// outcome is the votes one honest keeper has given, as a bit for each event.
func (m *model) outcome(h *honest) (votes int) {
	for i, a := range m.events {
		if got, ok := h.ballot.At(a.Event().Seq); ok && got == a.Hash() {
			votes |= 1 << i
		}
	}
	return votes
}

// outcomes are all vote sets one honest keeper can come to: every order of
// delivery of every subset.
func (m *model) outcomes() map[int]bool {
	found := make(map[int]bool)
	var walk func(order []int, used int)
	walk = func(order []int, used int) {
		h := m.fresh()
		for _, i := range order {
			m.hears(h, m.events[i])
		}
		found[m.outcome(h)] = true
		for i := range m.events {
			if used&(1<<i) == 0 {
				walk(append(order[:len(order):len(order)], i), used|1<<i)
			}
		}
	}
	walk(nil, 0)
	return found
}

// conflicting reports whether neither of two events continues the other.
func (m *model) conflicting(i, j int) bool {
	return !m.ancestor(i, j) && !m.ancestor(j, i)
}

func (m *model) ancestor(i, j int) bool {
	if i == j {
		return true
	}
	for _, p := range m.events[j].Event().Prev {
		for k, a := range m.events {
			if a.Hash() == p && m.ancestor(i, k) {
				return true
			}
		}
	}
	return false
}

// TestModelOneCertificateForEachSlot enumerates every way four honest keepers
// can hear of two rival events, a child of each, and a merge, in any order
// and with any loss, while a fifth votes for everything. No two events that
// contradict each other ever both reach four votes.
func TestModelOneCertificateForEachSlot(t *testing.T) {
	m := newModel(t)
	var outcomes []int
	for o := range m.outcomes() {
		outcomes = append(outcomes, o)
	}
	if len(outcomes) < 4 {
		t.Fatalf("only %d outcomes: the model tells nothing", len(outcomes))
	}
	worlds, certified := 0, make(map[int]bool)
	for a := range outcomes {
		for b := a; b < len(outcomes); b++ {
			for c := b; c < len(outcomes); c++ {
				for d := c; d < len(outcomes); d++ {
					worlds++
					var certs []int
					for i := range m.events {
						votes := 1 // the liar's
						for _, o := range []int{outcomes[a], outcomes[b], outcomes[c], outcomes[d]} {
							votes += o >> i & 1
						}
						if votes >= m.quorum {
							certs = append(certs, i)
							certified[i] = true
						}
					}
					for x, i := range certs {
						for _, j := range certs[x+1:] {
							if m.conflicting(i, j) {
								t.Fatalf("certificates for both %s and %s", m.names[i], m.names[j])
							}
						}
					}
				}
			}
		}
	}
	for i, name := range m.names {
		if !certified[i] {
			t.Errorf("%s is never certified: the model tells nothing about it", name)
		}
	}
	t.Logf("%d ways to vote, %d worlds", len(outcomes), worlds)
}

// TestModelWithCertificates plays random lives of the same small world in
// which certificates, once four votes stand for an event, reach keepers too:
// they may then turn to a certified rival. Never do two certificates
// contradict each other, and never does a keeper refuse a certificate.
func TestModelWithCertificates(t *testing.T) {
	m := newModel(t)
	turned, twoDeep := 0, 0
	for round := range uint64(1500) {
		r := rand.New(rand.NewPCG(round, 2))
		keepers := []*honest{m.fresh(), m.fresh(), m.fresh(), m.fresh()}
		for range 60 {
			h, i := keepers[r.IntN(4)], r.IntN(len(m.events))
			if r.IntN(2) == 0 || !m.certified(keepers, i) {
				m.hears(h, m.events[i])
				continue
			}
			top := m.outcome(h)
			if h.st.Apply(m.events[i]) == nil {
				if err := h.st.Certify(certified(placeOf(m.events[i]))); err != nil {
					t.Fatalf("round %d: a keeper refuses the certificate for %s: %v", round, m.names[i], err)
				}
				_ = h.ballot.Cast(h.st, m.events[i].Hash()) // a refused vote is no vote
				if top != 0 && m.conflicting(i, highest(top)) {
					turned++
				}
			}
		}
		twoDeep += m.checkOneChain(t, keepers)
	}
	if turned == 0 || twoDeep == 0 {
		t.Errorf("turned %d, certified twice %d: the model tells nothing", turned, twoDeep)
	}
}

func highest(votes int) int {
	top := 0
	for i := range 32 {
		if votes>>i&1 != 0 {
			top = i
		}
	}
	return top
}

// certified reports whether the event has four votes, one of them the liar's.
func (m *model) certified(keepers []*honest, i int) bool {
	votes := 1
	for _, h := range keepers {
		votes += m.outcome(h) >> i & 1
	}
	return votes >= m.quorum
}

// checkOneChain is how many events are certified, if none contradict.
func (m *model) checkOneChain(t *testing.T, keepers []*honest) (deep int) {
	t.Helper()
	var certs []int
	for i := range m.events {
		if m.certified(keepers, i) {
			certs = append(certs, i)
		}
	}
	for x, i := range certs {
		for _, j := range certs[x+1:] {
			if m.conflicting(i, j) {
				t.Fatalf("certificates for both %s and %s", m.names[i], m.names[j])
			}
		}
	}
	if len(certs) > 1 {
		return 1
	}
	return 0
}

func newModel(t *testing.T) *model {
	w := newWorld(t)
	m := &model{t: t, l: w.patient("ana"), quorum: 4}
	base := m.l.st.Heads()[0]
	add := func(name string, body actor.Body, parents ...actor.Place) actor.Place {
		a := w.authentic(m.l.after(body, parents...), byKey("ana"))
		m.events, m.names = append(m.events, a), append(m.names, name)
		return placeOf(a)
	}
	bar := func(i byte) actor.Body { return &actor.Bar{Actor: abaton.ActorID{i}} }
	a := add("a1", bar(1), base)
	b := add("b1", bar(2), base)
	add("a2", bar(3), a)
	add("b2", bar(4), b)
	both := add("merge", &actor.Merge{}, a, b)
	add("a3", bar(5), both)
	return m
}

// TestModelRevokeNeverUndone: in every order of a grant's revocation, a rival
// event, their merge and certificates for any of them, a copy that has heard
// the revocation never gives the grant again.
func TestModelRevokeNeverUndone(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	given := l.granted(abaton.ActorID{7}, 1)
	l.add(given, byKey("ana"))
	base := l.st.Heads()[0]
	revoke := w.authentic(l.after(&actor.Revoke{Grant: grantID(given)}, base), byKey("ana"))
	rival := w.authentic(l.after(l.granted(abaton.ActorID{8}, 2), base), byKey("ana"))
	merge := w.authentic(l.after(&actor.Merge{}, placeOf(revoke), placeOf(rival)), byKey("ana"))
	steps := map[string]func(*actor.State) error{
		"revoke":        func(s *actor.State) error { return s.Apply(revoke) },
		"rival":         func(s *actor.State) error { return s.Apply(rival) },
		"merge":         func(s *actor.State) error { return s.Apply(merge) },
		"certify rival": func(s *actor.State) error { return s.Certify(certified(placeOf(rival))) },
		"certify merge": func(s *actor.State) error { return s.Certify(certified(placeOf(merge))) },
		"revoke again":  func(s *actor.State) error { return s.Apply(revoke) },
	}
	var names []string
	for name := range steps {
		names = append(names, name)
	}
	orders := 0
	var walk func(order []string)
	walk = func(order []string) {
		orders++
		s := new(actor.State)
		if err := s.Join(l.st); err != nil {
			t.Fatal(err)
		}
		for i, name := range order {
			_ = steps[name](s) // refused steps stay refused: places not known yet
			g, revoked := s.Grant(grantID(given))
			if g == nil || s.Knows(revoke.Hash()) != revoked || s.Grants()[grantID(given)] != nil && revoked {
				t.Fatalf("after %v: given %t, revoked %t", order[:i+1], g != nil, revoked)
			}
		}
		for _, name := range names {
			if !contains(order, name) {
				walk(append(order[:len(order):len(order)], name))
			}
		}
	}
	walk(nil)
	t.Logf("%d orders", orders)
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

func TestBallot(t *testing.T) {
	m := newModel(t)
	event := func(name string) *actor.Authentic {
		for i, n := range m.names {
			if n == name {
				return m.events[i]
			}
		}
		t.Fatalf("no event %s", name)
		return nil
	}
	tests := []struct {
		name  string
		steps []string // apply and vote in this order
		want  []abaton.Reason
	}{
		{"a chain", []string{"a1", "a2"}, []abaton.Reason{"", ""}},
		{"the same again", []string{"a1", "a1"}, []abaton.Reason{"", ""}},
		{"two in one slot", []string{"a1", "b1"}, []abaton.Reason{"", abaton.ReasonSlot}},
		{"turning its back", []string{"a1", "b1", "b2"}, []abaton.Reason{"", abaton.ReasonSlot, abaton.ReasonSlot}},
		{"a merge of both", []string{"a1", "b1", "merge"}, []abaton.Reason{"", abaton.ReasonSlot, ""}},
		{"a merge and then a rival in its slot", []string{"a1", "b1", "merge", "a2"}, []abaton.Reason{"", abaton.ReasonSlot, "", abaton.ReasonSlot}},
		{"not known", []string{"a2"}, []abaton.Reason{abaton.ReasonParent}},
	}
	for _, tt := range tests {
		h := m.fresh()
		for i, step := range tt.steps {
			_ = h.st.Apply(event(step)) // refused where the parent is not known
			if got := reason(h.ballot.Cast(h.st, event(step).Hash())); got != tt.want[i] {
				t.Errorf("%s, step %s: got %q, want %q", tt.name, step, got, tt.want[i])
			}
		}
	}
	h := m.fresh()
	for _, step := range []string{"a1", "b1", "b2"} {
		if err := h.st.Apply(event(step)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.ballot.Cast(h.st, event("a1").Hash()); err != nil {
		t.Fatal(err)
	}
	if err := h.st.Certify(certified(placeOf(event("b1")))); err != nil {
		t.Fatal(err)
	}
	if err := h.ballot.Cast(h.st, event("b2").Hash()); err != nil {
		t.Errorf("a vote that stands on the certified rival: got %v, want allowed", err)
	}
	if got := reason(h.ballot.Cast(h.st, event("b1").Hash())); got != abaton.ReasonSlot {
		t.Errorf("a second vote in the slot, though certified: got %q, want %q", got, abaton.ReasonSlot)
	}
	var restored actor.Ballot
	restored.Restore(1, event("b1").Hash())
	if got := reason(restored.Cast(h.st, event("a1").Hash())); got != abaton.ReasonSlot {
		t.Errorf("after a restart: got %q, want %q", got, abaton.ReasonSlot)
	}
	lost := new(actor.Ballot)
	lost.Restore(9, actor.Hash{1})
	if got := reason(lost.Cast(h.st, event("a1").Hash())); got != abaton.ReasonSlot {
		t.Errorf("votes ahead of the log: got %q, want %q", got, abaton.ReasonSlot)
	}
	if got := fmt.Sprint(lost.At(9)); got == "" {
		t.Errorf("a restored vote is not there")
	}
}
