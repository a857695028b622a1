package actor_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// stolen is the case the rules are made for: a thief with the manage key adds
// a key of his own in the same slot in which the owner removes the stolen
// one.
type stolen struct {
	*log
	first         *actor.Authentic
	base          actor.Place
	remove, theft *actor.Authentic
	merge         *actor.Authentic
}

// gift is a grant and its revocation in one slot.
type gift struct{ giving, revoke *actor.Authentic }

func (s *stolen) ownGift(t testing.TB) gift {
	t.Helper()
	given := s.granted(abaton.ActorID{7}, 1)
	return gift{
		giving: s.w.authentic(s.after(given, s.base), byKey("ana")),
		revoke: s.w.authentic(s.after(&actor.Revoke{Grant: grantID(given)}, s.base), byKey("ana write")),
	}
}

func newStolen(t testing.TB) *stolen {
	w := newWorld(t)
	first := w.authentic(actor.NewInception(w.now.Unix(), w.inception(actor.Patient, "ana")), byKey("ana"))
	s := &stolen{log: &log{w: w, st: new(actor.State)}, first: first}
	s.take(first)
	s.certify(first)
	s.base = s.st.Heads()[0]
	s.remove = w.authentic(s.after(&actor.KeyRemove{ID: signing("ana").ID()}, s.base), byPasskey(t, "ana"))
	s.theft = w.authentic(s.after(&actor.KeyAdd{Key: actor.Key{ID: signing("thief").ID(), Rights: actor.Manage}}, s.base), byKey("ana"))
	s.merge = w.authentic(s.after(&actor.Merge{}, placeOf(s.remove), placeOf(s.theft)), byPasskey(t, "ana"))
	return s
}

func TestRemovedKeyIsDeadAtOnce(t *testing.T) {
	s := newStolen(t)
	s.take(s.remove)
	if got := reason(s.st.Admit(s.theft, s.w.door(), s.w.now)); got != abaton.ReasonSlot {
		t.Errorf("the theft in a taken slot: got %q, want %q", got, abaton.ReasonSlot)
	}
	erase := &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}}}
	if got := reason(admit(s.log, signed(s.after(erase, s.base), byKey("ana")))); got != abaton.ReasonCredential {
		t.Errorf("the removed key erases from an old head: got %q, want %q", got, abaton.ReasonCredential)
	}
}

// TestMergeDenyWins: whatever the order of arrival, after the merge the
// stolen key is dead and the thief's key gives nothing.
func TestMergeDenyWins(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		s := newStolen(t)
		branch := []*actor.Authentic{s.remove, s.theft}
		for _, i := range order {
			if err := s.st.Apply(branch[i]); err != nil {
				t.Fatal(err)
			}
		}
		if s.st.KeyRights(signing("ana").ID()) != 0 {
			t.Errorf("order %v: the removed key is live before the merge", order)
		}
		s.take(s.merge)
		s.certify(s.merge)
		if s.st.KeyRights(signing("thief").ID()) != 0 {
			t.Errorf("order %v: the thief's key is live after the merge", order)
		}
		if s.st.KeyRights(signing("ana").ID()) != 0 {
			t.Errorf("order %v: the removed key is live after the merge", order)
		}
		steal := &actor.KeyAdd{Key: actor.Key{ID: signing("second").ID(), Rights: actor.Manage}}
		if got := reason(admit(s.log, signed(s.event(steal), byKey("thief")))); got != abaton.ReasonCredential {
			t.Errorf("order %v: the thief goes on: got %q, want %q", order, got, abaton.ReasonCredential)
		}
		if got := reason(admit(s.log, signed(s.event(steal), byPasskey(t, "ana")))); got != "" {
			t.Errorf("order %v: the owner cannot go on: %q", order, got)
		}
	}
}

// TestCertifiedTheftStands: what four keepers certified before they heard of
// the removal counts; the owner then removes it.
func TestCertifiedTheftStands(t *testing.T) {
	s := newStolen(t)
	for _, a := range []*actor.Authentic{s.remove, s.theft} {
		if err := s.st.Apply(a); err != nil {
			t.Fatal(err)
		}
	}
	s.certify(s.theft)
	s.take(s.merge)
	s.certify(s.merge)
	if s.st.KeyRights(signing("thief").ID()) != actor.Manage {
		t.Fatalf("a certified event does not count")
	}
	if s.st.KeyRights(signing("ana").ID()) != 0 {
		t.Errorf("the removal on the other branch does not hold")
	}
	s.add(&actor.KeyRemove{ID: signing("thief").ID()}, byPasskey(t, "ana"))
	if s.st.KeyRights(signing("thief").ID()) != 0 {
		t.Errorf("the owner cannot remove the thief's key")
	}
}

