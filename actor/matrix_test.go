package actor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// sample is one valid event of each kind, on a log that is ready for it.
type sample struct {
	kind  actor.EventKind
	owner actor.Kind
	make  func(*log) actor.Body
}

var samples = []sample{
	{actor.EventKeyAdd, actor.Patient, func(*log) actor.Body {
		return &actor.KeyAdd{Key: actor.Key{ID: signing("new key").ID(), Rights: actor.Write}}
	}},
	{actor.EventKeyRemove, actor.Patient, func(l *log) actor.Body { return &actor.KeyRemove{ID: signing("ana write").ID()} }},
	{actor.EventCredentialAdd, actor.Patient, func(l *log) actor.Body {
		return &actor.CredentialAdd{Credential: actor.Credential{Public: passkey(l.w.t, "new passkey").Public(), Class: actor.Synced}}
	}},
	{actor.EventCredentialRemove, actor.Patient, func(l *log) actor.Body {
		return &actor.CredentialRemove{Name: passkey(l.w.t, "ana").Credential()}
	}},
	{actor.EventEpoch, actor.Patient, func(l *log) actor.Body { return l.epoch(2) }},
	{actor.EventGrant, actor.Patient, func(l *log) actor.Body { return l.granted(abaton.ActorID{7}, 1) }},
	{actor.EventRevoke, actor.Patient, func(l *log) actor.Body { return &actor.Revoke{Grant: abaton.GrantID{7}} }},
	{actor.EventBar, actor.Patient, func(l *log) actor.Body { return &actor.Bar{Actor: abaton.ActorID{9}} }},
	{actor.EventErase, actor.Patient, func(l *log) actor.Body {
		return &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{4}, Bits: 5}}}
	}},
	{actor.EventMerge, actor.Patient, func(*log) actor.Body { return &actor.Merge{} }},
	{actor.EventPolicy, actor.Organisation, func(l *log) actor.Body { return l.policy(1) }},
	{actor.EventWatch, actor.Organisation, func(*log) actor.Body { return &actor.Watch{Version: 1, Thresholds: []byte{0xa0}} }},
	{actor.EventLift, actor.Organisation, func(*log) actor.Body {
		return &actor.Lift{Verdicts: [][32]byte{{7}}, Why: actor.Mistaken}
	}},
	{actor.EventEscrow, actor.Patient, func(*log) actor.Body { return sampleKit("sample", signing("sample kit")) }},
	{actor.EventVeto, actor.Patient, func(*log) actor.Body { return &actor.Veto{Recover: actor.Hash{7}} }},
	{actor.EventOrigins, actor.Organisation, func(*log) actor.Body {
		return &actor.Origins{RelyingParty: key.RelyingParty{ID: "clinic.example", Origins: []string{"https://clinic.example"}}}
	}},
	{actor.EventMember, actor.Organisation, func(l *log) actor.Body { return l.member(abaton.ActorID{7}, abaton.RolePhysician) }},
	{actor.EventTeam, actor.Organisation, func(l *log) actor.Body { return l.team(1, 1, abaton.ActorID{7}) }},
	{actor.EventDuty, actor.Clinician, func(l *log) actor.Body { return l.duty(abaton.ActorID{7}, abaton.ActorID{8}) }},
	{actor.EventRegistrar, actor.Patient, func(*log) actor.Body {
		return &actor.Registrar{Registrar: abaton.ActorID{7}, May: actor.SaysNarrow | actor.SaysDeath, With: []abaton.ActorID{{8}}}
	}},
	{actor.EventOnward, actor.Clinician, func(l *log) actor.Body { return l.onward(abaton.ActorID{7}, 1) }},
	{actor.EventStop, actor.Device, func(*log) actor.Body { return new(actor.Stop) }},
}

