package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

func TestBadInput(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	id := "/Patient/" + k.id
	deep := `{"resourceType":"Observation","a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"garbage", "POST", "/Observation", "\x00\xff", 400},
		{"truncated", "POST", "/Observation", `{"resourceType":"Obs`, 400},
		{"trailing", "POST", "/Observation", k.observation("") + "x", 400},
		{"duplicate key", "POST", "/Observation", `{"resourceType":"Observation","status":"a","status":"b"}`, 400},
		{"not an object", "POST", "/Observation", `[]`, 400},
		{"no type", "POST", "/Observation", `{}`, 400},
		{"wrong type", "POST", "/Observation", `{"resourceType":"Condition"}`, 400},
		{"unknown type in body", "POST", "/Observation", `{"resourceType":"Nothing"}`, 400},
		{"unknown type in path", "POST", "/Nothing", `{"resourceType":"Nothing"}`, 404},
		{"too deep", "POST", "/Observation", deep, 400},
		{"empty", "PUT", id, " ", 400},
		{"id of body", "PUT", id, `{"resourceType":"Patient","id":"other"}`, 400},
		{"bad id of body", "PUT", id, `{"resourceType":"Patient","id":"a/b"}`, 422},
		{"no subject", "POST", "/Observation", `{"resourceType":"Observation","subject":{"display":"somebody"}}`, 422},
		{"unknown subject", "POST", "/Observation", `{"resourceType":"Observation","subject":{"reference":"Patient/nobody"}}`, 422},
		{"urn subject", "POST", "/Observation", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:1"}}`, 422},
		{"new patient without an actor", "POST", "/Patient", `{"resourceType":"Patient"}`, 422},
		{"no bundle", "POST", "/", `{"resourceType":"Patient"}`, 400},
		{"bundle type", "POST", "/", `{"resourceType":"Bundle"}`, 400},
		{"entry without request", "POST", "/", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Basic"}}]}`, 400},
		{"two write one", "POST", "/", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Basic/a"},"resource":{"resourceType":"Basic","id":"a"}},{"request":{"method":"PUT","url":"Basic/a"},"resource":{"resourceType":"Basic","id":"a"}}]}`, 400},
		{"method", "TRACE", id, "", 405},
		{"method swap", "POST", id, "{}", 405},
		{"login by GET", "GET", "/login/offer", "", 405},
		{"body on a GET", "GET", id, "{}", 400},
		{"unknown path", "GET", "/Patient/1/2/3", "", 404},
		{"dots", "GET", "/Patient/..", "", 404},
		{"dots to open route", "GET", "/Patient/../metadata", "", 404},
		{"encoded slash", "GET", "/Patient%2F" + k.id, "", 404},
		{"encoded dots", "GET", "/Patient/%2e%2e", "", 404},
		{"double slash", "GET", "//Patient/" + k.id, "", 404},
		{"trailing slash", "GET", id + "/", "", 404},
		{"case", "GET", "/patient/" + k.id, "", 404},
		{"another operation", "GET", id + "/$nothing", "", 404},
		{"another method", "GET", id + "/$validate", "", 405},
		{"bad count", "GET", id + "/$everything?_count=-1", "", 400},
		{"bad page", "GET", id + "/$everything?_page=AAAA", "", 400},
		{"bad query", "GET", "/Observation?patient=%zz", "", 400},
		{"unknown version", "GET", id + "/_history/none", "", 404},
		{"foreign tag", "GET", "/Patient/" + k.gateway.ids.fresh(abaton.ActorID{9}), "", 404},
	} {
		t.Run(c.name, func(t *testing.T) { k.c.want(c.status, c.method, c.path, c.body, nil) })
	}
	k.c.want(http.StatusOK, "GET", strings.Replace(id+"/$everything", "$", "%24", 1), "", nil)
	for name, value := range map[string]string{headerPatient: "act1x", headerPurpose: "FUN", headerImport: "maybe"} {
		k.c.with(name, value).want(http.StatusBadRequest, "GET", id, "", nil)
	}
	k.c.with("If-Match", "5").want(http.StatusBadRequest, "DELETE", id, "", nil)
	for _, content := range []string{"text/plain", "application/fhir+xml", "application/fhir+json; charset=latin1", "application/fhir+json;;"} {
		k.c.with("Content-Type", content).want(http.StatusUnsupportedMediaType, "POST", "/Observation", k.observation(""), nil)
	}
	k.c.with("Content-Encoding", "gzip").want(http.StatusUnsupportedMediaType, "POST", "/Observation", k.observation(""), nil)
	if strings.Contains(k.logged.String(), "Planted") || strings.Contains(k.logged.String(), k.id) {
		t.Errorf("the log names a patient: %s", k.logged)
	}
}

// repeated is an endless body that is never in memory.
type repeated struct{ left int64 }

func (r *repeated) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	r.left -= n
	return int(n), nil
}

func TestOversizedBodiesAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	for _, length := range []int64{100 << 20, -1} {
		for _, path := range []string{"/", "/Observation"} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", k.web.URL+path, &repeated{left: 100 << 20})
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			r.Header.Set("Content-Type", "application/fhir+json")
			r.Header.Set("Authorization", "Bearer "+k.c.access)
			r.Header.Set("Expect", "100-continue")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Logf("%s with length %d: the connection ended while sending: %v", path, length, err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s with length %d: got %d, want 413", path, length, resp.StatusCode)
			}
		}
	}
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
}