// TestTakeBranch: a keeper that met neither end of a split has nobody known here
// to vouch, and follows the certificate of the merge that closed it.
func TestTakeBranch(t *testing.T) {
	s := newStolen(t)
	ends := []*actor.Authentic{s.remove, s.theft}
	if got := reason(s.st.AdmitBranch(ends, s.merge, s.w.now)); got != abaton.ReasonCredential {
		t.Errorf("nobody known here vouches: got %q, want %q", got, abaton.ReasonCredential)
	}
	if err := s.st.TakeBranch(ends, s.merge, s.w.now); err != nil {
		t.Fatalf("take branch: %v", err)
	}
	s.take(s.merge)
	s.certify(s.merge)
	if s.st.KeyRights(signing("thief").ID()) != 0 {
		t.Errorf("the taken branch gives the thief a key")
	}
}

// TestAdmitBranch: a keeper that refused the theft can still follow the merge
// that names it.
func TestAdmitBranch(t *testing.T) {
	s := newStolen(t)
	s.take(s.remove)
	if got := reason(s.st.Admit(s.merge, s.w.door(), s.w.now)); got != abaton.ReasonParent {
		t.Fatalf("merge before its parents: got %q, want %q", got, abaton.ReasonParent)
	}
	byThief := s.w.authentic(s.after(&actor.Merge{}, placeOf(s.remove), placeOf(s.theft)), byKey("ana"))
	if got := reason(s.st.AdmitBranch([]*actor.Authentic{s.theft}, byThief, s.w.now)); got != abaton.ReasonCredential {
		t.Errorf("the removed key vouches: got %q, want %q", got, abaton.ReasonCredential)
	}
	unnamed := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{3}}, s.base), byKey("ana"))
	if got := reason(s.st.AdmitBranch([]*actor.Authentic{unnamed}, s.merge, s.w.now)); got != abaton.ReasonParent {
		t.Errorf("an event the merge does not name: got %q, want %q", got, abaton.ReasonParent)
	}
	if err := s.st.AdmitBranch([]*actor.Authentic{s.theft}, s.merge, s.w.now); err != nil {
		t.Fatalf("vouched branch: %v", err)
	}
	var ballot actor.Ballot
	if got := reason(ballot.Cast(s.st, s.theft.Hash())); got != abaton.ReasonCredential {
		t.Errorf("vote for a vouched event: got %q, want %q", got, abaton.ReasonCredential)
	}
	s.take(s.merge)
	s.certify(s.merge)
	if s.st.KeyRights(signing("thief").ID()) != 0 {
		t.Errorf("a vouched event gives the thief a key")
	}
	stranger := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{4}}, s.base), byKey("stranger"))
	named := s.w.authentic(s.after(&actor.Merge{}, placeOf(s.merge), placeOf(stranger)), byPasskey(t, "ana"))
	if got := reason(s.st.AdmitBranch([]*actor.Authentic{stranger}, named, s.w.now)); got != abaton.ReasonCredential {
		t.Errorf("a stranger's event, vouched: got %q, want %q", got, abaton.ReasonCredential)
	}
}

func TestMergeForm(t *testing.T) {
	s := newStolen(t)
	if err := s.st.Apply(s.remove); err != nil {
		t.Fatal(err)
	}
	child := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{1}}, placeOf(s.remove)), byPasskey(t, "ana"))
	if err := s.st.Apply(child); err != nil {
		t.Fatal(err)
	}
	contained := s.after(&actor.Merge{}, placeOf(s.remove), placeOf(child))
	if got := reason(admit(s.log, signed(contained, byPasskey(t, "ana")))); got != abaton.ReasonParent {
		t.Errorf("a merge of an event with its own child: got %q, want %q", got, abaton.ReasonParent)
	}
	one := edit(s.after(&actor.Merge{}, placeOf(child)), func(*actor.Event) {})
	if _, err := actor.Authenticate(signed(one, byPasskey(t, "ana")), party); reason(err) != abaton.ReasonMalformed {
		t.Errorf("a merge of one: got %v", err)
	}
	twisted := edit(s.after(&actor.Merge{}, placeOf(s.remove), placeOf(s.theft)), func(e *actor.Event) { slices.Reverse(e.Prev) })
	if _, err := actor.Authenticate(signed(twisted, byPasskey(t, "ana")), party); reason(err) != abaton.ReasonMalformed {
		t.Errorf("parents out of order: got %v", err)
	}
	grantOfTwo := edit(s.after(&actor.Bar{Actor: abaton.ActorID{1}}, placeOf(s.remove), placeOf(s.theft)), func(*actor.Event) {})
	if _, err := actor.Authenticate(signed(grantOfTwo, byPasskey(t, "ana")), party); reason(err) != abaton.ReasonMalformed {
		t.Errorf("two parents without a merge: got %v", err)
	}
}

