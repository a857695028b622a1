package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
)

// panel opens parts of several patients' charts for some types, a few at a
// time. Who cannot be opened by this session any more is left out: not
// granted is not there.
func (g *Gateway) panel(ctx context.Context, p *person, purpose abaton.Purpose, patients []abaton.ActorID, kinds map[string]bool) ([]*chart, error) {
	if len(patients) > panelPatientsMax {
		return nil, refusal(http.StatusBadRequest, "too-costly", "a search over so many patients does not fit in memory here; name them, as in patient=[id],[id]")
	}
	began := g.now()
	charts := make([]*chart, len(patients))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(panelAtOnce)
	for i, patient := range patients {
		work.Go(func() error {
			c, err := g.partOf(ctx, p, patient, purpose, kinds)
			if notMine(err) {
				return nil
			}
			if err != nil {
				return err
			}
			charts[i] = c
			return g.fits(p, began)
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(charts, func(c *chart) bool { return c == nil }), nil
}

// fits refuses when what this session, or all sessions together, have open is
// over the budget, though what earlier searches of the session opened has
// been dropped; then all of it goes.
func (g *Gateway) fits(p *person, began time.Time) error {
	if g.withinBudget(p) {
		return nil
	}
	p.dropParts(began)
	if g.withinBudget(p) {
		return nil
	}
	p.dropParts(g.now().Add(time.Hour))
	return refusal(http.StatusBadRequest, "too-costly", "what this search has to open does not fit in memory here; name fewer patients, as in patient=[id],[id]")
}

func (g *Gateway) withinBudget(p *person) bool {
	all := 0
	g.sessions.each(func(other *person) { all += other.partBytes() })
	return all <= panelBytesAll && p.partBytes() <= panelBytesMax
}

func (p *person) partBytes() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		if h.part != nil {
			n += h.part.heldBytes()
		}
	}
	return n
}

// dropParts drops what was last used before then.
func (p *person) dropParts(then time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		if h.used.Before(then) {
			h.part = nil
		}
	}
}
