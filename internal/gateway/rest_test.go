package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
)

// clinic is a world with a doctor signed in who may read all of one patient,
// whose Patient resource is there.
type clinic struct {
	*world
	doctor  *device
	patient *device
	c       *caller
	id      string // of the Patient resource
}

func newClinic(t *testing.T, closed ...fhir.Category) *clinic {
	t.Helper()
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient(closed...)
	k := &clinic{world: w, doctor: doctor, patient: patient}
	k.c = w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, allCategories()...))
	resp, _ := k.c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient",
		`{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}],"name":[{"family":"Planted"}]}`, nil)
	k.id = idOf(resp)
	return k
}

// idOf is the id in a Location.
func idOf(r *http.Response) string {
	parts := strings.Split(r.Header.Get("Location"), "/")
	if len(parts) < 4 {
		return ""
	}
	return parts[len(parts)-3]
}

func (k *clinic) observation(rest string) string {
	return `{"resourceType":"Observation", "status":"final","valueQuantity":{"value":1.50},"subject":{"reference":"Patient/` + k.id + `"}` + rest + `}`
}

func TestCreateReadUpdateDelete(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	c := k.c
	body := k.observation(`,"x-unknown":[1.0,1e2]`)
	resp, got := c.want(http.StatusCreated, "POST", "/Observation", body, nil)
	id, first := idOf(resp), resp.Header.Get("ETag")
	if tag, ok := tagOf(id); !ok || tag != k.gateway.ids.tag(k.patient.id) {
		t.Errorf("assigned id: got %q, want the patient's tag in it", id)
	}
	if !strings.HasPrefix(first, `W/"`) || resp.Header.Get("Last-Modified") == "" || resp.Header.Get("Content-Type") != contentFHIR {
		t.Errorf("create headers: got %v", resp.Header)
	}
	if same, err := fhir.Equal([]byte(body), got, nil); !same || err != nil {
		t.Errorf("create answers %s, want the body", got)
	}
	resp, got = c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
	if !bytes.Contains(got, []byte(`"x-unknown":[1.0,1e2]`)) || !bytes.Contains(got, []byte(`{"value":1.50}`)) || resp.Header.Get("ETag") != first {
		t.Errorf("read: got %s with ETag %s, want the exact bytes and %s", got, resp.Header.Get("ETag"), first)
	}
	c.with("If-None-Match", first).want(http.StatusNotModified, "GET", "/Observation/"+id, "", nil)

	next := strings.Replace(body, `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	next = strings.Replace(next, "final", "amended", 1)
	c.with("If-Match", `W/"old"`).want(http.StatusPreconditionFailed, "PUT", "/Observation/"+id, next, nil)
	c.with("If-None-Match", "*").want(http.StatusPreconditionFailed, "PUT", "/Observation/"+id, next, nil)
	resp, _ = c.with("If-Match", first).want(http.StatusOK, "PUT", "/Observation/"+id, next, nil)
	second := resp.Header.Get("ETag")
	c.with("If-Match", first).want(http.StatusPreconditionFailed, "PUT", "/Observation/"+id, next, nil)
	_, got = c.want(http.StatusOK, "GET", "/Observation/"+id+"/_history/"+strings.Trim(first, `W/"`), "", nil)
	if !bytes.Contains(got, []byte("final")) {
		t.Errorf("vread: got %s, want the first version", got)
	}
	c.with("If-Match", first).want(http.StatusPreconditionFailed, "DELETE", "/Observation/"+id, "", nil)
	c.with("If-Match", second).want(http.StatusNoContent, "DELETE", "/Observation/"+id, "", nil)
	c.want(http.StatusGone, "GET", "/Observation/"+id, "", nil)
	c.want(http.StatusNoContent, "DELETE", "/Observation/"+id, "", nil)
	var history struct {
		Total int
		Entry []struct{ Request struct{ Method string } }
	}
	c.want(http.StatusOK, "GET", "/Observation/"+id+"/_history", "", &history)
	if history.Total != 3 || history.Entry[0].Request.Method != "DELETE" || history.Entry[2].Request.Method != "POST" {
		t.Errorf("history: got %+v, want delete, update, create", history)
	}
	c.want(http.StatusCreated, "PUT", "/Observation/"+id, next, nil)
	c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
}

// TestOtherSessionSeesTheNewest holds that If-Match is exact over the sessions
// of one gateway.
func TestOtherSessionSeesTheNewest(t *testing.T) {
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	id, first := idOf(resp), resp.Header.Get("ETag")
	other, directory := k.clinician()
	o := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	o.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
	next := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	resp, _ = k.c.with("If-Match", first).want(http.StatusOK, "PUT", "/Observation/"+id, next, nil)
	if got, _ := o.want(http.StatusOK, "GET", "/Observation/"+id, "", nil); got.Header.Get("ETag") != resp.Header.Get("ETag") {
		t.Errorf("other session reads %s, want %s", got.Header.Get("ETag"), resp.Header.Get("ETag"))
	}
	o.with("If-Match", first).want(http.StatusPreconditionFailed, "PUT", "/Observation/"+id, next, nil)
}

func TestPreferences(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	_, got := k.c.with("Prefer", "return=minimal").want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	if len(got) != 0 {
		t.Errorf("return=minimal: got %d bytes, want none", len(got))
	}
	_, got = k.c.with("Prefer", "handling=strict, return=OperationOutcome").want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	if !bytes.Contains(got, []byte("OperationOutcome")) {
		t.Errorf("return=OperationOutcome: got %s", got)
	}
	k.c.with("Accept", "application/json").want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	k.c.with("Accept", "text/turtle").want(http.StatusNotAcceptable, "GET", "/Patient/"+k.id, "", nil)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id+"?_format=json", "", nil)
	k.c.want(http.StatusNotAcceptable, "GET", "/Patient/"+k.id+"?_format=xml", "", nil)
}

