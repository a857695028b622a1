package client

import (
	"context"

	"github.com/abaton-health/abaton/seal"
)

// gathering is single writes for one patient and line that are held for a
// moment to be sealed together.
type gathering struct {
	writes []Write
	full   chan struct{}
	done   chan struct{}
	result *Written
	err    error
}

// gather joins a write to others of its patient and line. The first one of
// them seals for all.
func (w *Writer) gather(ctx context.Context, wr Write) (*Written, error) {
	k := markOf(wr.Patient, wr.Line)
	w.mu.Lock()
	g := w.gathering[k]
	if g == nil {
		g = &gathering{full: make(chan struct{}), done: make(chan struct{})}
		w.gathering[k] = g
		// The others must not fail with the one that came first, so the
		// write is not bound to its context.
		w.n.run(func() { w.lead(k, g) })
	}
	place := len(g.writes)
	g.writes = append(g.writes, wr)
	if len(g.writes) == seal.BatchRecordsMax {
		delete(w.gathering, k)
		close(g.full)
	}
	w.mu.Unlock()
	select {
	case <-g.done:
		return g.share(place)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.n.ctx.Done():
		return nil, w.n.ctx.Err()
	}
}

// lead waits and seals what has come.
func (w *Writer) lead(k markKey, g *gathering) {
	ctx, cancel := context.WithTimeout(w.n.ctx, w.c.Gather)
	select {
	case <-g.full:
	case <-ctx.Done():
	}
	cancel()
	w.mu.Lock()
	if w.gathering[k] == g {
		delete(w.gathering, k)
	}
	w.mu.Unlock()
	g.result, g.err = w.put(w.n.ctx, g.writes)
	close(g.done)
}

// share is one writer's part of the result.
func (g *gathering) share(place int) (*Written, error) {
	if g.result == nil {
		return nil, g.err
	}
	one := *g.result
	one.Names = g.result.Names[place : place+1]
	return &one, g.err
}
