package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// endpoint takes notifications.
type endpoint struct {
	*httptest.Server
	got    chan notice
	answer func() int
}

type notice struct {
	header http.Header
	body   []byte
}

// kind is the type of a notification, "ping" for one without a body.
func (n notice) kind() string {
	var b struct {
		Entry []struct {
			Resource struct {
				Parameter []struct{ Name, ValueCode string }
			}
		}
	}
	if len(n.body) == 0 {
		return "ping"
	}
	if json.Unmarshal(n.body, &b) != nil || len(b.Entry) == 0 {
		return "no notification"
	}
	for _, p := range b.Entry[0].Resource.Parameter {
		if p.Name == "type" {
			return p.ValueCode
		}
	}
	return "without a type"
}

func newEndpoint(k *clinic) *endpoint {
	e := &endpoint{got: make(chan notice, 64), answer: func() int { return 200 }}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case e.got <- notice{r.Header.Clone(), body}:
		default: // far more than any test asks for
		}
		status := e.answer()
		if status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", e.URL+"/elsewhere")
		}
		w.WriteHeader(status)
	}))
	k.t.Cleanup(e.Close)
	k.gateway.notifyOrigins = []string{e.URL}
	k.gateway.pace.again = time.Millisecond
	return e
}

// next waits for a notification of a kind.
func (e *endpoint) next(t *testing.T, kind string) notice {
	t.Helper()
	select {
	case n := <-e.got:
		if n.kind() != kind {
			t.Fatalf("notification: got %s, want %s: %s", n.kind(), kind, n.body)
		}
		return n
	case <-time.After(time.Minute):
		t.Fatalf("no notification %s came", kind)
	}
	return notice{}
}

func (e *endpoint) subscription(criteria, channel string) string {
	return `{"resourceType":"Subscription","status":"requested","reason":"test",` + criteria + `,"channel":{"type":"rest-hook","endpoint":"` + e.URL + `/hook"` + channel + `}}`
}

const payload = `,"payload":"application/fhir+json"`

// becomes waits until a subscription has a status.
func (k *clinic) becomes(c *caller, id, status string) (text []byte) {
	k.t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		_, text = c.want(http.StatusOK, "GET", "/Subscription/"+id, "", nil)
		if bytes.Contains(text, []byte(`"status":"`+status+`"`)) {
			return text
		}
		if time.Now().After(end) {
			k.t.Fatalf("subscription: got %s, want it %s", text, status)
		}
	}
}

func TestSubscription(t *testing.T) {
	k := newClinic(t)
	e := newEndpoint(k)
	k.made("")
	resp, got := k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(`"criteria":"Observation?patient=`+k.id+`&identifier=urn:l%7C1"`, payload+`,"header":["Authorization: Bearer x"]`), nil)
	id := idOfLocation(resp)
	if !bytes.Contains(got, []byte(`"requested"`)) || !bytes.Contains(got, []byte(`"end":"`)) {
		t.Errorf("created: got %s", got)
	}
	if n := e.next(t, "handshake"); n.header.Get("Authorization") != "Bearer x" || n.header.Get("Content-Type") != "application/fhir+json" {
		t.Errorf("handshake: got headers %v", n.header)
	}
	k.becomes(k.c, id, "active")
	k.made(`,"identifier":[{"system":"urn:l","value":"2"}],"note":[{"text":"Planted"}]`) // does not match
	made, _ := k.made(`,"identifier":[{"system":"urn:l","value":"1"}],"note":[{"text":"Planted"}]`)
	n := e.next(t, "event-notification")
	if !bytes.Contains(n.body, []byte("/Observation/"+made)) || bytes.Contains(n.body, []byte("Planted")) || bytes.Contains(n.body, []byte("1.50")) {
		t.Errorf("event: got %s, want the reference and nothing of the record", n.body)
	}
	// What another session writes is told too.
	other, directory := k.clinician()
	o := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	resp, _ = o.want(http.StatusCreated, "POST", "/Observation", k.observation(`,"identifier":[{"system":"urn:l","value":"1"}]`), nil)
	if n := e.next(t, "event-notification"); !bytes.Contains(n.body, []byte(idOf(resp))) || !bytes.Contains(n.body, []byte(`"name":"eventNumber","valueString":"2"`)) {
		t.Errorf("second event: got %s", n.body)
	}
	_, got = k.c.want(http.StatusOK, "GET", "/Subscription/"+id+"/$status", "", nil)
	if !bytes.Contains(got, []byte("query-status")) || !bytes.Contains(got, []byte(`"valueString":"2"`)) || !bytes.Contains(got, []byte(profileStatus)) {
		t.Errorf("status: got %s", got)
	}
	var l listed
	k.c.want(http.StatusOK, "GET", "/Subscription?status=active", "", &l)
	if l.Total != 1 {
		t.Errorf("own subscriptions: got %d, want 1", l.Total)
	}
	// To another session it is not there.
	o.want(http.StatusNotFound, "GET", "/Subscription/"+id, "", nil)
	o.want(http.StatusNotFound, "GET", "/Subscription/"+id+"/$status", "", nil)
	o.want(http.StatusNotFound, "DELETE", "/Subscription/"+id, "", nil)
	k.c.want(http.StatusUnprocessableEntity, "PUT", "/Subscription/"+id, strings.Replace(e.subscription(`"criteria":"x"`, ""), `"Subscription",`, `"Subscription","id":"`+id+`",`, 1), nil)
	k.c.want(http.StatusNoContent, "DELETE", "/Subscription/"+id, "", nil)
	k.c.want(http.StatusNotFound, "GET", "/Subscription/"+id, "", nil)
	if strings.Contains(k.logged.String(), "Bearer x") || strings.Contains(k.logged.String(), "/hook") {
		t.Errorf("the log holds an endpoint or its header: %s", k.logged)
	}
}

