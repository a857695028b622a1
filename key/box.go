package key

import (
	"crypto/hpke"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton/wire"
)

// Sizes of the KEM MLKEM768-X25519 (HPKE id 0x647A), in bytes.
const (
	BoxPublicBytes = 1216
	EncBytes       = 1120
	// BoxOverhead is what SealTo adds: the encapsulation and one GCM tag.
	BoxOverhead = EncBytes + 16
)

// ErrBox says that a box did not open: wrong key, wrong context or altered.
var ErrBox = errors.New("box does not open")

// ErrKey says that bytes are not a valid public key.
var ErrKey = errors.New("not a valid key")

// Box is a private HPKE key, always made from a 32-byte seed.
type Box struct {
	seed    Secret
	private hpke.PrivateKey
	public  BoxPublic
}

// BoxPublic is a public HPKE key. The zero value seals nothing.
type BoxPublic struct {
	bytes  [BoxPublicBytes]byte
	parsed hpke.PublicKey
}

// NewBox draws a box key.
func NewBox() *Box { return BoxFromSeed(NewSecret()) }

// BoxFromSeed is the key whose private form is this seed. It never derives
// with HPKE's DeriveKeyPair, which implementations do differently.
func BoxFromSeed(seed Secret) *Box {
	private, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	if err != nil {
		panic("key: every 32-byte seed is a valid MLKEM768-X25519 key")
	}
	b := &Box{seed: seed, private: private}
	b.public.parsed = private.PublicKey()
	copy(b.public.bytes[:], b.public.parsed.Bytes())
	return b
}

// Public is the public half.
func (b *Box) Public() BoxPublic { return b.public }

// Seed is the private key's seed, to be stored under lock.
func (b *Box) Seed() Secret { return b.seed }

// ParseBoxPublic reads a public key; ErrKey if it is none.
func ParseBoxPublic(data []byte) (p BoxPublic, err error) {
	if len(data) != BoxPublicBytes {
		return p, ErrKey
	}
	parsed, err := hpke.MLKEM768X25519().NewPublicKey(data)
	if err != nil {
		return p, ErrKey
	}
	copy(p.bytes[:], data)
	p.parsed = parsed
	return p, nil
}

// Bytes is the encoded public key, 1,216 bytes.
func (p BoxPublic) Bytes() []byte { return append([]byte(nil), p.bytes[:]...) }

// IsZero reports whether p holds no key.
func (p BoxPublic) IsZero() bool { return p.parsed == nil }

// Exporter yields secrets from one encapsulation (RFC 9180, section 5.3).
type Exporter interface {
	Export(context string, length int) ([]byte, error)
}

// Encapsulate opens an export-only HPKE context to p: enc travels, the
// exporter stays (RFC 9180, mode base, AEAD 0xFFFF).
func (p BoxPublic) Encapsulate(info []byte) (enc []byte, e Exporter, err error) {
	if p.parsed == nil {
		return nil, nil, ErrKey
	}
	enc, s, err := hpke.NewSender(p.parsed, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return nil, nil, fmt.Errorf("encapsulate: %w", err)
	}
	return enc, s, nil
}

// Decapsulate is the other end of Encapsulate.
func (b *Box) Decapsulate(enc, info []byte) (Exporter, error) {
	r, err := hpke.NewRecipient(enc, b.private, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return nil, ErrBox
	}
	return r, nil
}

// ExportSecret takes the 32-byte secret that label names from an exporter.
func ExportSecret(e Exporter, label wire.Label) (s Secret) {
	out, err := e.Export(string(label), len(s))
	if err != nil {
		panic("key: 32 bytes are always within HPKE's export limit")
	}
	copy(s[:], out)
	return s
}

// SealTo encrypts plaintext to p: HPKE base mode with AES-256-GCM, info =
// label || 0x00 || context. The result is enc || ciphertext.
func (p BoxPublic) SealTo(label wire.Label, context, plaintext []byte) ([]byte, error) {
	if p.parsed == nil {
		return nil, ErrKey
	}
	out, err := hpke.Seal(p.parsed, hpke.HKDFSHA256(), hpke.AES256GCM(), wire.Message(label, context), plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal box: %w", err)
	}
	return out, nil
}

// OpenFrom is the other end of SealTo; ErrBox if it does not open.
func (b *Box) OpenFrom(label wire.Label, context, sealed []byte) ([]byte, error) {
	if len(sealed) < BoxOverhead {
		return nil, ErrBox
	}
	out, err := hpke.Open(b.private, hpke.HKDFSHA256(), hpke.AES256GCM(), wire.Message(label, context), sealed)
	if err != nil {
		return nil, ErrBox
	}
	return out, nil
}
