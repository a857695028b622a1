package hl7

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// charsetField is the number of MSH-18.
const charsetField = 18

// decode gives the text of a message in UTF-8, from the character set that
// MSH-18 names (HL7 table 0211). Without a name it is UTF-8, of which ASCII is
// a part; bytes that are not are refused rather than guessed.
func decode(raw []byte, m marks) (string, error) {
	name, _, _ := strings.Cut(charset(raw, m), string(m.repetition))
	bad := refuse(ReasonCharset, "MSH-18")
	switch strings.ToUpper(name) {
	case "", "UNICODE UTF-8", "UNICODE UTF8", "UTF-8", "UTF8":
		if !utf8.Valid(raw) {
			return "", bad
		}
		return string(raw), nil
	case "ASCII":
		if bytes.IndexFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			return "", bad
		}
		return string(raw), nil
	case "8859/1", "ISO8859/1", "ISO-8859-1", "ISO IR100":
		return latin(raw, nil), nil
	case "8859/15", "ISO-8859-15":
		return latin(raw, latin9), nil
	}
	return "", bad
}

// charset is what MSH-18 names, found without decoding: it is ASCII.
func charset(raw []byte, m marks) string {
	line := raw
	if end := bytes.IndexAny(raw, "\r\n"); end >= 0 {
		line = raw[:end]
	}
	for range charsetField - 1 { // MSH-1 is the first mark itself
		_, rest, ok := bytes.Cut(line, []byte{m.field})
		if !ok {
			return ""
		}
		line = rest
	}
	one, _, _ := bytes.Cut(line, []byte{m.field})
	return string(one)
}

// latin reads ISO 8859-1, where every byte is its own code point, with the
// exceptions of another part.
func latin(raw []byte, but func(byte) rune) string {
	var b strings.Builder
	b.Grow(len(raw))
	for _, c := range raw {
		if but != nil {
			if r := but(c); r != 0 {
				b.WriteRune(r)
				continue
			}
		}
		b.WriteRune(rune(c))
	}
	return b.String()
}

// latin9 is where ISO 8859-15 differs from part 1.
func latin9(b byte) rune {
	switch b {
	case 0xa4:
		return '€'
	case 0xa6:
		return 'Š'
	case 0xa8:
		return 'š'
	case 0xb4:
		return 'Ž'
	case 0xb8:
		return 'ž'
	case 0xbc:
		return 'Œ'
	case 0xbd:
		return 'œ'
	case 0xbe:
		return 'Ÿ'
	}
	return 0
}
