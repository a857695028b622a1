package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"crypto/elliptic"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
)

// opened is a launch of an app on the clinic's patient by its doctor.
func (k *clinic) opened(id string) string {
	k.t.Helper()
	var out login.AppLaunched
	k.c.want(http.StatusOK, "POST", "/apps/launch", `{"app":"`+id+`","patientId":"`+k.id+`"}`, &out)
	u, err := url.Parse(out.URL)
	if err != nil || u.Query().Get("iss") != k.web.URL {
		k.t.Fatalf("launch: got %s, %v", out.URL, err)
	}
	return u.Query().Get("launch")
}

// A clinician's launch is for one app, used once, approved by who launched it,
// and patient/ scopes are about its patient alone.
func TestClinicianLaunch(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.register(publicApp("growth", "launch launch/patient openid fhirUser patient/*.rs user/Observation.rs") + publicApp("other", "launch patient/*.rs"))
	neighbour := k.world.patient()
	theirs := k.share(neighbour, k.doctor, grant.Read, allCategories()...)
	mine := k.share(k.patient, k.doctor, grant.Read, allCategories()...)
	directory := k.share(k.org, k.doctor, grant.Read, login.DirectoryCategory())
	both := []session.Bundle{theirs, mine, directory}
	wide := k.signIn(k.doctor, both...)
	resp, _ := wide.with(headerPatient, neighbour.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	neighbourID := idOf(resp)
	resp, _ = wide.want(http.StatusCreated, "POST", "/Practitioner", `{"resourceType":"Practitioner","identifier":[{"system":"`+actorSystem+`","value":"`+k.doctor.id.String()+`"}]}`, nil)
	practitioner := idOf(resp)

	a := k.app("growth", true)
	v := a.params("launch openid fhirUser patient/*.rs user/Observation.rs")
	v.Set("launch", k.opened("growth"))
	page, code := a.ask(v)
	colleague, _ := k.clinician()
	k.approve(http.StatusForbidden, code, approval{by: colleague, bundles: []session.Bundle{k.share(k.patient, colleague, grant.Read, allCategories()...)}})
	k.approve(http.StatusForbidden, code, approval{by: k.doctor, bundles: both, patient: neighbour.id.String(), patientID: neighbourID})
	k.approve(http.StatusUnprocessableEntity, code, approval{by: k.doctor, bundles: both[:1]})
	k.approve(http.StatusOK, code, approval{by: k.doctor, bundles: both})
	a.redeem(page)
	if a.got.Patient != k.id || a.got.Banner == nil || !*a.got.Banner {
		t.Errorf("context: got patient %v and banner %v, want the launched one and a banner", a.got.Patient == k.id, a.got.Banner)
	}
	if who := a.identity()["fhirUser"]; who != k.web.URL+"/Practitioner/"+practitioner {
		t.Errorf("fhirUser: got %v, want the Practitioner that names the doctor's actor", who)
	}
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	a.want(http.StatusNotFound, "GET", "/Patient/"+neighbourID, "") // patient/ is about the one in context
	a.want(http.StatusOK, "GET", "/Observation?patient="+neighbourID, "")
	a.want(http.StatusOK, "GET", "/Practitioner/"+practitioner, "")
	a.want(http.StatusForbidden, "POST", "/Observation", k.observation(""))

	v = a.params("launch patient/*.rs")
	v.Set("client_id", "other")
	v.Set("launch", k.opened("growth"))
	for _, launch := range []string{v.Get("launch"), v.Get("launch"), k.opened("growth")} {
		v.Set("launch", launch)
		resp, _ := k.app("other", true).send("GET", "/authorize?"+v.Encode(), "", nil)
		if to := resp.Header.Get("Location"); !strings.Contains(to, "error=invalid_request") {
			t.Errorf("another app's launch: got %s", to)
		}
	}
	v = a.params("launch patient/*.rs")
	v.Set("launch", k.opened("growth"))
	a.ask(v)
	if resp, _ := a.send("GET", "/authorize?"+v.Encode(), "", nil); !strings.Contains(resp.Header.Get("Location"), "error=invalid_request") {
		t.Errorf("a launch used twice: got %s", resp.Header.Get("Location"))
	}
	v.Set("launch", k.opened("growth"))
	k.clock.advance(6 * time.Minute)
	if resp, _ := a.send("GET", "/authorize?"+v.Encode(), "", nil); !strings.Contains(resp.Header.Get("Location"), "error=invalid_request") {
		t.Errorf("an old launch: got %s", resp.Header.Get("Location"))
	}
	k.c.want(http.StatusNotFound, "POST", "/apps/launch", `{"app":"growth","patientId":"`+neighbourID+`"}`, nil)
}

// service is a registered backend service with an agent that a patient lets
// read.
func (k *clinic) service(scopes string) (*app, *device, []session.Bundle) {
	k.t.Helper()
	d := k.device(actor.Agent)
	k.enlist(d, abaton.RoleBatch, steward)
	key := newKey(k.t, elliptic.P384())
	k.register(signingApp("backend", "nightly", scopes, keySet(k.t, key), "actor = \""+d.id.String()+"\""))
	a := k.app("nightly", false)
	a.signer = key
	return a, d, []session.Bundle{k.share(k.patient, d, grant.Read, allCategories()...)}
}

func (k *clinic) lend(status int, d *device, scope string, bundles ...session.Bundle) {
	k.t.Helper()
	c := &caller{w: k.world}
	var o login.Offer
	c.want(http.StatusOK, "POST", "/login/offer", "{}", &o)
	body, err := json.Marshal(login.ServiceLoan{App: "nightly", Scope: scope, Completion: *k.completion(o, d, bundles...)})
	if err != nil {
		k.t.Fatal(err)
	}
	c.want(status, "POST", "/apps/lend", string(body), nil)
}

func serviceForm(scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
}

// A backend service acts under its own agent, on a session lent in advance, by
// its own signature.
func TestBackendService(t *testing.T) {
	k := newClinic(t)
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	a, d, bundles := k.service("system/Observation.rs system/Patient.r")
	if status, _, failed := a.exchange(serviceForm("system/*.rs")); status != 503 || failed != "temporarily_unavailable" {
		t.Errorf("with nothing lent: got %d %s", status, failed)
	}
	k.lend(http.StatusForbidden, k.doctor, "system/*.rs", bundles...)
	k.lend(http.StatusUnprocessableEntity, d, "system/Condition.rs", bundles...)
	k.lend(http.StatusOK, d, "system/*.rs", bundles...)
	status, got, failed := a.exchange(serviceForm("system/*.rs"))
	if status != http.StatusOK || got.Scope != "system/Observation.rs system/Patient.r" || got.Again != "" || got.Patient != "" {
		t.Fatalf("token: got %d %s with scope %q", status, failed, got.Scope)
	}
	a.got = got
	a.want(http.StatusOK, "GET", "/Observation?patient="+k.id, "")
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	a.want(http.StatusForbidden, "GET", "/Patient?_id="+k.id, "")

	status, narrow, _ := a.exchange(serviceForm("system/Patient.r"))
	if status != http.StatusOK {
		t.Fatalf("narrower: got %d", status)
	}
	wide := a.got
	a.got = narrow
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	a.want(http.StatusForbidden, "GET", "/Observation?patient="+k.id, "")
	if status, _, failed := a.exchange(serviceForm("system/Condition.rs patient/*.rs")); status != 400 || failed != "invalid_scope" {
		t.Errorf("scope of others: got %d %s", status, failed)
	}

	resp, text := a.form("/introspect", url.Values{"token": {wide.Access}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion": {a.assertion("/introspect")}}, nil)
	var in inspected
	if err := json.Unmarshal(text, &in); resp.StatusCode != 200 || err != nil || !in.Active || in.Client != "nightly" || in.Scope != wide.Scope {
		t.Errorf("introspection: got %d, %v", resp.StatusCode, err)
	}
	k.lend(http.StatusOK, d, "system/*.rs", bundles...)
	status, got, _ = a.exchange(serviceForm("system/Patient.r"))
	if status != http.StatusOK {
		t.Fatalf("on the next session: got %d", status)
	}
	k.gateway.apps.mu.Lock()
	lent := k.gateway.apps.services["nightly"].lent
	k.gateway.apps.mu.Unlock()
	a.got = got
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	k.gateway.sessions.end(lent.anchor)
	a.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "") // a view ends with what it is a view on
	a.got = wide
	k.lend(http.StatusOK, d, "system/*.rs", bundles...) // in place of the one before, which ends
	a.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "")
	a.got = narrow
	a.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "")
}

