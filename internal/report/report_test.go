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

// reported is everything that one story makes.
type reported struct {
	*world
	touched  *ledger.Touched
	proofs   *report.Proofs
	asked    *report.Asked
	incident *report.Incident
}

func newReported(t testing.TB, facts func(*report.Facts), keepers ...int) *reported {
	t.Helper()
	w := newWorld(t)
	w.theft(t)
	r := &reported{world: w}
	r.touched, r.proofs, r.asked = w.ask(t, keepers...)
	f := w.facts()
	if facts != nil {
		facts(f)
	}
	var err error
	if r.incident, err = report.NewIncident(r.touched, r.proofs, f, w.now); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reported) files(t testing.TB) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	keep := func(name string, data []byte, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		page, err := report.Page(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name], out[name+" page"] = data, page
		if out[name+" print"], err = report.Print(data); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	data, err := report.SealIncident(r.incident, r.proofs, r.asked, r.sign)
	keep("incident", data, err)
	data, err = report.SealDraft(report.Fill(report.RuleFor("gdpr-33", r.now), r.incident, settings()), r.proofs, r.asked, r.sign)
	keep("draft", data, err)
	n := report.NewNotice(r.incident, settings(), r.facts(), id("patient", "a"), report.Languages())
	data, err = report.SealNotice(n, r.proofs, r.asked, r.sign)
	keep("notice", data, err)
	return out
}

// TestExactlyWhoWasTouched: the patients of the stolen session and no others,
// by what became of each record; shares of two requests count together.
func TestExactlyWhoWasTouched(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	want := map[abaton.ActorID]report.Records{
		id("patient", "a"): {Opened: 3}, id("patient", "b"): {Opened: 3}, id("patient", "c"): {Opened: 3},
		id("patient", "d"): {Asked: 2}, id("patient", "e"): {Asked: 1},
	}
	if len(r.incident.Scope.Patients) != len(want) {
		t.Fatalf("got %d patients, want %d", len(r.incident.Scope.Patients), len(want))
	}
	for _, p := range r.incident.Scope.Patients {
		patient, err := abaton.ParseActorID(p.Patient)
		if err != nil || want[patient] != p.Records {
			t.Errorf("a patient: got %+v, want %+v", p.Records, want[patient])
		}
	}
	if r.incident.Scope.People != (report.People{Opened: 3, Asked: 2}) || !r.incident.Complete.Whole {
		t.Errorf("got %+v, whole %t; want three opened, two asked for, whole", r.incident.Scope.People, r.incident.Complete.Whole)
	}
	if r.incident.Scope.Directory != (report.Records{Opened: 2}) {
		t.Errorf("the organisation's own records: got %+v, want two opened, and no patient", r.incident.Scope.Directory)
	}
	if c := r.incident.Clocks; c.FirstRead == 0 || c.LastRead < c.FirstRead || c.Detected < c.LastRead {
		t.Errorf("got the times %+v, want them in order", c)
	}
}

// TestSharesGatheredByPieces: a thief who takes one keeper's part by each
// request opened the record as if by one.
func TestSharesGatheredByPieces(t *testing.T) {
	w := newWorld(t)
	for x := 1; x <= 3; x++ {
		w.enter(t, w.read("a", "stolen", x, 1, 0), x)
	}
	touched, _, _ := w.ask(t, 1, 2, 3, 4, 5)
	if opened, _, _ := touched.Patients[0].Counts(); opened != 1 {
		t.Errorf("got %d records opened, want one", opened)
	}
}

// TestWhoWithholdsIsNamed: with a keeper silent, what it may hide is said.
func TestWhoWithholdsIsNamed(t *testing.T) {
	for _, c := range []struct {
		keepers []int
		says    string
		people  report.People
	}{
		{[]int{1, 2, 3, 4}, "complete", report.People{Opened: 2, Close: 2, Asked: 1}},
		{[]int{1, 3, 5}, "complete unless one of these 3 lies", report.People{Close: 5}},
		{[]int{1, 2}, "incomplete", report.People{Close: 4}},
	} {
		r := newReported(t, nil, c.keepers...)
		if r.incident.Complete.Says != c.says || r.incident.Scope.People != c.people || len(r.incident.Complete.Faults) != 5-len(c.keepers) {
			t.Errorf("keepers %v: got %q, %+v, %d faults; want %q, %+v", c.keepers, r.incident.Complete.Says, r.incident.Scope.People,
				len(r.incident.Complete.Faults), c.says, c.people)
		}
	}
}

// TestFilesVerify: each file and each page holds, with nobody asked.
func TestFilesVerify(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 5)
	for name, data := range r.files(t) {
		s, err := report.Verify(data, &r.trust)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Organisation != r.org || s.Asker != r.org || len(s.Vouched) != 4 || s.Drill {
			t.Errorf("%s: got %+v, want what it is", name, s)
		}
	}
}

// TestEveryByteCounts: wherever a file or page is changed, it fails, and says
// what does not hold.
func TestEveryByteCounts(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4)
	for name, data := range r.files(t) {
		places := 150
		if strings.HasSuffix(name, "print") { // each is printed again
			places = 40
		}
		for at := 0; at < len(data); at += max(1, len(data)/places) {
			bad := bytes.Clone(data)
			bad[at] ^= 1
			_, err := report.Verify(bad, &r.trust)
			if _, is := errors.AsType[*report.HoldsError](err); !is {
				t.Fatalf("%s, byte %d changed: got %v, want what does not hold", name, at, err)
			}
		}
		for _, bad := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), ' '), append([]byte(" "), data...), nil} {
			if _, err := report.Verify(bad, &r.trust); err == nil {
				t.Errorf("%s: longer or shorter, and holds", name)
			}
		}
	}
}

