package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/session"
)

// unshielded are the categories that are not shielded.
func unshielded() []abaton.Category {
	return slices.DeleteFunc(allCategories(), func(c abaton.Category) bool { return c == fhir.PsychotherapyNotes.ID() })
}

// Who was given a part of level 3 too sees no less than who was not; what is
// left out is said.
func TestLevelThreePartIsLeftOutAndNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	w.stepUp = fhir.PsychotherapyNotes.ID()
	doctor, directory := w.clinician()
	patient := w.patient()
	c := w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, unshielded()...),
		w.entrust(patient, doctor))
	resp, _ := c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	id := idOf(resp)
	for _, path := range []string{"/Patient/" + id + "/$everything", "/Patient?_id=" + id, "/Observation?patient=" + id} {
		resp, _ := c.want(http.StatusOK, "GET", path, "", nil)
		if got := resp.Header.Get("Warning"); !strings.Contains(got, "not shown") {
			t.Errorf("%s: got Warning %q, want one that says a part is not shown", strings.ReplaceAll(path, id, "[id]"), got)
		}
	}
	c.want(http.StatusOK, "GET", "/Patient/"+id, "", nil)

	// An id of the client's choice may be in use in the part that is not open.
	note := `{"resourceType":"Observation","id":"chosen-1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + id + `"}}`
	c.want(http.StatusForbidden, "PUT", "/Observation/chosen-1", note, nil)

	only := w.signIn(doctor, directory, w.entrust(patient, doctor))
	only.want(http.StatusForbidden, "GET", "/Patient/"+id+"/$everything", "", nil)
}

func TestNothingWithheldIsNotNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusOK, "GET", "/Patient/"+k.id+"/$everything", "", nil)
	if got := resp.Header.Get("Warning"); got != "" {
		t.Errorf("Warning: got %q, want none", got)
	}
}

// entrust gives a person the notes: alone, and for treatment.
func (w *world) entrust(from, to *device) session.Bundle {
	w.t.Helper()
	g, seeds := from.grant(to.id, grant.Read, fhir.PsychotherapyNotes.ID())
	g.Purposes = []abaton.Purpose{abaton.Treatment}
	id, p, err := w.net.Share(w.t.Context(), client.KeyHand(from.id, from.signing), g, seeds)
	if err != nil || !p.InForce {
		w.t.Fatalf("entrust: in force %v, %v", p.InForce, err)
	}
	return session.Bundle{Patient: from.id, Grant: id, Seeds: seeds}
}
