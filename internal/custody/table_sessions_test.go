package custody_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// doorway is where sessions begin: a clinician at a device, another who left,
// and lines that take a touch.
type doorway struct {
	*world
	sealed  *seal.Sealed
	leaver  *custodytest.Person // whose passkey is removed
	other   *custodytest.Person // a colleague
	guest   *custodytest.Person // another, whose passkey keeps no count
	retired *key.Signing        // a key that the organisation attested with
	unplug  *key.Signing        // a key that the guest's device had
	doctors *talk               // the passkey counted 5 when it began
	left    *talk
	notes   [][]byte
}

func newDoorway(t *testing.T) *doorway {
	t.Helper()
	w := &doorway{world: newWorld(t, 3), retired: key.NewSigning(), unplug: key.NewSigning()}
	w.sealed = w.seals(t, 1, 1)
	w.mustDeposit(t, w.sealed)
	for _, p := range []**custodytest.Person{&w.leaver, &w.other, &w.guest} {
		*p = custodytest.NewClinician(t, w.Set, w.org)
		w.Publish(t, (*p).Inception)
		w.Enrol(t, *p)
	}
	retire := func(p *custodytest.Person, k *key.Signing, rights actor.Rights) {
		add := p.Event(&actor.KeyAdd{Key: actor.Key{ID: k.ID(), Rights: rights}})
		add.Proofs = append(add.Proofs, actor.ByKey(k, add.Event))
		w.Publish(t, add, p.Event(&actor.KeyRemove{ID: k.ID()}))
	}
	w.left = w.opens5(t, w.SignIn(t, w.leaver))
	w.Publish(t, w.leaver.Event(&actor.CredentialRemove{Name: w.leaver.Passkey.Credential()}))
	plain := w.doctor.Passkey
	w.doctor.Passkey = plain.WithCount(5)
	w.doctors = w.opens5(t, w.SignIn(t, w.doctor))
	w.doctor.Passkey = plain
	retire(w.org, w.retired, actor.Attest)
	retire(w.guest.Device, w.unplug, actor.DeviceRight)
	for _, x := range five {
		note, err := w.Keepers[x].Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.notes = append(w.notes, note)
	}
	return w
}

// arrival is a statement of somebody at their device, in parts.
type arrival struct {
	w       *doorway
	who     *custodytest.Person
	st      session.Statement
	passkey *key.Passkey
	device  func(id abaton.SessionID) []byte
	posture []byte
}

func (w *doorway) arrives(who *custodytest.Person, after time.Duration) *arrival {
	start := time.Now().Add(after)
	a := &arrival{w: w, who: who, passkey: who.Passkey, posture: who.Vouch(start)}
	a.st = session.Statement{V: wire.Version, Actor: who.ID, Credential: who.Passkey.Credential(), Key: key.NewSigning().ID(),
		Reply: key.NewBox().Public().Bytes(), NotBefore: start.Unix(), Expires: start.Unix() + 600, Set: w.Set.ID(),
		Checkpoints: w.notes, Organisation: w.org.ID, Role: who.Role, Device: who.Device.ID}
	rand.Read(a.st.Nonce[:])
	a.device = func(id abaton.SessionID) []byte { return session.DeviceProof(who.Device.Writer, id) }
	return a
}

// seal is the signed statement.
func (a *arrival) seal(t *testing.T, body []byte, by hand) []byte {
	p := a.passkey
	if by == strange {
		p = a.w.doctor.Passkey
	}
	id := session.Challenge(body)
	assertion, err := p.Assert(id)
	if err != nil {
		t.Fatal(err)
	}
	if by == forging {
		assertion.Sig[len(assertion.Sig)-1] ^= 1
	}
	return (&session.Signed{Statement: body, Assertion: *assertion, Device: a.device(id), Posture: a.posture}).Marshal()
}

func (a *arrival) said(t *testing.T) *said {
	return &said{body: a.st.Marshal(), max: session.SignedBytesMax, send: a.w.begins,
		seal: func(body []byte, by hand) []byte { return a.seal(t, body, by) }}
}

func (w *doorway) begins(x abaton.KeeperIndex, message []byte) abaton.Reason {
	_, err := w.Keepers[x].Call(context.Background(), keeper.RouteSession, message)
	return whyNot(err)
}

// with is an arrival of the guest's that change spoils before it is signed.
func (w *doorway) with(change func(*arrival)) func(*testing.T) []try {
	return func(t *testing.T) []try {
		a := w.arrives(w.guest, 0)
		change(a)
		return rightly(a.said(t))
	}
}

