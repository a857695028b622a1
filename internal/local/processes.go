package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/people"
)

// Names of the binaries, and of their settings in their folders.
const (
	keeperBinary    = "abaton-keeper"
	gatewayBinary   = "abaton-gateway"
	keeperSettings  = "keeper.toml"
	gatewaySettings = "gateway.toml"
)

// stopGrace is how long a process may take to end in order; a gateway's own
// limit is 20 seconds.
const stopGrace = 25 * time.Second

// Build says which build of a binary runs, and with which further flags. The
// zero Build is the one that ships.
type Build struct {
	Folder string // in place of Options.Binaries: bin/mutant for drills
	Flags  []string
}

// Processes are a network's processes under way. Safe for concurrent use.
type Processes struct {
	*Network
	binaries string
	starter  *starter
	lock     *os.File
	failed   chan error

	mu          sync.Mutex
	keepers     [Keepers + 1]*child
	gateway     *child
	authorities [Authorities + 1]*child
	gone        sync.WaitGroup
	endAgent    context.CancelFunc // nil while nobody plays the agent's device
}

// Start starts the keepers, the gateway and the authorities, waits until all
// serve, and makes the organisation known; ErrRunning if another process runs this network.
func (n *Network) Start(ctx context.Context, binaries string) (*Processes, error) {
	p, err := n.Hold(binaries)
	if err != nil {
		return nil, err
	}
	err = n.renewAdmins()
	for x := abaton.KeeperIndex(1); x <= Keepers && err == nil; x++ {
		err = p.LaunchKeeper(x, Build{})
	}
	for x := abaton.KeeperIndex(1); x <= Keepers && err == nil; x++ {
		err = p.AwaitKeeper(ctx, x)
	}
	if err == nil {
		err = errors.Join(p.introduce(ctx), p.enlist(ctx))
	}
	if err == nil {
		err = errors.Join(p.StartGateway(ctx, Build{}), p.playAgent(), p.startAuthorities(ctx))
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// introduce publishes the first events of the organisations and the authorities;
// again has no effect.
func (p *Processes) introduce(ctx context.Context) error {
	org, err := p.Organisation()
	if err != nil {
		return err
	}
	c, closeAll, err := p.Client(nil)
	if err != nil {
		return err
	}
	defer closeAll()
	begin, err := p.Authorities()
	if err != nil {
		return err
	}
	registry, err := p.people.Load(RegistryHandle)
	if err != nil && !errors.Is(err, people.ErrNobody) { // a network made by an older release has none
		return err
	}
	if err == nil {
		begin = append(begin, registry)
	}
	return people.Introduce(ctx, c, append(begin, org)...)
}

// Hold takes the network for this process and starts nothing yet; ErrRunning.
func (n *Network) Hold(binaries string) (*Processes, error) {
	lock, err := os.OpenFile(filepath.Join(n.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hold network: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", filepath.Base(n.dir), ErrRunning)
	}
	return &Processes{Network: n, binaries: binaries, starter: newStarter(), lock: lock, failed: make(chan error, 2*Keepers)}, nil
}

// Failed tells of processes that ended by themselves, as *ExitError.
func (p *Processes) Failed() <-chan error { return p.failed }

// watch reports a process that ends without having been told to.
func (p *Processes) watch(c *child) {
	p.gone.Go(func() {
		<-c.ended
		p.mu.Lock()
		meant := c.meant
		p.mu.Unlock()
		if !meant {
			select {
			case p.failed <- c.exit():
			default: // enough is known
			}
		}
	})
}

func (p *Processes) path(b Build, binary string) string {
	if b.Folder != "" {
		return filepath.Join(b.Folder, binary)
	}
	return filepath.Join(p.binaries, binary)
}

// LaunchKeeper starts keeper x and does not wait until it serves.
func (p *Processes) LaunchKeeper(x abaton.KeeperIndex, b Build) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if running(p.keepers[x]) {
		return fmt.Errorf("keeper %d runs already", x)
	}
	args := append([]string{"-config", filepath.Join(p.KeeperDir(x), keeperSettings)}, b.Flags...)
	c, err := p.starter.start(fmt.Sprintf("keeper %d", x), p.path(b, keeperBinary), p.KeeperDir(x), args...)
	if err != nil {
		return err
	}
	p.keepers[x] = c
	p.watch(c)
	return nil
}

// AwaitKeeper waits until keeper x serves: it has heard two others.
func (p *Processes) AwaitKeeper(ctx context.Context, x abaton.KeeperIndex) error {
	p.mu.Lock()
	c := p.keepers[x]
	p.mu.Unlock()
	if c == nil {
		return fmt.Errorf("keeper %d does not run", x)
	}
	return c.await(ctx, p.KeeperAdminURL(x)+"/health")
}

// StartKeeper is LaunchKeeper and AwaitKeeper.
func (p *Processes) StartKeeper(ctx context.Context, x abaton.KeeperIndex, b Build) error {
	if err := p.LaunchKeeper(x, b); err != nil {
		return err
	}
	return p.AwaitKeeper(ctx, x)
}

// StopKeeper ends keeper x in order.
func (p *Processes) StopKeeper(x abaton.KeeperIndex) error { return p.end(p.keeper(x), hangUp) }

// KillKeeper ends keeper x as a power cut would.
func (p *Processes) KillKeeper(x abaton.KeeperIndex) error {
	return p.end(p.keeper(x), syscall.SIGKILL)
}

// StartGateway starts the gateway and waits until it answers.
func (p *Processes) StartGateway(ctx context.Context, b Build) error {
	c, err := p.launchGateway(b)
	if err != nil {
		return err
	}
	return c.await(ctx, p.GatewayURL()+"/health")
}

func (p *Processes) launchGateway(b Build) (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if running(p.gateway) {
		return nil, errors.New("the gateway runs already")
	}
	args := append([]string{"-config", filepath.Join(p.GatewayDir(), gatewaySettings)}, b.Flags...)
	c, err := p.starter.start("gateway", p.path(b, gatewayBinary), p.GatewayDir(), args...)
	if err != nil {
		return nil, err
	}
	p.gateway = c
	p.watch(c)
	return c, nil
}

// StopGateway ends the gateway in order: running requests are answered.
func (p *Processes) StopGateway() error { return p.end(p.gatewayNow(), hangUp) }

// KillGateway ends the gateway as a power cut would.
func (p *Processes) KillGateway() error { return p.end(p.gatewayNow(), syscall.SIGKILL) }

// Running reports whether keeper x runs now.
func (p *Processes) Running(x abaton.KeeperIndex) bool { return running(p.keeper(x)) }

func (p *Processes) keeper(x abaton.KeeperIndex) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keepers[x]
}

func (p *Processes) gatewayNow() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gateway
}

func running(c *child) bool {
	if c == nil {
		return false
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// end ends one process; one that does not run has ended.
func (p *Processes) end(c *child, signal syscall.Signal) error {
	if !running(c) {
		return nil
	}
	p.mu.Lock()
	c.meant = true
	p.mu.Unlock()
	return c.end(signal, stopGrace)
}

// Stop ends all of them in order, the gateway first so that it can hand over
// what it holds, and lets go of the network.
func (p *Processes) Stop() error {
	if p.endAgent != nil {
		p.endAgent()
	}
	err := errors.Join(p.StopGateway(), p.stopAuthorities())
	var wg sync.WaitGroup
	errs := make([]error, Keepers+1)
	for x := abaton.KeeperIndex(1); x <= Keepers; x++ {
		wg.Go(func() { errs[x] = p.StopKeeper(x) })
	}
	wg.Wait()
	p.gone.Wait()
	p.starter.close()
	return errors.Join(append(errs, err, p.lock.Close())...)
}