// TestALieSignedAnew: whoever holds the organisation's own key cannot make the
// entries say something else.
func TestALieSignedAnew(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	must := func(data []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	lie := func(change func(*report.Incident)) []byte {
		b, err := json.Marshal(r.incident)
		if err != nil {
			t.Fatal(err)
		}
		i := new(report.Incident)
		if err := json.Unmarshal(b, i); err != nil {
			t.Fatal(err)
		}
		change(i)
		return must(report.SealIncident(i, r.proofs, r.asked, r.sign))
	}
	other := *r.asked
	other.Look.Session = id("session", "honest")
	n := report.NewNotice(r.incident, settings(), r.facts(), id("patient", "a"), report.Languages())
	n.Facts.Records.Opened--
	d := report.Fill(report.RuleFor("gdpr-33", r.now), r.incident, settings())
	d.Fields[14].Answer = "nothing"
	for name, data := range map[string][]byte{
		"a record fewer":    lie(func(i *report.Incident) { i.Scope.Records.Opened-- }),
		"a patient fewer":   lie(func(i *report.Incident) { i.Scope.Patients = i.Scope.Patients[1:] }),
		"another time":      lie(func(i *report.Incident) { i.Clocks.FirstRead++ }),
		"a later deadline":  lie(func(i *report.Incident) { i.Regimes[0].Steps[0].Due += 3600 }),
		"more complete":     lie(func(i *report.Incident) { i.Complete.Keepers = i.Complete.Keepers[1:] }),
		"a sealed record":   lie(func(i *report.Incident) { i.Encrypted.Sealed++ }),
		"another subject":   lie(func(i *report.Incident) { i.Subject.Roles = nil }),
		"other statistics":  lie(func(i *report.Incident) { i.Counts.Records++ }),
		"a notice's record": must(report.SealNotice(n, r.proofs, r.asked, r.sign)),
		"a draft's field":   must(report.SealDraft(d, r.proofs, r.asked, r.sign)),
		"another question":  must(report.SealIncident(r.incident, r.proofs, &other, r.sign)),
		"another key":       must(report.SealIncident(r.incident, r.proofs, r.asked, testKey("thief"))),
	} {
		if _, err := report.Verify(data, &r.trust); err == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	// Keepers of another set prove nothing.
	strangers := newWorld(t).trust
	for x, k := range strangers.Keepers {
		k.Key = testKey("stranger").ID()
		strangers.Keepers[x] = k
	}
	if _, err := report.Verify(lie(func(*report.Incident) {}), &strangers); err == nil {
		t.Error("strangers' keys verify it")
	}
	if _, err := report.Verify(lie(func(*report.Incident) {}), &report.Trust{}); err == nil {
		t.Error("it holds for whoever trusts nobody")
	}
}

// TestADrillSaysSo: on every page, and in the signed part.
func TestADrillSaysSo(t *testing.T) {
	r := newReported(t, func(f *report.Facts) { f.Drill = true }, 1, 2, 3, 4, 5)
	for name, data := range r.files(t) {
		s, err := report.Verify(data, &r.trust)
		if err != nil || !s.Drill {
			t.Errorf("%s: got %+v, %v; want a drill", name, s, err)
		}
		if strings.HasSuffix(name, "page") && !bytes.Contains(data, []byte("DRILL – not to be sent. This is not real.")) {
			t.Errorf("%s does not say that it is a drill", name)
		}
	}
}

// TestDrafts: with the settings filled at least eight of ten fields are; without,
// nothing is invented, and what is missing is listed.
func TestDrafts(t *testing.T) {
	r := newReported(t, nil, 1, 2, 3, 4, 5)
	for _, a := range []string{"a", "b", "c", "d", "e"} {
		n := report.NewNotice(r.incident, settings(), r.facts(), id("patient", a), []string{"en"})
		r.incident.Notices = append(r.incident.Notices, report.Sent{Patient: n.Facts.Patient, File: "00", Post: n.Post})
	}
	for _, rule := range report.Rules() {
		full, empty := report.Fill(&rule, r.incident, settings()), report.Fill(&rule, r.incident, new(report.Settings))
		if full.Percent() < 80 {
			t.Errorf("%s: got %d %% filled, want 80", rule.ID, full.Percent())
		}
		if len(full.Missing) != full.Of-full.Filled || len(empty.Missing) <= len(full.Missing) {
			t.Errorf("%s: got %d and %d missing, want those that are not filled", rule.ID, len(full.Missing), len(empty.Missing))
		}
		for _, f := range full.Fields {
			if strings.Contains(f.Answer, r.incident.Scope.Patients[0].Patient) {
				t.Errorf("%s: field %s names a patient", rule.ID, f.ID)
			}
		}
	}
}

// TestOneKeeperVouchesForNobody: the word of as many keepers as may lie does not
// show who asked.
func TestOneKeeperVouchesForNobody(t *testing.T) {
	for _, c := range []struct {
		keepers []int
		holds   bool
	}{{[]int{1}, false}, {[]int{1, 2}, true}} {
		r := newReported(t, nil, c.keepers...)
		data, err := report.SealIncident(r.incident, r.proofs, r.asked, r.sign)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := report.Verify(data, &r.trust); (err == nil) != c.holds {
			t.Errorf("keepers %v: got %v, want holds %t", c.keepers, err, c.holds)
		}
	}
}
