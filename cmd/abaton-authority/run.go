package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/pelletier/go-toml/v2"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `abaton-authority lends its half of emergency sets.

  abaton-authority -config authority.toml          run
  abaton-authority -config authority.toml -check   check settings, keys and keeper set, print what holds
  abaton-authority init -dir DIR                   make an authority's keys; their public halves go to stdout

Settings: docs/OPERATING.md#authority
`

var errUsage = errors.New("usage")

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "init" {
		return report(stderr, runInit(args[1:], stdout))
	}
	flags := newFlags("abaton-authority")
	path := flags.String("config", "", "settings file")
	check := flags.Bool("check", false, "check and print the settings, then end")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *path == "" {
		return report(stderr, errUsage)
	}
	if *check {
		return report(stderr, runCheck(*path, stdout))
	}
	return report(stderr, serve(ctx, *path, slog.New(slog.NewTextHandler(stderr, nil))))
}

func report(stderr io.Writer, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	fmt.Fprintf(stderr, "abaton-authority: %v\n", err)
	return exitFailed
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

func runInit(args []string, stdout io.Writer) error {
	flags := newFlags("init")
	dir := flags.String("dir", "", "the authority's folder")
	if flags.Parse(args) != nil || *dir == "" || flags.NArg() > 0 {
		return errUsage
	}
	return initAuthority(*dir, stdout)
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
	set, err := c.loadSet()
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
