package gateway

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// touch is the doctor's step-up over the notes of a patient.
func touch(t *testing.T, c *caller, d *device, patient *device) {
	t.Helper()
	u := session.StepUp{V: wire.Version, Session: sessionOf(t, c), Patient: patient.id, Purpose: abaton.Treatment,
		Lines: []abaton.Line{patient.root.Line(fhir.PsychotherapyNotes.ID())}, Time: time.Now().Unix(), Nonce: [16]byte{1}}
	a, err := d.passkey.Assert(u.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	c.want(http.StatusNoContent, "POST", "/portal/step-up",
		jsonText(t, steppedUp{StepUp: login.Encode((&session.SignedStepUp{StepUp: u, Assertion: *a}).Marshal())}), nil)
}

// H19: the notes of a psychotherapy open for whoever was given them alone, by a
// touch and by name, and stand in no list of everything and in no export.
func TestNotesStandInNoList(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	w.stepUp = fhir.PsychotherapyNotes.ID()
	doctor, directory := w.clinician()
	nurse, nursesDirectory := w.clinician()
	ana := w.patient()
	chart, notes := w.share(ana, doctor, grant.Read, unshielded()...), w.entrust(ana, doctor)
	c := w.signIn(doctor, directory, chart, notes)
	colleague := w.signIn(nurse, nursesDirectory, w.share(ana, nurse, grant.Read, unshielded()...))
	resp, _ := c.with(headerPatient, ana.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	id := idOf(resp)
	touch(t, c, doctor, ana)
	resp, _ = c.want(http.StatusCreated, "POST", "/Practitioner", `{"resourceType":"Practitioner","name":[{"text":"named-in-the-note"}]}`, nil)
	by := idOf(resp)
	note := `{"resourceType":"Observation","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSYTHPN"}]},` +
		`"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + id + `"},` +
		`"performer":[{"reference":"Practitioner/` + by + `"}],"note":[{"text":"between-us"}]}`
	resp, _ = c.want(http.StatusCreated, "POST", "/Observation", note, nil)
	at := "/Observation/" + idOf(resp)
	// An update that says nothing of notes any more does not move it.
	c.want(http.StatusOK, "PUT", at, `{"resourceType":"Observation","id":"`+idOf(resp)+`","status":"final","code":{"text":"x"},`+
		`"subject":{"reference":"Patient/`+id+`"},"performer":[{"reference":"Practitioner/`+by+`"}],"note":[{"text":"between-us"}]}`, nil)

	holds := func(c *caller, path string, want bool) {
		t.Helper()
		if _, body := c.want(http.StatusOK, "GET", path, "", nil); bytes.Contains(body, []byte("between-us")) != want {
			t.Errorf("%.24s: got the note %v, want %v", path, !want, want)
		}
	}
	holds(c, at, true)
	holds(c, "/Observation?patient="+id, true)
	holds(c, "/Patient/"+id+"/$everything", false)
	if _, body := c.want(http.StatusOK, "GET", "/Patient/"+id+"/$everything", "", nil); bytes.Contains(body, []byte("named-in-the-note")) {
		t.Error("$everything: got whom the note names, want nothing of it")
	}
	for _, path := range []string{"/Patient/$export", "/Patient/$export?_type=Observation"} {
		resp, _ = c.bulk().want(http.StatusAccepted, "GET", path, "", nil)
		m, _ := c.finished(resp)
		if bytes.Contains(bytes.Join(c.lines(m), nil), []byte("between-us")) {
			t.Errorf("%s: got the note, want none", path)
		}
	}
	again := w.signIn(doctor, directory, chart, notes)
	again.want(http.StatusNotFound, "GET", at, "", nil) // not touched in this session
	colleague.want(http.StatusNotFound, "GET", at, "", nil)
	holds(colleague, "/Observation?patient="+id, false)
	holds(colleague, "/Patient/"+id+"/$everything", false)
}
