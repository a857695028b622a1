package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
)

// challengeError is a refusal with a WWW-Authenticate of its own (RFC 6750,
// section 3; RFC 9449, section 7.1).
type challengeError struct {
	*fhir.OutcomeError
	header string
}

func (e *challengeError) Unwrap() error { return e.OutcomeError }

func challenge(w http.ResponseWriter, err error) {
	if c, ok := errors.AsType[*challengeError](err); ok {
		w.Header().Set("WWW-Authenticate", c.header)
	}
}

// admit finds whose session a request comes in: that of a person's own device,
// or one that was lent for an app. An app's works on the routes that a scope
// can allow, and on no other.
func (g *Gateway) admit(w http.ResponseWriter, way *route, c *call) error {
	a, known, err := g.appOf(c.r)
	if err != nil {
		return err
	}
	if !known {
		c.person, c.access, err = g.sessions.find(c.r, g.now())
		return err
	}
	c.person, c.access = a.person, a.anchor
	action, ok := way.appAction()
	if !ok {
		return insufficient()
	}
	if c.imports || c.patient != (abaton.ActorID{}) {
		return refusal(http.StatusForbidden, "forbidden", "the headers Abaton-Import and Abaton-Patient are not for apps; leave them out")
	}
	if action == smart.Search {
		c.patient = a.person.limits.context // a search that names no patient is about the one in context
	}
	return nil
}

// appOf is the app's access that a request names. known is false for a value
// that is no app's.
func (g *Gateway) appOf(r *http.Request) (a *authorized, known bool, err error) {
	headers := r.Header.Values("Authorization")
	if g.apps == nil || len(headers) != 1 {
		return nil, false, nil
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	value, err := login.Decode(text)
	if err != nil || len(value) != accessBytes {
		return nil, false, nil
	}
	a = g.apps.accessed(sha256.Sum256(value), g.now())
	switch {
	case a == nil:
		return nil, false, nil
	case a.proof == "" && strings.EqualFold(scheme, "Bearer"):
		return a, true, nil
	case a.proof != "" && strings.EqualFold(scheme, "DPoP"):
		return a, true, g.proven(r, text, a.proof)
	}
	return nil, true, unproven() // a bound value without its proof is worth nothing
}

func unproven() error {
	return &challengeError{
		OutcomeError: refusal(http.StatusUnauthorized, "login", "this access value goes with a key: send Authorization: DPoP and a fresh proof in the header DPoP"),
		header:       `DPoP error="invalid_dpop_proof", algs="ES256 EdDSA"`,
	}
}

// proven checks the proof of possession of a request for a resource.
func (g *Gateway) proven(r *http.Request, access, key string) error {
	thumbprint, err := g.apps.possession(r, smart.Possession{Method: r.Method, URL: g.apps.base + r.URL.EscapedPath(), Access: access, Now: g.now()})
	if err != nil || thumbprint != key {
		return unproven()
	}
	return nil
}

// possession checks the one proof of a request and uses it up.
func (d *appDesk) possession(r *http.Request, p smart.Possession) (string, error) {
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 {
		return "", errNoProof
	}
	thumbprint, used, err := p.Verify(proofs[0])
	if err != nil {
		return "", err
	}
	if !d.once(used, p.Now) {
		return "", errNoProof
	}
	return thumbprint, nil
}

var errNoProof = errors.New("no proof of possession, or one that was used")

// appAction is the action that an app's scope must allow for a route; false
// for a route that is closed to apps, as every route is that is not named
// here. 0 is a Bundle, whose entries are asked about one by one.
func (r *route) appAction() (smart.Action, bool) {
	switch r.method + " " + r.pattern {
	case "GET /{type}/{id}", "GET /{type}/{id}/_history", "GET /{type}/{id}/_history/{version}", "GET /Patient/{id}/$everything", "GET /Binary/{id}", "HEAD /Binary/{id}":
		return smart.Read, true
	case "GET /{type}", "POST /{type}/_search":
		return smart.Search, true
	case "POST /{type}", "PUT /{type}/{id}", "DELETE /{type}/{id}", "PATCH /{type}/{id}", "POST /Binary", "PUT /Binary/{id}":
		return actionOf(r.method), true
	case "GET /DocumentReference/$docref", "POST /DocumentReference/$docref":
		return smart.Search, true
	case "GET /$export", "POST /$export", "GET /Patient/$export", "POST /Patient/$export",
		"GET /bulk/{id}", "DELETE /bulk/{id}", "GET /bulk/{id}/{version}":
		return 0, true // an export holds what the charts show this app, and nothing else
	case "POST /":
		return 0, true
	}
	return 0, false
}

// actionOf is what a method does that writes; 0 for any other.
func actionOf(method string) smart.Action {
	switch method {
	case http.MethodPost:
		return smart.Create
	case http.MethodPut, http.MethodPatch:
		return smart.Update
	case http.MethodDelete:
		return smart.Delete
	}
	return 0
}

// carryOut handles a call, alone or as an entry of a Bundle: the one place
// where an app's scopes are held against the type and the action.
func (g *Gateway) carryOut(ctx context.Context, way *route, c *call) (*answer, error) {
	if g.apps != nil {
		c.base = g.apps.base // what apps know this gateway by, whatever the Host header says
	}
	if c.person != nil && c.person.limits != nil {
		action, ok := way.appAction()
		if !ok {
			return nil, insufficient()
		}
		kind := c.kind
		if first, _, _ := strings.Cut(way.pattern[1:], "/"); fhir.IsType(first) {
			kind = first
		}
		if way.method == http.MethodPatch { // what it changes it gets to see
			if err := c.person.mayDo(smart.Read, kind); err != nil {
				return nil, err
			}
		}
		if action != 0 {
			if err := c.person.mayDo(action, kind); err != nil {
				return nil, err
			}
		}
		if c.ifNoneExist != "" {
			if err := c.person.mayDo(smart.Search, kind); err != nil {
				return nil, err
			}
		}
	}
	return way.handle(g, ctx, c)
}

// Headers that browsers may send and read across origins.
const (
	corsRequest  = "Authorization, DPoP, Content-Type, Accept, If-Match, If-None-Match, If-None-Exist, Prefer, " + headerPurpose
	corsResponse = "ETag, Last-Modified, Location, Warning, WWW-Authenticate, Retry-After"
	corsAge      = "600" // seconds
)

// shares lets the pages of registered apps, and no others, read answers in a
// browser. It answers preflights and reports whether it did. There are no
// cookies on what is shared.
func (g *Gateway) shares(w http.ResponseWriter, r *http.Request) (answered bool) {
	origins := r.Header.Values("Origin")
	if g.apps == nil || len(origins) != 1 || private(r.URL.EscapedPath()) {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !g.apps.registry().From(origins[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origins[0])
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		h.Set("Access-Control-Expose-Headers", corsResponse)
		return false
	}
	way, _, allow := g.table.find(method, r.URL.EscapedPath())
	if way != nil {
		allow = append(allow, way.method)
	}
	slices.Sort(allow)
	h.Set("Access-Control-Allow-Methods", strings.Join(allow, ", "))
	h.Set("Access-Control-Allow-Headers", corsRequest)
	h.Set("Access-Control-Max-Age", corsAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// private are the paths of people's devices and of the page on which a person
// decides: no other page may reach them.
func private(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "authorize", "login", "logout", "apps":
		return true
	}
	return false
}
