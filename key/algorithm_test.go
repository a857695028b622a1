package key_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// signer is an authenticator of one algorithm.
type signer struct {
	public key.Public
	sign   func(message []byte) []byte
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("key_test: " + err.Error())
	}
	return v
}

func newES256() signer {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return signer{append(key.Public{key.AlgorithmES256}, must(private.PublicKey.Bytes())...), func(m []byte) []byte {
		sum := sha256.Sum256(m)
		return must(ecdsa.SignASN1(rand.Reader, private, sum[:]))
	}}
}

func newEdDSA() signer {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(0, err)
	return signer{append(key.Public{key.AlgorithmEdDSA}, public...), func(m []byte) []byte { return ed25519.Sign(private, m) }}
}

// moduli are RSA keys by size in bits: slow to make.
var moduli sync.Map

func newRS256(bits int) func() signer {
	return func() signer {
		made, _ := moduli.LoadOrStore(bits, sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) }))
		private := made.(func() *rsa.PrivateKey)()
		return signer{append(key.Public{key.AlgorithmRS256}, private.N.Bytes()...), func(m []byte) []byte {
			sum := sha256.Sum256(m)
			return must(rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:]))
		}}
	}
}

// smallOrderPoints are the eight of edwards25519, in their one encoding.
func smallOrderPoints() []string {
	return []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	}
}

