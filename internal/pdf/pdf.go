// Package pdf writes documents of text and tables: tagged for those who listen to
// them, in a language that is named, with letters that can be selected and a file
// attached. The same calls give the same bytes, everywhere and always: nothing is
// compressed, no clock is asked, and places are whole numbers.
//
//	d := pdf.New(pdf.Info{Title: "About your medical record", Language: "en", Size: 12})
//	d.Section("en")
//	d.Heading(1, "About your medical record")
//	d.Paragraph(pdf.Span{Text: "Two of your records were opened."})
//	file, err := d.Bytes(pdf.File{Name: "signed.json", Content: signed})
//
// It writes ISO 32000-1 and makes no claim of PDF/UA or PDF/A, though it has what
// the first asks for but the metadata. It protects nothing: a PDF can be changed.
// Who has what it was made of makes it again and compares.
package pdf

import (
	"fmt"
	"unicode"
)

// Places and sizes are thousandths of a point. A page is A4.
const (
	point      = 1000
	pageWide   = 595 * point
	pageHigh   = 842 * point
	margin     = 57 * point // two centimetres
	columnWide = pageWide - 2*margin
)

// SizeMax is the largest size of text, in points: larger leaves no room for words.
const SizeMax = 36

// Info is what a document says of itself.
type Info struct {
	Title    string
	Language string // BCP 47
	Size     int    // of text, in points; 1 to SizeMax
	Mark     string // across each page and at its top; empty for none
	Pages    string // with two %d: which page, of how many
}

// Span is some text of a paragraph.
type Span struct {
	Text  string
	Bold  bool
	Small bool // and grey
}

// GlyphError says that a letter is in no font here: what cannot be printed right is
// not printed.
type GlyphError struct {
	Letter rune
}

func (e *GlyphError) Error() string { return fmt.Sprintf("print: no font here has U+%04X", e.Letter) }

// Document is one that is being written. Not safe for concurrent use.
type Document struct {
	info  Info
	faces [2]*face // regular, bold
	pages []*page
	y     int // where the next line's top is, from below
	root  *element
	in    *element // the section
	open  *element // whose content is being written
	err   error
}

// page is one page: what is drawn, and whose each piece of it is.
type page struct {
	content []byte
	owners  []*element // by number of the marked piece
}

// element is one thing of the document's structure (ISO 32000-1, 14.7).
type element struct {
	kind, language, more string
	kids                 []kid
	parent               *element
	object               int
}

// kid is an element, or a marked piece of a page.
type kid struct {
	child       *element
	page, piece int
}

// New is an empty document.
func New(i Info) *Document {
	d := &Document{info: i, faces: [2]*face{faceOf("GoRegular", regularFile), faceOf("GoBold", boldFile)}, root: &element{kind: "Document"}}
	d.in = d.root
	if i.Size < 1 || i.Size > SizeMax {
		d.err = fmt.Errorf("print: a size of %d points, want 1 to %d", i.Size, SizeMax)
	}
	d.newPage()
	return d
}

// Section begins a part in a language, on a page of its own.
func (d *Document) Section(language string) {
	if d.in != d.root || d.y != d.top() {
		d.newPage()
	}
	d.in = d.add(d.root, "Sect")
	d.in.language = language
}

// Heading is a heading of level 1 or 2.
func (d *Document) Heading(level int, text string) {
	size := d.size(100)
	switch level {
	case 1:
		size = d.size(150)
	case 2:
		size = d.size(120)
	}
	if d.y != d.top() {
		d.y -= size
	}
	lines := d.wrap([]Span{{Text: text, Bold: true}}, size, columnWide)
	if d.y-len(lines)*leading(size)-2*leading(d.size(100)) < margin { // not alone at the foot
		d.newPage()
	}
	d.lines(d.add(d.in, fmt.Sprintf("H%d", level)), lines, size, margin)
	d.y -= size / 4
}

// Paragraph is a paragraph.
func (d *Document) Paragraph(spans ...Span) {
	size := d.size(100)
	d.lines(d.add(d.in, "P"), d.wrap(spans, size, columnWide), size, margin)
	d.y -= size / 2
}

// size is a part of the text's size, in hundredths.
func (d *Document) size(hundredths int) int { return d.info.Size * point * hundredths / 100 }

