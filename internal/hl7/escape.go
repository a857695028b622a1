package hl7

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// unescape resolves the escapes of a text (HL7 v2.5.1, section 2.7). Those of
// formatted text become line ends and spaces; highlighting goes; what is not
// known stays as it was written.
func unescape(s string, m marks) string {
	if m.escape == 0 || strings.IndexByte(s, m.escape) < 0 {
		return s
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, string(m.escape))
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		code, after, closed := strings.Cut(rest, string(m.escape))
		if !closed {
			b.WriteByte(m.escape)
			b.WriteString(rest)
			return b.String()
		}
		if text, known := escaped(code, m); known {
			b.WriteString(text)
			s = after
		} else { // no escape: the second mark may open one
			b.WriteByte(m.escape)
			b.WriteString(code)
			s = rest[len(code):]
		}
	}
}

// escaped is what one escape means.
func escaped(code string, m marks) (string, bool) {
	switch code {
	case "F":
		return string(m.field), true
	case "S":
		return string(m.component), true
	case "R":
		return string(m.repetition), true
	case "T":
		return string(m.sub), true
	case "E":
		return string(m.escape), true
	case "P":
		return string(m.truncation), m.truncation != 0
	case "H", "N": // highlighting on, off
		return "", true
	}
	switch {
	case strings.HasPrefix(code, "X"):
		b, err := hex.DecodeString(code[1:])
		return printable(b), err == nil && utf8.Valid(b)
	case strings.HasPrefix(code, ".br"), strings.HasPrefix(code, ".sp"), strings.HasPrefix(code, ".ce"):
		return "\n", true
	case strings.HasPrefix(code, ".in"), strings.HasPrefix(code, ".ti"), strings.HasPrefix(code, ".sk"),
		code == ".fi", code == ".nf":
		return " ", true
	}
	return "", false
}

// printable leaves out control characters but line ends and tabs.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n' || r == '\t' || r >= ' ' && r != 0x7f:
			return r
		}
		return -1
	}, string(b))
}

// escape writes a text of our own so that no delimiter is in it, whichever
// characters the sender has made delimiters.
func escape(s string, m marks) string {
	var b strings.Builder
	for i := range len(s) {
		code := byte(0)
		switch s[i] {
		case m.escape:
			code = 'E'
		case m.field:
			code = 'F'
		case m.component:
			code = 'S'
		case m.repetition:
			code = 'R'
		case m.sub:
			code = 'T'
		}
		if code == 0 {
			b.WriteByte(s[i])
		} else {
			b.Write([]byte{m.escape, code, m.escape})
		}
	}
	return b.String()
}
