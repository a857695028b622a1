package main

import (
	"slices"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// codes writes the code systems that the packages hold whole, and the value
// sets that bindings need.
func (w *writer) codes() {
	systems := map[string]*codeSystem{}
	for _, c := range w.core.systems {
		if c.Content != "complete" || len(c.Concept) == 0 {
			continue
		}
		if older := systems[c.URL]; older != nil { // of another release of a guide: both count
			older.Concept = append(older.Concept, c.Concept...)
			continue
		}
		systems[c.URL] = c
	}
	for _, c := range w.core.systems {
		if systems[c.URL] != c {
			continue
		}
		row := structure.SystemRow{URL: c.URL, Folded: c.CaseSensitive != nil && !*c.CaseSensitive}
		for _, code := range c.all(c.Concept, nil) {
			row.Codes = append(row.Codes, code.Code)
		}
		slices.Sort(row.Codes)
		row.Codes = slices.Compact(row.Codes)
		w.out.Systems = append(w.out.Systems, row)
	}
	sets := map[string]*valueSet{}
	for _, v := range w.core.valueSets {
		if older := sets[v.URL]; older != nil {
			older.Compose.Include = append(older.Compose.Include, v.Compose.Include...)
			continue
		}
		sets[v.URL] = v
	}
	x := expander{sets, systems}
	for url, v := range sets {
		row := structure.ValueSetRow{URL: url, Name: v.Name}
		if w.needed[url] {
			x.expand(&row, v, 0)
		} else {
			row.Open = true
		}
		w.out.ValueSets = append(w.out.ValueSets, row)
	}
}

func (c *codeSystem) all(list, out []*concept) []*concept {
	for _, code := range list {
		out = c.all(code.Concept, append(out, code))
	}
	return out
}

type expander struct {
	sets    map[string]*valueSet
	systems map[string]*codeSystem
}

// expand fills a row with what can be enumerated; Open says that something
// cannot.
func (x *expander) expand(row *structure.ValueSetRow, v *valueSet, depth int) {
	row.Codes = map[string][]string{}
	for _, i := range v.Compose.Include {
		x.include(row, &i, depth)
	}
	for _, e := range v.Compose.Exclude {
		x.exclude(row, &e)
	}
	slices.Sort(row.Whole)
	row.Whole = slices.Compact(row.Whole)
	for system, codes := range row.Codes {
		slices.Sort(codes)
		row.Codes[system] = slices.Compact(codes)
	}
}

func (x *expander) include(row *structure.ValueSetRow, i *include, depth int) {
	for _, url := range i.ValueSet {
		if x.sets[url] == nil || depth > 8 || i.System != "" {
			row.Open = true
			continue
		}
		var part structure.ValueSetRow
		x.expand(&part, x.sets[url], depth+1)
		row.Open = row.Open || part.Open
		row.Whole = append(row.Whole, part.Whole...)
		for system, codes := range part.Codes {
			row.Codes[system] = append(row.Codes[system], codes...)
		}
	}
	if len(i.ValueSet) > 0 {
		return
	}
	c := x.systems[i.System]
	switch {
	case len(i.Concept) > 0:
		for _, code := range i.Concept {
			row.Codes[i.System] = append(row.Codes[i.System], code.Code)
		}
	case c == nil:
		row.Open = true
	case len(i.Filter) == 0:
		row.Whole = append(row.Whole, i.System)
	default:
		codes, ok := c.filter(i)
		row.Open = row.Open || !ok
		row.Codes[i.System] = append(row.Codes[i.System], codes...)
	}
}

// filter understands one filter: is-a or descendent-of a concept.
func (c *codeSystem) filter(i *include) (codes []string, ok bool) {
	if len(i.Filter) != 1 || i.Filter[0].Property != "concept" {
		return nil, false
	}
	f := i.Filter[0]
	if f.Op != "is-a" && f.Op != "descendent-of" {
		return nil, false
	}
	below := map[string]bool{f.Value: true}
	all := c.all(c.Concept, nil)
	for grown := true; grown; { // ends: each turn adds a code or is the last
		grown = false
		for _, code := range all {
			if below[code.Code] {
				for _, child := range code.Concept {
					grown = grown || !below[child.Code]
					below[child.Code] = true
				}
				continue
			}
			for _, p := range code.Property {
				if p.Code == "subsumedBy" && below[p.ValueCode] {
					below[code.Code], grown = true, true
				}
			}
		}
	}
	for code := range below {
		if code != f.Value || f.Op == "is-a" {
			codes = append(codes, code)
		}
	}
	return codes, true
}

func (x *expander) exclude(row *structure.ValueSetRow, e *include) {
	if len(e.Concept) == 0 || e.System == "" {
		row.Open = true
		return
	}
	if at := slices.Index(row.Whole, e.System); at >= 0 { // write the rest out
		row.Whole = slices.Delete(row.Whole, at, at+1)
		for _, code := range x.systems[e.System].all(x.systems[e.System].Concept, nil) {
			row.Codes[e.System] = append(row.Codes[e.System], code.Code)
		}
	}
	for _, code := range e.Concept {
		row.Codes[e.System] = slices.DeleteFunc(row.Codes[e.System], func(c string) bool { return c == code.Code })
	}
}
