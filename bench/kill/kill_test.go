package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/abaton-health/abaton/internal/people"
)

const sent = `{"resourceType":"Observation","status":"final","valueInteger":1.0}`

// TestReadBackCanFail: what is missing, and what came back with other bytes,
// is counted; the same bytes with an id and a version are not.
func TestReadBackCanFail(t *testing.T) {
	held := func(id, body string) string {
		return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"meta":{"versionId":"v1","lastUpdated":"2026-11-21T20:00:00.000Z"},%s}`, id, body)
	}
	answers := map[string]string{
		"/Observation/same":    held("same", `"status":"final","valueInteger":1.0`),
		"/Observation/changed": held("changed", `"status":"final","valueInteger":1.00`),
		"/Observation/spaced":  held("spaced", `"status": "final","valueInteger":1.0`),
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers[r.URL.Path] == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	t.Cleanup(front.Close)
	s := &people.Session{URL: front.URL}
	for at, want := range map[string][2]bool{
		"Observation/same": {true, true}, "Observation/changed": {false, true}, "Observation/spaced": {false, true}, "Observation/lost": {false, false},
	} {
		same, there, err := compare(t.Context(), s, at, []byte(sent))
		if err != nil || same != want[0] || there != want[1] {
			t.Errorf("%s: got same %v, there %v, %v, want %v", at, same, there, err, want)
		}
	}
	front.Close()
	if _, _, err := compare(t.Context(), s, "Observation/same", []byte(sent)); err == nil {
		t.Error("a gateway that is away: got no error")
	}
}

func TestUsage(t *testing.T) {
	if got := run(context.Background(), []string{"-kills", "0"}, t.Output(), t.Output()); got != 2 {
		t.Errorf("no kills: got exit %d, want 2", got)
	}
	if got := run(context.Background(), []string{"-bin", t.TempDir(), "-dir", t.TempDir()}, t.Output(), t.Output()); got != 1 {
		t.Errorf("no binaries: got exit %d, want 1", got)
	}
}
