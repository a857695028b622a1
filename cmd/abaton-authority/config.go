package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/settings"
)

// config is the authority's one settings file (docs/OPERATING.md#authority).
// Unknown settings are refused.
type config struct {
	// Dir holds identity.key; relative to the file.
	Dir string `toml:"dir"`
	// Listen is the address for readers (TLS 1.3, pinned).
	Listen string `toml:"listen"`
	// Admin is a loopback address for health; empty turns it off.
	Admin string `toml:"admin"`
	// Set is the keeper-set file, relative to the file.
	Set string `toml:"set"`
	// SetID is the name of the set that Set must have.
	SetID string `toml:"set_id"`
	// Actor is this authority's own key log.
	Actor string `toml:"actor"`
	// Organisations are those whose clinicians it serves.
	Organisations []string `toml:"organisations"`
	// ShutdownSeconds is how long running requests may take to end.
	ShutdownSeconds int `toml:"shutdown_seconds"`
}

// loadConfig reads and checks the settings; every error names the setting.
func loadConfig(path string) (config, error) {
	c := config{ShutdownSeconds: 10}
	base, err := settings.Read(path, &c)
	if err != nil {
		return c, err
	}
	settings.Under(base, &c.Dir, &c.Set)
	return c, c.check()
}

func (c *config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("settings: dir is missing")
	case c.Set == "" || c.SetID == "":
		return errors.New("settings: set and set_id are needed")
	case c.ShutdownSeconds < 1:
		return errors.New("settings: shutdown_seconds must be at least 1")
	case c.Admin != "" && !settings.Loopback(c.Admin):
		return errors.New("settings: admin must be a loopback address and a port")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("settings: listen: %w", err)
	}
	if _, err := abaton.ParseActorID(c.Actor); err != nil {
		return fmt.Errorf("settings: actor: %w", err)
	}
	_, err := c.organisations()
	return err
}

// organisations are whom it serves: at least one, for an authority that serves
// nobody is a mistake.
func (c *config) organisations() (served []abaton.ActorID, err error) {
	if len(c.Organisations) == 0 {
		return nil, errors.New("settings: organisations is missing")
	}
	for _, text := range c.Organisations {
		id, err := abaton.ParseActorID(text)
		if err != nil {
			return nil, fmt.Errorf("settings: organisations: %w", err)
		}
		served = append(served, id)
	}
	return served, nil
}

func (c *config) shutdown() time.Duration { return time.Duration(c.ShutdownSeconds) * time.Second }
