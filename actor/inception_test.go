package actor_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

func firstGrant(line abaton.Line) actor.Granted {
	g := grant.Grant{
		V: wire.Version, Grantee: abaton.ActorID{7}, Actions: grant.Read, Lines: []abaton.Line{line},
		Purposes: []abaton.Purpose{abaton.Treatment}, NotBefore: epochStart.Unix(),
		Expires: epochStart.Add(time.Hour).Unix(), Quota: 5, Nonce: [16]byte{1},
	}
	return actor.Granted{Grant: g.Marshal(), Wrap: []byte("sealed elsewhere")}
}

func TestInception(t *testing.T) {
	tests := []struct {
		name   string
		kind   actor.Kind
		signer string
		change func(*world, *actor.Inception)
		door   func(*world, *actor.Door)
		want   abaton.Reason
	}{
		{"patient", actor.Patient, "ana", nil, nil, ""},
		{"clinician", actor.Clinician, "ana", nil, nil, ""},
		{"device", actor.Device, "ana", nil, nil, ""},
		{"agent", actor.Agent, "ana", nil, nil, ""},
		{"patient with a first grant", actor.Patient, "ana", func(_ *world, in *actor.Inception) {
			in.Grants = []actor.Granted{firstGrant(in.Lines[0].Line)}
		}, nil, ""},
		{"organisation not admitted by the operator", actor.Organisation, "ana", nil, nil, abaton.ReasonInvitation},
		{"unknown kind", 9, "ana", nil, nil, abaton.ReasonMalformed},
		{"zero kind", 0, "ana", nil, nil, abaton.ReasonMalformed},
		{"signed by a key it does not list", actor.Patient, "stranger", nil, nil, abaton.ReasonCredential},
		{"signed by its write key", actor.Patient, "ana write", nil, nil, abaton.ReasonCredential},
		{"no keys at all", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Keys, in.Credentials = nil, nil }, nil, abaton.ReasonCredential},
		{"unknown right", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Keys[0].Rights |= 128 }, nil, abaton.ReasonMalformed},
		{"key without rights", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Keys[1].Rights = 0 }, nil, abaton.ReasonMalformed},
		{"key twice", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Keys[1].ID = in.Keys[0].ID }, nil, abaton.ReasonMalformed},
		{"unknown class", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Credentials[0].Class = 7 }, nil, abaton.ReasonMalformed},
		{"too many keys", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Keys = make([]actor.Key, actor.KeysMax+1) }, nil, abaton.ReasonTooLarge},
		{"no box", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Box = nil }, nil, abaton.ReasonMalformed},
		{"box that is no key", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Box = bad(in.Box) }, nil, abaton.ReasonMalformed},
		{"segment that is no key", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Lines[0].Segment = bad(in.Lines[0].Segment) }, nil, abaton.ReasonMalformed},
		{"no nonce", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Nonce = [16]byte{} }, nil, abaton.ReasonMalformed},
		{"first epoch is not 1", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Lines[0].Epoch = 2 }, nil, abaton.ReasonMalformed},
		{"line twice", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Lines = append(in.Lines, in.Lines[0]) }, nil, abaton.ReasonMalformed},
		{"level 4", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Lines[0].Level = 4 }, nil, abaton.ReasonMalformed},
		{"a device with a record", actor.Device, "ana", func(_ *world, in *actor.Inception) {
			in.Lines = []actor.Epoch{{Line: lineOf("x"), Level: 1, Epoch: 1, Segment: box("x").Public().Bytes()}}
		}, nil, abaton.ReasonMalformed},
		{"first grant over a line it has not", actor.Patient, "ana", func(_ *world, in *actor.Inception) {
			in.Grants = []actor.Granted{firstGrant(abaton.Line{9})}
		}, nil, abaton.ReasonMalformed},
		{"first grant names a patient", actor.Patient, "ana", func(_ *world, in *actor.Inception) {
			g, _ := grant.Parse(firstGrant(in.Lines[0].Line).Grant)
			g.Patient = abaton.ActorID{1}
			in.Grants = []actor.Granted{{Grant: g.Marshal()}}
		}, nil, abaton.ReasonMalformed},
		{"first grant has run out", actor.Patient, "ana", func(w *world, in *actor.Inception) {
			in.Grants = []actor.Granted{firstGrant(in.Lines[0].Line)}
			w.now = w.now.Add(2 * time.Hour)
		}, nil, abaton.ReasonExpired},
		{"from the future", actor.Patient, "ana", func(w *world, _ *actor.Inception) { w.now = w.now.Add(-time.Hour) }, nil, abaton.ReasonTime},
		{"another keeper set", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Set = abaton.ActorID{1} }, nil, abaton.ReasonKeeperSet},
		{"zero door", actor.Patient, "ana", nil, func(_ *world, d *actor.Door) { *d = actor.Door{} }, abaton.ReasonKeeperSet},
		{"no invitation", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Invitation = nil }, nil, abaton.ReasonInvitation},
		{"no sponsor", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Organisation = abaton.ActorID{} }, nil, abaton.ReasonInvitation},
		{"invitation of another organisation", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Organisation = abaton.ActorID{5} }, nil, abaton.ReasonInvitation},
		{"invitation for another kind", actor.Patient, "ana", func(w *world, in *actor.Inception) {
			in.Invitation = w.invitation(actor.Clinician).Sign(signing("org"))
		}, nil, abaton.ReasonInvitation},
		{"invitation for this passkey", actor.Clinician, "ana", func(w *world, in *actor.Inception) {
			v := w.invitation(actor.Clinician)
			v.Credential = cachedCredential("ana")
			in.Invitation = v.Sign(signing("org"))
		}, nil, ""},
		{"invitation for another passkey", actor.Clinician, "ana", func(w *world, in *actor.Inception) {
			v := w.invitation(actor.Clinician)
			v.Credential = cachedCredential("second")
			in.Invitation = v.Sign(signing("org"))
		}, nil, abaton.ReasonInvitation},
		{"invitation for this passkey, and one besides", actor.Clinician, "ana", func(w *world, in *actor.Inception) {
			v := w.invitation(actor.Clinician)
			v.Credential = cachedCredential("ana")
			in.Invitation = v.Sign(signing("org"))
			in.Credentials = append(in.Credentials, actor.Credential{Public: cachedPublic("second"), Class: actor.Bound})
		}, nil, abaton.ReasonInvitation},
		{"invitation for a passkey, and none", actor.Clinician, "ana", func(w *world, in *actor.Inception) {
			v := w.invitation(actor.Clinician)
			v.Credential = cachedCredential("ana")
			in.Invitation = v.Sign(signing("org"))
			in.Credentials = nil
		}, nil, abaton.ReasonInvitation},
		{"ticket instead of an invitation", actor.Clinician, "ana", func(w *world, in *actor.Inception) {
			in.Invitation = w.invitation(actor.Clinician).Ticket(signing("org"))
		}, nil, abaton.ReasonInvitation},
		{"invitation by a stranger", actor.Patient, "ana", func(w *world, in *actor.Inception) {
			in.Invitation = w.invitation(actor.Patient).Sign(signing("stranger"))
		}, nil, abaton.ReasonInvitation},
		{"forged invitation", actor.Patient, "ana", func(_ *world, in *actor.Inception) { in.Invitation[len(in.Invitation)-1] ^= 1 }, nil, abaton.ReasonInvitation},
		{"expired invitation", actor.Patient, "ana", func(w *world, in *actor.Inception) {
			v := w.invitation(actor.Patient)
			v.Expires = w.now.Unix()
			in.Invitation = v.Sign(signing("org"))
		}, nil, abaton.ReasonInvitation},
		{"invitation for ever", actor.Patient, "ana", func(w *world, in *actor.Inception) {
			v := w.invitation(actor.Patient)
			v.Expires = w.now.Add(actor.InvitationLifeMax + time.Second).Unix()
			in.Invitation = v.Sign(signing("org"))
		}, nil, abaton.ReasonInvitation},
		{"used invitation", actor.Patient, "ana", nil, func(_ *world, d *actor.Door) {
			d.InvitationUsed = func([16]byte) bool { return true }
		}, abaton.ReasonInvitation},
		{"sponsor unknown here", actor.Patient, "ana", nil, func(_ *world, d *actor.Door) {
			d.Organisation = func(abaton.ActorID) *actor.State { return nil }
		}, abaton.ReasonInvitation},
		{"sponsor not admitted here", actor.Patient, "ana", nil, func(_ *world, d *actor.Door) {
			d.Admitted = func(abaton.ActorID) bool { return false }
		}, abaton.ReasonInvitation},
		{"shielded notes to somebody nobody knows", actor.Patient, "ana", func(_ *world, in *actor.Inception) {
			in.Lines[0].Level = grant.Shielded
			in.Grants = []actor.Granted{firstGrant(in.Lines[0].Line)}
		}, nil, abaton.ReasonGrant},
		{"invitation by a removed key", actor.Patient, "ana", nil, func(w *world, _ *actor.Door) {
			w.org.add(&actor.KeyRemove{ID: signing("org write").ID()}, byKey("org"))
		}, abaton.ReasonInvitation},
	}
	for _, tt := range tests {
		w := newWorld(t)
		in := w.inception(tt.kind, "ana")
		if tt.change != nil {
			tt.change(w, in)
		}
		door := w.door()
		if tt.door != nil {
			tt.door(w, &door)
		}
		l := &log{w: w, st: new(actor.State)}
		a, err := actor.Authenticate(signed(actor.NewInception(epochStart.Unix(), in), byKey(tt.signer)), party)
		if err == nil {
			err = l.st.Admit(a, door, w.now)
		}
		if got := reason(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// bad makes bytes of the right length that are no public key: ML-KEM
// coefficients above the modulus.
func bad(public []byte) []byte {
	b := append([]byte(nil), public...)
	for i := range 384 {
		b[i] = 0xff
	}
	return b
}

func TestInceptionGivesNothingBeforeItsCertificate(t *testing.T) {
	w := newWorld(t)
	in := w.inception(actor.Patient, "ana")
	in.Grants = []actor.Granted{firstGrant(in.Lines[0].Line)}
	id := grant.IDOf(in.Grants[0].Grant)
	l := w.begin(in, byPasskey(t, "ana"))
	if l.st.Live() || l.st.KeyRights(signing("ana").ID()) != 0 || l.st.CredentialClass(cachedCredential("ana")) != 0 ||
		len(l.st.Lines()) != 0 || len(l.st.Grants()) != 0 {
		t.Errorf("an inception without a certificate gives something")
	}
	if _, err := l.st.Box(); err != key.ErrKey {
		t.Errorf("box before the certificate: got %v, want %v", err, key.ErrKey)
	}
	l.certifyAll()
	g, revoked := l.st.Grant(id)
	if !l.st.Live() || l.st.KeyRights(signing("ana").ID()) != actor.Manage || len(l.st.Lines()) != 1 || g == nil || revoked {
		t.Fatalf("a certified inception does not give what it says")
	}
	if g.Patient != l.st.Actor() {
		t.Errorf("first grant: got patient %s, want this log", g.Patient)
	}
	access := grant.Access{Actor: abaton.ActorID{7}, Patient: l.st.Actor(), Action: grant.Read, Purpose: abaton.Treatment, Line: in.Lines[0].Line, Records: 1}
	if d := grant.Decide(l.st.Facts(actor.Asker{Actor: access.Actor}, id, access.Line, 0, w.now), access, w.now); !d.Permit {
		t.Errorf("first grant: got %q, want permit", d.Reason)
	}
	if l.st.Organisation() != w.org.st.Actor() || l.st.SetID() != w.set.ID() || l.st.Kind() != actor.Patient {
		t.Errorf("the log forgets its sponsor, set or kind")
	}
}

func TestSecondInceptionHasNoPlace(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	second := w.authentic(actor.NewInception(w.now.Unix(), w.inception(actor.Patient, "ben")), byKey("ben"))
	if got := reason(l.st.Admit(second, w.door(), w.now)); got != abaton.ReasonSlot {
		t.Errorf("admit: got %q, want %q", got, abaton.ReasonSlot)
	}
	if got := reason(l.st.Apply(second)); got != abaton.ReasonSlot {
		t.Errorf("apply: got %q, want %q", got, abaton.ReasonSlot)
	}
}

// TestReopenTrusts: what a keeper reads back from its own store was verified
// once, the invitation too; what comes from outside is verified whole.
func TestReopenTrusts(t *testing.T) {
	w := newWorld(t)
	in := w.inception(actor.Patient, "ana")
	var forged struct {
		_    struct{} `cbor:",toarray"`
		Body []byte
		Sigs [][]byte
	}
	if err := wire.Unmarshal(in.Invitation, &forged); err != nil {
		t.Fatal(err)
	}
	forged.Sigs[0][0] ^= 1
	in.Invitation = wire.Marshal(forged)
	event := actor.NewInception(w.now.Unix(), in)
	if _, err := actor.Authenticate(signed(event, byKey("ana")), party); reason(err) != abaton.ReasonInvitation {
		t.Errorf("forged invitation from outside: got %v, want %q", err, abaton.ReasonInvitation)
	}
	if _, err := actor.Reopen(signed(event, byKey("ana"))); err != nil {
		t.Errorf("own store: got %v, want no cryptography", err)
	}
	in.Invitation[len(in.Invitation)-1] = 0
	in.Invitation = in.Invitation[:len(in.Invitation)-1]
	if _, err := actor.Reopen(signed(actor.NewInception(w.now.Unix(), in), byKey("ana"))); reason(err) != abaton.ReasonInvitation {
		t.Errorf("cut invitation in the own store: got %v, want %q", err, abaton.ReasonInvitation)
	}
}
