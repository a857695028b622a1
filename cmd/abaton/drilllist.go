package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/ledger"
)

// affected is what the keepers' ledgers say that somebody opened, of all
// patients: the list on which a breach is reported.
type affected struct {
	opened map[abaton.RecordName]abaton.ActorID // at least t keepers released it
	asked  map[abaton.ActorID]bool              // patients of whom anything was asked for
	lines  int
}

// historiesAtOnce is how many patients' lists are read at a time.
const historiesAtOnce = 4

// since is what the ledgers say that whoever matches did since a moment.
func (g *ground) since(ctx context.Context, began time.Time, match func(*ledger.Line) bool) (*affected, error) {
	a := &affected{opened: make(map[abaton.RecordName]abaton.ActorID), asked: make(map[abaton.ActorID]bool)}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(historiesAtOnce)
	for _, p := range g.patients {
		group.Go(func() error {
			h, err := g.history(ctx, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p.Handle, err)
			}
			mu.Lock()
			defer mu.Unlock()
			a.read(p.ID, h, func(l *ledger.Line) bool { return max(l.Last, l.Renewed) >= began.Unix() && match(l) })
			return nil
		})
	}
	return a, group.Wait()
}

func (a *affected) read(patient abaton.ActorID, h *ledger.History, match func(*ledger.Line) bool) {
	for i := range h.Lines {
		l := &h.Lines[i]
		if !match(l) {
			continue
		}
		a.lines++
		a.asked[patient] = true
		if l.Op != ledger.OpRelease {
			continue
		}
		for _, row := range l.Rows {
			for j := range abaton.BatchRecordsMax {
				if row.Confirmed>>j&1 == 1 {
					a.opened[abaton.RecordName{Batch: row.Batch, Index: uint16(j)}] = patient
				}
			}
		}
	}
}

// exactly compares the list with what the thief really has.
func (a *affected) exactly(h *haul) (bool, string) {
	missing, extra := 0, 0
	for name := range h.records {
		if _, listed := a.opened[name]; !listed {
			missing++
		}
	}
	for name := range a.opened {
		if _, had := h.records[name]; !had {
			extra++
		}
	}
	return missing+extra == 0, fmt.Sprintf("%d read and not listed, %d listed and not read", missing, extra)
}

// history is a patient's own list, from a session of the patient's.
func (g *ground) history(ctx context.Context, p *people.Person) (*ledger.History, error) {
	d, err := newDevice(g.n, p)
	if err != nil {
		return nil, err
	}
	defer d.hangUp()
	l, err := g.n.People().Direct(ctx, p, d.net)
	if err != nil {
		return nil, err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return reader.History(ctx, p.ID)
}

// account fills in what an attack brought, from what the thief has and from
// what the ledgers say of whoever matches.
func (g *ground) account(ctx context.Context, l *loss, began time.Time, h *haul, match func(*ledger.Line) bool) (*affected, error) {
	l.records, l.patients = len(h.records), len(h.patients)
	a, err := g.since(ctx, began, match)
	if err != nil {
		return a, err
	}
	exact, how := a.exactly(h)
	if l.exact = exact; !exact {
		return a, fmt.Errorf("the list: %s", how)
	}
	return a, nil
}

// by matches an actor's lines, bySession those of one session.
func by(id abaton.ActorID) func(*ledger.Line) bool {
	return func(l *ledger.Line) bool { return l.Actor == id }
}

func bySession(l client.Login) func(*ledger.Line) bool {
	id, err := (&asker{login: l}).session()
	return func(line *ledger.Line) bool { return err == nil && line.Session == id }
}

// madeOf matches the lines of several actors.
func madeOf(who map[abaton.ActorID]bool) func(*ledger.Line) bool {
	return func(l *ledger.Line) bool { return who[l.Actor] }
}
