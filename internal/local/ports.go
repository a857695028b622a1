package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// Ports are taken below the range from which systems give out ports of their
// own accord, so that no passing connection sits on a keeper's port at the
// next start.
const (
	portFirst = 20_000
	portLast  = 31_999
	portTries = 1_000
)

// freeAddresses are different loopback addresses on which nobody listens now.
func freeAddresses(count int) ([]string, error) {
	var held []net.Listener
	defer func() {
		for _, ln := range held {
			ln.Close()
		}
	}()
	var free []string
	for range portTries {
		port, err := rand.Int(rand.Reader, big.NewInt(portLast-portFirst+1))
		if err != nil {
			return nil, fmt.Errorf("choose ports: %w", err)
		}
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", portFirst+port.Int64()))
		if err != nil {
			continue
		}
		held = append(held, ln)
		if free = append(free, ln.Addr().String()); len(free) == count {
			return free, nil
		}
	}
	return nil, errors.New("choose ports: too few free ports on this machine")
}

// renewAdmins gives another admin address to each process whose own is taken
// meanwhile. The addresses of the protocol stand in the keeper set and of FHIR
// in clients' settings: those stay.
func (n *Network) renewAdmins() error {
	at := map[string]*string{filepath.Join(n.GatewayDir(), gatewaySettings): &n.form.Gateway.Admin}
	for i := range n.form.Keepers {
		k := &n.form.Keepers[i]
		at[filepath.Join(n.KeeperDir(k.X), keeperSettings)] = &k.Admin
	}
	for i := range n.form.Authorities {
		at[filepath.Join(n.AuthorityDir(i+1), authoritySettings)] = &n.form.Authorities[i].Admin
	}
	changed := false
	for file, admin := range at {
		if isFree(*admin) {
			continue
		}
		free, err := freeAddresses(1)
		if err != nil {
			return err
		}
		if err := setAdmin(file, free[0]); err != nil {
			return err
		}
		*admin, changed = free[0], true
	}
	if !changed {
		return nil
	}
	return n.writeForm()
}

func isFree(address string) bool {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// setAdmin changes one setting of a process.
func setAdmin(file, address string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("change settings: %w", err)
	}
	settings := make(map[string]any)
	if err := toml.Unmarshal(text, &settings); err != nil {
		return fmt.Errorf("change settings: %w", err)
	}
	settings["admin"] = address
	return writeTOML(file, settings)
}
