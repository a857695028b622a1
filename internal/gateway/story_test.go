package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// response is a transaction-response or batch-response.
type response struct {
	Entry []struct {
		Response struct{ Status, Location, Etag string }
		Resource json.RawMessage
	}
}

func TestImportedPatientIsReadBackExactly(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient()
	read := w.share(patient, doctor, grant.Read, allCategories()...)
	c := w.signIn(doctor, directory, read).with(headerImport, "true")
	for _, name := range []string{"0-hospitals", "0-practitioners"} {
		var out response
		c.want(http.StatusOK, "POST", "/", string(sample(t, name)), &out)
		for i, e := range out.Entry {
			if !strings.HasPrefix(e.Response.Status, "20") {
				t.Fatalf("%s entry %d: got %s, want 201 or 200", name, i, e.Response.Status)
			}
		}
	}
	bundle := sample(t, "8a4c9c04-1524-9f1c-d65b-9b17e4520fef")
	var out response
	started := time.Now()
	c = c.with(headerPatient, patient.id.String())
	c.want(http.StatusOK, "POST", "/", string(bundle), &out)
	t.Logf("imported %d entries in %v", len(out.Entry), time.Since(started))

	b, err := fhir.ParseBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Entry) != len(b.Entries) {
		t.Fatalf("response entries: got %d, want %d", len(out.Entry), len(b.Entries))
	}
	targets, id := map[string]string{}, ""
	for i, e := range out.Entry {
		parts := strings.Split(e.Response.Location, "/")
		targets[b.Entries[i].FullURL] = parts[0] + "/" + parts[1]
		if parts[0] == "Patient" {
			id = parts[1]
		}
	}
	got := map[string][]byte{}
	started = time.Now()
	for _, r := range c.pages("/Patient/" + id + "/$everything?_count=20") {
		parsed, err := fhir.ParseResource(r)
		if err != nil {
			t.Fatal(err)
		}
		if got[parsed.Type+"/"+parsed.ID()] != nil {
			t.Errorf("%s/%s comes twice", parsed.Type, parsed.ID())
		}
		got[parsed.Type+"/"+parsed.ID()] = r
	}
	t.Logf("read %d resources in %v", len(got), time.Since(started))
	directoryOnes := 0
	for at := range got {
		if kind, _, _ := strings.Cut(at, "/"); fhir.Directory(kind) {
			directoryOnes++
		}
	}
	if directoryOnes == 0 || len(got) != len(b.Entries)+directoryOnes {
		t.Errorf("$everything: got %d resources, %d of the directory, want %d and some", len(got), directoryOnes, len(b.Entries))
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		back := got[targets[e.FullURL]]
		if back == nil {
			t.Fatalf("entry %d is not in $everything", i)
		}
		same, err := fhir.Equal(e.Resource.Raw(), back, func(ref string) (string, bool) {
			if to, ok := targets[ref]; ok {
				return to, true
			}
			if r, ok := fhir.ParseRef(ref); ok && r.Query != "" {
				return findRef(t, w, c, ref), true
			}
			return "", false
		})
		if err != nil || !same {
			t.Errorf("entry %d (%s): equal %v, %v", i, e.Resource.Type, same, err)
		}
	}
	again := response{}
	c.want(http.StatusOK, "POST", "/", string(bundle), &again)
	for i := range again.Entry {
		if again.Entry[i].Response.Location != out.Entry[i].Response.Location || again.Entry[i].Response.Status != "200 OK" {
			t.Fatalf("imported again, entry %d: got %+v, want 200 and the same version as %+v", i, again.Entry[i].Response, out.Entry[i].Response)
		}
	}
}

// findRef is what a conditional reference became, by a search of our own.
func findRef(t *testing.T, w *world, c *caller, ref string) string {
	t.Helper()
	kind, query, _ := strings.Cut(ref, "?")
	var b struct {
		Entry []struct{ Resource struct{ ID string } }
	}
	c.want(http.StatusOK, "GET", "/"+kind+"?"+strings.ReplaceAll(query, "|", "%7C"), "", &b)
	if len(b.Entry) != 1 {
		t.Fatalf("search of a directory reference: got %d, want 1", len(b.Entry))
	}
	return kind + "/" + b.Entry[0].Resource.ID
}
