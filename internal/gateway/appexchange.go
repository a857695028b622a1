package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/smart"
)

// granted is the answer of POST /token (RFC 6749, section 5.1, with the launch
// context of SMART).
type granted struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"` // seconds
	Scope   string `json:"scope"`
	Again   string `json:"refresh_token,omitempty"`
	ID      string `json:"id_token,omitempty"`
	Patient string `json:"patient,omitempty"`
	Banner  *bool  `json:"need_patient_banner,omitempty"`
}

// exchange answers POST /token.
func (g *Gateway) exchange(_ context.Context, c *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	out, err := g.exchanged(d, c)
	if err != nil {
		return oauthRefusal(err)
	}
	return jsonAnswer(out)
}

func (g *Gateway) exchanged(d *appDesk, c *call) (*granted, error) {
	params, app, err := g.client(d, c, "/token")
	if err != nil {
		return nil, err
	}
	switch params["grant_type"] {
	case smart.ByCode:
		return g.byCode(d, app, params, c)
	case smart.ByRenewal:
		return g.byRenewal(d, app, params, c)
	case smart.ByService:
		return g.byService(d, app, params, c)
	}
	return nil, &smart.Error{Code: smart.UnsupportedGrantType, Says: "grant_type is authorization_code, refresh_token or client_credentials"}
}

// client reads a request of an app and tells which app it is. An assertion is
// used up by it.
func (g *Gateway) client(d *appDesk, c *call, path string) (smart.Params, *smart.App, error) {
	params, err := smart.ParseParams(string(c.body))
	if err != nil {
		return nil, nil, err
	}
	if c.query != "" {
		return nil, nil, &smart.Error{Code: smart.InvalidRequest, Says: "send the parameters in the body, none in the URL"}
	}
	if params["grant_type"] == smart.ByRenewal && params["client_id"] == "" && params["client_assertion"] == "" {
		// SMART asks a public app for no more than the value (section "Refresh
		// access token"), and fhirclient sends no more. Whose it is, it tells.
		if params["client_id"] = d.renewedBy(params["refresh_token"]); params["client_id"] == "" {
			return nil, nil, lost("the refresh_token is not known here; ask for access again")
		}
	}
	app, used, err := d.registry().Authenticate(params, d.base+path, g.now())
	if err != nil {
		return nil, nil, err
	}
	if used != (smart.Used{}) && !d.once(used, g.now()) {
		return nil, nil, &smart.Error{Code: smart.InvalidClient, Says: "this client_assertion was used; sign a new one, with a jti of its own"}
	}
	return params, app, nil
}

// proofOf is the thumbprint of the key that proves a request for access, "" if
// none is sent. It is asked once it is known that the caller holds something:
// what a stranger proves is not remembered.
func (g *Gateway) proofOf(d *appDesk, c *call) (string, error) {
	if len(c.r.Header.Values("DPoP")) == 0 {
		return "", nil
	}
	thumbprint, err := d.possession(c.r, smart.Possession{Method: c.method, URL: d.base + "/token", Now: g.now()})
	if err != nil {
		return "", &smart.Error{Code: smart.InvalidProof, Says: "the DPoP proof does not hold: one header, for this method and address, made now and used once"}
	}
	return thumbprint, nil
}

func lost(says string) error { return &smart.Error{Code: smart.InvalidGrant, Says: says} }

// byCode exchanges an authorization code. A code is tried once: a second try,
// or one that does not hold, ends what it stands for, for somebody else has
// seen it (RFC 6749, section 10.5).
func (g *Gateway) byCode(d *appDesk, app *smart.App, params smart.Params, c *call) (*granted, error) {
	a, again := d.redeemed(params["code"], g.now())
	if a == nil {
		return nil, lost("the code is not known here, or too old; ask for access again")
	}
	if again {
		g.endApp(a.given)
		return nil, lost("the code was used before or is too old; access by it has ended, ask again")
	}
	proof, err := g.proofOf(d, c)
	if err == nil {
		err = a.Redeem(app, params, proof)
	}
	if err != nil {
		g.endApp(a.given)
		return nil, err
	}
	a.given.proof = proof
	return g.grant(a.given)
}