func idOfLocation(r *http.Response) string {
	at := r.Header.Get("Location")
	return at[strings.LastIndexByte(at, '/')+1:]
}

func TestTopicSubscription(t *testing.T) {
	k := newClinic(t)
	e := newEndpoint(k)
	criteria := func(filter string) string {
		return `"criteria":"` + TopicWritten + `","_criteria":{"extension":[{"url":"` + extensionFilter + `","valueString":"` + filter + `"}]}`
	}
	content := func(code string) string {
		return payload + `,"_payload":{"extension":[{"url":"` + extensionContent + `","valueCode":"` + code + `"}]}`
	}
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(criteria("Observation?patient=Patient/"+k.id), content("empty")), nil)
	e.next(t, "handshake")
	k.becomes(k.c, idOfLocation(resp), "active")
	made, _ := k.made("")
	if n := e.next(t, "event-notification"); bytes.Contains(n.body, []byte(made)) {
		t.Errorf("empty payload: got %s, want no reference", n.body)
	}
	k.c.want(http.StatusUnprocessableEntity, "POST", "/Subscription", e.subscription(criteria("Observation?patient="+k.id), content("full-resource")), nil)
	k.c.want(http.StatusUnprocessableEntity, "POST", "/Subscription", e.subscription(`"criteria":"`+TopicWritten+`"`, ""), nil)
}

func TestPingSubscription(t *testing.T) {
	k := newClinic(t)
	e := newEndpoint(k)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(`"criteria":"Organization?"`, ""), nil)
	e.next(t, "ping")
	k.becomes(k.c, idOfLocation(resp), "active")
	k.c.want(http.StatusCreated, "POST", "/Organization", `{"resourceType":"Organization"}`, nil)
	e.next(t, "ping")
}

func TestSubscriptionRetriesAndGivesUp(t *testing.T) {
	k := newClinic(t)
	e := newEndpoint(k)
	tries := 0
	e.answer = func() int {
		if tries++; tries < 3 {
			return 503
		}
		return 204
	}
	criteria := `"criteria":"Observation?patient=` + k.id + `"`
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(criteria, payload), nil)
	for range 3 {
		e.next(t, "handshake")
	}
	id := idOfLocation(resp)
	k.becomes(k.c, id, "active")
	e.answer = func() int { return 500 }
	k.made("")
	for range k.gateway.pace.tries {
		e.next(t, "event-notification")
	}
	if text := k.becomes(k.c, id, "error"); !bytes.Contains(text, []byte("endpoint did not take")) {
		t.Errorf("given up: got %s", text)
	}
	for _, status := range []int{http.StatusGone, http.StatusTemporaryRedirect} {
		e.answer = func() int { return status }
		resp, _ = k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(criteria, payload), nil)
		e.next(t, "handshake")
		k.becomes(k.c, idOfLocation(resp), "error") // at once: no second try, no redirect followed
	}
	if len(e.got) != 0 {
		t.Errorf("an endpoint that refuses is asked again %d times", len(e.got))
	}
}

func TestHeartbeat(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	e := newEndpoint(k)
	beat := `,"extension":[{"url":"` + extensionHeartbeat + `","valueUnsignedInt":10}]`
	body := e.subscription(`"criteria":"Observation?patient=`+k.id+`"`, payload+beat)
	s, err := subscriptionOf(mustResource(t, body), k.gateway.notifyOrigins)
	if err != nil || s.heartbeat != 10*time.Second {
		t.Fatalf("heartbeat: got %v, %v", s, err)
	}
	p := k.gateway.sessionsNow()[0]
	s.person, s.base, s.id, s.ends, s.heartbeat = p, "http://base", subscriptionPrefix+"x", p.expires, time.Nanosecond
	s.patients = nil
	k.gateway.working.Go(func() { k.gateway.watch(s) })
	e.next(t, "handshake")
	e.next(t, "heartbeat")
	s.stop()
}

