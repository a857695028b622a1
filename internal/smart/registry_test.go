package smart

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestRegistryIsStrict(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		small = nil // this build of Go refuses to make one
	}
	good := curveKey(t, elliptic.P384())
	keys := set(t, jose.JSONWebKey{Key: good.Public(), KeyID: "k"})
	app := func(lines ...string) string { return "[[app]]\n" + strings.Join(lines, "\n") + "\n" }
	public := []string{`id = "a"`, `name = "A"`, `type = "public"`, `redirect_uris = ["https://a.test/b"]`, `scopes = "patient/*.rs"`}
	with := func(i int, line string) string {
		lines := append([]string(nil), public...)
		lines[i] = line
		return app(lines...)
	}
	backend := func(lines ...string) string {
		return app(append([]string{`id = "b"`, `name = "B"`, `type = "backend"`}, lines...)...)
	}
	for name, text := range map[string]string{
		"public": app(public...), "backend": backend(`scopes = "system/*.rs"`, `jwks = '`+keys+`'`, `actor = "act1x"`),
		"own scheme": with(3, `redirect_uris = ["com.example.app:/back"]`), "loopback": with(3, `redirect_uris = ["http://127.0.0.1/b", "http://[::1]/b"]`),
		"none": "",
	} {
		if _, err := ParseRegistry([]byte(text), nil); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
	for name, text := range map[string]string{
		"unknown setting": app(append(public, `client_secret = "x"`)...), "unknown table": "[apps]\n", "no TOML": "[[app",
		"twice": app(public...) + app(public...),
		"no id": with(0, ``), "id": with(0, `id = "a b"`), "no name": with(1, ``), "name": with(1, `name = "a\u0000b"`),
		"type": with(2, `type = "secret"`), "no type": with(2, ``),
		"no redirect": with(3, ``), "http": with(3, `redirect_uris = ["http://a.test/b"]`), "localhost": with(3, `redirect_uris = ["http://localhost/b"]`),
		"fragment": with(3, `redirect_uris = ["https://a.test/b#c"]`), "empty fragment": with(3, `redirect_uris = ["https://a.test/b#"]`),
		"name in URI": with(3, `redirect_uris = ["https://x@a.test/b"]`), "relative": with(3, `redirect_uris = ["/b"]`), "script": with(3, `redirect_uris = ["javascript:alert(1)"]`),
		"no scopes": with(4, ``), "unknown scope": with(4, `scopes = "patient/*.rs what"`), "system of an app": with(4, `scopes = "patient/*.rs system/*.rs"`),
		"dpop": app(append(public, `dpop = "off"`)...), "origin": app(append(public, `origins = ["https://a.test/"]`)...), "http origin": app(append(public, `origins = ["http://a.test"]`)...),
		"launch": app(append(public, `launch_url = "http://a.test"`)...), "keys of a public app": app(append(public, `jwks = '`+keys+`'`)...),
		"actor of an app":      app(append(public, `actor = "act1x"`)...),
		"backend without keys": backend(`scopes = "system/*.rs"`), "backend with patient": backend(`scopes = "system/*.rs patient/*.rs"`, `jwks = '`+keys+`'`),
		"backend with openid": backend(`scopes = "system/*.rs openid"`, `jwks = '`+keys+`'`), "backend with redirect": backend(`scopes = "system/*.rs"`, `jwks = '`+keys+`'`, `redirect_uris = ["https://a.test/b"]`),
		"two key settings": backend(`scopes = "system/*.rs"`, `jwks = '`+keys+`'`, `jwks_file = "x"`), "key file": backend(`scopes = "system/*.rs"`, `jwks_file = "x"`),
		"no keys in set": backend(`scopes = "system/*.rs"`, `jwks = '{"keys":[]}'`),
		"private key":    backend(`scopes = "system/*.rs"`, `jwks = '`+set(t, jose.JSONWebKey{Key: good, KeyID: "k"})+`'`),
		"same kid":       backend(`scopes = "system/*.rs"`, `jwks = '`+set(t, jose.JSONWebKey{Key: good.Public(), KeyID: "k"}, jose.JSONWebKey{Key: good.Public(), KeyID: "k"})+`'`),
		"no kid":         backend(`scopes = "system/*.rs"`, `jwks = '`+set(t, jose.JSONWebKey{Key: good.Public()})+`'`),
		"P-256":          backend(`scopes = "system/*.rs"`, `jwks = '`+set(t, jose.JSONWebKey{Key: curveKey(t, elliptic.P256()).Public(), KeyID: "k"})+`'`),
	} {
		if r, err := ParseRegistry([]byte(text), func(string) ([]byte, error) { return nil, errors.New("no such file") }); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if small != nil {
		text := backend(`scopes = "system/*.rs"`, `jwks = '`+set(t, jose.JSONWebKey{Key: small.Public(), KeyID: "k"})+`'`)
		if _, err := ParseRegistry([]byte(text), nil); err == nil {
			t.Error("RSA of 1024 bits: accepted")
		}
	}
}

func TestRedirectsAreExact(t *testing.T) {
	a := &App{Redirects: []string{"https://a.test/b", "http://127.0.0.1/b", "http://[::1]:8000/b?x=1", "com.example.app:/b"}}
	for text, want := range map[string]bool{
		"https://a.test/b": true, "http://127.0.0.1/b": true, "http://127.0.0.1:4321/b": true, "http://[::1]:1/b?x=1": true, "com.example.app:/b": true,
		"": false, "https://a.test/b/": false, "https://a.test:443/b": false, "https://a.test/b?": false, "https://a.test/b#": false,
		"https://a.test.evil.test/b": false, "https://evil.test/https://a.test/b": false, "http://a.test/b": false, "https://A.test/b": false,
		"http://127.0.0.1:4321/c": false, "http://127.0.0.1:4321@evil.test/b": false, "http://127.0.0.2/b": false, "https://127.0.0.1/b": false,
		"http://127.0.0.1:99999/b": false, "http://127.0.0.1:0/b": false, "http://127.0.0.1:/b": false, "http://[::1]:1/b": false, "http://localhost/b": false,
		"http://127.0.0.1:1/b?x": false, "http://127.0.0.1:1/b#x": false, "com.example.app:/b/c": false,
	} {
		if got := a.redirects(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestVerifier(t *testing.T) {
	// RFC 7636, appendix B
	const v, c = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if !verified(v, c) || !digest(c) {
		t.Error("the example of RFC 7636 does not hold")
	}
	for _, bad := range []string{"", c, v + "x", v[:42], strings.Repeat("x", 129), v[:42] + " ", v[:42] + "=", v[:42] + "é"} {
		if verified(bad, c) {
			t.Errorf("%q: accepted", bad)
		}
	}
	for _, bad := range []string{"", c[:42], c + "A", c[:42] + "=", c[:42] + "N", v} { // of v the last bits are not zero, or it is another
		if bad != v && digest(bad) {
			t.Errorf("challenge %q: accepted", bad)
		}
	}
}

func TestRedeem(t *testing.T) {
	const v, c = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	public, weak, signs := &App{ID: "a", Kind: Public}, &App{ID: "a", Kind: Public, ProofOptional: true}, &App{ID: "a", Kind: Confidential}
	for _, x := range []struct {
		name              string
		app               *App
		bound, proof, uri string
		want              Code
	}{
		{"proved", public, "", "key", "u", ""},
		{"not proved", public, "", "", "u", InvalidProof},
		{"optional", weak, "", "", "u", ""},
		{"signs", signs, "", "", "u", ""},
		{"announced key", public, "key", "key", "u", ""},
		{"another than the announced", public, "key", "other", "u", InvalidGrant},
		{"announced and not proved", weak, "key", "", "u", InvalidGrant},
		{"another address", public, "", "key", "w", InvalidGrant},
		{"another app", &App{ID: "b", Kind: Public}, "", "key", "u", InvalidGrant},
		{"no app", nil, "", "key", "u", InvalidGrant},
	} {
		r := &Request{App: public, Redirect: "u", Challenge: c, Proof: x.bound}
		err := r.Redeem(x.app, Params{"redirect_uri": x.uri, "code_verifier": v}, x.proof)
		refused, ok := errors.AsType[*Error](err)
		if ok != (x.want != "") || ok && refused.Code != x.want {
			t.Errorf("%s: got %v, want %q", x.name, err, x.want)
		}
	}
}

func TestAnswerKeepsTheQuery(t *testing.T) {
	u, err := url.Parse(Answer("https://a.test/b?x=1", "https://gateway.test", "code", "c&d", "state", "s t", "empty", ""))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("x") != "1" || q.Get("code") != "c&d" || q.Get("state") != "s t" || q.Get("iss") != "https://gateway.test" || q.Has("empty") {
		t.Errorf("got %s", u)
	}
}

func TestZeroRegistryKnowsNobody(t *testing.T) {
	for _, r := range []*Registry{nil, {}} {
		if r.App("") != nil || r.From("") || r.From("null") || len(r.All()) > 0 {
			t.Error("an empty registry knows an app")
		}
		if _, err := r.Authorize(Params{}, "https://gateway.test"); err == nil {
			t.Error("an empty registry authorises")
		}
		if _, _, err := r.Authenticate(Params{"client_id": ""}, "", noon); err == nil {
			t.Error("an empty registry authenticates")
		}
	}
}

func TestParamsOnce(t *testing.T) {
	for _, bad := range []string{"a=1&a=2", "a=%zz", "a=" + strings.Repeat("x", ParameterBytesMax+1), strings.Repeat("a", RequestBytesMax+1), "a;b=1"} {
		if _, err := ParseParams(bad); err == nil {
			t.Errorf("%.20q: accepted", bad)
		}
	}
}
