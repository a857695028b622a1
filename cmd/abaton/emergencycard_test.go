package main

import (
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// cardRecord is an opened emergency set with these resources, each named by its
// type.
func cardRecord(t *testing.T, bodies map[string]string) *ownRecord {
	t.Helper()
	r := newOwnRecord()
	for kind, body := range bodies {
		v := fhir.Version{Type: kind, ID: "x", VersionID: "1", LastUpdated: time.Unix(1, 0), Body: []byte(body)}
		if err := r.chart.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestCard: a card that would lack something is none, and what a record says is
// text on the page, whatever it says.
func TestCard(t *testing.T) {
	bodies := map[string]string{
		"Patient":            `{"resourceType":"Patient","id":"x","name":[{"text":"<b>Greta</b>"}]}`,
		"AllergyIntolerance": `{"resourceType":"AllergyIntolerance","id":"x","code":{"text":"<script>nuts</script>"},"patient":{"reference":"Patient/x"}}`,
	}
	c, err := newCard(cardRecord(t, bodies), "act1example", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	page, err := cardPage(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"&lt;script&gt;nuts", "&lt;b&gt;Greta", "none known", "<svg", "act1example"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(page), "<script") || strings.Contains(string(page), "<b>") {
		t.Error("the page holds markup from the record")
	}
	for name, change := range map[string]func(*ownRecord){
		"one could not be opened":  func(r *ownRecord) { r.missing = 1 },
		"a write is not yet whole": func(r *ownRecord) { r.hidden = 1 },
		"nobody's: it has no person": func(r *ownRecord) {
			*r = *cardRecord(t, map[string]string{"AllergyIntolerance": bodies["AllergyIntolerance"]})
		},
	} {
		r := cardRecord(t, bodies)
		change(r)
		if _, err := newCard(r, "act1example", time.Unix(1, 0)); err == nil {
			t.Errorf("%s: got a card, want none", name)
		}
	}
}
