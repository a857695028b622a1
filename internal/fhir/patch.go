package fhir

import (
	"bytes"
	"slices"
	"strings"
)

// A Patch is a JSON Patch document (RFC 6902), read and checked. Applying it
// is a row of splices: every byte outside of the places it names is kept,
// number literals and white space among them.
type Patch struct{ steps []patchStep }

type patchStep struct {
	op         string
	path, from pointer
	value      Value
}

// ParsePatch reads a patch: an array of at most PatchStepsMax operations.
// Members of an operation that RFC 6902 does not name are passed over, as its
// section 4 asks. Errors are *SyntaxError, and *OutcomeError of status 400.
func ParsePatch(src []byte) (*Patch, error) {
	d, err := Parse(src)
	if err != nil {
		return nil, err
	}
	if d.Root().Kind() != Array {
		return nil, refuse(statusBadRequest, "structure", "", "a JSON Patch is an array of operations (RFC 6902); send one")
	}
	p := &Patch{}
	for v := range d.Root().Children() {
		if len(p.steps) == PatchStepsMax {
			return nil, refuse(statusTooLarge, "too-costly", "", "the patch has too many operations; send an update (PUT) instead")
		}
		s, err := patchStepOf(v)
		if err != nil {
			return nil, err
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

func patchStepOf(v Value) (s patchStep, err error) {
	bad := refuse(statusBadRequest, "structure", "", "an operation of a JSON Patch needs op, path and, by its kind, value or from (RFC 6902); correct it")
	s.op, s.value = v.Get("op").Text(), v.Get("value")
	var ok bool
	if s.path, ok = pointerOf(v.Get("path")); !ok {
		return s, bad
	}
	switch s.op {
	case "add", "replace", "test":
		ok = s.value.Kind() != Absent
	case "move", "copy":
		s.from, ok = pointerOf(v.Get("from"))
	case "remove":
	default:
		return s, bad
	}
	if !ok {
		return s, bad
	}
	if s.op == "move" && len(s.from) < len(s.path) && slices.Equal(s.from, s.path[:len(s.from)]) {
		return s, refuse(statusBadRequest, "invalid", "", "a value cannot be moved into itself (RFC 6902, section 4.4); correct path")
	}
	return s, nil
}

// Touches reports whether the patch names the member of the root or anything
// in it.
func (p *Patch) Touches(member string) bool {
	in := func(at pointer) bool { return len(at) == 0 || at[0] == member }
	return slices.ContainsFunc(p.steps, func(s patchStep) bool {
		return s.op != "test" && in(s.path) || s.op == "move" && in(s.from)
	})
}

// Changes reports whether the patch names anything outside of the member of
// the root.
func (p *Patch) Changes(besides string) bool {
	out := func(at pointer) bool { return len(at) == 0 || at[0] != besides }
	return slices.ContainsFunc(p.steps, func(s patchStep) bool {
		return s.op != "test" && out(s.path) || s.op == "move" && out(s.from)
	})
}

// Apply carries out the patch, all of it or nothing. src is strict JSON and
// not changed. Errors are *OutcomeError: 422 where a place does not exist, a
// test does not hold or the result would hold an empty array or object, which
// FHIR does not know (json.html); 413 where it costs too much.
func (p *Patch) Apply(src []byte) ([]byte, error) {
	before, err := empties(src)
	if err != nil {
		return nil, err
	}
	out, work := src, 0
	for i := range p.steps {
		if work += len(out); work > PatchWorkMax || len(out) > ResourceBytesMax {
			return nil, refuse(statusTooLarge, "too-costly", "", "the patch does too much to too large a resource; send an update (PUT) instead")
		}
		if out, err = p.steps[i].apply(out); err != nil {
			return nil, err
		}
	}
	if after, err := empties(out); err != nil {
		return nil, err
	} else if after > before {
		return nil, refuse(statusUnprocessable, "invariant", "", "the patch leaves an empty array or object, which FHIR does not allow; remove the element that holds it")
	}
	return out, nil
}

// empties counts the arrays and objects without content.
func empties(src []byte) (n int, err error) {
	d, err := Parse(src)
	if err != nil {
		return 0, err
	}
	for i := range d.cells {
		if c := &d.cells[i]; (c.kind == Array || c.kind == Object) && int(c.next) == i+1 {
			n++
		}
	}
	return n, nil
}

func (s *patchStep) apply(src []byte) ([]byte, error) {
	d, err := Parse(src)
	if err != nil {
		return nil, err
	}
	root := d.Root()
	switch s.op {
	case "add":
		return s.path.add(src, root, s.value.Raw())
	case "remove":
		return s.path.remove(src, root)
	case "replace":
		return s.path.replace(src, root, s.value.Raw())
	case "test":
		if v, ok := s.path.find(root); !ok || !equalValues(v, s.value) {
			return nil, refuse(statusUnprocessable, "processing", "", "a test of the patch does not hold, so nothing was changed; read the resource and make the patch anew")
		}
		return src, nil
	}
	v, ok := s.from.find(root)
	if !ok {
		return nil, noPlace()
	}
	text := bytes.Clone(v.Raw())
	if s.op == "copy" {
		return s.path.add(src, root, text)
	}
	if slices.Equal(s.from, s.path) {
		return src, nil
	}
	if src, err = s.from.remove(src, root); err != nil {
		return nil, err
	}
	if d, err = Parse(src); err != nil {
		return nil, err
	}
	return s.path.add(src, d.Root(), text)
}

func noPlace() error {
	return refuse(statusUnprocessable, "processing", "", "the patch names a place that is not in the resource, so nothing was changed; read the resource and make the patch anew")
}

// A pointer is a JSON Pointer (RFC 6901) taken apart; empty is the whole.
type pointer []string

// pointerOf reads a pointer; every ~ must begin ~0 or ~1.
func pointerOf(v Value) (p pointer, ok bool) {
	text := v.Text()
	if v.Kind() != String || text != "" && text[0] != '/' {
		return nil, false
	}
	if text == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text[1:], "/") {
		for i := 0; i < len(part); i++ {
			if part[i] == '~' && (i+1 == len(part) || part[i+1] != '0' && part[i+1] != '1') {
				return nil, false
			}
		}
		p = append(p, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
	}
	return p, len(p) <= DepthMax+1
}

// find is the value at p.
func (p pointer) find(v Value) (Value, bool) {
	for _, part := range p {
		switch v.Kind() {
		case Object:
			v = v.Get(part)
		case Array:
			n, ok := indexOf(part, v.Len())
			if !ok {
				return Value{}, false
			}
			v = elementOf(v, n)
		default:
			return Value{}, false
		}
	}
	return v, v.Kind() != Absent
}

// indexOf reads an array index below limit: digits without a leading zero.
func indexOf(part string, limit int) (n int, ok bool) {
	if part == "" || len(part) > 8 || len(part) > 1 && part[0] == '0' {
		return 0, false
	}
	for i := range len(part) {
		if part[i] < '0' || part[i] > '9' {
			return 0, false
		}
		n = n*10 + int(part[i]-'0')
	}
	return n, n < limit
}

// elementOf is element n, absent past the end.
func elementOf(array Value, n int) Value {
	for v := range array.Children() {
		if n == 0 {
			return v
		}
		n--
	}
	return Value{}
}

func (p pointer) replace(src []byte, root Value, text []byte) ([]byte, error) {
	v, ok := p.find(root)
	if !ok {
		return nil, noPlace()
	}
	c := v.cell()
	return apply(src, []edit{{int(c.start), int(c.end), text}}), nil
}

// add puts a value before an element, after the last one, or under a name,
// laid out as its neighbour is.
func (p pointer) add(src []byte, root Value, text []byte) ([]byte, error) {
	if len(p) == 0 {
		return p.replace(src, root, text)
	}
	holder, ok := p[:len(p)-1].find(root)
	last := p[len(p)-1]
	switch {
	case !ok:
		return nil, noPlace()
	case holder.Kind() == Object:
		return addMember(src, holder, last, text), nil
	case holder.Kind() != Array:
		return nil, noPlace()
	}
	size := holder.Len()
	n := size
	if last != "-" {
		if n, ok = indexOf(last, size+1); !ok {
			return nil, noPlace()
		}
	}
	return addElement(src, holder, n, size, text), nil
}

func addMember(src []byte, object Value, name string, text []byte) []byte {
	if old := object.Get(name); old.Kind() != Absent {
		return apply(src, []edit{{int(old.cell().start), int(old.cell().end), text}})
	}
	var last Value
	for member := range object.Children() {
		last = member
	}
	if last.Kind() == Absent {
		at := int(object.cell().start) + 1
		return apply(src, []edit{{at, at, append(append(appendText(nil, name), ':'), text...)}})
	}
	s := splicer{object: object}
	s.insert(last, name, text)
	return apply(src, s.edits)
}

func addElement(src []byte, array Value, n, size int, text []byte) []byte {
	if size == 0 {
		at := int(array.cell().start) + 1
		return apply(src, []edit{{at, at, text}})
	}
	neighbour := elementOf(array, min(n, size-1)).cell()
	gap := int(neighbour.start)
	for isSpace(src[gap-1]) {
		gap--
	}
	space := src[gap:neighbour.start]
	if n < size {
		at := int(neighbour.start)
		return apply(src, []edit{{at, at, slices.Concat(text, []byte{','}, space)}})
	}
	at := int(neighbour.end)
	return apply(src, []edit{{at, at, slices.Concat([]byte{','}, space, text)}})
}

// remove takes a value out, with its name and one comma.
func (p pointer) remove(src []byte, root Value) ([]byte, error) {
	v, ok := p.find(root)
	if !ok || len(p) == 0 {
		return nil, noPlace()
	}
	holder, _ := p[:len(p)-1].find(root)
	var before, after Value
	for sibling := range holder.Children() {
		if sibling.at < v.at {
			before = sibling
		} else if sibling.at > v.at {
			after = sibling
			break
		}
	}
	begin := func(v Value) int {
		if holder.Kind() == Object {
			return int(v.cell().keyStart) - 1 // of the opening quote
		}
		return int(v.cell().start)
	}
	start, end := begin(v), int(v.cell().end)
	switch {
	case after.Kind() != Absent:
		end = begin(after)
	case before.Kind() != Absent:
		start = int(before.cell().end)
	}
	return apply(src, []edit{{start, end, nil}}), nil
}

// equalValues is equality by RFC 6902, section 4.6: members in any order,
// numbers by value.
func equalValues(a, b Value) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case Object:
		members := make(map[string]Value, b.Len())
		for m := range b.Children() {
			members[m.Name()] = m
		}
		for m := range a.Children() {
			if !equalValues(m, members[m.Name()]) {
				return false
			}
		}
		return true
	case Array:
		at := b.at + 1
		for x := range a.Children() {
			y := Value{b.doc, at}
			if !equalValues(x, y) {
				return false
			}
			at = y.cell().next
		}
		return true
	case String:
		return bytes.Equal(a.textBytes(), b.textBytes())
	case Number:
		return equalNumbers(a.Raw(), b.Raw())
	}
	return bytes.Equal(a.Raw(), b.Raw())
}