// TestSubscriptionEndsWithTheGrant: what may not be read any more is not told
// of, and the subscription says why it stopped.
func TestSubscriptionEndsWithTheGrant(t *testing.T) {
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient()
	read := w.share(patient, doctor, grant.Read, allCategories()...)
	k := &clinic{world: w, doctor: doctor, patient: patient, c: w.signIn(doctor, directory, read)}
	resp, _ := k.c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	k.id = idOf(resp)
	e := newEndpoint(k)
	resp, _ = k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(`"criteria":"Observation?patient=`+k.id+`"`, payload), nil)
	e.next(t, "handshake")
	id := idOfLocation(resp)
	k.becomes(k.c, id, "active")
	if p, err := w.net.Revoke(t.Context(), client.KeyHand(patient.id, patient.signing), read.Grant, false); err != nil || !p.InForce {
		t.Fatalf("revoke: %v", err)
	}
	w.gateway.network.Refresh(patient.id)
	w.gateway.subscriptions.wakeFor(patient.id)
	k.becomes(k.c, id, "error")
	k.c.want(http.StatusNoContent, "POST", "/logout", "", nil)
	w.gateway.subscriptions.sweep(w.gateway.now())
	if n := len(w.gateway.subscriptions.by); n != 0 {
		t.Errorf("subscriptions after the session: got %d", n)
	}
}

func TestBadSubscriptions(t *testing.T) {
	k := newClinic(t)
	e := newEndpoint(k)
	good := `"criteria":"Observation?patient=` + k.id + `"`
	for name, body := range map[string]string{
		"another origin":   strings.Replace(e.subscription(good, ""), e.URL, "https://elsewhere.example", 1),
		"origin as prefix": strings.Replace(e.subscription(good, ""), e.URL, e.URL+".evil.example", 1),
		"with a name":      strings.Replace(e.subscription(good, ""), "http://", "http://a@", 1),
		"no url":           strings.Replace(e.subscription(good, ""), e.URL, "%", 1),
		"file":             strings.Replace(e.subscription(good, ""), e.URL, "file://", 1),
		"websocket":        strings.Replace(e.subscription(good, ""), "rest-hook", "websocket", 1),
		"no query":         e.subscription(`"criteria":"Observation"`, ""),
		"no type":          e.subscription(`"criteria":"Nothing?x=1"`, ""),
		"unknown topic":    e.subscription(`"criteria":"http://example.org/topic"`, ""),
		"everybody":        e.subscription(`"criteria":"Observation?identifier=1"`, ""),
		"unknown param":    e.subscription(`"criteria":"Observation?patient=`+k.id+`&nothing=1"`, ""),
		"xml":              e.subscription(good, `,"payload":"application/fhir+xml"`),
		"heartbeat":        e.subscription(good, `,"extension":[{"url":"`+extensionHeartbeat+`","valueUnsignedInt":1}]`),
		"host header":      e.subscription(good, `,"header":["Host: x"]`),
		"two lines":        e.subscription(good, `,"header":["A: b\r\nC: d"]`),
		"no header":        e.subscription(good, `,"header":["A"]`),
		"length":           e.subscription(good, `,"header":["Content-Length: 5"]`),
		"past":             strings.Replace(e.subscription(good, ""), `"reason"`, `"end":"2020-01-01T00:00:00Z","reason"`, 1),
		"bad end":          strings.Replace(e.subscription(good, ""), `"reason"`, `"end":"soon","reason"`, 1),
	} {
		t.Run(name, func(t *testing.T) { k.c.want(http.StatusUnprocessableEntity, "POST", "/Subscription", body, nil) })
	}
	other, directory := k.clinician()
	o := k.signIn(other, directory)
	_, mine := o.want(http.StatusNotFound, "POST", "/Subscription", e.subscription(good, ""), nil)
	_, none := o.want(http.StatusNotFound, "POST", "/Subscription", e.subscription(`"criteria":"Observation?patient=`+k.gateway.ids.fresh(k.patient.id)+`"`, ""), nil)
	if !bytes.Equal(mine, none) {
		t.Errorf("not granted %s, not there %s: want them alike", mine, none)
	}
	for range subscriptionsMax {
		k.c.want(http.StatusCreated, "POST", "/Subscription", e.subscription(`"criteria":"Organization?"`, ""), nil)
	}
	k.c.want(http.StatusTooManyRequests, "POST", "/Subscription", e.subscription(`"criteria":"Organization?"`, ""), nil)
	k.gateway.notifyOrigins = nil
	k.c.want(http.StatusUnprocessableEntity, "POST", "/Subscription", e.subscription(good, ""), nil)
	// One that asks for nothing is stored as it is.
	stored := strings.Replace(e.subscription(good, ""), "requested", "off", 1)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Subscription", stored, nil)
	k.c.want(http.StatusOK, "GET", "/Subscription/"+idOf(resp), "", nil)
}

// FuzzAllowedEndpoint: whatever is let through begins with a listed origin and
// goes on with a path or a query.
func FuzzAllowedEndpoint(f *testing.F) {
	for _, text := range []string{"https://a.example/x", "https://a.example.evil/x", "https://a.example@evil/", "https://a.example:443/", "//a.example", "https://a.example\\@evil"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !allowedEndpoint(text, []string{"https://a.example"}) {
			return
		}
		r, err := http.NewRequest(http.MethodPost, text, nil)
		if err != nil || r.URL.Host != "a.example" || r.URL.Scheme != "https" {
			t.Errorf("%q: got host %v, %v", text, fmt.Sprint(r), err)
		}
	})
}

func mustResource(t *testing.T, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.ParseResource([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