// An assertion that does not hold, or comes twice, names nobody.
func TestClientAssertions(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	a, d, bundles := k.service("system/Patient.r")
	k.lend(http.StatusOK, d, "system/*.rs", bundles...)
	send := func(v url.Values) (int, string) {
		_, got := a.form("/token", v, nil)
		var out struct{ Error string }
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatal(err)
		}
		if out.Error == "" {
			return 200, ""
		}
		return 401, out.Error
	}
	with := func(assertion string) url.Values {
		v := serviceForm("system/Patient.r")
		v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		v.Set("client_assertion", assertion)
		return v
	}
	once := a.assertion("/token")
	if _, failed := send(with(once)); failed != "" {
		t.Errorf("good: got %s", failed)
	}
	late := a.assertion("/token")
	stranger := k.app("nightly", false)
	stranger.signer = newKey(t, elliptic.P384())
	named := with(a.assertion("/token"))
	named.Set("client_id", "other")
	secretive := serviceForm("system/Patient.r")
	secretive.Set("client_id", "nightly")
	secretive.Set("client_secret", "x")
	bare := serviceForm("system/Patient.r")
	bare.Set("client_id", "nightly")
	wrongKind := with(a.assertion("/token"))
	wrongKind.Set("client_assertion_type", "x")
	for name, v := range map[string]url.Values{
		"again": with(once), "for another endpoint": with(a.assertion("/revoke")), "another key": with(stranger.assertion("/token")),
		"another name beside it": named, "a shared secret": secretive, "a name alone": bare, "another type": wrongKind, "garbage": with("a.b.c"),
	} {
		if _, failed := send(v); failed != "invalid_client" {
			t.Errorf("%s: got %q, want invalid_client", name, failed)
		}
	}
	k.clock.advance(2 * time.Minute)
	if _, failed := send(with(late)); failed != "invalid_client" {
		t.Errorf("late: got %q, want invalid_client", failed)
	}
}

