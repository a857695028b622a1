package search

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// A kind is a FHIR search parameter type (FHIR R4, search.html#ptypes).
type kind byte

const (
	kindCode      kind = 't'
	kindString    kind = 's'
	kindReference kind = 'r'
	kindDate      kind = 'd'
	kindNumber    kind = 'n'
	kindQuantity  kind = 'q'
	kindURI       kind = 'u'
	kindComposite kind = 'c'
	kindPosition  kind = 'p' // Location.near
)

// String is the search type as a CapabilityStatement names it.
func (k kind) String() string {
	switch k {
	case kindCode:
		return "token"
	case kindString:
		return "string"
	case kindReference:
		return "reference"
	case kindDate:
		return "date"
	case kindNumber:
		return "number"
	case kindQuantity:
		return "quantity"
	case kindURI:
		return "uri"
	case kindComposite:
		return "composite"
	case kindPosition:
		return "special"
	}
	panic("search: a program of no kind")
}

// A parameter is one search parameter of one type.
type parameter struct {
	name     string
	kind     kind
	targets  []string // of a reference; nil for any type
	branches []branch
	bases    []path   // of a composite: the elements that hold its parts
	parts    []branch // of a composite: alternatives share their part
	last     []int    // of a composite: where each part's alternatives end
}

// A branch is one place a parameter looks at.
type branch struct {
	path
	kind    kind
	element string // FHIR type of the element, or a name of convert
	only    string // a Reference counts only if it points to this type
	root    bool   // of a composite's part: from the resource, not from its base
	column  int    // of the type's program
}

// A path is steps down from a resource.
type path []step

// A step is one member; its elements count if they pass the filter, or only
// the first.
type step struct {
	name        string
	filter, has string
	first       bool
}

// A program is everything one type is searched by.
type program struct {
	parameters map[string]*parameter
	columns    []*branch // by number; a column serves every parameter with its path
	trie       *trie
}

// A trie visits every column's elements in one walk over a resource.
type trie struct {
	edges   map[string][]edge
	columns []*branch
}

type edge struct {
	step step
	to   *trie
}

// programs are those of all types by name, read from the generated text once.
var programs = sync.OnceValue(func() map[string]*program { return parsePrograms(programText) })

// typeNumbers numbers the types from 1, in the order of their names: there
// are 148 of them.
var typeNumbers = sync.OnceValue(func() map[string]uint8 {
	numbers := make(map[string]uint8)
	for i, name := range allTypes() {
		numbers[name] = uint8(i + 1)
	}
	return numbers
})

// allTypes are the names of all types, sorted.
var allTypes = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(programs())) })

// parsePrograms reads the generated form. What it does not understand is a
// programmer's error.
func parsePrograms(text string) map[string]*program {
	all := make(map[string]*program)
	var common, p *program
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch len(fields) {
		case 0:
		case 1:
			p = &program{parameters: make(map[string]*parameter), trie: &trie{}}
			if common == nil {
				common = p
				continue
			}
			all[fields[0]] = p
			for _, of := range common.parameters {
				again := *of
				again.branches = append([]branch(nil), of.branches...)
				p.add(&again)
			}
		case 2, 3:
			panic("search: a program line is short")
		default:
			p.add(parseParameter(fields))
		}
	}
	return all
}

func parseParameter(fields []string) *parameter {
	q := &parameter{name: fields[0], kind: kind(fields[1][0])}
	if fields[2] != "-" && fields[2] != "*" {
		q.targets = strings.Split(fields[2], ",")
	}
	if q.kind != kindComposite {
		for _, text := range fields[3:] {
			b := parseBranch(q.kind, text)
			if q.name == "patient" && b.element == "Reference" {
				b.only = "Patient" // also where the expression does not say so
			}
			q.branches = append(q.branches, b)
		}
		return q
	}
	for text := range strings.SplitSeq(fields[3], ",") {
		q.bases = append(q.bases, parsePath(text))
	}
	for _, text := range fields[4:] {
		for one := range strings.SplitSeq(text[2:], ",") {
			one, root := strings.CutPrefix(one, "%")
			b := parseBranch(kind(text[0]), one)
			b.root = root
			q.parts = append(q.parts, b)
		}
		q.last = append(q.last, len(q.parts))
	}
	return q
}

func parseBranch(k kind, text string) branch {
	at := strings.LastIndexByte(text, ':')
	b := branch{path: parsePath(text[:at]), kind: k}
	b.element, b.only, _ = strings.Cut(text[at+1:], "@")
	return b
}

// parsePath reads steps; dots inside brackets belong to a filter.
func parsePath(text string) (p path) {
	if text == "$" {
		return nil
	}
	for text != "" {
		end := strings.IndexAny(text, ".[")
		s := step{name: text}
		if end >= 0 {
			s.name = text[:end]
		}
		text = text[len(s.name):]
		if inside, ok := strings.CutPrefix(text, "["); ok {
			inside, text, _ = strings.Cut(inside, "]")
			if s.first = inside == "0"; !s.first {
				s.filter, s.has, _ = strings.Cut(inside, "=")
			}
		}
		p, text = append(p, s), strings.TrimPrefix(text, ".")
	}
	return p
}

// add takes a parameter in and gives its branches their columns.
func (p *program) add(q *parameter) {
	p.parameters[q.name] = q
	for i := range q.branches {
		b := &q.branches[i]
		b.column = -1
		for n, c := range p.columns {
			if c.kind == b.kind && c.element == b.element && samePath(c.path, b.path) {
				b.column = n
			}
		}
		if b.column < 0 {
			b.column = len(p.columns)
			p.columns = append(p.columns, b)
			p.trie.insert(b.path, b)
		}
	}
}

func samePath(a, b path) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (t *trie) insert(p path, b *branch) {
	if len(p) == 0 {
		t.columns = append(t.columns, b)
		return
	}
	if t.edges == nil {
		t.edges = make(map[string][]edge)
	}
	edges := t.edges[p[0].name]
	for _, e := range edges {
		if e.step == p[0] {
			e.to.insert(p[1:], b)
			return
		}
	}
	next := &trie{}
	t.edges[p[0].name] = append(edges, edge{p[0], next})
	next.insert(p[1:], b)
}
