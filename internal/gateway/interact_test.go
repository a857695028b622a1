package gateway

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/grant"
)

// patches is the caller with the content type of a JSON Patch.
func (c *caller) patches() *caller { return c.with("Content-Type", "application/json-patch+json") }

// made creates an Observation and returns its id and tag.
func (k *clinic) made(rest string) (id, etag string) {
	k.t.Helper()
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(rest), nil)
	return idOf(resp), resp.Header.Get("ETag")
}

func TestPatchKeepsWhatItDoesNotName(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id, first := k.made(`,"x-unknown":[1.0, 1e2],"note":[{"text":"a"}]`)
	path := "/Observation/" + id
	resp, got := k.c.patches().with("If-Match", first).want(http.StatusOK, "PATCH", path,
		`[{"op":"test","path":"/status","value":"final"},{"op":"replace","path":"/status","value":"amended"},{"op":"add","path":"/valueQuantity/unit","value":"mg"}]`, nil)
	if !bytes.Contains(got, []byte(`"x-unknown":[1.0, 1e2]`)) || !bytes.Contains(got, []byte(`"valueQuantity":{"value":1.50,"unit":"mg"}`)) || !bytes.Contains(got, []byte(`"status":"amended"`)) {
		t.Errorf("patched: got %s", got)
	}
	second := resp.Header.Get("ETag")
	if second == first || resp.Header.Get("Location") == "" {
		t.Errorf("patched headers: got %v", resp.Header)
	}
	for _, c := range []struct {
		name, path, patch, ifMatch string
		status                     int
	}{
		{"stale", path, `[{"op":"replace","path":"/status","value":"final"}]`, first, 412},
		{"stale, and does not fit", path, `[{"op":"remove","path":"/none"}]`, first, 412},
		{"test does not hold", path, `[{"op":"replace","path":"/status","value":"x"},{"op":"test","path":"/x-unknown/0","value":2}]`, "", 422},
		{"id", path, `[{"op":"replace","path":"/id","value":"other"}]`, "", 422},
		{"type", path, `[{"op":"replace","path":"/resourceType","value":"Basic"}]`, "", 422},
		{"no resource left", path, `[{"op":"replace","path":"","value":1}]`, "", 400},
		{"subject away", path, `[{"op":"remove","path":"/subject"}]`, "", 422},
		{"to nobody", path, `[{"op":"replace","path":"/subject/reference","value":"Patient/nobody"}]`, "", 422},
		{"empty array", path, `[{"op":"remove","path":"/note/0"}]`, "", 422},
		{"no array", path, `{}`, "", 400},
		{"absent", "/Observation/" + k.gateway.ids.fresh(k.patient.id), `[]`, "", 404},
		{"not this type", "/Basic/" + id, `[]`, "", 404},
		{"bad tag", path, `[]`, "5", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			k.c.patches().with("If-Match", c.ifMatch).want(c.status, "PATCH", c.path, c.patch, nil)
		})
	}
	if resp, _ := k.c.want(http.StatusOK, "GET", path, "", nil); resp.Header.Get("ETag") != second {
		t.Errorf("after refused patches: got %s, want %s: a patch is all or nothing", resp.Header.Get("ETag"), second)
	}
	k.c.want(http.StatusUnsupportedMediaType, "PATCH", path, `[]`, nil) // application/fhir+json
	k.c.patches().with("Content-Type", "application/merge-patch+json").want(http.StatusUnsupportedMediaType, "PATCH", path, `{}`, nil)
	k.c.want(http.StatusNoContent, "DELETE", path, "", nil)
	k.c.patches().want(http.StatusGone, "PATCH", path, `[{"op":"replace","path":"/status","value":"final"}]`, nil)
}

