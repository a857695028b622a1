package search

import (
	"bytes"
	"math"
	"strconv"

	"github.com/abaton-health/abaton/internal/fhir"
)

// enter puts one element into a column.
func (w *walk) enter(b *branch, v fhir.Value) {
	if v.Kind() == fhir.Null {
		return
	}
	switch b.kind {
	case kindCode:
		w.enterCode(b, v)
	case kindReference:
		w.enterReference(b, v)
	case kindDate:
		if from, to, ok := spanOf(b.element, v); ok {
			c := w.table.column(b.column)
			c.dates = append(c.dates, dateEntry{from, to, w.row})
		}
	case kindString:
		for text := range textsOf(b.element, v) {
			c := w.table.column(b.column)
			raw := w.index.text(text)
			c.texts = append(c.texts, textEntry{raw, w.folded(raw), w.row})
		}
	case kindURI:
		if text := v.TextBytes(); len(text) > 0 {
			c := w.table.column(b.column)
			c.texts = append(c.texts, textEntry{raw: w.index.text(text), row: w.row})
		}
	case kindNumber, kindPosition:
		if low, high, ok := numbersOf(b.element, v); ok {
			c := w.table.column(b.column)
			c.numbers = append(c.numbers, numberEntry{low, high, w.row})
		}
	case kindQuantity:
		w.enterQuantity(b, v)
	}
}

func (w *walk) folded(raw string) string {
	f := fold(raw)
	if f == raw {
		return raw
	}
	return w.index.text([]byte(f))
}

func (w *walk) enterCode(b *branch, v fhir.Value) {
	c := w.table.column(b.column)
	before := len(c.tokens)
	for t := range codesOf(b.element, v) {
		code := uint64(0)
		switch {
		case len(t.code) == 0:
		case t.exact:
			code = w.index.space.hash(t.code)
		default:
			code = w.index.space.hashFolded(t.code)
		}
		c.tokens = append(c.tokens, codeEntry{code, w.index.system(t.system), w.row})
	}
	if len(c.tokens) == before { // there, but without a code: not missing
		c.tokens = append(c.tokens, codeEntry{row: w.row})
	}
}

// A coded is a code and its system as the text has them.
type coded struct {
	system, code []byte
	exact        bool // codes of this kind tell upper from lower case
}

// codesOf are the tokens of one element.
func codesOf(element string, v fhir.Value) func(func(coded) bool) {
	return func(yield func(coded) bool) {
		switch element {
		case "CodeableConcept":
			for coding := range v.Get("coding").Each() {
				if !yield(coded{system: coding.Get("system").TextBytes(), code: coding.Get("code").TextBytes()}) {
					return
				}
			}
		case "Coding":
			yield(coded{system: v.Get("system").TextBytes(), code: v.Get("code").TextBytes()})
		case "Identifier":
			yield(coded{system: v.Get("system").TextBytes(), code: v.Get("value").TextBytes(), exact: true})
		case "ContactPoint":
			yield(coded{code: v.Get("value").TextBytes()})
		case "boolean":
			yield(coded{code: v.Raw()})
		case "deceased": // Patient.deceased.exists() and Patient.deceased != false
			is := v.Get("deceasedBoolean").True() || v.Get("deceasedDateTime").Kind() == fhir.String
			yield(coded{code: strconv.AppendBool(nil, is)})
		default:
			yield(coded{code: v.TextBytes()})
		}
	}
}

func (w *walk) enterReference(b *branch, v fhir.Value) {
	c := w.table.column(b.column)
	space := w.index.space
	put := func(target uint64, of uint8) {
		c.references = append(c.references, referenceEntry{target, w.row, of})
	}
	switch b.element {
	case "resource": // the resource itself stands there
		name := v.Get("resourceType").Text()
		put(space.hashText(name+"/"+v.Get("id").Text()), typeNumber([]byte(name)))
	case "canonical", "uri":
		text := v.TextBytes()
		if len(text) == 0 {
			return
		}
		put(space.hash(text), 0)
		if url, _, versioned := bytes.Cut(text, []byte("|")); versioned {
			put(space.hash(url), 0)
		}
	default:
		w.enterTarget(v, put)
		if id := v.Get("identifier"); id.Kind() == fhir.Object {
			if value := id.Get("value").TextBytes(); len(value) > 0 {
				c.tokens = append(c.tokens, codeEntry{space.hash(value), w.index.system(id.Get("system").TextBytes()), w.row})
			}
		}
	}
}

