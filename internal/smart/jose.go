package smart

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// proofAlgorithms are those of DPoP proofs, assertionAlgorithms those with
// which an app says who it is (SMART App Launch 2.2, client-confidential-
// asymmetric). Nothing else is looked at: not none, not HMAC.
func proofAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA}
}

func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES384, jose.RS384}
}

// parseKeys reads an app's public key set.
func parseKeys(text []byte) (jose.JSONWebKeySet, error) {
	var keys jose.JSONWebKeySet
	if json.Unmarshal(text, &keys) != nil || len(keys.Keys) == 0 || len(keys.Keys) > keysMax {
		return keys, errors.New("jwks: not a set of 1 to 16 keys")
	}
	var seen []string
	for i := range keys.Keys {
		k := &keys.Keys[i]
		if !k.Valid() || !k.IsPublic() || k.KeyID == "" || len(k.KeyID) > idBytesMax || slices.Contains(seen, k.KeyID) || assertionAlgorithm(k) == "" {
			return keys, errors.New("jwks: each key is public, has a kid of its own, and is P-384 or RSA of 2048 bits or more")
		}
		seen = append(seen, k.KeyID)
	}
	return keys, nil
}

// assertionAlgorithm is the one algorithm that goes with a key.
func assertionAlgorithm(k *jose.JSONWebKey) jose.SignatureAlgorithm {
	switch pub := k.Key.(type) {
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P384() {
			return jose.ES384
		}
	case *rsa.PublicKey:
		if pub.N.BitLen() >= rsaBitsMin {
			return jose.RS384
		}
	}
	return ""
}

// Used is one use of something that may be used once: its name, and until
// when it has to be remembered.
type Used struct {
	Name  [sha256.Size]byte
	Until time.Time
}

func used(until time.Time, parts ...string) Used {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p)) // fixed length, so that parts cannot run into each other
		h.Write(sum[:])
	}
	u := Used{Until: until}
	h.Sum(u.Name[:0])
	return u
}

// assertionType is what client_assertion_type must be (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Authenticate tells which app sends a request to an endpoint, and what it
// used up in proving it. A public app names itself and proves nothing: what it
// has (a code and its verifier, a renewal value) must say the rest; Used is
// then zero. Errors are *Error with InvalidClient.
func (r *Registry) Authenticate(p Params, endpoint string, now time.Time) (*App, Used, error) {
	no := refuse(InvalidClient, "it cannot be told which app this is; a public app sends client_id, all others a client_assertion for this endpoint that ends within five minutes")
	if _, ok := p["client_secret"]; ok {
		return nil, Used{}, refuse(InvalidClient, "there are no shared secrets here; sign a client_assertion")
	}
	assertion, ok := p["client_assertion"]
	if !ok {
		app := r.App(p["client_id"])
		if app == nil || app.Kind != Public {
			return nil, Used{}, no
		}
		return app, Used{}, nil
	}
	if p["client_assertion_type"] != assertionType {
		return nil, Used{}, no
	}
	app, u, ok := r.assertion(assertion, endpoint, now)
	if named := p["client_id"]; !ok || named != "" && named != app.ID {
		return nil, Used{}, no
	}
	return app, u, nil
}

// claims are those of an assertion. aud is text or a list.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expires  *int64   `json:"exp"`
	From     *int64   `json:"nbf"`
	Issued   *int64   `json:"iat"`
	ID       string   `json:"jti"`
}

type audience []string

// UnmarshalJSON reads one audience or several.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// assertion verifies a client assertion (RFC 7523, section 3).
func (r *Registry) assertion(text, endpoint string, now time.Time) (*App, Used, bool) {
	signed, err := jose.ParseSignedCompact(text, assertionAlgorithms())
	if err != nil || len(signed.Signatures) != 1 {
		return nil, Used{}, false
	}
	var c claims
	if json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &c) != nil {
		return nil, Used{}, false
	}
	app := r.App(c.Issuer)
	if app == nil || app.Kind == Public {
		return nil, Used{}, false
	}
	header := signed.Signatures[0].Protected
	keys := app.Keys.Key(header.KeyID)
	if header.KeyID == "" || len(keys) != 1 || string(assertionAlgorithm(&keys[0])) != header.Algorithm {
		return nil, Used{}, false
	}
	if _, err := signed.Verify(keys[0]); err != nil {
		return nil, Used{}, false
	}
	exp, ok := c.inTime(now)
	if !ok || c.Subject != app.ID || !slices.Contains(c.Audience, endpoint) || c.ID == "" || len(c.ID) > idBytesMax {
		return nil, Used{}, false
	}
	return app, used(exp, "assertion", app.ID, c.ID), true
}

