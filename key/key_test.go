package key_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// testSeed is abaton-test-only: 32 equal bytes.
func testSeed(b byte) (s key.Secret) {
	copy(s[:], bytes.Repeat([]byte{b}, len(s)))
	return s
}

func TestSignAndVerify(t *testing.T) {
	k, other := key.SigningFromSeed(testSeed(1)), key.SigningFromSeed(testSeed(2))
	body := []byte("a body")
	sig := k.Sign(wire.Event, body)
	if !key.Verify(k.ID(), wire.Event, body, sig) {
		t.Fatal("own signature: got false, want true")
	}
	flipped := bytes.Clone(sig)
	flipped[0] ^= 1
	for _, c := range []struct {
		name  string
		id    abaton.KeyID
		label wire.Label
		body  []byte
		sig   []byte
	}{
		{"other key", other.ID(), wire.Event, body, sig},
		{"zero key", abaton.KeyID{}, wire.Event, body, sig},
		{"other label", k.ID(), wire.Grant, body, sig},
		{"label and body joined otherwise", k.ID(), wire.Event[:len(wire.Event)-1], append([]byte{wire.Event[len(wire.Event)-1], 0}, body...), sig},
		{"other body", k.ID(), wire.Event, []byte("a Body"), sig},
		{"no body", k.ID(), wire.Event, nil, sig},
		{"flipped signature", k.ID(), wire.Event, body, flipped},
		{"short signature", k.ID(), wire.Event, body, sig[:63]},
		{"long signature", k.ID(), wire.Event, body, append(bytes.Clone(sig), 0)},
		{"no signature", k.ID(), wire.Event, body, nil},
		{"signature without label", k.ID(), wire.Event, body, k.SignRaw(body)},
	} {
		if key.Verify(c.id, c.label, c.body, c.sig) {
			t.Errorf("%s: got true, want false", c.name)
		}
	}
}

// TestZeroKeyVerifiesNothing: the zero key is a point of order four, so
// R = the neutral element and S = 0 is its signature over one message in four.
// Without the check in Verify anybody could sign for it.
func TestZeroKeyVerifiesNothing(t *testing.T) {
	var zero abaton.KeyID
	sig := make([]byte, ed25519.SignatureSize)
	sig[0] = 1 // the neutral element (RFC 8032, section 5.1.2); S stays 0
	forged := 0
	for i := range 64 {
		body := []byte{byte(i)}
		if ed25519.Verify(zero[:], wire.Message(wire.Event, body), sig) {
			forged++
		}
		if key.Verify(zero, wire.Event, body, sig) {
			t.Fatal("zero key: got true, want false")
		}
	}
	if forged == 0 {
		t.Error("no forgery found that the check would have to refuse: the test shows nothing")
	}
}

func TestSealIsSignOverTheBody(t *testing.T) {
	k := key.SigningFromSeed(testSeed(3))
	s := k.Seal(wire.Lock, []byte{1, 2, 3})
	if !key.Verify(k.ID(), wire.Lock, s.Body, s.Sig) {
		t.Error("Seal: got a signature that does not verify, want one that does")
	}
}

func TestSigningSeedRoundTrip(t *testing.T) {
	k := key.NewSigning()
	if again := key.SigningFromSeed(k.Seed()); again.ID() != k.ID() {
		t.Error("key from its own seed: got another key, want the same")
	}
	if key.NewSigning().ID() == k.ID() {
		t.Error("two drawn keys: got one key, want two")
	}
}

// TestExpandIsHKDF computes RFC 5869, section 2.3, by hand.
func TestExpandIsHKDF(t *testing.T) {
	prk := testSeed(4)
	byHand := func(info string) (out key.Secret) {
		mac := hmac.New(sha256.New, prk[:])
		mac.Write([]byte(info))
		mac.Write([]byte{1})
		copy(out[:], mac.Sum(nil))
		return out
	}
	if got, want := key.Expand(prk[:], wire.Mask), byHand("abaton/v1/mask"); !got.Equal(want) {
		t.Error("Expand without context differs from RFC 5869")
	}
	if got, want := key.Expand(prk[:], wire.Mask, []byte{7}, []byte{8}), byHand("abaton/v1/mask\x00\x07\x08"); !got.Equal(want) {
		t.Error("Expand with context differs from RFC 5869")
	}
	mac := hmac.New(sha256.New, []byte("salt"))
	mac.Write(prk[:])
	var want key.Secret
	copy(want[:], mac.Sum(nil))
	if !key.Extract([]byte("salt"), prk[:]).Equal(want) {
		t.Error("Extract differs from RFC 5869")
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := testSeed(0xab)
	type holder struct {
		Name   string
		Secret key.Secret
		Where  *key.Secret
	}
	h := holder{"h", s, &s}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("text", "secret", s, "pointer", &s, "holder", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "secret", s, "pointer", &s, "holder", h)
	out := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{s, &s, h, &h, []key.Secret{s}, map[string]key.Secret{"a": s}} {
			out = append(out, verb+" "+fmt.Sprintf(verb, v))
		}
	}
	for _, v := range []any{s, &s, h, map[string]key.Secret{"a": s}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, "json "+string(b))
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, "text "+string(text))
	for _, o := range out {
		for _, shown := range []string{"abab", "ABAB", "171 171", "171, 171", "0xab", "q6ur"} {
			if strings.Contains(o, shown) {
				verb, _, _ := strings.Cut(o, " ")
				t.Errorf("printed by %s: the bytes of a secret show as %q", verb, shown)
			}
		}
	}
}

func TestSecretIsErased(t *testing.T) {
	s := key.NewSecret()
	if s.IsZero() || s.Equal(key.NewSecret()) {
		t.Error("drawn secret: got zero or drawn twice, want 32 random bytes")
	}
	s.Erase()
	if !s.IsZero() {
		t.Error("Erase: got bytes left, want zero")
	}
}

// TestRootKnownAnswer pins the derivation of PROTOCOL.md#root; each value is
// also computed by hand from HMAC.
func TestRootKnownAnswer(t *testing.T) {
	for _, v := range rootVectors() {
		if err := v.check(); err != nil {
			t.Errorf("%s: %v", v.Comment, err)
		}
	}
}

func TestRootsAreApart(t *testing.T) {
	a, b := key.NewRoot(testSeed(1)), key.NewRoot(testSeed(2))
	general, genetic := abaton.Category{1}, abaton.Category{2}
	seen := map[key.Secret]string{}
	for _, c := range []struct {
		name string
		s    key.Secret
	}{
		{"root a general 1", a.SegmentSeed(general, 1)},
		{"root a general 2", a.SegmentSeed(general, 2)},
		{"root a genetic 1", a.SegmentSeed(genetic, 1)},
		{"root b general 1", b.SegmentSeed(general, 1)},
	} {
		if seen[c.s] != "" {
			t.Errorf("%s and %s: got one seed, want two", seen[c.s], c.name)
		}
		seen[c.s] = c.name
	}
	if a.Line(general) == a.Line(genetic) || a.Line(general) == b.Line(general) {
		t.Error("lines of two categories or two roots: got one name, want two")
	}
}

// byHandSeed is PROTOCOL.md#root with nothing but HMAC.
func byHandSeed(secret key.Secret, label string, context []byte) []byte {
	extract := hmac.New(sha256.New, []byte("abaton/v1/root"))
	extract.Write(secret[:])
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write([]byte(label))
	if context != nil {
		expand.Write(append([]byte{0}, context...))
	}
	expand.Write([]byte{1})
	return expand.Sum(nil)
}

func fromHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic("key_test: " + err.Error())
	}
	return b
}
