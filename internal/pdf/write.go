package pdf

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// File is a file attached to a document.
type File struct {
	Name    string
	Content []byte
}

// attachedMark is in a document before its attached file and nowhere earlier: what
// stands there else is names and numbers of this package.
const attachedMark = "<</Type /EmbeddedFile /Length "

// objects are a PDF's, numbered from 1.
type objects [][]byte

func (o *objects) reserve() int {
	*o = append(*o, nil)
	return len(*o)
}

func (o *objects) set(n int, format string, args ...any) {
	(*o)[n-1] = fmt.Appendf(nil, format, args...)
}

func (o *objects) add(format string, args ...any) int {
	n := o.reserve()
	o.set(n, format, args...)
	return n
}

func (o *objects) stream(dictionary string, data []byte) int {
	return o.add("<<%s/Length %d>>\nstream\n%s\nendstream", dictionary, len(data), data)
}

// Bytes is the document with its attached file. The error is a *GlyphError for a
// letter that no font here has.
func (d *Document) Bytes(f File) ([]byte, error) {
	d.close()
	for i, p := range d.pages {
		d.number(p, i)
	}
	if d.err != nil {
		return nil, d.err
	}
	var o objects
	catalog, pages, tree, info := o.reserve(), o.reserve(), o.reserve(), o.reserve()
	fonts := ""
	for i, face := range d.faces {
		if len(face.used) > 0 {
			fonts += fmt.Sprintf("/F%d %d 0 R ", i, o.font(face))
		}
	}
	var places []int
	for i, p := range d.pages {
		content := o.stream("", p.content)
		places = append(places, o.add("<</Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Resources <</Font <<%s>>>> /Contents %d 0 R /StructParents %d /Tabs /S>>",
			pages, fonts, content, i))
	}
	o.set(pages, "<</Type /Pages /Count %d /Kids [%s]>>", len(places), references(places))
	d.structure(&o, tree, places)
	o.set(info, "<</Title %s /Producer %s>>", text(d.info.Title), text("abaton"))
	data := o.add("%s%d /Subtype /application#2Fjson /Params <</Size %d>>>>\nstream\n%s\nendstream", attachedMark, len(f.Content), len(f.Content), f.Content)
	file := o.add("<</Type /Filespec /F %s /UF %s /AFRelationship /Source /EF <</F %d 0 R>>>>", text(f.Name), text(f.Name), data)
	o.set(catalog, "<</Type /Catalog /Pages %d 0 R /Lang %s /MarkInfo <</Marked true>> /StructTreeRoot %d 0 R /ViewerPreferences <</DisplayDocTitle true>> /Names <</EmbeddedFiles <</Names [%s %d 0 R]>>>> /AF [%d 0 R]>>",
		pages, text(d.info.Language), tree, text(f.Name), file, file)
	return o.bytes(catalog, info), nil
}

func references(all []int) string {
	var b strings.Builder
	for _, n := range all {
		fmt.Fprintf(&b, "%d 0 R ", n)
	}
	return b.String()
}

// text is a PDF string of any letters.
func text(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", unit)
	}
	b.WriteString(">")
	return b.String()
}

// structure writes the tree of what is what, and which piece of a page is whose.
func (d *Document) structure(o *objects, tree int, places []int) {
	number(o, d.root)
	d.element(o, d.root, tree, places)
	nums := ""
	for i, p := range d.pages {
		var owners []int
		for _, e := range p.owners {
			owners = append(owners, e.object)
		}
		nums += fmt.Sprintf("%d [%s] ", i, references(owners))
	}
	parents := o.add("<</Nums [%s]>>", nums)
	o.set(tree, "<</Type /StructTreeRoot /K %d 0 R /ParentTree %d 0 R /ParentTreeNextKey %d>>", d.root.object, parents, len(d.pages))
}

func number(o *objects, e *element) {
	e.object = o.reserve()
	for _, k := range e.kids {
		if k.child != nil {
			number(o, k.child)
		}
	}
}

