package fhir

import (
	"bytes"
	"strings"
)

// RewriteReferences is src with each reference that f replaces rewritten and
// every other byte kept. f sees every string of an element Reference.reference
// and, where they are urn:uuid or urn:oid, those of elements of type uri, url,
// oid and uuid and of href and src in the narrative: what a transaction
// rewrites (FHIR R4, http.html#trules). Contained references (#id) are not
// shown. f answers false to keep a reference as it is.
func RewriteReferences(src []byte, f func(ref string) (string, bool)) ([]byte, error) {
	r, err := ParseResource(src)
	if err != nil {
		return nil, err
	}
	return r.Rewrite(f), nil
}

// Rewrite is RewriteReferences for a resource already read.
func (r Resource) Rewrite(f func(ref string) (string, bool)) []byte {
	edits := r.rewrites(f)
	if len(edits) == 0 {
		return r.Raw()
	}
	return apply(r.Raw(), edits)
}

func (r Resource) rewrites(f func(string) (string, bool)) (edits []edit) {
	base, src := r.cell().start, r.doc.src
	hasURN := bytes.Contains(r.Raw(), []byte("urn:"))
	above := make([]uint32, 0, DepthMax) // the containers that at stands in
	for at := r.at; at < r.cell().next; at++ {
		c := &r.doc.cells[at]
		for len(above) > 0 && r.doc.cells[above[len(above)-1]].next <= at {
			above = above[:len(above)-1]
		}
		if c.kind == Array || c.kind == Object {
			above = append(above, at)
		}
		if c.kind != String {
			continue
		}
		name := src[c.keyStart:c.keyEnd]
		v := Value{r.doc, at}
		switch {
		case string(name) == "reference":
			s := v.Text()
			if strings.HasPrefix(s, "#") {
				continue
			}
			if to, ok := f(s); ok && to != s {
				edits = append(edits, edit{int(c.start - base), int(c.end - base), appendText(nil, to)})
			}
		case !hasURN:
		case string(name) == "div":
			edits = append(edits, narrativeRewrites(v, int(base), f)...)
		case bytes.HasPrefix(src[c.start+1:c.end], []byte("urn:")):
			s := v.Text()
			if !isURN(s) || !r.isURI(above, v) {
				continue
			}
			if to, ok := f(s); ok && to != s {
				edits = append(edits, edit{int(c.start - base), int(c.end - base), appendText(nil, to)})
			}
		}
	}
	return edits
}

// isURI reports whether v, a value inside the containers above it, is an
// element of type uri, url, oid or uuid. The element's type follows from its
// name but for a few paths.
func (r Resource) isURI(above []uint32, v Value) bool {
	if v.cell().keyEnd > 0 && !isURIName(v.Name()) {
		return false
	}
	trail := r.trail(above, v) // whose last name is that of the array, for its elements
	if len(trail) == 0 || !isURIName(trail[len(trail)-1]) {
		return false
	}
	last := trail[len(trail)-1]
	if len(trail) > 1 {
		if parent := trail[len(trail)-2]; parent == "extension" || parent == "modifierExtension" {
			return last != "url" // the name of an extension, a System.String
		}
	}
	return !isTextPath(r.Type + "." + strings.Join(trail, "."))
}

// trail is the member names from the resource down to v.
func (r Resource) trail(above []uint32, v Value) (names []string) {
	for _, at := range above[1:] { // the first is the resource
		if c := &r.doc.cells[at]; c.keyEnd > 0 {
			names = append(names, Value{r.doc, at}.Name())
		}
	}
	if v.cell().keyEnd > 0 {
		names = append(names, v.Name())
	}
	return names
}

// narrativeRewrites looks through the raw bytes of a narrative for href and
// src attributes whose value is a URN, and rewrites the value alone.
func narrativeRewrites(div Value, base int, f func(string) (string, bool)) (edits []edit) {
	raw := div.Raw()
	start := int(div.cell().start) - base
	for at := 0; len(edits) < urnsMax; {
		i := bytes.Index(raw[at:], []byte("urn:"))
		if i < 0 {
			break
		}
		from := at + i
		to := from
		for to < len(raw) && isURNByte(raw[to]) {
			to++
		}
		at = to
		if !inLink(raw[:from]) || !closesLike(raw, from, to) {
			continue
		}
		s := string(raw[from:to])
		if !isURN(s) {
			continue
		}
		if replacement, ok := f(s); ok {
			text := appendText(nil, replacement)
			edits = append(edits, edit{start + from, start + to, text[1 : len(text)-1]})
		}
	}
	return edits
}

func isURNByte(b byte) bool {
	return b-'0' < 10 || (b|0x20)-'a' < 26 || b == ':' || b == '-' || b == '.'
}

// inLink reports whether before ends with href= or src= and an opening quote:
// an apostrophe or an escaped quotation mark, spaces allowed around the sign.
func inLink(before []byte) bool {
	switch {
	case bytes.HasSuffix(before, []byte(`\"`)):
		before = before[:len(before)-2]
	case bytes.HasSuffix(before, []byte(`'`)):
		before = before[:len(before)-1]
	default:
		return false
	}
	before, ok := bytes.CutSuffix(bytes.TrimRight(before, " "), []byte("="))
	if !ok {
		return false
	}
	before = bytes.TrimRight(before, " ")
	for _, name := range []string{" href", " src"} {
		if bytes.HasSuffix(before, []byte(name)) {
			return true
		}
	}
	return false
}

// closesLike reports whether the value from..to ends with the quote it began
// with.
func closesLike(raw []byte, from, to int) bool {
	if raw[from-1] == '\'' {
		return to < len(raw) && raw[to] == '\''
	}
	return to+1 < len(raw) && raw[to] == '\\' && raw[to+1] == '"'
}
