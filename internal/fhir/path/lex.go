package path

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sort of a lexical unit.
type sort uint8

const (
	atEnd  sort = iota
	word        // identifier or keyword
	quoted      // identifier in backticks
	text        // string literal
	number
	moment   // @2014-01-25T10:00
	variable // %name
	special  // $this, $index, $total
	symbol   // operators and brackets
)

// unit is one lexical unit.
type unit struct {
	sort sort
	text string // decoded
	at   int    // byte offset
}

// A SyntaxError says where an expression stops being FHIRPath. It does not
// quote the expression.
type SyntaxError struct {
	Offset  int
	Reason  string // fixed text
	Unknown bool   // the form is right; a function is not known here
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("fhirpath: %s at byte %d", e.Reason, e.Offset)
}

type lexer struct {
	src string
	pos int
}

func (l *lexer) fail(at int, reason string) error { return &SyntaxError{Offset: at, Reason: reason} }

func letter(b byte) bool { return b == '_' || b|0x20 >= 'a' && b|0x20 <= 'z' }
func digit(b byte) bool  { return b-'0' < 10 }

// space passes over blanks and comments.
func (l *lexer) space() error {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "\u00a0"):
			l.pos += 2
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexAny(rest, "\r\n")
			if end < 0 {
				end = len(rest)
			}
			l.pos += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				return l.fail(l.pos, "a comment without its end")
			}
			l.pos += end + 2
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) next() (unit, error) {
	if err := l.space(); err != nil {
		return unit{}, err
	}
	at := l.pos
	if at >= len(l.src) {
		return unit{atEnd, "", at}, nil
	}
	switch b := l.src[at]; {
	case letter(b):
		l.name()
		return unit{word, l.src[at:l.pos], at}, nil
	case digit(b):
		return l.number(at), nil
	case b == '\'':
		s, err := l.delimited('\'')
		return unit{text, s, at}, err
	case b == '`':
		s, err := l.delimited('`')
		if err == nil && s == "" {
			err = l.fail(at, "a name without a letter")
		}
		return unit{quoted, s, at}, err
	case b == '@':
		return l.moment(at)
	case b == '%':
		return l.variable(at)
	case b == '$':
		l.pos++
		l.name()
		return unit{special, l.src[at:l.pos], at}, nil
	}
	return l.symbol(at)
}

func (l *lexer) name() {
	for l.pos < len(l.src) && (letter(l.src[l.pos]) || digit(l.src[l.pos])) {
		l.pos++
	}
}

func (l *lexer) digits() {
	for l.pos < len(l.src) && digit(l.src[l.pos]) {
		l.pos++
	}
}

func (l *lexer) number(at int) unit {
	l.digits()
	if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && digit(l.src[l.pos+1]) {
		l.pos++
		l.digits()
	} else if l.pos < len(l.src) && l.src[l.pos] == 'L' && (l.pos+1 == len(l.src) || !letter(l.src[l.pos+1])) {
		l.pos++
		return unit{number, l.src[at : l.pos-1], at}
	}
	return unit{number, l.src[at:l.pos], at}
}

func (l *lexer) variable(at int) (unit, error) {
	l.pos++
	if l.pos < len(l.src) {
		switch b := l.src[l.pos]; {
		case b == '`':
			s, err := l.delimited('`')
			return unit{variable, s, at}, err
		case b == '\'':
			s, err := l.delimited('\'')
			return unit{variable, s, at}, err
		case letter(b):
			l.name()
			return unit{variable, l.src[at+1 : l.pos], at}, nil
		}
	}
	return unit{}, l.fail(at, "a variable without a name")
}

// moment reads a date, dateTime or time literal; its parts are checked later.
func (l *lexer) moment(at int) (unit, error) {
	l.pos++
	zone := func() {
		if l.pos < len(l.src) && l.src[l.pos] == 'Z' {
			l.pos++
			return
		}
		if rest := l.src[l.pos:]; len(rest) >= 6 && (rest[0] == '+' || rest[0] == '-') && digit(rest[1]) && digit(rest[2]) && rest[3] == ':' {
			l.pos += 6
		}
	}
	clock := func() {
		for l.pos < len(l.src) && (digit(l.src[l.pos]) || l.src[l.pos] == ':' ||
			l.src[l.pos] == '.' && l.pos+1 < len(l.src) && digit(l.src[l.pos+1])) {
			l.pos++
		}
	}
	if l.pos < len(l.src) && l.src[l.pos] == 'T' {
		l.pos++
		clock()
		return unit{moment, l.src[at+1 : l.pos], at}, nil
	}
	for l.pos < len(l.src) && (digit(l.src[l.pos]) || l.src[l.pos] == '-' && l.pos+1 < len(l.src) && digit(l.src[l.pos+1])) {
		l.pos++
	}
	if l.pos < len(l.src) && l.src[l.pos] == 'T' {
		l.pos++
		clock()
		zone()
	}
	if l.pos == at+1 {
		return unit{}, l.fail(at, "a date that is none")
	}
	return unit{moment, l.src[at+1 : l.pos], at}, nil
}

var symbols = [...]string{"<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|", "=", "~", "<", ">"}

func (l *lexer) symbol(at int) (unit, error) {
	for _, s := range symbols {
		if strings.HasPrefix(l.src[at:], s) {
			l.pos += len(s)
			return unit{symbol, s, at}, nil
		}
	}
	return unit{}, l.fail(at, "a character that FHIRPath does not use")
}

// delimited reads a string or identifier up to its closing mark and decodes
// its escapes (FHIRPath 2.0, section 4.1.2).
func (l *lexer) delimited(mark byte) (string, error) {
	start := l.pos
	var b strings.Builder
	for i := start + 1; i < len(l.src); i++ {
		switch c := l.src[i]; c {
		case mark:
			l.pos = i + 1
			return b.String(), nil
		case '\\':
			n, r := escape(l.src[i:])
			if n == 0 {
				return "", l.fail(i, "a bad escape")
			}
			b.WriteRune(r)
			i += n - 1
		default:
			b.WriteByte(c)
		}
	}
	return "", l.fail(start, "a literal without its end")
}

// escape is the length and meaning of the escape at the start of s, 0 if it
// is none.
func escape(s string) (n int, r rune) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '\'', '"', '`', '\\', '/':
		return 2, rune(s[1])
	case 'r':
		return 2, '\r'
	case 'n':
		return 2, '\n'
	case 't':
		return 2, '\t'
	case 'f':
		return 2, '\f'
	case 'u':
		if len(s) >= 6 {
			if v, err := strconv.ParseUint(s[2:6], 16, 32); err == nil {
				return 6, rune(v)
			}
		}
		return 0, 0
	}
	r, size := utf8.DecodeRuneInString(s[1:])
	return 1 + size, r // an unknown escape stands for its character
}
