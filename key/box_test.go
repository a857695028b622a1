package key_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

func TestBoxRoundTrip(t *testing.T) {
	b := key.BoxFromSeed(testSeed(5))
	sealed, err := b.Public().SealTo(wire.GrantWrap, []byte("context"), []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(sealed), len("plaintext")+key.BoxOverhead; got != want {
		t.Errorf("length: got %d, want %d", got, want)
	}
	opened, err := b.OpenFrom(wire.GrantWrap, []byte("context"), sealed)
	if err != nil || string(opened) != "plaintext" {
		t.Errorf("open: got %v, want the plaintext back", err)
	}
	again, err := b.Public().SealTo(wire.GrantWrap, []byte("context"), []byte("plaintext"))
	if err != nil || bytes.Equal(sealed, again) {
		t.Error("sealed twice: got equal bytes, want a fresh encapsulation each")
	}
}

func TestBoxRefuses(t *testing.T) {
	b, other := key.BoxFromSeed(testSeed(5)), key.BoxFromSeed(testSeed(6))
	sealed, err := b.Public().SealTo(wire.GrantWrap, []byte("context"), []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		out := bytes.Clone(sealed)
		out[at] ^= 1
		return out
	}
	for _, c := range []struct {
		name    string
		box     *key.Box
		label   wire.Label
		context string
		sealed  []byte
	}{
		{"other key", other, wire.GrantWrap, "context", sealed},
		{"other label", b, wire.EpochWrap, "context", sealed},
		{"other context", b, wire.GrantWrap, "Context", sealed},
		{"no context", b, wire.GrantWrap, "", sealed},
		{"flipped encapsulation", b, wire.GrantWrap, "context", flip(0)},
		{"flipped X25519 part", b, wire.GrantWrap, "context", flip(key.EncBytes - 1)},
		{"flipped ciphertext", b, wire.GrantWrap, "context", flip(key.EncBytes)},
		{"flipped tag", b, wire.GrantWrap, "context", flip(len(sealed) - 1)},
		{"truncated", b, wire.GrantWrap, "context", sealed[:len(sealed)-1]},
		{"shorter than its overhead", b, wire.GrantWrap, "context", sealed[:key.BoxOverhead-1]},
		{"trailing byte", b, wire.GrantWrap, "context", append(bytes.Clone(sealed), 0)},
		{"nothing", b, wire.GrantWrap, "context", nil},
	} {
		if _, err := c.box.OpenFrom(c.label, []byte(c.context), c.sealed); !errors.Is(err, key.ErrBox) {
			t.Errorf("%s: got %v, want ErrBox", c.name, err)
		}
	}
}

func TestZeroBoxPublicSealsNothing(t *testing.T) {
	var p key.BoxPublic
	if !p.IsZero() || key.NewBox().Public().IsZero() {
		t.Error("IsZero: want true of the zero value only")
	}
	if _, err := p.SealTo(wire.GrantWrap, nil, []byte("x")); !errors.Is(err, key.ErrKey) {
		t.Errorf("SealTo: got %v, want ErrKey", err)
	}
	if _, _, err := p.Encapsulate(nil); !errors.Is(err, key.ErrKey) {
		t.Errorf("Encapsulate: got %v, want ErrKey", err)
	}
}

func TestBoxPublicParse(t *testing.T) {
	want := key.BoxFromSeed(testSeed(7)).Public()
	got, err := key.ParseBoxPublic(want.Bytes())
	if err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Fatalf("parse: got %v, want the same key", err)
	}
	if key.SegmentIDOf(got) != key.SegmentIDOf(want) {
		t.Error("segment id: got another after parsing, want the same")
	}
	high := want.Bytes()
	for i := range 3 {
		high[i] = 0xff // an ML-KEM coefficient of 4095, over q (FIPS 203, section 7.2)
	}
	for name, b := range map[string][]byte{"nothing": nil, "short": want.Bytes()[:key.BoxPublicBytes-1], "long": append(want.Bytes(), 0), "coefficient over q": high} {
		if _, err := key.ParseBoxPublic(b); !errors.Is(err, key.ErrKey) {
			t.Errorf("%s: got %v, want ErrKey", name, err)
		}
	}
}

func TestExport(t *testing.T) {
	b := key.BoxFromSeed(testSeed(8))
	enc, sender, err := b.Public().Encapsulate([]byte("info"))
	if err != nil {
		t.Fatal(err)
	}
	if len(enc) != key.EncBytes {
		t.Errorf("enc: got %d bytes, want %d", len(enc), key.EncBytes)
	}
	receiver, err := b.Decapsulate(enc, []byte("info"))
	if err != nil {
		t.Fatal(err)
	}
	k1 := key.ExportSecret(sender, wire.K1)
	if !k1.Equal(key.ExportSecret(receiver, wire.K1)) {
		t.Error("the two ends: got two secrets, want one")
	}
	if k1.Equal(key.ExportSecret(sender, wire.ReplyKey)) {
		t.Error("two labels: got one secret, want two")
	}
	other, err := b.Decapsulate(enc, []byte("other info"))
	if err != nil {
		t.Fatal(err)
	}
	if k1.Equal(key.ExportSecret(other, wire.K1)) {
		t.Error("other info: got the same secret, want another")
	}
	if _, err := b.Decapsulate(enc[:key.EncBytes-1], nil); !errors.Is(err, key.ErrBox) {
		t.Errorf("short enc: got %v, want ErrBox", err)
	}
}

// TestSmallOrderPointIsRefused: an encapsulation whose X25519 part is of small
// order gives a shared secret that does not depend on the key (RFC 7748,
// section 6.1).
func TestSmallOrderPointIsRefused(t *testing.T) {
	b := key.BoxFromSeed(testSeed(9))
	enc, _, err := b.Public().Encapsulate(nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(enc[key.EncBytes-32:])
	if _, err := b.Decapsulate(enc, nil); !errors.Is(err, key.ErrBox) {
		t.Errorf("zero point: got %v, want ErrBox", err)
	}
}

func FuzzParseBoxPublic(f *testing.F) {
	f.Add(key.BoxFromSeed(testSeed(7)).Public().Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := key.ParseBoxPublic(data); err == nil && !bytes.Equal(p.Bytes(), data) {
			t.Error("a public key was read and is written otherwise")
		}
	})
}

func FuzzOpenFrom(f *testing.F) {
	b := key.BoxFromSeed(testSeed(5))
	sealed, err := b.Public().SealTo(wire.GrantWrap, nil, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := b.OpenFrom(wire.PieceBox, nil, data); err == nil {
			t.Error("a box opened that nobody sealed under this label")
		}
	})
}
