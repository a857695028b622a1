package custody

import (
	"context"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
)

// Limits of an organisation's look at its own entries.
const (
	// looksAtOnce is how many pages are read at a time: reading a ledger takes a
	// processor, and care comes first.
	looksAtOnce = 1
	// lookReads bounds the entries read for one page, most of which may be
	// other organisations'.
	lookReads = 16384
	// looksMax is how many looks a keeper remembers to have ledgered. One that
	// it forgot is ledgered again.
	looksMax = 1024
	// lookLife is how long a look may go on, page by page, under one entry.
	lookLife = time.Hour
)

// asked is a look of one key.
type asked struct {
	look [32]byte
	by   abaton.KeyID
}

// looks are the looks that are ledgered, where, and since when.
type looks map[asked]looked

type looked struct {
	entry uint64
	since time.Time
}

// lookForm: a look stands in the question it belongs to and in no other.
func lookForm(q *keeper.Query) bool {
	if q.Kind != keeper.QueryTouched {
		return q.Look == nil
	}
	return q.Look != nil && q.Look.Valid() && len(q.Actors) == 0
}

// admitLook decides who may see an organisation's entries: a key of the
// organisation that manages it, or its security officer with a key that manages
// the officer's own log. The look is ledgered before anything is told; its
// pages are one entry, whichever page comes first.
func (c *Core) admitLook(t *tx, q *keeper.Query, asker *actor.State) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if time.Unix(q.Look.Since, 0).Sub(t.now) > abaton.ClockSkewMax { // its own entry would lie before it
		return refused(abaton.ReasonTime)
	}
	if !c.fresh(t.now, abaton.LeaseMax) { // it could not tell an officer who is one no longer
		return refused(abaton.ReasonLease)
	}
	if asker.KeyRights(q.Key)&actor.Manage == 0 {
		return refused(abaton.ReasonCredential)
	}
	organisation, may, err := c.oversees(asker, q.Key, abaton.ActorID{}, t.now)
	switch {
	case err != nil:
		return t.fail(err)
	case !may, organisation != q.Look.Organisation, !c.admitted[organisation]:
		return refused(abaton.ReasonCredential)
	}
	a := asked{q.Look.Hash(), q.Key}
	c.ledgerLook(t, a, q.Look.Entry(asker.Actor()))
	return Output{finish: func(o *Output) { o.Entry = c.looks[a].entry }}
}

func (c *Core) ledgerLook(t *tx, a asked, e ledger.Entry) {
	if l, known := c.looks[a]; known && t.now.Sub(l.since) < lookLife {
		return
	}
	place := t.enter(e)
	t.after = append(t.after, func(g *ledger.Group) {
		if c.looks == nil || len(c.looks) >= looksMax {
			c.looks = make(looks)
		}
		c.looks[a] = looked{g.First() + uint64(place), t.now}
	})
}

// touched reads a page of entries for a look that was admitted and ledgered.
// It runs beside the core, on what is committed.
func (k *Keeper) touched(ctx context.Context, a *keeper.Statements, q *keeper.Query, own uint64) error {
	select {
	case k.looking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.looking }()
	found, err := k.core.log.Select(q.Look, own, q.From, abaton.DisclosuresMax, lookReads)
	if err != nil {
		return err
	}
	a.Checkpoint, a.Next, a.Gone, a.Cover = found.Checkpoint, found.Next, found.Gone, keeper.MarshalCover(found.Cover)
	for i := range found.Disclosures {
		a.Disclosures = append(a.Disclosures, disclosed(&found.Disclosures[i]))
	}
	return nil
}

// disclosed is a disclosure in the words of the protocol.
func disclosed(d *ledger.Disclosure) keeper.Disclosure {
	out := keeper.Disclosure{Index: d.Index, Seq: d.Seq, Leaf: d.Leaf, Salt: d.Salt, Entry: d.Entry}
	for _, h := range d.Path {
		out.Path = append(out.Path, h)
	}
	return out
}
