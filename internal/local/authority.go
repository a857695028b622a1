package local

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
)

// Authorities is how many emergency authorities a local network has: patients
// need two, so that one may be down.
const Authorities = 2

// Names of an authority's binary and of its settings in its folder.
const (
	authorityBinary   = "abaton-authority"
	authoritySettings = "authority.toml"
)

// authority is one emergency authority in network.json.
type authority struct {
	Actor string `json:"actor"`
	Pin   string `json:"pin"` // hex, of its TLS key
	addresses
}

// AuthorityDir is the folder of authority i, from 1: keys, settings, log.
func (n *Network) AuthorityDir(i int) string {
	return filepath.Join(n.dir, fmt.Sprintf("authority%d", i))
}

func authorityHandle(i int) string { return fmt.Sprintf("authority-%d", i) }

// makeAuthorities makes the keys and the key logs of all authorities, each an
// organisation of its own, at two free addresses each.
func (n *Network) makeAuthorities(ctx context.Context, o Options, free []string) error {
	for i := 1; i <= Authorities; i++ {
		out, err := o.run(ctx, authorityBinary, "init", "-dir", n.AuthorityDir(i))
		if err != nil {
			return err
		}
		g, err := parseGateway(out)
		if err != nil {
			return fmt.Errorf("authority %d: %w", i, err)
		}
		var said struct{ Pin string }
		if err := json.Unmarshal(out, &said); err != nil {
			return fmt.Errorf("authority %d: %w", i, err)
		}
		p, err := n.people.NewOrganisation(authorityHandle(i), fmt.Sprintf("Emergency authority %d", i), g)
		if err != nil {
			return err
		}
		a := authority{Actor: p.ID.String(), Pin: said.Pin, addresses: addresses{Listen: free[2*i-2], Admin: free[2*i-1]}}
		if err := n.writeAuthoritySettings(i, a); err != nil {
			return err
		}
		n.form.Authorities = append(n.form.Authorities, a)
	}
	return nil
}

func (n *Network) writeAuthoritySettings(i int, a authority) error {
	return writeTOML(filepath.Join(n.AuthorityDir(i), authoritySettings), map[string]any{
		"dir": ".", "listen": a.Listen, "admin": a.Admin, "set": "../" + setFile, "set_id": n.form.SetID,
		"actor": a.Actor, "organisations": []string{n.form.Organisation}})
}

// Authorities are the key logs of this network's authorities; none in one that
// was made without.
func (n *Network) Authorities() (all []*people.Person, err error) {
	for _, a := range n.form.Authorities {
		p, err := n.people.Find(a.Actor)
		if err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		all = append(all, p)
	}
	return all, nil
}

// admitted are whom every keeper admits from the start.
func (n *Network) admitted() []string {
	all := []string{n.form.Organisation}
	if n.form.Registry != "" {
		all = append(all, n.form.Registry)
	}
	for _, a := range n.form.Authorities {
		all = append(all, a.Actor)
	}
	return all
}

// Lenders are the authorities as a reader's device reaches them. Call closeAll
// at the end.
func (n *Network) Lenders() (lenders map[abaton.ActorID]emergency.Lender, closeAll func(), err error) {
	lenders = make(map[abaton.ActorID]emergency.Lender)
	var dialled []*keeper.Client
	closeAll = func() {
		for _, k := range dialled {
			k.Close()
		}
	}
	for i, a := range n.form.Authorities {
		id, k, err := a.dial()
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("authority %d: %w", i+1, err)
		}
		lenders[id], dialled = emergency.Remote{To: k}, append(dialled, k)
	}
	return lenders, closeAll, nil
}

func (a *authority) dial() (id abaton.ActorID, k *keeper.Client, err error) {
	pin, err := hex.DecodeString(a.Pin)
	if err != nil || len(pin) != 32 {
		return id, nil, fmt.Errorf("%s is damaged", networkFile)
	}
	if id, err = abaton.ParseActorID(a.Actor); err != nil {
		return id, nil, err
	}
	k, err = keeper.Dial("https://"+a.Listen, [32]byte(pin))
	return id, k, err
}

// StartAuthority starts authority i, from 1, and waits until it serves.
func (p *Processes) StartAuthority(ctx context.Context, i int) error {
	if i < 1 || i > len(p.form.Authorities) {
		return fmt.Errorf("there is no authority %d", i)
	}
	c, err := p.launchAuthority(i)
	if err != nil {
		return err
	}
	return c.await(ctx, "http://"+p.form.Authorities[i-1].Admin+"/health")
}

func (p *Processes) launchAuthority(i int) (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if running(p.authorities[i]) {
		return nil, fmt.Errorf("authority %d runs already", i)
	}
	c, err := p.starter.start(fmt.Sprintf("authority %d", i), filepath.Join(p.binaries, authorityBinary), p.AuthorityDir(i),
		"-config", filepath.Join(p.AuthorityDir(i), authoritySettings))
	if err != nil {
		return nil, err
	}
	p.authorities[i] = c
	p.watch(c)
	return c, nil
}

func (p *Processes) startAuthorities(ctx context.Context) error {
	for i := range p.form.Authorities {
		if err := p.StartAuthority(ctx, i+1); err != nil {
			return err
		}
	}
	return nil
}

// StopAuthority ends authority i in order.
func (p *Processes) StopAuthority(i int) error { return p.end(p.authority(i), hangUp) }

// KillAuthority ends authority i as a power cut would.
func (p *Processes) KillAuthority(i int) error { return p.end(p.authority(i), syscall.SIGKILL) }

func (p *Processes) stopAuthorities() (err error) {
	for i := range p.form.Authorities {
		err = errors.Join(err, p.StopAuthority(i+1))
	}
	return err
}

func (p *Processes) authority(i int) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.authorities[i]
}

// useAuthorities has new patients name these authorities.
func (n *Network) useAuthorities() error {
	all, err := n.Authorities()
	if err != nil {
		return err
	}
	n.people.UseAuthorities(all...)
	return nil
}
