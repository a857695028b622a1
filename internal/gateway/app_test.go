package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/smart"
)

// A patient's app, from discovery to the end: page, device, code, proof,
// identity, renewal, giving back.
func TestPatientAppJourney(t *testing.T) {
	k := newClinic(t)
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	scope := "launch/patient openid fhirUser offline_access patient/*.rs patient/Nothing.r smart/what"
	k.register(publicApp("growth", "launch/patient openid fhirUser offline_access patient/*.cruds"))
	agent, bundles := k.agent(fhir.Categories(), nil)
	a := k.app("growth", true)
	var found discovery
	_, got := a.send("GET", "/.well-known/smart-configuration", "", nil)
	if err := json.Unmarshal(got, &found); err != nil || found.Access != k.web.URL+"/token" || found.Challenges[0] != "S256" {
		t.Fatalf("discovery: got %s, %v", clip(got), err)
	}
	a.launch(scope, approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
	if a.got.Type != "DPoP" || a.got.Patient != k.id || a.got.Again == "" || a.got.Expires != int64(appAccessMax/time.Second) {
		t.Errorf("token: got type %s and %d s, want DPoP, the patient, a renewal and ten minutes", a.got.Type, a.got.Expires)
	}
	if want := "launch/patient openid fhirUser offline_access patient/*.rs"; a.got.Scope != want {
		t.Errorf("scope: got %q, want %q: unknown ones are dropped and told", a.got.Scope, want)
	}
	if got := a.want(http.StatusOK, "GET", "/Patient/"+k.id, ""); !strings.Contains(string(got), "Planted") {
		t.Errorf("read: got %s", clip(got))
	}
	a.want(http.StatusOK, "GET", "/Observation?patient="+k.id, "")
	a.want(http.StatusOK, "GET", "/Observation", "") // about the patient in context
	a.want(http.StatusForbidden, "POST", "/Observation", k.observation(""))
	first := a.identity()
	if first["fhirUser"] != k.web.URL+"/Patient/"+k.id || first["nonce"] != "n-1" || first["aud"] != "growth" || first["iss"] != k.web.URL {
		t.Errorf("id_token: got %v", first)
	}

	before := a.got
	if status, _, failed := a.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {before.Again}, "scope": {"patient/*.r"}}); status != 400 || failed != "invalid_scope" {
		t.Errorf("renewal with another scope: got %d %s, want invalid_scope", status, failed)
	}
	status, next, failed := a.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {before.Again}, "scope": {before.Scope}})
	if status != http.StatusOK || next.Access == before.Access || next.Again == before.Again {
		t.Fatalf("renewal: got %d %s", status, failed)
	}
	a.got = next
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	if again := a.identity(); again["sub"] != first["sub"] || again["sub"] == agent.id.String() {
		t.Errorf("subject: got %v and %v, want the same twice and no actor's name", first["sub"], again["sub"])
	}
	resp, _ := a.form("/revoke", url.Values{"client_id": {"growth"}, "token": {next.Again}}, nil)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("revoke: got %d, want 200", resp.StatusCode)
	}
	a.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "")
}

// identity verifies the id_token with the published key.
func (a *app) identity() map[string]any {
	a.w.t.Helper()
	_, text := a.send("GET", "/jwks", "", nil)
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(text, &keys); err != nil {
		a.w.t.Fatal(err)
	}
	o, err := jose.ParseSignedCompact(a.got.ID, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		a.w.t.Fatalf("id_token: %v", err)
	}
	payload, err := o.Verify(keys.Key(o.Signatures[0].Header.KeyID)[0])
	if err != nil {
		a.w.t.Fatalf("id_token: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		a.w.t.Fatal(err)
	}
	return claims
}

// A used renewal value that comes again, and a code that comes again, end all.
func TestReuseEndsAccess(t *testing.T) {
	k := newClinic(t)
	a := k.patientApp("launch/patient online_access patient/Patient.rs")
	first := a.got.Again
	status, next, _ := a.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}})
	if status != http.StatusOK {
		t.Fatalf("renewal: got %d", status)
	}
	a.got = next
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	if status, _, failed := a.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}); status != 400 || failed != "invalid_grant" {
		t.Errorf("second use: got %d %s, want invalid_grant", status, failed)
	}
	a.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "")
	if status, _, _ := a.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {next.Again}}); status != 400 {
		t.Errorf("the newest renewal after a reuse: got %d, want 400", status)
	}

	agent, bundles := k.agent(fhir.Categories(), nil)
	page, code := a.ask(a.params("patient/Patient.rs"))
	k.approve(http.StatusOK, code, approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
	q := a.back(page)
	if q.Get("iss") != k.web.URL || q.Get("state") != "s-1" {
		t.Errorf("answer: got %v, want iss and state", q)
	}
	if resp, _ := a.send("GET", page, "", nil); resp.StatusCode != http.StatusGone {
		t.Errorf("page again: got %d, want 410: a code is given once", resp.StatusCode)
	}
	status, got, _ := a.exchange(byCode(q.Get("code")))
	if status != http.StatusOK || got.Again != "" {
		t.Fatalf("code: got %d and renewal %q, want 200 and none: it was not asked for", status, got.Again)
	}
	a.got = got
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	if status, _, failed := a.exchange(byCode(q.Get("code"))); status != 400 || failed != "invalid_grant" {
		t.Errorf("code again: got %d %s", status, failed)
	}
	a.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "")
}

