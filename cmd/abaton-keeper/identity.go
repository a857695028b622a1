package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// identityFile holds a keeper's private keys, in its own folder, mode 0600.
const identityFile = "identity.key"

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

func newIdentity() identity {
	id := identity{V: wire.Version}
	for _, field := range []*[]byte{&id.Signing, &id.Box, &id.TLS} {
		s := key.NewSecret()
		*field = s[:]
	}
	rand.Read(id.Incarnation[:])
	return id
}

func (id *identity) signing() *key.Signing { return key.SigningFromSeed(key.Secret(id.Signing)) }
func (id *identity) box() *key.Box         { return key.BoxFromSeed(key.Secret(id.Box)) }

// loadIdentity reads the key file strictly.
func loadIdentity(dir string) (*identity, error) {
	data, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	var id identity
	if wire.Unmarshal(data, &id) != nil || id.V != wire.Version ||
		len(id.Signing) != 32 || len(id.Box) != 32 || len(id.TLS) != 32 {
		return nil, fmt.Errorf("read identity: %s is damaged or of another version", identityFile)
	}
	return &id, nil
}

// initKeeper makes the keys of a new keeper and its public entry. It never
// overwrites keys.
func initKeeper(dir string, x abaton.KeeperIndex, url, operator string) (*actor.Keeper, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make keeper folder: %w", err)
	}
	path := filepath.Join(dir, identityFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s exists: a keeper keeps its keys", path)
	}
	id := newIdentity()
	_, pin, err := keeper.NewCertificate(id.TLS)
	if err != nil {
		return nil, err
	}
	entry := &actor.Keeper{
		X: x, Key: id.signing().ID(), Box: id.box().Public().Bytes(), URL: url, Operator: operator,
		Incarnation: id.Incarnation, SPKI: pin, Origin: originOf(operator, x),
	}
	if err := durable.WriteFile(path, wire.Marshal(id), 0o600); err != nil {
		return nil, err
	}
	return entry, durable.WriteFile(filepath.Join(dir, entryFile), wire.Marshal(entry), 0o644)
}

// originOf names a keeper's ledger for ever (c2sp.org/tlog-checkpoint).
func originOf(operator string, x abaton.KeeperIndex) string {
	return fmt.Sprintf("abaton/v1/%s/%d", operator, x)
}