// ready is a log on which the sample's event is admitted, and its bytes.
func (s sample) ready(t *testing.T) (*log, []byte, string) {
	t.Helper()
	w := newWorld(t)
	l, name := w.org, "org"
	if s.kind == actor.EventPolicy || s.kind == actor.EventWatch {
		l.add(l.member(officer, abaton.RoleSecurityOfficer), byKey(name))
	}
	if s.owner != actor.Organisation {
		name = "ana"
		l = w.begin(w.inception(s.owner, name), byKey(name))
		l.certifyAll()
	}
	if s.kind != actor.EventMerge {
		return l, l.event(s.make(l)), name
	}
	base := l.st.Heads()[0]
	for i := byte(1); i <= 2; i++ {
		l.take(w.authentic(l.after(&actor.Bar{Actor: abaton.ActorID{i}}, base), byKey(name)))
	}
	return l, l.after(&actor.Merge{}, l.st.Heads()...), name
}

func TestEveryKindIsSampled(t *testing.T) {
	seen := map[actor.EventKind]bool{actor.EventInception: true, actor.EventSetChange: true, actor.EventRecover: true, actor.EventFinding: true} // have tests of their own
	for _, s := range samples {
		seen[s.kind] = true
		if got := s.make; got == nil {
			t.Errorf("kind %d has no sample", s.kind)
		}
	}
	for k := actor.EventKind(1); k < 64; k++ {
		if k.Valid() && !seen[k] {
			t.Errorf("event kind %d is in no test", k)
		}
	}
}

// TestEveryKindEveryDefect: what is right is admitted; each single defect is
// refused with its own reason, and leaves the log as it was.
func TestEveryKindEveryDefect(t *testing.T) {
	for _, s := range samples {
		l, event, name := s.ready(t)
		if err := l.st.Admit(l.w.authentic(event, byKey(name)), l.w.door(), l.w.now); err != nil {
			t.Fatalf("kind %d: valid event: got %v, want admitted", s.kind, err)
		}
		for _, d := range eventDefects {
			l, event, name := s.ready(t)
			before := summary(l.st)
			if got, want := reason(d.try(l, event, name)), d.want(s.kind); got != want {
				t.Errorf("kind %d, %s: got %q, want %q", s.kind, d.name, got, want)
			}
			if d.untouched && summary(l.st) != before {
				t.Errorf("kind %d, %s: a refused event changed the log", s.kind, d.name)
			}
		}
	}
}

func always(r abaton.Reason) func(actor.EventKind) abaton.Reason {
	return func(actor.EventKind) abaton.Reason { return r }
}

type eventDefect struct {
	name      string
	want      func(actor.EventKind) abaton.Reason
	untouched bool
	try       func(l *log, event []byte, name string) error
}

