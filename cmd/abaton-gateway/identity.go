package main

import (
	"encoding/base64"
	"encoding/json"
	"io"

	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/key"
)

// identity is what makes a gateway itself. A thief of it can deposit in the
// organisation's name until its writer key is removed from the organisation's
// log, and opens no record with it.
type identity struct {
	V      uint8  `cbor:"1,keyasint"`
	Writer []byte `cbor:"2,keyasint"` // Ed25519 seed; one process's own (RULINGS 2)
	Box    []byte `cbor:"3,keyasint"` // HPKE seed of the organisation's box
	IDs    []byte `cbor:"4,keyasint"` // makes FHIR ids; the same in all of an organisation's gateways
	Outbox []byte `cbor:"5,keyasint"` // seals the outbox
}

// Fields are daemon.Identity.
func (id *identity) Fields() (version *uint8, secrets []*[]byte) {
	return &id.V, []*[]byte{&id.Writer, &id.Box, &id.IDs, &id.Outbox}
}

// announcement is what the organisation puts into its key log.
type announcement struct {
	Writer string `json:"writer"` // key1..., to be given the right to write
	Box    string `json:"box"`    // base64url, the organisation's box public key
}

func (id *identity) announcement() announcement {
	box := key.BoxFromSeed(key.Secret(id.Box)).Public().Bytes()
	return announcement{Writer: key.SigningFromSeed(key.Secret(id.Writer)).ID().String(),
		Box: base64.RawURLEncoding.EncodeToString(box)}
}

// initGateway makes the keys of a new gateway and prints their public halves.
// It never overwrites keys.
func initGateway(dir string, stdout io.Writer) error {
	id := new(identity)
	if err := daemon.MakeIdentity(dir, "a gateway", id); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(id.announcement())
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
