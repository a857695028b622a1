package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
)

func checked(t *testing.T, args ...string) (code int, results map[string]probed) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"keeper", "check", "--json", "--dir", t.TempDir()}, args...), strings.NewReader(""), &stdout, &stderr)
	var out struct{ Probes []probed }
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("keeper check: exit %d, %v\n%s", code, err, stderr.String())
	}
	results = make(map[string]probed)
	for _, p := range out.Probes {
		if _, twice := results[p.Probe]; twice {
			t.Errorf("two probes are named %q", p.Probe)
		}
		results[p.Probe] = p
	}
	return code, results
}

// TestKeeperCheck probes a real keeper behind its real handler and TLS.
func TestKeeperCheck(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	n := custodytest.New(t, 5)
	table, err := n.Keepers[1].Table()
	if err != nil {
		t.Fatal(err)
	}
	scalar := make([]byte, 32)
	rand.Read(scalar)
	cert, pin, err := keeper.NewCertificate(scalar)
	if err != nil {
		t.Fatal(err)
	}
	front := keeper.NewHTTPServer(keeper.NewHandler(table, []string{"https://localhost"}, nil, nil))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front.TLSConfig, front.ErrorLog = keeper.TLSConfig(cert), log.New(io.Discard, "", 0)
	go front.Serve(tls.NewListener(ln, front.TLSConfig)) // ends with Close
	t.Cleanup(func() { front.Close() })
	url := "https://" + ln.Addr().String()

	code, results := checked(t, url, "--pin", hexOf(pin[:]))
	for name, p := range results {
		if !p.OK && p.Skip == "" {
			t.Errorf("%s: got %s, want %s", name, p.Got, p.Want)
		}
	}
	if code != exitOK || len(results) < 60 {
		t.Errorf("got exit %d with %d probes, want 0 with 60 or more", code, len(results))
	}
	pin[0] ^= 1
	if code, results := checked(t, url, "--pin", hexOf(pin[:])); code != exitFailed || results["TLS key"].OK {
		t.Errorf("another pin: got exit %d, %+v, want 1 and a bad TLS key", code, results["TLS key"])
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

// TestKeeperCheckCanFail: a party that accepts everything, of whoever, over
// any TLS, fails every probe that is no control.
func TestKeeperCheckCanFail(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	open := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		w.Write([]byte("welcome"))
	}))
	open.Config.MaxHeaderBytes, open.Config.ErrorLog = 1<<20, log.New(io.Discard, "", 0)
	open.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	open.StartTLS()
	t.Cleanup(open.Close)
	code, results := checked(t, open.URL, "--pin", strings.Repeat("00", 32))
	if code != exitFailed {
		t.Errorf("got exit %d, want 1", code)
	}
	for name, p := range results {
		// Go's own server refuses these two by itself.
		if p.OK && !strings.HasPrefix(name, "control:") && name != "no TLS" && name != "two lengths" {
			t.Errorf("%s: a party that accepts everything passed: %s", name, p.Got)
		}
	}
}

func TestKeeperCheckAway(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"keeper", "check", "--dir", t.TempDir(), "https://127.0.0.1:1"}, strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "does not answer") {
		t.Errorf("got exit %d, %q, want 1 and that it does not answer", code, stderr.String())
	}
	if code := run(t.Context(), []string{"keeper", "check", "http://127.0.0.1:1"}, strings.NewReader(""), &stdout, &stderr); code != exitUsage {
		t.Errorf("an address without TLS: got exit %d, want 2", code)
	}
}