// grant hands out access.
func (g *Gateway) grant(a *authorized) (*granted, error) {
	now := g.now()
	value, again, expires := g.apps.give(a, now)
	out := &granted{Access: value, Type: "Bearer", Expires: int64(expires.Sub(now) / time.Second), Scope: a.scopes.String(), Again: again}
	if a.proof != "" {
		out.Type = "DPoP"
	}
	if a.patient != "" && (a.launched || a.scopes.Has(smart.LaunchPatient)) {
		out.Patient, out.Banner = a.patient, &a.launched // launched inside another system's view, it says whose record it shows
	}
	if !a.scopes.Has(smart.OpenID) {
		return out, nil
	}
	who := smart.Identity{Issuer: g.apps.base, Subject: g.subject(a.app.ID, a.person.actor), Audience: a.app.ID, Nonce: a.nonce}
	if a.who != "" {
		who.FHIRWho = g.apps.base + "/" + a.who
	}
	var err error
	out.ID, err = g.apps.signer.Sign(who, now)
	return out, err
}

// byRenewal gives new access for a renewal value, which is used up and
// replaced. A used one that comes again ends everything: two hold it.
func (g *Gateway) byRenewal(d *appDesk, app *smart.App, params smart.Params, c *call) (*granted, error) {
	name, ok := nameOf(params["refresh_token"])
	a, again := d.renew(name, app)
	if !ok || a == nil {
		return nil, lost("the refresh_token is not known here, or not this app's; ask for access again")
	}
	proof, err := g.proofOf(d, c)
	if err != nil {
		return nil, err
	}
	if proof != a.proof {
		return nil, lost("the refresh_token goes with a key: prove it as when access was given")
	}
	if again {
		g.endApp(a)
		return nil, lost("the refresh_token was used before; access has ended, ask again")
	}
	if !a.person.live(g.now()) {
		g.endApp(a)
		return nil, lost("the session that the person's device lent has ended; ask for access again")
	}
	if !a.scopes.Same(params["scope"]) {
		return nil, &smart.Error{Code: smart.InvalidScope, Says: "leave scope out: access is renewed as it was given; for less or more ask again"}
	}
	d.spend(name)
	return g.grant(a)
}

// renew finds what a renewal value stands for; nil if it is not for this app.
func (d *appDesk) renew(name [32]byte, app *smart.App) (a *authorized, again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.renewals[name]
	if !ok || r.of.app.ID != app.ID {
		return nil, false
	}
	return r.of, r.used
}

// renewedBy is the app that a renewal value was given to, "" if there is none.
func (d *appDesk) renewedBy(text string) string {
	name, ok := nameOf(text)
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, known := d.renewals[name]; ok && known {
		return r.of.app.ID
	}
	return ""
}

func (d *appDesk) spend(name [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.renewals[name]; ok {
		r.used = true
		d.renewals[name] = r
	}
}

// byService gives a backend service a view on the session that its
// organisation lent it (SMART Backend Services).
func (g *Gateway) byService(d *appDesk, app *smart.App, params smart.Params, c *call) (*granted, error) {
	if app.Kind != smart.Backend {
		return nil, &smart.Error{Code: smart.UnauthorizedClient, Says: "only a backend service may ask in its own name"}
	}
	asked, _, err := smart.ParseScopes(params["scope"])
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	s := d.services[app.ID]
	d.mu.Unlock()
	if s == nil || !s.lent.person.live(g.now()) {
		return nil, &smart.Error{Code: smart.Unavailable, Says: "no session is lent to this service now; the organisation's device lends one with: abaton service lend"}
	}
	scopes := asked.Within(s.lent.scopes)
	if scopes.Empty() {
		return nil, &smart.Error{Code: smart.InvalidScope, Says: "nothing of the scope asked for is lent to this service"}
	}
	proof, err := g.proofOf(d, c)
	if err != nil {
		return nil, err
	}
	view, err := g.view(s, scopes, proof)
	if err != nil {
		return nil, err
	}
	return g.grant(view)
}

// view is a lent session under the scopes that were asked for, and bound to
// the key that proved. There is one for each.
func (g *Gateway) view(s *service, scopes smart.Scopes, proof string) (*authorized, error) {
	g.apps.mu.Lock()
	defer g.apps.mu.Unlock()
	at := proof + " " + scopes.String()
	if v := s.views[at]; v != nil && v.person.live(g.now()) {
		return v, nil
	}
	if len(s.views) >= viewsMax {
		return nil, &smart.Error{Code: smart.Unavailable, Says: "too many different scopes are in use by this service; use those it has, or wait for the next session"}
	}
	v := &authorized{app: s.lent.app, scopes: scopes, person: s.lent.person.under(scopes), proof: proof}
	if err := g.hold(v); err != nil {
		return nil, &smart.Error{Code: smart.Unavailable, Says: "too many people are signed in here; try again later"}
	}
	s.views[at] = v
	return v, nil
}

// under is the same session with charts of its own, under narrower scopes.
func (p *person) under(scopes smart.Scopes) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &person{actor: p.actor, id: p.id, reply: p.reply, reader: p.reader, expires: p.expires, pages: newPager(newPagerSecret()),
		limits: &limits{scopes: scopes, context: p.limits.context, org: p.limits.org, deposits: p.limits.deposits}, lender: p,
		held: make(map[abaton.ActorID]*held, len(p.held)), tags: maps.Clone(p.tags)}
	for id, h := range p.held {
		out.held[id] = &held{patient: h.patient, grants: slices.Clone(h.grants)}
	}
	return out
}

