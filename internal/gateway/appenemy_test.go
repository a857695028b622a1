package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
)

// byCategory is a patient's scope over laboratory results alone.
func byCategory(actions string) string {
	return "patient/Observation." + actions + "?category=" + url.QueryEscape(laboratory)
}

// sees are the resources of a searchset that an app is answered with.
func (a *app) sees(path string) (found listed) {
	a.w.t.Helper()
	if err := json.Unmarshal(a.want(http.StatusOK, "GET", path, ""), &found); err != nil {
		a.w.t.Fatalf("searchset: %v", err)
	}
	return found
}

// What the gateway computes needs a scope as what is stored does, and tells of
// nothing that the scopes do not cover.
func TestMirrorsNeedTheirOwnScope(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := plant(t)
	a := k.patientApp("launch/patient " + byCategory("rs"))
	for _, path := range []string{"/Observation?_id=" + k.seen + "&_revinclude=Provenance:target", "/Observation?patient=" + k.id + "&_include=Observation:subject"} {
		for _, e := range a.sees(path).Entry {
			if e.Search.Mode == "include" || !strings.Contains(string(e.Resource), `"Observation"`) {
				t.Errorf("%s: an entry of mode %s that no scope covers", path, e.Search.Mode)
			}
		}
	}
	for _, kind := range []string{"Provenance", "Consent", "AuditEvent", "Subscription"} {
		a.want(http.StatusForbidden, "GET", "/"+kind+"?patient="+k.id, "")
		a.want(http.StatusForbidden, "GET", "/"+kind+"/x", "")
	}
	a.want(http.StatusForbidden, "GET", "/Binary/"+k.seen, "")
	a.want(http.StatusForbidden, "POST", "/Consent", `{"resourceType":"Consent","status":"proposed","patient":{"reference":"Patient/`+k.id+`"}}`)

	b := k.patientApp("launch/patient patient/Provenance.rs " + byCategory("rs"))
	found := b.sees("/Provenance?_count=1000")
	if len(found.Entry) != 2 {
		t.Errorf("provenances: got %d, want one of each of two laboratory results", len(found.Entry))
	}
	for _, e := range found.Entry {
		var p struct{ Target []struct{ Reference string } }
		if err := json.Unmarshal(e.Resource, &p); err != nil || len(p.Target) != 1 {
			t.Fatalf("provenance: got %d targets, %v", len(p.Target), err)
		}
		b.want(http.StatusOK, "GET", "/"+p.Target[0].Reference, "")
	}
}

// An export that an app really downloads holds what its scopes cover.
func TestAppExportsWhatItsScopesCover(t *testing.T) {
	k := plant(t)
	a := k.patientApp("launch/patient " + byCategory("rs"))
	bulk := &caller{w: k.world, access: "-"}
	for _, from := range []string{"/$export", "/Patient/$export", "/$export?_type=Condition,Observation"} {
		h := map[string]string{"Authorization": "DPoP " + a.got.Access, "Prefer": "respond-async"}
		plain, _, _ := strings.Cut(from, "?")
		h["DPoP"] = a.proof("GET", k.web.URL+plain, a.got.Access)
		resp, got := a.send("GET", from, "", h)
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: got %d %s, want 202", from, resp.StatusCode, clip(got))
		}
		m := a.manifest(strings.TrimPrefix(resp.Header.Get("Content-Location"), k.web.URL))
		if len(m.Output) != 1 || m.Output[0].Type != "Observation" || m.Output[0].Count != 2 {
			t.Errorf("%s: got %+v, want two laboratory results", from, m.Output)
		}
		for _, o := range m.Output {
			path := strings.TrimPrefix(o.URL, k.web.URL)
			file := string(a.want(http.StatusOK, "GET", path, ""))
			if strings.Contains(file, hiddenMark) || strings.Count(file, "\n") != 2 || !strings.Contains(file, k.seen) || !strings.Contains(file, k.became) {
				t.Errorf("%s: the file holds what the scopes do not cover, or less than they do", from)
			}
			if resp := bulk.do("GET", path, ""); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s without access: got %d, want 401", from, resp.StatusCode)
			}
			k.c.want(http.StatusNotFound, "GET", path, "", nil) // another session's job
		}
	}
}

// manifest asks an app's job until it is complete.
func (a *app) manifest(path string) (m manifest) {
	a.w.t.Helper()
	for {
		resp, got := a.fhir("GET", path, "")
		switch resp.StatusCode {
		case http.StatusAccepted:
			continue
		case http.StatusOK:
			if err := json.Unmarshal(got, &m); err != nil {
				a.w.t.Fatal(err)
			}
			return m
		}
		a.w.t.Fatalf("job: got %d %s", resp.StatusCode, clip(got))
	}
}

