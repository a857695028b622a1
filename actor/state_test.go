package actor_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// TestNarrowingNeedsNoCertificate and widening does: RULINGS 17.
func TestNarrowingNeedsNoCertificate(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	given := l.granted(abaton.ActorID{7}, 1)
	a := w.authentic(l.event(given), byKey("ana"))
	l.take(a)
	if g, _ := l.st.Grant(grantID(given)); g != nil {
		t.Errorf("a grant without a certificate is given")
	}
	l.certify(a)
	if g, revoked := l.st.Grant(grantID(given)); g == nil || revoked {
		t.Fatalf("a certified grant is not given")
	}
	for _, b := range []struct {
		body  actor.Body
		holds func() bool
	}{
		{&actor.Revoke{Grant: grantID(given)}, func() bool { _, revoked := l.st.Grant(grantID(given)); return revoked }},
		{&actor.Bar{Actor: abaton.ActorID{9}}, func() bool { return l.st.Barred(abaton.ActorID{9}, w.now) }},
		{&actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{3}, Bits: 6}}}, func() bool { return l.st.Erased(abaton.BatchName{3}) == 6 }},
		{&actor.KeyRemove{ID: signing("ana write").ID()}, func() bool { return l.st.KeyRights(signing("ana write").ID()) == 0 }},
		{&actor.CredentialRemove{Name: cachedCredential("ana")}, func() bool { return l.st.CredentialClass(cachedCredential("ana")) == 0 }},
	} {
		if b.holds() {
			t.Errorf("%T: holds before it was said", b.body)
		}
		l.take(w.authentic(l.event(b.body), byKey("ana")))
		if !b.holds() {
			t.Errorf("%T: does not hold on receipt", b.body)
		}
	}
	l.take(w.authentic(l.event(&actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{3}, Bits: 9}}}), byKey("ana")))
	if got := l.st.Erased(abaton.BatchName{3}); got != 15 {
		t.Errorf("erased: got %b, want %b", got, 15)
	}
}

// TestRevokeBeforeGrant: a revocation that arrives first holds when its grant
// comes.
func TestRevokeBeforeGrant(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	base := l.st.Heads()[0]
	given := l.granted(abaton.ActorID{7}, 1)
	grantEvent := w.authentic(l.after(given, base), byKey("ana"))
	revoke := w.authentic(l.after(&actor.Revoke{Grant: grantID(given)}, base), byKey("ana write"))
	l.take(revoke)
	if err := l.st.Apply(grantEvent); err != nil {
		t.Fatal(err)
	}
	l.certify(grantEvent)
	if g, revoked := l.st.Grant(grantID(given)); g == nil || !revoked {
		t.Errorf("got given %t, revoked %t, want both", g != nil, revoked)
	}
	if d := grant.Decide(l.st.Facts(actor.Asker{Actor: abaton.ActorID{7}}, grantID(given), l.st.Lines()[0].Line, 0, w.now),
		grant.Access{Actor: abaton.ActorID{7}, Patient: l.st.Actor(), Action: grant.Read, Purpose: abaton.Treatment, Line: l.st.Lines()[0].Line}, w.now); d.Reason != abaton.ReasonRevoked {
		t.Errorf("decide: got %+v, want %q", d, abaton.ReasonRevoked)
	}
	again := w.authentic(l.event(given), byKey("ana"))
	if got := reason(l.st.Admit(again, w.door(), w.now)); got != abaton.ReasonRevoked {
		t.Errorf("the same grant again: got %q, want %q", got, abaton.ReasonRevoked)
	}
}

