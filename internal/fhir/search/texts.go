package search

import "strings"

// A textTest compares strings (FHIR R4, search.html#string).
type textTest struct {
	raw    []string // of :exact
	folded []string
	inside bool // :contains
}

func texts(modifier string, values []string) (tester, error) {
	switch modifier {
	case "":
		return &textTest{folded: foldedAll(values)}, nil
	case "contains":
		return &textTest{folded: foldedAll(values), inside: true}, nil
	case "exact":
		t := &textTest{}
		for _, v := range values {
			t.raw = append(t.raw, plain(v))
		}
		return t, nil
	}
	return nil, badModifier()
}

// foldedAll are the values that are not empty, as strings compare.
func foldedAll(values []string) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		if f := fold(plain(v)); f != "" {
			out = append(out, f)
		}
	}
	return out
}

func (t *textTest) mark(_ *Index, c *column, _ *branch, out bits) {
	for i := range c.texts {
		e := &c.texts[i]
		for _, want := range t.raw {
			if e.raw == want {
				out.set(e.row)
			}
		}
		for _, want := range t.folded {
			if t.inside && strings.Contains(e.folded, want) || !t.inside && strings.HasPrefix(e.folded, want) {
				out.set(e.row)
			}
		}
	}
}

// A uriTest compares URIs, which tell upper from lower case; :below takes
// what lies under one, :above what one lies under (FHIR R4, search.html#uri).
type uriTest struct {
	wanted       []string
	below, above bool
}

func uris(modifier string, values []string) (tester, error) {
	t := &uriTest{below: modifier == "below", above: modifier == "above"}
	if modifier != "" && !t.below && !t.above {
		return nil, badModifier()
	}
	for _, v := range values {
		t.wanted = append(t.wanted, plain(v))
	}
	return t, nil
}

func (t *uriTest) mark(_ *Index, c *column, b *branch, out bits) {
	for i := range c.texts {
		e := &c.texts[i]
		for _, want := range t.wanted {
			have := e.raw
			if url, _, versioned := strings.Cut(have, "|"); versioned && b.element == "canonical" && !strings.Contains(want, "|") {
				have = url
			}
			if have == want || t.below && under(have, want) || t.above && under(want, have) {
				out.set(e.row)
			}
		}
	}
}

// under reports whether one URL lies below another, at a whole segment.
func under(url, above string) bool {
	above = strings.TrimSuffix(above, "/")
	return above != "" && strings.HasPrefix(url, above+"/")
}
