package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// config is the gateway's one settings file (docs/OPERATING.md#gateway).
// Unknown settings are refused.
type config struct {
	// Dir holds identity.key and the outbox; relative to the file.
	Dir string `toml:"dir"`
	// Listen is the address for FHIR. Without TLS it must be a loopback
	// address.
	Listen string `toml:"listen"`
	// TLSCert and TLSKey are PEM files, relative to the file; both or none.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
	// Admin is a loopback address for metrics and health; empty turns both
	// off.
	Admin string `toml:"admin"`
	// Set is the keeper-set file, relative to the file.
	Set string `toml:"set"`
	// SetID is the name of the set that Set must have.
	SetID string `toml:"set_id"`
	// Organisation is whose gateway this is.
	Organisation string `toml:"organisation"`
	// ObjectMaxMB is the largest object that comes as a stream, in MiB.
	ObjectMaxMB int64 `toml:"object_max_mb"`
	// ShutdownSeconds is how long running requests may take to end.
	ShutdownSeconds int `toml:"shutdown_seconds"`
}

func defaults() config {
	return config{Listen: "127.0.0.1:8080", ShutdownSeconds: 20, ObjectMaxMB: 8192}
}

// loadConfig reads and checks the settings; every error names the setting.
func loadConfig(path string) (config, error) {
	c := defaults()
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read settings: %w", err)
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&c); err != nil {
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
			return c, fmt.Errorf("settings: unknown setting\n%s", strict.String())
		}
		return c, fmt.Errorf("settings: %w", err)
	}
	base := filepath.Dir(path)
	for _, p := range []*string{&c.Dir, &c.Set, &c.TLSCert, &c.TLSKey} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	return c, c.check()
}

func (c *config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("settings: dir is missing")
	case c.Set == "" || c.SetID == "":
		return errors.New("settings: set and set_id are needed")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("settings: tls_cert and tls_key go together")
	case c.ObjectMaxMB < 1 || c.ObjectMaxMB > 32768:
		return errors.New("settings: object_max_mb must be 1 to 32768")
	case c.ShutdownSeconds < 1:
		return errors.New("settings: shutdown_seconds must be at least 1")
	}
	if _, err := c.organisation(); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("settings: listen: %w", err)
	}
	if c.TLSCert == "" && !loopback(c.Listen) {
		return errors.New("settings: listen must be a loopback address, or tls_cert and tls_key given")
	}
	if c.Admin != "" && !loopback(c.Admin) {
		return errors.New("settings: admin must be a loopback address and a port")
	}
	return nil
}

// loopback reports whether an address can be reached from this machine only.
// A name is not looked up: what it means can change.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// organisation is whose gateway this is.
func (c *config) organisation() (abaton.ActorID, error) {
	id, err := abaton.ParseActorID(c.Organisation)
	if err != nil {
		return id, fmt.Errorf("settings: organisation: %w", err)
	}
	return id, nil
}

// loadSet reads the keeper set and compares it with the pinned name.
func (c *config) loadSet() (*actor.Set, error) {
	file, err := os.ReadFile(c.Set)
	if err != nil {
		return nil, fmt.Errorf("read keeper set: %w", err)
	}
	set, err := actor.ParseSet(file)
	if err != nil {
		return nil, fmt.Errorf("keeper set: %w", err)
	}
	if set.ID().String() != c.SetID {
		return nil, errors.New("keeper set: the file is not the set named by set_id")
	}
	return set, nil
}

func (c *config) shutdown() time.Duration { return time.Duration(c.ShutdownSeconds) * time.Second }