// leading is from line to line.
func leading(size int) int { return size * 7 / 5 }

// top is where a page's text begins.
func (d *Document) top() int {
	if d.info.Mark != "" {
		return pageHigh - margin - 20*point
	}
	return pageHigh - margin
}

func (d *Document) add(to *element, kind string) *element {
	e := &element{kind: kind, parent: to}
	to.kids = append(to.kids, kid{child: e})
	return e
}

func (d *Document) newPage() {
	d.close()
	p := new(page)
	d.pages = append(d.pages, p)
	d.y = d.top()
	d.stamp(p)
}

// close ends the piece that is being written.
func (d *Document) close() {
	if d.open != nil {
		d.draw("EMC\n")
		d.open = nil
	}
}

// mark begins a piece of an element, unless it is the one being written.
func (d *Document) mark(e *element) {
	if d.open == e {
		return
	}
	d.close()
	p := d.pages[len(d.pages)-1]
	d.draw("/%s <</MCID %d>> BDC\n", e.kind, len(p.owners))
	e.kids = append(e.kids, kid{page: len(d.pages) - 1, piece: len(p.owners)})
	p.owners = append(p.owners, e)
	d.open = e
}

func (d *Document) draw(format string, args ...any) {
	p := d.pages[len(d.pages)-1]
	p.content = fmt.Appendf(p.content, format, args...)
}

// lines writes lines of an element, from page to page.
func (d *Document) lines(e *element, lines []line, size, x int) {
	for _, l := range lines {
		if d.y-leading(size) < margin {
			d.newPage()
		}
		d.mark(e)
		d.line(l, size, x, d.y-size)
		d.y -= leading(size)
	}
	d.close()
}

// line writes one line with its foot at y.
func (d *Document) line(l line, size, x, y int) {
	d.draw("BT %s %s Td ", points(x), points(y))
	for _, r := range l {
		f, grey, scale := 0, "0", size
		if r.bold {
			f = 1
		}
		if r.small {
			grey, scale = ".3", size*3/4
		}
		d.draw("/F%d %s Tf %s g %s Tj ", f, points(scale), grey, d.faces[f].shown(r.text))
	}
	d.draw("ET\n")
}

// points is a length as PDF has it.
func points(n int) string {
	if n < 0 {
		return "-" + points(-n)
	}
	return fmt.Sprintf("%d.%03d", n/point, n%point)
}

// stamp writes the mark across a page and at its top.
func (d *Document) stamp(p *page) {
	text := d.letters(d.info.Mark)
	if len(text) == 0 || d.err != nil {
		return
	}
	size := 60 * point
	for size > 8*point && d.faces[1].width(text, size) > 640*point {
		size -= point
	}
	half := d.faces[1].width(text, size) / 2
	shown := d.faces[1].shown(text)
	p.content = fmt.Appendf(p.content, "/Artifact <</Type /Pagination>> BDC\nq 1 .85 .85 rg .60 .80 -.80 .60 %s %s cm BT /F1 %s Tf %s 0 Td %s Tj ET Q\n",
		points(pageWide/2), points(pageHigh/2), points(size), points(-half), shown)
	p.content = fmt.Appendf(p.content, "q .7 0 0 rg BT /F1 %s Tf %s %s Td %s Tj ET Q\nEMC\n", points(11*point), points(margin), points(pageHigh-margin), shown)
}

// number writes which page it is.
func (d *Document) number(p *page, i int) {
	if d.info.Pages == "" {
		return
	}
	text := d.letters(fmt.Sprintf(d.info.Pages, i+1, len(d.pages)))
	if d.err == nil {
		p.content = fmt.Appendf(p.content, "/Artifact <</Type /Pagination>> BDC\nBT /F0 %s Tf .3 g %s %s Td %s Tj ET\nEMC\n",
			points(9*point), points(margin), points(margin/2), d.faces[0].shown(text))
	}
}

// letters are a text's, every kind of space one of one kind; a letter that no font
// has makes the document an error.
func (d *Document) letters(text string) (all []rune) {
	for _, r := range text {
		if unicode.IsSpace(r) {
			r = ' '
		}
		all = append(all, r)
	}
	for _, f := range d.faces {
		if r := f.lacks(all); r != 0 && d.err == nil {
			d.err = &GlyphError{r}
		}
	}
	return all
}