// patch is a JSON Patch by the app.
func (a *app) patch(path, body string) (int, string) {
	a.w.t.Helper()
	resp, got := a.send("PATCH", path, body, map[string]string{"Authorization": "DPoP " + a.got.Access,
		"DPoP": a.proof("PATCH", a.w.web.URL+path, a.got.Access), "Content-Type": "application/json-patch+json"})
	return resp.StatusCode, string(got)
}

// A patch of what is hidden answers as one of what does not exist, whatever it
// tests or would make of it.
func TestPatchOfWhatIsHidden(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := plant(t)
	a := k.patientApp("launch/patient " + byCategory("cruds"))
	none := k.gateway.ids.fresh(k.patient.id)
	for _, body := range []string{
		`[{"op":"test","path":"/status","value":"final"}]`,
		`[{"op":"test","path":"/status","value":"other"}]`,
		`[{"op":"replace","path":"/category/0/coding/0/code","value":"laboratory"}]`,
		`[{"op":"remove","path":"/nothing"}]`,
	} {
		status, got := a.patch("/Observation/"+k.hidden, body)
		absentStatus, absent := a.patch("/Observation/"+none, body)
		if status != http.StatusNotFound || status != absentStatus || got != absent {
			t.Errorf("%s: got %d of what is hidden, %d of what does not exist; want 404 twice, alike", body, status, absentStatus)
		}
	}
	// Nor may it move what it sees out of, or anything into, what it may write.
	if status, _ := a.patch("/Observation/"+k.seen, `[{"op":"replace","path":"/category/0/coding/0/code","value":"vital-signs"}]`); status != http.StatusForbidden {
		t.Errorf("a patch out of the scopes: got %d, want 403", status)
	}
	if status, _ := a.patch("/Observation/"+k.seen, `[{"op":"replace","path":"/status","value":"amended"}]`); status != http.StatusOK {
		t.Errorf("a patch within the scopes: got %d, want 200", status)
	}
	readOnly := k.patientApp("launch/patient patient/Observation.u")
	if status, _ := readOnly.patch("/Observation/"+k.seen, `[{"op":"test","path":"/status","value":"final"}]`); status != http.StatusForbidden {
		t.Errorf("a patch without the right to read: got %d, want 403", status)
	}
}

// Conditions run over what may be searched: they neither find nor touch what
// is hidden, and answer as if it did not exist.
func TestConditionsOverWhatIsHidden(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := plant(t)
	a := k.patientApp("launch/patient " + byCategory("cruds"))
	none := k.gateway.ids.fresh(k.patient.id)
	lab := k.observation(coded("laboratory"))
	entries := func(id string) []string {
		return []string{
			`{"request":{"method":"POST","url":"Observation","ifNoneExist":"_id=` + id + `&patient=` + k.id + `"},"resource":` + lab + `}`,
			`{"request":{"method":"PUT","url":"Observation?_id=` + id + `&patient=` + k.id + `"},"resource":` + lab + `}`,
			`{"request":{"method":"PUT","url":"Observation?identifier=none&patient=` + k.id + `"},"resource":` + k.over(id, "laboratory") + `}`,
			`{"request":{"method":"DELETE","url":"Observation?_id=` + id + `&patient=` + k.id + `"}}`,
			`{"request":{"method":"PATCH","url":"Observation/` + id + `"},"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJ0ZXN0IiwicGF0aCI6Ii9zdGF0dXMiLCJ2YWx1ZSI6ImZpbmFsIn1d"}}`,
			`{"request":{"method":"PUT","url":"Observation/` + id + `","ifMatch":"W/\"` + k.mixedFirst + `\""},"resource":` + k.over(id, "laboratory") + `}`,
			`{"request":{"method":"GET","url":"Observation?_has:Provenance:target:_id=x&_id=` + id + `"}}`,
			`{"request":{"method":"GET","url":"DocumentReference/$docref?patient=` + k.id + `"}}`,
		}
	}
	statuses := func(shape, entry string) string {
		resp, got := a.fhir("POST", "/", `{"resourceType":"Bundle","type":"`+shape+`","entry":[`+entry+`]}`)
		if strings.Contains(string(got), hiddenMark) {
			t.Errorf("a %s answers with what is hidden", shape)
		}
		var b struct {
			Entry []struct {
				Resource json.RawMessage
				Response struct{ Status string }
			}
		}
		if err := json.Unmarshal(got, &b); err != nil {
			t.Fatal(err)
		}
		text := resp.Status
		for _, e := range b.Entry {
			text += ", " + e.Response.Status
		}
		return text
	}
	for _, id := range []string{k.hidden, k.mixed} {
		for i, entry := range entries(id) {
			for _, shape := range []string{"batch", "transaction"} {
				hidden, absent := statuses(shape, entry), statuses(shape, entries(none)[i])
				if hidden != absent {
					t.Errorf("%s, condition %d: got %s of what is hidden, %s of what does not exist; want them alike", shape, i, hidden, absent)
				}
			}
		}
		resp, got := k.c.want(http.StatusOK, "GET", "/Observation/"+id, "", nil)
		if !strings.Contains(string(got), hiddenMark) || resp.Header.Get("Warning") != "" {
			t.Errorf("what is hidden was changed")
		}
	}
	for _, way := range []string{"PUT", "DELETE"} { // closed as routes of their own
		body := ""
		if way == "PUT" {
			body = lab
		}
		a.want(http.StatusForbidden, way, "/Observation?patient="+k.id+"&_id="+k.hidden, body)
	}
}

