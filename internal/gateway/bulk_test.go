package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// manifest is what a complete job answers.
type manifest struct {
	TransactionTime     string
	RequiresAccessToken bool
	Output, Error       []struct {
		Type, URL string
		Count     int
	}
	Extension map[string][]importPart
}

// finished asks a job until it is complete.
func (c *caller) finished(resp *http.Response) (m manifest, path string) {
	c.w.t.Helper()
	path = strings.TrimPrefix(resp.Header.Get("Content-Location"), c.w.web.URL)
	if path == "" {
		c.w.t.Fatalf("no Content-Location in %v", resp.Header)
	}
	ctx, cancel := context.WithTimeout(c.w.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got := c.do("GET", path, "")
		if got.StatusCode == http.StatusOK {
			err := json.NewDecoder(got.Body).Decode(&m)
			got.Body.Close()
			if err != nil || got.Header.Get("Expires") == "" {
				c.w.t.Fatalf("manifest: %v, headers %v", err, got.Header)
			}
			return m, path
		}
		got.Body.Close()
		if got.StatusCode != http.StatusAccepted || got.Header.Get("X-Progress") == "" || got.Header.Get("Retry-After") == "" {
			c.w.t.Fatalf("status of a job: got %d, headers %v", got.StatusCode, got.Header)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.w.t.Fatal("the job does not end")
		}
	}
}

func (c *caller) bulk() *caller { return c.with("Prefer", "respond-async") }

// lines reads the files of an export.
func (c *caller) lines(m manifest) (all [][]byte) {
	c.w.t.Helper()
	for _, o := range m.Output {
		resp, body := c.with("Accept", contentNDJSON).want(http.StatusOK, "GET", strings.TrimPrefix(o.URL, c.w.web.URL), "", nil)
		if resp.Header.Get("Content-Type") != contentNDJSON {
			c.w.t.Errorf("file of %s: got %s", o.Type, resp.Header.Get("Content-Type"))
		}
		n := 0
		for _, line := range fhir.Lines(body) {
			r, err := fhir.ParseResource(line)
			if err != nil || r.Type != o.Type {
				c.w.t.Errorf("file of %s: got a line of %q, %v", o.Type, r.Type, err)
			}
			all = append(all, line)
			n++
		}
		if n != o.Count {
			c.w.t.Errorf("file of %s: got %d lines, want %d", o.Type, n, o.Count)
		}
	}
	return all
}

func TestExport(t *testing.T) {
	k := newClinic(t)
	body := k.observation(",\n  \"x-n\": [1.50, 1e2]")
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", body, nil)
	id := idOf(resp)
	k.c.want(http.StatusCreated, "POST", "/Organization", `{"resourceType":"Organization"}`, nil)
	k.c.want(http.StatusBadRequest, "GET", "/$export", "", nil) // not asked for in the background
	first, _ := k.c.bulk().want(http.StatusAccepted, "GET", "/$export", "", nil)
	m, path := k.c.finished(first)
	all := bytes.Join(k.c.lines(m), []byte("\n"))
	if len(m.Output) != 3 || len(m.Error) != 0 || !m.RequiresAccessToken || !bytes.Contains(all, []byte(`"x-n":[1.50,1e2]`)) || !bytes.Contains(all, []byte(id)) {
		t.Errorf("export: got %+v: %s", m, all)
	}
	resp, _ = k.c.bulk().want(http.StatusAccepted, "GET", "/Patient/$export?_type=Observation,Condition&_outputFormat=application/fhir%2Bndjson", "", nil)
	if m, _ := k.c.finished(resp); len(m.Output) != 1 || m.Output[0].Type != "Observation" {
		t.Errorf("by type: got %+v", m.Output)
	}
	resp, _ = k.c.bulk().want(http.StatusAccepted, "POST", "/Patient/$export", `{"resourceType":"Parameters","parameter":[{"name":"_since","valueInstant":"2999-01-01T00:00:00Z"}]}`, nil)
	if m, _ := k.c.finished(resp); len(m.Output) != 0 {
		t.Errorf("since the future: got %+v", m.Output)
	}
	for _, bad := range []string{"_outputFormat=csv", "_type=Nothing", "_since=yesterday"} {
		k.c.bulk().want(http.StatusBadRequest, "GET", "/$export?"+bad, "", nil)
	}
	k.c.with("Prefer", "respond-async, handling=strict").want(http.StatusBadRequest, "GET", "/$export?_typeFilter=x", "", nil)
	if head := k.c.bulk().do("HEAD", "/$export", ""); head.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD begins an export: got %d", head.StatusCode)
	}

	// To another session the job is not there; deleted it is gone.
	other, directory := k.clinician()
	o := k.signIn(other, directory)
	file := strings.TrimPrefix(first.Header.Get("Content-Location"), k.web.URL) + "/" + partName(0)
	for _, at := range []string{path, file, path + "/" + problemsFile} {
		o.want(http.StatusNotFound, "GET", at, "", nil)
	}
	o.want(http.StatusNotFound, "DELETE", path, "", nil)
	k.c.want(http.StatusNotFound, "GET", path+"/part-99", "", nil)
	k.c.want(http.StatusAccepted, "DELETE", path, "", nil)
	k.c.want(http.StatusNotFound, "GET", path, "", nil)
	k.c.want(http.StatusNotFound, "GET", file, "", nil)
}

