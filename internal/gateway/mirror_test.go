package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
	"github.com/abaton-health/abaton/session"
)

// listed is a searchset as these tests read it.
type listed struct {
	Total int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		Resource json.RawMessage
		Search   struct{ Mode string }
	}
}

func (l *listed) ids() (all []string) {
	for _, e := range l.Entry {
		var r struct{ ID string }
		json.Unmarshal(e.Resource, &r)
		all = append(all, r.ID)
	}
	return all
}

// own is the patient signed in with all of the own record.
func (k *clinic) own() *caller {
	k.t.Helper()
	_, seeds := k.patient.grant(k.doctor.id, grant.Read, allCategories()...)
	return k.signIn(k.patient, session.Bundle{Patient: k.patient.id, Seeds: seeds})
}

func TestGrantsAsConsent(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	other, directory := k.clinician()
	part := k.share(k.patient, other, grant.Read, fhir.General.ID())
	o, me := k.signIn(other, directory, part), k.own()
	var l listed
	me.want(http.StatusOK, "GET", "/Consent?patient="+k.id, "", &l)
	if l.Total != 3 { // the organisation's deposit grant, the doctor's, the other's
		t.Fatalf("the patient sees %d grants, want 3: %s", l.Total, l.ids())
	}
	k.c.want(http.StatusOK, "GET", "/Consent?patient="+k.id, "", &l)
	mine := l.ids()
	if l.Total != 1 || bytes.Contains(l.Entry[0].Resource, []byte(other.id.String())) || !bytes.Contains(l.Entry[0].Resource, []byte(`"reference":"Patient/`+k.id+`"`)) {
		t.Errorf("a clinician sees %v, want the own grant alone", l.ids())
	}
	path := "/Consent/" + view.ConsentID(part.Grant)
	resp, got := o.want(http.StatusOK, "GET", path, "", nil)
	if !bytes.Contains(got, []byte(`"status":"active"`)) || !bytes.Contains(got, []byte(`"general"`)) || bytes.Contains(got, []byte(`"psychiatric"`)) {
		t.Errorf("grant as Consent: got %s", got)
	}
	o.with("If-None-Match", resp.Header.Get("ETag")).want(http.StatusNotModified, "GET", path, "", nil)
	o.want(http.StatusOK, "GET", path+"/_history", "", nil)
	k.c.want(http.StatusNotFound, "GET", path, "", nil) // another's grant, of the same patient
	me.want(http.StatusOK, "GET", path, "", nil)
	_, none := k.c.want(http.StatusNotFound, "GET", "/Consent/"+view.ConsentID([32]byte{1}), "", nil)
	if _, absent := k.c.want(http.StatusNotFound, "GET", path, "", nil); !bytes.Equal(none, absent) {
		t.Errorf("not mine %s, not there %s: want them alike", absent, none)
	}
	if p, err := k.net.Revoke(t.Context(), client.KeyHand(k.patient.id, k.patient.signing), part.Grant, false); err != nil || !p.InForce {
		t.Fatalf("revoke: %v", err)
	}
	k.gateway.network.Refresh(k.patient.id)
	me.want(http.StatusOK, "GET", "/Consent?patient="+k.id+"&status=inactive", "", &l)
	if l.Total != 1 || l.ids()[0] != view.ConsentID(part.Grant) {
		t.Errorf("inactive: got %v, want the grant taken back", l.ids())
	}
	for _, c := range []struct{ query, ids string }{
		{"status=active,inactive&date=ge2020", "3"}, {"date=lt2020", "0"}, {"_id=" + mine[0], "1"}, {"_count=1", "3"}, {"status=proposed", "0"},
	} {
		me.want(http.StatusOK, "GET", "/Consent?patient="+k.id+"&"+c.query, "", &l)
		if got := string(rune('0' + l.Total)); got != c.ids {
			t.Errorf("%s: got %s, want %s", c.query, got, c.ids)
		}
	}
	if n := len(me.pages("/Consent?patient=" + k.id + "&_count=1")); n != 3 {
		t.Errorf("paged: got %d, want 3", n)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		body, status := "", http.StatusNotFound
		if method == "PUT" {
			body, status = `{"resourceType":"Consent","id":"`+mine[0]+`","patient":{"reference":"Patient/`+k.id+`"}}`, http.StatusUnprocessableEntity
		}
		k.c.want(status, method, "/Consent/"+mine[0], body, nil)
	}
	if _, all := me.want(http.StatusOK, "GET", "/Patient/"+k.id+"/$everything", "", nil); bytes.Contains(all, []byte("gra1")) {
		t.Errorf("$everything holds what nobody stored: %s", all)
	}
}

