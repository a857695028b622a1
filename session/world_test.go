package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

var (
	start = time.Unix(1_800_000_000, 0)
	party = key.RelyingParty{ID: "abaton.example", Origins: []string{"https://abaton.example"}}
	setID = abaton.ActorID{5}
)

// seed is a secret that is the same in every run: abaton-test-only keys.
func seed(name string) key.Secret { return wire.Hash("abaton-test-only", []byte(name)) }

func signing(name string) *key.Signing { return key.SigningFromSeed(seed(name)) }

// boxes keeps what is slow to make; the keys follow from their names.
var boxes sync.Map

func box(name string) *key.Box {
	if b, ok := boxes.Load(name); ok {
		return b.(*key.Box)
	}
	b := key.BoxFromSeed(seed(name))
	boxes.Store(name, b)
	return b
}

func passkey(t testing.TB, name string) *key.Passkey {
	t.Helper()
	scalar := seed(name)
	p, err := key.ParsePasskey(scalar[:], party)
	if err != nil {
		t.Fatalf("passkey: %v", err)
	}
	return p
}

func reason(err error) abaton.Reason {
	var refused *abaton.RefusedError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	if err != nil {
		return abaton.Reason("another error: " + err.Error())
	}
	return ""
}

// actors are the logs of one organisation and one actor of a kind it
// sponsors, both certified.
type actors struct {
	t         testing.TB
	org, self *actor.State
	class     actor.Class  // what their passkeys say of themselves
	device    *actor.State // of a clinician
	home      *actor.State // of a locum: the agency
	sponsor   *actor.State // of an agent: its patient
}

func newActors(t testing.TB, kind actor.Kind, class actor.Class) *actors {
	a := &actors{t: t, class: class}
	org := inception(t, actor.Organisation, "org", class)
	a.org = begin(t, org, "org")
	if kind == actor.Organisation {
		a.self = a.org
		return a
	}
	in := inception(t, kind, "ana", class)
	in.Organisation = a.org.Actor()
	in.Invitation = actor.Invitation{Organisation: a.org.Actor(), Kind: kind, Expires: start.Add(time.Hour).Unix(), Nonce: [16]byte{1}}.Sign(signing("org"))
	a.self = begin(t, in, "ana")
	m := &actor.Member{Actor: a.self.Actor(), Expires: start.Add(30 * 24 * time.Hour).Unix()}
	m.NotBefore = start.Unix()
	switch kind {
	case actor.Clinician:
		m.Roles = []string{abaton.RolePhysician}
		a.device = begin(t, a.deviceInception("device"), "device")
	case actor.Device:
		m.Roles = []string{abaton.RoleDevice}
	case actor.Agent:
		m.Roles, m.Sponsor = []string{abaton.RoleAgent}, someone
		apply(t, a.org, next(a.org, &actor.Member{Actor: someone, Roles: []string{abaton.RoleNurse}, NotBefore: m.NotBefore, Expires: m.Expires}), "org")
	default:
		return a
	}
	apply(t, a.org, next(a.org, m), "org")
	return a
}

// someone is a member of whom no log is needed.
var someone = abaton.ActorID{0x50}

func (a *actors) deviceInception(name string) *actor.Inception {
	in := inception(a.t, actor.Device, name, actor.Bound)
	in.Keys = append(in.Keys, actor.Key{ID: signing(name + " sign").ID(), Rights: actor.DeviceRight})
	in.Organisation = a.org.Actor()
	in.Invitation = actor.Invitation{Organisation: a.org.Actor(), Kind: actor.Device, Expires: start.Add(time.Hour).Unix(), Nonce: [16]byte{2}}.Sign(signing("org"))
	return in
}

// posture is the organisation's good word about the device.
func (a *actors) posture() actor.Posture {
	return actor.Posture{Organisation: a.org.Actor(), Device: a.device.Actor(), Level: actor.Managed, From: start.Unix(), Until: start.Add(2 * time.Hour).Unix()}
}