// A renewal value alone tells which app it is for, where the app has no more to
// show; it does not stand for an app that signs, and not without the proof.
func TestRenewalWithoutAName(t *testing.T) {
	k := newClinic(t)
	k.register(publicApp("weak", "online_access patient/*.rs") + "dpop = \"optional\"\n" + publicApp("growth", "online_access patient/*.rs"))
	agent, bundles := k.agent(fhir.Categories(), nil)
	p := approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id}
	for _, c := range []struct {
		id     string
		proves bool
		want   int
	}{{"weak", false, 200}, {"growth", true, 400}} {
		a := k.app(c.id, c.proves)
		a.launch("online_access patient/*.rs", p)
		bare := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.got.Again}}
		if resp, got := a.form("/token", bare, nil); resp.StatusCode != c.want {
			t.Errorf("%s: got %d %s, want %d", c.id, resp.StatusCode, clip(got), c.want)
		}
		bare.Set("refresh_token", a.got.Access)
		if resp, _ := a.form("/token", bare, nil); resp.StatusCode != 400 {
			t.Errorf("%s, with another value: got %d, want 400", c.id, resp.StatusCode)
		}
	}
}

// Every way to redeem a code that is not the right one fails, and burns it.
func TestCodeInWrongHands(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.register(publicApp("growth", "patient/*.rs") + publicApp("other", "patient/*.rs"))
	agent, bundles := k.agent(fhir.Categories(), nil)
	for _, c := range []struct {
		name string
		want string
		by   func(a *app, v url.Values) *app
	}{
		{"another app", "invalid_grant", func(a *app, _ url.Values) *app { return k.app("other", true) }},
		{"another verifier", "invalid_grant", func(a *app, v url.Values) *app {
			v.Set("code_verifier", strings.Repeat("x", 50))
			return a
		}},
		{"no verifier", "invalid_grant", func(a *app, v url.Values) *app { v.Del("code_verifier"); return a }},
		{"another redirect", "invalid_grant", func(a *app, v url.Values) *app { v.Set("redirect_uri", "https://app.test/b"); return a }},
		{"no proof", "invalid_dpop_proof", func(a *app, _ url.Values) *app { a.key = nil; return a }},
		{"too late", "invalid_grant", func(a *app, _ url.Values) *app { k.clock.advance(smart.CodeLife + time.Second); return a }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := k.app("growth", true)
			page, code := a.ask(a.params("patient/*.rs"))
			k.approve(http.StatusOK, code, approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
			q := a.back(page)
			v := byCode(q.Get("code"))
			if status, _, failed := c.by(a, v).exchange(v); status != 400 || failed != c.want {
				t.Errorf("got %d %s, want %s", status, failed, c.want)
			}
			again := k.app("growth", true)
			if status, _, _ := again.exchange(byCode(q.Get("code"))); status != 400 {
				t.Errorf("the code after that: got %d, want 400", status)
			}
		})
	}
}

