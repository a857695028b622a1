package session_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

func TestChannel(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	s := a.session(a.statement())
	keeper, enc, err := session.OpenChannel(s, 2)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := session.AcceptChannel(box("reply"), s.ID(), 2, enc)
	if err != nil {
		t.Fatal(err)
	}
	hash, text := [32]byte{1}, []byte("a parcel")
	sealed, err := keeper.SealReply(hash, text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reader.OpenReply(hash, sealed); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("reply does not open: %v", err)
	}
	up, err := reader.SealUpload(hash, text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keeper.OpenUpload(hash, up); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("upload does not open: %v", err)
	}
	wrongKeeper, err := session.AcceptChannel(box("reply"), s.ID(), 3, enc)
	if err != nil {
		t.Fatal(err)
	}
	wrongSession, err := session.AcceptChannel(box("reply"), abaton.SessionID{1}, 2, enc)
	if err != nil {
		t.Fatal(err)
	}
	altered, resalted := sealed, sealed
	altered.Ciphertext = bytes.Clone(sealed.Ciphertext)
	altered.Ciphertext[0] ^= 1
	resalted.Salt[0] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another request":   func() ([]byte, error) { return reader.OpenReply([32]byte{2}, sealed) },
		"altered":           func() ([]byte, error) { return reader.OpenReply(hash, altered) },
		"another salt":      func() ([]byte, error) { return reader.OpenReply(hash, resalted) },
		"another direction": func() ([]byte, error) { return keeper.OpenUpload(hash, sealed) },
		"another keeper":    func() ([]byte, error) { return wrongKeeper.OpenReply(hash, sealed) },
		"session":           func() ([]byte, error) { return wrongSession.OpenReply(hash, sealed) },
		"zero channel":      func() ([]byte, error) { return new(session.Channel).OpenReply(hash, sealed) },
		"empty":             func() ([]byte, error) { return reader.OpenReply(hash, session.Sealed{}) },
	} {
		if _, err := open(); !errors.Is(err, session.ErrSealed) {
			t.Errorf("%s: got %v, want %v", name, err, session.ErrSealed)
		}
	}
	if _, err := new(session.Channel).SealReply(hash, text); !errors.Is(err, key.ErrKey) {
		t.Errorf("the zero channel seals: %v", err)
	}
	if _, _, err := session.OpenChannel(s, 0); err == nil {
		t.Errorf("keeper 0 opens a channel")
	}
	if _, err := session.AcceptChannel(box("other"), s.ID(), 2, enc[:10]); !errors.Is(err, key.ErrBox) {
		t.Errorf("short encapsulation: got %v, want %v", err, key.ErrBox)
	}
}

// TestRepliesAreFreshlySalted: the same reply to the same request, sealed
// many times, never uses a key twice (attack A11).
func TestRepliesAreFreshlySalted(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	keeper, _, err := session.OpenChannel(a.session(a.statement()), 1)
	if err != nil {
		t.Fatal(err)
	}
	salts := make(map[[session.SaltBytes]byte]bool)
	for range 200 {
		sealed, err := keeper.SealReply([32]byte{1}, []byte("the same"))
		if err != nil {
			t.Fatal(err)
		}
		salts[sealed.Salt] = true
	}
	if len(salts) != 200 {
		t.Errorf("got %d salts, want 200", len(salts))
	}
}

func TestSeeds(t *testing.T) {
	id := abaton.SessionID{3}
	bundles := []session.Bundle{
		{Patient: abaton.ActorID{1}, Grant: abaton.GrantID{2}, Seeds: []grant.Seed{{Line: abaton.Line{1}, Level: 1, Epoch: 1, Seed: key.Secret{4}}}},
		{Patient: abaton.ActorID{2}},
	}
	sealed, err := session.SealSeeds(box("reply").Public(), id, bundles)
	if err != nil {
		t.Fatal(err)
	}
	got, err := session.OpenSeeds(box("reply"), id, sealed)
	if err != nil || len(got) != 2 || got[0].Seeds[0] != bundles[0].Seeds[0] || got[1].Patient != bundles[1].Patient {
		t.Errorf("the seeds differ, or error %v", err)
	}
	if _, err := session.OpenSeeds(box("reply"), abaton.SessionID{4}, sealed); !errors.Is(err, key.ErrBox) {
		t.Errorf("another session: got %v, want %v", err, key.ErrBox)
	}
	if _, err := session.OpenSeeds(box("other"), id, sealed); !errors.Is(err, key.ErrBox) {
		t.Errorf("another key: got %v, want %v", err, key.ErrBox)
	}
	nobody, err := session.SealSeeds(box("reply").Public(), id, []session.Bundle{{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.OpenSeeds(box("reply"), id, nobody); reason(err) != abaton.ReasonMalformed {
		t.Errorf("seeds of nobody: got %v, want %q", err, abaton.ReasonMalformed)
	}
	many, err := session.SealSeeds(box("reply").Public(), id, make([]session.Bundle, session.BundlesMax+1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.OpenSeeds(box("reply"), id, many); reason(err) != abaton.ReasonTooLarge {
		t.Errorf("too many: got %v, want %q", err, abaton.ReasonTooLarge)
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add(session.Sealed{Salt: [16]byte{1}, Ciphertext: []byte{2}}.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := session.ParseSealed(data)
		if err == nil && string(s.Marshal()) != string(data) {
			t.Errorf("parsed and written again, the sealed message differs")
		}
	})
}

func FuzzParseBundles(f *testing.F) {
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		bundles, err := session.ParseBundles(data)
		if err != nil {
			return
		}
		sealed, err := session.SealSeeds(box("reply").Public(), abaton.SessionID{1}, bundles)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := box("reply").OpenFrom("abaton/v1/session-seeds", append([]byte{1}, make([]byte, 31)...), sealed)
		if err != nil || !bytes.Equal(plain, data) {
			t.Errorf("parsed and written again, the bundles differ")
		}
	})
}
