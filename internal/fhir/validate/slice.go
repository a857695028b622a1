package validate

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// matches reports whether a value belongs to a slice; known is false if that
// cannot be told here.
func (w *walk) matches(s, slice *shape, f found) (match, known bool) {
	if slice.el != nil && slice.el.Of != "" {
		url, _, _ := strings.Cut(slice.el.Of, "|")
		return f.value.Get("url").Is(url), true
	}
	if s.el == nil || len(s.el.Discriminators) == 0 {
		return false, false
	}
	for _, d := range s.el.Discriminators {
		match, known := w.discriminate(d, slice, f)
		if !known || !match {
			return match, known
		}
	}
	return true, true
}

func (w *walk) discriminate(d structure.Discriminator, slice *shape, f found) (match, known bool) {
	if d.Type == "type" && d.Path == "$this" {
		if slice.el == nil || len(slice.el.Types) == 0 || f.of == nil {
			return false, false
		}
		for _, name := range slice.el.Types {
			if f.of.Is(name) {
				return true, true
			}
		}
		return false, true
	}
	if d.Type == "profile" || d.Type == "type" || strings.ContainsAny(d.Path, "()") {
		return false, false
	}
	parts := strings.Split(d.Path, ".")
	if d.Path == "$this" {
		parts = nil
	}
	return w.compareAt(slice, parts, f, d.Type)
}

// compareAt goes down to the discriminating element and compares.
func (w *walk) compareAt(s *shape, parts []string, f found, kind string) (match, known bool) {
	if len(parts) > 0 {
		if s.value.Kind() != fhir.Absent { // the pattern stands above: it decides
			return fits(f.value, s.value, s.el.Fixed), true
		}
		next := s.child(parts[0])
		var e *structure.Element
		if f.of != nil {
			e = f.of.Element(parts[0])
		}
		if next == nil || e == nil {
			return false, false
		}
		values := gather(f, e)
		if kind == "exists" && len(parts) == 1 {
			return existsAs(next, len(values))
		}
		if len(values) == 0 {
			return false, true
		}
		for _, target := range append([]*shape{next}, next.slices...) { // what decides may stand in a slice of its own
			for _, v := range values {
				m, k := w.compareAt(target, parts[1:], v, kind)
				if m {
					return true, true
				}
				known = known || k
			}
		}
		return false, known
	}
	switch {
	case s.value.Kind() != fhir.Absent:
		return fits(f.value, s.value, s.el.Fixed), true
	case s.el != nil && s.el.Binding != nil && f.of != nil:
		return w.inBinding(f, s.el.Binding)
	}
	return w.below(s, f)
}

// below compares all that the slice fixes under the discriminating element.
func (w *walk) below(s *shape, f found) (match, known bool) {
	known = false
	for _, c := range s.children {
		var e *structure.Element
		if f.of != nil {
			e = f.of.Element(c.name)
		}
		if e == nil {
			continue
		}
		any, told := false, false
		targets := append([]*shape{c}, c.slices...)
		for _, target := range targets {
			for _, v := range gather(f, e) {
				m, k := w.compareAt(target, nil, v, "value")
				any, told = any || m, told || k
			}
		}
		if len(gather(f, e)) == 0 && c.fixes() {
			return false, true
		}
		if told && !any {
			return false, true
		}
		known = known || told
	}
	return known, known
}

// fixes reports whether a value is asked for here or below.
func (s *shape) fixes() bool {
	if s.value.Kind() != fhir.Absent {
		return true
	}
	for _, c := range append(s.children, s.slices...) {
		if c.fixes() {
			return true
		}
	}
	return false
}

func existsAs(s *shape, n int) (match, known bool) {
	if s.el == nil {
		return false, false
	}
	if s.el.Max == 0 {
		return n == 0, true
	}
	return n > 0, s.el.Min > 0
}

func (w *walk) inBinding(f found, b *structure.Binding) (match, known bool) {
	var codings []fhir.Value
	switch f.of.Name {
	case "code":
		return verdict(w.v.types.InValueSet(b.ValueSet, "", f.value.Text()))
	case "Coding":
		codings = append(codings, f.value)
	default:
		for c := range f.value.Get("coding").Each() {
			codings = append(codings, c)
		}
	}
	known = true
	for _, c := range codings {
		m, k := verdict(w.v.types.InValueSet(b.ValueSet, c.Get("system").Text(), c.Get("code").Text()))
		if m {
			return true, true
		}
		known = known && k
	}
	return false, known
}

func verdict(k structure.Known) (match, known bool) {
	return k == structure.Valid, k != structure.Unknown
}

// fits reports whether a value is the fixed one, or contains the pattern
// (elementdefinition.html#ElementDefinition.pattern).
func fits(v, want fhir.Value, fixed bool) bool {
	if v.Kind() != want.Kind() {
		return false
	}
	switch v.Kind() {
	case fhir.String:
		return v.Text() == want.Text()
	case fhir.Object:
		if fixed && v.Len() != want.Len() {
			return false
		}
		for x := range want.Children() {
			if !fits(v.Get(x.Name()), x, fixed) {
				return false
			}
		}
		return true
	case fhir.Array:
		return fitsArray(v, want, fixed)
	}
	return string(v.Raw()) == string(want.Raw())
}

func fitsArray(v, want fhir.Value, fixed bool) bool {
	if fixed && v.Len() != want.Len() {
		return false
	}
	for x := range want.Children() {
		any := false
		for y := range v.Children() {
			any = any || fits(y, x, fixed)
		}
		if !any {
			return false
		}
	}
	return true
}
