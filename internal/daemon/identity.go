package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// IdentityFile holds a daemon's private keys, in its own folder, mode 0600.
const IdentityFile = "identity.key"

// Identity is what makes a daemon itself, as it rests in IdentityFile: a struct of
// a version and secrets, in canonical CBOR.
type Identity interface {
	// Fields are the version and the secrets, to be read and set.
	Fields() (version *uint8, secrets []*[]byte)
}

// MakeIdentity makes the folder and the secrets of a new daemon, what in words with
// its article ("a gateway"). It never overwrites keys.
func MakeIdentity(dir, what string, id Identity) error {
	_, word, _ := strings.Cut(what, " ")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s folder: %w", word, err)
	}
	path := filepath.Join(dir, IdentityFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists: %s keeps its keys", IdentityFile, what)
	}
	version, secrets := id.Fields()
	*version = wire.Version
	for _, field := range secrets {
		s := key.NewSecret()
		*field = s[:]
	}
	return durable.WriteFile(path, wire.Marshal(id), 0o600)
}

// ReadIdentity reads the key file into id strictly, and only if it is closed to
// others. Its errors name the file and nothing in it.
func ReadIdentity(dir string, id Identity) error {
	path := filepath.Join(dir, IdentityFile)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("read identity: %s is open to others; chmod 600", IdentityFile)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	return ParseIdentity(file, id)
}

// ParseIdentity decodes what is in a key file.
func ParseIdentity(file []byte, id Identity) error {
	version, secrets := id.Fields()
	bad := wire.Unmarshal(file, id) != nil || *version != wire.Version
	for _, field := range secrets {
		bad = bad || len(*field) != len(key.Secret{})
	}
	if bad {
		return fmt.Errorf("read identity: %s is damaged or of another version", IdentityFile)
	}
	return nil
}
