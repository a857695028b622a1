package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// TestBytesArePreserved writes every committed HL7 example and reads it back:
// what comes is what was sent but for id, versionId and lastUpdated. Examples
// that cannot be placed in one chart are refused, with 422 and nothing else.
func TestBytesArePreserved(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	files, err := filepath.Glob("../fhir/testdata/hl7/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("examples: got %d, %v", len(files), err)
	}
	kept, refused := 0, 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.ParseResource(src)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		if r.Type == "Patient" {
			continue
		}
		body := string(r.Rewrite(func(ref string) (string, bool) {
			return "Patient/" + k.id, strings.HasPrefix(ref, "Patient/")
		}))
		resp := k.c.do("POST", "/"+r.Type, body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusUnprocessableEntity {
			refused++
			continue
		}
		if resp.StatusCode != http.StatusCreated {
			t.Errorf("%s: got %d, want 201 or 422", filepath.Base(file), resp.StatusCode)
			continue
		}
		_, got := k.c.want(http.StatusOK, "GET", "/"+r.Type+"/"+idOf(resp), "", nil)
		if same, err := fhir.Equal([]byte(body), got, nil); err != nil || !same {
			t.Errorf("%s: read back equal %v, %v", filepath.Base(file), same, err)
		}
		// Not only equal as JSON: the stored text stands in the answer.
		tail := body[strings.LastIndexByte(body[:len(body)-1], ',')+1:]
		if !strings.Contains(string(got), strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(tail), "}"))) {
			t.Errorf("%s: the bytes of its end are not in the answer", filepath.Base(file))
		}
		kept++
	}
	t.Logf("%d kept, %d refused with 422", kept, refused)
	if kept < len(files)/2 {
		t.Errorf("kept %d of %d, want most", kept, len(files))
	}
}
