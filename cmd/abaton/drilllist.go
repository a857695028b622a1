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

	requests map[[32]byte]bool
}

// historiesAtOnce is how many patients' lists are read at a time.
const historiesAtOnce = 4

// since is what the ledgers say that whoever matches did since a moment.
func (g *ground) since(ctx context.Context, began time.Time, match func(*ledger.Entry) bool) (*affected, error) {
	a := &affected{opened: make(map[abaton.RecordName]abaton.ActorID), asked: make(map[abaton.ActorID]bool), requests: make(map[[32]byte]bool)}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(historiesAtOnce)
	for _, p := range g.patients {
		group.Go(func() error {
			told, err := g.entries(ctx, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p.Handle, err)
			}
			mu.Lock()
			defer mu.Unlock()
			a.read(p.ID, told, int(g.n.Set().T), func(e *ledger.Entry) bool { return e.Time >= began.Unix() && match(e) })
			return nil
		})
	}
	return a, group.Wait()
}

// read counts by how many keepers each record was released, whether for one
// request or for several: whoever asks twice may put the pieces together.
func (a *affected) read(patient abaton.ActorID, told [][]ledger.Entry, threshold int, match func(*ledger.Entry) bool) {
	released := make(map[abaton.RecordName]int)
	for _, entries := range told {
		here := make(map[abaton.RecordName]bool) // a record counts once a keeper
		for i := range entries {
			e := &entries[i]
			if !match(e) {
				continue
			}
			a.requests[e.Request], a.asked[patient] = true, true
			for _, row := range e.Rows {
				for j := range abaton.BatchRecordsMax {
					if e.Op == ledger.OpRelease && row.Released>>j&1 == 1 {
						here[abaton.RecordName{Batch: row.Batch, Index: uint16(j)}] = true
					}
				}
			}
		}
		for name := range here {
			released[name]++
		}
	}
	for name, keepers := range released {
		if keepers >= threshold {
			a.opened[name] = patient
		}
	}
}

// entries are each keeper's own entries about a patient, told to the patient's
// own session.
func (g *ground) entries(ctx context.Context, p *people.Person) (told [][]ledger.Entry, err error) {
	l, err := g.n.People().Direct(ctx, p, g.org.net)
	if err != nil {
		return nil, err
	}
	for i := range g.n.Set().Keepers {
		a := &asker{entry: &g.n.Set().Keepers[i], login: l, patient: p.ID}
		o, err := openAt(ctx, a)
		if err != nil {
			return nil, err
		}
		all, err := a.entries(ctx, o)
		o.wire.Close()
		if err != nil {
			return nil, fmt.Errorf("keeper %d: %w", i+1, err)
		}
		told = append(told, all)
	}
	return told, nil
}

// entries reads one keeper's ledger about the patient to its end.
func (a *asker) entries(ctx context.Context, o *opened) (all []ledger.Entry, err error) {
	for from := uint64(0); ; {
		reply, err := a.history(ctx, o.wire, o.channel, from)
		if err != nil {
			return nil, err
		}
		for i := range reply.Disclosures {
			e, err := ledger.ParseEntry(reply.Disclosures[i].Entry)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		if from = reply.Next; from == 0 {
			return all, nil
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
func (g *ground) history(ctx context.Context, p *people.Person) (h *ledger.History, err error) {
	err = g.asPatient(ctx, p, func(own *client.Reader) (err error) {
		h, err = own.History(ctx, p.ID)
		return err
	})
	return h, err
}

// asPatient does something in a session of a patient's own, at the patient's device.
func (g *ground) asPatient(ctx context.Context, p *people.Person, do func(*client.Reader) error) error {
	d, err := newDevice(g.n, p)
	if err != nil {
		return err
	}
	defer d.hangUp()
	l, err := g.n.People().Direct(ctx, p, d.net)
	if err != nil {
		return err
	}
	own, err := d.net.NewReader(l)
	if err != nil {
		return err
	}
	defer own.Close()
	return do(own)
}

// account fills in what an attack brought, from what the thief has and from
// what the ledgers say of whoever matches.
func (g *ground) account(ctx context.Context, l *loss, began time.Time, h *haul, match func(*ledger.Entry) bool) (*affected, error) {
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
func by(id abaton.ActorID) func(*ledger.Entry) bool {
	return func(l *ledger.Entry) bool { return l.Actor == id }
}

func bySession(l client.Login) func(*ledger.Entry) bool {
	id, err := (&asker{login: l}).session()
	return func(line *ledger.Entry) bool { return err == nil && line.Session == id }
}

// madeOf matches the lines of several actors.
func madeOf(who map[abaton.ActorID]bool) func(*ledger.Entry) bool {
	return func(l *ledger.Entry) bool { return who[l.Actor] }
}
