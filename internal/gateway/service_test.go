package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
)

// agent enrols a program of the organisation, with what it needs to file.
func (w *world) agent() (*device, []session.Bundle) {
	w.t.Helper()
	d := w.device(actor.Agent)
	w.enlist(d, abaton.RoleIntake, steward)
	drop := w.share(w.org, d, grant.Deposit, login.QuarantineCategory())
	for i := range drop.Seeds {
		drop.Seeds[i].Seed = key.Secret{} // a deposit grant tells the line alone
	}
	return d, []session.Bundle{w.share(w.org, d, grant.Read, login.DirectoryCategory()), drop}
}

// serve signs the agent in and gives its service.
func (w *world) serve(d *device, bundles ...session.Bundle) *Service {
	w.t.Helper()
	w.signIn(d, bundles...)
	s, err := w.gateway.Service(d.id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// numbered is a patient with a Patient of this record number, written by a
// doctor; bundle is what the agent may read of it.
func (w *world) numbered(doctor *device, directory session.Bundle, agent *device, number string) (p *device, c *caller, lent session.Bundle) {
	w.t.Helper()
	p = w.patient()
	c = w.signIn(doctor, directory, w.share(p, doctor, grant.Read, allCategories()...))
	c.with(headerPatient, p.id.String()).want(http.StatusCreated, "POST", "/Patient",
		fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"http://mrn.example","value":%q}],"birthDate":"1980-01-02","extension":[{"url":"urn:kept","valueDecimal":1.50}]}`, number), nil)
	return p, c, w.share(p, agent, grant.Read, allCategories()...)
}

func visitBundle(number, status string, n int) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012x","resource":{"resourceType":"Encounter","identifier":[{"system":"urn:v","value":"V1"}],"status":%q,"class":{"code":"IMP"},"subject":{"reference":"Patient?identifier=http%%3A%%2F%%2Fmrn.example%%7C%s"}},"request":{"method":"PUT","url":"Encounter?identifier=urn%%3Av%%7CV1"}},
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012x","resource":{"resourceType":"Provenance","target":[{"reference":"urn:uuid:00000000-0000-4000-8000-%012x"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]},"request":{"method":"POST","url":"Provenance"}}]}`,
		2*n, status, number, 2*n+1, 2*n)
}

func provenanceURL(n int) string { return fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012x", 2*n+1) }

func TestServiceFilesOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, bundles := w.agent()
	patient, c, lent := w.numbered(doctor, directory, agent, "m1")
	s := w.serve(agent, append(bundles, lent)...)
	who, birth, err := s.FindPatient(t.Context(), []fhir.Code{{System: "http://mrn.example", Value: "m1"}})
	if err != nil || who != patient.id || birth != "1980-01-02" {
		t.Fatalf("find: got %v, %s, %v", who, birth, err)
	}
	if known, err := s.Known(t.Context(), who, "Provenance", provenanceURL(1)); err != nil || known {
		t.Fatalf("known before: got %v, %v", known, err)
	}
	done, err := s.Transact(t.Context(), who, visitBundle("m1", "planned", 1), visitBundle("m1", "in-progress", 2))
	if err != nil || done.Pending || len(done.Batches) == 0 {
		t.Fatalf("transact: got %+v, %v", done, err)
	}
	if durable, refused := w.gateway.Settled(done.Batches...); !durable || refused != "" {
		t.Errorf("settled: got %v, %q, want durable", durable, refused)
	}
	again, err := s.Transact(t.Context(), who, visitBundle("m1", "in-progress", 2))
	if err != nil || len(again.Batches) != 0 {
		t.Errorf("the same again: got %+v, %v, want nothing written", again, err)
	}
	for name, s := range map[string]*Service{"this session": s, "a new one": w.serve(agent, append(bundles, lent)...)} {
		if known, err := s.Known(t.Context(), who, "Provenance", provenanceURL(2)); err != nil || !known {
			t.Errorf("known to %s: got %v, %v, want known", name, known, err)
		}
	}
	if _, err := s.Transact(t.Context(), who, visitBundle("m1", "finished", 3)); err != nil {
		t.Fatal(err)
	}
	id := c.patientID(patient)
	var found struct {
		Entry []struct{ Resource struct{ ID, Status string } }
	}
	resp, _ := c.want(http.StatusOK, "GET", "/Encounter?patient="+id+"&identifier=urn%3Av%7CV1", "", &found)
	if len(found.Entry) != 1 || found.Entry[0].Resource.Status != "finished" || resp.Header.Get("Warning") != "" {
		t.Fatalf("found %d visits, want one, finished", len(found.Entry))
	}
	var history struct{ Total int }
	c.want(http.StatusOK, "GET", "/Encounter/"+found.Entry[0].Resource.ID+"/_history", "", &history)
	if history.Total != 3 {
		t.Errorf("versions: got %d, want 3: planned, in progress, finished", history.Total)
	}
}

