// Package settings reads the one settings file of a daemon, strictly.
//
//	c := defaults()
//	base, err := settings.Read(path, &c)
//	settings.Under(base, &c.Dir, &c.Set)
//
// It knows no setting: what each may be, the daemon checks. Secrets do not stand
// in settings files, only the names of files that hold them.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// Read decodes a TOML file over what is in into already, the defaults, and gives
// the folder of the file. A setting that into does not have is refused by name.
func Read(path string, into any) (base string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read settings: %w", err)
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(into); err != nil {
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
			return "", fmt.Errorf("settings: unknown setting\n%s", strict.String())
		}
		return "", fmt.Errorf("settings: %w", err)
	}
	return filepath.Dir(path), nil
}

// Under makes the paths that are given and relative ones of a folder.
func Under(base string, paths ...*string) {
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
}

// Loopback reports whether host:port can be reached from this machine only. A
// name is not looked up: what it means can change.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}
