package search

import (
	"github.com/abaton-health/abaton/internal/fhir"
)

// A Page is one page of an answer.
type Page struct {
	Versions []*fhir.Version // what matches, in order
	Included []*fhir.Version // what _include and _revinclude bring with them
	Total    int             // over all pages
	Next     *Cursor         // nil on the last page
}

// Run answers a page: the first, or what comes after a cursor that an equal
// query gave. Nothing outside of the set has any part in it: not in what
// matches, not in the total, the order or the inclusions. The same index must
// not stand in a set twice. The error is an *fhir.OutcomeError of status 400
// if the page would bring too much with it.
func (q *Query) Run(after *Cursor, set ...*Index) (*Page, error) {
	if after != nil && len(after.Keys) != q.keysLen() {
		return nil, bad("value", "this page link is not of this search; start again from the first page")
	}
	r := &run{set: set, targets: make(map[filter]map[uint64]struct{}), allows: q.options.Allows, live: make(map[*table]bits)}
	hits := q.matches(r)
	out := &Page{Total: len(hits)}
	if q.Summary == SummaryCount || q.Count == 0 {
		return out, nil
	}
	sorted := *q
	if len(q.sort) == 0 {
		sorted.sort = []sortRule{{name: "_lastUpdated"}}
	}
	if err := sorted.keyed(hits); err != nil {
		return nil, err
	}
	page, more := sorted.page(hits, after, q.Count)
	for i := range page {
		out.Versions = append(out.Versions, page[i].version())
	}
	if more {
		last := page[len(page)-1]
		out.Next = &Cursor{Keys: last.keys, Type: last.version().Type, ID: last.version().ID}
	}
	if len(q.includes) == 0 {
		return out, nil
	}
	var err error
	out.Included, err = q.included(r, page)
	return out, err
}

func (q *Query) keysLen() int { return max(len(q.sort), 1) }

// matches are the resources that pass every filter, in no order.
func (q *Query) matches(r *run) (hits []hit) {
	for _, x := range r.set {
		t := x.tables[q.Type]
		if t == nil {
			continue
		}
		for at := range r.found(x, t, q.filters).each() {
			hits = append(hits, hit{index: x, table: t, row: at})
		}
	}
	return hits
}

// Narrow is the query that finds the same and answers no more than two of
// them: enough to tell one from several.
func (q *Query) Narrow() *Query {
	narrow := *q
	narrow.Count, narrow.Summary, narrow.includes, narrow.sort = 2, SummaryNone, nil, nil
	return &narrow
}
