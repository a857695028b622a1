package smart

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var noon = time.Unix(1_795_305_600, 0)

func curveKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k any, a jose.SignatureAlgorithm, o *jose.SignerOptions, payload string) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: a, Key: k}, o)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func proofOptions(typ string) *jose.SignerOptions {
	return (&jose.SignerOptions{EmbedJWK: true}).WithType(jose.ContentType(typ))
}

const at = "https://gateway.test/Patient/1"

func payload(iat int64, more string) string {
	return fmt.Sprintf(`{"jti":"j-1","htm":"GET","htu":"%s","iat":%d,"ath":"%s"%s}`, at, iat, AccessHash("value"), more)
}

func asked() Possession {
	return Possession{Method: "GET", URL: at, Access: "value", Now: noon}
}

func TestProofsThatHold(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	es := curveKey(t, elliptic.P256())
	for name, c := range map[string]struct {
		key any
		alg jose.SignatureAlgorithm
		iat int64
		htu string
	}{
		"ES256": {es, jose.ES256, noon.Unix(), at}, "EdDSA": {ed, jose.EdDSA, noon.Unix(), at},
		"a minute old": {es, jose.ES256, noon.Unix() - 60, at}, "a minute ahead": {es, jose.ES256, noon.Unix() + 60, at},
		"with a query": {es, jose.ES256, noon.Unix(), at + "?a=b#c"}, "with the port": {es, jose.ES256, noon.Unix(), strings.Replace(at, ".test", ".test:443", 1)},
		"host in capitals": {es, jose.ES256, noon.Unix(), strings.Replace(at, "gateway", "GATEWAY", 1)},
	} {
		proof := sign(t, c.key, c.alg, proofOptions("dpop+jwt"), strings.Replace(payload(c.iat, `,"nonce":"n"`), at, c.htu, 1))
		thumbprint, used, err := asked().Verify(proof)
		if err != nil || !digest(thumbprint) || used.Name == [32]byte{} || used.Until.Before(noon) {
			t.Errorf("%s: got %q, %v, %v", name, thumbprint, used.Until, err)
		}
	}
	jwk := jose.JSONWebKey{Key: es.Public()}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := asked().Verify(sign(t, es, jose.ES256, proofOptions("dpop+jwt"), payload(noon.Unix(), "")))
	if want := base64.RawURLEncoding.EncodeToString(sum); got != want || err != nil {
		t.Errorf("thumbprint: got %s, %v, want %s", got, err, want)
	}
}

