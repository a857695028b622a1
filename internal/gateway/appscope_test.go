package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/seal"
)

// planted is a record of which an app with granular scopes may see a part:
// laboratory results, and no other observation, no condition.
type planted struct {
	*clinic
	seen, hidden, condition, mixed string // ids; mixed was a laboratory result once
	mixedFirst                     string // its first version
	became                         string // a laboratory result now, and not in its first version
}

const hiddenMark = "KEEP-THIS-HIDDEN"

func coded(category string) string {
	return `,"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"` + category + `"}]}]`
}

func plant(t *testing.T) *planted {
	k := newClinic(t)
	p := &planted{clinic: k}
	make := func(path, body string) (string, string) {
		resp, _ := k.c.want(http.StatusCreated, "POST", path, body, nil)
		return idOf(resp), strings.Trim(resp.Header.Get("ETag"), `W/"`)
	}
	p.seen, _ = make("/Observation", k.observation(coded("laboratory")+`,"note":[{"text":"shown"}]`))
	p.hidden, _ = make("/Observation", k.observation(coded("vital-signs")+`,"note":[{"text":"`+hiddenMark+`"}]`))
	p.condition, _ = make("/Condition", `{"resourceType":"Condition","note":[{"text":"`+hiddenMark+`"}],"subject":{"reference":"Patient/`+k.id+`"}}`)
	p.mixed, p.mixedFirst = make("/Observation", k.observation(coded("laboratory")+`,"note":[{"text":"`+hiddenMark+`"}]`))
	next := strings.Replace(k.observation(coded("social-history")+`,"note":[{"text":"`+hiddenMark+`"}]`), `"Observation",`, `"Observation","id":"`+p.mixed+`",`, 1)
	k.c.want(http.StatusOK, "PUT", "/Observation/"+p.mixed, next, nil)
	p.became, _ = make("/Observation", k.observation(coded("vital-signs")+`,"note":[{"text":"`+hiddenMark+`"}]`))
	k.c.want(http.StatusOK, "PUT", "/Observation/"+p.became, p.over(p.became, "laboratory"), nil)
	return p
}

const laboratory = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"

// TestNoRouteEscapesTheScopes walks through every route of the table, with
// every id there is, as an app that may do all there is with laboratory
// results. Nothing that it answers may hold a mark of what lies beside them.
func TestNoRouteEscapesTheScopes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := plant(t)
	a := k.patientApp("launch/patient patient/Observation.cruds?category=" + strings.ReplaceAll(laboratory, "|", "%7C") + " patient/Patient.cr")
	walked := 0
	for _, way := range k.gateway.table.routes {
		if way.policy != bySession {
			continue
		}
		for _, path := range k.pathsOf(&way) {
			for _, body := range k.bodiesOf(&way, path) {
				walked++
				resp, got := a.fhir(way.method, path, body)
				if strings.Contains(string(got), hiddenMark) {
					t.Errorf("%s %s: the answer %d holds what the scopes do not cover", way.method, way.pattern, resp.StatusCode)
				}
				if _, ok := way.appAction(); !ok && resp.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s: got %d, want 403: the route is closed to apps", way.method, way.pattern, resp.StatusCode)
				}
			}
		}
	}
	if walked < 60 {
		t.Errorf("walked %d requests, want all routes with all ids", walked)
	}
	// Nothing was changed either.
	for _, at := range []string{"/Observation/" + k.hidden, "/Observation/" + k.mixed, "/Condition/" + k.condition} {
		if _, got := k.c.want(http.StatusOK, "GET", at, "", nil); !strings.Contains(string(got), hiddenMark) {
			t.Errorf("%s was changed by the app", strings.Split(at, "/")[1])
		}
	}
	a.want(http.StatusForbidden, "GET", "/Condition?patient="+k.id, "") // a whole type
	a.want(http.StatusNotFound, "GET", "/Observation/"+k.hidden, "")    // one of a type
	a.want(http.StatusNotFound, "GET", "/Observation/"+k.mixed, "")
	a.want(http.StatusNotFound, "GET", "/Observation/"+k.mixed+"/_history/"+k.mixedFirst, "")
	// The last look at what is written stands by itself.
	p := a.session()
	for name, ch := range map[string]*change{
		"an update of what is not covered": {content: []byte(k.over(k.hidden, "laboratory")), envelope: seal.Envelope{Type: "Observation", ID: k.hidden, Parents: []string{"x"}}},
		"a deletion of it":                 {content: []byte(k.over(k.hidden, "laboratory")), envelope: seal.Envelope{Type: "Observation", ID: k.hidden, Deleted: true}},
		"what is not covered":              {content: []byte(k.observation(coded("vital-signs"))), envelope: seal.Envelope{Type: "Observation", ID: "new"}},
		"a new patient":                    {content: []byte(`{"resourceType":"Patient"}`), envelope: seal.Envelope{Type: "Patient", ID: "new"}},
		"an entry of the directory":        {envelope: seal.Envelope{Kind: seal.KindDirectory, Type: "Patient", ID: "new"}},
	} {
		ch.home, ch.line = k.patient.id, k.patient.root.Line(fhir.General.ID()) // where the app may add
		if ch.envelope.Kind == 0 {
			ch.envelope.Kind = seal.KindResource
		}
		if err := k.gateway.mayWrite(t.Context(), p, []*change{ch}); err == nil {
			t.Errorf("%s: may be written", name)
		}
	}
}