// TestExportIsAuthorisedAtEachStep: a grant that ends between the manifest and
// the download gives nothing more.
func TestExportIsAuthorisedAtEachStep(t *testing.T) {
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient()
	read := w.share(patient, doctor, grant.Read, allCategories()...)
	c := w.signIn(doctor, directory, read)
	c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient","name":[{"family":"Planted"}]}`, nil)
	resp, _ := c.bulk().want(http.StatusAccepted, "GET", "/Patient/$export", "", nil)
	m, _ := c.finished(resp)
	if len(m.Output) != 1 {
		t.Fatalf("export: got %+v", m)
	}
	file := strings.TrimPrefix(m.Output[0].URL, w.web.URL)
	if _, got := c.want(http.StatusOK, "GET", file, "", nil); !bytes.Contains(got, []byte("Planted")) {
		t.Errorf("while granted: got %s", got)
	}
	if p, err := w.net.Revoke(t.Context(), client.KeyHand(patient.id, patient.signing), read.Grant, false); err != nil || !p.InForce {
		t.Fatalf("revoke: %v", err)
	}
	w.clock.advance(lease)
	resp, got := c.want(http.StatusOK, "GET", file, "", nil)
	if len(got) != 0 || resp.Header.Get("Warning") == "" {
		t.Errorf("after the grant was taken back: got %s, Warning %q", got, resp.Header.Get("Warning"))
	}
	resp, _ = c.bulk().want(http.StatusAccepted, "GET", "/Patient/$export", "", nil)
	m, path := c.finished(resp)
	if len(m.Output) != 0 || len(m.Error) != 1 {
		t.Errorf("export after it: got %+v, want a problem", m)
	}
	_, problems := c.want(http.StatusOK, "GET", path+"/"+problemsFile, "", nil)
	if !bytes.Contains(problems, []byte("patient 1 of this export")) || bytes.Contains(problems, []byte(patient.id.String())) {
		t.Errorf("problems: got %s", problems)
	}
	c.want(http.StatusNoContent, "POST", "/logout", "", nil)
	w.gateway.jobs.sweep(w.gateway.now(), false)
	if n := len(w.gateway.jobs.by); n != 0 {
		t.Errorf("jobs after the session: got %d, want none", n)
	}
}

func TestGroupExport(t *testing.T) {
	k := newClinic(t)
	k.made("")
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Group", `{"resourceType":"Group","type":"person","actual":true}`, nil)
	empty := idOf(resp)
	resp, _ = k.c.bulk().want(http.StatusAccepted, "GET", "/Group/"+empty+"/$export", "", nil)
	if m, _ := k.c.finished(resp); len(m.Output) != 0 {
		t.Errorf("group of nobody: got %+v", m.Output)
	}
	k.c.bulk().want(http.StatusNotFound, "GET", "/Group/"+k.gateway.ids.fresh(k.org.id)+"/$export", "", nil)
}

func TestJobsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	for range jobsMax {
		k.c.bulk().want(http.StatusAccepted, "POST", "/$import", "", nil)
	}
	resp, _ := k.c.bulk().want(http.StatusTooManyRequests, "GET", "/$export", "", nil)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

func TestImport(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	resp, _ := k.c.bulk().want(http.StatusAccepted, "POST", "/$import", "", nil)
	_, path := k.c.finished(resp)
	named := strings.Replace(k.observation(`,"x-n":1.50`), `"Observation",`, `"Observation","id":"mine",`, 1)
	part := named + "\n" + k.observation(`,"note":[{"text":"a"}]`) + "\n\n{\"resourceType\":\n" + `{"resourceType":"Observation","subject":{"reference":"Patient/nobody"}}` + "\n"
	send := func(name, content, body string) manifest {
		t.Helper()
		resp, _ := k.c.with("Content-Type", content).want(http.StatusAccepted, "PUT", path+"/"+name, body, nil)
		m, _ := k.c.finished(resp)
		return m
	}
	m := send("a", contentNDJSON, part)
	parts := m.Extension["urn:abaton:import-parts"]
	if len(parts) != 1 || parts[0].State != "done" || parts[0].Written != 2 || parts[0].Refused != 2 || len(m.Error) != 1 || m.Error[0].Count != 2 {
		t.Fatalf("first part: got %+v", m)
	}
	_, problems := k.c.want(http.StatusOK, "GET", path+"/"+problemsFile, "", nil)
	if !bytes.Contains(problems, []byte("a line 4: ")) || !bytes.Contains(problems, []byte("a line 5: ")) || bytes.Contains(problems, []byte("nobody")) {
		t.Errorf("problems: got %s, want the lines and no value of theirs", problems)
	}
	if _, got := k.c.want(http.StatusOK, "GET", "/Observation/mine", "", nil); !bytes.Contains(got, []byte(`"x-n":1.50`)) {
		t.Errorf("imported: got %s", got)
	}
	parts = send("a", contentNDJSON, part).Extension["urn:abaton:import-parts"] // again: nothing is added
	if len(parts) != 1 || parts[0].There != 2 || parts[0].Written != 0 {
		t.Errorf("the same part again: got %+v, want all of it there", parts)
	}
	var b struct{ Total int }
	k.c.want(http.StatusOK, "GET", "/Observation?patient="+k.id, "", &b)
	if b.Total != 2 {
		t.Errorf("observations: got %d, want 2", b.Total)
	}
	changed := strings.Replace(named, "final", "amended", 1)
	bundle := `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + changed + `}]}`
	parts = send("b", "application/fhir+json", bundle).Extension["urn:abaton:import-parts"]
	if parts[1].Written != 1 {
		t.Errorf("a collection: got %+v", parts)
	}
	if _, got := k.c.want(http.StatusOK, "GET", "/Observation/mine", "", nil); !bytes.Contains(got, []byte("amended")) {
		t.Errorf("changed: got %s", got)
	}
	transaction := `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":` + k.observation(`,"note":[{"text":"t"}]`) + `,"request":{"method":"POST","url":"Observation"}}]}`
	for _, want := range []importPart{{Written: 1}, {There: 1}} {
		parts = send("c", "application/fhir+json", transaction).Extension["urn:abaton:import-parts"]
		if got := parts[2]; got.Written != want.Written || got.There != want.There {
			t.Errorf("transaction: got %+v, want %+v", got, want)
		}
	}
	for _, bad := range []struct {
		content, body string
		status        int
	}{{contentNDJSON, " ", 400}, {"text/plain", named, 415}, {"application/fhir+json", `{"resourceType":"Bundle"}`, 400}} {
		k.c.with("Content-Type", bad.content).want(bad.status, "PUT", path+"/x", bad.body, nil)
	}
	other, directory := k.clinician()
	k.signIn(other, directory).with("Content-Type", contentNDJSON).want(http.StatusNotFound, "PUT", path+"/x", named, nil)
	k.c.want(http.StatusNotFound, "GET", path+"/a", "", nil)
	k.c.want(http.StatusAccepted, "DELETE", path, "", nil)
	k.c.with("Content-Type", contentNDJSON).want(http.StatusNotFound, "PUT", path+"/x", named, nil)
}