// statement is the row of what begins a session.
func (w *doorway) statement(t *testing.T) row {
	no := refuses(abaton.ReasonSession)
	counted := func(first, second uint32, later time.Duration) func(*testing.T) []try {
		return func(t *testing.T) []try { // a clinician of their own, whose passkey counts
			p := custodytest.NewClinician(t, w.Set, w.org)
			w.Publish(t, p.Inception)
			w.Enrol(t, p)
			met, next := w.arrives(p, 0), w.arrives(p, later)
			met.passkey, next.passkey = p.Passkey.WithCount(first), p.Passkey.WithCount(second)
			m := met.said(t).right()
			for _, x := range five {
				if got := w.begins(x, m); got != "" {
					t.Errorf("keeper %d: a first statement: got %q, want it taken", x, got)
				}
			}
			return rightly(next.said(t))
		}
	}
	return row{
		name: "session statement", is: []string{"label " + string(wire.Session)}, zero: session.Statement{},
		say: func(t *testing.T, after time.Duration) *said { return w.arrives(w.guest, after).said(t) },
		cells: map[defect]cell{
			forged: no, foreign: no, expired: no, early: no, replayed: {same: true},
			reordered: refuses(abaton.ReasonCloned).finds(abaton.ReasonCloned).by(counted(7, 9, -10*time.Second)), // older, and it counted higher
			forked:    refuses(abaton.ReasonCloned).finds(abaton.ReasonCloned).by(counted(7, 7, 10*time.Second)),  // two hold the passkey
			removed:   refuses(abaton.ReasonCredential).by(func(t *testing.T) []try { return rightly(w.arrives(w.leaver, 0).said(t)) }),
			unknown:   refuses(abaton.ReasonActor).by(w.with(func(a *arrival) { rand.Read(a.st.Actor[:]) })),
			truncated: refuses(abaton.ReasonMalformed), oversized: refuses(abaton.ReasonTooLarge),
			loose: refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
		},
	}
}

// proof is the row of a device's word for a session.
func (w *doorway) proof() row {
	no := refuses(abaton.ReasonDevice)
	by := func(k *key.Signing) func(*testing.T) []try {
		return w.with(func(a *arrival) {
			a.device = func(id abaton.SessionID) []byte { return session.DeviceProof(k, id) }
		})
	}
	changed := func(change func([]byte) []byte) func(*testing.T) []try {
		return w.with(func(a *arrival) {
			own := a.device
			a.device = func(id abaton.SessionID) []byte { return change(own(id)) }
		})
	}
	return row{
		name: "device's proof", is: []string{"label " + string(wire.DeviceProof)},
		cells: map[defect]cell{
			forged:  no.by(changed(func(p []byte) []byte { p[len(p)-1] ^= 1; return p })),
			foreign: no.by(by(w.other.Device.Writer)),
			replayed: no.by(w.with(func(a *arrival) {
				a.device = func(abaton.SessionID) []byte { return session.DeviceProof(w.guest.Device.Writer, w.doctors.ID) }
			})),
			reordered: cannot("it is about one session, by name, and has no order"),
			forked:    cannot("it is about one session, by name, and continues nothing"),
			expired:   cannot("it has no time of its own: it ends with the session it names"),
			early:     cannot("it has no time of its own: it begins with the session it names"),
			removed:   no.by(by(w.unplug)),
			unknown:   no.by(w.with(func(a *arrival) { rand.Read(a.st.Device[:]) })),
			truncated: no.by(changed(func(p []byte) []byte { return p[:len(p)-1] })),
			oversized: refuses(abaton.ReasonTooLarge).by(changed(func([]byte) []byte { return make([]byte, session.SignedBytesMax) })),
			loose:     no.by(changed(loosened)), unforeseen: no.by(changed(widened)),
			zeroValue: no.by(changed(func([]byte) []byte { return nil })),
		},
	}
}

