package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton/internal/daemon"
)

// release is this software's version, set when it is built for release.
const release = "0.1.0"

const usage = `abaton-gateway serves FHIR over sealed records.

  abaton-gateway -config gateway.toml          run
  abaton-gateway -config gateway.toml -check   check settings, keys and keeper set, print what holds
  abaton-gateway init -dir DIR                 make a gateway's keys; their public halves go to stdout

Settings: docs/OPERATING.md#gateway
`

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return daemon.Main{Name: "abaton-gateway", Usage: usage, Init: initGateway, Check: runCheck, Serve: serve}.Run(ctx, args, stdout, stderr)
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
	if _, err := openApps(c.Apps, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	text, err := toml.Marshal(c)
	if err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "%s\nwriter %s\n%s", text, id.announcement().Writer, set.Text())
	return err
}
