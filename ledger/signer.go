package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
)

// Signature types (c2sp.org/signed-note, c2sp.org/tlog-cosignature).
const (
	typeNote     = 0x01
	typeCosigned = 0x04
)

// cosignatureSize is a u64 timestamp and an Ed25519 signature, in bytes.
const cosignatureSize = 8 + ed25519.SignatureSize

// Cosigner makes timestamped signatures over checkpoints. SignAt returns the
// bytes of a timestamped_signature (c2sp.org/tlog-cosignature); it is safe
// for concurrent use.
type Cosigner interface {
	Name() string
	KeyHash() uint32
	SignAt(text []byte, at time.Time) ([]byte, error)
}

// Signer signs checkpoints with an Ed25519 key under one name. It is a
// note.Signer; Cosigner gives the timestamped kind. The two kinds have
// different key hashes and different first lines, so one key may serve both.
type Signer struct {
	name   string
	public abaton.KeyID
	key    Key
}

// Key is an Ed25519 key that signs without a label, as C2SP formats need: a
// *key.Signing. SignRaw returns 64 bytes and is safe for concurrent use.
type Key interface {
	ID() abaton.KeyID
	SignRaw(message []byte) []byte
}

// NewSigner makes a Signer. For the ledger's own signature the name is its
// origin; for cosignatures it is the keeper's name.
func NewSigner(name string, key Key) (*Signer, error) {
	if !validOrigin(name) {
		return nil, refuse("signer", "name")
	}
	if key == nil || key.ID() == (abaton.KeyID{}) {
		return nil, refuse("signer", "key")
	}
	return &Signer{name: name, public: key.ID(), key: key}, nil
}

// Name is the key name.
func (s *Signer) Name() string { return s.name }

// KeyHash is the key ID of type 0x01.
func (s *Signer) KeyHash() uint32 { return keyHash(s.name, typeNote, s.public) }

// Sign signs the text of a note.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	sig := s.key.SignRaw(message)
	if len(sig) != ed25519.SignatureSize {
		return nil, refuse("signer", "signature-length")
	}
	return sig, nil
}

// Verifier is the public side of s.
func (s *Signer) Verifier() note.Verifier { return &verifier{s.name, s.public} }

// VerifierKey is the vkey by which other C2SP software verifies s
// (c2sp.org/signed-note).
func (s *Signer) VerifierKey() string { return vkey(s.name, typeNote, s.public) }

// Cosigner makes cosignatures under the name and key of s.
func (s *Signer) Cosigner() *CosignatureSigner { return &CosignatureSigner{s} }

// CosignatureSigner is a Cosigner with an Ed25519 key.
type CosignatureSigner struct{ s *Signer }

// Name is the key name.
func (c *CosignatureSigner) Name() string { return c.s.name }

// KeyHash is the key ID of type 0x04.
func (c *CosignatureSigner) KeyHash() uint32 { return keyHash(c.s.name, typeCosigned, c.s.public) }

// Verifier is the public side of c.
func (c *CosignatureSigner) Verifier() note.Verifier { return &coverifier{c.s.name, c.s.public} }

// VerifierKey is the vkey by which other C2SP software verifies c.
func (c *CosignatureSigner) VerifierKey() string { return vkey(c.s.name, typeCosigned, c.s.public) }

// SignAt signs the text of a checkpoint as seen at the given time.
func (c *CosignatureSigner) SignAt(text []byte, at time.Time) ([]byte, error) {
	if at.Unix() <= 0 {
		return nil, refuse("cosignature", "time")
	}
	sig, err := c.s.Sign(CosignedMessage(text, uint64(at.Unix())))
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), sig...), nil
}

// CosignedMessage is what an Ed25519 cosignature covers
// (c2sp.org/tlog-cosignature).
func CosignedMessage(text []byte, unix uint64) []byte {
	m := make([]byte, 0, len(text)+48)
	m = append(m, "cosignature/v1\ntime "...)
	m = strconv.AppendUint(m, unix, 10)
	m = append(m, '\n')
	return append(m, text...)
}

// verifier verifies note signatures of type 0x01.
type verifier struct {
	name string
	key  abaton.KeyID
}

// NewVerifier verifies the checkpoints that the key signed as name.
func NewVerifier(name string, public abaton.KeyID) (note.Verifier, error) {
	if !validOrigin(name) || public == (abaton.KeyID{}) {
		return nil, refuse("verifier", "name-or-key")
	}
	return &verifier{name, public}, nil
}

func (v *verifier) Name() string    { return v.name }
func (v *verifier) KeyHash() uint32 { return keyHash(v.name, typeNote, v.key) }
func (v *verifier) Verify(message, sig []byte) bool {
	return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.key[:], message, sig)
}

// coverifier verifies cosignatures of type 0x04.
type coverifier struct {
	name string
	key  abaton.KeyID
}

// NewCosignatureVerifier verifies the cosignatures that the key made as name.
func NewCosignatureVerifier(name string, public abaton.KeyID) (note.Verifier, error) {
	if !validOrigin(name) || public == (abaton.KeyID{}) {
		return nil, refuse("verifier", "name-or-key")
	}
	return &coverifier{name, public}, nil
}

func (v *coverifier) Name() string    { return v.name }
func (v *coverifier) KeyHash() uint32 { return keyHash(v.name, typeCosigned, v.key) }
func (v *coverifier) Verify(message, sig []byte) bool {
	unix, ok := cosignatureTime(sig)
	return ok && ed25519.Verify(v.key[:], CosignedMessage(message, unix), sig[8:])
}

// cosignatureTime is the timestamp of a cosignature; a witness never leaves
// it out (c2sp.org/tlog-witness), so zero is refused.
func cosignatureTime(sig []byte) (uint64, bool) {
	if len(sig) != cosignatureSize {
		return 0, false
	}
	unix := binary.BigEndian.Uint64(sig)
	return unix, unix != 0 && unix < 1<<63
}

func keyHash(name string, kind byte, key abaton.KeyID) uint32 {
	b := append([]byte(name), '\n', kind)
	s := sha256.Sum256(append(b, key[:]...))
	return binary.BigEndian.Uint32(s[:])
}

func vkey(name string, kind byte, key abaton.KeyID) string {
	b := append([]byte{kind}, key[:]...)
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, kind, key), base64.StdEncoding.EncodeToString(b))
}

// ParseVerifierKey reads a vkey of type 0x01 (checkpoints) or 0x04
// (cosignatures).
func ParseVerifierKey(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, refuse("verifier-key", "form")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(b) != 1+ed25519.PublicKeySize || !validOrigin(parts[0]) || b[0] != typeNote && b[0] != typeCosigned {
		return nil, refuse("verifier-key", "form")
	}
	if vkey(parts[0], b[0], abaton.KeyID(b[1:])) != text {
		return nil, refuse("verifier-key", "hash")
	}
	if b[0] == typeCosigned {
		return NewCosignatureVerifier(parts[0], abaton.KeyID(b[1:]))
	}
	return NewVerifier(parts[0], abaton.KeyID(b[1:]))
}

// signatureLine is one line of a signed note.
func signatureLine(name string, hash uint32, sig []byte) []byte {
	raw := append(binary.BigEndian.AppendUint32(nil, hash), sig...)
	b := append([]byte("— "), name...)
	b = append(b, ' ')
	b = base64.StdEncoding.AppendEncode(b, raw)
	return append(b, '\n')
}
