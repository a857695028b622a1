package report

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/abaton-health/abaton/internal/pdf"
)

// Text sizes of printed files, in points: of most, and of letters in large print
// (the size that RNIB's Clear Print asks for is 16 and more).
const (
	printSize      = 11
	largePrintSize = 18
)

// printName is the signed file's name in what is printed of it.
const printName = "signed.json"

// Print is the signed file as a PDF to print or to hand in, with the file attached.
// Like a page it is made of the file alone, the same bytes each time, so that the
// signature over the file holds for it. The error is a *pdf.GlyphError where a text
// has a letter that cannot be printed: then there is the page.
func Print(signed []byte) ([]byte, error) {
	s, err := sheetOf(signed)
	if err != nil {
		return nil, err
	}
	i := pdf.Info{Title: s.Title, Language: s.Language, Size: printSize, Mark: s.Drill, Pages: wordsOf("en").Pages}
	if w := wordsOf(s.Language); w != nil {
		i.Pages = w.Pages
	}
	if s.Large {
		i.Size = largePrintSize
	}
	d := pdf.New(i)
	s.printLead(d)
	for _, l := range s.Letters {
		l.print(d)
	}
	s.printFields(d)
	return d.Bytes(pdf.File{Name: printName, Content: signed})
}

func (s *sheet) printLead(d *pdf.Document) {
	if len(s.Lead)+len(s.Withheld) == 0 {
		return
	}
	d.Section(s.Language)
	d.Heading(1, s.Title)
	for _, text := range append(s.Lead, s.Withheld...) {
		d.Paragraph(pdf.Span{Text: text})
	}
	if len(s.Withheld) == 0 {
		d.Paragraph(pdf.Span{Text: fmt.Sprintf("%d ledger entries prove it: they are in the file %s, which is attached.", len(s.Evidence), printName)})
	}
}

func (l *letterSheet) print(d *pdf.Document) {
	d.Section(l.Language)
	d.Heading(1, l.Title)
	if l.Drill != "" {
		d.Paragraph(pdf.Span{Text: l.Drill, Bold: true})
	}
	for _, p := range l.Parts {
		if p.Heading != "" {
			d.Heading(2, p.Heading)
		}
		if p.List {
			for _, x := range p.Sentences {
				d.Paragraph(pdf.Span{Text: x.Text})
			}
			continue
		}
		var spans []pdf.Span
		for _, x := range p.Sentences {
			spans = append(spans, pdf.Span{Text: x.Text + " "})
			if len(x.Proof) > 0 {
				spans = append(spans, pdf.Span{Text: proofText(x.Proof) + " ", Small: true})
			}
		}
		if len(spans) > 0 {
			d.Paragraph(spans...)
		}
		if len(p.Columns) > 0 {
			d.Table(pdf.Table{Head: p.Columns, Rows: p.Rows, Wide: []int{5, 5, 4, 4, 4, 6}})
		}
	}
}

// proofsShown is how many entries a printed sentence names: of more, the attached
// file and the page have them all.
const proofsShown = 6

func proofText(ids []string) string {
	var b bytes.Buffer
	b.WriteString("[")
	for i, id := range ids[:min(len(ids), proofsShown)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(id)
	}
	if more := len(ids) - proofsShown; more > 0 {
		fmt.Fprintf(&b, " + %d", more)
	}
	b.WriteString("]")
	return b.String()
}

func (s *sheet) printFields(d *pdf.Document) {
	if len(s.Fields) == 0 {
		return
	}
	var rows [][]string
	flush := func() {
		if len(rows) > 0 {
			d.Table(pdf.Table{Head: []string{"", "Question", "Answer", "Evidence"}, Rows: rows, Wide: []int{2, 8, 14, 4}})
		}
		rows = nil
	}
	for _, f := range s.Fields {
		if f.Section != "" {
			flush()
			d.Heading(2, f.Section)
		}
		answer, proof := f.Answer, ""
		if answer == "" {
			answer = "MISSING: a person must say"
		}
		if len(f.Evidence) > 0 {
			proof = proofText(f.Evidence)
		}
		rows = append(rows, []string{f.ID, f.Label, answer, proof})
	}
	flush()
	missing := "nothing"
	if len(s.Missing) > 0 {
		missing = strings.Join(s.Missing, ", ")
	}
	d.Paragraph(pdf.Span{Text: "Missing: " + missing + ".", Bold: true})
}
