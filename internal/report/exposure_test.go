package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
)

// lineOf is a line of a patient of the story.
func lineOf(patient, what string) abaton.Line {
	b := id("line", patient, what)
	return abaton.Line(b[:16])
}

func stated(patient, what, class string) report.Class {
	return report.Class{Line: lineOf(patient, what).String(), Class: class}
}

// TestExposureByClass: what is stated of a line counts for its records; of the rest
// the class is not known, and the sums are those of the scope.
func TestExposureByClass(t *testing.T) {
	r := newReported(t, func(f *report.Facts) {
		f.Classes = []report.Class{stated("b", "general", "psychiatric"), stated("a", "general", "general")}
	}, 1, 2, 3, 4, 5)
	e := r.incident.Exposure
	want := []report.ClassCount{
		{Class: "general", People: 1, Records: report.Records{Opened: 3}},
		{Class: report.NotKnown, People: 3, Records: report.Records{Opened: 3, Asked: 3}},
		{Class: "psychiatric", People: 1, Records: report.Records{Opened: 3}},
	}
	if len(e.Classes) != len(want) || len(e.Rows) != 5 {
		t.Fatalf("got %+v, %d rows; want %+v, five", e.Classes, len(e.Rows), want)
	}
	var sum report.Records
	for i, c := range e.Classes {
		if c != want[i] {
			t.Errorf("got %+v, want %+v", c, want[i])
		}
		sum.Opened, sum.Asked = sum.Opened+c.Records.Opened, sum.Asked+c.Records.Asked
	}
	if sum.Opened != r.incident.Scope.Records.Opened || sum.Asked != r.incident.Scope.Records.Asked {
		t.Errorf("got %+v in all, want the scope's %+v", sum, r.incident.Scope.Records)
	}
	for _, row := range e.Rows {
		if row.First < start || row.Last < row.First {
			t.Errorf("a row's times: got %d to %d, want those of its requests", row.First, row.Last)
		}
	}
}

// TestClassOfSeveralLines: a batch that may be of two lines has a class only where
// both are stated to be of it, or another request leaves one of them.
func TestClassOfSeveralLines(t *testing.T) {
	for what, c := range map[string]struct {
		stated []report.Class
		again  bool // a second request names one line
		want   string
	}{
		"one stated":         {[]report.Class{stated("a", "x", "general")}, false, report.NotKnown},
		"both alike":         {[]report.Class{stated("a", "x", "general"), stated("a", "y", "general")}, false, "general"},
		"both, and not like": {[]report.Class{stated("a", "x", "general"), stated("a", "y", "imaging")}, false, report.NotKnown},
		"one left":           {[]report.Class{stated("a", "x", "general")}, true, "general"},
		"none stated":        {nil, true, report.NotKnown},
	} {
		w := newWorld(t)
		e := w.read("a", "stolen", 1, 1, 0)
		e.Lines = []abaton.Line{lineOf("a", "x"), lineOf("a", "y")}
		ledger.SortLines(e.Lines)
		w.enter(t, e, 1, 2, 3)
		if c.again {
			e = w.read("a", "stolen", 2, 1, 0)
			e.Lines = []abaton.Line{lineOf("a", "x")}
			w.enter(t, e, 1, 2, 3)
		}
		touched, proofs, _ := w.ask(t, 1, 2, 3, 4, 5)
		f := w.facts()
		f.Classes = c.stated
		i, err := report.NewIncident(touched, proofs, f, w.now)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := i.Exposure.Classes[0].Class; got != c.want {
			t.Errorf("%s: got %q, want %q", what, got, c.want)
		}
	}
}

// TestClassesAreStatedRight: what is no class, no line, or said twice is refused.
func TestClassesAreStatedRight(t *testing.T) {
	w := newWorld(t)
	w.theft(t)
	touched, proofs, _ := w.ask(t, 1, 2, 3, 4, 5)
	for what, bad := range map[string][]report.Class{
		"no class":  {stated("a", "general", "secret")},
		"not known": {stated("a", "general", report.NotKnown)},
		"no line":   {{Line: "x", Class: "general"}},
		"twice":     {stated("a", "general", "general"), stated("a", "general", "imaging")},
	} {
		f := w.facts()
		f.Classes = bad
		if _, err := report.NewIncident(touched, proofs, f, w.now); !errors.Is(err, report.ErrClass) {
			t.Errorf("%s: got %v, want it refused", what, err)
		}
	}
}

