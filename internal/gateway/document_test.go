package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const clinicalDocument = `<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2" extension="D1"/><code code="34133-9" codeSystem="2.16.840.1.113883.6.1"/><title>Summary</title>` +
	`<recordTarget><patientRole><id root="1.3" extension="m1"/><patient><birthTime value="19800102"/></patient></patientRole></recordTarget></ClinicalDocument>`

// post sends a document of a media type.
func (c *caller) post(path, media, body string) (status int, answer []byte) {
	c.w.t.Helper()
	resp := c.with("Content-Type", media).do("POST", path, body)
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		c.w.t.Fatal(err)
	}
	return resp.StatusCode, b.Bytes()
}

func TestDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	agent, _ := w.agent()
	patient, c, _ := w.numbered(doctor, directory, agent, "m1")
	path := "/Patient/" + c.patientID(patient) + "/$document"
	var places [2]string
	for n := range places {
		status, body := c.post(path, "application/hl7-cda+xml", clinicalDocument)
		var out response
		if err := json.Unmarshal(body, &out); status != http.StatusOK || err != nil || len(out.Entry) != 2 {
			t.Fatalf("got %d %s", status, clip(body))
		}
		places[n] = out.Entry[0].Response.Location + " " + out.Entry[1].Response.Location
	}
	if places[0] != places[1] {
		t.Error("the same document again is another")
	}
	binary, reference, _ := strings.Cut(places[0], " ")
	var kept struct{ Data, ContentType string }
	c.want(http.StatusOK, "GET", "/"+strings.SplitN(binary, "/_history", 2)[0]+"?_format=json", "", &kept)
	if got, _ := base64.StdEncoding.DecodeString(kept.Data); string(got) != clinicalDocument || kept.ContentType != "application/hl7-cda+xml" {
		t.Errorf("the document is not as it was, or is called %s", kept.ContentType)
	}
	var d struct {
		Description string
		Content     []struct{ Attachment struct{ URL string } }
	}
	c.want(http.StatusOK, "GET", "/"+strings.SplitN(reference, "/_history", 2)[0], "", &d)
	if d.Description != "Summary" || len(d.Content) != 1 || d.Content[0].Attachment.URL != strings.SplitN(binary, "/_history", 2)[0] {
		t.Errorf("the reference does not lead to the document")
	}
	for name, bad := range map[string]struct {
		path, media, body string
		status            int
	}{
		"a PDF":                 {path, "application/pdf", "%PDF-1.4", http.StatusOK},
		"a text":                {path, "text/plain", "a letter", http.StatusOK},
		"another day of birth":  {path, "text/xml", strings.Replace(clinicalDocument, "19800102", "19800103", 1), http.StatusUnprocessableEntity},
		"no CDA":                {path, "application/xml", "<a/>", http.StatusUnprocessableEntity},
		"an entity":             {path, "application/xml", `<!DOCTYPE a [<!ENTITY b "c">]>` + clinicalDocument, http.StatusUnprocessableEntity},
		"no PDF":                {path, "application/pdf", "hello", http.StatusUnprocessableEntity},
		"no text":               {path, "text/plain", "\xff", http.StatusUnprocessableEntity},
		"an archive":            {path, "application/zip", "PK", http.StatusUnsupportedMediaType},
		"another character set": {path, "text/plain; charset=iso-8859-1", "x", http.StatusUnsupportedMediaType},
		"nobody":                {"/Patient/nobody/$document", "text/plain", "x", http.StatusNotFound},
	} {
		status, body := c.post(bad.path, bad.media, bad.body)
		if status != bad.status || status >= 400 && !bytes.Contains(body, []byte("OperationOutcome")) {
			t.Errorf("%s: got %d %s, want %d", name, status, clip(body), bad.status)
		}
	}
	stranger, directory2 := w.clinician()
	if status, _ := w.signIn(stranger, directory2).post(path, "text/plain", "x"); status != http.StatusNotFound {
		t.Errorf("who was given nothing: got %d, want 404", status)
	}
}
