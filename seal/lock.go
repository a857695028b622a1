package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// locked is a LOCK with what goes to each keeper.
type locked struct {
	lockSigned wire.Signed
	capsule    [][]byte     // by position
	shares     [][][32]byte // position, record; zero where gone
}

// makeLock fills in and signs l: encapsulates to the segment, masks the record
// keys, shares them, and cuts the capsule. Records in l.Gone have no key.
func makeLock(l *spread.Lock, line abaton.Line, shape spread.Shape, code *spread.Code, segment key.BoxPublic, e *entropy, keys []key.Secret, box authorBox, locker *key.Signing) (locked, error) {
	ctx := spread.Ctx(line, l)
	encapsulate := segment.Encapsulate
	if e.encapsulate != nil {
		encapsulate = e.encapsulate
	}
	enc, exporter, err := encapsulate(ctx[:])
	if err != nil {
		return locked{}, fmt.Errorf("lock: %w", err)
	}
	k1 := key.ExportSecret(exporter, wire.K1)
	out := locked{capsule: code.Encode(append(enc, box.seal(k1, ctx)...)), shares: make([][][32]byte, shape.N)}
	leaves := make([][]spread.Hash32, shape.N)
	for j, dek := range keys {
		gone := l.Gone>>j&1 == 1
		shares := make([]spread.Share, shape.N)
		if !gone {
			shares = split(xor(dek, maskOf(k1, j)), j, shape, e)
		}
		for p, x := range shape.X {
			leaf := spread.GoneLeaf(ctx, x, uint16(j))
			if !gone {
				leaf = spread.ShareLeaf(ctx, x, uint16(j), shares[p].Y)
			}
			leaves[p] = append(leaves[p], leaf)
			out.shares[p] = append(out.shares[p], shares[p].Y)
		}
	}
	for p, x := range shape.X {
		l.Kappa = append(l.Kappa, spread.CapsuleHash(ctx, x, out.capsule[p]))
		l.Rho = append(l.Rho, spread.Root(leaves[p]))
	}
	out.lockSigned = locker.Seal(wire.Lock, l.Bytes())
	return out, nil
}

func split(masked [32]byte, j int, shape spread.Shape, e *entropy) []spread.Share {
	if e.coefficients != nil {
		return spread.Evaluate(masked, e.coefficients(j), shape.X)
	}
	return spread.Split(masked, int(shape.T), shape.X)
}

// maskOf is mask_j: what hides the record key inside its shares.
func maskOf(k1 key.Secret, j int) key.Secret {
	return key.Expand(k1[:], wire.Mask, wire.U16(uint16(j)))
}

func xor(a, b key.Secret) (out [32]byte) {
	for i := range out {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// authorBox says, to readers only, who signed for the content.
type authorBox struct {
	actor abaton.ActorID
	sig   [key.SignatureBytes]byte
}

// seal encrypts under a key that serves this one message, so nonce 0 is used
// once.
func (a authorBox) seal(k1 key.Secret, ctx spread.Hash32) []byte {
	plain := append(append([]byte(nil), a.actor[:]...), a.sig[:]...)
	aead := gcm(key.Expand(k1[:], wire.AuthorBox))
	return aead.Seal(nil, make([]byte, aead.NonceSize()), plain, ctx[:])
}

func openAuthorBox(k1 key.Secret, ctx spread.Hash32, sealed []byte) (a authorBox, ok bool) {
	aead := gcm(key.Expand(k1[:], wire.AuthorBox))
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, ctx[:])
	if err != nil || len(plain) != len(a.actor)+len(a.sig) {
		return a, false
	}
	copy(a.actor[:], plain)
	copy(a.sig[:], plain[len(a.actor):])
	return a, true
}

func gcm(k key.Secret) cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("seal: 32 bytes are an AES-256 key")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: AES has the block size of GCM")
	}
	return aead
}