// A value of one app means nothing to another.
func TestIntrospectionIsOnesOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	agent, bundles := k.agent(fhir.Categories(), nil)
	key := newKey(t, elliptic.P384())
	back := "redirect_uris = [\"" + appBack + "\"]"
	k.register(signingApp("confidential", "one", "patient/*.rs", keySet(t, key), back) + signingApp("confidential", "two", "patient/*.rs", keySet(t, key), back))
	a := k.app("one", false)
	a.signer = key
	a.launch("patient/*.rs", approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	other := k.app("two", false)
	other.signer = key
	for _, path := range []string{"/introspect", "/revoke"} {
		resp, got := other.form(path, url.Values{"token": {a.got.Access}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion": {other.assertion(path)}}, nil)
		if resp.StatusCode != 200 || strings.Contains(string(got), "true") {
			t.Errorf("%s by another app: got %d %s", path, resp.StatusCode, got)
		}
	}
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
}

// Browsers let pages of registered apps read answers, by their exact origin,
// and never those about people's devices.
func TestCORS(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.register(publicApp("growth", "patient/*.rs") + "[[app]]\nid = \"dev\"\nname = \"x\"\ntype = \"public\"\nredirect_uris = [\"http://127.0.0.1/back\"]\nscopes = \"patient/*.rs\"\n")
	a := k.app("growth", true)
	for _, c := range []struct {
		origin, path string
		want         bool
	}{
		{"https://app.test", "/Patient/" + k.id, true},
		{"https://app.test", "/token", true},
		{"https://app.test", "/metadata", true},
		{"http://127.0.0.1:4321", "/metadata", true},
		{"https://app.test", "/authorize", false},
		{"https://app.test", "/apps/approve", false},
		{"https://app.test", "/login/offer", false},
		{"https://app.test:444", "/metadata", false},
		{"http://app.test", "/metadata", false},
		{"https://evil.test", "/metadata", false},
		{"null", "/metadata", false},
		{"http://127.0.0.1.evil.test", "/metadata", false},
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			resp, _ := a.send(method, c.path, "", map[string]string{"Origin": c.origin, "Access-Control-Request-Method": "GET"})
			got := resp.Header.Get("Access-Control-Allow-Origin")
			if (got == c.origin) != c.want || got == "*" || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s from %s: got %q, want allowed: %v", method, c.path, c.origin, got, c.want)
			}
			if c.want && method == "OPTIONS" && (resp.StatusCode != 204 || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "DPoP")) {
				t.Errorf("preflight of %s: got %d and %v", c.path, resp.StatusCode, resp.Header)
			}
		}
	}
}

// A revoked grant ends what the app reads, as it ends anybody's reading, and
// what is said in the ledgers names the app.
func TestStoppedGrantEndsTheApp(t *testing.T) {
	k := newClinic(t)
	a := k.patientApp("launch/patient patient/*.rs")
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	state, err := k.net.Log(t.Context(), k.patient.id)
	if err != nil {
		t.Fatal(err)
	}
	var ended []abaton.GrantID
	for id, g := range state.Grants() {
		if g.Grantee != k.org.id && g.Grantee != k.doctor.id && g.Actions&grant.Read != 0 {
			ended = append(ended, id)
		}
	}
	if len(ended) != 1 {
		t.Fatalf("grants to the app: got %d, want 1", len(ended))
	}
	if p, err := k.net.Revoke(t.Context(), client.KeyHand(k.patient.id, k.patient.signing), ended[0], false); err != nil || !p.InForce {
		t.Fatalf("revoke: in force %v, %v", p.InForce, err)
	}
	k.clock.advance(lease + time.Second)
	a.want(http.StatusNotFound, "GET", "/Patient/"+k.id, "")
}

// A gateway without a registry serves no apps and says nothing of any.
func TestNoRegistryNoApps(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.gateway.apps = nil
	c := &caller{w: k.world}
	for _, path := range []string{"/.well-known/smart-configuration", "/jwks", "/authorize?client_id=x", "/authorize/abc"} {
		c.want(http.StatusNotFound, "GET", path, "", nil)
	}
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
}