var eventDefects = []eventDefect{
	{"no proof", always(abaton.ReasonSignature), true, func(l *log, event []byte, _ string) error {
		return admit(l, actor.Signed(event))
	}},
	{"forged signature", always(abaton.ReasonSignature), true, func(l *log, event []byte, name string) error {
		se := signed(event, byKey(name))
		se.Proofs[0].Body[len(se.Proofs[0].Body)-1] ^= 1
		return admit(l, se)
	}},
	{"forged assertion", always(abaton.ReasonSignature), true, func(l *log, event []byte, name string) error {
		return admit(l, actor.Signed(event, byPasskey(l.w.t, name)([]byte("another event"))))
	}},
	{"proof of another event", always(abaton.ReasonSignature), true, func(l *log, event []byte, name string) error {
		return admit(l, actor.Signed(event, byKey(name)([]byte("another event"))))
	}},
	{"one good and one forged proof", always(abaton.ReasonSignature), true, func(l *log, event []byte, name string) error {
		return admit(l, actor.Signed(event, byKey(name)(event), byKey("stranger")([]byte("another event"))))
	}},
	{"trailing byte", always(abaton.ReasonMalformed), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(append(event[:len(event):len(event)], 0), byKey(name)))
	}},
	{"unknown body", always(abaton.ReasonMalformed), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Body = []byte{0xa1, 0x18, 0x63, 0x01} }), byKey(name)))
	}},
	{"unknown kind", always(abaton.ReasonMalformed), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Kind = 99 }), byKey(name)))
	}},
	{"unknown version", always(abaton.ReasonMalformed), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.V = 2 }), byKey(name)))
	}},
	{"no parent", always(abaton.ReasonMalformed), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Prev = nil }), byKey(name)))
	}},
	{"from the future", always(abaton.ReasonTime), true, func(l *log, event []byte, name string) error {
		late := l.w.now.Add(abaton.ClockSkewMax + time.Second).Unix()
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Time = late }), byKey(name)))
	}},
	{"older than its parent", always(abaton.ReasonTime), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Time-- }), byKey(name)))
	}},
	{"parent unknown", always(abaton.ReasonParent), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Prev[len(e.Prev)-1] = actor.Hash{0xff, 0xff} }), byKey(name)))
	}},
	{"wrong place", always(abaton.ReasonParent), true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Seq++ }), byKey(name)))
	}},
	{"another actor's log", func(k actor.EventKind) abaton.Reason {
		if k == actor.EventTeam {
			return abaton.ReasonMalformed // a team's name is its organisation's
		}
		return abaton.ReasonActor
	}, true, func(l *log, event []byte, name string) error {
		return admit(l, signed(edit(event, func(e *actor.Event) { e.Actor[0] ^= 1 }), byKey(name)))
	}},
	{"unknown actor", always(abaton.ReasonActor), true, func(l *log, event []byte, name string) error {
		empty := &log{w: l.w, st: new(actor.State)}
		return admit(empty, signed(event, byKey(name)))
	}},
	{"a stranger's key", always(abaton.ReasonCredential), true, func(l *log, event []byte, _ string) error {
		return admit(l, signed(event, byKey("stranger")))
	}},
	{"a stranger's passkey", always(abaton.ReasonCredential), true, func(l *log, event []byte, _ string) error {
		return admit(l, signed(event, byPasskey(l.w.t, "stranger")))
	}},
	{"a key without the right", func(k actor.EventKind) abaton.Reason {
		if k == actor.EventRevoke || k == actor.EventStop || k == actor.EventVeto {
			return "" // any live key may
		}
		return abaton.ReasonCredential
	}, true, func(l *log, event []byte, name string) error {
		return admit(l, signed(event, byKey(name+" write")))
	}},
	{"a removed key", always(abaton.ReasonCredential), false, func(l *log, event []byte, name string) error {
		l.add(&actor.KeyAdd{Key: actor.Key{ID: signing("second").ID(), Rights: actor.Manage}}, byKey(name))
		l.add(&actor.KeyRemove{ID: signing(name).ID()}, byKey("second"))
		moved := edit(event, func(e *actor.Event) { continueAt(l, e) })
		return admit(l, signed(moved, byKey(name)))
	}},
	{"slot taken", func(k actor.EventKind) abaton.Reason {
		if actor.Narrows(k) {
			return "" // what narrows holds on any branch
		}
		return abaton.ReasonSlot
	}, false, func(l *log, event []byte, name string) error {
		rival := edit(event, func(e *actor.Event) {
			added := &actor.KeyAdd{Key: actor.Key{ID: signing("phone").ID(), Rights: actor.Write}}
			e.Prev, e.Kind, e.Body = e.Prev[:1], actor.EventKeyAdd, wire.Marshal(added)
			if len(l.st.Heads()) > 1 { // a merge stands above what it names
				e.Prev, e.Kind, e.Body = e.Prev[:1], actor.EventBar, wire.Marshal(&actor.Bar{Actor: abaton.ActorID{77}})
			}
		})
		if err := admit(l, signed(rival, byKey(name))); err != nil {
			return err
		}
		if err := l.st.Apply(l.w.authentic(rival, byKey(name))); err != nil {
			return err
		}
		return admit(l, signed(event, byKey(name)))
	}},
	{"replayed", always(""), false, func(l *log, event []byte, name string) error {
		a := l.w.authentic(event, byKey(name))
		l.take(a)
		l.certify(a)
		once := summary(l.st)
		l.take(a)
		l.certify(a)
		if summary(l.st) != once {
			l.w.t.Errorf("kind %d: applied twice, it has a second effect", a.Kind())
		}
		return nil
	}},
}