// patientID is the FHIR id of a patient's Patient.
func (c *caller) patientID(p *device) string {
	c.w.t.Helper()
	var b struct {
		Entry []struct{ Resource struct{ ID string } }
	}
	c.with(headerPatient, p.id.String()).want(http.StatusOK, "GET", "/Patient", "", &b)
	if len(b.Entry) != 1 {
		c.w.t.Fatalf("Patients: got %d, want 1", len(b.Entry))
	}
	return b.Entry[0].Resource.ID
}

// TestServiceKeepsWhatAMessageDoesNotKnow: an update writes over what it says
// and leaves the rest.
func TestServiceKeepsWhatAMessageDoesNotKnow(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, bundles := w.agent()
	patient, c, lent := w.numbered(doctor, directory, agent, "m1")
	s := w.serve(agent, append(bundles, lent)...)
	update := `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","identifier":[{"system":"http://mrn.example","value":"m1"},{"system":"http://other.example","value":"o1"}],"gender":"female"},"request":{"method":"PUT","url":"Patient?identifier=http%3A%2F%2Fmrn.example%7Cm1"}}]}`
	if _, err := s.Transact(t.Context(), patient.id, []byte(update)); err != nil {
		t.Fatal(err)
	}
	_, body := c.want(http.StatusOK, "GET", "/Patient/"+c.patientID(patient), "", nil)
	for _, want := range []string{`"valueDecimal":1.50`, `"gender":"female"`, `"o1"`, `"m1"`, `1980-01-02`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the Patient lacks %s", want)
		}
	}
	if done, err := s.Transact(t.Context(), patient.id, []byte(update)); err != nil || len(done.Batches) != 0 {
		t.Errorf("nothing new: got %+v, %v, want nothing written", done, err)
	}
	if who, _, err := s.FindPatient(t.Context(), []fhir.Code{{System: "http://other.example", Value: "o1"}}); err == nil && who != patient.id {
		t.Error("found somebody else")
	}
	s.Changed(patient.id)
	if who, _, err := s.FindPatient(t.Context(), []fhir.Code{{System: "http://other.example", Value: "o1"}}); err != nil || who != patient.id {
		t.Errorf("by the new number: got %v", err)
	}
}

