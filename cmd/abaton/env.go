package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// release is this software's version.
const release = "0.1.0"

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
	exitSignIn  = 4
)

// dirVariable names the network's folder for commands without --dir.
const dirVariable = "ABATON_DIR"

// dirDefault is where "make up" puts its network.
const dirDefault = "run/demo"

// errUsage marks an error as one of how the command was called.
var errUsage = errors.New("usage")

// errFailed ends a command with 1 when all has been said.
var errFailed = errors.New("")

// env is what a command has of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	dir            string // the network's folder, of --dir
	keys           string // of --keys: where the keys of --as lie; empty for the network's own people
}

// run is main without the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRootCommand(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintf(stderr, "abaton: %v\n", err)
		if hint := hintFor(err); hint != "" {
			fmt.Fprintln(stderr, hint)
		}
	}
	return exitCode(err)
}

func exitCode(err error) int {
	_, refused := errors.AsType[*abaton.RefusedError](err)
	g, byGateway := errors.AsType[*people.GatewayError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, people.ErrSignIn):
		return exitSignIn
	case refused, byGateway && g.Status < 500:
		return exitRefused
	}
	return exitFailed
}

// hintFor says what to do next.
func hintFor(err error) string {
	switch {
	case errors.Is(err, local.ErrNone):
		return "Bring one up with: abaton up --dir DIR (other commands then take the same --dir)."
	case errors.Is(err, local.ErrRunning):
		return "Stop it with Ctrl-C where it runs, or name another folder with --dir."
	case errors.Is(err, people.ErrNobody):
		return "The people of a network are the folders in DIR/people."
	case errors.Is(err, people.ErrSignIn):
		return "Sign in first: abaton login --as HANDLE"
	case errors.Is(err, abaton.ErrUnavailable):
		return "Is the network up? abaton up --dir DIR keeps it running."
	case errors.Is(err, errUsage):
		return "See: abaton help"
	}
	return ""
}

// usage is an error of how a command was called.
func usage(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errUsage)
}

// say writes a line for people, on stderr: data goes to stdout.
func (e *env) say(format string, args ...any) { fmt.Fprintf(e.stderr, format+"\n", args...) }

// print writes data.
func (e *env) print(format string, args ...any) { fmt.Fprintf(e.stdout, format, args...) }

// json writes a value as indented JSON; characters stand as themselves.
func (e *env) json(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err := e.stdout.Write(b.Bytes())
	return err
}

// live reports whether people watch stderr on a terminal.
func (e *env) live() bool {
	f, ok := e.stderr.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 // a terminal, or the null device, which minds nothing
}

// network opens the network in the folder of --dir.
func (e *env) network() (*local.Network, error) { return local.Open(e.dir) }

// beside is the folder this program lies in, with the other two.
func beside() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own folder: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find own folder: %w", err)
	}
	return filepath.Dir(self), nil
}

// device is one person's device in a network: keys, and a way to the keepers.
type device struct {
	*people.Person
	at     *local.Network
	net    *client.Network
	hangUp func()
}

// device is that of --as.
func (e *env) device(handle string) (*device, error) {
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	w, err := e.people(n)
	if err != nil {
		return nil, err
	}
	p, err := w.Find(handle)
	if err != nil {
		return nil, err
	}
	return newDevice(n, p)
}

// people are those whose keys are at hand: the network's, or those in the folder
// of --keys, which must be there.
func (e *env) people(n *local.Network) (*people.World, error) {
	if e.keys == "" {
		return n.People(), nil
	}
	if _, err := os.Stat(e.keys); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return people.Open(e.keys, n.Set())
}

func newDevice(n *local.Network, p *people.Person) (*device, error) {
	net, hangUp, err := n.Client(p.Manage)
	if err != nil {
		return nil, err
	}
	return &device{Person: p, at: n, net: net, hangUp: hangUp}, nil
}

// names are the handles of the people who are known here.
func names(n *local.Network) (map[abaton.ActorID]string, error) {
	all, err := n.People().All(0)
	if err != nil {
		return nil, err
	}
	known := make(map[abaton.ActorID]string, len(all))
	for _, p := range all {
		known[p.ID] = p.Handle
	}
	return known, nil
}

// nameOf is how an actor is shown: by handle where it is known here.
func nameOf(known map[abaton.ActorID]string, id abaton.ActorID) string {
	if handle := known[id]; handle != "" {
		return handle
	}
	return short(id.String())
}

// short is enough of a long name to tell it from others.
func short(name string) string { return name[:min(len(name), 16)] }
