package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton/internal/attest"
)

// authenticatorsFile is the list of authenticators that staff may enrol with.
// Unknown settings are refused.
type authenticatorsFile struct {
	// Roots are their makers' certificates, PEM.
	Roots string `toml:"roots"`
	// Models are AAGUIDs as makers print them.
	Models []string `toml:"models"`
}

var errAuthenticators = errors.New("settings: authenticators")

// readAuthenticators reads the list; an empty path takes no authenticator.
func readAuthenticators(path string) (p attest.Policy, err error) {
	if path == "" {
		return p, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return p, fmt.Errorf("%w: %w", errAuthenticators, err)
	}
	return parseAuthenticators(text)
}

func parseAuthenticators(text []byte) (p attest.Policy, err error) {
	var f authenticatorsFile
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		return p, fmt.Errorf("%w: %w", errAuthenticators, err)
	}
	p.Roots = x509.NewCertPool()
	if !p.Roots.AppendCertsFromPEM([]byte(f.Roots)) {
		return attest.Policy{}, fmt.Errorf("%w: roots hold no certificate", errAuthenticators)
	}
	for _, text := range f.Models {
		raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err != nil || len(raw) != len(attest.Model{}) {
			return attest.Policy{}, fmt.Errorf("%w: models: %q is no AAGUID", errAuthenticators, text)
		}
		p.Models = append(p.Models, attest.Model(raw))
	}
	if len(p.Models) == 0 {
		return attest.Policy{}, fmt.Errorf("%w: models are missing", errAuthenticators)
	}
	return p, nil
}
