package validate

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/path"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// A shape is a profile as a tree: elements, and the slices of an element.
type shape struct {
	name     string // with [x] taken off; of a slice its name
	el       *structure.ProfileElement
	value    fhir.Value // of el.Value, read
	children []*shape
	slices   []*shape
}

// shapes reads every profile into a tree.
func shapes(types *structure.Set) (map[string]*shape, error) {
	all := map[string]*shape{}
	for p := range types.Profiles() {
		root := &shape{name: p.Type}
		for _, e := range p.Elements {
			s := root.at(strings.Split(e.ID, ".")[1:])
			s.el = e
			if e.Value != "" {
				d, err := fhir.Parse([]byte(e.Value))
				if err != nil {
					return nil, err
				}
				s.value = d.Root()
			}
		}
		all[p.URL] = root
	}
	return all, nil
}

// at is the part of the tree at an element id.
func (s *shape) at(parts []string) *shape {
	for _, part := range parts {
		name, slice, sliced := strings.Cut(part, ":")
		s = grow(&s.children, strings.TrimSuffix(name, "[x]"))
		if sliced {
			s = grow(&s.slices, slice)
		}
	}
	return s
}

func grow(list *[]*shape, name string) *shape {
	for _, s := range *list {
		if s.name == name {
			return s
		}
	}
	s := &shape{name: name}
	*list = append(*list, s)
	return s
}

