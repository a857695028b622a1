package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/internal/settings"
)

// config is the keeper's one settings file (docs/OPERATING.md#keeper).
// Unknown settings are refused.
type config struct {
	// Dir holds identity.key and the store; relative to the file.
	Dir string `toml:"dir"`
	// Index is this keeper's x-coordinate in the set.
	Index uint8 `toml:"index"`
	// Listen is the address for the protocol.
	Listen string `toml:"listen"`
	// Admin is a loopback address for metrics and health; empty turns both
	// off.
	Admin string `toml:"admin"`
	// Set is the keeper-set file, relative to the file.
	Set string `toml:"set"`
	// SetID is the name of the set that Set must have.
	SetID string `toml:"set_id"`
	// Organisations are the actors whose staff and patients this operator
	// admits.
	Organisations []string `toml:"organisations"`
	// PatientsPerHour bounds how many different patients one actor may
	// open here in an hour.
	PatientsPerHour int `toml:"patients_per_hour"`
	// PatientsPerDay bounds the same over 24 hours.
	PatientsPerDay int `toml:"patients_per_day"`
	// MemtableMB and CacheMB size the store.
	MemtableMB int `toml:"memtable_mb"`
	CacheMB    int `toml:"cache_mb"`
	// ShutdownSeconds is how long running requests may take to end.
	ShutdownSeconds int `toml:"shutdown_seconds"`
}

func defaults() config {
	return config{PatientsPerHour: 200, PatientsPerDay: 1000, MemtableMB: 8, CacheMB: 16, ShutdownSeconds: 10}
}

// loadConfig reads and checks the settings; every error names the setting.
func loadConfig(path string) (config, error) {
	c := defaults()
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
	case c.Index == 0 || c.Index > abaton.KeepersMax:
		return fmt.Errorf("settings: index must be 1 to %d", abaton.KeepersMax)
	case c.Set == "" || c.SetID == "":
		return errors.New("settings: set and set_id are needed")
	case c.PatientsPerHour < 1:
		return errors.New("settings: patients_per_hour must be at least 1")
	case c.PatientsPerDay < c.PatientsPerHour:
		return errors.New("settings: patients_per_day must be at least patients_per_hour")
	case c.MemtableMB < 1 || c.CacheMB < 1 || c.ShutdownSeconds < 1:
		return errors.New("settings: memtable_mb, cache_mb and shutdown_seconds must be at least 1")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("settings: listen: %w", err)
	}
	return checkAdmin(c.Admin)
}

// checkAdmin: metrics name nobody, but they are for this machine only.
func checkAdmin(addr string) error {
	if addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("settings: admin: %w", err)
	}
	if !settings.Loopback(addr) {
		return errors.New("settings: admin must be a loopback address")
	}
	return nil
}

// loadSet reads the keeper set and compares it with the pinned name and with
// this keeper's own keys.
func (c *config) loadSet(id *identity) (*actor.Set, error) {
	set, err := daemon.ReadSet(c.Set, c.SetID)
	if err != nil {
		return nil, err
	}
	own := set.Keeper(abaton.KeeperIndex(c.Index))
	if own == nil || own.Key != id.signing().ID() {
		return nil, errors.New("keeper set: this keeper's key does not stand at its index: is the change that names it in the set file?")
	}
	return set, nil
}

func (c *config) organisations() ([]abaton.ActorID, error) {
	var out []abaton.ActorID
	for _, text := range c.Organisations {
		id, err := abaton.ParseActorID(text)
		if err != nil {
			return nil, fmt.Errorf("settings: organisations: %w", err)
		}
		out = append(out, id)
	}
	return out, nil
}

func (c *config) shutdown() time.Duration { return time.Duration(c.ShutdownSeconds) * time.Second }
