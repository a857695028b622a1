package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Options say how a network is made.
type Options struct {
	// Binaries is the folder of abaton-keeper, abaton-gateway and abaton-authority.
	Binaries string
	// Listen is the gateway's address; empty takes a free loopback port.
	Listen string
	// Keeper adds settings to every keeper's keeper.toml, or replaces them.
	Keeper map[string]any
	// RecoveryWait is how long recoveries wait in this network; zero is the
	// rule. Less stands in the keeper set for all to see.
	RecoveryWait time.Duration
}

// relyingParty is where passkeys are used: the sample people's say the first
// origin, a browser on this machine says the second, the gateway's pages.
func (n *Network) relyingParty() key.RelyingParty {
	return key.RelyingParty{ID: relyingPartyID, Origins: []string{"https://" + relyingPartyID, n.PortalURL()}}
}

const relyingPartyID = "localhost"

// patientsPerHour lets an importer open many new charts on one machine; the
// default of a real keeper is lower.
const patientsPerHour = 100_000

// Make makes a network in dir, which must be missing or empty, or opens the
// one that is there. A network appears whole or not at all.
func Make(ctx context.Context, dir string, o Options) (*Network, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	n, err := Open(dir)
	if !errors.Is(err, ErrNone) {
		return n, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("make network: %s holds other things; name an empty or a new folder", filepath.Base(dir))
	}
	making := dir + makingSuffix
	if err := os.RemoveAll(making); err != nil { // of an earlier try
		return nil, fmt.Errorf("make network: %w", err)
	}
	if err := os.MkdirAll(making, 0o700); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if err := makeIn(ctx, making, o); err != nil {
		return nil, errors.Join(fmt.Errorf("make network: %w", err), os.RemoveAll(making))
	}
	if err := os.Rename(making, dir); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	return Open(dir)
}

// makeIn is the order in which things must come to be: keepers, their set,
// the gateway's keys, the organisation, then the settings that name them all.
func makeIn(ctx context.Context, dir string, o Options) error {
	n := &Network{dir: dir, form: form{V: formVersion}}
	free, err := freeAddresses(2*Keepers + 3 + 2*Authorities)
	if err != nil {
		return err
	}
	n.form.Gateway = addresses{Listen: free[0], Admin: free[1], Intake: free[2]}
	if o.Listen != "" {
		n.form.Gateway.Listen = o.Listen
	}
	for i := range n.form.Keepers {
		n.form.Keepers[i] = address{abaton.KeeperIndex(i + 1), addresses{Listen: free[3+2*i], Admin: free[4+2*i]}}
	}
	for _, k := range n.form.Keepers {
		if err := o.initKeeper(ctx, n.KeeperDir(k.X), k); err != nil {
			return err
		}
	}
	if err := n.makeSet(ctx, o); err != nil {
		return err
	}
	if err := n.load(); err != nil {
		return err
	}
	g, err := o.initGateway(ctx, n.GatewayDir())
	if err != nil {
		return err
	}
	org, err := n.people.NewHospital(OrganisationHandle, "Sample Clinic", g)
	if err != nil {
		return err
	}
	n.form.Organisation = org.ID.String()
	if err := n.makeAuthorities(ctx, o, free[2*Keepers+3:]); err != nil {
		return err
	}
	if err := n.makeRegistry(); err != nil {
		return err
	}
	if _, err := n.people.NewClinician(StewardHandle, "Steward", org, abaton.RoleAdministrator); err != nil {
		return err
	}
	agent, err := n.people.NewAgent(AgentHandle, "Intake", nil, org, abaton.RoleIntake)
	if err != nil {
		return err
	}
	return n.writeSettings(o, agent)
}

// run runs one of the binaries to its end and gives what it wrote.
func (o *Options) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, filepath.Join(o.Binaries, name), args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

func (o *Options) initKeeper(ctx context.Context, dir string, k address) error {
	_, err := o.run(ctx, keeperBinary, "init", "-dir", dir, "-index", strconv.Itoa(int(k.X)),
		"-url", "https://"+k.Listen, "-operator", fmt.Sprintf("local-%d", k.X))
	return err
}

