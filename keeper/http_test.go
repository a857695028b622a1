package keeper_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"crypto/tls"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
)

// serve runs a handler over real TLS on loopback and gives its address and
// pin.
func serve(t *testing.T, table *keeper.Table, origins ...string) (base string, pin [32]byte) {
	t.Helper()
	scalar := make([]byte, 32)
	rand.Read(scalar)
	scalar[0] = 1 // below the curve's order
	cert, pin, err := keeper.NewCertificate(scalar)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := keeper.NewHTTPServer(keeper.NewHandler(table, origins, nil, nil))
	server.TLSConfig = keeper.TLSConfig(cert)
	go server.ServeTLS(ln, "", "")
	t.Cleanup(func() { server.Close() })
	return "https://" + ln.Addr().String(), pin
}

func echo(_ context.Context, _ string, body []byte) ([]byte, error) { return body, nil }

func post(path string, h func(context.Context, string, []byte) ([]byte, error)) keeper.Route {
	return keeper.Route{Method: "POST", Path: path, Policy: keeper.ByRequest, BodyMax: 64, Content: keeper.ContentCBOR, Reply: keeper.ContentCBOR, Handle: h}
}

func seal(t *testing.T, routes ...keeper.Route) *keeper.Table {
	t.Helper()
	table, err := keeper.Seal(routes)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestRouteWithoutPolicyCannotExist(t *testing.T) {
	good := post("/a", echo)
	for name, spoil := range map[string]func(*keeper.Route){
		"no policy":       func(r *keeper.Route) { r.Policy = 0 },
		"unknown policy":  func(r *keeper.Route) { r.Policy = keeper.AsEvidence + 1 },
		"no handler":      func(r *keeper.Route) { r.Handle = nil },
		"no path":         func(r *keeper.Route) { r.Path = "" },
		"no body cap":     func(r *keeper.Route) { r.BodyMax = 0 },
		"no content type": func(r *keeper.Route) { r.Content = "" },
		"no reply type":   func(r *keeper.Route) { r.Reply = "" },
		"other method":    func(r *keeper.Route) { r.Method = "PUT" },
		"get of secrets":  func(r *keeper.Route) { r.Method, r.BodyMax = "GET", 0 },
	} {
		r := good
		spoil(&r)
		if _, err := keeper.Seal([]keeper.Route{r}); err == nil {
			t.Errorf("%s: got a sealed table, want an error", name)
		}
	}
	if _, err := keeper.Seal([]keeper.Route{good, good}); err == nil {
		t.Error("same route twice: got a sealed table, want an error")
	}
}

func TestRefusalsTravelAsReasons(t *testing.T) {
	base, pin := serve(t, seal(t, post("/v1/refuse", func(_ context.Context, _ string, body []byte) ([]byte, error) {
		return nil, abaton.Refuse(abaton.Reason(body))
	}), post("/v1/broken", func(context.Context, string, []byte) ([]byte, error) {
		return nil, errors.New("disk on fire at block 7")
	})))
	c, err := keeper.Dial(base, pin)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []abaton.Reason{abaton.ReasonGrant, abaton.ReasonNotFound, abaton.ReasonNoSession, abaton.ReasonLease, abaton.ReasonErased} {
		_, err := c.Call(t.Context(), "/v1/refuse", []byte(want))
		if e, ok := errors.AsType[*abaton.RefusedError](err); !ok || e.Reason != want {
			t.Errorf("refusal %q: got %v", want, err)
		}
	}
	_, err = c.Call(t.Context(), "/v1/broken", nil)
	if e, ok := errors.AsType[*abaton.RefusedError](err); !ok || e.Reason != abaton.ReasonStorage {
		t.Errorf("inner failure: got %v, want reason storage and nothing of the cause", err)
	}
}

func TestPinIsTheOnlyTrust(t *testing.T) {
	base, pin := serve(t, seal(t, post("/v1/echo", echo)))
	other := pin
	other[0] ^= 1
	c, err := keeper.Dial(base, other)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Call(t.Context(), "/v1/echo", []byte("x")); err == nil {
		t.Error("another key's pin: got an answer, want none")
	}
	for _, bad := range []struct {
		base string
		pin  [32]byte
	}{{"http://127.0.0.1:1", pin}, {"https://127.0.0.1:1/path", pin}, {base, [32]byte{}}, {"", pin}} {
		if _, err := keeper.Dial(bad.base, bad.pin); err == nil {
			t.Errorf("dial %q: got a client, want an error", bad.base)
		}
	}
}

func TestOnlyTLS13(t *testing.T) {
	base, _ := serve(t, seal(t, post("/v1/echo", echo)))
	_, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err == nil {
		t.Error("TLS 1.2: got a connection, want none")
	}
}

func TestDoorRefusesWhatIsNotInTheTable(t *testing.T) {
	base, _ := serve(t, seal(t, post("/v1/echo", echo), keeper.Route{
		Method: "GET", Path: "/tile/", Policy: keeper.AsEvidence, Reply: keeper.ContentBytes,
		Handle: func(_ context.Context, path string, _ []byte) ([]byte, error) { return []byte(path), nil },
	}), "https://portal.test")
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer web.CloseIdleConnections()
	for _, c := range []struct {
		name, method, path, content, origin string
		body                                string
		want                                int
	}{
		{"good", "POST", "/v1/echo", keeper.ContentCBOR, "", "x", 200},
		{"unknown path", "POST", "/v1/other", keeper.ContentCBOR, "", "x", 404},
		{"method", "GET", "/v1/echo", "", "", "", 404},
		{"query", "POST", "/v1/echo?a=1", keeper.ContentCBOR, "", "x", 404},
		{"content type", "POST", "/v1/echo", "application/json", "", "x", 400},
		{"content type with parameter", "POST", "/v1/echo", keeper.ContentCBOR + "; x=1", "", "x", 400},
		{"oversized", "POST", "/v1/echo", keeper.ContentCBOR, "", strings.Repeat("x", 65), 413},
		{"double slash", "GET", "/tile//0", "", "", "", 404},
		{"dots", "GET", "/tile/../v1", "", "", "", 404},
		{"encoded", "GET", "/tile/%2e%2e", "", "", "", 404},
		{"tile", "GET", "/tile/0/000", "", "", "", 200},
		{"debug", "GET", "/debug/pprof/", "", "", "", 404},
		{"options of a stranger", "OPTIONS", "/v1/echo", "", "https://evil.test", "", 404},
		{"options of the portal", "OPTIONS", "/v1/echo", "", "https://portal.test", "", 204},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, bytes.NewReader([]byte(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + strings.TrimPrefix(base, "https://") + c.path // as written, not cleaned
		if i := strings.IndexByte(c.path, '?'); i >= 0 {
			req.URL.Opaque = "//" + strings.TrimPrefix(base, "https://") + c.path[:i]
		}
		if c.content != "" {
			req.Header.Set("Content-Type", c.content)
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := web.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: got status %d, want %d", c.name, resp.StatusCode, c.want)
		}
		if got := resp.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: got Cache-Control %q, want no-store", c.name, got)
		}
		if allowed := resp.Header.Get("Access-Control-Allow-Origin"); (allowed != "") != (c.origin == "https://portal.test") {
			t.Errorf("%s: got Access-Control-Allow-Origin %q", c.name, allowed)
		}
	}
}
