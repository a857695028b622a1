// Package local is a whole network on one machine, of real processes: five
// keepers, a gateway and two emergency authorities, each with its own folder,
// keys, port and log.
//
//	n, err := local.Make(ctx, dir, local.Options{Binaries: beside})
//	run, err := n.Start(ctx, beside)   // all eight, healthy, the clinic known
//	defer run.Stop()
//
// It is for trying, drills and tests. Five keepers of one person on one disk
// are one keeper: it shows how the system works and protects nothing.
package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// Keepers is how many keepers a local network has.
const Keepers = 5

// Names of files and folders in a network's folder.
const (
	networkFile   = "network.json"
	setFile       = "set.cbor"
	lockFile      = "lock"
	peopleFolder  = "people"
	gatewayFolder = "gateway"
	makingSuffix  = ".making"
	appsFile      = "apps.toml"
)

// Folder names of the network's clinic, of who answers for its programs and reads
// no record, of the agent that files what other systems send, and of an office
// that keeps a register and reads nothing.
const (
	OrganisationHandle = "clinic"
	StewardHandle      = "steward"
	AgentHandle        = "intake"
	RegistryHandle     = "registry"
)

// ErrNone says that the folder holds no network.
var ErrNone = errors.New("no network here")

// ErrRunning says that another process runs the network.
var ErrRunning = errors.New("the network runs already")

// form is network.json: what a network is, and where it listens.
type form struct {
	V            int              `json:"v"`
	SetID        string           `json:"set_id"`
	Organisation string           `json:"organisation"`
	Registry     string           `json:"registry,omitempty"`
	Gateway      addresses        `json:"gateway"`
	Keepers      [Keepers]address `json:"keepers"`
	Authorities  []authority      `json:"authorities,omitempty"`
}

type addresses struct {
	Listen string `json:"listen"`
	Admin  string `json:"admin"`
	Intake string `json:"intake,omitempty"` // of the gateway: where HL7 messages come in
}

type address struct {
	X abaton.KeeperIndex `json:"x"`
	addresses
}

// formVersion is the version of network.json.
const formVersion = 1

// Network is a network's folder. Its processes may run or not.
type Network struct {
	dir    string
	form   form
	set    *actor.Set
	people *people.World
}

// Open reads the network in dir; ErrNone.
func Open(dir string) (*Network, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open network: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, networkFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", filepath.Base(dir), ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("open network: %w", err)
	}
	n := &Network{dir: dir}
	if json.Unmarshal(text, &n.form) != nil || n.form.V != formVersion {
		return nil, fmt.Errorf("open network: %s is damaged or of another version", networkFile)
	}
	if len(n.form.Authorities) > Authorities {
		return nil, fmt.Errorf("open network: %s names more than %d authorities", networkFile, Authorities)
	}
	return n, n.load()
}

// load reads the keeper set and opens the people's folder; patients made there
// from now on name this network's authorities.
func (n *Network) load() error {
	file, err := os.ReadFile(n.SetFile())
	if err != nil {
		return fmt.Errorf("open network: %w", err)
	}
	if n.set, err = actor.ParseSet(file); err != nil {
		return fmt.Errorf("open network: keeper set: %w", err)
	}
	if n.set.ID().String() != n.form.SetID {
		return errors.New("open network: the keeper set is not the one of network.json")
	}
	if n.people, err = people.Open(filepath.Join(n.dir, peopleFolder), n.set); err != nil {
		return err
	}
	return n.useAuthorities()
}

// Dir is the network's folder.
func (n *Network) Dir() string { return n.dir }

// SetFile is the keeper-set file.
func (n *Network) SetFile() string { return filepath.Join(n.dir, setFile) }

// Set is the keeper set.
func (n *Network) Set() *actor.Set { return n.set }

// People is the folder of the sample people.
func (n *Network) People() *people.World { return n.people }

// Organisation is the clinic whose gateway this network has.
func (n *Network) Organisation() (*people.Person, error) { return n.people.Load(OrganisationHandle) }

// KeeperDir is a keeper's own folder: keys, store, settings, log.
func (n *Network) KeeperDir(x abaton.KeeperIndex) string {
	return filepath.Join(n.dir, fmt.Sprintf("keeper%d", x))
}

// KeeperURL is where a keeper speaks the protocol.
func (n *Network) KeeperURL(x abaton.KeeperIndex) string { return n.set.Keeper(x).URL }

// KeeperAdminURL is where a keeper tells its health and metrics.
func (n *Network) KeeperAdminURL(x abaton.KeeperIndex) string {
	return "http://" + n.form.Keepers[x-1].Admin
}

// GatewayDir is the gateway's own folder: keys, outbox, settings, log.
func (n *Network) GatewayDir() string { return filepath.Join(n.dir, gatewayFolder) }

// noApps is the registry of a new network.
const noApps = "# Apps that may ask for access: docs/OPERATING.md#apps. Read again when it changes.\n"

// SetApps replaces the registry of apps; the gateway sees it at once.
func (n *Network) SetApps(text []byte) error {
	return durable.WriteFile(filepath.Join(n.GatewayDir(), appsFile), text, 0o644)
}

// dutyFile is the gateway's list of duty charts, beside its settings.
const dutyFile = "duty"

// DutyFile is the list of duty charts of the gateway, which reads it again when it
// grows.
func (n *Network) DutyFile() string { return filepath.Join(n.GatewayDir(), dutyFile) }

// PortalURL is where a browser on this machine reaches the gateway's pages: by
// the name that its passkeys are bound to.
func (n *Network) PortalURL() string {
	_, port, err := net.SplitHostPort(n.form.Gateway.Listen)
	if err != nil {
		return "http://" + relyingPartyID
	}
	return "http://" + net.JoinHostPort(relyingPartyID, port)
}

// GatewayURL is where the gateway serves FHIR.
func (n *Network) GatewayURL() string { return "http://" + n.form.Gateway.Listen }

// IntakeAddress is where the gateway takes HL7 messages in, over MLLP; "" in a
// network that was made without.
func (n *Network) IntakeAddress() string { return n.form.Gateway.Intake }

// GatewayAdminURL is where the gateway tells its metrics.
func (n *Network) GatewayAdminURL() string { return "http://" + n.form.Gateway.Admin }

// Client speaks to the keepers as a device does. Queries are signed by asker:
// a live key of a known actor; nil can publish but not fetch. Call closeAll
// at the end.
func (n *Network) Client(asker *key.Signing) (c *client.Network, closeAll func(), err error) {
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	var dialled []*keeper.Client
	hangUp := func() {
		for _, k := range dialled {
			k.Close()
		}
	}
	for i := range n.set.Keepers {
		e := &n.set.Keepers[i]
		k, err := keeper.Dial(e.URL, e.SPKI)
		if err != nil {
			hangUp()
			return nil, nil, fmt.Errorf("keeper %d: %w", e.X, err)
		}
		keepers[e.X], dialled = k, append(dialled, k)
	}
	c, err = client.New(client.Config{Set: n.set, Keepers: keepers, Asker: asker})
	if err != nil {
		hangUp()
		return nil, nil, err
	}
	return c, func() { c.Close(); hangUp() }, nil
}
