// Package daemon is what all daemons do alike: the command line, the key file,
// the keeper set, the admin address, and ending when told to.
//
//	m := daemon.Main{Name: "abaton-x", Usage: usage, Check: check, Serve: serve}
//	os.Exit(m.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
//
// It knows no setting, no key's meaning and no route. It does not protect what a
// daemon holds in memory, nor a key file from whoever runs as the same person.
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
)

// Exit codes of a daemon.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// ErrUsage says that a command line is not one of those in the usage text.
var ErrUsage = errors.New("usage")

// Main is one daemon's command line: `NAME -config FILE [-check]`, and what Sub has.
type Main struct {
	// Name is the program's.
	Name string
	// Usage is printed where the command line is wrong.
	Usage string
	// Init makes the keys of a new daemon in its folder and prints their public
	// halves: `NAME init -dir DIR`. Nil where the daemon's own asks for more (Sub).
	Init func(dir string, stdout io.Writer) error
	// Sub are the other things it does, by their first word; each gets the words
	// after that.
	Sub map[string]func(args []string) error
	// Flags adds flags to those of every daemon; nil adds none.
	Flags func(*flag.FlagSet)
	// Check prints what the settings of that file lead to, and no secret.
	Check func(path string, stdout io.Writer) error
	// Serve runs the daemon until ctx ends.
	Serve func(ctx context.Context, path string, log *slog.Logger) error
}

// Run does what args say and gives the exit code. Errors and the log go to stderr.
func (m Main) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		if do := m.Sub[args[0]]; do != nil {
			return m.report(stderr, do(args[1:]))
		}
		if args[0] == "init" && m.Init != nil {
			return m.report(stderr, m.init(args[1:], stdout))
		}
	}
	flags := Flags(m.Name)
	path := flags.String("config", "", "settings file")
	check := flags.Bool("check", false, "check and print the settings, then end")
	if m.Flags != nil {
		m.Flags(flags)
	}
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *path == "" {
		return m.report(stderr, ErrUsage)
	}
	if *check {
		return m.report(stderr, m.Check(*path, stdout))
	}
	return m.report(stderr, m.Serve(ctx, *path, slog.New(slog.NewTextHandler(stderr, nil))))
}

func (m Main) report(stderr io.Writer, err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrUsage):
		fmt.Fprint(stderr, m.Usage)
		return ExitUsage
	}
	fmt.Fprintf(stderr, "%s: %v\n", m.Name, err)
	return ExitFailed
}

// Flags are the flags of a command that prints nothing by itself.
func Flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

func (m Main) init(args []string, stdout io.Writer) error {
	flags := Flags("init")
	dir := flags.String("dir", "", "the daemon's folder")
	if flags.Parse(args) != nil || *dir == "" || flags.NArg() > 0 {
		return ErrUsage
	}
	return m.Init(*dir, stdout)
}
