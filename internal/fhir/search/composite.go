package search

import (
	"github.com/abaton-health/abaton/internal/fhir"
)

// A compositeFilter finds resources in which the parts match in one and the
// same element. What the first part rules out by a column is not read again.
type compositeFilter struct {
	q       *parameter
	scratch *program   // a column for each part's branch
	tuples  [][]tester // of each alternative, a test for each part
}

// composite compiles values part$part.
func (q *Query) composite(p *parameter, modifier string, values []string) (filter, error) {
	if modifier != "" {
		return nil, badModifier()
	}
	f := &compositeFilter{q: p, scratch: &program{}}
	for i := range p.parts {
		b := p.parts[i]
		b.column = i
		f.scratch.columns = append(f.scratch.columns, &b)
	}
	for _, v := range values {
		texts := splitValues(v, '$')
		if len(texts) != len(p.last) {
			return nil, bad("value", "a composite parameter needs a value for each of its parts, with $ between them; correct it")
		}
		var tests []tester
		for i, text := range texts {
			at := p.parts[p.last[i]-1]
			test, _, err := q.tester(&parameter{kind: at.kind, branches: p.parts}, "", []string{text})
			if err != nil {
				return nil, err
			}
			tests = append(tests, test)
		}
		f.tuples = append(f.tuples, tests)
	}
	return f, nil
}

func (f *compositeFilter) rows(_ *run, x *Index, t *table, among bits) bits {
	out := newBits(len(t.rows))
	for at := range f.candidates(x, t, among).each() {
		if r, err := fhir.ParseResource(t.rows[at].version.Body); err == nil && f.matches(x, r) {
			out.set(at)
		}
	}
	return out
}

// candidates are the rows in which some element has the first part, as far as
// the table's own columns tell.
func (f *compositeFilter) candidates(x *Index, t *table, among bits) bits {
	marked := newBits(len(t.rows))
	for _, base := range f.q.bases {
		for i := range f.q.last[0] {
			b := f.q.parts[i]
			whole := append(append(path(nil), base...), b.path...)
			if b.root {
				whole = b.path
			}
			c, known := t.columnOf(whole, &b)
			if !known {
				return among
			}
			for _, tests := range f.tuples {
				if c != nil {
					tests[0].mark(x, c, &b, marked)
				}
			}
		}
	}
	marked.keep(among)
	return marked
}

// columnOf is the column of a path, nil if it is empty; known tells whether
// there is one.
func (t *table) columnOf(p path, b *branch) (c *column, known bool) {
	for n, of := range t.program.columns {
		if of.kind == b.kind && of.element == b.element && samePath(of.path, p) {
			return t.columns[n], true
		}
	}
	return nil, false
}

// matches reads the elements of one resource into a table of their own and
// runs the tests on it.
func (f *compositeFilter) matches(x *Index, r fhir.Resource) bool {
	inner := x.space.NewIndex()
	t := &table{name: r.Type, program: f.scratch, columns: make([]*column, len(f.scratch.columns))}
	rows := 0
	for _, base := range f.q.bases {
		for element := range base.values(r.Value) {
			w := walk{index: inner, table: t, row: uint32(rows), resource: r}
			for _, b := range f.scratch.columns {
				from := element
				if b.root {
					from = r.Value
				}
				for v := range b.values(from) {
					w.enter(b, v)
				}
			}
			rows++
		}
	}
	for _, tests := range f.tuples {
		if f.tuple(inner, t, rows, tests) {
			return true
		}
	}
	return false
}

// tuple reports whether one element passes every part's test.
func (f *compositeFilter) tuple(x *Index, t *table, rows int, tests []tester) bool {
	all := newBits(rows)
	from := 0
	for i, test := range tests {
		marked := newBits(rows)
		for n := from; n < f.q.last[i]; n++ {
			if c := t.columns[n]; c != nil {
				test.mark(x, c, f.scratch.columns[n], marked)
			}
		}
		if from = f.q.last[i]; i == 0 {
			all = marked
		} else {
			all.keep(marked)
		}
	}
	return all.count() > 0
}
