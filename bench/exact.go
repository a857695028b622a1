package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/exact"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
)

// exactList measures how long an exact list takes: of so many patients, each read
// once by one stolen program at three of five keepers, among reads of another
// house. Five keepers and the client that asks run in this process, with stores on
// disk; the ledgers are filled by the ledger's own code before the keepers start.
// What is timed is the asking (scan, prove, sign; transport but TLS; verify, keep
// on disk) and the making of the list (verify again, sort, merge).
func exactList(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "abaton-bench-exact-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := newTheft(ctx, dir, b)
	if err != nil {
		return err
	}
	defer w.close()
	asked := report.Ask(w.org.manage.ID(), ledger.Look{Organisation: w.org.id, Session: stolenSession, Since: w.since, Until: time.Now().Unix() + 3600})
	s, err := exact.Begin(filepath.Join(dir, "answers"), asked, w.trust())
	if err != nil {
		return err
	}
	defer s.Close()
	calm := w.latencies(ctx, 40)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	var under []time.Duration
	var watching sync.WaitGroup
	watching.Go(func() { under = w.latencies(watch, 1<<20) })
	all, cpu := time.Now(), cpuSeconds()
	if err := w.net.Exact(ctx, s.Look(), s); err != nil {
		return err
	}
	took, asking := time.Since(all), cpuSeconds()-cpu
	stop()
	watching.Wait()
	counts, touched, err := w.merge(ctx, s)
	if err != nil {
		return err
	}
	total, spent := time.Since(all), cpuSeconds()-cpu
	if counts.patients != b.patients || counts.exactly != b.patients || touched.Verdict != ledger.Complete || len(touched.Faults) != 0 {
		return fmt.Errorf("exact list: %d patients, %d exactly, %v, faults %v; want all %d", counts.patients, counts.exactly, touched.String(), touched.Faults, b.patients)
	}
	name := fmt.Sprintf("exact list of %d patients, five keepers", b.patients)
	b.add(row{Name: name, Value: total.Seconds(), Unit: "s", Budget: "<= 300 s for 1,000,000",
		Detail: fmt.Sprintf("%d entries of %d asked for, proven and merged; precision and recall 1", s.Entries(), w.ledgered())})
	b.add(row{Name: name + ": CPU of keepers and client", Value: spent, Unit: "s",
		Detail: fmt.Sprintf("asking %.1f s of CPU in %.1f s, merging the rest; %.1f µs an entry", asking, took.Seconds(), spent*1e6/float64(s.Entries()))})
	b.add(row{Name: name + ": memory, most of the process", Value: float64(peakMiB()), Unit: "MiB", Detail: "five keepers and the client; most of it the filling before, with memtables of 128 MiB"})
	b.add(row{Name: name + ": answers kept on disk", Value: float64(sizeOf(filepath.Join(dir, "answers"))) / (1 << 20), Unit: "MiB"})
	b.add(row{Name: "another question to five keepers meanwhile, p50", Value: msOf(under, 50), Unit: "ms", Limit: msOf(calm, 50), LimitName: "the same before",
		Detail: fmt.Sprintf("p99 %.0f ms, before %.0f ms; %d questions", msOf(under, 99), msOf(calm, 99), len(under))})
	return nil
}

// listed counts what a merge tells.
type listed struct{ patients, exactly int }

func (w *theft) merge(ctx context.Context, s *exact.Spool) (c listed, t *ledger.Touched, err error) {
	t, err = s.Merge(ctx, func(_ []ledger.Placed, p *ledger.TouchedPatient) error {
		c.patients++
		if opened, near, asked := p.Counts(); opened == 1 && near+asked == 0 && w.robbed[p.Patient] {
			c.exactly++
		}
		return nil
	})
	return c, t, err
}

// latencies puts small questions to the keepers one after the other, with pauses.
func (w *theft) latencies(ctx context.Context, most int) (all []time.Duration) {
	for range most {
		began := time.Now()
		if _, err := w.net.Checkpoints(ctx); err != nil || ctx.Err() != nil {
			return all
		}
		all = append(all, time.Since(began))
		select {
		case <-ctx.Done():
			return all
		case <-time.After(100 * time.Millisecond):
		}
	}
	return all
}

func msOf(all []time.Duration, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[min(len(sorted)-1, len(sorted)*percent/100)]) / float64(time.Millisecond)
}

// cpuSeconds is what this process has used of all processors.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func peakMiB() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss >> 10 // KiB on Linux
}

func sizeOf(dir string) (n int64) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, f := range files {
		if i, err := f.Info(); err == nil {
			n += i.Size()
		}
	}
	return n
}

var stolenSession = abaton.SessionID{3}

var _ client.Answers = (*exact.Spool)(nil)

var errSilent = errors.New("keepers do not hear each other")
