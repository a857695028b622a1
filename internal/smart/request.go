package smart

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// Params are the parameters of a query or a form, each at most once: OAuth
// refuses a repeated one (RFC 6749, section 3.1).
type Params map[string]string

// ParseParams reads application/x-www-form-urlencoded. Errors are *Error.
func ParseParams(text string) (Params, error) {
	if len(text) > RequestBytesMax {
		return nil, refuse(InvalidRequest, "the request is too long")
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, refuse(InvalidRequest, "the parameters are not well formed; encode them as a form")
	}
	p := make(Params, len(values))
	for name, list := range values {
		limit := ParameterBytesMax
		switch name {
		case "scope":
			limit = ScopeBytesMax
		case "client_assertion":
			limit = assertionBytesMax
		}
		if len(list) != 1 {
			return nil, refuse(InvalidRequest, "a parameter is there twice; send each once")
		}
		if len(list[0]) > limit {
			return nil, refuse(InvalidRequest, "a parameter is too long")
		}
		p[name] = list[0]
	}
	return p, nil
}

// Request is an app's request for access, checked but for the person's yes.
type Request struct {
	App       *App
	Redirect  string
	State     string
	Scopes    Scopes   // asked for, known, and allowed to the app
	Dropped   []string // asked for and neither
	Challenge string   // of PKCE, S256
	Nonce     string   // for the id_token; "" without one
	Launch    string   // the launch it goes on from; "" for a standalone one
	Proof     string   // thumbprint of the key that must prove (dpop_jkt); "" if not told yet
}

// RedirectError is a refusal that is told to the app by a redirect: the
// redirect URI is one of its own. All other errors of Authorize are shown to
// the person, for who sent them is not known.
type RedirectError struct {
	Refusal         *Error
	Redirect, State string
}

func (e *RedirectError) Error() string { return e.Refusal.Error() }

// Unwrap is the refusal itself.
func (e *RedirectError) Unwrap() error { return e.Refusal }

// Authorize checks the parameters of GET or POST /authorize (SMART App Launch
// 2.2, section "Obtain authorization code"; RFC 6749, 7636, 9449). base is the
// gateway's own URL. Errors are *RedirectError or *Error.
func (r *Registry) Authorize(p Params, base string) (*Request, error) {
	app := r.App(p["client_id"])
	if app == nil {
		return nil, refuse(UnauthorizedClient, "this app is not registered here")
	}
	redirect := p["redirect_uri"]
	if redirect == "" || !app.redirects(redirect) {
		return nil, refuse(InvalidRequest, "the app asked to be answered at an address that is not registered for it")
	}
	a := &Request{App: app, Redirect: redirect, State: p["state"], Challenge: p["code_challenge"], Nonce: p["nonce"], Launch: p["launch"], Proof: p["dpop_jkt"]}
	if err := a.check(p, base); err != nil {
		return nil, &RedirectError{Refusal: err, Redirect: redirect, State: p["state"]}
	}
	return a, nil
}

func (a *Request) check(p Params, base string) *Error {
	_, pushed := p["request_uri"]
	_, object := p["request"]
	mode, moded := p["response_mode"]
	switch {
	case p["response_type"] != "code":
		return refuse(UnsupportedResponse, "response_type must be code")
	case pushed || object:
		return refuse(RequestNotSupported, "send the parameters themselves")
	case moded && mode != "query":
		return refuse(InvalidRequest, "response_mode can only be query")
	case a.State == "":
		return refuse(InvalidRequest, "state is missing; send a random one and compare it")
	case strings.TrimSuffix(p["aud"], "/") != strings.TrimSuffix(base, "/") || p["aud"] == "":
		return refuse(InvalidRequest, "aud must be this gateway's own address")
	case p["code_challenge_method"] != "S256" || !digest(a.Challenge):
		return refuse(InvalidRequest, "PKCE is needed: code_challenge with code_challenge_method S256")
	case a.Proof != "" && !digest(a.Proof):
		return refuse(InvalidRequest, "dpop_jkt must be the SHA-256 thumbprint of a key")
	case len(a.Nonce) > idBytesMax || len(a.Launch) > idBytesMax:
		return refuse(InvalidRequest, "nonce or launch is too long")
	}
	return a.narrow(p["scope"])
}

// narrow takes the scopes that are known and allowed.
func (a *Request) narrow(text string) *Error {
	asked, dropped, err := ParseScopes(text)
	if err != nil {
		return refuse(InvalidScope, "scope is too long or names too many; ask for less")
	}
	a.Scopes, a.Dropped = asked.Within(a.App.Scopes).Only(PatientLevel, PersonLevel), dropped
	if a.Scopes.Empty() {
		return refuse(InvalidScope, "nothing of the scope asked for is known here and allowed to this app")
	}
	if a.Scopes.Has(Launch) != (a.Launch != "") {
		return refuse(InvalidRequest, "the scope launch and the parameter launch go together")
	}
	return nil
}

// digest reports whether text is base64url of 32 bytes, in its one form.
func digest(text string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(b) == sha256.Size && base64.RawURLEncoding.EncodeToString(b) == text
}

// verified holds a PKCE verifier against its challenge (RFC 7636, section 4.6).
func verified(verifier, challenge string) bool {
	const least, most = 43, 128
	if len(verifier) < least || len(verifier) > most || strings.ContainsFunc(verifier, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
	}) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// Grant types of POST /token.
const (
	ByCode    = "authorization_code"
	ByRenewal = "refresh_token"
	ByService = "client_credentials"
)

// Redeem decides whether a code that was given for a becomes access: the same
// app, the same redirect URI, the verifier of the challenge, and the key that
// was announced, if one was. proof is the thumbprint of the key that proved, ""
// for none. That the code is in time and used once is the caller's to know.
func (a *Request) Redeem(app *App, p Params, proof string) error {
	switch {
	case app == nil || app.ID != a.App.ID:
		return refuse(InvalidGrant, "the code was given to another app")
	case p["redirect_uri"] != a.Redirect:
		return refuse(InvalidGrant, "redirect_uri must be the one of the authorization request")
	case !verified(p["code_verifier"], a.Challenge):
		return refuse(InvalidGrant, "code_verifier is not that of the code_challenge")
	case a.Proof != "" && a.Proof != proof:
		return refuse(InvalidGrant, "the proof must be by the key of dpop_jkt")
	}
	return app.Bound(proof)
}

// Bound decides whether an app may have access with this proof of possession:
// public apps need one, unless their registration says otherwise.
func (a *App) Bound(proof string) error {
	if a.Kind == Public && !a.ProofOptional && proof == "" {
		return refuse(InvalidProof, "this app must prove that it holds a key: send a DPoP header (RFC 9449)")
	}
	return nil
}

// Answer is the redirect URI with parameters added (RFC 6749, section 4.1.2);
// iss tells the app who answers (RFC 9207).
func Answer(redirect, base string, pairs ...string) string {
	u, err := url.Parse(redirect)
	if err != nil {
		panic("smart: a registered redirect URI parses")
	}
	q := u.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	q.Set("iss", base)
	u.RawQuery = q.Encode()
	return u.String()
}

// Same reports whether a renewal asks for what was given: nothing, or exactly
// that. Less is not given in parts; the app asks anew.
func (s Scopes) Same(asked string) bool {
	if asked == "" {
		return true
	}
	have, want := strings.Fields(s.String()), strings.Fields(asked)
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, want)
}