// What is wrong with a request is told to the app only where the address is
// the app's; all else is shown to the person.
func TestAuthorizeRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.register(publicApp("growth", "launch launch/patient patient/*.rs"))
	a := k.app("growth", true)
	for _, c := range []struct {
		name string
		set  func(v url.Values)
		want string // the error told by a redirect; "" for a page
	}{
		{"unknown app", func(v url.Values) { v.Set("client_id", "nobody") }, ""},
		{"other address", func(v url.Values) { v.Set("redirect_uri", "https://evil.test/back") }, ""},
		{"address with more", func(v url.Values) { v.Set("redirect_uri", appBack+"/../x") }, ""},
		{"address with a query", func(v url.Values) { v.Set("redirect_uri", appBack+"?x=1") }, ""},
		{"address in another case", func(v url.Values) { v.Set("redirect_uri", "https://APP.test/back") }, ""},
		{"no address", func(v url.Values) { v.Del("redirect_uri") }, ""},
		{"address twice", func(v url.Values) { v.Add("redirect_uri", "https://evil.test/") }, ""},
		{"state twice", func(v url.Values) { v.Add("state", "2") }, ""},
		{"state too long", func(v url.Values) { v.Set("state", strings.Repeat("x", 3000)) }, ""},
		{"no state", func(v url.Values) { v.Del("state") }, "invalid_request"},
		{"implicit", func(v url.Values) { v.Set("response_type", "token") }, "unsupported_response_type"},
		{"fragment", func(v url.Values) { v.Set("response_mode", "fragment") }, "invalid_request"},
		{"plain PKCE", func(v url.Values) { v.Set("code_challenge_method", "plain") }, "invalid_request"},
		{"no PKCE", func(v url.Values) { v.Del("code_challenge") }, "invalid_request"},
		{"short challenge", func(v url.Values) { v.Set("code_challenge", "abc") }, "invalid_request"},
		{"wrong aud", func(v url.Values) { v.Set("aud", "https://other.test") }, "invalid_request"},
		{"no aud", func(v url.Values) { v.Del("aud") }, "invalid_request"},
		{"request object", func(v url.Values) { v.Set("request", "x.y.z") }, "request_not_supported"},
		{"nothing known", func(v url.Values) { v.Set("scope", "patient/Nope.rs") }, "invalid_scope"},
		{"not allowed", func(v url.Values) { v.Set("scope", "user/*.rs system/*.rs") }, "invalid_scope"},
		{"launch without one", func(v url.Values) { v.Set("scope", "launch patient/*.rs") }, "invalid_request"},
		{"made-up launch", func(v url.Values) { v.Set("scope", "launch patient/*.rs"); v.Set("launch", "abc") }, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := a.params("patient/*.rs")
			c.set(v)
			resp, got := a.send("GET", "/authorize?"+v.Encode(), "", nil)
			to, err := url.Parse(resp.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if resp.StatusCode != 400 || resp.Header.Get("Location") != "" || strings.Contains(string(got), "evil") {
					t.Errorf("got %d to %q, want a page and no redirect", resp.StatusCode, resp.Header.Get("Location"))
				}
				return
			}
			if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to.String(), appBack+"?") || to.Query().Get("error") != c.want || to.Query().Get("code") != "" {
				t.Errorf("got %d to %s, want %s told to the app", resp.StatusCode, to, c.want)
			}
		})
	}
}

// The page runs nothing, loads nothing and is tied to its browser; a no is
// final.
func TestPageOfTheAsk(t *testing.T) {
	k := newClinic(t)
	k.register(strings.Replace(publicApp("growth", "patient/*.rs"), "Growth chart", "<script>alert(1)</script>", 1))
	a := k.app("growth", true)
	page, code := a.ask(a.params("patient/Observation.rs?category=laboratory x/y"))
	resp, got := a.send("GET", page, "", nil)
	text := string(got)
	if strings.Contains(text, "<script") || !strings.Contains(text, "&lt;script&gt;") || !strings.Contains(text, "measurements and test results, only those whose category is laboratory") {
		t.Errorf("page: got %s", text)
	}
	csp := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) || strings.Contains(csp, "unsafe") {
			t.Errorf("policy: got %q, want %s and nothing unsafe", csp, want)
		}
	}
	stranger := k.app("growth", true)
	other, _ := secret()
	stranger.cookie = []*http.Cookie{{Name: a.cookie[0].Name, Value: other}}
	if resp, _ := stranger.send("GET", page, "", nil); resp.StatusCode != http.StatusGone {
		t.Errorf("page in another browser: got %d, want 410", resp.StatusCode)
	}
	if resp, _ := stranger.form(page, nil, nil); resp.StatusCode != http.StatusGone {
		t.Errorf("no from another browser: got %d, want 410", resp.StatusCode)
	}
	if resp, _ := a.form(page, nil, nil); resp.StatusCode != http.StatusOK {
		t.Errorf("no: got %d, want 200", resp.StatusCode)
	}
	if q := a.back(page); q.Get("error") != "access_denied" || q.Get("code") != "" {
		t.Errorf("answer to the app: got %v, want access_denied", q)
	}
	(&caller{w: k.world}).want(http.StatusNotFound, "POST", "/apps/request", `{"code":"`+code+`"}`, nil)
}

// The page's own request for news is answered when there is some.
func TestPageIsToldAtOnce(t *testing.T) {
	k := newClinic(t)
	k.register(publicApp("growth", "patient/*.rs"))
	a := k.app("growth", true)
	page, code := a.ask(a.params("patient/*.rs"))
	held := make(chan *http.Response, 1)
	go func() {
		resp, _ := a.send("GET", page+"?"+againQuery, "", nil)
		held <- resp
	}()
	(&caller{w: k.world}).want(http.StatusNoContent, "POST", "/apps/decline", `{"code":"`+code+`"}`, nil)
	if to := (<-held).Header.Get("Location"); !strings.Contains(to, "error=access_denied") {
		t.Errorf("held request: got %q, want the answer to the app", to)
	}
}

