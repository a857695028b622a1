package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"net/http"

	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// pager seals and opens the places at which next pages begin. A place leaves
// the gateway sealed under a key of the session: opaque, unchangeable, of no
// use to anybody else, and without a patient fact in the URL.
type pager struct{ aead cipher.AEAD }

func newPager(secret key.Secret) pager {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic("gateway: 32 bytes are an AES-256 key")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("gateway: AES has the block size of GCM")
	}
	return pager{aead}
}

// newPagerSecret is a key for one session's cursors.
func newPagerSecret() (s key.Secret) {
	rand.Read(s[:])
	return s
}

// seal binds a place to the path that it pages through.
func (p pager) seal(at any, bound string) string {
	return login.Encode(p.aead.Seal(nil, nil, wire.Marshal(at), []byte(bound)))
}

// open reads what seal wrote for the same path in the same session.
func (p pager) open(text, bound string, at any) error {
	bad := refusal(http.StatusBadRequest, "value", "this page link is not of this session and request, or the gateway was restarted; start again from the first page")
	sealed, err := login.Decode(text)
	if err != nil {
		return bad
	}
	plain, err := p.aead.Open(nil, nil, sealed, []byte(bound))
	if err != nil || wire.Unmarshal(plain, at) != nil {
		return bad
	}
	return nil
}
