package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// TestStoryFigures imports the sample patients and opens one cold, and logs
// what it took: five keepers in this process, stores in memory.
func TestStoryFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("figures only; run without -short")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	c := w.signIn(doctor, directory).with(headerImport, "true")
	c.want(http.StatusOK, "POST", "/", string(sample(t, "0-hospitals")), nil)
	c.want(http.StatusOK, "POST", "/", string(sample(t, "0-practitioners")), nil)
	entries, took := 0, time.Duration(0)
	ids := map[string]abaton.ActorID{}
	for _, name := range []string{"085e81c0-7a95-ef02-16ef-aa1b4344deed", "19625ee6-1a94-1a6a-ca95-40c4efbbdfc7",
		"6c8f3e83-c351-ed33-c38d-6be101c275d2", "d1193889-ebd9-4e35-bf1b-8a73ecbfc00b"} {
		p := w.patient()
		c.lend(w.share(p, doctor, grant.Read, allCategories()...))
		bundle := string(sample(t, name))
		started := time.Now()
		var out response
		c.with(headerPatient, p.id.String()).want(http.StatusOK, "POST", "/", bundle, &out)
		took += time.Since(started)
		entries += len(out.Entry)
		for _, e := range out.Entry {
			if rest, ok := strings.CutPrefix(e.Response.Location, "Patient/"); ok {
				ids[strings.Split(rest, "/")[0]] = p.id
			}
		}
	}
	t.Logf("import: %d resources in %v, %.0f/s", entries, took, float64(entries)/took.Seconds())
	for id, patient := range ids {
		for _, p := range w.gateway.sessionsNow() {
			p.drop(patient)
		}
		started := time.Now()
		_, got := c.want(http.StatusOK, "GET", "/Patient/"+id+"/$everything?_count=1000", "", nil)
		b, err := fhir.ParseBundle(got)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("cold chart: %d resources, %d bytes in %v", len(b.Entries), len(got), time.Since(started))
		started = time.Now()
		c.want(http.StatusOK, "GET", "/Patient/"+id, "", nil)
		t.Logf("read in an open chart: %v", time.Since(started))
	}
}