// session is what the app's access stands for.
func (a *app) session() *person {
	name, _ := nameOf(a.got.Access)
	return a.w.gateway.apps.accessed(name, a.w.clock.now()).person
}

// pathsOf are the paths of a route for every type and id there is.
func (k *planted) pathsOf(way *route) (paths []string) {
	for _, at := range [][2]string{{"Observation", k.seen}, {"Observation", k.hidden}, {"Observation", k.mixed}, {"Observation", k.became}, {"Condition", k.condition}, {"Patient", k.id}} {
		path := strings.NewReplacer("{type}", at[0], "{id}", at[1], "{version}", k.mixedFirst).Replace(way.pattern)
		if way.method == http.MethodDelete && (at[1] == k.seen || at[1] == k.id) {
			continue
		}
		if way.body == noBody && strings.Count(path, "/") == 1 || strings.Contains(path, "$") {
			for _, q := range []string{"", "?_id=" + at[1], "?patient=" + k.id, "?_id=" + at[1] + "&patient=" + k.id, "?_type=Condition,Observation&_count=1000",
				"?_include=*&_revinclude=*", "?_has:Condition:patient:_id=" + k.condition, "?_sort=_lastUpdated&_summary=count&_total=accurate"} {
				paths = append(paths, path+q)
			}
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

// bodiesOf are bodies that a route might take.
func (k *planted) bodiesOf(way *route, path string) []string {
	kind, id, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch way.body {
	case noBody:
		return []string{""}
	case formBody:
		return []string{"patient=" + k.id, "_id=" + k.hidden, "_id=" + k.condition + "&patient=" + k.id}
	case loginBody:
		return []string{`{}`, `{"app":"growth","patientId":"` + k.id + `"}`}
	case bundleBody:
		var bodies []string
		for _, shape := range []string{"batch", "transaction"} {
			for _, entry := range []string{
				`{"request":{"method":"GET","url":"Observation/` + k.hidden + `"}}`,
				`{"request":{"method":"GET","url":"Condition?patient=` + k.id + `"}}`,
				`{"request":{"method":"GET","url":"Observation/` + k.mixed + `/_history"}}`,
				`{"request":{"method":"GET","url":"Patient/` + k.id + `/$everything"}}`,
				`{"request":{"method":"DELETE","url":"Observation/` + k.hidden + `"}}`,
				`{"request":{"method":"DELETE","url":"Condition/` + k.condition + `"}}`,
				`{"request":{"method":"PUT","url":"Observation/` + k.hidden + `"},"resource":` + k.over(k.hidden, "laboratory") + `}`,
				`{"request":{"method":"POST","url":"Observation","ifNoneExist":"_id=` + k.hidden + `"},"resource":` + k.observation(coded("vital-signs")) + `}`,
				`{"request":{"method":"POST","url":"Condition"},"resource":{"resourceType":"Condition","subject":{"reference":"Patient/` + k.id + `"}}}`,
			} {
				bodies = append(bodies, `{"resourceType":"Bundle","type":"`+shape+`","entry":[`+entry+`]}`)
			}
		}
		return bodies
	}
	if kind == "Observation" && id != "" {
		return []string{k.over(id, "laboratory"), k.over(id, "vital-signs")}
	}
	return []string{k.observation(coded("vital-signs")), `{"resourceType":"` + kind + `","id":"` + id + `","subject":{"reference":"Patient/` + k.id + `"}}`}
}

// over is an Observation to put in an id's place.
func (k *planted) over(id, category string) string {
	return strings.Replace(k.observation(coded(category)), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
}

// Counts and totals do not tell of what is not covered.
func TestScopesLeaveNoTraceInCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := plant(t)
	a := k.patientApp("launch/patient patient/Observation.rus?category=" + strings.ReplaceAll(laboratory, "|", "%7C") + " patient/Patient.r")
	var found struct{ Total int }
	if err := json.Unmarshal(a.want(http.StatusOK, "GET", "/Observation?patient="+k.id, ""), &found); err != nil || found.Total != 2 {
		t.Errorf("total of observations: got %d, %v, want 2", found.Total, err)
	}
	if err := json.Unmarshal(a.want(http.StatusOK, "GET", "/Patient/"+k.id+"/$everything", ""), &found); err != nil || found.Total != 2 {
		t.Errorf("total of everything: got %d, %v, want 2: Patient may be read and not searched for", found.Total, err)
	}
	other := a.want(http.StatusNotFound, "GET", "/Observation/"+k.hidden, "")
	none := a.want(http.StatusNotFound, "GET", "/Observation/"+k.gateway.ids.fresh(k.patient.id), "")
	if string(other) != string(none) {
		t.Errorf("what is not covered answers %s, what does not exist %s: want the same", other, none)
	}
	hidden, _ := a.fhir("PUT", "/Observation/"+k.hidden, k.over(k.hidden, "laboratory"))
	absent, _ := a.fhir("PUT", "/Observation/never-there", k.over("never-there", "laboratory"))
	if hidden.StatusCode != absent.StatusCode {
		t.Errorf("update of what is not covered: got %d, of what does not exist %d", hidden.StatusCode, absent.StatusCode)
	}
}

// Each letter allows its interactions and no other.
func TestEachActionIsItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	id, version := idOf(resp), strings.Trim(resp.Header.Get("ETag"), `W/"`)
	put := strings.Replace(k.observation(""), `"Observation",`, `"Observation","id":"`+id+`",`, 1)
	at := "/Observation/" + id
	for _, c := range []struct {
		actions string
		want    map[string]int // only what is not 403
	}{
		{"r", map[string]int{"GET " + at: 200, "GET " + at + "/_history": 200, "GET " + at + "/_history/" + version: 200}},
		{"s", map[string]int{"GET /Observation?patient=" + k.id: 200, "POST /Observation/_search": 200}},
		{"c", map[string]int{"POST /Observation": 201}},
		{"u", map[string]int{"PUT " + at: 200}},
		{"d", map[string]int{"DELETE " + at: 204}},
	} {
		t.Run(c.actions, func(t *testing.T) {
			a := k.patientApp("patient/Observation." + c.actions)
			for _, r := range []struct{ line, body string }{
				{"GET " + at, ""}, {"GET " + at + "/_history", ""}, {"GET " + at + "/_history/" + version, ""},
				{"GET /Observation?patient=" + k.id, ""}, {"POST /Observation/_search", "patient=" + k.id},
				{"POST /Observation", k.observation("")}, {"PUT " + at, put}, {"DELETE " + at, ""},
				{"GET /Patient/" + k.id, ""}, {"GET /Patient/" + k.id + "/$everything", ""}, {"POST /logout", ""},
			} {
				method, path, _ := strings.Cut(r.line, " ")
				want := c.want[r.line]
				if want == 0 {
					want = http.StatusForbidden
				}
				resp, got := a.fhir(method, path, r.body)
				if resp.StatusCode != want {
					t.Errorf("%s with .%s: got %d %s, want %d", strings.ReplaceAll(r.line, id, "[id]"), c.actions, resp.StatusCode, clip(got), want)
				}
				if want == http.StatusForbidden && !strings.Contains(resp.Header.Get("WWW-Authenticate"), "insufficient_scope") {
					t.Errorf("%s: 403 without insufficient_scope", r.line)
				}
			}
		})
	}
}

// In a batch one entry that is not allowed leaves the others as they are.
func TestBatchRefusesEntryByEntry(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	a := k.patientApp("patient/Observation.c")
	got := a.want(http.StatusOK, "POST", "/", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Observation"},"resource":`+k.observation("")+
		`},{"request":{"method":"POST","url":"Condition"},"resource":{"resourceType":"Condition","subject":{"reference":"Patient/`+k.id+`"}}}]}`)
	var b struct {
		Entry []struct{ Response struct{ Status string } }
	}
	if err := json.Unmarshal(got, &b); err != nil || len(b.Entry) != 2 || b.Entry[0].Response.Status != "201 Created" || b.Entry[1].Response.Status != "403 Forbidden" {
		t.Errorf("got %+v, %v, want 201 and 403", b.Entry, err)
	}
}

// A condition is a search, and an import reads what is there: neither comes
// with the right to add.
func TestAddingIsNotLooking(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	a := k.patientApp("patient/Observation.c")
	for name, value := range map[string]string{"If-None-Exist": "_id=x", headerImport: "true", headerPatient: k.patient.id.String()} {
		h := map[string]string{"Authorization": "DPoP " + a.got.Access, "DPoP": a.proof("POST", k.web.URL+"/Observation", a.got.Access),
			"Content-Type": "application/fhir+json", name: value}
		if resp, got := a.send("POST", "/Observation", k.observation(""), h); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %d %s, want 403", name, resp.StatusCode, clip(got))
		}
	}
	a.want(http.StatusCreated, "POST", "/Observation", k.observation(""))
}

// An app writes under the patient's grant to the app: without one for the part
// of the record a resource belongs to, it writes nothing; with one and no seed
// it writes blind.
func TestAppWritesUnderItsOwnGrant(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.register(publicApp("growth", "patient/*.cruds"))
	hiv := k.observation(`,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}`)
	if r, err := fhir.ParseResource([]byte(hiv)); err != nil || fhir.CategoryOf(r) != fhir.HIVSTI {
		t.Fatalf("the sample is not of the category that this test needs: %v, %v", fhir.CategoryOf(r), err)
	}
	for _, c := range []struct {
		name        string
		read, add   []fhir.Category
		plain, deep int
	}{
		{"reads only", fhir.Categories(), nil, 403, 403},
		{"adds to general", fhir.Categories(), []fhir.Category{fhir.General}, 201, 403},
		{"adds blind", nil, []fhir.Category{fhir.General, fhir.HIVSTI}, 201, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			agent, bundles := k.agent(c.read, c.add)
			a := k.app("growth", true)
			a.launch("patient/*.cruds", approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
			a.want(c.plain, "POST", "/Observation", k.observation(""))
			a.want(c.deep, "POST", "/Observation", hiv)
			if c.read == nil {
				a.want(http.StatusNotFound, "GET", "/Patient/"+k.id, "")
			}
			a.want(http.StatusUnprocessableEntity, "POST", "/Patient", `{"resourceType":"Patient"}`)
			a.want(http.StatusForbidden, "POST", "/Organization", `{"resourceType":"Organization"}`)
		})
	}
}

// The tables of routes and actions agree: a new route is closed to apps until
// somebody says here what scope it needs.
func TestRoutesOfApps(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	want := map[string]string{
		"GET /{type}/{id}": "r", "GET /{type}/{id}/_history": "r", "GET /{type}/{id}/_history/{version}": "r", "GET /Patient/{id}/$everything": "r",
		"GET /{type}": "s", "POST /{type}/_search": "s", "POST /{type}": "c", "PUT /{type}/{id}": "u", "DELETE /{type}/{id}": "d", "POST /": "",
		"PATCH /{type}/{id}": "u", "GET /DocumentReference/$docref": "s", "POST /DocumentReference/$docref": "s",
		"GET /$export": "", "POST /$export": "", "GET /Patient/$export": "", "POST /Patient/$export": "",
		"GET /bulk/{id}": "", "DELETE /bulk/{id}": "", "GET /bulk/{id}/{version}": "",
		"GET /Group/{id}/$export": "closed", "POST /Group/{id}/$export": "closed", "POST /$import": "closed", "PUT /bulk/{id}/{version}": "closed",
		"GET /Subscription/{id}/$status": "closed", "POST /Subscription/{id}/$status": "closed",
		"GET /{type}/_history": "closed", "GET /_history": "closed",
		"PATCH /{type}": "closed", "PUT /{type}": "closed", "DELETE /{type}": "closed",
		"GET /Binary/{id}": "r", "HEAD /Binary/{id}": "r", "POST /Binary": "c", "PUT /Binary/{id}": "u", "GET /Binary/{id}/_history/{version}": "closed",
		"POST /Binary/$upload": "closed", "HEAD /Binary/$upload/{id}": "closed", "PATCH /Binary/$upload/{id}": "closed", "DELETE /Binary/$upload/{id}": "closed",
		"POST /Patient/{id}/$document": "closed", "POST /Patient/$merge": "closed", "POST /Patient/$unmerge": "closed",
		"POST /{type}/$validate": "closed", "POST /{type}/{id}/$validate": "closed", "POST /login/seeds": "closed", "POST /logout": "closed", "POST /apps/launch": "closed",
		"GET /portal/me": "closed", "POST /portal/step-up": "closed", "GET /portal/second": "closed", "POST /portal/second": "closed",
		"POST /portal/unseal": "closed", "POST /portal/wrap": "closed",
	}
	for _, way := range k.gateway.table.routes {
		if way.policy != bySession {
			continue
		}
		name := way.method + " " + way.pattern
		a, ok := way.appAction()
		got := a.String()
		if !ok {
			got = "closed"
		}
		if w, listed := want[name]; !listed {
			t.Errorf("%s is a new route: say in appAction which scope it needs, or here that it is closed to apps", name)
		} else if got != w {
			t.Errorf("%s: got %q, want %q", name, got, w)
		}
	}
	if (smart.Scopes{}).Can(smart.Read, "Patient") {
		t.Error("no scopes allow reading")
	}
}