// enterTarget reads a Reference. The form Type/id is nearly all there is, and
// is read without allocating.
func (w *walk) enterTarget(v fhir.Value, put func(uint64, uint8)) {
	text := v.Get("reference").TextBytes()
	declared := typeNumber(v.Get("type").TextBytes())
	if len(text) == 0 {
		put(0, declared)
		return
	}
	name, rest, _ := bytes.Cut(text, []byte("/"))
	if n := typeNumber(name); n != 0 && bytes.IndexByte(rest, '/') < 0 && bytes.IndexByte(rest, '?') < 0 {
		put(w.index.space.hash(text), n)
		return
	}
	ref, ok := fhir.ParseRef(string(text))
	switch {
	case !ok || ref.URN != "":
		put(w.index.space.hash(text), declared)
	case ref.Fragment != "" || text[0] == '#':
		put(0, w.containedType(ref.Fragment))
	default:
		ref.Version = ""
		put(w.index.space.hashText(ref.String()), typeNumber([]byte(ref.Type)))
	}
}

func (w *walk) containedType(id string) uint8 {
	for c := range w.resource.Get("contained").Each() {
		if c.Get("id").Is(id) {
			return typeNumber(c.Get("resourceType").TextBytes())
		}
	}
	return 0
}

// textsOf are the strings of one element that a string search looks at.
func textsOf(element string, v fhir.Value) func(func([]byte) bool) {
	parts := []string(nil)
	switch element {
	case "HumanName":
		parts = []string{"family", "given", "prefix", "suffix", "text"}
	case "Address":
		parts = []string{"line", "city", "district", "state", "postalCode", "country", "text"}
	case "CodeableConcept":
		parts = []string{"text"}
	}
	return func(yield func([]byte) bool) {
		if parts == nil {
			if text := v.TextBytes(); len(text) > 0 {
				yield(text)
			}
			return
		}
		for _, name := range parts {
			for part := range v.Get(name).Each() {
				if text := part.TextBytes(); len(text) > 0 && !yield(text) {
					return
				}
			}
		}
	}
}

// numbersOf is the span of an element for a number or quantity search; of a
// position, the latitude and longitude.
func numbersOf(element string, v fhir.Value) (low, high float64, ok bool) {
	switch element {
	case "Range":
		low, high = math.Inf(-1), math.Inf(1)
		a, okLow := float(v.Path("low", "value"))
		b, okHigh := float(v.Path("high", "value"))
		if okLow {
			low = a
		}
		if okHigh {
			high = b
		}
		return low, high, okLow || okHigh
	case "position":
		a, okA := float(v.Get("latitude"))
		b, okB := float(v.Get("longitude"))
		return a, b, okA && okB
	case "Quantity", "Age", "Duration", "Count", "Distance", "Money":
		v = v.Get("value")
	}
	low, ok = float(v)
	return low, low, ok
}

// float is the number nearest to a literal.
func float(v fhir.Value) (float64, bool) {
	if v.Kind() != fhir.Number {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(v.Raw()), 64)
	return n, err == nil
}

func (w *walk) enterQuantity(b *branch, v fhir.Value) {
	low, high, ok := numbersOf(b.element, v)
	if !ok {
		return
	}
	if b.element == "Range" {
		if v.Get("low").Kind() == fhir.Object {
			v = v.Get("low")
		} else {
			v = v.Get("high")
		}
	}
	e := quantityEntry{low: low, high: high, row: w.row}
	code, unit, system := v.Get("code").TextBytes(), v.Get("unit").TextBytes(), v.Get("system").TextBytes()
	if b.element == "Money" {
		code, system = v.Get("currency").TextBytes(), []byte("urn:iso:std:iso:4217")
	}
	if len(code) > 0 {
		e.code = w.index.space.hash(code)
	}
	if len(unit) > 0 {
		e.unit = w.index.space.hash(unit)
	}
	e.system = w.index.system(system)
	c := w.table.column(b.column)
	c.quantities = append(c.quantities, e)
}

// typeNumber is the number of a resource type, 0 for no type.
func typeNumber(name []byte) uint8 { return typeNumbers()[string(name)] }