// Documents are found by $docref only where they may be searched for.
func TestDocrefWithinScopes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	document := func(category string) string {
		return `{"resourceType":"DocumentReference","status":"current","category":[{"coding":[{"system":"urn:c","code":"` + category + `"}]}],"type":{"text":"` + category +
			`"},"subject":{"reference":"Patient/` + k.id + `"},"content":[{"attachment":{"url":"Binary/1"}}]}`
	}
	resp, _ := k.c.want(http.StatusCreated, "POST", "/DocumentReference", document("open"), nil)
	open := idOf(resp)
	k.c.want(http.StatusCreated, "POST", "/DocumentReference", document(hiddenMark), nil)
	a := k.patientApp("launch/patient patient/DocumentReference.rs?category=urn:c%7Copen")
	if found := a.sees("/DocumentReference/$docref?patient=" + k.id); found.Total != 1 || len(found.Entry) != 1 || found.ids()[0] != open {
		t.Errorf("$docref: got %d, want the one document in scope", found.Total)
	}
	a = k.patientApp("launch/patient patient/Observation.rs")
	a.want(http.StatusForbidden, "GET", "/DocumentReference/$docref?patient="+k.id, "")
}

// A subscription is a search that goes on: it needs the scope of one, and
// hears of nothing that the app may not search for.
func TestSubscriptionsOfApps(t *testing.T) {
	k := plant(t)
	e := newEndpoint(k.clinic)
	a := k.patientApp("launch/patient patient/Subscription.crd " + byCategory("rs"))
	a.want(http.StatusForbidden, "POST", "/Subscription", e.subscription(`"criteria":"Condition?patient=`+k.id+`"`, ""))
	a.want(http.StatusForbidden, "POST", "/Subscription", e.subscription(`"criteria":"`+TopicWritten+
		`","_criteria":{"extension":[{"url":"`+extensionFilter+`","valueString":"Condition?patient=`+k.id+`"}]}`, ""))
	a.want(http.StatusCreated, "POST", "/Subscription", e.subscription(`"criteria":"Observation?patient=`+k.id+`"`, `,"payload":"application/fhir+json"`))
	e.next(t, "handshake")
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(coded("vital-signs")), nil)
	k.c.want(http.StatusOK, "PUT", "/Observation/"+k.hidden, k.over(k.hidden, "vital-signs"), nil)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(coded("laboratory")), nil)
	told := string(e.next(t, "event-notification").body)
	if !strings.Contains(told, idOf(resp)) || strings.Contains(told, k.hidden) || strings.Count(told, `"focus"`) != 1 {
		t.Errorf("notification: got one of more or less than the laboratory result")
	}
}

