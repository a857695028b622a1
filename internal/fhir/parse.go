package fhir

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// A cell is one JSON value: where it stands in the source. Cells are stored
// in the order of the text, so a subtree is a contiguous run and next skips
// it.
type cell struct {
	start, end       uint32 // the value's bytes; quotes included for a string
	keyStart, keyEnd uint32 // the member name between its quotes, if a member
	next             uint32 // index of the first cell after this subtree
	kind             Kind
	escaped          bool // a string holding a backslash
	keyEscaped       bool
}

// A Document is a strict JSON text and the tree over it. It is immutable and
// safe for concurrent use; it shares the source, which must not be changed.
type Document struct {
	src   []byte
	cells []cell
}

// Parse reads one strict JSON text of at most DocumentBytesMax bytes. Beyond
// RFC 8259 it refuses duplicate member names, invalid UTF-8, escaped lone
// surrogates, a byte order mark, nesting deeper than DepthMax and any byte
// after the value. Errors are *SyntaxError, or *OutcomeError if too large.
func Parse(src []byte) (*Document, error) {
	if len(src) > DocumentBytesMax {
		return nil, refuse(statusTooLarge, "too-long", "", "the body is too large; send it in smaller Bundles")
	}
	p := parser{src: src, cells: make([]cell, 0, len(src)/24+4)}
	if err := p.document(); err != nil {
		return nil, err
	}
	return &Document{src: src, cells: p.cells}, nil
}

// Root is the value of the whole text.
func (d *Document) Root() Value { return Value{doc: d} }

type parser struct {
	src   []byte
	pos   int
	depth int
	cells []cell
	names []int32 // scratch of distinct
}

func (p *parser) fail(at int, reason string) error {
	return &SyntaxError{Offset: at, Reason: reason}
}

func (p *parser) document() error {
	if bytes.HasPrefix(p.src, []byte("\xef\xbb\xbf")) {
		return p.fail(0, "byte order mark")
	}
	p.space()
	if err := p.value(cell{}); err != nil {
		return err
	}
	p.space()
	if p.pos != len(p.src) {
		return p.fail(p.pos, "something after the value")
	}
	return nil
}

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\n', '\r', '\t':
			p.pos++
		default:
			return
		}
	}
}

// value reads the value at pos; c brings the member name, if any.
func (p *parser) value(c cell) error {
	if p.pos >= len(p.src) {
		return p.fail(p.pos, "end of text where a value belongs")
	}
	if len(p.cells) >= ValuesMax {
		return refuse(statusTooLarge, "too-costly", "", "the body holds too many values; send it in smaller Bundles")
	}
	c.start = uint32(p.pos)
	var err error
	switch b := p.src[p.pos]; {
	case b == '"':
		c.kind = String
		c.escaped, err = p.text()
	case b == '{':
		return p.container(c, Object, '}')
	case b == '[':
		return p.container(c, Array, ']')
	case b == '-' || b-'0' < 10:
		c.kind = Number
		err = p.number()
	case b == 't':
		c.kind, err = Boolean, p.word("true")
	case b == 'f':
		c.kind, err = Boolean, p.word("false")
	case b == 'n':
		c.kind, err = Null, p.word("null")
	default:
		err = p.fail(p.pos, "a byte that starts no value")
	}
	if err != nil {
		return err
	}
	c.end = uint32(p.pos)
	c.next = uint32(len(p.cells) + 1)
	p.cells = append(p.cells, c)
	return nil
}

func (p *parser) word(w string) error {
	if len(p.src)-p.pos < len(w) || string(p.src[p.pos:p.pos+len(w)]) != w {
		return p.fail(p.pos, "a misspelt literal")
	}
	p.pos += len(w)
	return nil
}

// container reads an array or an object; pos stands on its opening bracket.
func (p *parser) container(c cell, kind Kind, closing byte) error {
	if p.depth++; p.depth > DepthMax {
		return p.fail(p.pos, "nesting too deep")
	}
	c.kind = kind
	at := len(p.cells)
	p.cells = append(p.cells, c)
	p.pos++
	p.space()
	if p.pos < len(p.src) && p.src[p.pos] == closing {
		p.pos++
	} else if err := p.items(kind, closing); err != nil {
		return err
	}
	p.cells[at].end = uint32(p.pos)
	p.cells[at].next = uint32(len(p.cells))
	p.depth--
	if kind == Object {
		return p.distinct(at)
	}
	return nil
}

func (p *parser) items(kind Kind, closing byte) error {
	for { // bounded by the source: each turn consumes at least one byte
		var c cell
		if kind == Object {
			if err := p.name(&c); err != nil {
				return err
			}
		}
		if err := p.value(c); err != nil {
			return err
		}
		p.space()
		if p.pos >= len(p.src) {
			return p.fail(p.pos, "end of text inside a container")
		}
		b := p.src[p.pos]
		p.pos++
		if b == closing {
			return nil
		}
		if b != ',' {
			return p.fail(p.pos-1, "neither a comma nor the closing bracket")
		}
		p.space()
	}
}

func (p *parser) name(c *cell) error {
	if p.pos >= len(p.src) || p.src[p.pos] != '"' {
		return p.fail(p.pos, "a member without a name")
	}
	start := p.pos + 1
	escaped, err := p.text()
	if err != nil {
		return err
	}
	c.keyStart, c.keyEnd, c.keyEscaped = uint32(start), uint32(p.pos-1), escaped
	p.space()
	if p.pos >= len(p.src) || p.src[p.pos] != ':' {
		return p.fail(p.pos, "a name without a colon")
	}
	p.pos++
	p.space()
	return nil
}

