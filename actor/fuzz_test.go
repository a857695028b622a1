package actor_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// FuzzParseSigned: whatever parses is written again as the same bytes, at
// every level, and nothing panics on the way to the log.
func FuzzParseSigned(f *testing.F) {
	w := newWorld(f)
	l := w.patient("ana")
	f.Add(setInception(document(), 5).Marshal())
	for _, s := range samples {
		if s.kind != actor.EventMerge {
			f.Add(signed(l.event(s.make(l)), byKey("ana"), byPasskey(f, "ana")).Marshal())
		}
	}
	f.Add(signed(actor.NewInception(1, w.inception(actor.Patient, "ben")), byKey("ben")).Marshal())
	f.Add(signed(l.event(sampleTrustees("three", abaton.ActorID{1}, abaton.ActorID{2})), byKey("ana")).Marshal())
	f.Add(signed(l.event(&actor.Recover{Escrow: abaton.GrantID{1}, Box: box("device").Public().Bytes(), Nonce: [16]byte{1},
		Credential: actor.Credential{Public: passkey(f, "device").Public(), Class: actor.Synced}}), byKey("kit")).Marshal())
	f.Add(signed(l.event(&actor.Finding{Case: 1, Registrar: abaton.ActorID{1}, Physician: abaton.ActorID{2}, House: abaton.ActorID{3},
		Until: 1, Nonce: [16]byte{1}}), byKey("ana"), byKey("org")).Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		se, err := actor.ParseSigned(data)
		if err != nil {
			return
		}
		if string(se.Marshal()) != string(data) {
			t.Errorf("parsed and written again, the signed event differs")
		}
		a, err := actor.Reopen(se)
		if err != nil {
			return
		}
		e := a.Event()
		again := actor.New(e.Actor, e.Seq, e.Prev, e.Time, a.Body())
		if string(again) != string(se.Event) {
			t.Errorf("parsed and written again, the event differs")
		}
		st := new(actor.State)
		if err := st.Join(l.st); err != nil {
			t.Fatal(err)
		}
		_ = st.Admit(a, w.door(), w.now)
		_ = st.Apply(a)
		_ = new(actor.State).Apply(a)
	})
}

func FuzzParseSet(f *testing.F) {
	f.Add(newWorld(f).setFile)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := actor.ParseSet(data)
		if err == nil && s.ID() == (abaton.ActorID{}) {
			t.Errorf("a set without a name")
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	p := actor.Place{Actor: abaton.ActorID{1}, Seq: 3, Hash: actor.Hash{2}}
	f.Add(actor.NewCertificate(p, []actor.Vote{{X: 1, Sig: []byte{1}}, {X: 4, Sig: []byte{2}}}).Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := actor.ParseCertificate(data)
		if err == nil && string(c.Marshal()) != string(data) {
			t.Errorf("parsed and written again, the certificate differs")
		}
	})
}

func FuzzParseInvitation(f *testing.F) {
	v := actor.Invitation{Organisation: abaton.ActorID{1}, Kind: actor.Patient, Expires: 9, Nonce: [16]byte{1}}
	f.Add(v.Sign(signing("org")))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := actor.ParseInvitation(data)
		if err == nil && got.Organisation == (abaton.ActorID{}) {
			t.Errorf("an invitation by nobody")
		}
	})
}