// TestContradictingCertificates: the second is refused, the state stays.
func TestContradictingCertificates(t *testing.T) {
	s := newStolen(t)
	for _, a := range []*actor.Authentic{s.remove, s.theft} {
		if err := s.st.Apply(a); err != nil {
			t.Fatal(err)
		}
	}
	wrong := placeOf(s.remove)
	wrong.Seq = 9
	if got := reason(s.st.Certify(certified(wrong))); got != abaton.ReasonCertificate {
		t.Errorf("certificate that names another place: got %q, want %q", got, abaton.ReasonCertificate)
	}
	s.certify(s.remove)
	if got := reason(s.st.Certify(certified(placeOf(s.theft)))); got != abaton.ReasonCertificate {
		t.Errorf("second certificate in one slot: got %q, want %q", got, abaton.ReasonCertificate)
	}
	if got := reason(s.st.Certify(certified(actor.Place{Actor: s.st.Actor(), Seq: 2, Hash: actor.Hash{1}}))); got != abaton.ReasonParent {
		t.Errorf("certificate for an unknown event: got %q, want %q", got, abaton.ReasonParent)
	}
}

// TestRivalEpochs: two epochs with one number, merged: the certified one is
// the newest wherever the certificate is known, and else both copies choose
// the same.
func TestRivalEpochs(t *testing.T) {
	for _, certifyFirst := range []bool{false, true} {
		w := newWorld(t)
		l := w.patient("ana")
		base := l.st.Heads()[0]
		rival := l.epoch(2)
		rival.Segment = box("rival").Public().Bytes()
		a := w.authentic(l.after(l.epoch(2), base), byKey("ana"))
		b := w.authentic(l.after(rival, base), byKey("ana"))
		merge := w.authentic(l.after(&actor.Merge{}, placeOf(a), placeOf(b)), byKey("ana"))
		var chosen []abaton.SegmentID
		for _, order := range [][]*actor.Authentic{{a, b}, {b, a}} {
			copy := w.copyOf(l, base)
			for _, e := range append(order, merge) {
				if err := copy.st.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
			copy.certify(merge)
			if certifyFirst {
				copy.certify(b)
			}
			newest, _ := copy.st.Newest(rival.Line)
			if newest.Epoch != 2 {
				t.Errorf("what a certified merge covers does not count: got epoch %d, want 2", newest.Epoch)
			}
			chosen = append(chosen, newest.ID)
			if certifyFirst && !slices.Equal(newest.Public, rival.Segment) {
				t.Errorf("the certified epoch is not the newest")
			}
		}
		if chosen[0] != chosen[1] {
			t.Errorf("two copies with the same events choose two segments")
		}
	}
}

// TestCertifiedBeforeEarlier: a covered event in an earlier place does not
// displace a certified one.
func TestCertifiedBeforeEarlier(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	base := l.st.Heads()[0]
	rival := l.epoch(2)
	rival.Segment = box("rival").Public().Bytes()
	covered := w.authentic(l.after(rival, base), byKey("ana"))
	first := w.authentic(l.after(&actor.Bar{Actor: abaton.ActorID{1}}, base), byKey("ana"))
	second := w.authentic(l.after(l.epoch(2), placeOf(first)), byKey("ana"))
	for _, a := range []*actor.Authentic{covered, first} {
		if err := l.st.Apply(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.st.Apply(second); err != nil {
		t.Fatal(err)
	}
	l.certify(second)
	want, _ := l.st.Newest(rival.Line)
	merge := w.authentic(l.after(&actor.Merge{}, placeOf(covered), placeOf(second)), byKey("ana"))
	l.take(merge)
	l.certify(merge)
	if got, _ := l.st.Newest(rival.Line); got.ID != want.ID || got.Epoch != 2 {
		t.Errorf("after the merge another segment is the newest")
	}
}

// TestKeyOfAnotherBranch: a key speaks only after the event that added it.
func TestKeyOfAnotherBranch(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	base := l.st.Heads()[0]
	added := w.authentic(l.after(&actor.KeyAdd{Key: actor.Key{ID: signing("phone").ID(), Rights: actor.Manage}}, base), byKey("ana"))
	l.take(added)
	l.certify(added)
	bar := &actor.Bar{Actor: abaton.ActorID{1}}
	if got := reason(admit(l, signed(l.after(bar, base), byKey("phone")))); got != abaton.ReasonCredential {
		t.Errorf("before it was added: got %q, want %q", got, abaton.ReasonCredential)
	}
	if got := reason(admit(l, signed(l.after(bar, placeOf(added)), byKey("phone")))); got != "" {
		t.Errorf("after it was added: got %q, want admitted", got)
	}
}

// copyOf is another keeper's copy of the log's first event.
func (w *world) copyOf(l *log, inception actor.Place) *log {
	w.t.Helper()
	c := &log{w: w, st: new(actor.State)}
	if err := c.st.Join(l.st); err != nil {
		w.t.Fatal(err)
	}
	if p, ok := c.st.Certified(); !ok || p != inception {
		w.t.Fatalf("a copy by Join has another head")
	}
	return c
}

// history is a random life of one log: events on random branches, merges,
// certificates of one chain.
func history(w *world, l *log, r *rand.Rand) (events []*actor.Authentic, certs []actor.Certified) {
	all := &log{w: w, st: new(actor.State)}
	if err := all.st.Join(l.st); err != nil {
		w.t.Fatal(err)
	}
	chain := l.st.Heads()[0]
	for i := range 12 {
		parents := []actor.Place{chain}
		if heads := all.st.Heads(); r.IntN(2) == 0 {
			parents = []actor.Place{heads[r.IntN(len(heads))]}
		}
		var body actor.Body
		switch r.IntN(8) {
		case 0:
			body = &actor.Revoke{Grant: abaton.GrantID{byte(r.IntN(4))}}
		case 1:
			body = &actor.KeyRemove{ID: signing([]string{"ana", "phone", "ana write", "second"}[r.IntN(4)]).ID()}
		case 2:
			body = &actor.KeyAdd{Key: actor.Key{ID: signing([]string{"phone", "second", "thief"}[r.IntN(3)]).ID(), Rights: actor.Rights(1 + r.IntN(3))}}
		case 3:
			body = all.epoch(uint32(2 + r.IntN(2)))
		case 4:
			body = &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{byte(r.IntN(4))}, Bits: 1 << r.IntN(8)}}}
		case 5:
			body = all.granted(abaton.ActorID{7}, byte(1+i))
		default:
			body = &actor.Merge{}
			parents = all.st.Heads()
			if len(parents) < 2 {
				continue
			}
		}
		name := []string{"ana", "phone", "second"}[r.IntN(3)]
		event := all.after(body, parents...)
		se := actor.Signed(event, actor.Proof{Tag: 1, Body: proofBody(signing(name).ID())})
		if also := added(event); also != "" && also != name {
			se.Proofs = append(se.Proofs, actor.Proof{Tag: 1, Body: proofBody(signing(also).ID())})
		}
		a, err := actor.Reopen(se)
		if err != nil || all.st.Apply(a) != nil {
			continue
		}
		events = append(events, a)
		if c := certified(placeOf(a)); r.IntN(3) == 0 && all.st.Certify(c) == nil {
			certs = append(certs, c)
			chain = placeOf(a)
		}
	}
	return events, certs
}