func TestSearch(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	for range 4 {
		k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	}
	var b struct {
		Total int
		Entry []struct {
			Resource struct{ ResourceType, ID string }
			Search   struct{ Mode string }
		}
		Link []struct{ Relation, URL string }
	}
	for path, total := range map[string]int{
		"/Observation?patient=" + k.id:                          5,
		"/Observation?patient=Patient/" + k.id:                  5,
		"/Observation?patient=" + k.id + "&_id=" + idOf(resp):   1,
		"/Observation?_id=" + idOf(resp):                        1,
		"/Observation?patient=" + k.gateway.ids.fresh(k.org.id): 0,
		"/Observation?patient=nobody":                           0,
		"/Patient?_id=" + k.id:                                  1,
		"/Observation":                                          5,
		"/Patient?identifier=urn:x%7C1":                         1,
		"/Practitioner?identifier=urn:x%7C1":                    0,
	} {
		b.Total = -1
		if k.c.want(http.StatusOK, "GET", path, "", &b); b.Total != total {
			t.Errorf("GET %s: got total %d, want %d", path, b.Total, total)
		}
	}
	k.c.want(http.StatusOK, "GET", "/Observation?patient="+k.id+"&colour=red", "", &b)
	if last := b.Entry[len(b.Entry)-1]; last.Search.Mode != "outcome" {
		t.Errorf("unknown parameter: got mode %q, want an outcome entry", last.Search.Mode)
	}
	k.c.with("Prefer", "handling=strict").want(http.StatusBadRequest, "GET", "/Observation?patient="+k.id+"&colour=red", "", nil)
	form := k.c.with("Content-Type", "application/x-www-form-urlencoded")
	form.want(http.StatusOK, "POST", "/Observation/_search", "patient="+k.id+"&_count=2", &b)
	if len(b.Entry) != 2 || b.Total != 5 {
		t.Errorf("POST _search: got %d entries of %d, want 2 of 5", len(b.Entry), b.Total)
	}
	if got := len(k.c.pages("/Observation?patient=" + k.id + "&_count=2")); got != 5 {
		t.Errorf("paged search: got %d, want 5", got)
	}
}

