package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// emitFolder names, in the environment, the folder that TestEmitted writes to.
const emitFolder = "ABATON_EMIT"

// TestEmitted writes one of each kind of resource that the gateway makes by
// itself, for a foreign validator (interop/validator); without a folder it
// writes to one that is gone at the end, and looks that each is FHIR.
func TestEmitted(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	dir := os.Getenv(emitFolder)
	if dir == "" {
		dir = t.TempDir()
	}
	keep := func(name string, body []byte) {
		t.Helper()
		if _, err := fhir.ParseResource(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := newClinic(t)
	e := newEndpoint(k)
	get := func(c *caller, name string, status int, path string) {
		t.Helper()
		_, body := c.want(status, "GET", path, "", nil)
		keep(name, body)
	}
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", emittedObservation(k), nil)
	id := idOf(resp)
	k.c.want(http.StatusOK, "PUT", "/Observation/"+id, strings.Replace(emittedObservation(k), `"Observation",`, `"Observation","id":"`+id+`",`, 1), nil)

	get(k.c, "capability", http.StatusOK, "/metadata")
	get(k.c, "searchset", http.StatusOK, "/Observation?patient="+k.id+"&_include=Observation:subject&_count=1")
	get(k.c, "searchset-summary", http.StatusOK, "/Observation?patient="+k.id+"&_summary=true")
	get(k.c, "searchset-count", http.StatusOK, "/Observation?patient="+k.id+"&_summary=count")
	get(k.c, "searchset-outcome", http.StatusOK, "/Observation?patient="+k.id+"&unknown=1")
	get(k.c, "history-one", http.StatusOK, "/Observation/"+id+"/_history")
	get(k.c, "history-all", http.StatusOK, "/_history")
	get(k.c, "consent", http.StatusOK, "/Consent?patient="+k.id)
	get(k.c, "provenance", http.StatusOK, "/Provenance?target=Observation/"+id)
	get(k.c, "provenance-revinclude", http.StatusOK, "/Observation?_id="+id+"&_revinclude=Provenance:target")
	get(k.c, "docref", http.StatusOK, "/DocumentReference/$docref?patient="+k.id)
	get(k.c, "outcome-404", http.StatusNotFound, "/Observation/none")
	get(k.c, "outcome-400", http.StatusBadRequest, "/Observation?date=never")
	get(k.own(), "audit-own", http.StatusOK, "/AuditEvent?patient="+k.id)
	get(k.own(), "consent-own", http.StatusOK, "/Consent?patient="+k.id)
	get(k.c, "audit-clinician", http.StatusOK, "/AuditEvent?patient="+k.id)
	for name, body := range map[string]string{"validate-good": emittedObservation(k), "validate-bad": `{"resourceType":"Observation","status":"none","surprise":1}`} {
		resp := k.c.do("POST", "/Observation/$validate", body)
		text, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		keep(name, text)
	}
	for _, shape := range []string{"transaction", "batch"} {
		_, body := k.c.with("Prefer", "return=representation").want(http.StatusOK, "POST", "/", `{"resourceType":"Bundle","type":"`+shape+`","entry":[{"fullUrl":"urn:uuid:9f7f8b35-6c1f-4f6e-9d0c-4f1ff1e5bd3a","resource":`+
			emittedObservation(k)+`,"request":{"method":"POST","url":"Observation"}},{"request":{"method":"GET","url":"Observation?patient=`+k.id+`"}},{"request":{"method":"GET","url":"Observation/none"}}]}`, nil)
		keep(shape+"-response", body)
	}
	_, subscribed := k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(`"criteria":"`+TopicWritten+
		`","_criteria":{"extension":[{"url":"`+extensionFilter+`","valueString":"Observation?patient=`+k.id+`"}]}`,
		`,"payload":"application/fhir+json","_payload":{"extension":[{"url":"`+extensionContent+`","valueCode":"id-only"}]}`), nil)
	keep("subscription", subscribed)
	keep("notification-handshake", e.next(t, "handshake").body)
	k.c.want(http.StatusCreated, "POST", "/Observation", emittedObservation(k), nil)
	keep("notification-event", e.next(t, "event-notification").body)
	r, err := fhir.ParseResource(subscribed)
	if err != nil {
		t.Fatal(err)
	}
	get(k.c, "subscription-status", http.StatusOK, "/Subscription/"+r.ID()+"/$status")
	for _, name := range []string{"8a4c9c04-1524-9f1c-d65b-9b17e4520fef", "085e81c0-7a95-ef02-16ef-aa1b4344deed"} {
		keep("everything-"+name[:8], k.everythingOfSample(name))
	}
}

func emittedObservation(k *clinic) string {
	return k.observation(`,"code":{"coding":[{"system":"http://loinc.org","code":"8302-2"}]},"effectiveDateTime":"2024-05-01"` + coded("vital-signs"))
}

// everythingOfSample is the first page of $everything of a sample patient.
func (k *clinic) everythingOfSample(name string) []byte {
	k.t.Helper()
	p := k.world.patient()
	c := k.signIn(k.doctor, k.share(k.org, k.doctor, grant.Read, directoryOnly()...), k.share(p, k.doctor, grant.Read, allCategories()...))
	in := c.with(headerImport, "true")
	for _, shared := range []string{"0-hospitals", "0-practitioners"} {
		in.want(http.StatusOK, "POST", "/", string(sample(k.t, shared)), nil)
	}
	var out response
	in.with(headerPatient, p.id.String()).want(http.StatusOK, "POST", "/", string(sample(k.t, name)), &out)
	for _, e := range out.Entry {
		if parts := strings.Split(e.Response.Location, "/"); parts[0] == "Patient" {
			_, body := c.want(http.StatusOK, "GET", "/Patient/"+parts[1]+"/$everything?_count=1000", "", nil)
			return body
		}
	}
	k.t.Fatal("the sample has no Patient")
	return nil
}
