package report_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/report"
)

// wordsPerSentence is the average that plain language allows.
const wordsPerSentence = 15

// TestLettersAreShort: in both languages sentences have at most fifteen words on
// average, and none has more than twenty-five.
func TestLettersAreShort(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4)
	for _, language := range report.Languages() {
		sentences, count := 0, 0
		for _, p := range r.incident.Scope.Patients {
			patient, err := abaton.ParseActorID(p.Patient)
			if err != nil {
				t.Fatal(err)
			}
			n := report.NewNotice(r.incident, settings(), r.facts(), patient, report.Languages())
			for _, part := range n.Letter(language) {
				for _, s := range part.Sentences {
					long := len(strings.FieldsFunc(s.Text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }))
					sentences, count = sentences+1, count+long
					if long > 25 {
						t.Errorf("%s: got a sentence of %d words: %s", language, long, s.Text)
					}
				}
			}
		}
		if sentences == 0 || count > wordsPerSentence*sentences {
			t.Errorf("%s: got %d words in %d sentences, want at most %d each", language, count, sentences, wordsPerSentence)
		}
	}
}

// TestNoReassuranceWithoutProof: a sentence that puts at rest names ledger
// entries of its file; with answers missing it is not written.
func TestNoReassuranceWithoutProof(t *testing.T) {
	assuring := func(n *report.Notice) (count int) {
		for _, language := range report.Languages() {
			for _, p := range n.Letter(language) {
				for _, s := range p.Sentences {
					if s.Assures {
						count++
						if len(s.Proof) == 0 {
							t.Errorf("%s: reassures without a proof: %s", language, s.Text)
						}
					}
				}
			}
		}
		return count
	}
	whole, partly := newReported(t, nil, 1, 2, 3, 4, 5), newReported(t, nil, 1, 2)
	for _, c := range []struct {
		r       *reported
		patient string
		want    int // in two languages
	}{
		{whole, "a", 2}, // nothing else was opened
		{whole, "e", 4}, // stayed locked; nothing was opened
		{partly, "a", 0}, {partly, "e", 0},
	} {
		n := report.NewNotice(c.r.incident, settings(), c.r.facts(), id("patient", c.patient), report.Languages())
		if got := assuring(n); got != c.want {
			t.Errorf("patient %s: got %d sentences that reassure, want %d", c.patient, got, c.want)
		}
		n.Complete.Evidence = nil
		for i := range n.Facts.Reads {
			n.Facts.Reads[i].Evidence = nil
		}
		if got := assuring(n); got != 0 {
			t.Errorf("patient %s, without entries: got %d sentences that reassure, want none", c.patient, got)
		}
	}
}

// TestNothingIsInvented: without settings a letter has no contact, no
// authority and no name in it.
func TestNothingIsInvented(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	for _, language := range report.Languages() {
		for _, p := range report.NewNotice(r.incident, new(report.Settings), r.facts(), id("patient", "a"), nil).Letter(language) {
			for _, s := range p.Sentences {
				if strings.Contains(s.Text, "Contact") || strings.Contains(s.Text, " .") || strings.Contains(s.Text, ": .") || strings.Contains(s.Text, "%!") {
					t.Errorf("%s: got %q, want nothing without settings", language, s.Text)
				}
			}
		}
	}
}

// TestNothingGoesByPost: for a patient whose post others open there is no
// letter, and the page says who speaks to the patient.
func TestNothingGoesByPost(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	f := r.facts()
	f.Private = []abaton.ActorID{id("patient", "a")}
	n := report.NewNotice(r.incident, settings(), f, id("patient", "a"), report.Languages())
	if n.Post || n.Letter("en") != nil {
		t.Fatal("there is a letter to post")
	}
	data, err := report.SealNotice(n, r.proofs, r.asked, r.sign)
	if err != nil {
		t.Fatal(err)
	}
	page, err := report.Page(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Verify(page, &r.trust); err != nil {
		t.Fatal(err)
	}
	shown, _, _ := bytes.Cut(page, []byte("<script"))
	if !bytes.Contains(shown, []byte("Dr Example speaks to the patient in person.")) || bytes.Contains(shown, []byte("opened")) {
		t.Error("the page says what happened, or not who speaks to the patient")
	}
}

// FuzzVerify: whatever is read, Verify says what does not hold; what holds is
// the organisation's, and holds no more with a byte changed.
func FuzzVerify(f *testing.F) {
	r := newReported(f, nil, 1, 2, 3, 4)
	for _, data := range r.files(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := report.Verify(data, &r.trust)
		if err != nil {
			return
		}
		bad := bytes.Clone(data)
		bad[len(bad)/2] ^= 1
		if _, err := report.Verify(bad, &r.trust); err == nil || s.Organisation != r.org || len(s.Vouched) < 2 {
			t.Error("something that was not made here holds")
		}
	})
}

// FuzzSettings: settings that are read are known whole.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"name":"x","dpo":{"phone":"1"}}`))
	f.Add([]byte(`{"unknown":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := report.ParseSettings(data); (s == nil) == (err == nil) {
			t.Error("neither settings nor an error")
		}
	})
}