func inception(t testing.TB, kind actor.Kind, name string, class actor.Class) *actor.Inception {
	in := &actor.Inception{
		Kind: kind, Set: setID, Box: box(name).Public().Bytes(), Nonce: [16]byte{byte(kind)},
		Keys:        []actor.Key{{ID: signing(name).ID(), Rights: actor.Manage}},
		Credentials: []actor.Credential{{Public: passkey(t, name).Public(), Class: class}},
	}
	if kind == actor.Organisation {
		in.Approvals = 1
		in.Keys = append(in.Keys, actor.Key{ID: signing("attest").ID(), Rights: actor.Attest})
	}
	return in
}

func begin(t testing.TB, in *actor.Inception, name string) *actor.State {
	t.Helper()
	return apply(t, new(actor.State), actor.NewInception(start.Unix(), in), name)
}

// apply authenticates, applies and certifies an event signed by name's key.
func apply(t testing.TB, s *actor.State, event []byte, name string) *actor.State {
	t.Helper()
	a, err := actor.Authenticate(actor.Signed(event, actor.ByKey(signing(name), event)), party)
	if err != nil {
		t.Fatalf("authenticate: %v", err)
	}
	if err := s.Apply(a); err != nil {
		t.Fatalf("apply: %v", err)
	}
	p := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	if err := s.Certify(actor.NewCertificate(p, nil).Reopen()); err != nil {
		t.Fatalf("certify: %v", err)
	}
	return s
}

func next(s *actor.State, body actor.Body) []byte {
	head := s.Heads()[0]
	return actor.New(s.Actor(), head.Seq+1, []actor.Hash{head.Hash}, start.Unix(), body)
}

// statement is a valid statement of the actor.
func (a *actors) statement() *session.Statement {
	st := &session.Statement{
		V: wire.Version, Actor: a.self.Actor(), Credential: passkey(a.t, a.name()).Credential(),
		Key: signing("session").ID(), Reply: box("reply").Public().Bytes(),
		NotBefore: start.Unix(), Expires: start.Add(abaton.PatientSessionMax).Unix(), Set: setID,
		Checkpoints: [][]byte{[]byte("a signed note")}, Nonce: [grant.NonceBytes]byte{7},
	}
	if a.self.Kind() != actor.Patient {
		st.Organisation, st.Role = a.org.Actor(), abaton.RolePhysician
		st.Expires = start.Add(abaton.ClinicianSessionMax).Unix()
	}
	switch a.self.Kind() {
	case actor.Clinician:
		st.Device = a.device.Actor()
	case actor.Agent:
		st.Role = abaton.RoleAgent
	case actor.Device:
		st.Role = abaton.RoleDevice
	}
	return st
}

func (a *actors) name() string {
	if a.self == a.org {
		return "org"
	}
	return "ana"
}

// passkey says that it syncs, or not, as the class enrolled is.
func (a *actors) passkey(name string) *key.Passkey {
	if a.class == actor.Synced {
		return passkey(a.t, name).WithSync()
	}
	return passkey(a.t, name)
}

func (a *actors) sign(st *session.Statement) *session.Signed {
	a.t.Helper()
	bytes := st.Marshal()
	assertion, err := a.passkey(a.name()).Assert(session.Challenge(bytes))
	if err != nil {
		a.t.Fatal(err)
	}
	signed := &session.Signed{Statement: bytes, Assertion: *assertion}
	if a.device != nil && st.Device != (abaton.ActorID{}) {
		signed.Device = session.DeviceProof(signing("device sign"), session.Challenge(bytes))
		signed.Posture = a.posture().Sign(signing("attest"))
	}
	return signed
}

func (a *actors) session(st *session.Statement) *session.Session {
	a.t.Helper()
	s, err := session.Authenticate(a.sign(st), party)
	if err != nil {
		a.t.Fatalf("authenticate: %v", err)
	}
	return s
}

func (a *actors) check() session.Check {
	return session.Check{Actor: a.self, Organisation: a.org, Device: a.device, Home: a.home, Sponsor: a.sponsor, Set: setID, Now: start,
		Fresh: func(notes [][]byte, nbf time.Time) bool { return len(notes) > 0 && nbf.Equal(start) }}
}
