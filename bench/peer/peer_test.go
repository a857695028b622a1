package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestReadBundles(t *testing.T) {
	charts, directory, err := readBundles("", 2)
	if err != nil || len(charts) != 2 || len(directory) != 2 {
		t.Fatalf("got %d charts and %d of the directory, %v; want 2 and 2", len(charts), len(directory), err)
	}
	for _, c := range charts {
		if c.at < 0 || c.count < 2 || len(c.months) == 0 || len(c.months[0]) != len("2006-01") {
			t.Errorf("got a Patient at %d of %d, %d months", c.at, c.count, len(c.months))
		}
	}
	if _, _, err := readBundles(t.TempDir(), 1); err == nil {
		t.Error("an empty folder: got no error")
	}
}

func TestMatchesIn(t *testing.T) {
	for body, want := range map[string]int{
		`{"resourceType":"Patient"}`: 1,
		`{"resourceType":"Bundle"}`:  0,
		`{"resourceType":"Bundle","entry":[{"search":{"mode":"match"}},{"search":{"mode":"include"}},{"search":{"mode":"outcome"}},{}]}`: 2,
	} {
		if got, err := matchesIn([]byte(body)); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", body, got, err, want)
		}
	}
	if _, err := matchesIn([]byte("<html>")); err == nil {
		t.Error("no JSON: got no error")
	}
}

// Both are asked the same about their own ids, and an answer with fewer matches
// is not counted as alike.
func TestAskComparesBoth(t *testing.T) {
	asked := make(map[string]string)
	serve := func(name, answer string) *side {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked[name] = r.URL.String()
			io.WriteString(w, answer)
		}))
		t.Cleanup(s.Close)
		return &side{base: s.URL}
	}
	const one = `{"resourceType":"Bundle","entry":[{"search":{"mode":"match"}}]}`
	a, same, fewer := serve("a", one), serve("same", one), serve("fewer", `{"resourceType":"Bundle"}`)
	var d asks
	c := &chart{ours: "o", theirs: "t"}
	for _, p := range []*side{same, fewer} {
		if err := d.ask(t.Context(), a, p, "/Observation?patient=PATIENT&date=MONTH", c, "2020-01", p == same); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.row("x"); r.Asked != 2 || r.Alike != 1 || r.Matches != 2 || r.PeerFound != 1 {
		t.Errorf("got %+v, want two asked, one alike, two and one found", r)
	}
	if asked["a"] != "/Observation?patient=o&date=2020-01" || asked["same"] != "/Observation?patient=t&date=2020-01" {
		t.Errorf("got %v, want each side's own id", asked)
	}
}

func TestPercentile(t *testing.T) {
	all := []time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}
	if p50, p95 := percentile(all, 0.5), percentile(all, 0.95); p50 != 2 || p95 != 2 {
		t.Errorf("got %v and %v, want 2 and 2", p50, p95)
	}
}

func TestUsage(t *testing.T) {
	if got := run(context.Background(), nil, t.Output(), t.Output()); got != 2 {
		t.Errorf("no peer: got exit %d, want 2", got)
	}
}