// revoke answers POST /revoke (RFC 7009): an app gives back what it has. What
// is not known is given back already.
func (g *Gateway) revoke(_ context.Context, c *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	params, app, err := g.client(d, c, "/revoke")
	if err != nil {
		return oauthRefusal(err)
	}
	if a := d.owned(params["token"], app); a != nil {
		g.endApp(a)
	}
	return &answer{status: http.StatusOK}, nil
}

// owned is what one of an app's values stands for.
func (d *appDesk) owned(text string, app *smart.App) *authorized {
	name, ok := nameOf(text)
	if !ok {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range []*authorized{d.access[name].of, d.renewals[name].of} {
		if a != nil && a.app.ID == app.ID {
			return a
		}
	}
	return nil
}

// inspected is the answer of POST /introspect (RFC 7662).
type inspected struct {
	Active  bool     `json:"active"`
	Scope   string   `json:"scope,omitempty"`
	Client  string   `json:"client_id,omitempty"`
	Expires int64    `json:"exp,omitempty"`
	Type    string   `json:"token_type,omitempty"`
	Issuer  string   `json:"iss,omitempty"`
	Subject string   `json:"sub,omitempty"`
	Patient string   `json:"patient,omitempty"`
	Who     string   `json:"fhirUser,omitempty"`
	Key     *heldKey `json:"cnf,omitempty"`
}

type heldKey struct {
	Thumbprint string `json:"jkt"`
}

// inspect answers POST /introspect: an app that signs learns about a value of
// its own. Of any other it learns that it is not active.
func (g *Gateway) inspect(_ context.Context, c *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	params, app, err := g.client(d, c, "/introspect")
	if err != nil {
		return oauthRefusal(err)
	}
	if app.Kind == smart.Public {
		return oauthRefusal(&smart.Error{Code: smart.InvalidClient, Says: "only an app that signs may ask"})
	}
	name, ok := nameOf(params["token"])
	d.mu.Lock()
	found := d.access[name]
	d.mu.Unlock()
	now := g.now()
	a := found.of
	if !ok || a == nil || a.app.ID != app.ID || !now.Before(found.expires) || !a.person.live(now) {
		return jsonAnswer(inspected{})
	}
	out := inspected{Active: true, Scope: a.scopes.String(), Client: app.ID, Expires: found.expires.Unix(), Type: "Bearer", Issuer: d.base,
		Subject: g.subject(app.ID, a.person.actor), Patient: a.patient}
	if a.who != "" {
		out.Who = d.base + "/" + a.who
	}
	if a.proof != "" {
		out.Type, out.Key = "DPoP", &heldKey{a.proof}
	}
	return jsonAnswer(out)
}

// oauthRefusal is an error as OAuth writes it (RFC 6749, section 5.2).
func oauthRefusal(err error) (*answer, error) {
	e, ok := errors.AsType[*smart.Error](err)
	if !ok {
		return nil, fmt.Errorf("app: %w", err)
	}
	body, err := json.Marshal(struct {
		Code smart.Code `json:"error"`
		Says string     `json:"error_description"`
	}{e.Code, e.Says})
	if err != nil {
		return nil, fmt.Errorf("encode refusal: %w", err)
	}
	a := &answer{status: http.StatusBadRequest, content: contentJSON, body: append(body, '\n'), header: http.Header{"Pragma": {"no-cache"}}}
	switch e.Code {
	case smart.InvalidClient:
		a.status = http.StatusUnauthorized
	case smart.Unavailable:
		a.status = http.StatusServiceUnavailable
		a.header.Set("Retry-After", retryAfter)
	}
	return a, nil
}