// makeSet writes the set document, has each keeper sign it, and keeps it.
func (n *Network) makeSet(ctx context.Context, o Options) error {
	d := actor.Document{V: wire.Version, N: Keepers, K: 3, T: 3, W: 4, F: 1, RelyingParty: n.relyingParty(),
		Wait: uint32(o.RecoveryWait / time.Second)}
	for _, k := range n.form.Keepers {
		entry, err := os.ReadFile(filepath.Join(n.KeeperDir(k.X), "entry.cbor"))
		if err != nil {
			return fmt.Errorf("keeper %d: %w", k.X, err)
		}
		var e actor.Keeper
		if err := wire.Unmarshal(entry, &e); err != nil {
			return fmt.Errorf("keeper %d: %w", k.X, err)
		}
		d.Keepers = append(d.Keepers, e)
	}
	in := &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal()}
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	proofs, err := n.signatures(ctx, o, event)
	if err != nil {
		return err
	}
	n.form.SetID = actor.IDOf(event).String()
	return durable.WriteFile(n.SetFile(), actor.MarshalSet([]actor.SignedEvent{actor.Signed(event, proofs...)}), 0o644)
}

// signatures are each keeper's own proof of the set's first event.
func (n *Network) signatures(ctx context.Context, o Options, event []byte) ([]actor.Proof, error) {
	file := filepath.Join(n.dir, "inception.cbor")
	if err := durable.WriteFile(file, event, 0o644); err != nil {
		return nil, err
	}
	defer os.Remove(file)
	var proofs []actor.Proof
	for _, k := range n.form.Keepers {
		out, err := o.run(ctx, keeperBinary, "sign", "-dir", n.KeeperDir(k.X), file)
		if err != nil {
			return nil, err
		}
		var p actor.Proof
		if err := wire.Unmarshal(out, &p); err != nil {
			return nil, fmt.Errorf("keeper %d, proof: %w", k.X, err)
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

// initGateway makes the gateway's keys and gives their public halves.
func (o *Options) initGateway(ctx context.Context, dir string) (g people.Gateway, err error) {
	out, err := o.run(ctx, gatewayBinary, "init", "-dir", dir)
	if err != nil {
		return g, err
	}
	if g, err = parseGateway(out); err != nil {
		return g, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

// parseGateway reads what a daemon's init printed.
func parseGateway(out []byte) (g people.Gateway, err error) {
	var said struct{ Writer, Box string }
	if err := json.Unmarshal(out, &said); err != nil {
		return g, fmt.Errorf("keys: %w", err)
	}
	box, err := base64.RawURLEncoding.DecodeString(said.Box)
	if err != nil {
		return g, fmt.Errorf("box: %w", err)
	}
	if g.Box, err = key.ParseBoxPublic(box); err != nil {
		return g, fmt.Errorf("box: %w", err)
	}
	if g.Writer, err = abaton.ParseKeyID(said.Writer); err != nil {
		return g, fmt.Errorf("writer key: %w", err)
	}
	return g, nil
}

// writeSettings writes every process's settings and, last, network.json.
func (n *Network) writeSettings(o Options, agent *people.Person) error {
	for _, k := range n.form.Keepers {
		if err := n.writeKeeperSettings(k, o.Keeper); err != nil {
			return err
		}
	}
	settings := map[string]any{"dir": ".", "listen": n.form.Gateway.Listen, "admin": n.form.Gateway.Admin,
		"set": "../" + setFile, "set_id": n.form.SetID, "organisation": n.form.Organisation,
		"url": n.GatewayURL(), "apps": appsFile, "duty": dutyFile, "intake": n.intakeSettings(agent)}
	if err := n.SetApps([]byte(noApps)); err != nil {
		return err
	}
	if err := durable.WriteFile(n.DutyFile(), nil, 0o600); err != nil {
		return err
	}
	if err := writeTOML(filepath.Join(n.GatewayDir(), gatewaySettings), settings); err != nil {
		return err
	}
	return n.writeForm()
}

// writeKeeperSettings writes one keeper's settings, with those added that were
// asked for.
func (n *Network) writeKeeperSettings(k address, more map[string]any) error {
	settings := map[string]any{
		"dir": ".", "index": int(k.X), "listen": k.Listen, "admin": k.Admin, "set": "../" + setFile, "set_id": n.form.SetID,
		"organisations": n.admitted(), "patients_per_hour": patientsPerHour, "patients_per_day": 2 * patientsPerHour,
	}
	for name, value := range more {
		settings[name] = value
	}
	return writeTOML(filepath.Join(n.KeeperDir(k.X), keeperSettings), settings)
}

func (n *Network) writeForm() error {
	text, err := json.MarshalIndent(n.form, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(n.dir, networkFile), append(text, '\n'), 0o644)
}

func writeTOML(path string, settings map[string]any) error {
	text, err := toml.Marshal(settings)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, text, 0o644)
}
