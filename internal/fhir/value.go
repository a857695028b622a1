package fhir

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// A Kind is the JSON kind of a Value. The zero Kind is an absent value.
type Kind uint8

// The kinds of JSON values.
const (
	Absent Kind = iota
	Null
	Boolean
	Number
	String
	Array
	Object
)

// A Value is one value of a Document. The zero Value is absent, and asking an
// absent value for anything gives absence again, so paths need no checks.
type Value struct {
	doc *Document
	at  uint32
}

func (v Value) cell() *cell { return &v.doc.cells[v.at] }

// Kind is the JSON kind, Absent for a value that is not there.
func (v Value) Kind() Kind {
	if v.doc == nil {
		return Absent
	}
	return v.cell().kind
}

// Raw is the value's exact bytes in the source, nil if absent. It must not
// be changed.
func (v Value) Raw() []byte {
	if v.doc == nil {
		return nil
	}
	c := v.cell()
	return v.doc.src[c.start:c.end:c.end]
}

// Children yields the elements of an array or the members of an object in
// the order of the text, and nothing for any other value.
func (v Value) Children() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.doc == nil {
			return
		}
		c := v.cell()
		if c.kind != Array && c.kind != Object {
			return
		}
		for i := v.at + 1; i < c.next; i = v.doc.cells[i].next {
			if !yield(Value{v.doc, i}) {
				return
			}
		}
	}
}

// Name is the member name of a value that stands in an object, else "".
func (v Value) Name() string {
	if v.doc == nil {
		return ""
	}
	return string(v.nameBytes())
}

func (v Value) nameBytes() []byte {
	c := v.cell()
	name := v.doc.src[c.keyStart:c.keyEnd]
	if c.keyEscaped {
		return unescape(name)
	}
	return name
}

// Get is the member of an object by name, absent if there is none.
func (v Value) Get(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	cells, src := v.doc.cells, v.doc.src
	for i, end := v.at+1, cells[v.at].next; i < end; i = cells[i].next {
		c := &cells[i]
		if c.keyEscaped {
			if string(unescape(src[c.keyStart:c.keyEnd])) == name {
				return Value{v.doc, i}
			}
		} else if int(c.keyEnd-c.keyStart) == len(name) && string(src[c.keyStart:c.keyEnd]) == name {
			return Value{v.doc, i}
		}
	}
	return Value{}
}

// Path is Get for each name in turn.
func (v Value) Path(names ...string) Value {
	for _, name := range names {
		v = v.Get(name)
	}
	return v
}

// Each yields the elements if v is an array, v itself if it is any other
// present value: FHIR reads a path over repeating elements this way.
func (v Value) Each() iter.Seq[Value] {
	if v.Kind() == Array {
		return v.Children()
	}
	return func(yield func(Value) bool) {
		if v.doc != nil {
			yield(v)
		}
	}
}

// Len is the number of elements or members.
func (v Value) Len() int {
	n := 0
	for range v.Children() {
		n++
	}
	return n
}

// Text is the decoded string, "" for any other kind.
func (v Value) Text() string { return string(v.textBytes()) }

// textBytes is the decoded string without copying when it has no escapes.
func (v Value) textBytes() []byte {
	if v.Kind() != String {
		return nil
	}
	c := v.cell()
	inner := v.doc.src[c.start+1 : c.end-1]
	if c.escaped {
		return unescape(inner)
	}
	return inner
}

// Is reports whether v is the string s.
func (v Value) Is(s string) bool { return v.Kind() == String && string(v.textBytes()) == s }

// True reports whether v is the literal true.
func (v Value) True() bool { return v.Kind() == Boolean && v.Raw()[0] == 't' }

// unescape decodes the inside of a JSON string that the parser accepted.
func unescape(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(out, s...)
		}
		out = append(out, s[:i]...)
		s = s[i:]
		r, _ := hex4(s)
		switch n := escapeLen(s); n {
		case 12:
			low, _ := hex4(s[6:])
			out = utf8.AppendRune(out, utf16.DecodeRune(r, low))
			s = s[12:]
		case 6:
			out = utf8.AppendRune(out, r)
			s = s[6:]
		case 2:
			out = append(out, shortEscape(s[1]))
			s = s[2:]
		default:
			panic("fhir: unescape was given a string the parser did not accept")
		}
	}
	return out
}

func shortEscape(b byte) byte {
	switch b {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return b
}
