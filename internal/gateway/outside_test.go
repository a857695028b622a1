package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
)

func TestBucket(t *testing.T) {
	now := time.Unix(1000, 0)
	r := Rate{PerSecond: 2, Burst: 3}
	var b bucket
	for range 3 {
		if wait := b.take(r, now); wait != 0 {
			t.Fatalf("within the burst: got %v, want at once", wait)
		}
	}
	if wait := b.take(r, now); wait != 500*time.Millisecond {
		t.Errorf("after the burst: got %v, want 500ms", wait)
	}
	if wait := b.take(r, now.Add(-time.Hour)); wait == 0 {
		t.Error("a clock set back gives requests for free")
	}
	if wait := b.take(r, now.Add(500*time.Millisecond)); wait != 0 {
		t.Errorf("half a second later: got %v, want at once", wait)
	}
	if b.idle(r, now) || !b.idle(r, now.Add(time.Hour)) {
		t.Error("a used bucket is idle, or one of an hour ago is not")
	}
}

func TestAddressesAreBounded(t *testing.T) {
	a := addresses{by: make(map[netip.Prefix]*bucket)}
	now, rate := time.Unix(1000, 0), Rate{PerSecond: 1, Burst: 2}
	for i := range addressesMax + 100 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		a.take(&http.Request{RemoteAddr: from.String() + ":1"}, rate, now)
	}
	if len(a.by) != addressesMax {
		t.Errorf("got %d addresses, want %d", len(a.by), addressesMax)
	}
	if wait := a.take(&http.Request{RemoteAddr: "192.0.2.1:1"}, rate, now); wait == 0 {
		t.Error("one more of too many addresses: got through, want it to share what is left")
	}
	a.take(&http.Request{RemoteAddr: "192.0.2.1:1"}, rate, now.Add(time.Hour))
	if len(a.by) != 1 {
		t.Errorf("after an hour: got %d addresses, want the idle ones forgotten", len(a.by))
	}
	for text, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1/32", "[2001:db8::1]:80": "2001:db8::/64", "[::ffff:192.0.2.1]:80": "192.0.2.1/32", "x": "invalid Prefix", "": "invalid Prefix", "@": "invalid Prefix",
	} {
		if got := networkOf(text); got.String() != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestTooFast(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.gateway.rates.person, k.gateway.rates.origin = Rate{PerSecond: 0.5, Burst: 3}, Rate{PerSecond: 1, Burst: 1000}
	for _, p := range k.gateway.sessionsNow() {
		p.pace = bucket{}
	}
	for range 3 {
		k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	}
	resp, _ := k.c.want(http.StatusTooManyRequests, "GET", "/Patient/"+k.id, "", nil)
	if resp.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After: got %q, want 2", resp.Header.Get("Retry-After"))
	}
	k.clock.advance(2 * time.Second)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil)
	k.gateway.rates.origin = Rate{PerSecond: 0.01, Burst: 3}
	clear(k.gateway.origins.by)
	k.gateway.rates.person = DefaultPerPerson()
	k.clock.advance(time.Second)
	guess := &caller{w: k.world, access: strings.Repeat("A", 43)}
	for range 3 {
		guess.want(http.StatusUnauthorized, "GET", "/Patient/"+k.id, "", nil)
	}
	guess.want(http.StatusTooManyRequests, "GET", "/Patient/"+k.id, "", nil)
	(&caller{w: k.world}).want(http.StatusTooManyRequests, "POST", "/login/offer", "{}", nil)
	k.c.want(http.StatusOK, "GET", "/Patient/"+k.id, "", nil) // who is signed in is not held up by it
}

func TestSecurityHeaders(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	for _, path := range []string{"/metadata", "/Patient/" + k.id, "/nothing"} {
		resp := k.c.do("GET", path, "")
		resp.Body.Close()
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy is %q", path, csp)
		}
	}
}

func TestObserved(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	var mu sync.Mutex
	var all []Observed
	k.gateway.listen = func(o Observed) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, o)
	}
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	k.c.with("traceparent", "00-"+trace+"-"+parent+"-01").want(http.StatusOK, "GET", "/Patient/"+k.id+"?_format=json", "", nil)
	for _, bad := range []string{"", "00-" + trace + "-" + parent, "ff-" + trace + "-" + parent + "-01", "00-" + strings.ToUpper(trace) + "-" + parent + "-01",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01", "00-" + strings.Repeat("g", 32) + "-" + parent + "-01"} {
		k.c.with("traceparent", bad).want(http.StatusNotFound, "GET", "/Observation/none", "", nil)
	}
	mu.Lock()
	defer mu.Unlock()
	first := all[0]
	if first.Route != "GET /{type}/{id}" || first.Status != 200 || hex.EncodeToString(first.Trace[:]) != trace || hex.EncodeToString(first.Parent[:]) != parent || !first.Sampled || !first.Resumed {
		t.Errorf("observed: got %+v", first)
	}
	for _, o := range all[1:] {
		if o.Resumed || o.Trace == first.Trace || o.Trace == [16]byte{} || o.Span == [8]byte{} || o.Status != 404 {
			t.Errorf("a header that is none: got %+v, want a new trace", o)
		}
	}
}

func TestStatus(t *testing.T) {
	k := newClinic(t)
	stranger := &caller{w: k.world}
	var s state
	stranger.want(http.StatusOK, "GET", "/status", "", &s)
	if s.Status != "ok" || !s.Reads || !s.Writes || s.Keepers.Answering != 5 || s.Protocol != 1 || s.Release != "test" {
		t.Errorf("all well: got %+v", s)
	}
	resp, page := stranger.with("Accept", "text/html,application/xhtml+xml;q=0.9").want(http.StatusOK, "GET", "/status", "", nil)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !bytes.Contains(page, []byte("Abaton gateway: ok")) || bytes.Contains(page, []byte("<script")) {
		t.Errorf("page: got %s", page)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{k.patient.id.String(), k.doctor.id.String(), k.org.id.String(), k.id} {
		if bytes.Contains(page, []byte(name)) || bytes.Contains(text, []byte(name)) {
			t.Error("the status names somebody")
		}
	}
	stranger.with("Accept", "text/html").want(http.StatusNotAcceptable, "GET", "/metadata", "", nil)
	for _, want := range []struct {
		down          abaton.KeeperIndex
		status        string
		reads, writes bool
	}{{1, "degraded", true, true}, {2, "degraded", true, false}, {3, "down", false, false}} {
		k.keepers.Keepers[want.down].Down(true)
		k.clock.advance(checkpointsFresh)
		stranger.want(http.StatusOK, "GET", "/status", "", &s)
		if s.Status != want.status || s.Reads != want.reads || s.Writes != want.writes {
			t.Errorf("keeper %d down too: got %+v, want %+v", want.down, s, want)
		}
	}
}
