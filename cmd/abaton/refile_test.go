package main

import (
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/ledger"
)

// TestCopyFor: a copy names the right patient alone, and nothing else of the
// wrong one's; what stays keeps its bytes.
func TestCopyFor(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		left       []string
	}{
		"plain": {`{"resourceType":"Observation","id":"x","status":"final","subject":{"reference":"Patient/a"},"valueQuantity":{"value":1.50}}`,
			`{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/b"},"valueQuantity":{"value":1.50}}`, nil},
		"an encounter of the other": {`{"resourceType":"Observation","id":"x","status":"final","subject":{"reference":"Patient/a"},"encounter":{"reference":"Encounter/e"},"performer":[{"reference":"Practitioner/p"}]}`,
			`{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/b"},"performer":[{"reference":"Practitioner/p"}]}`, []string{"encounter"}},
		"deep, and a narrative": {`{"resourceType":"Condition","id":"x","text":{"status":"generated","div":"<div>A</div>"},"subject":{"reference":"Patient/a"},"evidence":[{"detail":[{"reference":"Observation/o"}]}]}`,
			`{"resourceType":"Condition","subject":{"reference":"Patient/b"}}`, []string{"evidence"}},
	} {
		r, err := fhir.ParseResource([]byte(c.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, left, err := copyFor(r, "a", "b")
		if err != nil || string(got) != c.want || !slices.Equal(left, c.left) {
			t.Errorf("%s: got %s without %v, %v; want %s without %v", name, got, left, err, c.want, c.left)
		}
	}
}

// TestEnteredInError: each type is taken back as its definition has it.
func TestEnteredInError(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		ok         bool
	}{
		"a status": {`{"resourceType":"Observation","status":"final"}`, `{"resourceType":"Observation","status":"entered-in-error"}`, true},
		"a Condition": {`{"resourceType":"Condition","clinicalStatus":{"text":"active"},"subject":{"reference":"Patient/a"}}`,
			`{"resourceType":"Condition","subject":{"reference":"Patient/a"},"verificationStatus":{"coding":[{"code":"entered-in-error","system":"http://terminology.hl7.org/CodeSystem/condition-ver-status"}]}}`, true},
		"no such status": {`{"resourceType":"MeasureReport","status":"complete"}`, "", false},
		"no status":      {`{"resourceType":"Basic","code":{"text":"x"}}`, "", false},
	} {
		r, err := fhir.ParseResource([]byte(c.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, ok, err := enteredInError(r); err != nil || ok != c.ok || string(got) != c.want {
			t.Errorf("%s: got %s, %v, %v; want %s, %v", name, got, ok, err, c.want, c.ok)
		}
	}
}

// TestRowsOf: what is erased of a batch takes its index with it.
func TestRowsOf(t *testing.T) {
	a, b := abaton.BatchName{1}, abaton.BatchName{2}
	got := rowsOf([]abaton.RecordName{{Batch: a, Index: 3}, {Batch: b, Index: 0}, {Batch: a, Index: 5}})
	if want := []client.Row{{Batch: a, Records: 1 | 1<<3 | 1<<5}, {Batch: b, Records: 1}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestGives: only a release of one of the versions counts as a reading of it.
func TestGives(t *testing.T) {
	versions := []abaton.RecordName{{Batch: abaton.BatchName{1}, Index: 3}}
	for name, c := range map[string]struct {
		line ledger.Line
		want bool
	}{
		"released":       {ledger.Line{Op: ledger.OpRelease, Rows: []ledger.LineRow{{Batch: abaton.BatchName{1}, Released: 1 << 3}}}, true},
		"another record": {ledger.Line{Op: ledger.OpRelease, Rows: []ledger.LineRow{{Batch: abaton.BatchName{1}, Released: 1 << 4}}}, false},
		"another batch":  {ledger.Line{Op: ledger.OpRelease, Rows: []ledger.LineRow{{Batch: abaton.BatchName{2}, Released: 1 << 3}}}, false},
		"refused":        {ledger.Line{Op: ledger.OpRelease, Rows: []ledger.LineRow{{Batch: abaton.BatchName{1}, Refused: 1 << 3}}}, false},
		"a list":         {ledger.Line{Op: ledger.OpHistory, Rows: []ledger.LineRow{{Batch: abaton.BatchName{1}, Released: 1 << 3}}}, false},
	} {
		if got := gives(&c.line, versions); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
