package search

// A dateTest compares spans of time (FHIR R4, search.html#date).
type dateTest struct{ bounds []dateBound }

type dateBound struct {
	prefix   prefix
	from, to int64 // of ap, widened already
}

func (q *Query) dates(values []string) (t dateTest, err error) {
	for _, v := range values {
		p, text, ok := cutPrefix(plain(v))
		from, to, is := span([]byte(text))
		if !ok || !is {
			return t, bad("value", "a date must be a FHIR date or dateTime with one of eq ne gt lt ge le sa eb ap before it; correct it")
		}
		if p == "ap" {
			now := q.options.Now.UnixMicro()
			gap := max(now-from, from-now) / 10
			from, to = from-gap, to+gap
		}
		t.bounds = append(t.bounds, dateBound{p, from, to})
	}
	return t, nil
}

// match compares the span of a resource's value: each end counts where it
// lies, and an open end lies beyond everything.
func (t dateTest) match(from, to int64) bool {
	for i := range t.bounds {
		if t.bounds[i].match(from, to) {
			return true
		}
	}
	return false
}

func (b *dateBound) match(from, to int64) bool {
	eq := b.from <= from && to <= b.to
	switch b.prefix {
	case "eq":
		return eq
	case "ne":
		return !eq
	case "gt":
		return to > b.to
	case "lt":
		return from < b.from
	case "ge":
		return to > b.to || eq
	case "le":
		return from < b.from || eq
	case "sa":
		return from >= b.to
	case "eb":
		return to <= b.from
	case "ap":
		return from < b.to && to > b.from
	}
	return false
}

func (t dateTest) mark(_ *Index, c *column, _ *branch, out bits) {
	for i := range c.dates {
		if e := &c.dates[i]; t.match(e.from, e.to) {
			out.set(e.row)
		}
	}
}
