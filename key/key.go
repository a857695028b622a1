// Package key makes and uses the keys of patients, readers, writers and
// keepers: Ed25519 signing keys, HPKE box keys (MLKEM768-X25519), the root of
// a patient with the segment keys derived from it, and passkey assertions
// (WebAuthn) that any keeper can check alone.
//
//	k := key.NewSigning()
//	sig := k.Sign(wire.Head, head)
//	ok := key.Verify(k.ID(), wire.Head, head, sig)
//
// It does not protect the memory of its process, and it stores nothing. The
// constructions are those of PROTOCOL.md#keys: standard library primitives
// only.
package key

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// SignatureBytes is the length of an Ed25519 signature.
const SignatureBytes = ed25519.SignatureSize

// Secret is 32 bytes that must not be printed. Its zero value is no secret
// and is refused where one is needed.
type Secret [32]byte

const redacted = "redacted"

// String, GoString, LogValue, MarshalText and MarshalJSON print nothing of a
// Secret, and so does Format under every verb.
func (Secret) String() string { return redacted }

// GoString is String.
func (Secret) GoString() string { return redacted }

// LogValue is String.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is String.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON is String, quoted.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Format is String under every verb, also %d and %x.
func (Secret) Format(s fmt.State, _ rune) { io.WriteString(s, redacted) }

// IsZero reports whether s is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s[:], o[:]) == 1 }

// Erase overwrites s; copies made before stay.
func (s *Secret) Erase() { *s = Secret{} }

func (s Secret) derive(label wire.Label, context ...[]byte) Secret {
	return Expand(s[:], label, context...)
}

// NewSecret draws 32 random bytes.
func NewSecret() (s Secret) {
	rand.Read(s[:]) // never fails: crypto/rand documents that it crashes instead
	return s
}

// Expand is HKDF-Expand(SHA-256, prk, label || [0x00 || context...], 32)
// (RFC 5869, section 2.3; PROTOCOL.md#hashing). Without context the label
// stands alone.
func Expand(prk []byte, label wire.Label, context ...[]byte) (s Secret) {
	info := []byte(label)
	if len(context) > 0 {
		info = append(info, 0)
	}
	for _, c := range context {
		info = append(info, c...)
	}
	out, err := hkdf.Expand(sha256.New, prk, string(info), len(s))
	if err != nil {
		panic("key: 32 bytes are always within HKDF's limit")
	}
	copy(s[:], out)
	return s
}

// Extract is HKDF-Extract(SHA-256, ikm, salt) (RFC 5869, section 2.2).
func Extract(salt, ikm []byte) (s Secret) {
	out, err := hkdf.Extract(sha256.New, ikm, salt)
	if err != nil {
		panic("key: HKDF-Extract with SHA-256 cannot fail")
	}
	copy(s[:], out)
	return s
}

// Signing is an Ed25519 private key. The zero value signs nothing.
type Signing struct {
	private ed25519.PrivateKey
	id      abaton.KeyID
}

// NewSigning draws a signing key.
func NewSigning() *Signing { return SigningFromSeed(NewSecret()) }

// SigningFromSeed is the key with this seed (RFC 8032, section 5.1.5).
func SigningFromSeed(seed Secret) *Signing {
	k := &Signing{private: ed25519.NewKeyFromSeed(seed[:])}
	copy(k.id[:], k.private.Public().(ed25519.PublicKey))
	return k
}

// ID is the public key.
func (k *Signing) ID() abaton.KeyID { return k.id }

// Seed is the private key's seed, to be stored under lock.
func (k *Signing) Seed() (s Secret) {
	copy(s[:], k.private.Seed())
	return s
}

// Sign signs label || 0x00 || body.
func (k *Signing) Sign(label wire.Label, body []byte) []byte {
	return ed25519.Sign(k.private, wire.Message(label, body))
}

// SignRaw signs message without a label. Only formats that bring their own
// domain separation use it (C2SP signed notes).
func (k *Signing) SignRaw(message []byte) []byte { return ed25519.Sign(k.private, message) }

// Seal signs body and returns both as one object.
func (k *Signing) Seal(label wire.Label, body []byte) wire.Signed {
	return wire.Signed{Body: body, Sig: k.Sign(label, body)}
}

// Verify reports whether sig is id's signature over label || 0x00 || body.
// The zero id verifies nothing.
func Verify(id abaton.KeyID, label wire.Label, body, sig []byte) bool {
	if id == (abaton.KeyID{}) || len(sig) != SignatureBytes {
		return false
	}
	return ed25519.Verify(id[:], wire.Message(label, body), sig)
}
