package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// TestEmergencySetIsKeptCurrent: whoever can read nothing but the emergency line
// sees what an emergency needs, as it is now, and nothing that is kept apart.
func TestEmergencySetIsKeptCurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	subject := `,"subject":{"reference":"Patient/` + k.id + `"}`
	active := `{"resourceType":"Condition","clinicalStatus":{"coding":[{"code":"active"}]}` + subject + `}`
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Condition", active, nil)
	problem := idOf(resp)
	label := `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`
	resp, _ = k.c.want(http.StatusCreated, "POST", "/Condition", strings.Replace(active, subject, label+subject, 1), nil)
	apart := idOf(resp)
	resp, _ = k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	result := idOf(resp)

	reader := func() *caller {
		other, directory := k.clinician()
		return k.signIn(other, directory, k.share(k.patient, other, grant.Read, abaton.Category(fhir.Emergency.ID())))
	}
	c := reader()
	c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	c.want(http.StatusOK, "GET", "/Condition/"+problem, "", nil)
	c.want(http.StatusNotFound, "GET", "/Condition/"+apart, "", nil)
	c.want(http.StatusNotFound, "GET", "/Observation/"+result, "", nil)

	over := strings.Replace(strings.Replace(active, `"Condition"`, `"Condition","id":"`+problem+`"`, 1), "active", "resolved", 1)
	k.c.want(http.StatusOK, "PUT", "/Condition/"+problem, over, nil)
	if _, body := reader().want(http.StatusOK, "GET", "/Condition/"+problem, "", nil); !strings.Contains(string(body), "resolved") {
		t.Error("the set: got an earlier version, want the newest")
	}
	k.c.want(http.StatusOK, "PUT", "/Condition/"+problem, strings.Replace(over, subject, label+subject, 1), nil)
	reader().want(http.StatusGone, "GET", "/Condition/"+problem, "", nil)

	k.c.want(http.StatusNoContent, "DELETE", "/Observation/"+result, "", nil)
	reader().want(http.StatusNotFound, "GET", "/Observation/"+result, "", nil)
}

// TestEmergencySetIsThePatients: where the patient takes no deposits in that
// line, nothing is copied, and everything else goes on.
func TestEmergencySetIsThePatients(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t, fhir.Emergency)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Condition",
		`{"resourceType":"Condition","subject":{"reference":"Patient/`+k.id+`"}}`, nil)
	k.c.want(http.StatusOK, "GET", "/Condition/"+idOf(resp), "", nil)
}
