package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/deliver"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/internal/settings"
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
	// Apps is the registry of apps (docs/OPERATING.md#apps), relative to the
	// file; empty serves no apps. It is read again when it changes.
	Apps string `toml:"apps"`
	// Authenticators is the list of authenticators that staff may enrol with
	// (docs/OPERATING.md#authenticators), relative to the file; empty takes
	// none.
	Authenticators string `toml:"authenticators"`
	// Duty is the list of duty charts (docs/OPERATING.md#duty-copies), relative
	// to the file; empty makes no duty copies. What is added to it holds at once.
	Duty string `toml:"duty"`
	// URL is where apps and browsers reach this gateway; needed with apps.
	URL string `toml:"url"`
	// PerPerson and PerAddress are how many requests a second one session, and
	// one address without a session, may send for long.
	PerPerson  int `toml:"requests_per_person"`
	PerAddress int `toml:"requests_per_address"`
	// NotifyOrigins are the origins that subscriptions may notify: https, or
	// http on a loopback address. None by default.
	NotifyOrigins []string `toml:"notify_origins"`
	// Validate says what is done with writes that are no valid FHIR: off,
	// warn or refuse.
	Validate string `toml:"validate"`
	// ObjectMaxMB is the largest object that comes as a stream, in MiB.
	ObjectMaxMB int64 `toml:"object_max_mb"`
	// ShutdownSeconds is how long running requests may take to end.
	ShutdownSeconds int `toml:"shutdown_seconds"`
	// Intake is where HL7 version 2 messages come in.
	Intake intakeConfig `toml:"intake"`
}

func defaults() config {
	return config{Listen: "127.0.0.1:8080", Validate: "off", ShutdownSeconds: 20, ObjectMaxMB: 8192,
		PerPerson: int(gateway.DefaultPerPerson().PerSecond), PerAddress: int(gateway.DefaultPerOrigin().PerSecond)}
}

// loadConfig reads and checks the settings; every error names the setting.
func loadConfig(path string) (config, error) {
	c := defaults()
	base, err := settings.Read(path, &c)
	if err != nil {
		return c, err
	}
	settings.Under(base, &c.Dir, &c.Set, &c.TLSCert, &c.TLSKey, &c.Apps, &c.Authenticators, &c.Duty, &c.Intake.ClientCA)
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
	case c.PerPerson < 1 || c.PerAddress < 1:
		return errors.New("settings: requests_per_person and requests_per_address must be at least 1")
	case slices.ContainsFunc(c.NotifyOrigins, func(origin string) bool { return !deliver.CheckOrigin(origin) }):
		return errors.New("settings: notify_origins must be origins, as https://host:port")
	case c.ObjectMaxMB < 1 || c.ObjectMaxMB > 32768:
		return errors.New("settings: object_max_mb must be 1 to 32768")
	case c.ShutdownSeconds < 1:
		return errors.New("settings: shutdown_seconds must be at least 1")
	}
	if _, err := gateway.ParseValidation(c.Validate); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if _, err := c.organisation(); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("settings: listen: %w", err)
	}
	if c.TLSCert == "" && !settings.Loopback(c.Listen) {
		return errors.New("settings: listen must be a loopback address, or tls_cert and tls_key given")
	}
	if c.Admin != "" && !settings.Loopback(c.Admin) {
		return errors.New("settings: admin must be a loopback address and a port")
	}
	if err := c.checkURL(); err != nil {
		return err
	}
	return c.Intake.check(c)
}

// checkURL wants an address for apps where there are any: proofs and
// assertions are made for it, so it cannot come from what a caller sends.
func (c *config) checkURL() error {
	if c.Apps == "" && c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.String() != c.URL || u.Path != "" || u.RawQuery != "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !settings.Loopback(u.Host)) {
		return errors.New("settings: url must be https://host[:port], or http at a loopback address; apps need it")
	}
	return nil
}

// organisation is whose gateway this is.
func (c *config) organisation() (abaton.ActorID, error) {
	id, err := abaton.ParseActorID(c.Organisation)
	if err != nil {
		return id, fmt.Errorf("settings: organisation: %w", err)
	}
	return id, nil
}

func (c *config) shutdown() time.Duration { return time.Duration(c.ShutdownSeconds) * time.Second }
