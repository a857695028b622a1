package pdf

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// The Go fonts of Bigelow & Holmes (golang.org/x/image v0.47.0, font/gofont/ttfs;
// fonts/LICENSE): Latin, Greek and Cyrillic letters.

//go:embed fonts/Go-Regular.ttf
var regularFile []byte

//go:embed fonts/Go-Bold.ttf
var boldFile []byte

// unitsPerEm is what both fonts' outlines are drawn in.
const unitsPerEm = 2048

// glyph is a place in a font's table of outlines; 0 is no letter.
type glyph uint16

// face is one font: which letters it has, how wide they are, how they look.
type face struct {
	name   string
	tables map[string][]byte
	glyphs map[rune]glyph
	used   map[glyph]rune // what a document shows with it
}

var be = binary.BigEndian

// faceOf reads a built-in font; one that is not in its form is a mistake of this
// program.
func faceOf(name string, file []byte) *face {
	f := &face{name: name, tables: make(map[string][]byte), glyphs: make(map[rune]glyph), used: make(map[glyph]rune)}
	for i := range int(be.Uint16(file[4:])) {
		entry := file[12+16*i:]
		at, size := be.Uint32(entry[8:]), be.Uint32(entry[12:])
		f.tables[string(entry[:4])] = file[at : at+size]
	}
	f.letters()
	return f
}

// letters reads which letter has which outline (OpenType, cmap format 4).
func (f *face) letters() {
	cmap := f.tables["cmap"]
	var table []byte
	for i := range int(be.Uint16(cmap[2:])) {
		entry := cmap[4+8*i:]
		if be.Uint16(entry) == 3 && be.Uint16(entry[2:]) == 1 { // Unicode
			table = cmap[be.Uint32(entry[4:]):]
		}
	}
	segments := int(be.Uint16(table[6:])) / 2
	ends, starts := table[14:], table[16+2*segments:]
	deltas, offsets := starts[2*segments:], starts[4*segments:]
	for s := range segments {
		first, last := int(be.Uint16(starts[2*s:])), int(be.Uint16(ends[2*s:]))
		delta, offset := be.Uint16(deltas[2*s:]), int(be.Uint16(offsets[2*s:]))
		for c := first; c <= last && c != 0xffff; c++ {
			g := uint16(c) + delta
			if offset != 0 {
				if g = be.Uint16(offsets[2*s+offset+2*(c-first):]); g != 0 {
					g += delta
				}
			}
			if g != 0 {
				f.glyphs[rune(c)] = glyph(g)
			}
		}
	}
}

// advance is how wide a letter is, in units of the em.
func (f *face) advance(g glyph) int {
	last := int(be.Uint16(f.tables["hhea"][34:])) - 1
	return int(be.Uint16(f.tables["hmtx"][4*min(int(g), last):]))
}

// outline is how a letter looks; empty for one that is blank. The fonts have
// short places (loca format 0).
func (f *face) outline(g glyph) []byte {
	loca := f.tables["loca"][2*int(g):]
	return f.tables["glyf"][2*int(be.Uint16(loca)) : 2*int(be.Uint16(loca[2:]))]
}

// width is how wide a text is at a size, in thousandths of a point. Letters that
// the font has not are the caller's mistake: see lacks.
func (f *face) width(text []rune, size int) (w int) {
	for _, r := range text {
		w += f.advance(f.glyphs[r]) * size / unitsPerEm
	}
	return w
}

// lacks is the first letter of a text that the font has not; 0 for none.
func (f *face) lacks(text []rune) rune {
	for _, r := range text {
		if f.glyphs[r] == 0 {
			return r
		}
	}
	return 0
}

// shown is a text as a PDF string of glyphs, which the document then holds.
func (f *face) shown(text []rune) string {
	out := make([]byte, 0, 4*len(text)+2)
	out = append(out, '<')
	for _, r := range text {
		g := f.glyphs[r]
		if was, is := f.used[g]; !is || r < was {
			f.used[g] = r
		}
		out = fmt.Appendf(out, "%04X", uint16(g))
	}
	return string(append(out, '>'))
}

// Flags of a letter that is put together of others (OpenType, glyf).
const (
	wideArguments   = 0x0001
	scaled          = 0x0008
	moreComponents  = 0x0020
	scaledTwoWays   = 0x0040
	scaledByMatrix  = 0x0080
	hasInstructions = 0x0100
)

// unhinted is an outline without the instructions for coarse screens, and the
// letters that it is put together of.
func unhinted(outline []byte) (out []byte, parts []glyph) {
	if len(outline) == 0 {
		return nil, nil
	}
	if contours := int(int16(be.Uint16(outline))); contours >= 0 {
		at := 10 + 2*contours
		skip := int(be.Uint16(outline[at:]))
		out = append(slices.Clone(outline[:at]), 0, 0)
		return append(out, outline[at+2+skip:]...), nil
	}
	out = slices.Clone(outline)
	for at, more := 10, true; more; {
		flags := be.Uint16(out[at:])
		be.PutUint16(out[at:], flags&^hasInstructions)
		parts = append(parts, glyph(be.Uint16(out[at+2:])))
		size := 6
		for flag, bytes := range map[uint16]int{wideArguments: 2, scaled: 2, scaledTwoWays: 4, scaledByMatrix: 8} {
			if flags&flag != 0 {
				size += bytes
			}
		}
		at, more = at+size, flags&moreComponents != 0
		if !more {
			out = out[:at]
		}
	}
	return out, parts
}

// subset is a font file with the outlines of the letters used and no others, each
// in its place.
func (f *face) subset() []byte {
	keep := map[glyph][]byte{}
	for todo := append(slices.Sorted(maps.Keys(f.used)), 0); len(todo) > 0; {
		g := todo[0]
		todo = todo[1:]
		if _, done := keep[g]; done {
			continue
		}
		out, parts := unhinted(f.outline(g))
		keep[g], todo = out, append(todo, parts...)
	}
	var glyf, loca []byte
	for g := range int(be.Uint16(f.tables["maxp"][4:])) {
		loca = be.AppendUint16(loca, uint16(len(glyf)/2))
		glyf = append(glyf, keep[glyph(g)]...)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
	}
	loca = be.AppendUint16(loca, uint16(len(glyf)/2))
	return fontFile(map[string][]byte{"glyf": glyf, "loca": loca, "head": f.tables["head"], "hhea": f.tables["hhea"], "hmtx": f.tables["hmtx"], "maxp": f.tables["maxp"]})
}

// fontFile puts tables together (OpenType, organization of an OpenType font).
func fontFile(tables map[string][]byte) []byte {
	names := slices.Sorted(maps.Keys(tables))
	power := 1
	for power*2 <= len(names) {
		power *= 2
	}
	selector := 0
	for 1<<selector < power {
		selector++
	}
	out := be.AppendUint32(nil, 0x00010000)
	for _, v := range []int{len(names), 16 * power, selector, 16 * (len(names) - power)} {
		out = be.AppendUint16(out, uint16(v))
	}
	at := len(out) + 16*len(names)
	var body []byte
	for _, name := range names {
		table := tables[name]
		out = append(out, name...)
		for _, v := range []uint32{checksum(table), uint32(at + len(body)), uint32(len(table))} {
			out = be.AppendUint32(out, v)
		}
		body = append(body, table...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	return append(out, body...)
}

func checksum(table []byte) (sum uint32) {
	padded := append(slices.Clone(table), 0, 0, 0)
	for at := 0; at < len(table); at += 4 {
		sum += be.Uint32(padded[at:])
	}
	return sum
}