func TestPatchDropsAGeneratedNarrative(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id, _ := k.made(`,"text":{"status":"generated","div":"<div>1.5</div>"}`)
	_, got := k.c.patches().want(http.StatusOK, "PATCH", "/Observation/"+id, `[{"op":"add","path":"/meta/tag","value":[{"code":"x"}]}]`, nil)
	if !bytes.Contains(got, []byte("<div>")) {
		t.Errorf("a patch of meta alone: got %s, want the narrative kept", got)
	}
	_, got = k.c.patches().want(http.StatusOK, "PATCH", "/Observation/"+id, `[{"op":"replace","path":"/valueQuantity/value","value":2}]`, nil)
	if bytes.Contains(got, []byte("<div>")) {
		t.Errorf("a patch of a value: got %s, want the narrative of the old value gone", got)
	}
}

func TestConditionalUpdate(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	with := func(id, status string) string {
		body := strings.Replace(k.observation(`,"identifier":[{"system":"urn:l","value":"7"}]`), "final", status, 1)
		if id == "" {
			return body
		}
		return strings.Replace(body, `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	}
	path := "/Observation?identifier=urn:l%7C7"
	resp, _ := k.c.want(http.StatusCreated, "PUT", path, with("", "final"), nil)
	id := idOf(resp)
	resp, got := k.c.want(http.StatusOK, "PUT", path, with("", "amended"), nil)
	if idOf(resp) != id || !bytes.Contains(got, []byte("amended")) {
		t.Errorf("one match: got %s of %s, want an update of %s", got, idOf(resp), id)
	}
	k.c.want(http.StatusOK, "PUT", path, with(id, "final"), nil)
	if _, got := k.c.want(http.StatusBadRequest, "PUT", path, with("another", "final"), nil); !bytes.Contains(got, []byte("the query finds a resource with another id")) {
		t.Errorf("another id: got %s", got)
	}
	k.c.want(http.StatusCreated, "PUT", "/Observation?identifier=urn:l%7C8", with("chosen", "final"), nil)
	k.c.want(http.StatusConflict, "PUT", "/Observation?identifier=urn:l%7C9", with("chosen", "final"), nil)
	k.c.want(http.StatusPreconditionFailed, "PUT", path, with("", "final"), nil) // two have it now
	k.c.want(http.StatusBadRequest, "PUT", "/Observation", with("", "final"), nil)
	k.c.want(http.StatusPreconditionFailed, "PUT", "/Observation?nothing=1", with("", "final"), nil)
	k.c.with("If-None-Match", "*").want(http.StatusPreconditionFailed, "PUT", "/Observation?_id="+id, with(id, "final"), nil)
	k.c.want(http.StatusPreconditionFailed, "PUT", "/Patient?identifier=1", `{"resourceType":"Patient"}`, nil)
	k.c.with(headerPatient, k.patient.id.String()).want(http.StatusOK, "PUT", "/Patient?identifier=urn:x%7C1",
		`{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}],"active":true}`, nil)
}

func TestConditionalDeleteAndPatch(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	labelled := func(n string) string { return `,"identifier":[{"system":"urn:l","value":"` + n + `"}]` }
	id, _ := k.made(labelled("1"))
	k.made(labelled("2"))
	k.made(labelled("2"))
	of := func(n string) string { return "/Observation?patient=" + k.id + "&identifier=urn:l%7C" + n }
	patch := `[{"op":"replace","path":"/status","value":"amended"}]`
	resp, _ := k.c.patches().want(http.StatusOK, "PATCH", of("1"), patch, nil)
	if idOf(resp) != id {
		t.Errorf("conditional patch: got %s, want %s", idOf(resp), id)
	}
	k.c.patches().want(http.StatusPreconditionFailed, "PATCH", of("2"), patch, nil)
	k.c.patches().want(http.StatusNotFound, "PATCH", of("3"), patch, nil)
	k.c.want(http.StatusPreconditionFailed, "DELETE", of("2"), "", nil)
	k.c.want(http.StatusNoContent, "DELETE", of("1"), "", nil)
	k.c.want(http.StatusGone, "GET", "/Observation/"+id, "", nil)
	k.c.want(http.StatusNoContent, "DELETE", of("1"), "", nil)
	k.c.want(http.StatusBadRequest, "DELETE", "/Observation", "", nil)
	k.c.want(http.StatusPreconditionFailed, "DELETE", "/Observation?identifier=urn:l%7C1", "", nil)
	k.c.want(http.StatusPreconditionFailed, "DELETE", of("2")+"&nothing=1", "", nil)

	other, directory := k.clinician()
	o := k.signIn(other, directory)
	kept, _ := k.made(labelled("4"))
	o.want(http.StatusNoContent, "DELETE", of("4"), "", nil) // not granted is not there, and nothing is done
	o.patches().want(http.StatusNotFound, "PATCH", of("4"), patch, nil)
	k.c.want(http.StatusOK, "GET", "/Observation/"+kept, "", nil)
}

func TestPatchAndDeleteInABundle(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id, first := k.made(`,"identifier":[{"system":"urn:l","value":"1"}]`)
	old, _ := k.made(`,"identifier":[{"system":"urn:l","value":"2"}]`)
	text := base64.StdEncoding.EncodeToString([]byte(`[{"op":"replace","path":"/status","value":"amended"}]`))
	entries := func(kind, more string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[
			{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + text + `"},"request":{"method":"PATCH","url":"Observation/` + id + `","ifMatch":"W/\"` + strings.Trim(first, `W/"`) + `\""}},
			{"request":{"method":"DELETE","url":"Observation?patient=` + k.id + `&identifier=urn:l%7C2"}},
			{"request":{"method":"DELETE","url":"Observation?patient=` + k.id + `&identifier=urn:l%7C9"}}` + more + `]}`
	}
	k.c.want(http.StatusNotFound, "POST", "/", entries("transaction", `,{"request":{"method":"DELETE","url":"Observation/`+k.gateway.ids.fresh(k.patient.id)+`"}}`), nil)
	k.c.want(http.StatusOK, "GET", "/Observation/"+old, "", nil)
	var b struct {
		Entry []struct {
			Response struct{ Status, Location, ETag string }
		}
	}
	k.c.want(http.StatusOK, "POST", "/", entries("transaction", ""), &b)
	if len(b.Entry) != 3 || b.Entry[0].Response.Status != "200 OK" || b.Entry[1].Response.Status != "204 No Content" || b.Entry[2].Response.Status != "204 No Content" || b.Entry[2].Response.Location != "" {
		t.Errorf("transaction: got %+v", b)
	}
	if _, got := k.c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil); !bytes.Contains(got, []byte("amended")) {
		t.Errorf("after the patch: got %s", got)
	}
	k.c.want(http.StatusGone, "GET", "/Observation/"+old, "", nil)
	k.c.want(http.StatusOK, "POST", "/", entries("batch", ""), &b)
	if !strings.HasPrefix(b.Entry[0].Response.Status, "412") {
		t.Errorf("batch with a stale patch: got %+v", b)
	}
}

func TestConditionalUpdateInABundleBringsNoID(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + k.observation(`,"identifier":[{"system":"urn:l","value":"1"}]`) +
		`,"request":{"method":"PUT","url":"Observation?identifier=urn:l%7C1"}}]}`
	var b struct {
		Entry []struct {
			Response struct{ Status, Location string }
		}
	}
	for _, want := range []string{"201 Created", "200 OK"} {
		k.c.want(http.StatusOK, "POST", "/", bundle, &b)
		if b.Entry[0].Response.Status != want {
			t.Errorf("got %s, want %s", b.Entry[0].Response.Status, want)
		}
	}
}

func TestHeadAndConditionalRead(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	path := "/Patient/" + k.id
	resp, whole := k.c.want(http.StatusOK, "GET", path, "", nil)
	head := k.c.do("HEAD", path, "")
	defer head.Body.Close()
	if body, _ := io.ReadAll(head.Body); head.StatusCode != 200 || len(body) != 0 || head.ContentLength != int64(len(whole)) || head.Header.Get("ETag") != resp.Header.Get("ETag") {
		t.Errorf("HEAD: got %d, %d bytes, length %d", head.StatusCode, len(body), head.ContentLength)
	}
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"If-Modified-Since", resp.Header.Get("Last-Modified"), 304},
		{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT", 200},
		{"If-Modified-Since", "yesterday", 200},
		{"If-None-Match", resp.Header.Get("ETag"), 304},
		{"If-None-Match", `W/"x"`, 200},
	} {
		k.c.with(c.name, c.value).want(c.status, "GET", path, "", nil)
	}
	k.c.with("If-None-Match", `W/"x"`).with("If-Modified-Since", resp.Header.Get("Last-Modified")).want(200, "GET", path, "", nil)
	none := k.c.do("HEAD", "/Patient/"+k.gateway.ids.fresh(k.org.id), "")
	none.Body.Close()
	if none.StatusCode != http.StatusNotFound {
		t.Errorf("HEAD of nothing: got %d, want 404", none.StatusCode)
	}
}

// told is what a history answers.
type toldBundle struct {
	Total int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Request  struct{ Method, URL string }
		Response struct{ Status, LastModified string }
	}
}

func (b *toldBundle) next(k *clinic) string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return strings.TrimPrefix(l.URL, k.web.URL)
		}
	}
	return ""
}

func TestHistoryOfTypeAndSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id, _ := k.made("")
	k.made("")
	k.c.want(http.StatusNoContent, "DELETE", "/Observation/"+id, "", nil)
	var b toldBundle
	k.c.want(http.StatusOK, "GET", "/Observation/_history", "", &b)
	if b.Total != 3 || b.Entry[0].Request.Method != "DELETE" || b.Entry[2].Request.Method != "POST" {
		t.Errorf("type history: got %+v, want a delete and two creations, newest first", b)
	}
	since := b.Entry[0].Response.LastModified
	k.c.want(http.StatusOK, "GET", "/_history", "", &b)
	if b.Total != 4 || b.Entry[3].Request.URL != "Patient" {
		t.Errorf("system history: got %+v, want the Patient too", b)
	}
	k.c.want(http.StatusOK, "GET", "/_history?_since="+since, "", &b)
	if b.Total != 1 {
		t.Errorf("since the deletion: got %d, want 1", b.Total)
	}
	var urls []string
	for path := "/_history?_count=1"; path != ""; path = b.next(k) {
		b = toldBundle{}
		k.c.want(http.StatusOK, "GET", path, "", &b)
		if len(b.Entry) != 1 || len(urls) > 4 {
			t.Fatalf("page %s: got %d entries", path, len(b.Entry))
		}
		urls = append(urls, b.Entry[0].Request.Method+" "+b.Entry[0].FullURL)
	}
	if len(urls) != 4 {
		t.Errorf("pages: got %v, want 4", urls)
	}
	b = toldBundle{}
	k.c.want(http.StatusOK, "GET", "/Observation/"+id+"/_history?_count=1", "", &b)
	page := b.next(k)
	k.c.want(http.StatusOK, "GET", page, "", &b)
	if b.Total != 2 || b.Entry[0].Request.Method != "POST" {
		t.Errorf("second page of an instance: got %+v", b)
	}
	k.c.want(http.StatusBadRequest, "GET", strings.Replace(page, "_count=1", "_count=2", 1), "", nil)
	again := k.signIn(k.doctor, k.share(k.patient, k.doctor, grant.Read, allCategories()...))
	again.want(http.StatusBadRequest, "GET", page, "", nil) // another session's link
	again.want(http.StatusOK, "GET", "/_history", "", &b)
	if b.Total != 0 {
		t.Errorf("history with no chart open: got %d, want 0", b.Total)
	}
	again.with(headerPatient, k.patient.id.String()).want(http.StatusOK, "GET", "/_history", "", &b)
	if b.Total != 4 {
		t.Errorf("history of the patient named: got %d, want 4", b.Total)
	}
	k.c.want(http.StatusBadRequest, "GET", "/_history?_since=yesterday", "", nil)
	k.c.want(http.StatusBadRequest, "GET", "/_history?_count=x", "", nil)
	k.c.with("Prefer", "handling=strict").want(http.StatusBadRequest, "GET", "/_history?_at=2020", "", nil)
	other, _ := k.clinician()
	o := k.signIn(other)
	o.with(headerPatient, k.patient.id.String()).want(http.StatusOK, "GET", "/_history", "", &b)
	if b.Total != 0 {
		t.Errorf("history of somebody not granted: got %d, want 0", b.Total)
	}
}
