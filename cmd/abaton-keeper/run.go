package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/wire"
)

const usage = `abaton-keeper keeps a piece of every record, and opens none.

  abaton-keeper -config keeper.toml            run
  abaton-keeper -config keeper.toml -check     check settings, keys and keeper set, print what holds
  abaton-keeper init -dir DIR -index N -url URL -operator NAME
                                               make a keeper's keys and its entry for the keeper set
  abaton-keeper sign -dir DIR FILE             sign the keeper set's first event; the proof goes to stdout
  abaton-keeper sign -dir DIR -set SET FILE    sign a change of the keeper set
  abaton-keeper recover -config keeper.toml FILE
                                               after a rollback or a loss: make the change that gives this
                                               keeper a new ledger, for four keepers to sign
  abaton-keeper amend SET FILE PROOF...        add a signed change to a set file; the new one goes to stdout
  abaton-keeper repair -config keeper.toml     have the running keeper fetch what it lost from the others

Settings: docs/OPERATING.md#keeper
`

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var mutation func() custody.Mutation
	return daemon.Main{
		Name: "abaton-keeper", Usage: usage, Check: runCheck,
		Flags: func(flags *flag.FlagSet) { mutation = mutationFlags(flags) },
		Serve: func(ctx context.Context, path string, log *slog.Logger) error {
			return serve(ctx, path, mutation(), log)
		},
		Sub: map[string]func([]string) error{
			"init":    runInit,
			"sign":    func(args []string) error { return runSign(args, stdout, stderr) },
			"recover": func(args []string) error { return runRecover(ctx, args, stderr) },
			"amend":   func(args []string) error { return runAmend(args, stdout, stderr) },
			"repair":  func(args []string) error { return runRepair(ctx, args, stdout, stderr) },
		},
	}.Run(ctx, args, stdout, stderr)
}

func runInit(args []string) error {
	flags := daemon.Flags("init")
	dir := flags.String("dir", "", "")
	index := flags.Uint("index", 0, "")
	url := flags.String("url", "", "")
	operator := flags.String("operator", "", "")
	if flags.Parse(args) != nil || *dir == "" || *index == 0 || *index > abaton.KeepersMax || *url == "" || *operator == "" {
		return daemon.ErrUsage
	}
	_, err := initKeeper(*dir, abaton.KeeperIndex(*index), *url, *operator)
	return err
}

// runSign proves a keeper-set inception that names this keeper's own entry, or,
// with the set, a change of it.
func runSign(args []string, stdout, stderr io.Writer) error {
	flags := daemon.Flags("sign")
	dir := flags.String("dir", "", "")
	setFile := flags.String("set", "", "")
	if flags.Parse(args) != nil || *dir == "" || flags.NArg() != 1 {
		return daemon.ErrUsage
	}
	id, err := loadIdentity(*dir)
	if err != nil {
		return err
	}
	event, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	if *setFile == "" {
		err = namesOwnEntry(*dir, event)
	} else if set, e := daemon.ParseSet(*setFile); e != nil {
		err = e
	} else {
		err = signsChange(set, id, event, stderr)
	}
	if err != nil {
		return err
	}
	_, err = stdout.Write(wire.Marshal(actor.ByKey(id.signing(), event)))
	return err
}

// namesOwnEntry: a keeper signs only a set in which its own entry stands as
// it made it.
func namesOwnEntry(dir string, event []byte) error {
	var own actor.Keeper
	data, err := os.ReadFile(filepath.Join(dir, entryFile))
	if err != nil {
		return fmt.Errorf("read entry: %w", err)
	}
	if err := wire.Unmarshal(data, &own); err != nil {
		return fmt.Errorf("read entry: %w", err)
	}
	d, err := document(event)
	if err != nil {
		return fmt.Errorf("keeper set: %w", err)
	}
	for i := range d.Keepers {
		if string(wire.Marshal(d.Keepers[i])) == string(wire.Marshal(own)) {
			return nil
		}
	}
	return errors.New("keeper set: this keeper's entry is not in it")
}

// document is the keeper-set document in an inception event.
func document(event []byte) (*actor.Document, error) {
	var e actor.Event
	var in actor.Inception
	var d actor.Document
	for _, err := range []error{wire.Unmarshal(event, &e), wire.Unmarshal(e.Body, &in), wire.Unmarshal(in.Document, &d)} {
		if err != nil {
			return nil, err
		}
	}
	return &d, d.Validate()
}

// runCheck prints the effective settings and what they lead to.
func runCheck(path string, stdout io.Writer) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return err
	}
	set, err := c.loadSet(id)
	if err != nil {
		return err
	}
	if _, err := c.organisations(); err != nil {
		return err
	}
	text, err := toml.Marshal(c)
	if err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "%s\n%s", text, set.Text())
	return err
}