func (s *shape) child(name string) *shape {
	for _, c := range s.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// a found value of an element.
type found struct {
	value, extra fhir.Value
	of           *structure.Type
	step         step
}

// profiles checks the profiles that a resource claims, and the vital signs
// that R4 asks of every Observation of such a code
// (observation-vitalsigns.html).
func (w *walk) profiles(v fhir.Value, t *structure.Type, h *home) {
	done := map[*shape]bool{}
	var urls []string
	for p := range v.Path("meta", "profile").Each() {
		urls = append(urls, p.Text())
	}
	if h.up == nil {
		urls = append(urls, w.as...)
	}
	for _, url := range urls {
		root := w.v.shapes[url]
		if root == nil {
			base, _, _ := strings.Cut(url, "|")
			root = w.v.shapes[base]
		}
		if root == nil {
			if name, ours := strings.CutPrefix(url, "http://hl7.org/fhir/StructureDefinition/"); !ours || w.v.types.Type(name) == nil {
				w.skip("profiles that are not part of the definitions")
			}
			continue
		}
		// A claim without a release may mean one that is not known here; it is
		// held against the newest, and cannot be wrong for sure.
		_, several := w.v.shapes[url+"|8.0.0"]
		w.soft = several
		w.profile(root, v, t, h, done)
		w.soft = false
	}
	if t.Name == "Observation" {
		for c := range v.Path("code", "coding").Each() {
			if name := vitalSign(c); name != "" {
				w.profile(w.v.shapes["http://hl7.org/fhir/StructureDefinition/"+name], v, t, h, done)
			}
		}
	}
}

func (w *walk) profile(root *shape, v fhir.Value, t *structure.Type, h *home, done map[*shape]bool) {
	if root == nil || done[root] {
		return
	}
	done[root] = true
	if root.name != t.Name {
		w.fail("structure", "profile-type", "the resource claims a profile of another type")
		return
	}
	w.conform(root, found{value: v, of: t}, h)
}

// vitalSign is the profile that a code asks for, "" if none.
func vitalSign(coding fhir.Value) string {
	code := coding.Get("code").Text()
	if coding.Get("system").Is("http://snomed.info/sct") && code == "276885007" { // core body temperature
		return "bodytemp"
	}
	if !coding.Get("system").Is("http://loinc.org") {
		return ""
	}
	return map[string]string{"85353-1": "vitalspanel", "9279-1": "resprate", "8867-4": "heartrate", "2708-6": "oxygensat",
		"8310-5": "bodytemp", "8302-2": "bodyheight", "9843-4": "headcircum", "29463-7": "bodyweight", "39156-5": "bmi", "85354-9": "bp"}[code]
}

// conform checks the elements below one value.
func (w *walk) conform(s *shape, at found, h *home) {
	if at.of == nil || at.of.Kind == structure.Primitive && s.child("extension") == nil {
		return
	}
	for _, c := range s.children {
		e := at.of.Element(c.name)
		if e == nil {
			continue
		}
		values := gather(at, e)
		w.counts(c.el, c.name, len(values), "")
		for _, f := range values {
			w.at = append(w.at, f.step)
			w.constrain(c, f, h)
			w.pop()
		}
		w.slicing(c, values, h)
	}
}

// gather lists the values of an element.
func gather(at found, e *structure.Element) (out []found) {
	object := at.value
	if at.of.Kind == structure.Primitive {
		object = at.extra
	}
	for child := range object.Children() {
		name, companion := strings.CutPrefix(child.Name(), "_")
		m, ok := at.of.Member(name)
		if !ok || m.Element != e || companion && object.Get(name).Kind() != fhir.Absent {
			continue
		}
		if companion {
			out = append(out, found{extra: child, of: m.Type, step: step{name, -1}})
			continue
		}
		extra := companionOf(object, m, name)
		if child.Kind() == fhir.Array {
			extra = fhir.Value{} // aligned by index; profiles ask nothing of it
		}
		i := -1
		for v := range child.Each() {
			if child.Kind() == fhir.Array {
				i++
			}
			out = append(out, found{value: v, extra: extra, of: m.Type, step: step{name, i}})
		}
	}
	return out
}

func (w *walk) counts(el *structure.ProfileElement, name string, n int, slice string) {
	if el == nil {
		return
	}
	what := name
	if slice != "" {
		what = name + ":" + slice
	}
	if n < el.Min {
		w.fail("required", "profile-min", "the profile needs at least "+itoa(el.Min)+" of "+what)
	}
	if el.Max != structure.Unbounded && n > el.Max {
		w.fail("structure", "profile-max", "the profile allows at most "+itoa(el.Max)+" of "+what)
	}
}

// constrain checks one value against a part of a profile, and what is below.
func (w *walk) constrain(s *shape, f found, h *home) {
	if el := s.el; el != nil {
		w.narrowed(el, f)
		if s.value.Kind() != fhir.Absent && f.value.Kind() != fhir.Absent && !fits(f.value, s.value, el.Fixed) {
			w.fail("value", "profile-value", "the profile asks for another value here")
		}
		if el.Binding != nil && f.of != nil {
			w.profileBinding(f, el.Binding)
		}
		for _, rule := range el.Rules {
			w.rule(rule, path.Element(f.of, f.value, f.extra), h)
		}
	}
	w.conform(s, f, h)
}

func (w *walk) narrowed(el *structure.ProfileElement, f found) {
	if len(el.Types) == 0 || f.of == nil {
		return
	}
	for _, name := range el.Types {
		if f.of.Is(name) || name == "SimpleQuantity" && f.of.Name == "Quantity" {
			return
		}
	}
	w.fail("structure", "profile-choice", "the profile does not allow this type here")
}

func (w *walk) profileBinding(f found, b *structure.Binding) {
	switch f.of.Name {
	case "code", "uri":
		w.boundCode(f.value.Text(), b)
	case "Coding":
		w.boundCodings(f.value, []fhir.Value{f.value}, b)
	case "CodeableConcept":
		if strings.HasPrefix(b.ValueSet, "http://hl7.org/fhir/ValueSet/ucum-") {
			return // of a choice with Quantity: it binds the unit
		}
		var codings []fhir.Value
		for c := range f.value.Get("coding").Each() {
			codings = append(codings, c)
		}
		w.boundCodings(f.value, codings, b)
	}
}

// slicing assigns the values to slices, and counts.
func (w *walk) slicing(s *shape, values []found, h *home) {
	if len(s.slices) == 0 {
		return
	}
	counts := make([]int, len(s.slices))
	for _, f := range values {
		at := -1
		for i, slice := range s.slices {
			match, known := w.matches(s, slice, f)
			if !known {
				w.skip("slices of profiles whose discriminator cannot be evaluated here")
				return
			}
			if match {
				at = i
				break
			}
		}
		switch {
		case at >= 0:
			counts[at]++
			w.at = append(w.at, f.step)
			w.constrain(s.slices[at], f, h)
			w.pop()
		case s.el != nil && s.el.Closed:
			w.at = append(w.at, f.step)
			w.fail("structure", "profile-closed", "the profile does not allow other values than those of its slices")
			w.pop()
		}
	}
	for i, slice := range s.slices {
		if slice.el != nil && !strings.Contains(slice.name, "/") {
			w.counts(slice.el, s.name, counts[i], slice.name)
		}
	}
}
