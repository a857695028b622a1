package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/abaton-health/abaton/internal/local"
)

// browser is an app in a browser: between two commands of a story.
type browser struct {
	client   *http.Client
	gateway  string
	page     string
	id, back string
	verifier string
	access   string
}

type browsers map[string]*browser

func (b browsers) of(ts *testscript.TestScript) string { return ts.Getenv("WORK") }

// kept are the browsers of the stories, by story.
var kept = make(browsers)

// appAsk is: appask DIR CLIENT REDIRECT SCOPE [LAUNCH-URL]. An app asks for
// access in a browser; the code on the page goes to the variable CODE.
func appAsk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || len(args) > 5 {
		ts.Fatalf("usage: appask DIR CLIENT REDIRECT SCOPE [LAUNCH-URL]")
	}
	n, err := local.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	b := &browser{gateway: n.GatewayURL(), id: args[1], back: args[2], verifier: rand.Text() + rand.Text(),
		client: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), args[2]) {
				return http.ErrUseLastResponse
			}
			return nil
		}}}
	sum := sha256.Sum256([]byte(b.verifier))
	v := url.Values{"response_type": {"code"}, "client_id": {b.id}, "redirect_uri": {b.back}, "scope": {args[3]}, "state": {"s"}, "aud": {b.gateway},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	if len(args) == 5 {
		u, err := url.Parse(strings.TrimSpace(args[4]))
		ts.Check(err)
		v.Set("launch", u.Query().Get("launch"))
	}
	resp, err := b.client.Get(b.gateway + "/authorize?" + v.Encode())
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	m := regexp.MustCompile(`<p class="code">([A-Z0-9-]+)</p>`).FindSubmatch(text)
	if m == nil {
		ts.Fatalf("the page shows no code (status %d)", resp.StatusCode)
	}
	b.page = resp.Request.URL.String()
	kept[kept.of(ts)] = b
	ts.Setenv("CODE", string(m[1]))
}

// appGet is: appget STATUS PATH. The app takes its answer, if it has not, and
// asks for a resource.
func appGet(ts *testscript.TestScript, neg bool, args []string) {
	b := kept[kept.of(ts)]
	if neg || len(args) != 2 || b == nil {
		ts.Fatalf("usage: appget STATUS PATH, after appask")
	}
	if b.access == "" {
		resp, err := b.client.Get(b.page)
		ts.Check(err)
		resp.Body.Close()
		to, err := url.Parse(resp.Header.Get("Location"))
		ts.Check(err)
		b.access = exchanged(ts, b.gateway, url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {b.back},
			"code_verifier": {b.verifier}, "client_id": {b.id}})
	}
	fetched(ts, b.gateway+args[1], b.access, args[0])
}

func exchanged(ts *testscript.TestScript, gateway string, v url.Values) string {
	resp, err := http.PostForm(gateway+"/token", v)
	ts.Check(err)
	defer resp.Body.Close()
	var out struct {
		Access string `json:"access_token"`
		Failed string `json:"error"`
	}
	ts.Check(json.NewDecoder(resp.Body).Decode(&out))
	if out.Access == "" {
		ts.Fatalf("no access: %d %s", resp.StatusCode, out.Failed)
	}
	return out.Access
}

func fetched(ts *testscript.TestScript, address, access, status string) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	if fmt.Sprint(resp.StatusCode) != status {
		text, err := io.ReadAll(io.LimitReader(resp.Body, 500))
		ts.Fatalf("the app reads: got %s, want %s: %s %v", resp.Status, status, text, err)
	}
}

// serviceGet is: svcget key KEYFILE SETFILE, which makes a key, or: svcget DIR
// CLIENT KEYFILE STATUS PATH, by which a service asks for access and reads.
func serviceGet(ts *testscript.TestScript, neg bool, args []string) {
	if !neg && len(args) == 3 && args[0] == "key" {
		k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		ts.Check(err)
		for i, key := range []any{k, k.Public()} {
			text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "abaton-test-only"}}})
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(args[1+i]), text, 0o600))
		}
		return
	}
	if neg || len(args) != 5 {
		ts.Fatalf("usage: svcget DIR CLIENT KEYFILE STATUS PATH")
	}
	n, err := local.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	var keys jose.JSONWebKeySet
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &keys))
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES384, Key: keys.Keys[0]}, nil)
	ts.Check(err)
	claims, err := json.Marshal(map[string]any{"iss": args[1], "sub": args[1], "aud": n.GatewayURL() + "/token", "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix()})
	ts.Check(err)
	o, err := s.Sign(claims)
	ts.Check(err)
	assertion, err := o.CompactSerialize()
	ts.Check(err)
	access := exchanged(ts, n.GatewayURL(), url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
	fetched(ts, n.GatewayURL()+args[4], access, args[3])
}