func TestPageLinksAreTheSessionsOwn(t *testing.T) {
	k := newClinic(t)
	for range 3 {
		k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	}
	var b struct {
		Link []struct{ Relation, URL string }
	}
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id+"/$everything?_count=2", "", &b)
	var next string
	for _, l := range b.Link {
		if l.Relation == "next" {
			next = strings.TrimPrefix(l.URL, k.web.URL)
		}
	}
	if next == "" {
		t.Fatal("no next link")
	}
	other, directory := k.clinician()
	o := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	o.want(http.StatusBadRequest, "GET", next, "", nil)
	k.c.want(http.StatusBadRequest, "GET", next+"x", "", nil)
	k.c.want(http.StatusBadRequest, "GET", next+"&_count=3", "", nil)
	k.c.want(http.StatusBadRequest, "GET", "/Observation"+next[strings.IndexByte(next, '?'):], "", nil)
	k.c.want(http.StatusOK, "GET", next, "", nil)
}

func TestClientAssignedID(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	body := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"my-own.1",`, 1)
	k.c.want(http.StatusCreated, "PUT", "/Observation/my-own.1", body, nil)
	k.c.want(http.StatusOK, "PUT", "/Observation/my-own.1", body, nil)
	// A new session has no chart open and finds it by the indexes.
	again := k.signIn(k.doctor, k.share(k.patient, k.doctor, grant.Read, allCategories()...), k.share(k.org, k.doctor, grant.Read, directoryOnly()...))
	again.want(http.StatusOK, "GET", "/Observation/my-own.1", "", nil)
	again.want(http.StatusNotFound, "GET", "/Observation/not-there", "", nil)
	other := k.gateway.ids.fresh(k.patient.id)
	body = strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+other+`",`, 1)
	k.c.want(http.StatusNotFound, "PUT", "/Observation/"+other, body, nil)
}

func TestDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	c := k.c.with("If-None-Exist", "identifier=urn:npi%7C7")
	body := `{"resourceType":"Practitioner","identifier":[{"system":"urn:npi","value":"7"}]}`
	resp, _ := c.want(http.StatusCreated, "POST", "/Practitioner", body, nil)
	again, _ := c.want(http.StatusOK, "POST", "/Practitioner", body, nil)
	if idOf(resp) == "" || idOf(resp) != idOf(again) {
		t.Errorf("If-None-Exist: got %q, want the first %q", idOf(again), idOf(resp))
	}
	_, got := k.c.want(http.StatusCreated, "POST", "/Observation",
		k.observation(`,"performer":[{"reference":"Practitioner?identifier=urn:npi|7"}]`), nil)
	if !bytes.Contains(got, []byte(`"Practitioner/`+idOf(resp)+`"`)) {
		t.Errorf("conditional reference: got %s, want it resolved", got)
	}
	k.c.want(http.StatusPreconditionFailed, "POST", "/Observation", k.observation(`,"performer":[{"reference":"Practitioner?identifier=urn:npi|8"}]`), nil)
	if n := len(k.c.pages("/Patient/" + k.id + "/$everything")); n != 3 {
		t.Errorf("$everything: got %d, want the patient, the observation and the practitioner", n)
	}
}