func TestServiceFindsNobodyElse(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, bundles := w.agent()
	one, c, lent1 := w.numbered(doctor, directory, agent, "m1")
	_, _, lent2 := w.numbered(doctor, directory, agent, "m2")
	_, _, _ = w.numbered(doctor, directory, agent, "m3") // whose seeds are not lent
	s := w.serve(agent, append(bundles, lent1, lent2)...)
	code := func(values ...string) (codes []fhir.Code) {
		for _, v := range values {
			codes = append(codes, fhir.Code{System: "http://mrn.example", Value: v})
		}
		return codes
	}
	for name, c := range map[string]struct {
		codes []fhir.Code
		want  error
	}{
		"one of two numbers": {code("x", "m1"), nil}, "two people": {code("m1", "m2"), ErrSeveral}, "nobody": {code("x"), abaton.ErrNotFound},
		"not lent": {code("m3"), abaton.ErrNotFound}, "no system": {[]fhir.Code{{Value: "m1"}}, abaton.ErrNotFound}, "nothing": {nil, abaton.ErrNotFound},
	} {
		if _, _, err := s.FindPatient(t.Context(), c.codes); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	// A number taken away from the chart does not lead there any more.
	id := c.patientID(one)
	c.want(http.StatusOK, "PUT", "/Patient/"+id, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"identifier":[{"system":"http://mrn.example","value":"m9"}]}`, id), nil)
	if _, _, err := s.FindPatient(t.Context(), code("m1")); !errors.Is(err, abaton.ErrNotFound) {
		t.Errorf("by a number that was taken away: got %v, want not found", err)
	}
	if who, _, err := s.FindPatient(t.Context(), code("m9")); err != nil || who != one.id {
		t.Errorf("by the new number: got %v", err)
	}
}

func TestServiceEndsWithItsSession(t *testing.T) {
	w := newWorld(t)
	agent, bundles := w.agent()
	doctor, _ := w.clinician()
	w.serve(agent, bundles...)
	for name, id := range map[string]abaton.ActorID{"nobody": {}, "not signed in": doctor.id} {
		if _, err := w.gateway.Service(id); !errors.Is(err, abaton.ErrNotFound) {
			t.Errorf("%s: got %v, want not found", name, err)
		}
	}
	w.clock.advance(2 * time.Hour)
	if _, err := w.gateway.Service(agent.id); !errors.Is(err, abaton.ErrNotFound) {
		t.Errorf("after its end: got %v, want not found", err)
	}
}

// TestServiceWritesAllOrNothing: one Bundle that is refused keeps the others
// out.
func TestServiceWritesAllOrNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, bundles := w.agent()
	patient, _, lent := w.numbered(doctor, directory, agent, "m1")
	other := w.patient()
	s := w.serve(agent, append(bundles, lent)...)
	for name, bad := range map[string]string{
		"a delete":          `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/x"}}]}`,
		"another patient's": `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:00000000-0000-4000-8000-00000000000a","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/someone-else"}},"request":{"method":"POST","url":"Observation"}}]}`,
		"nobody's":          `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:00000000-0000-4000-8000-00000000000b","resource":{"resourceType":"Organization"},"request":{"method":"POST","url":"Organization"}}]}`,
		"without a name":    `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Basic","code":{"text":"x"},"subject":{"reference":"Patient?identifier=x"}},"request":{"method":"POST","url":"Basic"}}]}`,
		"a batch":           `{"resourceType":"Bundle","type":"searchset"}`,
		"no JSON":           `{`,
	} {
		if _, err := s.Transact(t.Context(), patient.id, visitBundle("m1", "planned", 7), []byte(bad)); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if known, err := s.Known(t.Context(), patient.id, "Provenance", provenanceURL(7)); err != nil || known {
			t.Errorf("%s: the good Bundle beside it: known %v, %v, want not written", name, known, err)
		}
	}
	if _, err := s.Transact(t.Context(), other.id, visitBundle("m1", "planned", 8)); !errors.Is(err, abaton.ErrNotFound) {
		t.Errorf("a patient who lent nothing: got %v, want not found", err)
	}
}

// quarantined opens the quarantine with these seeds, from the keepers.
func (w *world) quarantined(who *device, b session.Bundle) []client.Record {
	w.t.Helper()
	p := w.personSignedIn(who, b)
	var lines []abaton.Line
	for _, s := range b.Seeds {
		lines = append(lines, s.Line)
	}
	chart, err := p.reader.Chart(w.t.Context(), client.Ask{Patient: w.org.id, Grant: b.Grant, Purpose: abaton.Operations, Lines: lines})
	if err != nil {
		w.t.Fatal(err)
	}
	return chart.Records
}

// personOf is somebody's session in the gateway.
func (w *world) personOf(d *device) (found *person) {
	w.gateway.sessions.each(func(p *person) {
		if p.actor == d.id {
			found = p
		}
	})
	return found
}

// TestQuarantineIsForItsReadersAlone: the service that writes there cannot
// read it, nor can who reads the directory; who was given it can.
func TestQuarantineIsForItsReadersAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	agent, bundles := w.agent()
	s := w.serve(agent, bundles...)
	content := []byte(`{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"title":"Secret"}}]}`)
	aside := Aside{Key: [32]byte{1}, Type: "DocumentReference", Content: content}
	for range 2 {
		done, err := s.SetAside(t.Context(), aside, Aside{Key: [32]byte{2}, Type: "DocumentReference", Content: content})
		if err != nil || done.Pending {
			t.Fatalf("set aside: got %+v, %v", done, err)
		}
	}
	doctor, directory := w.clinician()
	officer, _ := w.clinician()
	line := w.org.root.Line(login.QuarantineCategory())
	for name, p := range map[string]*person{"the service": s.p, "a doctor": w.personSignedIn(doctor, directory)} {
		asking, err := p.asks(t.Context(), w.gateway.network, w.org.id, "", w.clock.now())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range asking.asks {
			if slices.Contains(a.Lines, line) {
				t.Errorf("%s asks for the quarantine", name)
			}
		}
		_, err = p.reader.List(t.Context(), client.Ask{Patient: w.org.id, Grant: asking.asks[0].Grant, Purpose: asking.asks[0].Purpose, Lines: []abaton.Line{line}})
		if _, refused := errors.AsType[*abaton.RefusedError](err); !refused {
			t.Errorf("%s lists the quarantine: got %v, want a refusal", name, err)
		}
	}
	opened := w.quarantined(officer, w.share(w.org, officer, grant.Read, login.QuarantineCategory()))
	versions := make(map[string]bool)
	for _, r := range opened {
		if r.Envelope.Kind == seal.KindResource && string(r.Content) == string(content) {
			versions[r.Envelope.ID+r.Envelope.VersionID] = true
		}
	}
	if len(versions) != 2 {
		t.Errorf("its reader: got %d messages, want 2, however often they were set aside", len(versions))
	}
}