// A clinician's app over several patients sees in each what its scopes cover:
// through includes, in counts, and in writing.
func TestPersonAppOverSeveralPatients(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := plant(t)
	scopes := "launch openid user/Observation.cruds?category=" + url.QueryEscape(laboratory) + " user/Patient.rs user/Provenance.c"
	k.register(publicApp("growth", scopes))
	neighbour := k.world.patient()
	bundles := []session.Bundle{k.share(neighbour, k.doctor, grant.Read, allCategories()...), k.share(k.patient, k.doctor, grant.Read, allCategories()...),
		k.share(k.org, k.doctor, grant.Read, login.DirectoryCategory())}
	wide := k.signIn(k.doctor, bundles...)
	resp, _ := wide.with(headerPatient, neighbour.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient","name":[{"family":"Next"}]}`, nil)
	near := idOf(resp)
	about := func(kind, rest string) (string, string) {
		resp, _ := wide.want(http.StatusCreated, "POST", "/"+kind, `{"resourceType":"`+kind+`","note":[{"text":"`+hiddenMark+`"}],"subject":{"reference":"Patient/`+near+`"}`+rest+`}`, nil)
		return kind + "/" + idOf(resp), idOf(resp)
	}
	encounter, _ := about("Encounter", "")
	wide.want(http.StatusCreated, "POST", "/Practitioner", `{"resourceType":"Practitioner","id":"p","name":[{"family":"`+hiddenMark+`"}]}`, nil)
	resp, _ = wide.want(http.StatusCreated, "POST", "/Observation", `{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/`+near+`"},"encounter":{"reference":"`+encounter+`"}`+coded("laboratory")+`}`, nil)
	lab := idOf(resp)
	vital, vitalID := about("Observation", coded("vital-signs"))
	// An id of the client's own does not tell its patient.
	wide.want(http.StatusCreated, "PUT", "/Condition/own-id", `{"resourceType":"Condition","id":"own-id","note":[{"text":"`+hiddenMark+`"}],"subject":{"reference":"Patient/`+near+`"}}`, nil)

	a := k.app("growth", true)
	v := a.params(scopes)
	v.Set("launch", k.opened("growth"))
	page, code := a.ask(v)
	k.approve(http.StatusOK, code, approval{by: k.doctor, bundles: bundles})
	a.redeem(page)
	// A reference to what is hidden, in a chart that is not open yet or is, is one
	// to nothing: whose it is cannot be told from it.
	sameAsNothing := func() {
		t.Helper()
		post := func(id string) (int, string) {
			resp, got := a.fhir("POST", "/Provenance", `{"resourceType":"Provenance","target":[{"reference":"Condition/`+id+`"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}`)
			return resp.StatusCode, string(got)
		}
		status, hidden := post("own-id")
		absentStatus, absent := post("no-such-id")
		if status != absentStatus || hidden != absent {
			t.Errorf("a reference to what is hidden: got %d %s, to nothing %d %s; want them alike", status, clip([]byte(hidden)), absentStatus, clip([]byte(absent)))
		}
	}
	sameAsNothing()
	for _, patient := range []*device{neighbour, k.patient} {
		a.session().drop(patient.id)
	}
	sameAsNothing()
	want := map[string]int{
		"/Observation?patient=" + near + "&_include=Observation:encounter&_include=Observation:performer&_revinclude=Provenance:target": 1,
		"/Observation?patient=" + near + "," + k.id + "&_include=*":                                                                     3,
		"/Observation?date=ge1900":               0,
		"/Patient?_has:Condition:patient:code=x": 0,
		"/Observation?encounter:Encounter._id=" + strings.TrimPrefix(encounter, "Encounter/") + "&patient=" + near: 0,
		"/Patient?_id=" + near + "&_has:Observation:patient:_id=" + vitalID:                                        0,
		"/Patient?_id=" + near + "&_has:Observation:patient:_id=" + lab:                                            1,
	}
	for path, n := range want {
		resp, got := a.fhir("GET", path, "")
		if strings.Contains(string(got), hiddenMark) || strings.Contains(string(got), `"Encounter",`) {
			t.Errorf("%s: holds what no scope covers", path)
		}
		var l listed
		if err := json.Unmarshal(got, &l); err != nil || resp.StatusCode != http.StatusOK || l.Total != n {
			t.Errorf("%s: got %d with total %d, want 200 with %d", path, resp.StatusCode, l.Total, n)
		}
	}
	a.want(http.StatusForbidden, "GET", "/"+encounter, "")
	a.want(http.StatusNotFound, "GET", "/"+vital, "")
	a.want(http.StatusForbidden, "GET", "/Condition/own-id", "")
	sameAsNothing()
	// Only what its session was lent is there at all.
	third := k.world.patient()
	if k.gateway.ids.tag(third.id) == k.gateway.ids.tag(abaton.ActorID{}) {
		t.Fatal("tags do not tell patients apart")
	}
	a.want(http.StatusNotFound, "GET", "/Patient/"+k.gateway.ids.fresh(third.id), "")
}
