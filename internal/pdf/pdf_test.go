package pdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/pdf"
)

// sample has all there is: two languages, headings, spans, a table over pages.
func sample(i pdf.Info, rows int) *pdf.Document {
	d := pdf.New(i)
	d.Section("nl")
	d.Heading(1, "Over uw medisch dossier")
	d.Heading(2, "Wat is er geopend")
	d.Paragraph(pdf.Span{Text: strings.Repeat("Eén stuk uit uw dossier is geopend. ", 12)}, pdf.Span{Text: "[k3-128]", Small: true})
	d.Paragraph(pdf.Span{Text: "Dr. Yılmaz-Łukasiewicz, Αθήνα, Київ", Bold: true}, pdf.Span{Text: " " + strings.Repeat("act1zh5moet7vfrb", 20)})
	var all [][]string
	for n := range rows {
		all = append(all, []string{fmt.Sprint(n), "stukken opgevraagd", strings.Repeat("k1-2203 ", 5)})
	}
	d.Table(pdf.Table{Head: []string{"Wanneer", "Wat", "Bewijs"}, Rows: all, Wide: []int{1, 2, 3}})
	d.Section("en")
	d.Heading(1, "About your medical record")
	d.Paragraph(pdf.Span{Text: "One of your records was opened."})
	return d
}

func info() pdf.Info {
	return pdf.Info{Title: "Één", Language: "nl", Size: 12, Pages: "Pagina %d van %d"}
}

