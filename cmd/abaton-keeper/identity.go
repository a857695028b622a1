package main

import (
	"crypto/rand"
	"fmt"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// entryFile holds the public entry for the keeper-set document.
const entryFile = "entry.cbor"

// identity is what makes a keeper itself. Losing it is losing the keeper; a
// thief of it can speak as the keeper but still opens nothing.
type identity struct {
	V           uint8    `cbor:"1,keyasint"`
	Signing     []byte   `cbor:"2,keyasint"` // Ed25519 seed
	Box         []byte   `cbor:"3,keyasint"` // HPKE seed
	TLS         []byte   `cbor:"4,keyasint"` // P-256 scalar
	Incarnation [16]byte `cbor:"5,keyasint"`
}

// Fields are daemon.Identity.
func (id *identity) Fields() (version *uint8, secrets []*[]byte) {
	return &id.V, []*[]byte{&id.Signing, &id.Box, &id.TLS}
}

func (id *identity) signing() *key.Signing { return key.SigningFromSeed(key.Secret(id.Signing)) }
func (id *identity) box() *key.Box         { return key.BoxFromSeed(key.Secret(id.Box)) }

// loadIdentity reads the key file strictly, and only if it is closed to others.
func loadIdentity(dir string) (*identity, error) {
	id := new(identity)
	if err := daemon.ReadIdentity(dir, id); err != nil {
		return nil, err
	}
	return id, nil
}

// initKeeper makes the keys of a new keeper and its public entry. It never
// overwrites keys.
func initKeeper(dir string, x abaton.KeeperIndex, url, operator string) (*actor.Keeper, error) {
	id := new(identity)
	rand.Read(id.Incarnation[:])
	if err := daemon.MakeIdentity(dir, "a keeper", id); err != nil {
		return nil, err
	}
	_, pin, err := keeper.NewCertificate(id.TLS)
	if err != nil {
		return nil, err
	}
	entry := &actor.Keeper{
		X: x, Key: id.signing().ID(), Box: id.box().Public().Bytes(), URL: url, Operator: operator,
		Incarnation: id.Incarnation, SPKI: pin, Origin: originOf(operator, x),
	}
	return entry, durable.WriteFile(filepath.Join(dir, entryFile), wire.Marshal(entry), 0o644)
}

// originOf names a keeper's ledger for ever (c2sp.org/tlog-checkpoint).
func originOf(operator string, x abaton.KeeperIndex) string {
	return fmt.Sprintf("abaton/v1/%s/%d", operator, x)
}
