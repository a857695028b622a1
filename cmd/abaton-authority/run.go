package main

import (
	"context"
	"fmt"
	"io"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton/internal/daemon"
)

const usage = `abaton-authority lends its half of emergency sets.

  abaton-authority -config authority.toml          run
  abaton-authority -config authority.toml -check   check settings, keys and keeper set, print what holds
  abaton-authority init -dir DIR                   make an authority's keys; their public halves go to stdout

Settings: docs/OPERATING.md#authority
`

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return daemon.Main{Name: "abaton-authority", Usage: usage, Init: initAuthority, Check: runCheck, Serve: serve}.Run(ctx, args, stdout, stderr)
}

// runCheck prints the effective settings and what they lead to. It prints no
// secret.
func runCheck(path string, stdout io.Writer) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return err
	}
	set, err := daemon.ReadSet(c.Set, c.SetID)
	if err != nil {
		return err
	}
	said, err := id.announcement()
	if err != nil {
		return err
	}
	text, err := toml.Marshal(c)
	if err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "%s\nwriter %s\npin %s\n%s", text, said.Writer, said.Pin, set.Text())
	return err
}