func admit(l *log, se actor.SignedEvent) error {
	a, err := actor.Authenticate(se, party)
	if err != nil {
		return err
	}
	return l.st.Admit(a, l.w.door(), l.w.now)
}

func edit(event []byte, change func(*actor.Event)) []byte {
	var e actor.Event
	if err := wire.Unmarshal(event, &e); err != nil {
		panic("a sample event is well formed")
	}
	change(&e)
	return wire.Marshal(e)
}

// continueAt moves an event to the end of the log; a merge keeps naming as
// many parents, of which only the last is there.
func continueAt(l *log, e *actor.Event) {
	heads := l.st.Heads()
	head := heads[len(heads)-1]
	if len(e.Prev) == 1 {
		e.Seq, e.Prev = head.Seq+1, []actor.Hash{head.Hash}
		return
	}
	var places []actor.Place
	places = append(places, heads...)
	e.Seq, e.Prev = 0, nil
	var moved actor.Event
	if err := wire.Unmarshal(l.after(&actor.Merge{}, places...), &moved); err != nil {
		panic("a sample event is well formed")
	}
	*e = moved
}

// TestWrongKindOfActor: what the table does not name, nobody may sign.
func TestWrongKindOfActor(t *testing.T) {
	allowed := map[actor.Kind]map[actor.EventKind]bool{}
	for _, k := range []actor.Kind{actor.Clinician, actor.Device, actor.Agent} {
		allowed[k] = map[actor.EventKind]bool{
			actor.EventKeyAdd: true, actor.EventKeyRemove: true, actor.EventCredentialAdd: true, actor.EventCredentialRemove: true,
			actor.EventStop: true, actor.EventDuty: k == actor.Clinician, actor.EventOnward: k == actor.Clinician, actor.EventRevoke: k == actor.Clinician,
		}
	}
	for kind, may := range allowed {
		w := newWorld(t)
		l := w.begin(w.inception(kind, "ana"), byKey("ana"))
		l.certifyAll()
		line := w.patient("somebody")
		for _, s := range samples {
			if s.kind == actor.EventMerge {
				continue
			}
			event := edit(line.event(s.make(line)), func(e *actor.Event) { e.Actor = l.st.Actor(); continueAt(l, e) })
			want := abaton.ReasonCredential
			switch {
			case may[s.kind]:
				want = ""
			case s.kind == actor.EventTeam:
				want = abaton.ReasonMalformed // the sample is another log's
			}
			if got := reason(admit(l, signed(event, byKey("ana")))); got != want {
				t.Errorf("actor kind %d, event kind %d: got %q, want %q", kind, s.kind, got, want)
			}
			byPerson := []actor.EventKind{actor.EventStop, actor.EventDuty, actor.EventOnward, actor.EventRevoke}
			if may[s.kind] && !slices.Contains(byPerson, s.kind) {
				want = abaton.ReasonCredential // these take a manage key
			}
			if got := reason(admit(l, signed(event, byPasskey(t, "ana")))); got != want {
				t.Errorf("actor kind %d, event kind %d by passkey: got %q, want %q", kind, s.kind, got, want)
			}
		}
	}
	w := newWorld(t)
	ana := w.patient("ana")
	origins := &actor.Origins{RelyingParty: party}
	if got := reason(admit(ana, signed(ana.event(origins), byKey("ana")))); got != abaton.ReasonCredential {
		t.Errorf("a patient certifies origins: got %q, want %q", got, abaton.ReasonCredential)
	}
}