// TestMergeLaws: a log copy is a function of the set of events and
// certificates it was given. Order, doubles and grouping do not matter.
func TestMergeLaws(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	forked := 0
	for round := range uint64(120) {
		r := rand.New(rand.NewPCG(round, 1))
		events, certs := history(w, l, r)
		one, two, three := w.partial(l, events, certs, r), w.partial(l, events, certs, r), w.partial(l, events, certs, r)
		ab, ba := joined(t, one, two), joined(t, two, one)
		if summary(ab) != summary(ba) {
			t.Fatalf("round %d: not commutative", round)
		}
		if summary(joined(t, ab, three)) != summary(joined(t, one, joined(t, two, three))) {
			t.Fatalf("round %d: not associative", round)
		}
		if summary(joined(t, ab, ab)) != summary(ab) || summary(joined(t, ab, one)) != summary(ab) {
			t.Fatalf("round %d: not idempotent", round)
		}
		if len(ab.Heads()) > 1 {
			forked++
		}
	}
	if forked == 0 {
		t.Errorf("no history was split: the test tells nothing")
	}
}

// partial is a copy that heard of a random part of the history, in a random
// order, some of it twice.
func (w *world) partial(l *log, events []*actor.Authentic, certs []actor.Certified, r *rand.Rand) *actor.State {
	s := new(actor.State)
	if err := s.Join(l.st); err != nil {
		w.t.Fatal(err)
	}
	for range 3 {
		for _, i := range r.Perm(len(events)) {
			if r.IntN(3) > 0 {
				_ = s.Apply(events[i]) // refused while its parents are not known
			}
		}
		for _, i := range r.Perm(len(certs)) {
			if r.IntN(2) > 0 {
				_ = s.Certify(certs[i]) // refused while its event is not known
			}
		}
	}
	return s
}

func joined(t testing.TB, a, b *actor.State) *actor.State {
	t.Helper()
	s := new(actor.State)
	for _, from := range []*actor.State{a, b} {
		if err := s.Join(from); err != nil {
			t.Fatalf("join: %v", err)
		}
	}
	return s
}