// raw is a JWS by hand: header and payload as they stand, signed by key.
func raw(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	e := base64.RawURLEncoding
	input := e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(payload))
	h := crypto.SHA256.New()
	h.Write([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + e.EncodeToString(sig)
}

func TestProofsThatDoNotHold(t *testing.T) {
	es, p384 := curveKey(t, elliptic.P256()), curveKey(t, elliptic.P384())
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := noon.Unix()
	public, err := json.Marshal(jose.JSONWebKey{Key: es.Public()})
	if err != nil {
		t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: es})
	if err != nil {
		t.Fatal(err)
	}
	header := `{"typ":"dpop+jwt","alg":"ES256","jwk":` + string(public) + `}`
	if _, _, err := asked().Verify(raw(t, es, header, payload(now, ""))); err != nil {
		t.Fatalf("by hand: %v", err)
	}
	good := sign(t, es, jose.ES256, proofOptions("dpop+jwt"), payload(now, ""))
	parts := strings.Split(good, ".")
	e := base64.RawURLEncoding
	with := func(from, to string) string {
		return sign(t, es, jose.ES256, proofOptions("dpop+jwt"), strings.Replace(payload(now, ""), from, to, 1))
	}
	for name, proof := range map[string]string{
		"empty":              "",
		"too long":           strings.Repeat("a", proofBytesMax+1),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"another payload":    parts[0] + "." + e.EncodeToString([]byte(payload(now, `,"x":1`))) + "." + parts[2],
		"alg none":           e.EncodeToString([]byte(`{"typ":"dpop+jwt","alg":"none","jwk":`+string(public)+`}`)) + "." + parts[1] + ".",
		"HMAC":               sign(t, []byte(strings.Repeat("k", 32)), jose.HS256, new(jose.SignerOptions).WithType("dpop+jwt").WithHeader("jwk", json.RawMessage(public)), payload(now, "")),
		"ES384":              sign(t, p384, jose.ES384, proofOptions("dpop+jwt"), payload(now, "")),
		"RSA":                sign(t, rs, jose.RS256, proofOptions("dpop+jwt"), payload(now, "")),
		"another type":       sign(t, es, jose.ES256, proofOptions("JWT"), payload(now, "")),
		"no key":             sign(t, es, jose.ES256, new(jose.SignerOptions).WithType("dpop+jwt"), payload(now, "")),
		"a private key":      raw(t, es, strings.Replace(header, string(public), string(private), 1), payload(now, "")),
		"another's key":      raw(t, curveKey(t, elliptic.P256()), header, payload(now, "")),
		"unknown crit":       raw(t, es, strings.Replace(header, `{`, `{"crit":["x"],"x":1,`, 1), payload(now, "")),
		"a claim twice":      with(`"htm":"GET"`, `"htm":"PUT","htm":"GET"`),
		"no jti":             with(`"jti":"j-1",`, ``),
		"long jti":           with(`j-1`, strings.Repeat("j", idBytesMax+1)),
		"method":             with(`"GET"`, `"get"`),
		"address":            with(at, at+"/"),
		"scheme":             with("https:", "http:"),
		"host":               with("gateway.test", "gateway.test.evil.test"),
		"name in front":      with("https://", "https://gateway.test@"),
		"no iat":             with(`"iat":`+fmt.Sprint(now)+`,`, ``),
		"iat as text":        with(fmt.Sprint(now), `"`+fmt.Sprint(now)+`"`),
		"iat with fraction":  with(fmt.Sprint(now), fmt.Sprint(now)+".5"),
		"too old":            with(fmt.Sprint(now), fmt.Sprint(now-61)),
		"too new":            with(fmt.Sprint(now), fmt.Sprint(now+61)),
		"another value":      with(AccessHash("value"), AccessHash("other")),
		"no value":           with(`,"ath":"`+AccessHash("value")+`"`, ``),
		"JSON serialisation": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		if thumbprint, used, err := asked().Verify(proof); err == nil || thumbprint != "" || used != (Used{}) {
			t.Errorf("%s: got %q, %v, want a refusal", name, thumbprint, err)
		}
	}
	none := Possession{Method: "GET", URL: at, Now: noon}
	if _, _, err := none.Verify(good); err == nil {
		t.Error("a proof for a value at the token endpoint: accepted")
	}
}