// Eight bytes at once: the high bit of each byte of the result is set where
// the byte of x is a quote, a backslash, a control character or not ASCII.
// (Hacker's Delight, section 6-1; a false mark only costs the slow path.)
func marks(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := x ^ ones*'"'
	slash := x ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
}

// text reads the string at pos and reports whether it holds an escape.
func (p *parser) text() (escaped bool, err error) {
	start, wide := p.pos, false
	i := p.pos + 1
	for {
		for i+8 <= len(p.src) && marks(binary.LittleEndian.Uint64(p.src[i:])) == 0 {
			i += 8
		}
		for i < len(p.src) && plain[p.src[i]] {
			i++
		}
		if i >= len(p.src) {
			return false, p.fail(start, "a string without its end")
		}
		switch b := p.src[i]; {
		case b == '"':
			if wide && !utf8.Valid(p.src[start+1:i]) {
				return false, p.fail(start, "invalid UTF-8 in a string")
			}
			p.pos = i + 1
			return escaped, nil
		case b == '\\':
			escaped = true
			n := escapeLen(p.src[i:])
			if n == 0 {
				return false, p.fail(i, "a bad escape")
			}
			i += n
		case b < 0x20:
			return false, p.fail(i, "a control character in a string")
		default:
			wide = true
			for i < len(p.src) && p.src[i] >= utf8.RuneSelf {
				i++
			}
		}
	}
}

// plain holds the bytes that stand for themselves in a string: ASCII, but
// controls, quote and backslash.
var plain = func() (t [256]bool) {
	for b := 0x20; b < utf8.RuneSelf; b++ {
		t[b] = b != '"' && b != '\\'
	}
	return t
}()

// escapeLen is the length of the escape at the start of s, a surrogate pair
// counting as one; 0 if it is none or a lone surrogate.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(s)
		switch {
		case !ok || r>>10 == 0xdc00>>10:
			return 0
		case r>>10 != 0xd800>>10:
			return 6
		}
		if low, ok := hex4(s[6:]); ok && low>>10 == 0xdc00>>10 {
			return 12
		}
	}
	return 0
}

// hex4 reads \uXXXX at the start of s.
func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, b := range s[2:6] {
		switch {
		case b-'0' < 10:
			r = r<<4 | rune(b-'0')
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			r = r<<4 | rune(b|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos]-'0' < 10 {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) number() error {
	start := p.pos
	if p.src[p.pos] == '-' {
		p.pos++
	}
	if p.pos < len(p.src) && p.src[p.pos] == '0' {
		p.pos++
	} else if !p.digits() {
		return p.fail(start, "a bad number")
	}
	if p.pos < len(p.src) && p.src[p.pos] == '.' {
		if p.pos++; !p.digits() {
			return p.fail(start, "a bad number")
		}
	}
	if p.pos < len(p.src) && p.src[p.pos]|0x20 == 'e' {
		p.pos++
		if p.pos < len(p.src) && (p.src[p.pos] == '+' || p.src[p.pos] == '-') {
			p.pos++
		}
		if !p.digits() {
			return p.fail(start, "a bad number")
		}
	}
	return nil
}

// pairwiseMax is the number of members up to which comparing each pair of
// names is cheaper than sorting them.
const pairwiseMax = 24

// distinct refuses an object in which two names are the same after escapes.
func (p *parser) distinct(at int) error {
	p.names = p.names[:0]
	var seen uint64
	clash := false
	for i := at + 1; i < int(p.cells[at].next); i = int(p.cells[i].next) {
		c := &p.cells[i]
		bit := uint64(1) << (fingerprint(p.src[c.keyStart:c.keyEnd]) & 63)
		clash = clash || seen&bit != 0 || c.keyEscaped
		seen |= bit
		p.names = append(p.names, int32(i))
	}
	if !clash {
		return nil
	}
	if len(p.names) > pairwiseMax {
		return p.distinctSorted()
	}
	for i, a := range p.names {
		for _, b := range p.names[:i] {
			if p.compareNames(a, b) == 0 {
				return p.fail(int(p.cells[a].keyStart), "a duplicate member name")
			}
		}
	}
	return nil
}

func (p *parser) distinctSorted() error {
	slices.SortFunc(p.names, p.compareNames)
	for i := 1; i < len(p.names); i++ {
		if p.compareNames(p.names[i-1], p.names[i]) == 0 {
			return p.fail(int(p.cells[max(p.names[i-1], p.names[i])].keyStart), "a duplicate member name")
		}
	}
	return nil
}

// fingerprint mixes a name into few bits; equal bytes give equal bits.
func fingerprint(name []byte) uint32 {
	if len(name) == 0 {
		return 0
	}
	h := uint32(len(name))*0x9e3779b1 ^ uint32(name[0])*0x85ebca6b ^ uint32(name[len(name)-1])*0xc2b2ae35 ^ uint32(name[len(name)/2])*0x27d4eb2f
	return h >> 26
}

func (p *parser) compareNames(a, b int32) int {
	x, y := &p.cells[a], &p.cells[b]
	s, t := p.src[x.keyStart:x.keyEnd], p.src[y.keyStart:y.keyEnd]
	if x.keyEscaped {
		s = unescape(s)
	}
	if y.keyEscaped {
		t = unescape(t)
	}
	return bytes.Compare(s, t)
}