func TestStoredConsentIsExact(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	body := `{"resourceType":"Consent", "status":"active","patient":{"reference":"Patient/` + k.id + `"},"x-n":1.50}`
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Consent", body, nil)
	_, got := k.c.want(http.StatusOK, "GET", "/Consent/"+idOf(resp), "", nil)
	if same, err := fhir.Equal([]byte(body), got, nil); !same || err != nil {
		t.Errorf("stored: got %s", got)
	}
	var l listed
	k.c.want(http.StatusOK, "GET", "/Consent?patient="+k.id, "", &l)
	if l.Total != 2 {
		t.Errorf("stored and computed: got %d, want 2", l.Total)
	}
}

const proposed = `"status":"proposed","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}`

func TestAccessRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	other, directory := k.clinician()
	o := k.signIn(other, directory)
	name := `"patient":{"identifier":{"system":"urn:abaton:actor","value":"` + k.patient.id.String() + `"}}`
	ask := func(rest string) string { return `{"resourceType":"Consent",` + proposed + rest + `}` }
	resp, _ := o.want(http.StatusCreated, "POST", "/Consent", ask(`,`+name), nil)
	id := idOf(resp)
	o.want(http.StatusNotFound, "GET", "/Consent/"+id, "", nil)
	o.want(http.StatusNotFound, "GET", "/Patient/"+k.id, "", nil)
	o.with(headerPatient, k.patient.id.String()).want(http.StatusCreated, "POST", "/Consent", ask(""), nil)
	me := k.own()
	var l listed
	me.want(http.StatusOK, "GET", "/Consent?patient="+k.id+"&status=proposed", "", &l)
	if l.Total != 2 || !strings.Contains(strings.Join(l.ids(), " "), id) {
		t.Errorf("the patient sees %v, want both requests", l.ids())
	}
	k.c.want(http.StatusCreated, "POST", "/Consent", ask(`,"patient":{"reference":"Patient/`+k.id+`"}`), nil)

	_, unknown := o.with(headerPatient, "act1"+strings.Repeat("a", 52)).want(http.StatusUnprocessableEntity, "POST", "/Consent", ask(""), nil)
	_, noPatient := o.with(headerPatient, k.doctor.id.String()).want(http.StatusUnprocessableEntity, "POST", "/Consent", ask(""), nil)
	_, byID := o.want(http.StatusUnprocessableEntity, "POST", "/Consent", ask(`,"patient":{"reference":"Patient/`+k.id+`"}`), nil)
	_, noID := o.want(http.StatusUnprocessableEntity, "POST", "/Consent", ask(`,"patient":{"reference":"Patient/nobody"}`), nil)
	if !bytes.Equal(unknown, noPatient) || !bytes.Equal(byID, noID) || !bytes.Equal(unknown, byID) {
		t.Errorf("requests that reach nobody differ: %s %s %s %s", unknown, noPatient, byID, noID)
	}
	for _, bad := range []string{
		`,` + name + `,"provision":{"type":"deny"}`,
		`,` + name + `,"provision":{"actor":[{"reference":{"identifier":{"system":"urn:abaton:actor","value":"` + k.doctor.id.String() + `"}}}]}`,
		``,
	} {
		o.want(http.StatusUnprocessableEntity, "POST", "/Consent", ask(bad), nil)
	}
	o.with(headerPatient, k.org.id.String()).want(http.StatusUnprocessableEntity, "POST", "/Consent", ask(""), nil)
}

func TestAccessRequestNeedsARightToDeposit(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t, fhir.Psychiatric)
	other, directory := k.clinician()
	o := k.signIn(other, directory).with(headerPatient, k.patient.id.String())
	label := func(code string) string {
		return `{"resourceType":"Consent",` + proposed + `,"provision":{"securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"` + code + `"}]}}`
	}
	o.want(http.StatusUnprocessableEntity, "POST", "/Consent", label("PSY"), nil)
	o.want(http.StatusCreated, "POST", "/Consent", label("GDIS"), nil)
}