func TestOpenRoutesAreListed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	var open []string
	for _, line := range k.gateway.table.paths() {
		if rest, ok := strings.CutPrefix(line, "open "); ok {
			open = append(open, rest)
		}
	}
	want := "GET /.well-known/openid-configuration,GET /.well-known/smart-configuration,GET /authorize,GET /authorize/{id},GET /enrol,GET /health," +
		"GET /held,GET /help,GET /jwks,GET /metadata,GET /portal/box/{id},GET /portal/clinic,GET /portal/held/{id},GET /portal/helper/{id},GET /portal/plea/{id},GET /portal/way/{id},GET /portal/wrap/{id}," +
		"GET /recover,GET /sign-in,GET /staff,GET /status,GET /unlock,GET /web/{id}," +
		"POST /apps/approve,POST /apps/decline,POST /apps/lend,POST /apps/request,POST /authorize," +
		"POST /authorize/{id},POST /introspect,POST /login/complete,POST /login/offer,POST /portal/attest,POST /portal/device,POST /portal/enrol,POST /portal/events,POST /portal/held/ask,POST /portal/held/touch,POST /portal/help,POST /portal/plea,POST /revoke,POST /token"
	if got := strings.Join(open, ","); got != want {
		t.Errorf("open routes: got %s, want %s", got, want)
	}
	stranger := &caller{w: k.world}
	for _, r := range k.gateway.table.routes {
		path := strings.NewReplacer("{type}", "Patient", "{id}", k.id, "{version}", "v").Replace(r.pattern)
		if r.policy == bySession {
			resp, _ := stranger.want(http.StatusUnauthorized, r.method, path, "", nil)
			if resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s: 401 without WWW-Authenticate", r.method, path)
			}
		}
	}
	stranger.want(http.StatusOK, "GET", "/metadata", "", nil)
	stranger.want(http.StatusOK, "GET", "/health", "", nil)
	for _, value := range []string{"x", k.c.access + "x", k.c.access[1:], strings.Repeat("A", 43), ""} {
		(&caller{w: k.world}).with("Authorization", "Bearer "+value).want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "", nil)
	}
	(&caller{w: k.world}).with("Authorization", "Basic "+k.c.access).want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "", nil)
}

