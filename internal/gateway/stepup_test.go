package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// A grant of everything, a part of level 3 included, shows no less than one
// without that part; what is left out is said.
func TestLevelThreePartIsLeftOutAndNamed(t *testing.T) {
	w := newWorld(t)
	w.stepUp = fhir.PsychotherapyNotes.ID()
	doctor, directory := w.clinician()
	patient := w.patient()
	c := w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, allCategories()...))
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

	only := w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, fhir.PsychotherapyNotes.ID()))
	only.want(http.StatusForbidden, "GET", "/Patient/"+id+"/$everything", "", nil)
}

func TestNothingWithheldIsNotNamed(t *testing.T) {
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusOK, "GET", "/Patient/"+k.id+"/$everything", "", nil)
	if got := resp.Header.Get("Warning"); got != "" {
		t.Errorf("Warning: got %q, want none", got)
	}
}
