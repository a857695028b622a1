package thief

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// matcher finds many texts, each in many encodings, in one pass. Every pattern
// is filed under its first four bytes; a bit set over a hash of them turns
// almost every other place away.
type matcher struct {
	filter []uint64
	byHead map[uint32][]pattern
}

type pattern struct {
	bytes string
	what  string
	how   string
}

// filterBits keeps the filter sparse for a quarter of a million patterns, and
// in a processor's cache.
const filterBits = 22

func newMatcher(facts []Fact) *matcher {
	m := &matcher{filter: make([]uint64, 1<<filterBits/64), byHead: make(map[uint32][]pattern)}
	for _, f := range facts {
		for how, texts := range encodings(f.Text) {
			for _, text := range texts {
				m.add(pattern{bytes: text, what: f.What, how: how})
			}
		}
	}
	return m
}

func (m *matcher) add(p pattern) {
	if len(p.bytes) < factBytesMin {
		return // too short to mean anything
	}
	head := binary.LittleEndian.Uint32([]byte(p.bytes))
	m.byHead[head] = append(m.byHead[head], p)
	at := spot(head)
	m.filter[at/64] |= 1 << (at % 64)
}

func spot(head uint32) uint32 { return head * 0x9E3779B1 >> (32 - filterBits) }

// each yields every pattern that stands in b, with its place.
func (m *matcher) each(b []byte, yield func(p *pattern, at int)) {
	for i := 0; i+4 <= len(b); i++ {
		head := binary.LittleEndian.Uint32(b[i:])
		at := spot(head)
		if m.filter[at/64]>>(at%64)&1 == 0 {
			continue
		}
		list := m.byHead[head]
		for n := range list {
			if p := &list[n]; len(b)-i >= len(p.bytes) && string(b[i:i+len(p.bytes)]) == p.bytes {
				yield(p, i)
			}
		}
	}
}

// encodings are the forms in which a text may stand in a file.
func encodings(text string) map[string][]string {
	lower := hex.EncodeToString([]byte(text))
	return map[string][]string{
		"raw":       {text},
		"UTF-16LE":  {wide(text, binary.LittleEndian)},
		"UTF-16BE":  {wide(text, binary.BigEndian)},
		"hex":       {lower, strings.ToUpper(lower)},
		"base64":    aligned(text, base64.RawStdEncoding),
		"base64url": aligned(text, base64.RawURLEncoding),
	}
}

func wide(text string, order binary.AppendByteOrder) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return string(out)
}

// aligned is what a text gives in base64 wherever it begins in a group of
// three bytes, without the characters that its neighbours share.
func aligned(text string, e *base64.Encoding) (out []string) {
	for before := range 3 {
		whole := e.EncodeToString(append(make([]byte, before), text...))
		from, to := (before*8+5)/6, (before+len(text))*8/6
		out = append(out, whole[from:to])
	}
	return out
}
