package search

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// A filter finds rows of one table. It may look at those of among only, and
// answers no other.
type filter interface {
	rows(r *run, x *Index, t *table, among bits) bits
}

// A run is one query over one set of indexes.
type run struct {
	set     []*Index
	targets map[filter]map[uint64]struct{} // what a chain or _has leads to, found once
	allows  func(*fhir.Version) bool
	live    map[*table]bits // what may be seen, where allows narrows it
}

// seen are the rows of a table that are in the set.
func (r *run) seen(t *table) bits {
	if r.allows == nil {
		return t.live
	}
	out, ok := r.live[t]
	if !ok {
		out = newBits(len(t.rows))
		for at := range t.live.each() {
			if r.allows(t.rows[at].version) {
				out.set(at)
			}
		}
		r.live[t] = out
	}
	return out
}

// found are the rows of a table that pass all filters.
func (r *run) found(x *Index, t *table, filters []filter) bits {
	out := append(bits(nil), r.seen(t)...)
	for _, f := range filters {
		if out.empty() {
			break
		}
		out.keep(f.rows(r, x, t, out))
	}
	return out
}

// A tester marks the rows of a column whose entries match.
type tester interface {
	mark(x *Index, c *column, b *branch, out bits)
}

// A valueFilter looks at the columns of one parameter.
type valueFilter struct {
	branches []branch
	test     tester
	not      bool // rows that do not match, those without a value too
}

func (f *valueFilter) rows(_ *run, x *Index, t *table, among bits) bits {
	out := newBits(len(t.rows))
	for i := range f.branches {
		if b := &f.branches[i]; t.columns[b.column] != nil {
			f.test.mark(x, t.columns[b.column], b, out)
		}
	}
	if f.not {
		rest := append(bits(nil), among...)
		rest.except(out)
		return rest
	}
	return out
}

// A presentTest marks every row with an entry.
type presentTest struct{}

func (presentTest) mark(_ *Index, c *column, b *branch, out bits) {
	only := typeNumber([]byte(b.only))
	for _, e := range c.references {
		if only == 0 || e.of == only {
			out.set(e.row)
		}
	}
	if b.kind != kindReference {
		for _, e := range c.tokens {
			out.set(e.row)
		}
	}
	for _, e := range c.dates {
		out.set(e.row)
	}
	for _, e := range c.texts {
		out.set(e.row)
	}
	for _, e := range c.numbers {
		out.set(e.row)
	}
	for _, e := range c.quantities {
		out.set(e.row)
	}
}

// An idFilter finds resources by their ids.
type idFilter struct{ ids []string }

func (f *idFilter) rows(_ *run, x *Index, t *table, _ bits) bits {
	out := newBits(len(t.rows))
	for _, id := range f.ids {
		if at, ok := t.byName[x.space.hashText(t.name+"/"+id)]; ok && t.live.has(at) {
			out.set(at)
		}
	}
	return out
}

// An updatedFilter compares lastUpdated, which lies in the version.
type updatedFilter struct{ test dateTest }

func (f *updatedFilter) rows(_ *run, _ *Index, t *table, among bits) bits {
	out := newBits(len(t.rows))
	for at := range among.each() {
		from := t.rows[at].version.LastUpdated.UnixMicro()
		if f.test.match(from, from+millisecondMicros) {
			out.set(at)
		}
	}
	return out
}

// millisecondMicros is the precision of lastUpdated here.
const millisecondMicros = 1000

// A typeFilter passes whole types.
type typeFilter struct{ names []string }

func (f *typeFilter) rows(_ *run, _ *Index, t *table, among bits) bits {
	for _, name := range f.names {
		if name == t.name {
			return among
		}
	}
	return newBits(len(t.rows))
}

// A resourceFilter reads each resource again, for what no column holds.
type resourceFilter struct{ test func(fhir.Resource) bool }

func (f *resourceFilter) rows(_ *run, _ *Index, t *table, among bits) bits {
	out := newBits(len(t.rows))
	for at := range among.each() {
		if r, err := fhir.ParseResource(t.rows[at].version.Body); err == nil && f.test(r) {
			out.set(at)
		}
	}
	return out
}