// algorithmCases are the three algorithms and every way in which a public key
// or a signature is not one of its algorithm.
func algorithmCases() []assertionCase {
	public := func(name string, make func() signer, change func(key.Public) key.Public) assertionCase {
		return assertionCase{name: name, want: "credential", make: make, after: func(p *parts) { p.assertion.Public = change(bytes.Clone(p.assertion.Public)) }}
	}
	sig := func(name string, make func() signer, change func([]byte) []byte) assertionCase {
		return assertionCase{name: name, want: "signature", make: make, after: func(p *parts) { p.assertion.Sig = change(bytes.Clone(p.assertion.Sig)) }}
	}
	is := func(b ...byte) func(key.Public) key.Public { return func(key.Public) key.Public { return b } }
	flip := func(i int) func(key.Public) key.Public {
		return func(b key.Public) key.Public { b[(i+len(b))%len(b)] ^= 1; return b }
	}
	edwards := func(text string) func(key.Public) key.Public {
		return is(append([]byte{key.AlgorithmEdDSA}, must(hex.DecodeString(text))...)...)
	}
	cases := []assertionCase{
		{name: "EdDSA", want: "ok", make: newEdDSA},
		{name: "RS256, 2,048 bits", want: "ok", make: newRS256(2048)},
		{name: "RS256, 4,096 bits", want: "ok", make: newRS256(4096)},

		public("no public key", nil, is()),
		public("algorithm without a key", nil, is(key.AlgorithmES256)),
		public("algorithm zero", nil, func(b key.Public) key.Public { b[0] = 0; return b }),
		public("unknown algorithm", nil, func(b key.Public) key.Public { b[0] = 4; return b }),
		public("the COSE number instead of the algorithm", nil, func(b key.Public) key.Public { b[0] = 0x26; return b }),
		public("ES256: algorithm left out", nil, func(b key.Public) key.Public { return b[1:] }),
		public("ES256: called EdDSA", nil, func(b key.Public) key.Public { b[0] = key.AlgorithmEdDSA; return b }),
		public("ES256: called RS256", nil, func(b key.Public) key.Public { b[0] = key.AlgorithmRS256; return b }),
		public("ES256: not on the curve", nil, flip(-1)),
		public("ES256: compressed", nil, func(b key.Public) key.Public { b[1] = 2; return b[:34] }),
		public("ES256: short", nil, func(b key.Public) key.Public { return b[:65] }),
		public("ES256: a byte more", nil, func(b key.Public) key.Public { return append(b, 0) }),
		public("ES256: zeros", nil, func(b key.Public) key.Public { clear(b[1:]); return b }),
		public("ES256: the point at infinity", nil, is(key.AlgorithmES256, 0)),
		public("EdDSA: short", newEdDSA, func(b key.Public) key.Public { return b[:32] }),
		public("EdDSA: a byte more", newEdDSA, func(b key.Public) key.Public { return append(b, 0) }),
		public("EdDSA: not on the curve", newEdDSA, edwards("0200000000000000000000000000000000000000000000000000000000000000")),
		public("EdDSA: y is the prime itself", newEdDSA, edwards("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
		public("EdDSA: y over the prime", newEdDSA, edwards("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
		public("RS256: 1,024 bits", newRS256(1024), func(b key.Public) key.Public { return b }),
		public("RS256: 2,047 bits", newRS256(2048), func(b key.Public) key.Public { b[1] &= 0x7f; return b }),
		public("RS256: 4,104 bits", newRS256(4096), func(b key.Public) key.Public { return append(key.Public{key.AlgorithmRS256, 1}, b[1:]...) }),
		public("RS256: a leading zero", newRS256(2048), func(b key.Public) key.Public { return append(key.Public{key.AlgorithmRS256, 0}, b[1:]...) }),
		public("RS256: even", newRS256(2048), flip(-1)),

		sig("EdDSA: flipped", newEdDSA, func(b []byte) []byte { b[3] ^= 1; return b }),
		sig("EdDSA: short", newEdDSA, func(b []byte) []byte { return b[:63] }),
		sig("EdDSA: a byte more", newEdDSA, func(b []byte) []byte { return append(b, 0) }),
		sig("EdDSA: S over the order of the group", newEdDSA, overOrder),
		sig("RS256: flipped", newRS256(2048), func(b []byte) []byte { b[3] ^= 1; return b }),
		sig("RS256: short", newRS256(2048), func(b []byte) []byte { return b[:255] }),
		sig("RS256: a zero in front", newRS256(2048), func(b []byte) []byte { return append([]byte{0}, b...) }),
		sig("RS256: none", newRS256(2048), func([]byte) []byte { return nil }),
		{name: "RS256: modulus of another passkey", want: "signature", make: newRS256(2048), after: func(p *parts) { p.assertion.Public = newRS256(4096)().public }},
	}
	for _, point := range smallOrderPoints() {
		cases = append(cases, public("EdDSA: small order "+point[:8]+".."+point[62:], newEdDSA, edwards(point)))
	}
	return cases
}

// overOrder adds the order of the group to S (RFC 8032, section 5.1.7).
func overOrder(sig []byte) []byte {
	s := bytes.Clone(sig[32:])
	slices.Reverse(s)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return append(sig[:32:32], sum...)
}

// TestPublicNames: the name is the hash of algorithm and key, no more.
func TestPublicNames(t *testing.T) {
	for _, s := range []signer{newES256(), newEdDSA(), newRS256(2048)()} {
		if !s.public.Valid() {
			t.Errorf("algorithm %d: got not valid, want valid", s.public[0])
		}
		if got, want := s.public.Credential(), key.Credential(wire.Hash("abaton/v1/credential", s.public)); got != want {
			t.Errorf("algorithm %d: got %x, want %x", s.public[0], got, want)
		}
		if len(s.public) > key.PublicBytesMax {
			t.Errorf("algorithm %d: got %d bytes, want at most %d", s.public[0], len(s.public), key.PublicBytesMax)
		}
	}
}

// TestEdwardsPoints: every key that the standard library makes is a point.
func TestEdwardsPoints(t *testing.T) {
	for range 200 {
		if s := newEdDSA(); !s.public.Valid() {
			t.Fatalf("got not valid, want valid: %x", []byte(s.public))
		}
	}
}

// FuzzPublic: no bytes panic, what is valid is of one form, and nothing that
// is not valid verifies.
func FuzzPublic(f *testing.F) {
	for _, s := range []signer{newES256(), newEdDSA(), newRS256(2048)()} {
		f.Add([]byte(s.public))
	}
	f.Add([]byte{})
	challenge := sha256.Sum256(nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := key.Public(data)
		a := key.Assertion{Public: p, AuthData: authDataFor(rp.ID, userPresent|userVerified),
			ClientData: clientDataFor(challenge, rp.Origins[0], "}"), Sig: make([]byte, 64)}
		if err := a.Verify(challenge, rp); !errors.Is(err, key.ErrAssertion) {
			t.Errorf("got %v, want ErrAssertion: nobody signed", err)
		}
		if p.Valid() && (len(p) > key.PublicBytesMax || p.Credential() == (key.Credential{})) {
			t.Error("a valid key is over its bound or has no name")
		}
	})
}
