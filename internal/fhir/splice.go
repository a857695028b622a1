package fhir

import (
	"slices"
	"time"
)

// instantForm is how Splice writes meta.lastUpdated: UTC, milliseconds.
const instantForm = "2006-01-02T15:04:05.000Z07:00"

// Instant is t as meta.lastUpdated shows it.
func Instant(t time.Time) string { return t.UTC().Format(instantForm) }

// Splice is src with id, meta.versionId and meta.lastUpdated set, and every
// other byte as it was: white space, member order, number literals, unknown
// fields. An empty id or versionID and a zero lastUpdated leave that element
// alone. src must be a resource that ParseResource accepts.
func Splice(src []byte, id, versionID string, lastUpdated time.Time) ([]byte, error) {
	r, err := ParseResource(src)
	if err != nil {
		return nil, err
	}
	return r.Splice(id, versionID, lastUpdated)
}

// Splice is the function Splice for a resource already read: the bytes of the
// resource alone, wherever it stands in its document.
func (r Resource) Splice(id, versionID string, lastUpdated time.Time) ([]byte, error) {
	if id != "" && !IsID(id) || versionID != "" && !IsID(versionID) {
		panic("fhir: Splice was given an id outside the grammar")
	}
	instant := ""
	if !lastUpdated.IsZero() {
		instant = Instant(lastUpdated)
	}
	s := splicer{object: r.Value, base: int(r.cell().start)}
	after := s.set(r.Value, r.Get("resourceType"), "id", id)
	s.meta(r, after, versionID, instant)
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.start - b.start })
	return apply(r.Raw(), s.edits), nil
}

type splicer struct {
	object Value
	base   int // where the resource starts in its document
	edits  []edit
}

// set replaces a string member, or inserts it after another; it returns the
// member itself if present, else the one it was put after.
func (s *splicer) set(object, after Value, name, text string) Value {
	if member := object.Get(name); member.Kind() != Absent {
		if text != "" {
			c := member.cell()
			s.edits = append(s.edits, edit{int(c.start) - s.base, int(c.end) - s.base, appendText(nil, text)})
		}
		return member
	}
	if text != "" {
		s.insert(after, name, appendText(nil, text))
	}
	return after
}

// insert puts a member after another one, laid out as that one is.
func (s *splicer) insert(after Value, name string, value []byte) {
	c, src := after.cell(), after.doc.src
	gap := int(c.keyStart) - 1 // of the opening quote
	for gap > 0 && isSpace(src[gap-1]) {
		gap--
	}
	text := append([]byte{','}, src[gap:c.keyStart-1]...)
	text = appendText(text, name)
	text = append(text, src[c.keyEnd+1:c.start]...) // the colon and its spaces
	text = append(text, value...)
	at := int(c.end) - s.base
	s.edits = append(s.edits, edit{at, at, text})
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

// meta sets the two members of meta, making it if it is missing or empty.
func (s *splicer) meta(r Resource, after Value, versionID, instant string) {
	if versionID == "" && instant == "" {
		return
	}
	meta := r.Get("meta")
	var last Value
	for member := range meta.Children() {
		last = member
	}
	if last.Kind() == Absent {
		s.freshMeta(meta, after, versionID, instant)
		return
	}
	s.set(meta, last, "versionId", versionID)
	s.set(meta, last, "lastUpdated", instant)
}

func (s *splicer) freshMeta(meta, after Value, versionID, instant string) {
	text := []byte{'{'}
	if versionID != "" {
		text = appendText(append(text, `"versionId":`...), versionID)
	}
	if instant != "" {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = appendText(append(text, `"lastUpdated":`...), instant)
	}
	text = append(text, '}')
	if meta.Kind() == Object {
		c := meta.cell()
		s.edits = append(s.edits, edit{int(c.start) - s.base, int(c.end) - s.base, text})
		return
	}
	s.insert(after, "meta", text)
}
