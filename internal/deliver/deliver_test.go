package deliver

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestReach(t *testing.T) {
	for text, want := range map[string][2]bool{ // public, inside
		"93.184.216.34": {true, true}, "2606:2800:220:1::1": {true, true},
		"127.0.0.1": {false, true}, "::1": {false, true}, "10.1.2.3": {false, true}, "192.168.1.1": {false, true}, "172.16.0.1": {false, true}, "fd00::1": {false, true},
		"100.64.0.1": {false, true}, "::ffff:10.0.0.1": {false, true}, "64:ff9b::a00:1": {false, true}, "2002:a00:1::1": {false, true}, "198.18.0.1": {false, true},
		"169.254.169.254": {false, false}, "fe80::1": {false, false}, "0.0.0.0": {false, false}, "::": {false, false}, "224.0.0.1": {false, false},
		"255.255.255.255": {false, false}, "::ffff:169.254.169.254": {false, false}, "ff02::1": {false, false},
	} {
		a := netip.MustParseAddr(text)
		if got := [2]bool{Public.Allows(a), Inside.Allows(a)}; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	if Inside.Allows(netip.Addr{}) {
		t.Error("no address at all is allowed")
	}
}

func TestPause(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 8 * time.Second, 2: 16 * time.Second, 3: 32 * time.Second, 5: time.Minute, 1 << 30: time.Minute} {
		for range 50 {
			if got := Pause(n, 8*time.Second, time.Minute); got < want/2 || got > want {
				t.Fatalf("before try %d: got %v, want %v to %v", n, got, want/2, want)
			}
		}
	}
}

func TestPost(t *testing.T) {
	status, after := 200, ""
	seen := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen++
		w.Header().Set("Retry-After", after)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer s.Close()
	post := func(r Reach) error {
		return Post(t.Context(), NewClient(r, nil), s.URL+"/x", http.Header{}, []byte("b"))
	}
	for _, c := range []struct {
		status int
		after  string
		want   Fault
	}{{302, "", Fault{"answer", 302, 0}}, {410, "", Fault{"answer", 410, 0}}, {503, "7", Fault{"answer", 503, 7 * time.Second}}, {429, "999999999", Fault{"answer", 429, time.Hour}},
		{500, "soon", Fault{"answer", 500, 0}}, {500, "-5", Fault{"answer", 500, 0}}} {
		status, after = c.status, c.after
		if f, is := errors.AsType[*Fault](post(Inside)); !is || *f != c.want {
			t.Errorf("%d %s: got %v, want %v", c.status, c.after, f, c.want)
		}
	}
	status, seen = 204, 0
	if err := post(Inside); err != nil {
		t.Errorf("204: got %v", err)
	}
	if err := post(Public); err == nil || err.Error() != "deliver: address" || seen != 1 {
		t.Errorf("an address inside: got %v and %d requests, want it refused unasked", err, seen)
	}
	s.Close()
	if err := post(Inside); err == nil || err.Error() != "deliver: connect" {
		t.Errorf("nobody there: got %v", err)
	}
}