func TestAdmitBody(t *testing.T) {
	change := func(g *actor.Granted, edit func(*grant.Grant)) *actor.Granted {
		parsed, err := grant.Parse(g.Grant)
		if err != nil {
			t.Fatal(err)
		}
		edit(parsed)
		return &actor.Granted{Grant: parsed.Marshal()}
	}
	tests := []struct {
		name string
		make func(*log) actor.Body
		want abaton.Reason
	}{
		{"grant of another patient", func(l *log) actor.Body {
			return change(l.granted(abaton.ActorID{7}, 1), func(g *grant.Grant) { g.Patient = abaton.ActorID{8} })
		}, abaton.ReasonGrant},
		{"grant without a patient", func(l *log) actor.Body {
			return change(l.granted(abaton.ActorID{7}, 1), func(g *grant.Grant) { g.Patient = abaton.ActorID{} })
		}, abaton.ReasonGrant},
		{"grant over a line that is not announced", func(l *log) actor.Body {
			return change(l.granted(abaton.ActorID{7}, 1), func(g *grant.Grant) { g.Lines = []abaton.Line{{9}} })
		}, abaton.ReasonGrant},
		{"grant that has run out", func(l *log) actor.Body {
			return change(l.granted(abaton.ActorID{7}, 1), func(g *grant.Grant) { g.NotBefore -= 60; g.Expires = l.w.now.Unix() })
		}, abaton.ReasonExpired},
		{"the same grant in a second event", func(l *log) actor.Body {
			l.add(l.granted(abaton.ActorID{7}, 1), byKey("ana"))
			return l.granted(abaton.ActorID{7}, 1)
		}, abaton.ReasonReplay},
		{"epoch skipped", func(l *log) actor.Body { return l.epoch(3) }, abaton.ReasonEpoch},
		{"epoch again", func(l *log) actor.Body { return l.epoch(1) }, abaton.ReasonEpoch},
		{"level falls", func(l *log) actor.Body {
			e := l.epoch(2)
			e.Level = 3
			l.add(e, byKey("ana"))
			return l.epochAt(3, 2)
		}, abaton.ReasonEpoch},
		{"segment key used before", func(l *log) actor.Body {
			e := l.epoch(2)
			e.Segment = l.st.Lines()[0].Public
			return e
		}, abaton.ReasonEpoch},
		{"a new line at epoch 2", func(l *log) actor.Body {
			e := l.epoch(2)
			e.Line = abaton.Line{9}
			return e
		}, abaton.ReasonEpoch},
		{"a new line", func(l *log) actor.Body {
			e := l.epoch(1)
			e.Line, e.Segment = abaton.Line{9}, box("ninth").Public().Bytes()
			return e
		}, ""},
		{"key that was removed", func(l *log) actor.Body {
			l.add(&actor.KeyRemove{ID: signing("ana write").ID()}, byKey("ana"))
			return &actor.KeyAdd{Key: actor.Key{ID: signing("ana write").ID(), Rights: actor.Manage}}
		}, abaton.ReasonCredential},
		{"key that is there, with more rights", func(*log) actor.Body {
			return &actor.KeyAdd{Key: actor.Key{ID: signing("ana write").ID(), Rights: actor.Manage}}
		}, abaton.ReasonCredential},
		{"passkey that is there", func(*log) actor.Body {
			return &actor.CredentialAdd{Credential: actor.Credential{Public: cachedPublic("ana"), Class: actor.Synced}}
		}, abaton.ReasonCredential},
		{"removing a key that is not there", func(*log) actor.Body {
			return &actor.KeyRemove{ID: signing("stranger").ID()}
		}, abaton.ReasonCredential},
		{"removing the last key, a passkey left", func(*log) actor.Body { return &actor.KeyRemove{ID: signing("ana").ID()} }, ""},
		{"removing the last that may manage", func(l *log) actor.Body {
			l.add(&actor.CredentialRemove{Name: cachedCredential("ana")}, byKey("ana"))
			return &actor.KeyRemove{ID: signing("ana").ID()}
		}, abaton.ReasonCredential},
		{"removing the last passkey, no key left", func(l *log) actor.Body {
			l.add(&actor.KeyAdd{Key: actor.Key{ID: signing("second").ID(), Rights: actor.Manage}}, byKey("ana"))
			l.add(&actor.KeyRemove{ID: signing("second").ID()}, byKey("ana"))
			l.add(&actor.CredentialRemove{Name: cachedCredential("ana")}, byKey("ana"))
			return &actor.KeyRemove{ID: signing("ana").ID()}
		}, abaton.ReasonCredential},
		{"barring oneself", func(l *log) actor.Body { return &actor.Bar{Actor: l.st.Actor()} }, abaton.ReasonBarred},
	}
	for _, tt := range tests {
		w := newWorld(t)
		l := w.patient("ana")
		body := tt.make(l)
		if got := reason(admit(l, signed(l.event(body), byKey("ana")))); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func (l *log) epochAt(n uint32, level uint8) *actor.Epoch {
	e := l.epoch(n)
	e.Level = level
	return e
}

func TestBodyForms(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	rows := func(n int) (rows []actor.Row) {
		for i := range n {
			rows = append(rows, actor.Row{Batch: abaton.BatchName{1, byte(i)}, Bits: 1})
		}
		return rows
	}
	epoch := func(change func(*actor.Epoch)) actor.Body {
		e := l.epoch(2)
		change(e)
		return e
	}
	tests := []struct {
		name string
		body actor.Body
		want abaton.Reason
	}{
		{"erase nothing", &actor.Erase{}, abaton.ReasonMalformed},
		{"erase no bits", &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}}}}, abaton.ReasonMalformed},
		{"erase no batch", &actor.Erase{Rows: []actor.Row{{Bits: 1}}}, abaton.ReasonMalformed},
		{"erase a batch twice", &actor.Erase{Rows: append(rows(2), rows(1)...)}, abaton.ReasonMalformed},
		{"erase too many", &actor.Erase{Rows: rows(actor.EraseRowsMax + 1)}, abaton.ReasonTooLarge},
		{"revoke nothing", &actor.Revoke{}, abaton.ReasonMalformed},
		{"bar nobody", &actor.Bar{}, abaton.ReasonMalformed},
		{"remove no key", &actor.KeyRemove{}, abaton.ReasonMalformed},
		{"remove no passkey", &actor.CredentialRemove{}, abaton.ReasonMalformed},
		{"add no key", &actor.KeyAdd{Key: actor.Key{Rights: actor.Write}}, abaton.ReasonMalformed},
		{"add a key with unknown rights", &actor.KeyAdd{Key: actor.Key{ID: abaton.KeyID{1}, Rights: 32}}, abaton.ReasonMalformed},
		{"add a passkey without a class", &actor.CredentialAdd{Credential: actor.Credential{Public: cachedPublic("second")}}, abaton.ReasonMalformed},
		{"epoch 0", epoch(func(e *actor.Epoch) { e.Epoch = 0 }), abaton.ReasonMalformed},
		{"level 0", epoch(func(e *actor.Epoch) { e.Level = 0 }), abaton.ReasonMalformed},
		{"level 4", epoch(func(e *actor.Epoch) { e.Level = 4 }), abaton.ReasonMalformed},
		{"no line", epoch(func(e *actor.Epoch) { e.Line = abaton.Line{} }), abaton.ReasonMalformed},
		{"short segment key", epoch(func(e *actor.Epoch) { e.Segment = e.Segment[1:] }), abaton.ReasonMalformed},
		{"segment that is no key", epoch(func(e *actor.Epoch) { e.Segment = bad(e.Segment) }), abaton.ReasonMalformed},
		{"wrap to nobody", epoch(func(e *actor.Epoch) { e.Wraps = []actor.SeedWrap{{Sealed: make([]byte, 2000)}} }), abaton.ReasonMalformed},
		{"wrap too short", epoch(func(e *actor.Epoch) { e.Wraps = []actor.SeedWrap{{Grantee: abaton.ActorID{1}}} }), abaton.ReasonMalformed},
		{"wrap too long", epoch(func(e *actor.Epoch) {
			e.Wraps = []actor.SeedWrap{{Grantee: abaton.ActorID{1}, Sealed: make([]byte, actor.WrapBytesMax+1)}}
		}), abaton.ReasonTooLarge},
		{"too many wraps", epoch(func(e *actor.Epoch) { e.Wraps = make([]actor.SeedWrap, actor.WrapsMax+1) }), abaton.ReasonTooLarge},
		{"grant that is none", &actor.Granted{Grant: []byte{0xa0}}, abaton.ReasonMalformed},
		{"long wrap of a grant", &actor.Granted{Grant: l.granted(abaton.ActorID{7}, 1).Grant, Wrap: make([]byte, actor.WrapBytesMax+1)}, abaton.ReasonTooLarge},
		{"origins of nobody", &actor.Origins{}, abaton.ReasonMalformed},
		{"change of no keeper", &actor.SetChange{}, abaton.ReasonMalformed},
	}
	for _, tt := range tests {
		_, err := actor.Authenticate(signed(l.event(tt.body), byKey("ana")), party)
		if got := reason(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	long := actor.New(l.st.Actor(), 1, []actor.Hash{{1}}, 1, &actor.Granted{Grant: make([]byte, abaton.EventBytesMax)})
	if _, err := actor.Authenticate(signed(long, byKey("ana")), party); reason(err) != abaton.ReasonTooLarge {
		t.Errorf("event above the limit: got %v, want %q", err, abaton.ReasonTooLarge)
	}
}

func TestAcceptsLock(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	line := l.st.Lines()[0].Line
	ids := []abaton.SegmentID{{}, l.st.Lines()[0].ID}
	step := func(n uint32, urgent bool) {
		e := l.epoch(n)
		e.Urgent = urgent
		l.add(e, byKey("ana"))
		newest, _ := l.st.Newest(line)
		ids = append(ids, newest.ID)
	}
	check := func(when string, at time.Duration, want ...abaton.Reason) {
		t.Helper()
		for i, r := range want {
			if got := reason(l.st.AcceptsLock(line, ids[i+1], w.now.Add(at))); got != r {
				t.Errorf("%s: epoch %d: got %q, want %q", when, i+1, got, r)
			}
		}
	}
	check("one epoch", 0, "")
	step(2, false)
	check("two epochs", 0, "", "")
	check("just inside the grace", abaton.EpochGrace-time.Second, "", "")
	check("after the grace", abaton.EpochGrace, abaton.ReasonEpoch, "")
	step(3, false)
	check("three epochs", 0, abaton.ReasonEpoch, "", "")
	given := l.granted(abaton.ActorID{7}, 1)
	l.add(given, byKey("ana"))
	l.add(&actor.Revoke{Grant: grantID(given), Urgent: true}, byKey("ana"))
	check("after an urgent revocation", 0, abaton.ReasonEpoch, abaton.ReasonEpoch, "")
	step(4, true)
	check("an urgent epoch", 0, abaton.ReasonEpoch, abaton.ReasonEpoch, abaton.ReasonEpoch, "")
	step(5, false)
	check("the urgency is over", 0, abaton.ReasonEpoch, abaton.ReasonEpoch, abaton.ReasonEpoch, "", "")
	step(6, true)
	check("an urgent epoch without a revocation", 0, abaton.ReasonEpoch, abaton.ReasonEpoch, abaton.ReasonEpoch, abaton.ReasonEpoch, abaton.ReasonEpoch, "")
	if got := reason(l.st.AcceptsLock(abaton.Line{9}, ids[1], w.now)); got != abaton.ReasonWriter {
		t.Errorf("unknown line: got %q, want %q", got, abaton.ReasonWriter)
	}
	uncertified := w.authentic(l.event(l.epoch(7)), byKey("ana"))
	l.take(uncertified)
	if newest, _ := l.st.Newest(line); newest.Epoch != 6 {
		t.Errorf("an epoch without a certificate is the newest: got %d, want 6", newest.Epoch)
	}
}

func TestEpochWrap(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	reader := key.NewBox()
	segment := key.NewBox()
	e := l.epoch(2)
	e.Segment = segment.Public().Bytes()
	s := grant.Seed{Line: e.Line, Category: abaton.Category{1}, Level: 1, Epoch: 2, Seed: segment.Seed()}
	wrap, err := actor.WrapEpoch(abaton.ActorID{7}, reader.Public(), segment.Public(), s)
	if err != nil {
		t.Fatal(err)
	}
	liar := s
	liar.Seed = key.NewSecret()
	lie, err := actor.WrapEpoch(abaton.ActorID{8}, reader.Public(), segment.Public(), liar)
	if err != nil {
		t.Fatal(err)
	}
	e.Wraps = []actor.SeedWrap{wrap, lie}
	l.add(e, byKey("ana"))
	newest, _ := l.st.Newest(e.Line)
	got, err := actor.UnwrapEpoch(reader, newest, l.st.Wrap(e.Line, 2, abaton.ActorID{7}))
	if err != nil || got != s {
		t.Errorf("unwrap: the seed differs, or error %v", err)
	}
	if _, err := actor.UnwrapEpoch(reader, newest, l.st.Wrap(e.Line, 2, abaton.ActorID{8})); !errors.Is(err, key.ErrBox) {
		t.Errorf("a seed that is not the segment's: got %v, want %v", err, key.ErrBox)
	}
	if _, err := actor.UnwrapEpoch(key.NewBox(), newest, wrap.Sealed); !errors.Is(err, key.ErrBox) {
		t.Errorf("another key: got %v, want %v", err, key.ErrBox)
	}
	other := newest
	other.Epoch = 3
	if _, err := actor.UnwrapEpoch(reader, other, wrap.Sealed); !errors.Is(err, key.ErrBox) {
		t.Errorf("another epoch: got %v, want %v", err, key.ErrBox)
	}
	if l.st.Wrap(e.Line, 2, abaton.ActorID{9}) != nil || l.st.Wrap(e.Line, 9, abaton.ActorID{7}) != nil || l.st.Wrap(abaton.Line{9}, 2, abaton.ActorID{7}) != nil {
		t.Errorf("a wrap for nobody")
	}
	if l.st.Lines()[0].Opens(grant.Seed{}) {
		t.Errorf("the zero seed opens a segment")
	}
}

func TestOriginsNewestHolds(t *testing.T) {
	w := newWorld(t)
	if _, ok := w.org.st.RelyingParty(); ok {
		t.Errorf("an organisation has a relying party before it names one")
	}
	for _, id := range []string{"one.example", "two.example"} {
		a := w.authentic(w.org.event(&actor.Origins{RelyingParty: key.RelyingParty{ID: id, Origins: []string{"https://" + id}}}), byKey("org"))
		w.org.take(a)
		if rp, _ := w.org.st.RelyingParty(); rp.ID == id {
			t.Errorf("origins without a certificate hold")
		}
		w.org.certify(a)
		if rp, ok := w.org.st.RelyingParty(); !ok || rp.ID != id {
			t.Errorf("got %q, want %q", rp.ID, id)
		}
	}
}

func TestReopenTrustsButReadsStrictly(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	event := l.event(&actor.Bar{Actor: abaton.ActorID{1}})
	se := actor.Signed(event, actor.Proof{Tag: 1, Body: proofBody(signing("ana").ID())})
	if _, err := actor.Authenticate(se, party); reason(err) != abaton.ReasonSignature {
		t.Errorf("authenticate: got %v, want %q", err, abaton.ReasonSignature)
	}
	a, err := actor.Reopen(se)
	if err != nil || !a.ProvedBy(signing("ana").ID()) || a.ProvedBy(signing("second").ID()) {
		t.Errorf("reopen: got %v", err)
	}
	se.Event = append(bytes.Clone(event), 0)
	if _, err := actor.Reopen(se); reason(err) != abaton.ReasonMalformed {
		t.Errorf("reopen of a changed form: got %v, want %q", err, abaton.ReasonMalformed)
	}
}

func proofBody(id abaton.KeyID) []byte {
	return wire.Marshal(struct {
		Key abaton.KeyID `cbor:"1,keyasint"`
		Sig []byte       `cbor:"2,keyasint"`
	}{id, []byte("not looked at")})
}

func TestZeroState(t *testing.T) {
	var s actor.State
	if s.Live() || s.Kind() != 0 || s.KeyRights(abaton.KeyID{}) != 0 || s.CredentialClass(key.Credential{}) != 0 ||
		len(s.Lines()) != 0 || s.Set() != nil || s.Facts(actor.Asker{}, abaton.GrantID{}, abaton.Line{}, 0, epochStart).Owner {
		t.Errorf("the zero State gives something")
	}
	if got := reason(s.Certify(actor.Certified{})); got != abaton.ReasonActor {
		t.Errorf("certify: got %q, want %q", got, abaton.ReasonActor)
	}
	if got := reason(s.AcceptsLock(abaton.Line{}, abaton.SegmentID{}, epochStart)); got != abaton.ReasonWriter {
		t.Errorf("accepts lock: got %q, want %q", got, abaton.ReasonWriter)
	}
}

func BenchmarkApply(b *testing.B) {
	w := newWorld(b)
	l := w.patient("ana")
	var i uint64
	for b.Loop() {
		i++
		heads := l.st.Heads()
		body := &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{byte(i), byte(i >> 8), byte(i >> 16)}, Bits: 1}}}
		event := actor.New(l.st.Actor(), heads[0].Seq+1, []actor.Hash{heads[0].Hash}, w.now.Unix(), body)
		a, err := actor.Reopen(actor.Signed(event, actor.Proof{Tag: 1, Body: proofBody(signing("ana").ID())}))
		if err != nil {
			b.Fatal(err)
		}
		if err := l.st.Admit(a, actor.Door{}, w.now); err != nil {
			b.Fatal(err)
		}
		if err := l.st.Apply(a); err != nil {
			b.Fatal(err)
		}
		if err := l.st.Certify(actor.NewCertificate(placeOf(a), nil).Reopen()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestGiven(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	given := l.granted(abaton.ActorID{7}, 1)
	if _, ok := l.st.Given(grantID(given)); ok {
		t.Errorf("a grant nobody gave is there")
	}
	l.add(given, byKey("ana"))
	l.add(&actor.Revoke{Grant: grantID(given)}, byKey("ana"))
	got, ok := l.st.Given(grantID(given))
	if !ok || !bytes.Equal(got.Grant, given.Grant) || !bytes.Equal(got.Wrap, given.Wrap) {
		t.Errorf("the grant's bytes and wrap are not those of its event")
	}
	l.take(w.authentic(l.event(&actor.Revoke{Grant: abaton.GrantID{3}}), byKey("ana")))
	if _, ok := l.st.Given(abaton.GrantID{3}); ok {
		t.Errorf("a revocation gives a grant")
	}
}
