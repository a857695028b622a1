package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// identityFile holds a gateway's private keys, in its own folder, mode 0600.
const identityFile = "identity.key"

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

func (id *identity) fields() []*[]byte { return []*[]byte{&id.Writer, &id.Box, &id.IDs, &id.Outbox} }

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
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make gateway folder: %w", err)
	}
	path := filepath.Join(dir, identityFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists: a gateway keeps its keys", identityFile)
	}
	id := &identity{V: wire.Version}
	for _, field := range id.fields() {
		s := key.NewSecret()
		*field = s[:]
	}
	if err := durable.WriteFile(path, wire.Marshal(id), 0o600); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(id.announcement())
}

// loadIdentity reads the key file strictly, and only if it is closed to
// others.
func loadIdentity(dir string) (*identity, error) {
	path := filepath.Join(dir, identityFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read identity: %s is open to others; chmod 600", identityFile)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	id := new(identity)
	bad := wire.Unmarshal(file, id) != nil || id.V != wire.Version
	for _, field := range id.fields() {
		bad = bad || len(*field) != len(key.Secret{})
	}
	if bad {
		return nil, fmt.Errorf("read identity: %s is damaged or of another version", identityFile)
	}
	return id, nil
}
