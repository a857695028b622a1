package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/bench/machine"
	"github.com/abaton-health/abaton/internal/dice"
	"github.com/abaton-health/abaton/internal/feeder"
	"github.com/abaton-health/abaton/internal/local"
)

// result is what came of it.
type result struct {
	Date        string             `json:"date"`
	Machine     string             `json:"machine"`
	Command     string             `json:"command"`
	Load        string             `json:"load"`
	Seed        uint64             `json:"seed"`
	Messages    int                `json:"messages"`
	Connections int                `json:"connections"`
	Window      int                `json:"window"`
	Seconds     float64            `json:"seconds"`
	Rate        float64            `json:"messages_per_second"`
	RateBelow   float64            `json:"target_per_second"`
	Ratio       float64            `json:"rate_over_target"`
	CPU         map[string]float64 `json:"cpu_ms_per_message"` // of processes that lived through it
	P50         float64            `json:"answer_p50_ms"`
	P99         float64            `json:"answer_p99_ms"`
	Filed       int                `json:"filed"`
	Aside       int                `json:"set_aside"`
	Reasons     map[string]int     `json:"reasons"`
	Resent      int                `json:"sent_again"`
	Kills       int                `json:"kills"`
	Victims     map[string]int     `json:"victims,omitempty"`
	Resources   int                `json:"resources_from_messages"`
	Batches     int                `json:"batches"`  // of the patients' records, their imported charts included
	Lost        int                `json:"lost"`     // answered, and neither in a record nor in the quarantine
	Wrong       int                `json:"wrong"`    // not where it should be
	Twice       int                `json:"twice"`    // more than one trace of one message in a record
	Readable    int                `json:"readable"` // facts found on the gateway's disk
	Searched    int                `json:"files_searched"`
}

// target is what the issue asks for, in messages a second.
const target = 500

func (w *world) feed(ctx context.Context, o *options, p *local.Processes, stderr io.Writer) (*result, error) {
	all := generate(o.seed, o.messages, w.humans)
	r := &result{Date: time.Now().UTC().Format("2006-01-02 15:04Z"), Machine: fmt.Sprintf("%s, %d cores", runtime.GOARCH, runtime.NumCPU()),
		Command: "go run ./bench/hl7 " + strings.Join(os.Args[1:], " "), Load: machine.Load(), Seed: o.seed, Messages: len(all), Connections: o.connections,
		Window: o.window, Reasons: make(map[string]int), Victims: make(map[string]int), RateBelow: target}
	if err := w.warm(ctx); err != nil {
		return nil, err
	}
	answers := make([]feeder.Answer, len(all))
	before := cpuUnder(o.dir)
	began := time.Now()
	if err := w.send(ctx, o, p, all, answers, r, stderr); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(began).Seconds()
	r.Rate = float64(len(all)) / r.Seconds
	r.CPU = make(map[string]float64)
	for pid, p := range cpuUnder(o.dir) {
		if was, ok := before[pid]; ok {
			r.CPU[p.name] += 1000 * (p.seconds - was.seconds) / float64(len(all))
		}
	}
	r.Ratio = r.Rate / target
	r.count(answers)
	r.Load += " to " + machine.Load()
	fmt.Fprintf(stderr, "%.0f messages/s; reading back\n", r.Rate)
	return r, errors.Join(w.verify(ctx, all, answers, r), w.search(ctx, p, all, r))
}

// warm waits until the intake files for every patient: the agent is signed in,
// has been lent what they gave it, and has opened their charts. Its messages
// are none of the run's.
func (w *world) warm(ctx context.Context) error {
	g := &generator{people: w.humans, now: time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)}
	for i, h := range w.humans {
		for try := 0; ; try++ {
			g.number--
			raw := []byte(g.head("WARM", "ORU^R01", h) + fmt.Sprintf("OBR|1||W%d|58410-2^CBC panel^LN\r", i))
			filed := false
			err := feeder.Send(ctx, feeder.Config{Address: w.n.IntakeAddress()}, func(yield func(int, []byte) bool) { yield(0, raw) },
				func(_ int, a feeder.Answer) { filed = a.Reason == "" })
			if err != nil {
				return err
			}
			if filed {
				break
			}
			if try == 100 {
				return errors.New("the intake does not know the patients")
			}
			if err := pause(ctx, 200*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends all, killing processes meanwhile.
func (w *world) send(ctx context.Context, o *options, p *local.Processes, all []message, answers []feeder.Answer, r *result, stderr io.Writer) error {
	var mu sync.Mutex
	answered := 0
	over := make(chan struct{})
	g, within := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(over)
		return feeder.Send(within, feeder.Config{Address: w.n.IntakeAddress(), Connections: o.connections, Window: o.window},
			func(yield func(int, []byte) bool) {
				for i := range all {
					if !yield(i, all[i].raw) {
						return
					}
				}
			},
			func(n int, a feeder.Answer) {
				mu.Lock()
				defer mu.Unlock()
				answers[n] = a
				answered++
			})
	})
	if o.kills > 0 {
		g.Go(func() error {
			k := &killer{p: p, dice: dice.New(o.seed), stderr: stderr, over: over}
			return k.run(within, o.kills, func(share float64) bool {
				mu.Lock()
				defer mu.Unlock()
				return float64(answered) >= share*float64(len(all))
			}, r)
		})
	}
	return g.Wait()
}

// killer kills the gateway and keepers while messages come, spread over the
// run.
type killer struct {
	p      *local.Processes
	dice   *dice.Dice
	stderr io.Writer
	over   <-chan struct{}
}

// run kills when so much of the messages is answered; every other time it is
// the gateway.
func (k *killer) run(ctx context.Context, kills int, reached func(share float64) bool, r *result) error {
	for n := range kills {
		for !reached(float64(n+1) / float64(kills+1)) {
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
		name, err := k.kill(ctx, n)
		if err != nil {
			return err
		}
		r.Kills++
		r.Victims[name]++
		fmt.Fprintf(k.stderr, "%d of %d: killed %s\n", r.Kills, kills, name)
	}
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		if err := k.p.AwaitKeeper(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

func (k *killer) kill(ctx context.Context, n int) (name string, err error) {
	down := k.dice.Between(50*time.Millisecond, 800*time.Millisecond)
	if n%2 == 0 {
		if err := errors.Join(k.p.KillGateway(), pause(ctx, down)); err != nil {
			return "", err
		}
		return "gateway", k.p.StartGateway(ctx, local.Build{})
	}
	x := abaton.KeeperIndex(1 + k.dice.Below(local.Keepers))
	if err := errors.Join(k.p.KillKeeper(x), pause(ctx, down)); err != nil {
		return "", err
	}
	return fmt.Sprintf("keeper %d", x), k.p.LaunchKeeper(x, local.Build{})
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *result) count(answers []feeder.Answer) {
	var took []time.Duration
	for _, a := range answers {
		took = append(took, a.Took)
		r.Resent += max(0, a.Tries-1)
		if a.Reason != "" {
			r.Aside++
			r.Reasons[a.Reason]++
		} else {
			r.Filed++
		}
	}
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[min(int(p*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	r.P50, r.P99 = at(0.5), at(0.99)
}
