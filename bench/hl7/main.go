// Command hl7 shows what the intake of HL7 messages holds and how fast it is.
// It brings up a network of real processes with the sample patients, sends
// seeded, realistic messages over MLLP, some of them broken or about nobody,
// and reads back from the keepers that each is in a record or in the
// quarantine. With -kills it kills the gateway and keepers meanwhile; the
// sender sends again what was not answered.
//
//	go run ./bench/hl7 -bin bin                # 10,000 messages, and the rate
//	go run ./bench/hl7 -bin bin -kills 8       # the same under kill -9
//
// At the end it looks for patients' facts in everything the gateway wrote to
// disk. Everything runs on one machine: the rate is what five keepers, gateway
// and sender together leave each other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/abaton-health/abaton/internal/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	dir, bin, write     string
	messages            int
	connections, window int
	kills               int
	seed                uint64
	longest             time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("hl7", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "a new folder for the network (default: one of its own, removed at the end)")
	flags.StringVar(&o.bin, "bin", "bin", "folder of abaton-keeper and abaton-gateway")
	flags.StringVar(&o.write, "write", "", "only write the messages to this file, for the patients of an abaton up")
	flags.IntVar(&o.messages, "messages", 10_000, "how many messages")
	flags.IntVar(&o.connections, "connections", 8, "how many connections")
	flags.IntVar(&o.window, "window", 16, "how many messages a connection sends before it reads their answers")
	flags.IntVar(&o.kills, "kills", 0, "how many processes are killed meanwhile")
	flags.Uint64Var(&o.seed, "seed", 1, "of the messages, victims and moments")
	flags.DurationVar(&o.longest, "longest", 15*time.Minute, "give up after this time")
	if flags.Parse(args) != nil || flags.NArg() > 0 || o.messages < 1 || o.connections < 1 || o.window < 1 || o.kills < 0 {
		return 2
	}
	if o.write != "" {
		return report(stderr, writeMessages(&o))
	}
	r, err := try(ctx, &o, stderr)
	if r != nil {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		e.Encode(r) // a result always encodes; a broken pipe is the reader's
	}
	return report(stderr, err)
}

func report(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintf(stderr, "hl7: %v\n", err)
		return 1
	}
	return 0
}

// writeMessages writes the messages as a file.
func writeMessages(o *options) error {
	people, err := samplePeople()
	if err != nil {
		return err
	}
	f, err := os.Create(o.write)
	if err != nil {
		return err
	}
	for _, m := range generate(o.seed, o.messages, people) {
		if _, err := f.Write(append(m.raw, '\r', '\n')); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// try is one run: a result even where something was lost.
func try(ctx context.Context, o *options, stderr io.Writer) (r *result, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.longest)
	defer cancel()
	t, err := local.Try(ctx, o.dir, o.bin)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.End()) }()
	w, err := prepare(ctx, t.Network)
	if err != nil {
		return nil, err
	}
	defer w.hangUp()
	fmt.Fprintf(stderr, "seed %d: sending %d messages\n", o.seed, o.messages)
	return w.feed(ctx, o, t.Processes, stderr)
}
