package search

import (
	"maps"
	"slices"
	"sync"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Parameters are the search parameters of a type, sorted by name, as a
// CapabilityStatement lists them.
func Parameters(name string) (out []fhir.Parameter) {
	p := programs()[name]
	if p == nil {
		return nil
	}
	out = []fhir.Parameter{{Name: "_id", Type: "token"}, {Name: "_lastUpdated", Type: "date"}}
	for _, of := range slices.Sorted(maps.Keys(p.parameters)) {
		out = append(out, fhir.Parameter{Name: of, Type: p.parameters[of].kind.String()})
	}
	slices.SortFunc(out, func(a, b fhir.Parameter) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// Includes are the values of _include that begin at a type.
func Includes(name string) (out []string) {
	p := programs()[name]
	if p == nil {
		return nil
	}
	for of, q := range p.parameters {
		if q.kind == kindReference {
			out = append(out, name+":"+of)
		}
	}
	slices.Sort(out)
	return out
}

// Reverses are the values of _revinclude that end at a type.
func Reverses(name string) []string { return slices.Concat(reverses()[name], reverses()["*"]) }

var reverses = sync.OnceValue(func() map[string][]string {
	all := make(map[string][]string)
	for _, source := range allTypes() {
		p := programs()[source]
		for _, of := range slices.Sorted(maps.Keys(p.parameters)) {
			switch q := p.parameters[of]; {
			case q.kind != kindReference:
			case q.targets == nil:
				all["*"] = append(all["*"], source+":"+of)
			default:
				for _, target := range q.targets {
					all[target] = append(all[target], source+":"+of)
				}
			}
		}
	}
	return all
})
