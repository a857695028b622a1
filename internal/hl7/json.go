package hl7

import (
	"strconv"
	"unicode/utf8"
)

// object is a JSON object under construction, its members in order. put
// leaves out what is empty, so that mapping needs no conditions.
type object []member

type member struct {
	name  string
	value any // string, bool, number, object or list
}

// list is a JSON array.
type list []any

// number is a JSON number literal, kept as it was sent.
type number string

func (o *object) put(name string, value any) {
	if !empty(value) {
		*o = append(*o, member{name, value})
	}
}

func (l *list) add(value any) {
	if !empty(value) {
		*l = append(*l, value)
	}
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case number:
		return v == ""
	case object:
		return len(v) == 0
	case list:
		return len(v) == 0
	}
	return false
}

func (o object) bytes() []byte { return appendJSON(nil, o) }

func appendJSON(to []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendText(to, v)
	case number:
		return append(to, v...)
	case bool:
		return strconv.AppendBool(to, v)
	case list:
		to = append(to, '[')
		for i, one := range v {
			if i > 0 {
				to = append(to, ',')
			}
			to = appendJSON(to, one)
		}
		return append(to, ']')
	case object:
		to = append(to, '{')
		for i, m := range v {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(appendText(to, m.name), ':')
			to = appendJSON(to, m.value)
		}
		return append(to, '}')
	}
	panic("hl7: a mapping made a value that JSON does not have")
}

// appendText writes a JSON string (RFC 8259, section 7).
func appendText(to []byte, s string) []byte {
	const digits = "0123456789abcdef"
	to = append(to, '"')
	for i := 0; i < len(s); {
		b := s[i]
		switch {
		case b == '"' || b == '\\':
			to, i = append(to, '\\', b), i+1
		case b == '\n':
			to, i = append(to, '\\', 'n'), i+1
		case b < ' ' || b == 0x7f:
			to, i = append(to, '\\', 'u', '0', '0', digits[b>>4], digits[b&15]), i+1
		case b < utf8.RuneSelf:
			to, i = append(to, b), i+1
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			to, i = utf8.AppendRune(to, r), i+n // an invalid byte becomes U+FFFD
		}
	}
	return append(to, '"')
}

// literal is an HL7 number (NM) as a JSON number of the same digits; "" if it
// is none (HL7 v2.5.1, section 2.A.48).
func literal(s string) number {
	sign := ""
	switch {
	case len(s) > 0 && s[0] == '+':
		s = s[1:]
	case len(s) > 0 && s[0] == '-':
		sign, s = "-", s[1:]
	}
	whole, fraction, dotted := cutDot(s)
	if len(s) > 40 || whole == "" && fraction == "" || whole != "" && !isDigits(whole) || fraction != "" && !isDigits(fraction) {
		return ""
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	if whole == "" {
		whole = "0"
	}
	if dotted && fraction != "" {
		whole += "." + fraction
	}
	return number(sign + whole)
}

func cutDot(s string) (whole, fraction string, dotted bool) {
	for i := range len(s) {
		if s[i] == '.' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
