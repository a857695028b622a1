package feed

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/relation"
)

// teller brings to one keeper what it is owed. Its fields but x and wake are
// guarded by the feed's mu, or owned by run.
type teller struct {
	f    *Feed
	x    abaton.KeeperIndex
	wake chan struct{}
	owed map[Name]debt

	last   int64     // Time of the newest message, unix seconds
	all    time.Time // when everything was told last
	misses int
}

// debt is one resource that the keeper has not answered for.
type debt struct {
	since time.Time // of the oldest change
	after time.Time // not before
	tries int
}

func (t *teller) owe(name Name, since time.Time) {
	if d, owed := t.owed[name]; owed {
		since = earlier(since, d.since)
	}
	t.owed[name] = debt{since: since}
}

// oweAll owes everything that stands.
func (t *teller) oweAll() {
	now := t.f.c.Now()
	t.all = now
	for name := range t.f.held {
		if _, owed := t.owed[name]; !owed {
			t.owed[name] = debt{since: now}
		}
	}
}

// run tells until ctx ends.
func (t *teller) run(ctx context.Context) {
	for {
		t.f.mu.Lock()
		if t.f.c.Now().Sub(t.all) >= again {
			t.oweAll()
		}
		rest := t.rest()
		t.f.mu.Unlock()
		if rest > 0 {
			timer := time.NewTimer(rest)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			case <-t.wake:
			}
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		t.post(ctx)
	}
}

// rest is how long there is nothing to do; the caller holds mu. Two messages
// never have the same second: of two of one second the later change might lose.
func (t *teller) rest() time.Duration {
	now := t.f.c.Now()
	wait := again
	for _, d := range t.owed {
		wait = min(wait, d.after.Sub(now))
		if wait <= 0 {
			break
		}
	}
	if now.Unix() <= t.last {
		wait = max(wait, time.Unix(t.last+1, 0).Sub(now))
	}
	if t.misses > 0 {
		wait = max(wait, min(time.Second<<min(t.misses-1, 10), restMost))
	}
	return wait
}

// missesMax is how many resources a full letter is tried with.
const missesMax = 64

// letter is one message and what it is about.
type letter struct {
	items  []item
	counts map[Name]uint64
	at     time.Time
}

type item struct {
	entry relation.Entry
	of    Name
}

func (l *letter) entries() (all []relation.Entry) {
	for i := range l.items {
		all = append(all, l.items[i].entry)
	}
	return all
}

// post sends one message, and takes the answer.
func (t *teller) post(ctx context.Context) {
	l := t.pack()
	if l == nil {
		return
	}
	message, err := relation.Sign(t.f.c.Key, t.f.c.Organisation, l.at, l.entries())
	if err != nil { // of no such entry another try makes anything
		t.f.c.Log.ErrorContext(ctx, "relations cannot be stated", "error", err.Error())
		t.answered(l, nil)
		return
	}
	call, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	reasons, err := t.f.c.Network.TellRelations(call, t.x, message, len(l.items))
	if err != nil {
		t.missed(ctx, err)
		return
	}
	t.answered(l, reasons)
}

// pack takes what is owed and due, as much as one message holds; nil for
// nothing. What says nothing any more is owed no more.
func (t *teller) pack() *letter {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	now := t.f.c.Now()
	if now.Unix() <= t.last {
		return nil
	}
	l := &letter{counts: make(map[Name]uint64), at: now}
	missed := 0
	for name, d := range t.owed {
		if len(l.items) == relation.EntriesMax || missed == missesMax {
			break
		}
		s := t.f.held[name]
		if s != nil && now.Before(d.after) {
			continue
		}
		if s == nil || s.over(now.Unix()) {
			delete(t.owed, name)
			continue
		}
		if !l.add(name, s, now.Unix()) {
			missed++
		}
	}
	if len(l.items) == 0 {
		return nil
	}
	slices.SortFunc(l.items, func(a, b item) int { return relation.Compare(a.entry, b.entry) })
	t.last = now.Unix()
	return l
}

// add adds all that a resource says, or nothing: what has no room, or is about
// what another in the letter is about, comes in the next.
func (l *letter) add(name Name, s *state, now int64) bool {
	entries := s.entries(now)
	if len(entries) > relation.EntriesMax { // many were taken back; the rest runs out
		entries = entries[:relation.EntriesMax]
	}
	if len(l.items)+len(entries) > relation.EntriesMax {
		return false
	}
	for _, e := range entries {
		if slices.ContainsFunc(l.items, func(o item) bool { return relation.Compare(e, o.entry) == 0 }) {
			return false
		}
	}
	for _, e := range entries {
		l.items = append(l.items, item{entry: e, of: name})
	}
	l.counts[name] = s.count
	return true
}

// missed: the keeper did not answer, or refuses all.
func (t *teller) missed(ctx context.Context, err error) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	t.misses++
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok && t.misses == 1 {
		t.f.c.Log.WarnContext(ctx, "a keeper does not take relations", "keeper", int(t.x), "reason", string(refused.Reason))
	}
}

// answered settles what the keeper answered for. A patient whom it does not
// know yet is told again; what changed meanwhile is still owed.
func (t *teller) answered(l *letter, reasons []abaton.Reason) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	t.misses = 0
	unknown := make(map[Name]bool)
	for i := range reasons {
		if reasons[i] == abaton.ReasonNotFound {
			unknown[l.items[i].of] = true
		}
	}
	for name, count := range l.counts {
		d, owed := t.owed[name]
		if s := t.f.held[name]; !owed || s != nil && s.count != count {
			continue
		}
		if d.tries++; unknown[name] && d.tries < unknownTries {
			d.after = t.f.c.Now().Add(unknownRest)
			t.owed[name] = d
			continue
		}
		delete(t.owed, name)
	}
}
