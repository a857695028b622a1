package hl7

import (
	"bytes"
	"strconv"
	"strings"
)

// A Message is one ER7 message. Its text is UTF-8, whatever it came in.
type Message struct {
	raw      []byte // as it came
	marks    marks
	segments []Segment
}

// marks are the delimiters that MSH-1 and MSH-2 declare (HL7 v2.5.1, section
// 2.5.4).
type marks struct {
	field, component, repetition, escape, sub byte
	truncation                                byte // 0 without one (since v2.7)
}

// A Segment is one line of a message. The zero Segment is absent: all its
// fields are empty.
type Segment struct {
	Name   string
	fields []string
	m      marks
}

// A Field is a field, one repetition of it, a component or a sub-component.
// The zero Field is empty.
type Field struct {
	text string
	m    marks
}

// Raw is the message as it came.
func (m *Message) Raw() []byte { return m.raw }

// Parse reads one message strictly in its limits and leniently in its line
// ends (CR as the standard has it, LF and CRLF as files do). Errors are
// *Refusal.
func Parse(raw []byte) (*Message, error) {
	if len(raw) > MessageBytesMax {
		return nil, refuse(ReasonTooLarge, "")
	}
	m := &Message{raw: raw}
	var err error
	if m.marks, err = marksOf(raw); err != nil {
		return nil, err
	}
	text, err := decode(raw, m.marks)
	if err != nil {
		return nil, err
	}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, refuse(ReasonSyntax, "")
	}
	return m, m.split(text)
}

// marksOf reads the delimiters, before anything else can be read.
func marksOf(raw []byte) (k marks, err error) {
	bad := refuse(ReasonSyntax, "MSH-2")
	if len(raw) < 9 || !bytes.HasPrefix(raw, []byte("MSH")) {
		return k, refuse(ReasonSyntax, "MSH")
	}
	k.field = raw[3]
	declared, _, _ := bytes.Cut(raw[4:min(len(raw), 12)], []byte{k.field})
	declared, _, _ = bytes.Cut(declared, []byte{'\r'})
	if len(declared) < 4 || len(declared) > 5 {
		return k, bad
	}
	k.component, k.repetition, k.escape, k.sub = declared[0], declared[1], declared[2], declared[3]
	all := []byte{k.field, k.component, k.repetition, k.escape, k.sub}
	if len(declared) == 5 {
		k.truncation = declared[4]
		all = append(all, k.truncation)
	}
	for i, b := range all {
		if b <= ' ' || b >= 0x7f || isAlphanumeric(b) || bytes.IndexByte(all[:i], b) >= 0 {
			return k, bad
		}
	}
	return k, nil
}

func isAlphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

func (m *Message) split(text string) error {
	for len(text) > 0 {
		line := text
		if end := strings.IndexAny(text, "\r\n"); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = ""
		}
		if line == "" {
			continue
		}
		if len(m.segments) == SegmentsMax {
			return refuse(ReasonTooLarge, "segment "+strconv.Itoa(SegmentsMax+1))
		}
		if err := m.add(line); err != nil {
			return err
		}
	}
	return nil
}

func (m *Message) add(line string) error {
	place := "segment " + strconv.Itoa(len(m.segments)+1)
	name := line[:min(3, len(line))]
	if !isName(name) || len(line) > 3 && line[3] != m.marks.field {
		return refuse(ReasonSyntax, place)
	}
	if strings.Count(line, string(m.marks.field)) > FieldsMax {
		return refuse(ReasonTooLarge, place)
	}
	fields := strings.Split(line, string(m.marks.field))
	if name == "MSH" { // the separator itself is MSH-1
		if len(m.segments) > 0 {
			return refuse(ReasonSyntax, place)
		}
		fields = append([]string{"MSH", string(m.marks.field)}, fields[1:]...)
	} else if err := m.bounded(fields[1:], place); err != nil {
		return err
	}
	m.segments = append(m.segments, Segment{Name: name, fields: fields, m: m.marks})
	return nil
}

// bounded holds every field against the limits, so that taking one apart later
// costs little.
func (m *Message) bounded(fields []string, place string) error {
	for _, f := range fields {
		if strings.Count(f, string(m.marks.repetition)) >= RepetitionsMax {
			return refuse(ReasonTooLarge, place)
		}
		for rest, more := f, true; more; {
			var one string
			one, rest, more = strings.Cut(rest, string(m.marks.repetition))
			if strings.Count(one, string(m.marks.component)) >= ComponentsMax || strings.Count(one, string(m.marks.sub)) >= ComponentsMax*ComponentsMax {
				return refuse(ReasonTooLarge, place)
			}
		}
	}
	return nil
}

// isName: three characters, a letter first (HL7 v2.5.1, section 2.5.2).
func isName(s string) bool {
	return len(s) == 3 && s[0] >= 'A' && s[0] <= 'Z' && isUpper(s[1]) && isUpper(s[2])
}

func isUpper(b byte) bool { return b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' }

// Segments are all segments in order.
func (m *Message) Segments() []Segment { return m.segments }

// First is the first segment of a name, absent if there is none.
func (m *Message) First(name string) Segment {
	for _, s := range m.segments {
		if s.Name == name {
			return s
		}
	}
	return Segment{}
}

// Is reports whether the segment is there.
func (s Segment) Is() bool { return s.Name != "" }

// Field is field n, counted from 1 as the standard does.
func (s Segment) Field(n int) Field {
	if n < 1 || n >= len(s.fields) {
		return Field{}
	}
	return Field{s.fields[n], s.m}
}

// Each are the repetitions of a field that are not empty.
func (f Field) Each() (all []Field) {
	if f.text == "" {
		return nil
	}
	for one := range strings.SplitSeq(f.text, string(f.m.repetition)) {
		if one != "" && one != null {
			all = append(all, Field{one, f.m})
		}
	}
	return all
}

// null is how a sender says that a value is to be deleted (HL7 v2.5.1, section
// 2.5.3).
const null = `""`

// Empty reports whether nothing stands there, the null value included.
func (f Field) Empty() bool { return f.text == "" || f.text == null }

// First is the first repetition.
func (f Field) First() Field {
	if f.text == "" {
		return f
	}
	one, _, _ := strings.Cut(f.text, string(f.m.repetition))
	return Field{one, f.m}
}

// Part is component n, from 1, of the first repetition.
func (f Field) Part(n int) Field {
	f = f.First()
	return f.piece(n, f.m.component)
}

// Sub is sub-component n of a component.
func (f Field) Sub(n int) Field { return f.piece(n, f.m.sub) }

func (f Field) piece(n int, mark byte) Field {
	rest := f.text
	if rest == "" {
		return Field{}
	}
	for range n - 1 {
		var ok bool
		if _, rest, ok = strings.Cut(rest, string(mark)); !ok {
			return Field{}
		}
	}
	one, _, _ := strings.Cut(rest, string(mark))
	return Field{one, f.m}
}

// Text is the value as people read it: the first component's first
// sub-component, escapes resolved; "" for null.
func (f Field) Text() string {
	one := f.Part(1).Sub(1)
	if one.Empty() {
		return ""
	}
	return unescape(one.text, f.m)
}

// Whole is the text of all of the first repetition, its delimiters left as
// they stand: what a value is that has no type known here.
func (f Field) Whole() string {
	f = f.First()
	if f.Empty() {
		return ""
	}
	return unescape(f.text, f.m)
}