func TestRoutesNeedAPolicy(t *testing.T) {
	handle := func(*Gateway, context.Context, *call) (*answer, error) { return nil, nil }
	whole := route{method: "GET", pattern: "/x", policy: open, body: noBody, handle: handle}
	if _, err := sealTable([]route{whole}); err != nil {
		t.Fatalf("whole route: got %v, want it sealed", err)
	}
	for name, change := range map[string]func(*route){
		"policy":  func(r *route) { r.policy = 0 },
		"unknown": func(r *route) { r.policy = 9 },
		"handler": func(r *route) { r.handle = nil },
		"body":    func(r *route) { r.body = 0 },
		"cap":     func(r *route) { r.body = formBody },
		"method":  func(r *route) { r.method = "TRACE" },
		"path":    func(r *route) { r.pattern = "x" },
	} {
		r := whole
		change(&r)
		if _, err := sealTable([]route{r}); err == nil {
			t.Errorf("route without %s: sealed, want it refused", name)
		}
	}
	if _, err := sealTable([]route{whole, whole}); err == nil {
		t.Error("route twice: sealed, want it refused")
	}
}

func TestSessionEnds(t *testing.T) {
	k := newClinic(t)
	k.c.want(http.StatusNoContent, "POST", "/logout", "", nil)
	k.c.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "", nil)
	again := k.signIn(k.doctor, k.share(k.patient, k.doctor, grant.Read, allCategories()...))
	again.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	k.clock.advance(61 * time.Minute)
	again.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "", nil)
	k.gateway.sessions.sweep(k.gateway.now(), false)
	if n := k.gateway.sessions.len(); n != 0 {
		t.Errorf("sessions after their end: got %d, want 0", n)
	}
}

func TestBadSignIn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	seeds := k.share(k.patient, k.doctor, grant.Read, allCategories()...)
	stranger := k.device(actor.Clinician)
	other, _ := k.clinician()
	for _, c := range []struct {
		name   string
		status int
		change func(o *login.Offer, c *login.Completion)
	}{
		{"as offered", 200, func(*login.Offer, *login.Completion) {}},
		{"unknown offer", 401, func(_ *login.Offer, c *login.Completion) { c.Offer = "x" }},
		{"statement cut", 401, func(_ *login.Offer, c *login.Completion) { c.Statement = c.Statement[:100] }},
		{"statement changed", 401, func(_ *login.Offer, c *login.Completion) { c.Statement = flip(c.Statement) }},
		{"seeds changed", 400, func(_ *login.Offer, c *login.Completion) { c.Seeds = flip(c.Seeds) }},
		{"other nonce", 401, func(o *login.Offer, c *login.Completion) {
			o.Nonce = login.Encode(bytes.Repeat([]byte{7}, 16))
			*c = *k.completion(*o, k.doctor, seeds)
		}},
		{"other session key", 401, func(o *login.Offer, c *login.Completion) {
			o.Session = key.NewSigning().ID().String()
			*c = *k.completion(*o, k.doctor, seeds)
		}},
		{"other reply key", 401, func(o *login.Offer, c *login.Completion) {
			o.Reply = login.Encode(key.NewBox().Public().Bytes())
			*c = *k.completion(*o, k.doctor, seeds)
		}},
		{"other checkpoints", 401, func(o *login.Offer, c *login.Completion) {
			o.Checkpoints = o.Checkpoints[:1]
			*c = *k.completion(*o, k.doctor, seeds)
		}},
		{"checkpoints in another order", 401, func(o *login.Offer, c *login.Completion) {
			swapped := slices.Clone(o.Checkpoints)
			swapped[0], swapped[1] = swapped[1], swapped[0]
			o.Checkpoints = swapped
			*c = *k.completion(*o, k.doctor, seeds)
		}},
		{"too long", 401, func(o *login.Offer, c *login.Completion) {
			*c = *k.completionFor(*o, k.doctor, 2*time.Hour, seeds)
		}},
		{"no sponsor", 401, func(o *login.Offer, c *login.Completion) {
			alone := *k.doctor
			alone.kind = actor.Patient // signs a statement without organisation and role
			*c = *k.completion(*o, &alone, seeds)
		}},
		{"unknown actor", 401, func(o *login.Offer, c *login.Completion) {
			stranger.id = abaton.ActorID{1}
			*c = *k.completion(*o, stranger)
		}},
		{"another's passkey", 401, func(o *login.Offer, c *login.Completion) {
			thief := *k.doctor
			thief.passkey = other.passkey
			*c = *k.completion(*o, &thief, seeds)
		}},
		{"seeds of another session", 400, func(o *login.Offer, c *login.Completion) {
			c.Seeds = k.c.done.Seeds
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asks := &caller{w: k.world}
			asks.want(http.StatusOK, "POST", "/login/offer", "{}", &asks.offer)
			offer, done := asks.offer, k.completion(asks.offer, k.doctor, seeds)
			c.change(&offer, done)
			body, err := json.Marshal(done)
			if err != nil {
				t.Fatal(err)
			}
			asks.want(c.status, "POST", "/login/complete", string(body), nil)
			asks.want(http.StatusUnauthorized, "POST", "/login/complete", string(body), nil) // an offer serves once
		})
	}
	(&caller{w: k.world}).want(http.StatusBadRequest, "POST", "/login/offer", `{"a":1}`, nil)
	(&caller{w: k.world}).want(http.StatusBadRequest, "POST", "/login/offer", `{}{}`, nil)
}

