package actor_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
)

// spoiled is ana's public key with one byte changed.
func spoiled(at int) key.Public {
	p := bytes.Clone(cachedPublic("ana"))
	p[at] ^= 8
	return p
}

// evenModulus would have two as a factor.
func evenModulus() key.Public {
	return append(key.Public{key.AlgorithmRS256}, bytes.Repeat([]byte{0xaa}, 256)...)
}

// bySyncing proves with a passkey that says it may leave its device.
func bySyncing(t testing.TB, name string) signer {
	return func(event []byte) actor.Proof {
		a, err := passkey(t, name).WithSync().Assert(actor.HashOf(event))
		if err != nil {
			t.Fatalf("assert: %v", err)
		}
		return actor.ByPasskey(a)
	}
}

// TestClassHolds: a passkey that says another class of itself than it was
// enrolled with proves nothing (PROTOCOL.md#who-may-sign).
func TestClassHolds(t *testing.T) {
	bar := &actor.Bar{Actor: abaton.ActorID{9}}
	for _, enrolled := range []struct {
		class     actor.Class
		good, bad func(testing.TB, string) signer
	}{
		{actor.Bound, byPasskey, bySyncing},
		{actor.Synced, bySyncing, byPasskey},
	} {
		w := newWorld(t)
		in := w.inception(actor.Patient, "ana")
		in.Credentials[0].Class = enrolled.class
		l := w.begin(in, enrolled.good(t, "ana"))
		if got := reason(admit(l, signed(l.event(bar), enrolled.bad(t, "ana")))); got != abaton.ReasonCredential {
			t.Errorf("class %d, an event of another: got %q, want %q", enrolled.class, got, abaton.ReasonCredential)
		}
		if got := reason(admit(l, signed(l.event(bar), enrolled.good(t, "ana")))); got != "" {
			t.Errorf("class %d: got %q, want it admitted", enrolled.class, got)
		}
		again := actor.NewInception(w.now.Unix(), in)
		if _, err := actor.Authenticate(signed(again, enrolled.bad(t, "ana")), party); reason(err) != abaton.ReasonCredential {
			t.Errorf("class %d, an inception of another: got %v, want %q", enrolled.class, err, abaton.ReasonCredential)
		}
	}
}

// byEdwards proves with an EdDSA passkey.
func byEdwards(private ed25519.PrivateKey) signer {
	return func(event []byte) actor.Proof {
		h, rp := actor.HashOf(event), sha256.Sum256([]byte(party.ID))
		auth := append(rp[:], 5, 0, 0, 0, 0)
		client := []byte(`{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(h[:]) +
			`","origin":"` + party.Origins[0] + `","crossOrigin":false}`)
		sum := sha256.Sum256(client)
		return actor.ByPasskey(&key.Assertion{Public: append(key.Public{key.AlgorithmEdDSA}, private.Public().(ed25519.PublicKey)...),
			AuthData: auth, ClientData: client, Sig: ed25519.Sign(private, append(bytes.Clone(auth), sum[:]...))})
	}
}

// TestPasskeysOfTwoAlgorithms live in one log; each may remove the other.
func TestPasskeysOfTwoAlgorithms(t *testing.T) {
	l := newWorld(t).patient("ana")
	s := seed("edwards")
	private := ed25519.NewKeyFromSeed(s[:])
	public := append(key.Public{key.AlgorithmEdDSA}, private.Public().(ed25519.PublicKey)...)
	l.add(&actor.CredentialAdd{Credential: actor.Credential{Public: public, Class: actor.Bound}}, byPasskey(t, "ana"))
	if got := l.st.CredentialClass(public.Credential()); got != actor.Bound {
		t.Fatalf("class of the second passkey: got %d, want %d", got, actor.Bound)
	}
	l.add(&actor.CredentialRemove{Name: cachedCredential("ana")}, byEdwards(private))
	if got := l.st.CredentialClass(cachedCredential("ana")); got != 0 {
		t.Errorf("the removed passkey: got class %d, want none", got)
	}
	if got := reason(admit(l, signed(l.event(&actor.Bar{Actor: abaton.ActorID{9}}), byPasskey(t, "ana")))); got != abaton.ReasonCredential {
		t.Errorf("an event by the removed passkey: got %q, want %q", got, abaton.ReasonCredential)
	}
}

// TestPublicKeysAreChecked wherever one enters a log.
func TestPublicKeysAreChecked(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	for name, bad := range map[string]key.Public{
		"none": nil, "unknown algorithm": spoiled(0), "off the curve": spoiled(65), "even modulus": evenModulus(),
		"too long": make(key.Public, key.PublicBytesMax+1),
	} {
		c := actor.Credential{Public: bad, Class: actor.Bound}
		if _, err := actor.Authenticate(signed(l.event(&actor.CredentialAdd{Credential: c}), byKey("ana")), party); reason(err) != abaton.ReasonMalformed {
			t.Errorf("added, %s: got %v, want %q", name, err, abaton.ReasonMalformed)
		}
		in := w.inception(actor.Patient, "ben")
		in.Credentials = append(in.Credentials, c)
		if _, err := actor.Authenticate(signed(actor.NewInception(w.now.Unix(), in), byKey("ben")), party); reason(err) != abaton.ReasonMalformed {
			t.Errorf("at the inception, %s: got %v, want %q", name, err, abaton.ReasonMalformed)
		}
	}
}
