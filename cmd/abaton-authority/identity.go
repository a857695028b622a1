package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"

	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// identity is what makes an authority itself. A thief of it has half A of every
// set that names this authority, and opens nothing without three keepers, each
// of which asks everything anew.
type identity struct {
	V    uint8  `cbor:"1,keyasint"`
	Asks []byte `cbor:"2,keyasint"` // Ed25519 seed; asks keepers for key logs
	Box  []byte `cbor:"3,keyasint"` // HPKE seed; patients seal half A to it
	TLS  []byte `cbor:"4,keyasint"` // P-256 scalar
}

// Fields are daemon.Identity.
func (id *identity) Fields() (version *uint8, secrets []*[]byte) {
	return &id.V, []*[]byte{&id.Asks, &id.Box, &id.TLS}
}

func (id *identity) asks() *key.Signing { return key.SigningFromSeed(key.Secret(id.Asks)) }
func (id *identity) box() *key.Box      { return key.BoxFromSeed(key.Secret(id.Box)) }

// announcement is what goes into the authority's key log, and what readers pin.
type announcement struct {
	Writer string `json:"writer"` // key1..., the key that asks
	Box    string `json:"box"`    // base64url, the box public key
	Pin    string `json:"pin"`    // hex, of its TLS key
}

func (id *identity) announcement() (announcement, error) {
	_, pin, err := keeper.NewCertificate(id.TLS)
	return announcement{Writer: id.asks().ID().String(), Box: base64.RawURLEncoding.EncodeToString(id.box().Public().Bytes()),
		Pin: hex.EncodeToString(pin[:])}, err
}

// initAuthority makes the keys of a new authority and prints their public
// halves. It never overwrites keys.
func initAuthority(dir string, stdout io.Writer) error {
	id := new(identity)
	if err := daemon.MakeIdentity(dir, "an authority", id); err != nil {
		return err
	}
	said, err := id.announcement()
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(said)
}

// loadIdentity reads the key file strictly, and only if it is closed to
// others.
func loadIdentity(dir string) (*identity, error) {
	id := new(identity)
	if err := daemon.ReadIdentity(dir, id); err != nil {
		return nil, err
	}
	return id, nil
}