// TestCategoryIsNeverDowngraded writes a sensitive resource, then updates it
// to a text without the label: it stays where it was.
func TestCategoryIsNeverDowngraded(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	label := `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(label), nil)
	id := idOf(resp)
	plain := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	k.c.want(http.StatusOK, "PUT", "/Observation/"+id, plain, nil)
	other, directory := k.clinician()
	o := k.signIn(other, directory, k.share(k.patient, other, grant.Read, fhir.General.ID()))
	o.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	o.want(http.StatusNotFound, "GET", "/Observation/"+id, "", nil)
	p := k.signIn(k.doctor, k.share(k.patient, k.doctor, grant.Read, fhir.Psychiatric.ID()))
	p.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
}

// TestNoDepositLineNoWrite: what belongs to a part the organisation may not
// deposit to is refused, not put into another part.
func TestNoDepositLineNoWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t, fhir.Psychiatric)
	label := `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`
	k.c.want(http.StatusForbidden, "POST", "/Observation", k.observation(label), nil)
	if n := len(k.c.pages("/Patient/" + k.id + "/$everything")); n != 1 {
		t.Errorf("after the refusal: got %d resources, want the patient alone", n)
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	entry := func(method, url, resource string) string {
		e := `{"request":{"method":"` + method + `","url":"` + url + `"}`
		if resource != "" {
			e += `,"fullUrl":"urn:uuid:` + url + `","resource":` + resource
		}
		return e + "}"
	}
	bundle := func(kind string, entries ...string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
	}
	good := entry("POST", "Observation", k.observation(""))
	two := entry("POST", "Condition", `{"resourceType":"Condition","subject":{"reference":"Patient/`+k.id+`"},"evidence":[{"detail":[{"reference":"urn:uuid:Observation"}]}]}`)
	bad := entry("DELETE", "Observation/"+k.gateway.ids.fresh(k.patient.id), "")
	k.c.want(http.StatusNotFound, "POST", "/", bundle("transaction", good, bad), nil)
	if n := len(k.c.pages("/Patient/" + k.id + "/$everything")); n != 1 {
		t.Fatalf("after a refused transaction: got %d resources, want 1", n)
	}
	var out response
	k.c.want(http.StatusOK, "POST", "/", bundle("batch", good, bad, entry("GET", "Patient/"+k.id, "")), &out)
	for i, want := range []string{"201", "404", "200"} {
		if !strings.HasPrefix(out.Entry[i].Response.Status, want) {
			t.Errorf("batch entry %d: got %s, want %s", i, out.Entry[i].Response.Status, want)
		}
	}
	k.c.want(http.StatusOK, "POST", "/", bundle("transaction", two, good, entry("GET", "Observation?patient="+k.id, "")), &out)
	condition := strings.Split(out.Entry[0].Response.Location, "/")
	_, got := k.c.want(http.StatusOK, "GET", "/"+condition[0]+"/"+condition[1], "", nil)
	observation := strings.Split(out.Entry[1].Response.Location, "/")
	if !bytes.Contains(got, []byte(`"Observation/`+observation[1]+`"`)) {
		t.Errorf("reference inside the transaction: got %s, want Observation/%s", got, observation[1])
	}
	var set struct{ Total int }
	if err := json.Unmarshal(out.Entry[2].Resource, &set); err != nil || set.Total != 2 {
		t.Errorf("GET inside the transaction: got total %d, %v, want 2", set.Total, err)
	}
	k.c.want(http.StatusBadRequest, "POST", "/", bundle("collection", good), nil)
}

func TestTwoPatientsAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	second := k.patient2()
	k.c.want(http.StatusUnprocessableEntity, "POST", "/Observation",
		k.observation(`,"performer":[{"reference":"Patient/`+second+`"}]`), nil)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	moved := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+idOf(resp)+`",`, 1)
	moved = strings.Replace(moved, k.id, second, 1)
	k.c.want(http.StatusUnprocessableEntity, "PUT", "/Observation/"+idOf(resp), moved, nil)
}

// patient2 adds another patient to the doctor's session, as a grant that came
// after the sign-in.
func (k *clinic) patient2() string {
	k.t.Helper()
	p := k.world.patient()
	k.c.lend(k.share(p, k.doctor, grant.Read, allCategories()...))
	resp, _ := k.c.with(headerPatient, p.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	return idOf(resp)
}

// lend seals more seeds to the caller's session.
func (c *caller) lend(bundles ...session.Bundle) {
	c.w.t.Helper()
	more, err := login.Add(c.offer, *c.done, bundles)
	if err != nil {
		c.w.t.Fatal(err)
	}
	body, err := json.Marshal(more)
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.want(http.StatusNoContent, "POST", "/login/seeds", string(body), nil)
}

func directoryOnly() []abaton.Category { return []abaton.Category{login.DirectoryCategory()} }
