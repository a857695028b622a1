package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"

	"github.com/abaton-health/abaton/wire"
)

// Credential names a passkey: the hash of its algorithm and public key
// (PROTOCOL.md#passkey). The zero Credential names none.
type Credential [32]byte

// Public is a passkey's public key as it travels: one byte of algorithm, then
// the key. There is no negotiation: the algorithm is part of the name. Whoever
// enrols one asks Valid first; Verify asks again.
type Public []byte

// The algorithms of version 1 (PROTOCOL.md#passkey). Zero is none.
const (
	AlgorithmES256 = 1 // COSE -7: ECDSA over P-256; an uncompressed point of 65 bytes
	AlgorithmEdDSA = 2 // COSE -8: Ed25519; 32 bytes (RFC 8032, section 5.1.2)
	AlgorithmRS256 = 3 // COSE -257: RSASSA-PKCS1-v1_5, e = 65537; the modulus
)

// Bounds of an RSA modulus, in bits: below 2,048 it can be factored within
// the life of a record, above 4,096 one check takes a keeper too long.
const (
	ModulusBitsMin = 2048
	ModulusBitsMax = 4096
	exponent       = 65537
)

// PublicBytesMax is the largest passkey public key, in bytes.
const PublicBytesMax = 1 + ModulusBitsMax/8

// Credential is the name of the passkey with this public key.
func (p Public) Credential() Credential { return wire.Hash(wire.Credential, p) }

// Valid reports whether p is a public key in its one form: a known algorithm,
// the exact length, a point of the curve (for EdDSA not one of small order,
// under which anybody could sign), a modulus of allowed size that is odd.
func (p Public) Valid() bool { return p.parse() != nil }

// verifier checks a signature over message with one parsed public key.
type verifier func(message, sig []byte) bool

// parse is nil when p is not valid.
func (p Public) parse() verifier {
	if len(p) == 0 {
		return nil
	}
	switch rest := p[1:]; p[0] {
	case AlgorithmES256:
		return parseES256(rest)
	case AlgorithmEdDSA:
		return parseEdDSA(rest)
	case AlgorithmRS256:
		return parseRS256(rest)
	}
	return nil
}

func parseES256(b []byte) verifier {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	if err != nil {
		return nil
	}
	return func(message, sig []byte) bool {
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(public, sum[:], sig)
	}
}

func parseEdDSA(b []byte) verifier {
	if len(b) != ed25519.PublicKeySize || !onEdwards(b) {
		return nil
	}
	return func(message, sig []byte) bool { return ed25519.Verify(b, message, sig) }
}

func parseRS256(b []byte) verifier {
	n := new(big.Int).SetBytes(b)
	if len(b) == 0 || b[0] == 0 || n.BitLen() < ModulusBitsMin || n.BitLen() > ModulusBitsMax || n.Bit(0) == 0 {
		return nil
	}
	public := &rsa.PublicKey{N: n, E: exponent}
	return func(message, sig []byte) bool {
		sum := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
	}
}

// onEdwards reports whether b is the canonical encoding of a point of
// edwards25519 that is not of small order (RFC 8032, section 5.1.3). The
// standard library decodes such points too, but does not say so apart from a
// signature; nothing here is secret, so math/big will do.
func onEdwards(b []byte) bool {
	p := new(big.Int).Lsh(big.NewInt(1), 255)
	p.Sub(p, big.NewInt(19))
	var le [32]byte
	for i, c := range b {
		le[31-i] = c
	}
	le[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(le[:])
	if y.Cmp(p) >= 0 {
		return false
	}
	one := big.NewInt(1)
	y2 := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(y2, one) // x² = u/v
	v := new(big.Int).Mul(y2, edwardsD(p))
	v.Add(v, one)
	square := new(big.Int).Mul(u, v)
	if big.Jacobi(square.Mod(square, p), p) != 1 { // 0: x = 0, order 1 or 2
		return false
	}
	return !smallOrder(y, y2, p)
}

// edwardsD is the curve's d = -121665/121666.
func edwardsD(p *big.Int) *big.Int {
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	return d.Mod(d.Mul(d, big.NewInt(-121665)), p)
}

// smallOrder reports whether a point of the curve with this y has order 4 or
// 8: y = 0, or its double has y = 0. The y of a double is (y² + x²) / (2 + x²
// - y²) over -x² + y² = 1 + d x² y², so the double has y = 0 where x² = -y²,
// which the curve's equation turns into d y⁴ + 2 y² - 1 = 0.
func smallOrder(y, y2, p *big.Int) bool {
	if y.Sign() == 0 {
		return true
	}
	sum := new(big.Int).Mul(y2, y2)
	sum.Mul(sum, edwardsD(p))
	sum.Add(sum, new(big.Int).Lsh(y2, 1))
	sum.Sub(sum, big.NewInt(1))
	return sum.Mod(sum, p).Sign() == 0
}