func set(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAssertions(t *testing.T) {
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	es := curveKey(t, elliptic.P384())
	registry, err := ParseRegistry([]byte(`
[[app]]
id = "svc"
name = "Service"
type = "backend"
scopes = "system/*.rs"
jwks = '`+set(t, jose.JSONWebKey{Key: es.Public(), KeyID: "e"}, jose.JSONWebKey{Key: rs.Public(), KeyID: "r"})+`'
[[app]]
id = "pub"
name = "Public"
type = "public"
redirect_uris = ["https://a.test/b"]
scopes = "patient/*.rs"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	const endpoint = "https://gateway.test/token"
	claims := func(more string) string {
		return fmt.Sprintf(`{"iss":"svc","sub":"svc","aud":"%s","exp":%d,"jti":"j"%s}`, endpoint, noon.Unix()+200, more)
	}
	options := func(kid string) *jose.SignerOptions { return new(jose.SignerOptions).WithHeader("kid", kid) }
	try := func(assertion string) (string, bool) {
		app, used, err := registry.Authenticate(Params{"client_assertion": assertion, "client_assertion_type": assertionType}, endpoint, noon)
		return fmt.Sprint(err), err == nil && app.ID == "svc" && used != Used{}
	}
	list := strings.Replace(claims(""), `"`+endpoint+`"`, `["x","`+endpoint+`"]`, 1)
	for name, a := range map[string]string{
		"ES384": sign(t, es, jose.ES384, options("e"), claims("")), "RS384": sign(t, rs, jose.RS384, options("r"), claims("")),
		"several audiences": sign(t, es, jose.ES384, options("e"), list), "with iat": sign(t, es, jose.ES384, options("e"), claims(`,"iat":1795305600,"nbf":1795305600`)),
	} {
		if text, ok := try(a); !ok {
			t.Errorf("%s: got %s, want the service", name, text)
		}
	}
	edit := func(from, to string) string {
		return sign(t, es, jose.ES384, options("e"), strings.Replace(claims(""), from, to, 1))
	}
	for name, a := range map[string]string{
		"RS256":           sign(t, rs, jose.RS256, options("r"), claims("")),
		"PS384":           sign(t, rs, jose.PS384, options("r"), claims("")),
		"another kid":     sign(t, es, jose.ES384, options("r"), claims("")),
		"no kid":          sign(t, es, jose.ES384, nil, claims("")),
		"unknown kid":     sign(t, es, jose.ES384, options("x"), claims("")),
		"another key":     sign(t, curveKey(t, elliptic.P384()), jose.ES384, options("e"), claims("")),
		"its own key":     sign(t, curveKey(t, elliptic.P384()), jose.ES384, &jose.SignerOptions{EmbedJWK: true}, claims("")),
		"HMAC":            sign(t, []byte(strings.Repeat("k", 48)), jose.HS384, options("e"), claims("")),
		"issuer":          edit(`"iss":"svc"`, `"iss":"pub"`),
		"subject":         edit(`"sub":"svc"`, `"sub":"pub"`),
		"audience":        edit("/token", "/revoke"),
		"audience prefix": edit("/token", ""),
		"no audience":     edit(`"aud":"`+endpoint+`",`, ``),
		"no end":          edit(`"exp":1795305800,`, ``),
		"ended":           edit(`1795305800`, `1795305600`),
		"ends too late":   edit(`1795305800`, `1795305901`),
		"no jti":          edit(`,"jti":"j"`, ``),
		"from later":      edit(`,"jti"`, `,"nbf":1795305700,"jti"`),
		"issued later":    edit(`,"jti"`, `,"iat":1795305700,"jti"`),
	} {
		if _, ok := try(a); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, p := range map[string]Params{
		"nobody": {}, "a service by name": {"client_id": "svc"}, "unknown": {"client_id": "x"},
		"public with a secret": {"client_id": "pub", "client_secret": "s"},
	} {
		if app, _, err := registry.Authenticate(p, endpoint, noon); err == nil || app != nil {
			t.Errorf("%s: got %v, want a refusal", name, app)
		}
	}
	if app, used, err := registry.Authenticate(Params{"client_id": "pub"}, endpoint, noon); err != nil || app.ID != "pub" || used != (Used{}) {
		t.Errorf("public: got %v, %v", app, err)
	}
}

// FuzzProof: nothing that comes in a header panics, and what is accepted was
// signed for this request.
func FuzzProof(f *testing.F) {
	es := curveKey(f, elliptic.P256())
	good := sign(f, es, jose.ES256, proofOptions("dpop+jwt"), payload(noon.Unix(), ""))
	f.Add(good)
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("a.b.c")
	f.Add(`{"payload":"","signatures":[]}`)
	f.Fuzz(func(t *testing.T, proof string) {
		if thumbprint, used, err := asked().Verify(proof); err == nil && (!digest(thumbprint) || used.Name == [32]byte{}) {
			t.Errorf("accepted with thumbprint %q", thumbprint)
		}
	})
}