// filter compiles one condition on a type: chains and _has go down to depth.
func (q *Query) filter(kind, name, value string, depth int) (filter, error) {
	q.kinds[kind] = true
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return q.reverse(kind, rest, value, depth)
	}
	if value == "" {
		return nil, skip("it has no value")
	}
	if first, rest, chained := strings.Cut(name, "."); chained {
		return q.chain(kind, first, rest, value, depth)
	}
	name, modifier, modified := strings.Cut(name, ":")
	if modified && modifier == "" {
		return nil, badModifier()
	}
	values := splitValues(value, ',')
	if len(values) > valuesMax {
		return nil, bad("too-costly", "a parameter has too many values; use fewer")
	}
	switch name {
	case "_id", "_type", "_lastUpdated":
		return q.versionFilter(name, modifier, values)
	case "_text", "_content", "_filter", "_list", "_query":
		return nil, skip("it is not supported here")
	}
	p := programs()[kind].parameters[name]
	if p == nil {
		return nil, skip("it is no search parameter of this type")
	}
	return q.valueFilter(p, modifier, values)
}

// versionFilter is a condition on what is not in the body.
func (q *Query) versionFilter(name, modifier string, values []string) (filter, error) {
	for i := range values {
		values[i] = plain(values[i])
	}
	switch {
	case modifier == "missing" && name != "_type":
		wanted, err := missing(values)
		return &constantFilter{!wanted}, err
	case modifier == "not" && name == "_id":
		return &notFilter{&idFilter{values}}, nil
	case modifier != "":
		return nil, badModifier()
	case name == "_id":
		return &idFilter{values}, nil
	case name == "_type":
		return &typeFilter{values}, nil
	}
	test, err := q.dates(values)
	return &updatedFilter{test}, err
}

// A constantFilter passes all or nothing.
type constantFilter struct{ all bool }

func (f *constantFilter) rows(_ *run, _ *Index, t *table, among bits) bits {
	if f.all {
		return among
	}
	return newBits(len(t.rows))
}

// A notFilter passes what another does not.
type notFilter struct{ of filter }

func (f *notFilter) rows(r *run, x *Index, t *table, among bits) bits {
	out := append(bits(nil), among...)
	out.except(f.of.rows(r, x, t, among))
	return out
}

func missing(values []string) (wanted bool, err error) {
	if len(values) == 1 && (values[0] == "true" || values[0] == "false") {
		return values[0] == "true", nil
	}
	return false, bad("value", "the modifier :missing takes true or false; correct it")
}

// valueFilter is a condition on a parameter.
func (q *Query) valueFilter(p *parameter, modifier string, values []string) (filter, error) {
	if modifier == "missing" {
		wanted, err := missing(values)
		if err != nil || p.kind == kindComposite {
			return nil, errOr(err, badModifier)
		}
		return &valueFilter{p.branches, presentTest{}, wanted}, nil
	}
	if p.kind == kindComposite {
		return q.composite(p, modifier, values)
	}
	test, not, err := q.tester(p, modifier, values)
	if err != nil {
		return nil, err
	}
	if f, ok := test.(*slowTest); ok {
		return &resourceFilter{f.on(p)}, nil
	}
	return &valueFilter{p.branches, test, not}, nil
}

func errOr(err error, other func() error) error {
	if err != nil {
		return err
	}
	return other()
}

// tester compiles the values of a parameter of a kind.
func (q *Query) tester(p *parameter, modifier string, values []string) (test tester, not bool, err error) {
	switch p.kind {
	case kindCode:
		return q.tokens(modifier, values)
	case kindReference:
		test, err = q.references(p, modifier, values)
		return test, false, err
	case kindString:
		test, err = texts(modifier, values)
	case kindURI:
		test, err = uris(modifier, values)
	default:
		if modifier != "" {
			return nil, false, badModifier()
		}
		switch p.kind {
		case kindDate:
			test, err = q.dates(values)
		case kindNumber:
			test, err = numbers(values)
		case kindQuantity:
			test, err = quantities(values)
		case kindPosition:
			test, err = positions(values)
		default:
			panic("search: a parameter of no kind")
		}
	}
	return test, false, err
}