func TestDocref(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	document := func(code, date, period string) string {
		return `{"resourceType":"DocumentReference","status":"current","type":{"coding":[{"system":"http://loinc.org","code":"` + code + `"}]},"date":"` + date + `","subject":{"reference":"Patient/` + k.id + `"},"content":[{"attachment":{"url":"Binary/1"}}]` + period + `}`
	}
	ids := make(map[string]string)
	for _, d := range [][4]string{
		{"old ccd", "34133-9", "2020-01-01T00:00:00Z", ""}, {"new ccd", "34133-9", "2021-01-01T00:00:00Z", ""},
		{"note", "11506-3", "2022-05-05T00:00:00Z", `,"context":{"period":{"start":"2019-05-01","end":"2019-05-03"}}`},
	} {
		resp, _ := k.c.want(http.StatusCreated, "POST", "/DocumentReference", document(d[1], d[2], d[3]), nil)
		ids[idOf(resp)] = d[0]
	}
	for _, c := range []struct{ query, want string }{
		{"", "new ccd,note"},
		{"&type=http://loinc.org%7C34133-9", "new ccd"},
		{"&type=34133-9&start=2019", "new ccd,old ccd"},
		{"&start=2020-06-01&end=2021-12-31", "new ccd"},
		{"&start=2019-05-03&end=2019-05-04", "note"},
		{"&start=2022-01-01", ""},
		{"&on-demand=true", ""},
		{"&on-demand=false", "new ccd,note"},
		{"&type=nothing", ""},
	} {
		var l listed
		k.c.want(http.StatusOK, "GET", "/DocumentReference/$docref?patient="+k.id+c.query, "", &l)
		var got []string
		for _, id := range l.ids() {
			got = append(got, ids[id])
		}
		if strings.Join(got, ",") != c.want || l.Total != len(got) {
			t.Errorf("%s: got %v, want %s", c.query, got, c.want)
		}
	}
	var l listed
	k.c.want(http.StatusOK, "POST", "/DocumentReference/$docref", `{"resourceType":"Parameters","parameter":[{"name":"patient","valueId":"`+k.id+`"},{"name":"type","valueCoding":{"system":"http://loinc.org","code":"34133-9"}}]}`, &l)
	if l.Total != 1 {
		t.Errorf("by POST: got %d, want 1", l.Total)
	}
	for _, bad := range []string{"", "?patient=", "?patient=" + k.id + "&start=soon", "?patient=" + k.id + "&start=2021&end=2020-01-01", "?patient=" + k.id + "&on-demand=1"} {
		k.c.want(http.StatusBadRequest, "GET", "/DocumentReference/$docref"+bad, "", nil)
	}
	k.c.want(http.StatusBadRequest, "POST", "/DocumentReference/$docref", `{"resourceType":"Basic"}`, nil)
	other, directory := k.clinician()
	_, mine := k.signIn(other, directory).want(http.StatusOK, "GET", "/DocumentReference/$docref?patient="+k.id, "", nil)
	none := k.gateway.ids.fresh(k.patient.id)
	_, absent := k.signIn(other, directory).want(http.StatusOK, "GET", "/DocumentReference/$docref?patient="+none, "", nil)
	if !bytes.Equal(mine, bytes.ReplaceAll(absent, []byte(none), []byte(k.id))) {
		t.Errorf("not granted %s, not there %s: want them alike", mine, absent)
	}
}
