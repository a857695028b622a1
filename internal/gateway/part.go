package gateway

import (
	"context"
	"fmt"
	"maps"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// A search over many patients opens of each only what it looks at: the batch
// indexes, which tell the type of every record (RULINGS 6), and the records of
// the types the query names. So a search for a Patient by identifier releases
// one record a patient, and the ledgers say so. A later search that looks at
// other types opens those in addition.

// A part is which types a chart is opened for. Of a batch without an index,
// which is one record, the record is opened whatever its type.
type part struct {
	kinds  map[string]bool // all of these are here; chart.mu
	wanted map[string]bool // these are asked for and not here yet; chart.mu

	// Owned by who holds chart.renewing.
	adding   map[string]bool                        // wanted when the renewal began
	contents map[abaton.BatchName]map[string]uint64 // records of each type in batches that have an index
	commits  []client.Record                        // of transactions, for records that are opened later
}

// newPart wants some types.
func newPart(kinds map[string]bool) *part {
	return &part{kinds: make(map[string]bool), wanted: maps.Clone(kinds), contents: make(map[abaton.BatchName]map[string]uint64)}
}

// want asks for types that are not here; the next use opens them.
func (c *chart) want(kinds map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind := range kinds {
		if !c.part.kinds[kind] {
			c.part.wanted[kind] = true
		}
	}
}

// widen begins a renewal that also opens what is wanted by now.
func (c *chart) widen() {
	if c.part == nil {
		return
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.part.adding = maps.Clone(c.part.wanted)
}

// widened notes, after a renewal that went well, that what it added is here.
func (c *chart) widened() {
	if c.part == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.part.kinds, c.part.adding)
	maps.DeleteFunc(c.part.wanted, func(kind string, _ bool) bool { return c.part.adding[kind] })
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
	c.want(kinds)
	return c, g.opened(ctx, p, c, false)
}

// whole reports whether a patient's chart is open for all types.
func (p *person) whole(patient abaton.ActorID, purpose abaton.Purpose) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	return h != nil && h.chart != nil && (purpose == "" || h.chart.purpose == purpose)
}

// partSlot is the session's part of a patient's chart, empty if none was open.
func (g *Gateway) partSlot(p *person, patient abaton.ActorID, purpose abaton.Purpose, kinds map[string]bool) (*chart, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	if h == nil || p.closed {
		return nil, abaton.ErrNotFound
	}
	h.used = g.now()
	if h.part == nil || purpose != "" && h.part.purpose != purpose {
		h.part = g.newChart(patient, purpose, newPart(kinds), p.limits)
	}
	return h.part, nil
}

// openAll opens a chart for the first time: the whole of it, or what is of its
// types.
func (g *Gateway) openAll(ctx context.Context, p *person, c *chart, asks []client.Ask) (*client.Chart, error) {
	if c.part == nil {
		return p.reader.Chart(ctx, asks...)
	}
	c.part.restart()
	opened := new(client.Chart)
	for _, ask := range asks {
		listing, err := p.reader.List(ctx, ask)
		if err != nil {
			return nil, fmt.Errorf("list chart: %w", err)
		}
		if err := g.openNews(ctx, p, c, ask, listing.Batches, nil, opened); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// restart forgets what is known of the batches: all of it is opened anew.
func (of *part) restart() {
	clear(of.contents)
	of.commits = nil
}

// rowsFor are the records of new batches that a chart takes in: all, or those
// that are of its types by the batches' indexes.
func (g *Gateway) rowsFor(ctx context.Context, p *person, c *chart, ask client.Ask, batches []client.Batch) (rows []client.Row, err error) {
	if c.part != nil {
		if err = g.readIndexes(ctx, p, c.part, ask, batches); err != nil {
			return nil, err
		}
	}
	for i := range batches {
		row := batches[i].Rows()
		if c.part != nil {
			row.Records &= c.part.records(batches[i].Name, c.part.kinds, c.part.adding)
		}
		if row.Records != 0 {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// rowsWidened are the records of batches known here that are of a type wanted
// since.
func (c *chart) rowsWidened(l *client.Listing) (rows []client.Row) {
	if c.part == nil || len(c.part.adding) == 0 {
		return nil
	}
	for i := range l.Batches {
		b := &l.Batches[i]
		if _, known := c.part.contents[b.Name]; !known || !c.knows(b.Name) {
			continue
		}
		if row := b.Rows(); row.Records&c.part.records(b.Name, c.part.adding) != 0 {
			row.Records &= c.part.records(b.Name, c.part.adding)
			rows = append(rows, row)
		}
	}
	return rows
}

// knows reports whether a batch is no news.
func (c *chart) knows(name abaton.BatchName) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, ok := c.seen[name]
	return ok
}

// commitKind stands for commits among the types of a batch's records; no
// resource type has that name.
const commitKind = ""

// records are those of some types, and the commits of transactions; all of a
// batch without an index.
func (of *part) records(batch abaton.BatchName, kinds ...map[string]bool) (records uint64) {
	contents, ok := of.contents[batch]
	if !ok {
		return ^uint64(0)
	}
	for _, set := range kinds {
		for kind := range set {
			records |= contents[kind]
		}
	}
	return records | contents[commitKind]
}

// readIndexes notes what batches hold, of those that have an index.
func (g *Gateway) readIndexes(ctx context.Context, p *person, of *part, ask client.Ask, batches []client.Batch) error {
	var with []client.Batch
	for _, b := range batches {
		if _, known := of.contents[b.Name]; !known && b.Records > 1 && b.Gone&1 == 0 {
			with = append(with, b)
		}
	}
	if len(with) == 0 {
		return nil
	}
	got, err := p.reader.Indexes(ctx, ask, with)
	if err != nil {
		return fmt.Errorf("open indexes: %w", err)
	}
	g.noteFaults(ctx, got.Faults)
	for i := range got.Records {
		index, err := seal.ParseIndex(got.Records[i].Content)
		if err != nil {
			continue // a faulty writer's; the records say themselves what they are
		}
		of.contents[got.Records[i].Name.Batch] = contentsOf(index)
	}
	return nil
}

func contentsOf(index *seal.Index) map[string]uint64 {
	contents := make(map[string]uint64)
	for i := range index.Entries {
		switch e := &index.Entries[i]; e.Kind {
		case seal.KindCommit:
			contents[commitKind] |= 1 << (i + 1)
		case seal.KindResource, seal.KindObject:
			contents[e.Type] |= 1 << (i + 1)
		}
	}
	return contents
}

// withCommits are records with the commits that came before them, so that
// what belongs to a transaction whose commit is here is shown.
func (c *chart) withCommits(records []client.Record) []client.Record {
	if c.part == nil {
		return records
	}
	all := append(records, c.part.commits...)
	for i := range records {
		if records[i].Envelope.Kind == seal.KindCommit {
			c.part.commits = append(c.part.commits, records[i])
		}
	}
	return all
}

// lieIn reports whether resources of a type can lie in a patient's chart, in
// the directory, or, as a Device can, in either.
func lieIn(kind string) (charts, directory bool) {
	directory = fhir.Directory(kind)
	return !directory || fhir.OfPatient(kind), directory
}
