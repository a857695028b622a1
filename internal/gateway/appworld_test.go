package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/session"
)

const (
	appBack  = "https://app.test/back"
	verifier = "verifier-of-43-characters-or-more-0123456789"
)

// register sets the registry.
func (w *world) register(text string) {
	w.t.Helper()
	r, err := smart.ParseRegistry([]byte(text), nil)
	if err != nil {
		w.t.Fatalf("registry: %v", err)
	}
	w.apps.Store(r)
}

func publicApp(id, scopes string) string {
	return "[[app]]\nid = \"" + id + "\"\nname = \"Growth chart\"\ntype = \"public\"\nredirect_uris = [\"" + appBack +
		"\"]\nlaunch_url = \"https://app.test/launch\"\nscopes = \"" + scopes + "\"\n"
}

func signingApp(kind, id, scopes, keys, more string) string {
	return "[[app]]\nid = \"" + id + "\"\nname = \"Signing app\"\ntype = \"" + kind + "\"\nscopes = \"" + scopes + "\"\njwks = '" + keys + "'\n" + more + "\n"
}

// app is an app at work: its browser, and its key if it proves.
type app struct {
	w      *world
	id     string
	key    *ecdsa.PrivateKey // of proofs, nil for none
	signer *ecdsa.PrivateKey // of assertions, nil for none
	cookie []*http.Cookie
	got    granted
}

func (w *world) app(id string, proves bool) *app {
	a := &app{w: w, id: id}
	if proves {
		a.key = newKey(w.t, elliptic.P256())
	}
	return a
}

func newKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keySet(t *testing.T, k *ecdsa.PrivateKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.Public(), KeyID: "k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func signed(t *testing.T, k *ecdsa.PrivateKey, a jose.SignatureAlgorithm, options *jose.SignerOptions, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: a, Key: k}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := o.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// proof is a DPoP proof for a request.
func (a *app) proof(method, address, access string) string {
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": address, "iat": a.w.clock.now().Unix()}
	if access != "" {
		claims["ath"] = smart.AccessHash(access)
	}
	return signed(a.w.t, a.key, jose.ES256, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), claims)
}

func (a *app) assertion(path string) string {
	return signed(a.w.t, a.signer, jose.ES384, new(jose.SignerOptions).WithType("JWT").WithHeader("kid", "k1"),
		map[string]any{"iss": a.id, "sub": a.id, "aud": a.w.web.URL + path, "exp": a.w.clock.now().Add(time.Minute).Unix(), "jti": rand.Text()})
}

// send is one request of the app's browser or of the app; redirects are not
// followed.
func (a *app) send(method, path, body string, header map[string]string) (*http.Response, []byte) {
	a.w.t.Helper()
	r, err := http.NewRequestWithContext(a.w.t.Context(), method, a.w.web.URL+path, strings.NewReader(body))
	if err != nil {
		a.w.t.Fatal(err)
	}
	for n, v := range header {
		r.Header.Set(n, v)
	}
	for _, c := range a.cookie {
		r.AddCookie(c)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		a.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		a.w.t.Fatal(err)
	}
	return resp, got
}

func (a *app) form(path string, v url.Values, header map[string]string) (*http.Response, []byte) {
	a.w.t.Helper()
	h := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for n, t := range header {
		h[n] = t
	}
	return a.send("POST", path, v.Encode(), h)
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// params are those of a good authorization request.
func (a *app) params(scope string) url.Values {
	return url.Values{"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {appBack}, "scope": {scope}, "state": {"s-1"},
		"aud": {a.w.web.URL}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "nonce": {"n-1"}}
}

var shownPattern = regexp.MustCompile(`<p class="code">([A-Z0-9]{4}-[A-Z0-9]{4})</p>`)

// ask begins an authorization and gives the page's path and the code on it.
func (a *app) ask(v url.Values) (page, code string) {
	a.w.t.Helper()
	resp, got := a.send("GET", "/authorize?"+v.Encode(), "", nil)
	page = resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(page, "/authorize/") {
		a.w.t.Fatalf("authorize: got %d to %s, %s", resp.StatusCode, page, clip(got))
	}
	a.cookie = resp.Cookies()
	resp, got = a.send("GET", page, "", nil)
	m := shownPattern.FindSubmatch(got)
	if resp.StatusCode != http.StatusOK || m == nil {
		a.w.t.Fatalf("page: got %d without a code: %s", resp.StatusCode, clip(got))
	}
	return page, string(m[1])
}

// approval is what a device decides.
type approval struct {
	by        *device
	bundles   []session.Bundle
	scope     string
	patient   string
	patientID string
}

// approve plays the device; it wants a status.
func (w *world) approve(status int, code string, p approval) login.AppGiven {
	w.t.Helper()
	c := &caller{w: w}
	var asked login.AppAsk
	c.want(http.StatusOK, "POST", "/apps/request", `{"code":"`+code+`"}`, &asked)
	if p.scope == "" {
		p.scope = asked.Scope
	}
	body, err := json.Marshal(login.AppApproval{Code: code, Scope: p.scope, Patient: p.patient, PatientID: p.patientID,
		Completion: *w.completion(asked.Offer, p.by, p.bundles...)})
	if err != nil {
		w.t.Fatal(err)
	}
	var given login.AppGiven
	into := any(&given)
	if status != http.StatusOK {
		into = nil
	}
	c.want(status, "POST", "/apps/approve", string(body), into)
	return given
}

// back follows the page to the app and gives the query it is answered with.
func (a *app) back(page string) url.Values {
	a.w.t.Helper()
	resp, got := a.send("GET", page, "", nil)
	to := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, appBack+"?") {
		a.w.t.Fatalf("page after the decision: got %d to %s: %s", resp.StatusCode, to, clip(got))
	}
	u, err := url.Parse(to)
	if err != nil {
		a.w.t.Fatal(err)
	}
	return u.Query()
}

