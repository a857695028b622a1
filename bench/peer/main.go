// Command peer asks Abaton's gateway and another FHIR R4 server the same
// questions about the same data on the same machine, in one run.
//
//	go run ./bench/peer -bin bin -peer http://127.0.0.1:9090/fhir/r4 -name "its name and version" -data ../shared/data/synthea
//
// It brings up a network of its own, five keepers and a gateway, and sends each
// Bundle to both sides in turn, one at a time. Then it asks question after
// question of both, now this one first, now that, so that whatever else the
// machine does falls on both: the ratio says more than the milliseconds. The
// peer must be empty at the start and must not ask for a login.
//
// It says nothing of the peer's quality, and the two do not do the same: one
// keeps plain text in one database, the other opens what five keepers hold
// sealed and writes down who looked.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/abaton-health/abaton/bench/machine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	bin, peer, name, data string
	patients, rounds      int
	seed                  uint64
	settle, longest       time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("peer", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.bin, "bin", "bin", "folder of abaton-keeper and abaton-gateway")
	flags.StringVar(&o.peer, "peer", "", "base URL of the other FHIR R4 server, which is empty")
	flags.StringVar(&o.name, "name", "", "what the peer is, for the result")
	flags.StringVar(&o.data, "data", "", "folder of Synthea's transaction Bundles, *.json.gz (default: the committed sample)")
	flags.IntVar(&o.patients, "patients", 30, "how many patients of the folder, at the most")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each question is asked about each patient")
	flags.Uint64Var(&o.seed, "seed", 1, "of the order of questions")
	flags.DurationVar(&o.settle, "settle", 30*time.Second, "how long to let the peer's database gather statistics after the import")
	flags.DurationVar(&o.longest, "longest", 30*time.Minute, "give up after this time")
	if flags.Parse(args) != nil || flags.NArg() > 0 || o.peer == "" || o.patients < 1 || o.rounds < 1 {
		return 2
	}
	r, err := try(ctx, &o, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "peer: %v\n", err)
		return 1
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", "  ")
	e.Encode(r) // a result always encodes; a broken pipe is the reader's
	return 0
}

// result is what is written.
type result struct {
	Date      string     `json:"date"`
	Commit    string     `json:"commit"`
	Go        string     `json:"go"`
	Cores     int        `json:"cores"`
	Load      string     `json:"load"` // before and after
	Peer      string     `json:"peer"`
	Patients  int        `json:"patients"`
	Resources int        `json:"resources"`
	Import    imported   `json:"import"`
	Questions []compared `json:"questions"`
}

// imported are the rates of taking the same Bundles in, resources a second.
type imported struct {
	Abaton float64 `json:"abaton_per_s"`
	Peer   float64 `json:"peer_per_s"`
	Ratio  float64 `json:"ratio"` // of the times: above 1 Abaton takes longer
}

// compared is one question, asked of both.
type compared struct {
	Name      string  `json:"name"`
	Asked     int     `json:"asked"`
	Alike     int     `json:"alike"` // answers with as many matches on both sides
	Abaton50  float64 `json:"abaton_p50_ms"`
	Abaton95  float64 `json:"abaton_p95_ms"`
	Peer50    float64 `json:"peer_p50_ms"`
	Peer95    float64 `json:"peer_p95_ms"`
	Ratio     float64 `json:"ratio_p50"` // above 1 Abaton takes longer
	Matches   int     `json:"matches"`   // of all answers of Abaton
	PeerFound int     `json:"peer_matches"`
}

func try(ctx context.Context, o *options, stderr io.Writer) (r *result, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.longest)
	defer cancel()
	r = &result{Date: time.Now().UTC().Format("2006-01-02 15:04Z"), Commit: commit(ctx), Go: runtime.Version(), Cores: runtime.NumCPU(), Peer: o.name, Load: machine.Load()}
	charts, directory, err := readBundles(o.data, o.patients)
	if err != nil {
		return nil, err
	}
	h, err := newHouse(ctx, o.bin, len(charts))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	p := &side{base: strings.TrimSuffix(o.peer, "/")}
	fmt.Fprintf(stderr, "sending %d patients to both\n", len(charts))
	if err := r.load(ctx, h, p, directory, charts); err != nil {
		return nil, err
	}
	a, err := h.reader(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(o.settle):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	fmt.Fprintf(stderr, "asking both\n")
	if r.Questions, err = askBoth(ctx, a, p, charts, o); err != nil {
		return nil, err
	}
	r.Load += " to " + machine.Load()
	return r, nil
}

// load sends each Bundle to both, in turn first to the one and to the other.
func (r *result) load(ctx context.Context, h *house, p *side, directory, charts []*chart) error {
	var ours, theirs time.Duration
	for i, c := range append(directory, charts...) {
		sends := []func() error{
			func() (err error) { c.ours, err = h.take(ctx, c, i-len(directory), &ours); return err },
			func() (err error) { c.theirs, err = p.send(ctx, c, nil, &theirs); return err },
		}
		for n := range sends {
			if err := sends[(i+n)%2](); err != nil {
				return err
			}
		}
		r.Resources += c.count
	}
	r.Patients = len(charts)
	r.Import = imported{Abaton: float64(r.Resources) / ours.Seconds(), Peer: float64(r.Resources) / theirs.Seconds(), Ratio: ours.Seconds() / theirs.Seconds()}
	return nil
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