// A value bound to a key is worth nothing without a fresh proof for this very
// request, and a proof works once.
func TestProofsOfPossession(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	a := k.patientApp("launch/patient patient/*.rs")
	path := "/Patient/" + k.id
	at, good := k.web.URL+path, a.got.Access
	thief := k.app("growth", true)
	once := a.proof("GET", at, good)
	for _, c := range []struct {
		name, scheme, proof string
		want                int
	}{
		{"good", "DPoP", once, 200},
		{"again", "DPoP", once, 401},
		{"none", "DPoP", "", 401},
		{"as bearer", "Bearer", "", 401},
		{"as bearer with a proof", "Bearer", a.proof("GET", at, good), 401},
		{"other method", "DPoP", a.proof("PUT", at, good), 401},
		{"other address", "DPoP", a.proof("GET", at+"x", good), 401},
		{"other host", "DPoP", a.proof("GET", "https://evil.test"+path, good), 401},
		{"other value", "DPoP", a.proof("GET", at, good+"x"), 401},
		{"no value", "DPoP", a.proof("GET", at, ""), 401},
		{"other key", "DPoP", thief.proof("GET", at, good), 401},
		{"garbage", "DPoP", "a.b.c", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := map[string]string{"Authorization": c.scheme + " " + good}
			if c.proof != "" {
				h["DPoP"] = c.proof
			}
			resp, got := a.send("GET", path, "", h)
			if resp.StatusCode != c.want {
				t.Errorf("got %d %s, want %d", resp.StatusCode, clip(got), c.want)
			}
			if c.want == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "DPoP ") {
				t.Errorf("WWW-Authenticate: got %q, want DPoP", resp.Header.Get("WWW-Authenticate"))
			}
		})
	}
	k.clock.advance(2 * time.Hour)
	a.want(http.StatusUnauthorized, "GET", path, "")
}

// An app that reads without a proof works only if its registration says so.
func TestProofIsOptionalOnlyWhereRegistered(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.register(publicApp("weak", "patient/*.rs") + "dpop = \"optional\"\n")
	agent, bundles := k.agent(fhir.Categories(), nil)
	a := k.app("weak", false)
	a.launch("patient/*.rs", approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
	if a.got.Type != "Bearer" {
		t.Errorf("type: got %s, want Bearer", a.got.Type)
	}
	a.want(http.StatusOK, "GET", "/Patient/"+k.id, "")
	if a.got.Patient != "" {
		t.Errorf("patient: got %s without launch/patient, want none", a.got.Patient)
	}
}

// Whose session stands for an app is not the app's choice, nor a device's.
func TestSessionsThatDoNotFit(t *testing.T) {
	k := newClinic(t)
	k.register(publicApp("growth", "launch launch/patient patient/*.rs user/*.rs"))
	a := k.app("growth", true)
	agent, bundles := k.agent(fhir.Categories(), nil)
	neighbour := k.world.patient()
	other := k.share(neighbour, agent, grant.Read, fhir.General.ID())
	mine := k.share(k.patient, k.doctor, grant.Read, allCategories()...)
	patient, foreign := k.patient.id.String(), neighbour.id.String()
	for _, c := range []struct {
		name string
		want int
		p    approval
	}{
		{"two patients", 422, approval{by: agent, bundles: append(bundles[:1:1], other), patient: patient, patientID: k.id}},
		{"no patient", 422, approval{by: agent, bundles: bundles, patientID: k.id}},
		{"nothing of the patient", 422, approval{by: agent, bundles: bundles, patient: foreign, patientID: k.id}},
		{"another's id", 422, approval{by: agent, bundles: bundles, patient: patient, patientID: k.gateway.ids.fresh(neighbour.id)}},
		{"no id", 422, approval{by: agent, bundles: bundles, patient: patient}},
		{"the patient in person", 403, approval{by: k.patient, patient: patient, patientID: k.id}},
		{"an agent for a clinician's scope", 422, approval{by: agent, bundles: bundles, patient: patient, patientID: k.id, scope: "user/*.rs"}},
		{"more than asked", 422, approval{by: agent, bundles: bundles, patient: patient, patientID: k.id, scope: "patient/*.cud"}},
		{"a clinician", 200, approval{by: k.doctor, bundles: append(bundles[:0:0], mine)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, code := a.ask(a.params("launch/patient patient/*.rs user/*.rs"))
			given := k.approve(c.want, code, c.p)
			if c.want == 200 && given.Scope != "user/*.rs" {
				t.Errorf("scope: got %q, want user/*.rs: there is no patient in context", given.Scope)
			}
		})
	}
	_, code := a.ask(a.params("patient/*.rs"))
	k.approve(http.StatusOK, code, approval{by: agent, bundles: bundles, patient: patient, patientID: k.id})
	(&caller{w: k.world}).want(http.StatusNotFound, "POST", "/apps/request", `{"code":"`+code+`"}`, nil) // used up
}
