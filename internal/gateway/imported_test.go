package gateway

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/grant"
)

// TestImportsKeepNoWhiteSpace: the same resource printed otherwise is the same
// import, and only an import loses its white space.
func TestImportsKeepNoWhiteSpace(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient()
	c := w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, allCategories()...))
	created, _ := c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	at := placeWritten(created)
	const small = `"code":{"text":"a  b"},"valueQuantity":{"value":1.50}`
	printed := `{ "resourceType" : "Observation", "status":"final",` + "\n\t" + `"subject":{"reference":"` + at + `"},` + strings.ReplaceAll(small, ":{", ": {\n ") + "}"

	in := c.with(headerImport, "true")
	first, _ := in.want(http.StatusCreated, "POST", "/Observation", printed, nil)
	again, _ := in.want(http.StatusOK, "POST", "/Observation", strings.ReplaceAll(printed, "\n", " "), nil)
	if a, b := placeWritten(first), placeWritten(again); a != b {
		t.Errorf("printed otherwise: got %s, want %s again", b, a)
	}
	if _, kept := c.want(http.StatusOK, "GET", "/"+placeWritten(first), "", nil); !bytes.Contains(kept, []byte(small)) || bytes.Contains(kept, []byte("\n")) {
		t.Error("import: white space between values was kept, or something else was lost")
	}
	exact, _ := c.want(http.StatusCreated, "POST", "/Observation", printed, nil)
	if _, kept := c.want(http.StatusOK, "GET", "/"+placeWritten(exact), "", nil); !bytes.Contains(kept, []byte(": {\n \"text\"")) {
		t.Error("no import: the body was not kept to the byte")
	}
	in.want(http.StatusBadRequest, "POST", "/Observation", printed+"]", nil)
}

// placeWritten is Type/id of what an answer says was written.
func placeWritten(r *http.Response) string {
	parts := strings.Split(r.Header.Get("Location"), "/")
	for i, p := range parts {
		if p == "_history" && i >= 2 {
			return parts[i-2] + "/" + parts[i-1]
		}
	}
	return ""
}
