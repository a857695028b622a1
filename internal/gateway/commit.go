package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/seal"
)

// commit writes changes as one transaction: all of them become readable, or
// none. pending says that they lie safe in the outbox but not yet at the
// write quorum.
func (g *Gateway) commit(ctx context.Context, p *person, changes []*change) (pending bool, err error) {
	if len(changes) == 0 {
		return false, nil
	}
	_, pending, err = g.put(ctx, p, changes)
	return pending, err
}

// put is commit, and says in which batches the changes lie.
func (g *Gateway) put(ctx context.Context, p *person, changes []*change) (written *client.Written, pending bool, err error) {
	if err := g.mayWrite(ctx, p, changes); err != nil {
		return nil, false, err
	}
	t := client.Transaction{Writes: make([]client.Write, len(changes))}
	for i, ch := range changes {
		ch.at = i
		t.Writes[i] = client.Write{Patient: ch.home, Line: ch.line, Fact: ch.fact,
			Record: seal.Record{Envelope: ch.envelope, Content: ch.content}}
	}
	copies, err := g.copies(ctx, p, changes)
	if err != nil {
		return nil, false, err
	}
	kept, err := g.dutyCopies(ctx, p, changes)
	if err != nil {
		return nil, false, err
	}
	t.Writes = append(append(t.Writes, copies...), kept...)
	// Once it is in the outbox it will be written, whether the caller waits
	// or not; the answer and the charts must know how it ended.
	written, err = g.writer.Put(context.WithoutCancel(ctx), t)
	pending = errors.Is(err, abaton.ErrPending)
	if err != nil && !pending {
		return nil, false, g.notWritten(ctx, err)
	}
	g.counters.written(len(changes), pending)
	err = g.show(p, changes, written)
	g.relate(ctx, p, changes)
	return written, pending, err
}

// notWritten tells the caller why nothing was written. What is neither a
// keeper's word nor a limit is this gateway's own disk.
func (g *Gateway) notWritten(ctx context.Context, err error) error {
	_, refused := errors.AsType[*abaton.RefusedError](err)
	if refused || errors.Is(err, seal.ErrTooLarge) || errors.Is(err, abaton.ErrUnavailable) || errors.Is(err, abaton.ErrNotFound) {
		return err
	}
	g.log.ErrorContext(ctx, "outbox does not take writes", "error", err.Error())
	return refusal(http.StatusServiceUnavailable, "no-store", "this gateway cannot store writes now, so nothing was written; tell the operator to look at its disk")
}

// show puts what was written into the session's own charts, and makes every
// other session ask the keepers before it reads those charts again.
func (g *Gateway) show(p *person, changes []*change, written *client.Written) error {
	byHome := make(map[abaton.ActorID][]*change)
	for _, ch := range changes {
		byHome[ch.home] = append(byHome[ch.home], ch)
	}
	for home, own := range byHome {
		defer g.subscriptions.wakeFor(home)
		g.sessions.each(func(other *person) {
			if other != p {
				other.stale(home)
			}
		})
		p.mu.Lock()
		h := p.held[home]
		var c *chart
		if h != nil {
			c, h.part = h.chart, nil // a part is opened again with what was written
		}
		p.mu.Unlock()
		if c == nil || written == nil || len(written.Names) <= own[len(own)-1].at {
			continue
		}
		if err := c.added(own, written); err != nil {
			return err
		}
		c.wrote(own, written, g.org, g.writerID)
	}
	return nil
}

// locks make conditional writes exact within this process: one writer per
// patient at a time.
type locks struct {
	mu   sync.Mutex
	held map[abaton.ActorID]*lockEntry
}

type lockEntry struct {
	mu     sync.Mutex
	claims int
}

// hold locks some patients, always in the same order, and returns how to let
// go.
func (l *locks) hold(patients ...abaton.ActorID) (release func()) {
	patients = slices.Clone(patients)
	slices.SortFunc(patients, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	patients = slices.Compact(patients)
	for _, id := range patients {
		l.take(id).mu.Lock()
	}
	return func() {
		for _, id := range patients {
			l.leave(id)
		}
	}
}

func (l *locks) take(id abaton.ActorID) *lockEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.held[id]
	if e == nil {
		e = new(lockEntry)
		l.held[id] = e
	}
	e.claims++
	return e
}

func (l *locks) leave(id abaton.ActorID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.held[id]
	e.mu.Unlock()
	if e.claims--; e.claims == 0 {
		delete(l.held, id)
	}
}
