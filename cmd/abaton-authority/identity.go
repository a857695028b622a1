package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// identityFile holds an authority's private keys, in its own folder, mode 0600.
const identityFile = "identity.key"

// identity is what makes an authority itself. A thief of it has half A of every
// set that names this authority, and opens nothing without three keepers, each
// of which asks everything anew.
type identity struct {
	V    uint8  `cbor:"1,keyasint"`
	Asks []byte `cbor:"2,keyasint"` // Ed25519 seed; asks keepers for key logs
	Box  []byte `cbor:"3,keyasint"` // HPKE seed; patients seal half A to it
	TLS  []byte `cbor:"4,keyasint"` // P-256 scalar
}

func (id *identity) fields() []*[]byte { return []*[]byte{&id.Asks, &id.Box, &id.TLS} }

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
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make authority folder: %w", err)
	}
	path := filepath.Join(dir, identityFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists: an authority keeps its keys", identityFile)
	}
	id := &identity{V: wire.Version}
	for _, field := range id.fields() {
		s := key.NewSecret()
		*field = s[:]
	}
	said, err := id.announcement()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, wire.Marshal(id), 0o600); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(said)
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
