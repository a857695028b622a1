package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
)

// Bounds of a re-lock.
const (
	// relockTogether is how many batches are fetched in one request: their
	// pieces and texts are what a re-lock holds in memory, twice over.
	relockTogether = 8
	// relockAtOnce is how many such requests are under way.
	relockAtOnce = 2
	// relockCommit is how many batches one commit puts in force: a keeper
	// destroys the old shares of all of them at once, in one ledger entry.
	relockCommit = abaton.RequestRowsMax
	// relockSession is for how long one sign-in is used, well within
	// abaton.PatientSessionMax.
	relockSession = 10 * time.Minute
)

// RelockConfig says whose records are locked anew and by whom.
type RelockConfig struct {
	Patient abaton.ActorID
	// Lines are locked anew; none means all of the patient's.
	Lines []abaton.Line
	// Locker signs the new LOCKs: a live key of the patient's log with the
	// right to re-lock or to manage the log.
	Locker *key.Signing
	// SignIn begins a session of the patient. It is called again when one has
	// lasted ten minutes.
	SignIn func(context.Context) (*Reader, error)
	// Seed is the seed of a line's epoch, or false for a line the caller does
	// not have; those are left alone.
	Seed func(line abaton.Line, epoch uint32) (grant.Seed, bool)
	// Progress hears how far it is, from one goroutine; nil hears nothing.
	Progress func(Relocked)
}

// Relocked is how far a re-lock is.
type Relocked struct {
	// Done of Of records are under the newest segment of their line at w
	// keepers or more. Erased records and indexes do not count.
	Done, Of int
	// Batches of BatchesOf, the same in batches.
	Batches, BatchesOf int
	// Behind are batches that some keeper that answered still has under an
	// older lock: fewer than t keepers, so it opens nothing.
	Behind int
	// Failed are batches that could not be locked anew, by why.
	Failed map[string]int
}

// Complete reports whether every record is under the newest lock.
func (r *Relocked) Complete() bool { return r.Batches == r.BatchesOf }

// Relocker locks a patient's records anew, to the newest segment of each line:
// whoever holds an older seed opens nothing of them any more. It can be
// stopped at any moment and run again; what was done stays done. Reads and
// writes go on meanwhile. It moves no body, and mends nothing but the lock.
type Relocker struct {
	n *Network
	c RelockConfig

	reader *Reader
	until  time.Time
	state  *actor.State
	ever   []abaton.KeyID
}

// NewRelocker checks the configuration and asks nothing yet.
func (n *Network) NewRelocker(c RelockConfig) (*Relocker, error) {
	switch {
	case c.Patient == (abaton.ActorID{}):
		return nil, errors.New("re-lock: no patient")
	case c.Locker == nil || c.Seed == nil || c.SignIn == nil:
		return nil, errors.New("re-lock: no key")
	}
	if c.Progress == nil {
		c.Progress = func(Relocked) {}
	}
	return &Relocker{n: n, c: c}, nil
}

// Run locks everything anew that is not yet under the newest segment, and says
// how far it came. Nil: all of it is. Otherwise what is left can be tried again;
// nothing is lost, and what is not done is under its old lock.
func (r *Relocker) Run(ctx context.Context) (*Relocked, error) {
	defer r.close()
	if err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("re-lock: %w", err)
	}
	run := &relockRun{r: r, tried: make(map[abaton.BatchName]bool)}
	for {
		more, err := run.pass(ctx)
		if err != nil {
			return &run.at, fmt.Errorf("re-lock: %w", err)
		}
		if !more {
			break
		}
	}
	if !run.at.Complete() {
		return &run.at, fmt.Errorf("re-lock: %w", errors.Join(abaton.ErrPending, run.first))
	}
	return &run.at, nil
}

// refresh takes the patient's newest log.
func (r *Relocker) refresh(ctx context.Context) error {
	r.n.Refresh(r.c.Patient)
	l, err := r.n.log1(ctx, r.c.Patient)
	if err != nil {
		return err
	}
	r.state, r.ever = l.view.State, l.ever
	return nil
}

// session is a live one of the patient, with the seeds of every epoch.
func (r *Relocker) session(ctx context.Context) (*Reader, error) {
	if r.reader != nil && r.n.now().Before(r.until) {
		return r.reader, nil
	}
	r.close()
	reader, err := r.c.SignIn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	b := session.Bundle{Patient: r.c.Patient}
	for _, s := range r.lines() {
		for e := uint32(1); e <= s.Epoch; e++ {
			if seed, ok := r.c.Seed(s.Line, e); ok {
				b.Seeds = append(b.Seeds, seed)
			}
		}
	}
	reader.AddSeeds(b)
	r.reader, r.until = reader, r.n.now().Add(relockSession)
	return reader, nil
}

func (r *Relocker) close() {
	if r.reader != nil {
		r.reader.Close()
		r.reader = nil
	}
}