// exchange posts to /token.
func (a *app) exchange(v url.Values) (int, granted, string) {
	a.w.t.Helper()
	header := map[string]string{}
	if a.key != nil {
		header["DPoP"] = a.proof("POST", a.w.web.URL+"/token", "")
	}
	if a.signer != nil {
		v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		v.Set("client_assertion", a.assertion("/token"))
	} else {
		v.Set("client_id", a.id)
	}
	resp, got := a.form("/token", v, header)
	var out granted
	var failed struct{ Error string }
	if err := json.Unmarshal(got, &out); err != nil {
		a.w.t.Fatalf("token: %v: %s", err, clip(got))
	}
	json.Unmarshal(got, &failed)
	return resp.StatusCode, out, failed.Error
}

func byCode(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {appBack}, "code_verifier": {verifier}}
}

// launch is the whole way of an app to its access.
func (a *app) launch(scope string, p approval) {
	a.w.t.Helper()
	page, code := a.ask(a.params(scope))
	a.w.approve(http.StatusOK, code, p)
	a.redeem(page)
}

func (a *app) redeem(page string) {
	a.w.t.Helper()
	q := a.back(page)
	status, got, failed := a.exchange(byCode(q.Get("code")))
	if status != http.StatusOK {
		a.w.t.Fatalf("token: got %d %s, want 200; log: %s", status, failed, a.w.logged)
	}
	a.got = got
}

// fhir is a request with the access value, proved if the app proves.
func (a *app) fhir(method, path, body string) (*http.Response, []byte) {
	a.w.t.Helper()
	h := map[string]string{"Authorization": a.got.Type + " " + a.got.Access}
	if a.key != nil {
		plain, _, _ := strings.Cut(path, "?")
		h["DPoP"] = a.proof(method, a.w.web.URL+plain, a.got.Access)
	}
	if body != "" {
		h["Content-Type"] = "application/fhir+json"
		if strings.HasSuffix(path, "/_search") {
			h["Content-Type"] = "application/x-www-form-urlencoded"
		}
	}
	return a.send(method, path, body, h)
}

func (a *app) want(status int, method, path, body string) []byte {
	a.w.t.Helper()
	resp, got := a.fhir(method, path, body)
	if resp.StatusCode != status {
		a.w.t.Errorf("%s %s: got %d %s, want %d", method, path, resp.StatusCode, clip(got), status)
	}
	return got
}

// agent is an app as an actor of its own, with what the patient gave it:
// reading some categories, adding to others.
func (k *clinic) agent(read, add []fhir.Category) (*device, []session.Bundle) {
	k.t.Helper()
	d := k.device(actor.Agent)
	k.enlist(d, abaton.RoleApp, k.patient.id)
	var bundles []session.Bundle
	give := func(list []fhir.Category, a grant.Action) {
		if len(list) == 0 {
			return
		}
		var ids []abaton.Category
		for _, c := range list {
			ids = append(ids, c.ID())
		}
		b := k.share(k.patient, d, a, ids...)
		if a == grant.Deposit {
			for i := range b.Seeds {
				clear(b.Seeds[i].Seed[:])
			}
		}
		bundles = append(bundles, b)
	}
	give(read, grant.Read)
	give(add, grant.Deposit)
	return d, bundles
}

// patientApp is a registered public app with an agent that reads all but the
// strictest, approved for a scope.
func (k *clinic) patientApp(scope string) *app {
	k.t.Helper()
	k.register(publicApp("growth", scope))
	agent, bundles := k.agent(fhir.Categories(), fhir.Categories())
	a := k.app("growth", true)
	a.launch(scope, approval{by: agent, bundles: bundles, patient: k.patient.id.String(), patientID: k.id})
	return a
}