func (d *Document) element(o *objects, e *element, parent int, places []int) {
	var kids strings.Builder
	for _, k := range e.kids {
		if k.child != nil {
			fmt.Fprintf(&kids, "%d 0 R ", k.child.object)
			d.element(o, k.child, e.object, places)
		} else {
			fmt.Fprintf(&kids, "<</Type /MCR /Pg %d 0 R /MCID %d>> ", places[k.page], k.piece)
		}
	}
	more := e.more
	if e.language != "" {
		more += " /Lang " + text(e.language)
	}
	o.set(e.object, "<</Type /StructElem /S /%s /P %d 0 R%s /K [%s]>>", e.kind, parent, more, kids.String())
}

// font writes a font with the letters used (ISO 32000-1, 9.7 and 9.9).
func (o *objects) font(f *face) int {
	glyphs := slices.Sorted(maps.Keys(f.used))
	var widths, letters strings.Builder
	for _, g := range glyphs {
		fmt.Fprintf(&widths, "%d [%d] ", g, f.advance(g)*1000/unitsPerEm)
	}
	for chunk := range slices.Chunk(glyphs, 100) {
		fmt.Fprintf(&letters, "%d beginbfchar\n", len(chunk))
		for _, g := range chunk {
			fmt.Fprintf(&letters, "<%04X> <%04X>\n", uint16(g), uint16(f.used[g])) // the fonts have no letter beyond 16 bits
		}
		letters.WriteString("endbfchar\n")
	}
	head, hhea := f.tables["head"], f.tables["hhea"]
	box := make([]string, 4)
	for i := range box {
		box[i] = strconv.Itoa(int(int16(be.Uint16(head[36+2*i:]))) * 1000 / unitsPerEm)
	}
	name := "ABATON+" + f.name
	program := f.subset()
	file := o.stream(fmt.Sprintf("/Length1 %d ", len(program)), program)
	descriptor := o.add("<</Type /FontDescriptor /FontName /%s /Flags 32 /FontBBox [%s] /ItalicAngle 0 /Ascent %d /Descent %d /CapHeight 723 /StemV 80 /FontFile2 %d 0 R>>",
		name, strings.Join(box, " "), int(int16(be.Uint16(hhea[4:])))*1000/unitsPerEm, int(int16(be.Uint16(hhea[6:])))*1000/unitsPerEm, file)
	cid := o.add("<</Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>> /FontDescriptor %d 0 R /W [%s] /CIDToGIDMap /Identity>>",
		name, descriptor, widths.String())
	unicode := o.stream("", []byte("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n/CMapName /Letters def /CMapType 2 def\n1 begincodespacerange <0000> <FFFF> endcodespacerange\n"+
		letters.String()+"endcmap CMapName currentdict /CMap defineresource pop end end\n"))
	return o.add("<</Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R>>", name, cid, unicode)
}

// bytes puts the objects together, with the table of where they are.
func (o *objects) bytes(catalog, info int) []byte {
	out := []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var at []int
	for i, body := range *o {
		at = append(at, len(out))
		out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	id := sha256.Sum256(out)
	table := len(out)
	out = fmt.Appendf(out, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, n := range at {
		out = fmt.Appendf(out, "%010d 00000 n \n", n)
	}
	return fmt.Appendf(out, "trailer\n<</Size %d /Root %d 0 R /Info %d 0 R /ID [<%x> <%x>]>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, catalog, info, id[:16], id[:16], table)
}

// Attached is the file attached to a document of this package, and whether there
// is one. That the document is whole it does not say.
func Attached(document []byte) ([]byte, bool) {
	_, after, found := bytes.Cut(document, []byte(attachedMark))
	length, rest, framed := bytes.Cut(after, []byte(" "))
	_, body, begun := bytes.Cut(rest, []byte("\nstream\n"))
	n, err := strconv.Atoi(string(length))
	if !found || !framed || !begun || err != nil || n < 0 || n > len(body) {
		return nil, false
	}
	return body[:n], true
}
