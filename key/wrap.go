package key

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton/wire"
)

// Sizes of a wrapped root, in bytes.
const (
	wrapNonceBytes = 12
	// RootWrapBytes is the length of a root under a passkey's PRF.
	RootWrapBytes = wrapNonceBytes + 32 + 16
)

// ErrWrap says that a wrapped root did not open: another passkey, or altered.
var ErrWrap = errors.New("wrapped root does not open")

// WrapRoot seals a root's secret under prf, what the passkey with this
// WebAuthn credential id gave for "abaton/v1/root" (PROTOCOL.md#root-wrap).
// Whoever keeps the result keeps ciphertext. ErrKey for a zero prf or secret.
func WrapRoot(prf, secret Secret, credentialID []byte) ([]byte, error) {
	if prf.IsZero() || secret.IsZero() {
		return nil, fmt.Errorf("wrap root: %w", ErrKey)
	}
	nonce := make([]byte, wrapNonceBytes)
	rand.Read(nonce)
	return wrapAEAD(prf).Seal(nonce, nonce, secret[:], wire.Message(wire.RootWrap, credentialID)), nil
}

// UnwrapRoot is the other end of WrapRoot; ErrWrap if it does not open.
func UnwrapRoot(prf Secret, credentialID, wrapped []byte) (secret Secret, err error) {
	if prf.IsZero() || len(wrapped) != RootWrapBytes {
		return secret, ErrWrap
	}
	nonce, sealed := wrapped[:wrapNonceBytes], wrapped[wrapNonceBytes:]
	plain, err := wrapAEAD(prf).Open(nil, nonce, sealed, wire.Message(wire.RootWrap, credentialID))
	if err != nil {
		return secret, ErrWrap
	}
	copy(secret[:], plain)
	return secret, nil
}

func wrapAEAD(prf Secret) cipher.AEAD {
	prk := Extract(nil, prf[:])
	k := Expand(prk[:], wire.RootWrap)
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("key: AES takes 32 bytes")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("key: AES-GCM with its own nonce size always is")
	}
	return aead
}
