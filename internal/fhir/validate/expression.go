package validate

import (
	"errors"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/path"
)

// compiles checks that a text is FHIRPath. A function that only other
// specifications have is no fault.
func (w *walk) compiles(member string, text string) {
	var bad *path.SyntaxError
	if _, err := path.Compile(text); errors.As(err, &bad) && !bad.Unknown {
		w.failAt(member, "invalid", "fhirpath", "the expression is not FHIRPath: "+bad.Reason)
	}
}

// expression checks an Expression.
func (w *walk) expression(v fhir.Value) {
	if v.Get("language").Is("text/fhirpath") && v.Get("expression").Kind() == fhir.String {
		w.compiles("expression", v.Get("expression").Text())
	}
}

// elementPathExists reports whether a path of a differential leads to an
// element of the type; in doubt it does.
func (w *walk) elementPathExists(p string) bool {
	parts := strings.Split(p, ".")
	t := w.v.types.Type(parts[0])
	for _, part := range parts[1:] {
		if t == nil {
			return true
		}
		name, choice := strings.CutSuffix(part, "[x]")
		e := t.Element(name)
		if e != nil && e.Choice == choice {
			if t = nil; len(e.Types) == 1 {
				t = e.Types[0]
			}
			continue
		}
		m, ok := t.Member(part)
		if !ok {
			return false
		}
		t = m.Type
	}
	return true
}
