package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/pdf"
	"github.com/abaton-health/abaton/internal/report"
)

// TestPrintsAlike: the same file gives the same PDF; in large print another.
func TestPrintsAlike(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	var sizes []int
	for _, large := range []bool{false, true} {
		n := report.NewNotice(r.incident, settings(), r.facts(), id("patient", "a"), report.Languages())
		n.Large = large
		data, err := report.SealNotice(n, r.proofs, r.asked, r.sign)
		if err != nil {
			t.Fatal(err)
		}
		one, errOne := report.Print(data)
		two, errTwo := report.Print(data)
		if err := errors.Join(errOne, errTwo); err != nil || !bytes.Equal(one, two) {
			t.Fatalf("got %v, or two PDFs of one file", err)
		}
		if signed, found := pdf.Attached(one); !found || !bytes.Equal(signed, data) {
			t.Error("the signed file is not attached")
		}
		if _, err := report.Verify(one, &r.trust); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, bytes.Count(one, []byte("/Type /Page ")))
	}
	if sizes[1] <= sizes[0] {
		t.Errorf("got %d pages, and %d in large print; want more", sizes[0], sizes[1])
	}
}

// TestWhatCannotBePrinted: a letter of no built-in alphabet is no PDF with a hole.
func TestWhatCannotBePrinted(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	s := settings()
	s.Name = "クリニック"
	data, err := report.SealNotice(report.NewNotice(r.incident, s, r.facts(), id("patient", "a"), []string{"en"}), r.proofs, r.asked, r.sign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Print(data); err == nil {
		t.Error("it was printed")
	} else if _, is := errors.AsType[*pdf.GlyphError](err); !is {
		t.Errorf("got %v, want which letter it is", err)
	}
	if _, err := report.Page(data); err != nil {
		t.Error(err)
	}
}

// letterPatients is how many patients the incident of BenchmarkLetters has.
const letterPatients = 10_000

// BenchmarkLetters makes signed file, page and PDF of each patient of a large incident.
func BenchmarkLetters(b *testing.B) {
	w := newWorld(b)
	patients := make([]abaton.ActorID, letterPatients)
	for n := range patients {
		name := fmt.Sprint("p", n)
		patients[n] = id("patient", name)
		w.enter(b, w.read(name, "stolen", n, 7, 0), 1+n%3, 2+n%3, 3+n%3)
	}
	touched, proofs, asked := w.ask(b, 1, 2, 3, 4, 5)
	i, err := report.NewIncident(touched, proofs, w.facts(), w.now)
	if err != nil {
		b.Fatal(err)
	}
	var size, n int
	for b.Loop() {
		notice := report.NewNotice(i, settings(), w.facts(), patients[n%letterPatients], report.Languages())
		data, err := report.SealNotice(notice, proofs, asked, w.sign)
		if err != nil {
			b.Fatal(err)
		}
		page, errPage := report.Page(data)
		print, errPrint := report.Print(data)
		if err := errors.Join(errPage, errPrint); err != nil {
			b.Fatal(err)
		}
		size, n = size+len(data)+len(page)+len(print), n+1
	}
	b.ReportMetric(float64(size)/float64(n), "bytes/letter")
}
