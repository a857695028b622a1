package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// cursor is where the next page begins. It leaves the gateway sealed under a
// key of the session: opaque, unchangeable, of no use to anybody else, and
// without a patient fact in the URL.
type cursor struct {
	Directory bool   `cbor:"1,keyasint"` // among the directory resources
	Updated   int64  `cbor:"2,keyasint"` // milliseconds since 1970
	Type      string `cbor:"3,keyasint"`
	ID        string `cbor:"4,keyasint"`
}

func cursorAfter(c fhir.Cursor) cursor {
	return cursor{Updated: c.LastUpdated.UnixMilli(), Type: c.Type, ID: c.ID}
}

func (c cursor) after() fhir.Cursor {
	if c.Type == "" {
		return fhir.Cursor{}
	}
	return fhir.Cursor{LastUpdated: time.UnixMilli(c.Updated).UTC(), Type: c.Type, ID: c.ID}
}

// pager seals and opens the cursors of one session.
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

// seal binds a cursor to the path and query it pages through.
func (p pager) seal(c cursor, bound string) string {
	return login.Encode(p.aead.Seal(nil, nil, wire.Marshal(c), []byte(bound)))
}

func (p pager) open(text, bound string) (c cursor, err error) {
	bad := refusal(http.StatusBadRequest, "value", "this page link is not of this session and request, or the gateway was restarted; start again from the first page")
	sealed, err := login.Decode(text)
	if err != nil {
		return cursor{}, bad
	}
	plain, err := p.aead.Open(nil, nil, sealed, []byte(bound))
	if err != nil || wire.Unmarshal(plain, &c) != nil {
		return cursor{}, bad
	}
	return c, nil
}
