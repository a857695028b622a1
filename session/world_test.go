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
	class     actor.Class // what their passkeys say of themselves
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
	return a
}

func inception(t testing.TB, kind actor.Kind, name string, class actor.Class) *actor.Inception {
	return &actor.Inception{
		Kind: kind, Set: setID, Box: box(name).Public().Bytes(), Nonce: [16]byte{byte(kind)},
		Keys:        []actor.Key{{ID: signing(name).ID(), Rights: actor.Manage}},
		Credentials: []actor.Credential{{Public: passkey(t, name).Public(), Class: class}},
	}
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
		st.Organisation, st.Role = a.org.Actor(), "physician"
		st.Expires = start.Add(abaton.ClinicianSessionMax).Unix()
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
	return &session.Signed{Statement: bytes, Assertion: *assertion}
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
	return session.Check{Actor: a.self, Organisation: a.org, Set: setID, Now: start,
		Fresh: func(notes [][]byte, nbf time.Time) bool { return len(notes) > 0 && nbf.Equal(start) }}
}
