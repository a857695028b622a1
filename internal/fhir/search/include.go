package search

import (
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// An include is one _include or _revinclude (FHIR R4, search.html#include).
type include struct {
	back    bool   // _revinclude
	iterate bool   // also from what was included
	source  string // the type that has the reference
	of      []*parameter
	target  string // only to this type, "" for any
}

// include compiles Source:parameter or Source:parameter:Target; the parameter
// may be a star, and so may the whole.
func (q *Query) include(back bool, modifier, value string) error {
	in := include{back: back, iterate: modifier == "iterate" || modifier == "recurse"}
	if modifier != "" && !in.iterate {
		return badModifier()
	}
	if len(q.includes) == includesMax {
		return bad("too-costly", "too many inclusions are asked for; use fewer")
	}
	if value == "*" && !back {
		value = q.Type + ":*"
	}
	source, rest, ok := strings.Cut(value, ":")
	p := programs()[source]
	if !ok || p == nil {
		return bad("value", "an inclusion must be Type:parameter or Type:parameter:Target; correct it")
	}
	name, target, targeted := strings.Cut(rest, ":")
	if in.source, in.target = source, target; targeted && programs()[target] == nil {
		return bad("value", "the target of an inclusion is no resource type; correct it")
	}
	for _, of := range p.parameters {
		if of.kind == kindReference && (name == "*" || of.name == name) {
			in.of = append(in.of, of)
		}
	}
	if len(in.of) == 0 {
		return skip("it names no reference parameter of that type")
	}
	q.includes = append(q.includes, in)
	q.expect(&in)
	return nil
}

// expect notes which types an inclusion may bring.
func (q *Query) expect(in *include) {
	if in.back {
		q.kinds[in.source] = true
		return
	}
	if in.target != "" {
		q.kinds[in.target] = true
		return
	}
	for _, p := range in.of {
		if p.targets == nil {
			q.every = true
		}
		for _, t := range p.targets {
			q.kinds[t] = true
		}
	}
}

// A gathering collects what is included on one page.
type gathering struct {
	run  *run
	seen map[uint64]bool // by hash of Type/id
	out  []hit
}

// included follows the inclusions from a page's matches, and those with
// :iterate also from what they bring, until nothing new comes.
func (q *Query) included(r *run, page []hit) ([]*fhir.Version, error) {
	g := &gathering{run: r, seen: make(map[uint64]bool)}
	for i := range page {
		g.seen[page[i].table.rows[page[i].row].name] = true
	}
	from := page
	for round := range roundsMax {
		start := len(g.out)
		for i := range q.includes {
			in := &q.includes[i]
			if round > 0 && !in.iterate {
				continue
			}
			if in.back {
				g.backward(in, from)
			} else {
				g.forward(in, from)
			}
			if len(g.out) > IncludedMax {
				return nil, bad("too-costly", "a page would bring too many included resources; ask for fewer a page with _count")
			}
		}
		if from = g.out[start:]; len(from) == 0 {
			break
		}
	}
	slices.SortFunc(g.out, func(a, b hit) int {
		x, y := a.version(), b.version()
		return strings.Compare(x.Type+"/"+x.ID, y.Type+"/"+y.ID)
	})
	out := make([]*fhir.Version, len(g.out))
	for i := range g.out {
		out[i] = g.out[i].version()
	}
	return out, nil
}

// forward adds what hits refer to.
func (g *gathering) forward(in *include, from []hit) {
	for i := range from {
		h := &from[i]
		if h.table.name != in.source {
			continue
		}
		for _, p := range in.of {
			for n := range p.branches {
				h.references(&p.branches[n], func(e *referenceEntry) { g.add(e, in.target) })
			}
		}
	}
}

// references are the entries of one row.
func (h *hit) references(b *branch, yield func(*referenceEntry)) {
	c := h.table.columns[b.column]
	if c == nil {
		return
	}
	only := typeNumber([]byte(b.only))
	start := firstOf(c.references, h.row, func(e *referenceEntry) uint32 { return e.row })
	for i := start; i < len(c.references) && c.references[i].row == h.row; i++ {
		if e := &c.references[i]; e.of != 0 && (only == 0 || e.of == only) {
			yield(e)
		}
	}
}

// add takes in what an entry points to, if it lies in the set.
func (g *gathering) add(e *referenceEntry, target string) {
	name := allTypes()[e.of-1]
	if target != "" && name != target || g.seen[e.target] {
		return
	}
	for _, x := range g.run.set {
		t := x.tables[name]
		if t == nil {
			continue
		}
		if at, ok := t.byName[e.target]; ok && g.run.seen(t).has(at) {
			g.seen[e.target] = true
			g.out = append(g.out, hit{index: x, table: t, row: at})
			return
		}
	}
}

// backward adds what refers to hits.
func (g *gathering) backward(in *include, from []hit) {
	wanted := make(map[uint64]struct{})
	for i := range from {
		if in.target == "" || from[i].table.name == in.target {
			wanted[from[i].table.rows[from[i].row].name] = struct{}{}
		}
	}
	test := &targetTest{hashes: wanted}
	for _, x := range g.run.set {
		t := x.tables[in.source]
		if t == nil {
			continue
		}
		marked := newBits(len(t.rows))
		for _, p := range in.of {
			for n := range p.branches {
				if c := t.columns[p.branches[n].column]; c != nil {
					test.mark(x, c, &p.branches[n], marked)
				}
			}
		}
		marked.keep(g.run.seen(t))
		for at := range marked.each() {
			if name := t.rows[at].name; !g.seen[name] {
				g.seen[name] = true
				g.out = append(g.out, hit{index: x, table: t, row: at})
			}
		}
	}
}