// lines are the newest segments of what is locked anew.
func (r *Relocker) lines() (all []actor.Segment) {
	for _, s := range r.state.Lines() {
		if len(r.c.Lines) > 0 && !slices.Contains(r.c.Lines, s.Line) {
			continue
		}
		if seed, ok := r.c.Seed(s.Line, s.Epoch); ok && key.SegmentIDOf(key.BoxFromSeed(seed.Seed).Public()) == s.ID {
			all = append(all, s)
		}
	}
	return all
}

func (r *Relocker) ask(lines ...abaton.Line) Ask {
	return Ask{Patient: r.c.Patient, Purpose: abaton.PatientAccess, Lines: lines}
}

// mayCount refuses LOCKs by keys that were never the patient's own.
func (r *Relocker) mayCount(h *spread.Head, l *spread.Lock) error {
	if h.Patient != r.c.Patient || l.Number > 1 && !slices.Contains(r.ever, l.Locker) {
		return abaton.Refuse(abaton.ReasonWriter)
	}
	return nil
}

// relockRun is one Run: passes over all lines until nothing new is to be done.
type relockRun struct {
	r     *Relocker
	tried map[abaton.BatchName]bool // each batch is tried once in a run
	at    Relocked
	first error
}

// pass surveys all lines and locks anew what needs it and was not tried. What
// was written under the old epoch meanwhile is found by the next pass.
func (run *relockRun) pass(ctx context.Context) (more bool, err error) {
	r := run.r
	reader, err := r.session(ctx)
	if err != nil {
		return false, err
	}
	at, failed := Relocked{}, run.at.Failed
	at.Failed = failed
	var todo []*surveyed
	segments := make(map[abaton.Line]actor.Segment)
	for _, s := range r.lines() {
		segments[s.Line] = s
		all, err := reader.surveyLines(ctx, r.ask(s.Line), r.state)
		if err != nil {
			return false, err
		}
		for _, b := range all {
			at.Of, at.BatchesOf = at.Of+b.count(), at.BatchesOf+1
			done := b.row().Records == 0 || b.under(s.ID).Len() >= r.n.params.W
			if done {
				at.Done, at.Batches = at.Done+b.count(), at.Batches+1
			}
			if !b.needs(s.ID) {
				continue
			}
			if done {
				at.Behind++
			}
			if !run.tried[b.name] {
				todo = append(todo, b)
			}
		}
	}
	run.at = at
	r.c.Progress(run.at)
	for part := range slices.Chunk(todo, relockCommit) {
		if err := run.group(ctx, segments, part); err != nil {
			return false, err
		}
	}
	return len(todo) > 0, nil
}

// group prepares up to relockCommit batches, reads them back, and puts them in
// force together.
func (run *relockRun) group(ctx context.Context, segments map[abaton.Line]actor.Segment, part []*surveyed) error {
	reader, err := run.r.session(ctx)
	if err != nil {
		return err
	}
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(relockAtOnce)
	chunks := relockChunks(part)
	made := make([][]*relocking, len(chunks))
	for i, chunk := range chunks {
		for _, b := range chunk {
			run.tried[b.name] = true
		}
		g.Go(func() (err error) {
			made[i], err = run.r.prepareAll(inner, reader, segments, chunk)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	all := slices.Concat(made...)
	if err := run.r.commitAll(ctx, all); err != nil {
		return err
	}
	for _, t := range all {
		run.count(t)
	}
	run.r.c.Progress(run.at)
	return nil
}

func (run *relockRun) count(t *relocking) {
	err, before := t.outcome(), t.batch.under(t.segment.ID).Len() >= run.r.n.params.W
	switch {
	case err == nil && before:
		run.at.Behind--
	case err == nil:
		run.at.Done, run.at.Batches = run.at.Done+t.batch.count(), run.at.Batches+1
	default:
		if run.at.Failed == nil {
			run.at.Failed = make(map[string]int)
		}
		run.at.Failed[whyFailed(err)]++
		if run.first == nil {
			run.first = err
		}
	}
}

// whyFailed is the word for an error in a count.
func whyFailed(err error) string {
	if reason := reasonOf(err); reason != "" {
		return string(reason)
	}
	if _, few := errors.AsType[*abaton.TooFewError](err); few {
		return "too few keepers"
	}
	return "does not open"
}

// relockChunks cuts batches into requests. Parts of large objects go one by
// one: they are the largest there are.
func relockChunks(part []*surveyed) (chunks [][]*surveyed) {
	var open []*surveyed
	for _, b := range part {
		if b.class == spread.PartClass {
			chunks = append(chunks, []*surveyed{b})
			continue
		}
		if open = append(open, b); len(open) == relockTogether {
			chunks, open = append(chunks, open), nil
		}
	}
	if len(open) > 0 {
		chunks = append(chunks, open)
	}
	return chunks
}