func written(t testing.TB, d *pdf.Document) []byte {
	t.Helper()
	file, err := d.Bytes(pdf.File{Name: "signed.json", Content: []byte(`{"v":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSameBytes: two documents of the same calls are the same file.
func TestSameBytes(t *testing.T) {
	if !bytes.Equal(written(t, sample(info(), 40)), written(t, sample(info(), 40))) {
		t.Error("got two files of the same calls")
	}
}

// TestFileHoldsTogether: every object is where the table says, every stream as long
// as it says, and pages, pieces and their owners fit.
func TestFileHoldsTogether(t *testing.T) {
	file := written(t, sample(info(), 60))
	_, at, _ := bytes.Cut(file, []byte("startxref\n"))
	table, err := strconv.Atoi(string(bytes.Split(at, []byte("\n"))[0]))
	if err != nil || !bytes.HasPrefix(file[table:], []byte("xref\n0 ")) {
		t.Fatalf("got %v, or no table where it should be", err)
	}
	lines := bytes.Split(file[table:], []byte("\n"))
	for n, line := range lines[3:] {
		if bytes.HasPrefix(line, []byte("trailer")) {
			break
		}
		where, err := strconv.Atoi(string(line[:10]))
		if err != nil || !bytes.HasPrefix(file[where:], fmt.Appendf(nil, "%d 0 obj\n", n+1)) {
			t.Errorf("object %d: got %v, or it is elsewhere", n+1, err)
		}
	}
	for _, m := range regexp.MustCompile(`/Length (\d+)[^\n]*>>\nstream\n`).FindAllSubmatchIndex(file, -1) {
		size, err := strconv.Atoi(string(file[m[2]:m[3]]))
		if err != nil || !bytes.HasPrefix(file[m[1]+size:], []byte("\nendstream")) {
			t.Errorf("a stream at %d is not as long as it says", m[0])
		}
	}
	pages, pieces := bytes.Count(file, []byte("/Type /Page ")), bytes.Count(file, []byte("/MCID"))
	if begins, ends := bytes.Count(file, []byte(" BDC\n")), bytes.Count(file, []byte("EMC\n")); pages < 4 || begins != ends {
		t.Errorf("got %d pages, %d pieces begun and %d ended; want some pages, and as many", pages, begins, ends)
	}
	if refs := bytes.Count(file, []byte("/Type /MCR")); pieces != 2*refs {
		t.Errorf("got %d pieces marked and %d owned, want each owned once", pieces-refs, refs)
	}
	for _, want := range []string{"/S /H1", "/S /H2", "/S /P", "/S /TH", "/S /TD", "/Marked true", "/Lang <FEFF006E006C>", "/Lang <FEFF0065006E>", "/ToUnicode"} {
		if !bytes.Contains(file, []byte(want)) {
			t.Errorf("got no %s", want)
		}
	}
}

// TestMark: on each page, twice, and what is read aloud is not interrupted by it.
func TestMark(t *testing.T) {
	i := info()
	i.Mark = "DRILL"
	file := written(t, sample(i, 60))
	pages := bytes.Count(file, []byte("/Type /Page "))
	if got := bytes.Count(file, []byte(" rg ")); got != 2*pages {
		t.Errorf("got %d marks on %d pages, want two each", got, pages)
	}
}

// TestNotPrinted: a letter that no font has, and a size that leaves no room, are
// errors and no document.
func TestNotPrinted(t *testing.T) {
	d := pdf.New(info())
	d.Paragraph(pdf.Span{Text: "ok クリニック"})
	_, err := d.Bytes(pdf.File{})
	if lacks, is := errors.AsType[*pdf.GlyphError](err); !is || lacks.Letter != 'ク' {
		t.Errorf("got %v, want which letter is lacking", err)
	}
	for _, size := range []int{0, -1, pdf.SizeMax + 1} {
		i := info()
		i.Size = size
		if _, err := sample(i, 2).Bytes(pdf.File{}); err == nil {
			t.Errorf("size %d: got a document", size)
		}
	}
}

// TestNarrow: words wider than their column, rows longer than a page and the largest
// letters end, and nothing is lost.
func TestNarrow(t *testing.T) {
	i := info()
	i.Size = pdf.SizeMax
	d := pdf.New(i)
	long := strings.Repeat("w", 3000)
	d.Heading(1, long)
	d.Paragraph(pdf.Span{Text: long})
	d.Table(pdf.Table{Head: []string{"a", "b"}, Rows: [][]string{{long, "x"}, {"", ""}}, Wide: []int{1, 30}})
	file := written(t, d)
	w := regexp.MustCompile(`<([0-9A-F]+)> Tj`)
	count := make(map[string]int)
	for _, m := range w.FindAllSubmatch(file, -1) {
		for at := 0; at < len(m[1]); at += 4 {
			count[string(m[1][at:at+4])]++
		}
	}
	most := 0
	for _, n := range count {
		most = max(most, n)
	}
	if most != 3*len(long) {
		t.Errorf("got %d letters of %d", most, 3*len(long))
	}
}

// FuzzAttached: of whatever is read, what is attached lies in it; of what was
// written here, it is what was attached.
func FuzzAttached(f *testing.F) {
	f.Add(written(f, sample(info(), 1)))
	f.Add([]byte("<</Type /EmbeddedFile /Length 99 \nstream\nx"))
	f.Add([]byte("<</Type /EmbeddedFile /Length -1 \nstream\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, found := pdf.Attached(data); found && !bytes.Contains(data, got) {
			t.Error("something that is not there is attached")
		}
		d := pdf.New(info())
		d.Paragraph(pdf.Span{Text: "x"})
		file, err := d.Bytes(pdf.File{Name: "a", Content: data})
		if err != nil {
			t.Fatal(err)
		}
		if got, found := pdf.Attached(file); !found || !bytes.Equal(got, data) {
			t.Error("another file is attached than was")
		}
	})
}

// FuzzText: whatever text is written, there is a document or an error.
func FuzzText(f *testing.F) {
	f.Add("Eén stuk\tuit\nuw dossier", 12)
	f.Add(strings.Repeat("w", 500), 36)
	f.Fuzz(func(t *testing.T, text string, size int) {
		i := info()
		i.Size, i.Mark = size, text
		d := pdf.New(i)
		d.Section(text)
		d.Heading(2, text)
		d.Paragraph(pdf.Span{Text: text}, pdf.Span{Text: text, Small: true, Bold: true})
		d.Table(pdf.Table{Head: []string{text}, Rows: [][]string{{text}}, Wide: []int{1}})
		if file, err := d.Bytes(pdf.File{Name: text, Content: []byte(text)}); (file == nil) == (err == nil) {
			t.Error("neither a document nor an error")
		}
	})
}