// inTime holds exp, nbf and iat against the clock.
func (c *claims) inTime(now time.Time) (exp time.Time, ok bool) {
	exp, ok = instant(c.Expires)
	if !ok || !now.Before(exp) || exp.After(now.Add(AssertionLifeMax)) {
		return exp, false
	}
	for _, t := range []*int64{c.From, c.Issued} {
		if t == nil {
			continue
		}
		if at, ok := instant(t); !ok || at.After(now.Add(ProofWindow)) {
			return exp, false
		}
	}
	return exp, true
}

// instant reads whole seconds since 1970.
func instant(n *int64) (time.Time, bool) {
	if n == nil || *n < 0 || *n >= 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(*n, 0), true
}

// Possession is what a DPoP proof must be about (RFC 9449, section 4.3).
type Possession struct {
	Method string // of the request
	URL    string // of the request, without query and fragment
	Access string // the access value it goes with; "" at the token endpoint
	Now    time.Time
}

// proofClaims are those of a proof.
type proofClaims struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Issued *int64 `json:"iat"`
	Access string `json:"ath"`
}

var errProof = errors.New("proof of possession does not hold")

// Verify checks a DPoP proof and gives the thumbprint of its key, and what it
// used up. The caller remembers that: a proof is good once.
func (p Possession) Verify(proof string) (thumbprint string, u Used, err error) {
	if len(proof) == 0 || len(proof) > proofBytesMax {
		return "", Used{}, errProof
	}
	signed, err := jose.ParseSignedCompact(proof, proofAlgorithms())
	if err != nil || len(signed.Signatures) != 1 {
		return "", Used{}, errProof
	}
	header := signed.Signatures[0].Protected
	k := header.JSONWebKey
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "dpop+jwt" || k == nil || !proofKey(k, header.Algorithm) {
		return "", Used{}, errProof
	}
	payload, err := signed.Verify(*k)
	if err != nil {
		return "", Used{}, errProof
	}
	var c proofClaims
	if json.Unmarshal(payload, &c) != nil || !p.about(&c) {
		return "", Used{}, errProof
	}
	issued, ok := instant(c.Issued)
	if !ok || issued.Before(p.Now.Add(-ProofWindow)) || issued.After(p.Now.Add(ProofWindow)) {
		return "", Used{}, errProof
	}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", Used{}, errProof
	}
	thumbprint = base64.RawURLEncoding.EncodeToString(sum)
	return thumbprint, used(issued.Add(ProofWindow+time.Second), "proof", thumbprint, c.ID), nil
}

// proofKey accepts a public key of the kind that its algorithm needs.
func proofKey(k *jose.JSONWebKey, algorithm string) bool {
	if !k.Valid() || !k.IsPublic() {
		return false
	}
	switch pub := k.Key.(type) {
	case *ecdsa.PublicKey:
		return pub.Curve == elliptic.P256() && algorithm == string(jose.ES256)
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

// about reports whether a proof is about this request and this access value.
func (p Possession) about(c *proofClaims) bool {
	hash := ""
	if p.Access != "" {
		hash = AccessHash(p.Access)
	}
	return c.ID != "" && len(c.ID) <= idBytesMax && c.Method == p.Method && sameURL(c.URL, p.URL) &&
		subtle.ConstantTimeCompare([]byte(c.Access), []byte(hash)) == 1
}

// AccessHash is the claim ath of an access value (RFC 9449, section 4.2).
func AccessHash(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameURL compares without query and fragment, with scheme and host in any
// case and the default port written or not (RFC 9449, section 4.3, and RFC
// 3986, section 6.2.2 and 6.2.3).
func sameURL(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	if err != nil {
		return false
	}
	return x.User == nil && x.Opaque == "" && strings.EqualFold(x.Scheme, y.Scheme) && host(x) == host(y) && path(x) == path(y)
}

func host(u *url.URL) string {
	h := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "https":
		return strings.TrimSuffix(h, ":443")
	case "http":
		return strings.TrimSuffix(h, ":80")
	}
	return h
}

func path(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}
