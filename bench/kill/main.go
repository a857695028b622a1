// Command kill shows that a crash loses nothing that was acknowledged. It
// brings up a network of real processes, imports patients without pause, and
// meanwhile kills a keeper or the gateway with SIGKILL at random moments and
// starts it again. At the end it reads back everything that the gateway
// acknowledged (200 or 201 for an entry), byte for byte.
//
//	go run ./bench/kill -bin bin -kills 30
//
// A process that is killed keeps the system's page cache: what a power cut
// would do, the crash tests of the rooms below show. It measures no speed.
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
	dir, bin string
	kills    int
	seed     uint64
	json     bool
	longest  time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("kill", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "a new folder for the network (default: one of its own, removed at the end)")
	flags.StringVar(&o.bin, "bin", "bin", "folder of abaton-keeper and abaton-gateway")
	flags.IntVar(&o.kills, "kills", 30, "how many processes are killed")
	flags.Uint64Var(&o.seed, "seed", 0, "of the choice of victims and moments (default: by the clock)")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.DurationVar(&o.longest, "longest", 15*time.Minute, "give up after this time")
	if flags.Parse(args) != nil || flags.NArg() > 0 || o.kills < 1 {
		return 2
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	r, err := try(ctx, &o, stderr)
	if r != nil {
		print(stdout, r, o.json)
	}
	if err != nil {
		fmt.Fprintf(stderr, "kill: %v\n", err)
		return 1
	}
	return 0
}

// result is what came of it.
type result struct {
	Seed         uint64         `json:"seed"`
	Kills        int            `json:"kills"`
	Victims      map[string]int `json:"victims"`
	Acknowledged int            `json:"acknowledged"` // resources
	Accepted     int            `json:"accepted"`     // 202: safe in the gateway's outbox, not yet durable
	Retries      int            `json:"retries"`      // Bundles sent again
	Lost         int            `json:"lost"`         // acknowledged and not there at the end
	Changed      int            `json:"changed"`      // acknowledged and not the same bytes
	Late         int            `json:"late"`         // accepted and not there at the end
	Seconds      float64        `json:"seconds"`
}

func print(w io.Writer, r *result, asJSON bool) {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.Encode(r) // a result always encodes; a broken pipe is the reader's
		return
	}
	fmt.Fprintf(w, "seed %d: %d kills (%v), %d resources acknowledged, %d lost, %d changed; %d accepted and not durable at once, %d of them late; %d retries; %.1f s\n",
		r.Seed, r.Kills, r.Victims, r.Acknowledged, r.Lost, r.Changed, r.Accepted, r.Late, r.Retries, r.Seconds)
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
	fmt.Fprintf(stderr, "seed %d\n", o.seed)
	return attack(ctx, o, t.Processes, stderr)
}
