package gateway

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// A search over many patients opens of each only what it looks at: the batch
// indexes, which tell the type of every record (RULINGS 6), and the records of
// the types the query names. So a search for a Patient by identifier releases
// one record a patient, and the ledgers say so.

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

// partOf is a patient's chart opened for at least these types; nil means all
// of them. A chart that is open whole serves.
func (g *Gateway) partOf(ctx context.Context, p *person, patient abaton.ActorID, purpose abaton.Purpose, kinds map[string]bool) (*chart, error) {
	if kinds == nil || p.whole(patient, purpose) {
		return g.chartOf(ctx, p, patient, purpose, false)
	}
	c, err := g.partSlot(p, patient, purpose, kinds)
	if err != nil {
		return nil, err
	}
	return c, g.opened(ctx, p, c, false)
}

// whole reports whether a patient's chart is open for all types.
func (p *person) whole(patient abaton.ActorID, purpose abaton.Purpose) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	return h != nil && h.chart != nil && (purpose == "" || h.chart.purpose == purpose)
}

// partSlot is the session's part of a patient's chart. One that lacks a type
// gives way to one with all types of both.
func (g *Gateway) partSlot(p *person, patient abaton.ActorID, purpose abaton.Purpose, kinds map[string]bool) (*chart, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	if h == nil || p.closed {
		return nil, abaton.ErrNotFound
	}
	h.used = g.now()
	if h.part == nil || purpose != "" && h.part.purpose != purpose {
		h.part = g.newChart(patient, purpose, maps.Clone(kinds))
		return h.part, nil
	}
	for kind := range kinds {
		if !h.part.kinds[kind] {
			all := maps.Clone(h.part.kinds)
			maps.Copy(all, kinds)
			h.part = g.newChart(patient, h.part.purpose, all)
			break
		}
	}
	return h.part, nil
}

// openAll opens a chart for the first time: the whole of it, or what is of its
// types.
func (g *Gateway) openAll(ctx context.Context, p *person, c *chart, asks []client.Ask) (*client.Chart, error) {
	if c.kinds == nil {
		return p.reader.Chart(ctx, asks...)
	}
	opened := new(client.Chart)
	for _, ask := range asks {
		listing, err := p.reader.List(ctx, ask)
		if err != nil {
			return nil, fmt.Errorf("list chart: %w", err)
		}
		if err := g.openNews(ctx, p, c, ask, listing.Batches, opened); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// rowsFor are the records of batches that a chart takes in: all, or those
// that are of its types by the batches' indexes. A batch without an index is
// one record, and has to be opened to tell.
func (g *Gateway) rowsFor(ctx context.Context, p *person, c *chart, ask client.Ask, batches []client.Batch) (rows []client.Row, err error) {
	var indexes map[abaton.BatchName]*seal.Index
	if c.kinds != nil && len(batches) > 0 {
		if indexes, err = g.indexes(ctx, p, ask, batches); err != nil {
			return nil, err
		}
	}
	for i := range batches {
		row := batches[i].Rows()
		if index := indexes[batches[i].Name]; index != nil {
			row.Records &= c.among(index)
		}
		if row.Records != 0 {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// indexes are those of batches that have one and could be read.
func (g *Gateway) indexes(ctx context.Context, p *person, ask client.Ask, batches []client.Batch) (map[abaton.BatchName]*seal.Index, error) {
	if !slices.ContainsFunc(batches, func(b client.Batch) bool { return b.Records > 1 && b.Gone&1 == 0 }) {
		return nil, nil
	}
	got, err := p.reader.Indexes(ctx, ask, batches)
	if err != nil {
		return nil, fmt.Errorf("open indexes: %w", err)
	}
	g.noteFaults(ctx, got.Faults)
	out := make(map[abaton.BatchName]*seal.Index, len(got.Records))
	for i := range got.Records {
		if index, err := seal.ParseIndex(got.Records[i].Content); err == nil {
			out[got.Records[i].Name.Batch] = index
		}
	}
	return out, nil
}

// among are the records of a batch that a chart of some types takes in: those
// types, and the commits of transactions.
func (c *chart) among(index *seal.Index) (records uint64) {
	for i := range index.Entries {
		if e := &index.Entries[i]; e.Kind == seal.KindCommit || e.Kind == seal.KindResource && c.kinds[e.Type] {
			records |= 1 << (i + 1)
		}
	}
	return records
}

// wanted are the records that a chart keeps of those opened.
func (c *chart) wanted(records []client.Record) []client.Record {
	if c.kinds == nil {
		return records
	}
	return slices.DeleteFunc(records, func(r client.Record) bool {
		return r.Envelope.Kind != seal.KindResource || !c.kinds[r.Envelope.Type]
	})
}

// lieIn reports whether resources of a type can lie in a patient's chart, in
// the directory, or, as a Device can, in either.
func lieIn(kind string) (charts, directory bool) {
	directory = fhir.Directory(kind)
	return !directory || fhir.OfPatient(kind), directory
}
