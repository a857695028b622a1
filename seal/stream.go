package seal

import (
	"crypto/cipher"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

// STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015; as in age) with
// AES-256-GCM: chunks of 64 KiB, the last 1 byte to 64 KiB; the nonce is an
// 11-byte big-endian counter from 0 and one byte that is 1 on the last chunk.
// The key seals one plaintext only (PROTOCOL.md#stream).

type streamNonce [12]byte

func (n *streamNonce) set(counter uint64, last bool) {
	*n = streamNonce{}
	for i := range 8 {
		n[10-i] = byte(counter >> (8 * i))
	}
	if last {
		n[11] = 1
	}
}

// sealStream appends the sealed plain to dst.
func sealStream(dst []byte, k key.Secret, plain, aad []byte) []byte {
	aead, nonce := bodyCipher(k), streamNonce{}
	for i := uint64(0); ; i++ {
		last := len(plain) <= spread.ChunkBytes
		chunk := plain[:min(len(plain), spread.ChunkBytes)]
		plain = plain[len(chunk):]
		nonce.set(i, last)
		dst = aead.Seal(dst, nonce[:], chunk, aad)
		if last {
			return dst
		}
	}
}

// openStream is the plaintext, and false unless every chunk opens and the
// last is marked last.
func openStream(k key.Secret, sealed, aad []byte) ([]byte, bool) {
	const size = spread.ChunkBytes + spread.TagBytes
	aead, nonce := bodyCipher(k), streamNonce{}
	plain := make([]byte, 0, len(sealed))
	for i := uint64(0); ; i++ {
		last := len(sealed) <= size
		chunk := sealed[:min(len(sealed), size)]
		sealed = sealed[len(chunk):]
		// An empty chunk has no second encoding: it is refused.
		if len(chunk) <= spread.TagBytes {
			return nil, false
		}
		nonce.set(i, last)
		var err error
		if plain, err = aead.Open(plain, nonce[:], chunk, aad); err != nil {
			return nil, false
		}
		if last {
			return plain, true
		}
	}
}

// bodyCipher is AES-256-GCM, but for the mutant build.
func bodyCipher(k key.Secret) cipher.AEAD {
	if Identity {
		return identity{}
	}
	return gcm(k)
}

// identity is the cipher of the mutant build: the right lengths and no
// secrecy.
type identity struct{}

func (identity) NonceSize() int { return 12 }
func (identity) Overhead() int  { return spread.TagBytes }

func (identity) Seal(dst, _, plain, _ []byte) []byte {
	return append(append(dst, plain...), make([]byte, spread.TagBytes)...)
}

func (identity) Open(dst, _, sealed, _ []byte) ([]byte, error) {
	return append(dst, sealed[:len(sealed)-spread.TagBytes]...), nil
}
