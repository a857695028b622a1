package search

import (
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// A targetTest compares what references point to (FHIR R4,
// search.html#reference).
type targetTest struct {
	wanted []string            // whole texts: Type/id, a URL, a canonical
	hashes map[uint64]struct{} // instead of wanted, of a chain
}

// references compiles the values of a reference parameter. A bare id stands
// for any type the parameter may point to.
func (q *Query) references(p *parameter, modifier string, values []string) (tester, error) {
	if modifier == "identifier" {
		return &codeTest{wanted: wantedCodes(values), identifiers: true}, nil
	}
	of := p.targets
	if modifier != "" {
		if programs()[modifier] == nil || of != nil && !slices.Contains(of, modifier) {
			return nil, badModifier()
		}
		of = []string{modifier}
	}
	t := &targetTest{}
	for _, v := range values {
		t.wanted = append(t.wanted, q.targets(plain(v), of, modifier)...)
	}
	return t, nil
}

// targets are the texts that a value of a query stands for.
func (q *Query) targets(v string, of []string, modifier string) []string {
	if q.options.Base != "" {
		v = strings.TrimPrefix(v, q.options.Base+"/")
	}
	if fhir.IsID(v) {
		out := []string{v}
		if of == nil {
			of = allTypes()
		}
		for _, name := range of {
			out = append(out, name+"/"+v)
		}
		return out
	}
	ref, ok := fhir.ParseRef(v)
	if !ok || ref.ID == "" {
		return []string{v}
	}
	if modifier != "" && ref.Type != modifier {
		return nil
	}
	ref.Version = ""
	return []string{ref.String()}
}

func (t *targetTest) mark(x *Index, c *column, b *branch, out bits) {
	hashes := t.hashes
	if hashes == nil {
		hashes = make(map[uint64]struct{}, len(t.wanted))
		for _, w := range t.wanted {
			hashes[x.space.hashText(w)] = struct{}{}
		}
	}
	only := typeNumber([]byte(b.only))
	for i := range c.references {
		e := &c.references[i]
		if only != 0 && e.of != only {
			continue
		}
		if _, ok := hashes[e.target]; ok {
			out.set(e.row)
		}
	}
}

// A chainFilter follows a reference to resources of the set that pass inner
// filters, one for each type it may lead to.
type chainFilter struct {
	branches []branch
	inner    map[string]filter // by type
}

// chain compiles subject:Patient.name and the like.
func (q *Query) chain(kind, first, rest, value string, depth int) (filter, error) {
	if depth == 0 {
		return nil, bad("too-costly", "a chain is too long; use fewer steps")
	}
	name, modifier, _ := strings.Cut(first, ":")
	p := programs()[kind].parameters[name]
	if p == nil || p.kind != kindReference {
		return nil, skip("it is no chain of reference parameters of this type")
	}
	of := p.targets
	if modifier != "" {
		if programs()[modifier] == nil {
			return nil, badModifier()
		}
		of = []string{modifier}
	}
	if of == nil {
		return nil, bad("value", "a chain leads over a reference to any type; name the type, as in subject:Patient.name")
	}
	f := &chainFilter{p.branches, make(map[string]filter)}
	var last error
	for _, target := range of {
		inner, err := q.filter(target, rest, value, depth-1)
		if _, unknown := err.(*skipped); unknown {
			last = err
			continue
		}
		if err != nil {
			return nil, err
		}
		f.inner[target] = inner
	}
	if len(f.inner) == 0 {
		return nil, last
	}
	return f, nil
}

func (f *chainFilter) rows(r *run, x *Index, t *table, _ bits) bits {
	hashes, ok := r.targets[f]
	if !ok {
		hashes = make(map[uint64]struct{})
		for name, inner := range f.inner {
			r.each(name, inner, func(_ *Index, t *table, rows bits) {
				for at := range rows.each() {
					hashes[t.rows[at].name] = struct{}{}
				}
			})
		}
		r.targets[f] = hashes
	}
	test := valueFilter{branches: f.branches, test: &targetTest{hashes: hashes}}
	return test.rows(r, x, t, nil)
}

// each calls do for every table of a type in the set with the rows that pass.
func (r *run) each(name string, f filter, do func(*Index, *table, bits)) {
	for _, x := range r.set {
		if t := x.tables[name]; t != nil {
			do(x, t, r.found(x, t, []filter{f}))
		}
	}
}

// A reverseFilter finds what resources of another type refer to
// (FHIR R4, search.html#has).
type reverseFilter struct {
	name     string // the other type
	branches []branch
	inner    filter
}

// has compiles a _has parameter of the query.
func (q *Query) has(p fhir.Param) error {
	f, err := q.filter(q.Type, p.Name, p.Value, chainMax)
	if err == nil {
		q.filters = append(q.filters, f)
	}
	return err
}

// reverse compiles Type:reference:rest.
func (q *Query) reverse(kind, text, value string, depth int) (filter, error) {
	if depth == 0 {
		return nil, bad("too-costly", "a chain is too long; use fewer steps")
	}
	name, rest, _ := strings.Cut(text, ":")
	reference, rest, ok := strings.Cut(rest, ":")
	if !ok || programs()[name] == nil {
		return nil, bad("value", "_has must be _has:Type:reference:parameter; correct it")
	}
	p := programs()[name].parameters[reference]
	if p == nil || p.kind != kindReference || p.targets != nil && !slices.Contains(p.targets, kind) {
		return nil, skip("its reference does not lead to this type")
	}
	inner, err := q.filter(name, rest, value, depth-1)
	if err != nil {
		return nil, err
	}
	return &reverseFilter{name, p.branches, inner}, nil
}

func (f *reverseFilter) rows(r *run, _ *Index, t *table, among bits) bits {
	hashes, ok := r.targets[f]
	if !ok {
		hashes = make(map[uint64]struct{})
		r.each(f.name, f.inner, func(_ *Index, t *table, rows bits) {
			for i := range f.branches {
				t.targets(&f.branches[i], rows, hashes)
			}
		})
		r.targets[f] = hashes
	}
	out := newBits(len(t.rows))
	for at := range among.each() {
		if _, ok := hashes[t.rows[at].name]; ok {
			out.set(at)
		}
	}
	return out
}

// targets notes what some rows refer to through a column.
func (t *table) targets(b *branch, rows bits, into map[uint64]struct{}) {
	c := t.columns[b.column]
	if c == nil {
		return
	}
	only := typeNumber([]byte(b.only))
	for i := range c.references {
		if e := &c.references[i]; (only == 0 || e.of == only) && rows.has(e.row) {
			into[e.target] = struct{}{}
		}
	}
}