// TestALetterTellsNoSensitiveClass: neither on paper nor in the file attached; of
// others' lines it tells nothing at all.
func TestALetterTellsNoSensitiveClass(t *testing.T) {
	r := newReported(t, func(f *report.Facts) {
		f.Classes = []report.Class{stated("b", "general", "psychiatric"), stated("a", "general", "imaging")}
	}, 1, 2, 3, 4, 5)
	for patient, want := range map[string]string{"a": "images and scans", "b": "does not say which kind", "c": "does not say which kind"} {
		n := report.NewNotice(r.incident, settings(), r.facts(), id("patient", patient), []string{"en"})
		data, err := report.SealNotice(n, r.proofs, r.asked, r.sign)
		if err != nil {
			t.Fatal(err)
		}
		page, err := report.Page(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page, []byte(want)) || bytes.Contains(page, []byte("psychiatric")) {
			t.Errorf("patient %s: got another kind than %q, or a sensitive one", patient, want)
		}
		if patient != "a" && bytes.Contains(page, []byte("imaging")) {
			t.Errorf("patient %s: the letter tells of another's line", patient)
		}
		if _, err := report.Verify(page, &r.trust); err != nil {
			t.Errorf("patient %s: %v", patient, err)
		}
		n.Exposure = nil
		if data, err = report.SealNotice(n, r.proofs, r.asked, r.sign); err != nil {
			t.Fatal(err)
		}
		if _, err := report.Verify(data, &r.trust); err == nil {
			t.Errorf("patient %s: a class left out holds", patient)
		}
	}
}

// TestSeverity: the method's numbers, the worst where nothing is known, and no lie
// about them under the right key.
func TestSeverity(t *testing.T) {
	whole, lying := []int{1, 2, 3, 4, 5}, []int{1, 2}
	for _, c := range []struct {
		vector report.Vector
		at     []int
		score  int
		level  string
	}{
		{"", whole, 500, "very high"}, {report.StolenSession, whole, 500, "very high"}, {report.Insider, whole, 475, "very high"},
		{report.SharedAccount, whole, 425, "very high"}, {"", lying, 500, "very high"},
	} {
		r := newReported(t, func(f *report.Facts) { f.Vector = c.vector }, c.at...)
		if s := r.incident.Severity; s.Score != c.score || s.Level != c.level || s.Method == "" {
			t.Errorf("%q: got %s, want %d, %s", c.vector, &s, c.score, c.level)
		}
	}
	w := newWorld(t)
	w.enter(t, w.read("e", "stolen", 1, 0, 1), 1, 2, 3, 4, 5)
	touched, proofs, _ := w.ask(t, whole...)
	i, err := report.NewIncident(touched, proofs, w.facts(), w.now)
	if err != nil || i.Severity.Score != 0 || i.Severity.Level != "low" || i.Severity.Unintelligible != 1 || len(i.Severity.Factors[0].Evidence) == 0 {
		t.Errorf("nothing opened: got %v, %+v, want low with the entries that show it", err, i.Severity)
	}
	touched, proofs, _ = w.ask(t, lying...)
	if i, err = report.NewIncident(touched, proofs, w.facts(), w.now); err != nil || i.Severity.Score == 0 {
		t.Errorf("nothing opened as far as two keepers tell: got %v, %s; want the worst assumed", err, &i.Severity)
	}
	w = newWorld(t)
	listed := w.read("f", "stolen", 1, 0, 1)
	listed.Op, listed.Rows = ledger.OpList, nil
	w.enter(t, listed, 1, 2, 3, 4, 5)
	touched, proofs, _ = w.ask(t, lying...)
	if i, err = report.NewIncident(touched, proofs, w.facts(), w.now); err != nil || i.Severity.Score == 0 {
		t.Errorf("a list, and two keepers tell: got %v, %s; want the worst assumed", err, &i.Severity)
	}
	r := newReported(t, nil, whole...)
	r.incident.Severity.Score = 100
	data, err := report.SealIncident(r.incident, r.proofs, r.asked, r.sign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Verify(data, &r.trust); err == nil || !strings.Contains(err.Error(), "severe") {
		t.Errorf("a lower severity: got %v, want it to fail", err)
	}
}

// TestReopened: who has the incident's file makes the same letters of it, to the byte.
func TestReopened(t *testing.T) {
	r := newReported(t, nil, 1, 2, 4, 5)
	data, err := report.SealIncident(r.incident, r.proofs, r.asked, r.sign)
	if err != nil {
		t.Fatal(err)
	}
	again, err := report.Reopen(data, &r.trust)
	if err != nil || again.Key != r.sign.ID() {
		t.Fatalf("got %v, want the incident and its key", err)
	}
	for _, patient := range []string{"a", "d", "e"} {
		one := report.NewNotice(r.incident, settings(), r.facts(), id("patient", patient), report.Languages())
		two := report.NewNotice(again.Incident, settings(), r.facts(), id("patient", patient), report.Languages())
		first, errOne := report.SealNotice(one, r.proofs, r.asked, r.sign)
		second, errTwo := report.SealNotice(two, again.Proofs, again.Asked, r.sign)
		if err := errors.Join(errOne, errTwo); err != nil || !bytes.Equal(first, second) {
			t.Errorf("patient %s: %v, or another letter", patient, err)
		}
	}
	n, err := json.Marshal(again.Incident)
	if err != nil || !bytes.Contains(data, n) {
		t.Errorf("got %v, or another incident", err)
	}
	if _, err := report.Reopen(data[1:], &r.trust); err == nil {
		t.Error("what does not verify was opened")
	}
}