// vouching is the row of an organisation's word about a device.
func (w *doorway) vouching() row {
	no := refuses(abaton.ReasonDevice)
	say := func(t *testing.T, change func(*actor.Posture), by *key.Signing) *said {
		now := time.Now().Unix()
		p := actor.Posture{V: wire.Version, Organisation: w.org.ID, Device: w.guest.Device.ID, Level: actor.Managed,
			From: now - 60, Until: now + 3600, Signer: by.ID()}
		if change != nil {
			change(&p)
		}
		return &said{body: wire.Marshal(p), seal: signedBy(wire.Posture, by, w.other.Manage), max: session.SignedBytesMax,
			send: func(x abaton.KeeperIndex, message []byte) abaton.Reason {
				a := w.arrives(w.guest, 0)
				a.posture = message
				return w.begins(x, a.said(t).right())
			}}
	}
	with := func(change func(*actor.Posture), by *key.Signing) func(*testing.T) []try {
		return func(t *testing.T) []try { return rightly(say(t, change, by)) }
	}
	shift := func(by int64) func(*actor.Posture) {
		return func(p *actor.Posture) { p.From, p.Until = p.From+by, p.Until+by }
	}
	return row{
		name: "posture", is: []string{"label " + string(wire.Posture)}, zero: actor.Posture{},
		say: func(t *testing.T, _ time.Duration) *said { return say(t, nil, w.org.Attest) },
		cells: map[defect]cell{
			forged: no, foreign: no.by(with(nil, w.org.Writer)), // live, and it may not attest
			replayed:  no.by(with(func(p *actor.Posture) { p.Device = w.other.Device.ID }, w.org.Attest)), // about another device
			reordered: cannot("the newest word ends no earlier one: each ends by itself, within a day"),
			forked:    cannot("two words about one device each hold while they say"),
			expired:   no.by(with(shift(-7200), w.org.Attest)), early: no.by(with(shift(600), w.org.Attest)),
			removed: no.by(with(nil, w.retired)), unknown: no.by(with(func(p *actor.Posture) { rand.Read(p.Organisation[:]) }, w.org.Attest)),
			truncated: no, oversized: refuses(abaton.ReasonTooLarge), loose: no, unforeseen: no, zeroValue: no,
		},
	}
}

// stepUp is the row of a fresh touch over lines of assurance level 3.
func (w *doorway) stepUp() row {
	line := w.ana.Root.Line(custodytest.General)
	say := func(t *testing.T, change func(*session.StepUp), by *key.Passkey) *said {
		u := session.StepUp{V: wire.Version, Session: w.doctors.ID, Patient: w.ana.ID, Lines: []abaton.Line{line},
			Purpose: abaton.Treatment, Time: time.Now().Unix()}
		rand.Read(u.Nonce[:])
		if change != nil {
			change(&u)
		}
		return &said{body: wire.Marshal(u), seal: assertedBy(t, wire.StepUp, by, w.other.Passkey), max: session.RequestBytesMax,
			send: func(x abaton.KeeperIndex, message []byte) abaton.Reason {
				q := complete(w.release(w.sealed, 1), w.doctors, time.Now())
				q.StepUp = message
				return w.asks(w.doctors, x, q.Sign(w.doctors.Key))
			}}
	}
	own := w.doctor.Passkey.WithCount(6) // after the session, it counts higher
	with := func(change func(*session.StepUp), by *key.Passkey) func(*testing.T) []try {
		return func(t *testing.T) []try { return rightly(say(t, change, by)) }
	}
	no := ledgers(abaton.ReasonStepUp)
	return row{
		name: "step-up", is: []string{"label " + string(wire.StepUp)}, zero: session.StepUp{},
		say: func(t *testing.T, after time.Duration) *said {
			return say(t, func(u *session.StepUp) { u.Time += int64(after / time.Second) }, own)
		},
		cells: map[defect]cell{
			forged: no, foreign: no, expired: no, early: no,
			replayed:  no.by(with(func(u *session.StepUp) { u.Session = w.left.ID }, own)),                                  // of another session
			reordered: ledgers(abaton.ReasonCloned).finds(abaton.ReasonCloned).by(with(nil, w.doctor.Passkey.WithCount(4))), // it counts behind
			forked:    ledgers(abaton.ReasonCloned).finds(abaton.ReasonCloned).by(with(nil, w.doctor.Passkey.WithCount(5))), // two hold the passkey
			unknown:   no.by(with(func(u *session.StepUp) { rand.Read(u.Patient[:]) }, own)),
			removed: refuses(abaton.ReasonCredential).by(func(t *testing.T) []try {
				q := complete(w.release(w.sealed, 1), w.left, time.Now())
				q.StepUp = say(t, func(u *session.StepUp) { u.Session = w.left.ID }, w.leaver.Passkey).right()
				message := q.Sign(w.left.Key)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return w.asks(w.left, x, message) }}
			}),
			truncated: refuses(abaton.ReasonMalformed).by(cut(func(t *testing.T) *said { return say(t, nil, own) })),
			oversized: refuses(abaton.ReasonTooLarge),
			loose:     refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
		},
	}
}

func sessionRows(t *testing.T) (*custodytest.Network, []row) {
	w := newDoorway(t)
	return w.Network, []row{w.stepUp(), w.statement(t), w.proof(), w.vouching()}
}
