package search

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// A codeTest compares tokens (FHIR R4, search.html#token): code, system|code,
// |code for one without a system, system| for any code of it.
type codeTest struct {
	wanted      []wantedCode
	identifiers bool // of the References of a column, not of its own tokens
}

type wantedCode struct {
	system, code string
	bar          bool // a system was named, if only as none
}

// tokens compiles the values of a token parameter.
func (q *Query) tokens(modifier string, values []string) (test tester, not bool, err error) {
	switch modifier {
	case "", "not":
		return &codeTest{wanted: wantedCodes(values)}, modifier == "not", nil
	case "text":
		return &slowTest{text: foldedAll(values)}, false, nil
	case "of-type":
		t := &slowTest{}
		for _, v := range values {
			parts := splitValues(v, '|')
			if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
				return nil, false, bad("value", "the modifier :of-type takes system|code|value; correct it")
			}
			t.typed = append(t.typed, [3]string{plain(parts[0]), plain(parts[1]), plain(parts[2])})
		}
		return t, false, nil
	}
	return nil, false, badModifier()
}

func wantedCodes(values []string) (wanted []wantedCode) {
	for _, v := range values {
		before, after, bar := cutAt(v, '|')
		w := wantedCode{code: plain(before)}
		if bar {
			w = wantedCode{plain(before), plain(after), true}
		}
		if w.system != "" || w.code != "" {
			wanted = append(wanted, w)
		}
	}
	return wanted
}

func (c *codeTest) mark(x *Index, of *column, b *branch, out bits) {
	exact := c.identifiers || b.element == "Identifier"
	free := !c.identifiers && withoutSystem(b.element)
	for _, w := range c.wanted {
		var code uint64
		switch {
		case w.code == "":
		case exact:
			code = x.space.hashText(w.code)
		default:
			code = x.space.hashFolded([]byte(w.code))
		}
		system, known := x.systems[x.space.hashText(w.system)]
		if w.system != "" && !known && !free {
			continue
		}
		if w.system == "" {
			system = 0
		}
		bar := w.bar && !free
		for i := range of.tokens {
			e := &of.tokens[i]
			if (code == 0 || e.code == code) && (!bar || e.system == system) && e.code|uint64(e.system) != 0 {
				out.set(e.row)
			}
		}
	}
}

// withoutSystem reports whether elements of a type carry no system: theirs
// is implied, so whatever a client names is taken for it.
func withoutSystem(element string) bool {
	switch element {
	case "CodeableConcept", "Coding", "Identifier":
		return false
	}
	return true
}

// A slowTest needs the resource's text: :text and :of-type.
type slowTest struct {
	text  []string
	typed [][3]string // system, code and value
}

// mark is never asked: a resourceFilter runs the test.
func (s *slowTest) mark(*Index, *column, *branch, bits) {}

func (s *slowTest) on(p *parameter) func(fhir.Resource) bool {
	return func(r fhir.Resource) bool {
		for i := range p.branches {
			for v := range p.branches[i].values(r.Value) {
				if s.matches(v) {
					return true
				}
			}
		}
		return false
	}
}

func (s *slowTest) matches(v fhir.Value) bool {
	for _, want := range s.typed {
		if v.Get("value").Is(want[2]) && hasCoding(v.Get("type"), want[0], want[1]) {
			return true
		}
	}
	if s.text == nil {
		return false
	}
	texts := []fhir.Value{v.Get("text"), v.Get("display"), v.Path("type", "text")}
	for coding := range v.Get("coding").Each() {
		texts = append(texts, coding.Get("display"))
	}
	for _, t := range texts {
		folded := fold(t.Text())
		for _, want := range s.text {
			if folded != "" && strings.HasPrefix(folded, want) {
				return true
			}
		}
	}
	return false
}

func hasCoding(concept fhir.Value, system, code string) bool {
	for coding := range concept.Get("coding").Each() {
		if coding.Get("code").Is(code) && (system == "" || coding.Get("system").Is(system)) {
			return true
		}
	}
	return false
}