func (w *world) personSignedIn(d *device, bundles ...session.Bundle) *person {
	w.signIn(d, bundles...)
	return w.personOf(d)
}

// TestSetAsideNeedsTheLine: a session that was not lent the quarantine's line
// sets nothing aside.
func TestSetAsideNeedsTheLine(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	agent, bundles := w.agent()
	s := w.serve(agent, bundles[0])
	_, err := s.SetAside(t.Context(), Aside{Key: [32]byte{1}, Type: "DocumentReference", Content: []byte(`{"resourceType":"DocumentReference"}`)})
	if o, ok := errors.AsType[*fhir.OutcomeError](err); !ok || o.Status != http.StatusForbidden {
		t.Errorf("got %v, want 403", err)
	}
}

// TestSetAsideIsTakenOffTheList: what was filed since has a deletion over it.
func TestSetAsideIsTakenOffTheList(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	agent, bundles := w.agent()
	s := w.serve(agent, bundles...)
	officer, _ := w.clinician()
	content := []byte(`{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"title":"x"}}]}`)
	for _, a := range []Aside{{Key: [32]byte{1}, Type: "DocumentReference", Content: content}, {Key: [32]byte{1}, Type: "DocumentReference", Resolved: true}} {
		if _, err := s.SetAside(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	parents, deleted := "", ""
	for _, r := range w.quarantined(officer, w.share(w.org, officer, grant.Read, login.QuarantineCategory())) {
		if r.Envelope.Deleted {
			deleted = r.Envelope.Parents[0]
		} else {
			parents = r.Envelope.VersionID
		}
	}
	if deleted == "" || deleted != parents {
		t.Errorf("the deletion stands over %q, want %q", deleted, parents)
	}
}

// TestServiceGuessesNoVisit: a condition that finds two is refused, and
// nothing is written.
func TestServiceGuessesNoVisit(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, bundles := w.agent()
	patient, c, lent := w.numbered(doctor, directory, agent, "m1")
	id := c.patientID(patient)
	for range 2 {
		c.want(http.StatusCreated, "POST", "/Encounter", fmt.Sprintf(`{"resourceType":"Encounter","identifier":[{"system":"urn:v","value":"V1"}],"status":"planned","class":{"code":"IMP"},"subject":{"reference":"Patient/%s"}}`, id), nil)
	}
	_, err := w.serve(agent, append(bundles, lent)...).Transact(t.Context(), patient.id, visitBundle("m1", "planned", 1))
	if o, ok := errors.AsType[*fhir.OutcomeError](err); !ok || o.Status != http.StatusPreconditionFailed {
		t.Errorf("got %v, want 412", err)
	}
}

// TestWrittenTwiceIsOneVersion: what has a source is the same version each
// time it is planned, so that a crash between writing and knowing makes no
// fork; what has none is not.
func TestWrittenTwiceIsOneVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, bundles := w.agent()
	patient, _, lent := w.numbered(doctor, directory, agent, "m1")
	s := w.serve(agent, append(bundles, lent)...)
	chart, err := w.gateway.chartOf(t.Context(), s.p, patient.id, "", false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.ParseResource([]byte(`{"resourceType":"Basic","code":{"text":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	version := func(source []byte) string {
		sc := w.gateway.newScope(&call{person: s.p, patient: patient.id})
		p, err := sc.write(t.Context(), chart, r, "x", nil, source, http.StatusCreated)
		if err != nil {
			t.Fatal(err)
		}
		return p.version.VersionID
	}
	source := make([]byte, seal.SourceBytes)
	if one, two := version(source), version(source); one != two {
		t.Errorf("with a source: got %s and %s, want one version", one, two)
	}
	if one, two := version(nil), version(nil); one == two {
		t.Error("without a source: got one version twice")
	}
}