func TestDisclosuresAsAuditEvent(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id, _ := k.made("")
	k.c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
	again := k.signIn(k.doctor, k.share(k.patient, k.doctor, grant.Read, allCategories()...))
	again.want(http.StatusOK, "GET", "/Observation?patient="+k.id, "", nil)
	me := k.own()
	var l listed
	_, got := me.want(http.StatusOK, "GET", "/AuditEvent?patient="+k.id+"&_count=200", "", &l)
	if l.Total < 3 || !bytes.Contains(got, []byte(k.doctor.id.String())) || !bytes.Contains(got, []byte(`"Observation/`+id+`/_history/`)) {
		t.Errorf("the patient sees %d disclosures: %s", l.Total, got)
	}
	for _, want := range []string{"IHE.BasicAudit.PatientRead", "IHE.BasicAudit.PatientQuery", `"securityLabel":[{"system":"urn:abaton:category","code":"general"}]`, `"role":[{"coding":[{"system":"urn:abaton:role"`} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("the patient's list does not hold %s", want)
		}
	}
	first := l.ids()[0]
	me.want(http.StatusOK, "GET", "/AuditEvent/"+first, "", nil)
	me.want(http.StatusOK, "GET", "/AuditEvent?date=lt2020", "", &l) // the own record, without naming it
	if l.Total != 0 {
		t.Errorf("before there was anything: got %d", l.Total)
	}
	_, got = again.want(http.StatusOK, "GET", "/AuditEvent?patient="+k.id, "", &l)
	if l.Total != 1 || bytes.Contains(got, []byte(first)) || !bytes.Contains(got, []byte(k.doctor.id.String())) {
		t.Errorf("a clinician sees %s, want what the own session opened", got)
	}
	again.want(http.StatusOK, "GET", "/AuditEvent/"+l.ids()[0], "", nil)
	again.want(http.StatusNotFound, "GET", "/AuditEvent/"+first, "", nil)
	other, directory := k.clinician()
	o := k.signIn(other, directory)
	o.want(http.StatusNotFound, "GET", "/AuditEvent/"+first, "", nil)
	o.want(http.StatusOK, "GET", "/AuditEvent?patient="+k.id, "", &l)
	if l.Total != 0 {
		t.Errorf("without a grant: got %d", l.Total)
	}
}

func TestSignaturesAsProvenance(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id, first := k.made("")
	next := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	k.c.want(http.StatusOK, "PUT", "/Observation/"+id, next, nil)
	var l listed
	_, got := k.c.want(http.StatusOK, "GET", "/Provenance?target=Observation/"+id, "", &l)
	if l.Total != 2 || !bytes.Contains(got, []byte(k.org.writer.ID().String())) || !bytes.Contains(got, []byte(k.doctor.id.String())) {
		t.Errorf("provenance: got %s, want one for each version", got)
	}
	k.c.want(http.StatusOK, "GET", "/Provenance?target=Observation/"+id+"/_history/"+strings.Trim(first, `W/"`), "", &l)
	if l.Total != 1 {
		t.Errorf("of one version: got %d", l.Total)
	}
	_, mine := k.c.want(http.StatusOK, "GET", "/Provenance/"+l.ids()[0], "", nil)
	stored := `{"resourceType":"Provenance","target":[{"reference":"Observation/` + id + `"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}`
	k.c.want(http.StatusCreated, "POST", "/Provenance", stored, nil)
	k.c.want(http.StatusOK, "GET", "/Provenance?target=Observation/"+id, "", &l)
	if l.Total != 3 {
		t.Errorf("stored and computed: got %d, want 3", l.Total)
	}
	k.c.want(http.StatusOK, "GET", "/Provenance?target=Observation/"+id+"&recorded=2020", "", &l)
	if l.Total != 1 {
		t.Errorf("by date: got %d, want the stored one", l.Total)
	}
	// Another session, which read it from the keepers, sees the same.
	again := k.signIn(k.doctor, k.share(k.patient, k.doctor, grant.Read, allCategories()...))
	again.want(http.StatusOK, "GET", "/Provenance?target=Observation/"+id+"/_history/"+strings.Trim(first, `W/"`), "", &l)
	if _, theirs := again.want(http.StatusOK, "GET", "/Provenance/"+l.ids()[0], "", nil); !bytes.Equal(mine, theirs) {
		t.Errorf("read from the keepers: got %s, want %s", theirs, mine)
	}
	other, directory := k.clinician()
	k.signIn(other, directory).want(http.StatusOK, "GET", "/Provenance?target=Observation/"+id, "", &l)
	if l.Total != 0 {
		t.Errorf("without a grant: got %d", l.Total)
	}
}