// flip changes one character in the middle.
func flip(s string) string {
	b := []byte(s)
	if b[len(b)/2] == 'A' {
		b[len(b)/2] = 'B'
	} else {
		b[len(b)/2] = 'A'
	}
	return string(b)
}

func TestDeviceRefusesAForeignOffer(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	var o login.Offer
	(&caller{w: k.world}).want(http.StatusOK, "POST", "/login/offer", "{}", &o)
	d := login.Device{Actor: k.doctor.id, Organisation: k.org.id, Gateway: k.org.id, Set: k.keepers.Set.ID(), Passkey: k.doctor.passkey}
	for name, change := range map[string]func(*login.Offer, *login.Device){
		"set":     func(_ *login.Offer, d *login.Device) { d.Set = abaton.ActorID{1} },
		"gateway": func(_ *login.Offer, d *login.Device) { d.Gateway = abaton.ActorID{1} },
		"reply":   func(o *login.Offer, _ *login.Device) { o.Reply = "AA" },
		"session": func(o *login.Offer, _ *login.Device) { o.Session = "act1" },
		"nonce":   func(o *login.Offer, _ *login.Device) { o.Nonce = "AA" },
	} {
		offer, device := o, d
		change(&offer, &device)
		if _, err := login.Answer(offer, device, nil, time.Now()); err == nil {
			t.Errorf("offer with another %s: answered, want it refused", name)
		}
	}
}

// TestNothingWithoutAGrant: a session opens what its grants cover and cannot
// tell the rest from what does not exist.
func TestNothingWithoutAGrant(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	other, directory := k.clinician()
	o := k.signIn(other, directory)
	for _, path := range []string{"/Patient/" + k.id, "/Patient/" + k.id + "/$everything", "/Patient/" + k.id + "/_history"} {
		_, mine := o.want(http.StatusNotFound, "GET", path, "", nil)
		_, none := o.want(http.StatusNotFound, "GET", strings.Replace(path, k.id, k.gateway.ids.fresh(abaton.ActorID{1}), 1), "", nil)
		if !bytes.Equal(mine, none) {
			t.Errorf("%s: not granted %s, not there %s: want them alike", path, mine, none)
		}
	}
	o.with(headerPatient, k.patient.id.String()).want(http.StatusForbidden, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	// With another's seeds but no grant the keepers refuse.
	_, seeds := k.patient.grant(other.id, grant.Read, fhir.General.ID())
	forged := k.signIn(other, session.Bundle{Patient: k.patient.id, Grant: abaton.GrantID{1}, Seeds: seeds})
	forged.want(http.StatusNotFound, "GET", "/Patient/"+k.id, "", nil)
	stolen := k.share(k.patient, k.doctor, grant.Read, fhir.General.ID())
	forged = k.signIn(other, stolen)
	forged.want(http.StatusNotFound, "GET", "/Patient/"+k.id, "", nil)
}
