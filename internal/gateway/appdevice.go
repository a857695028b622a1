package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
)

// deskFor is the desk, and what a device sends to it.
func (g *Gateway) deskFor(c *call, in any) (*appDesk, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	return d, decodeJSON(c.body, in)
}

// requested answers POST /apps/request: a person's device asks what waits
// under a code, and is offered a session to lend for it.
func (g *Gateway) requested(ctx context.Context, c *call) (*answer, error) {
	var in login.AppRequest
	d, err := g.deskFor(c, &in)
	if err != nil {
		return nil, err
	}
	a := d.pending(in.Code, g.now())
	if a == nil {
		return nil, noAsk()
	}
	offer, err := g.newOffer(ctx)
	if err != nil {
		return nil, err
	}
	out := login.AppAsk{App: a.App.ID, Name: a.App.Name, Answer: hostOf(a.Redirect), Scope: a.Scopes.String(), Words: a.Scopes.Words(),
		Proof: a.App.Kind != smart.Public || !a.App.ProofOptional, Expires: a.expires.Unix(), Offer: *offer}
	if a.launch != nil {
		out.Patient, out.Person = a.launch.patient.String(), a.launch.by.String()
	}
	return jsonAnswer(out)
}

func noAsk() error {
	return refusal(http.StatusNotFound, "not-found", "nothing waits under this code; look at the page again, and begin anew in the app if it says so")
}

// declined answers POST /apps/decline.
func (g *Gateway) declined(_ context.Context, c *call) (*answer, error) {
	var in login.AppRequest
	d, err := g.deskFor(c, &in)
	if err != nil {
		return nil, err
	}
	if a := d.pending(in.Code, g.now()); a == nil || !d.refuse(a) {
		return nil, noAsk()
	}
	return &answer{status: http.StatusNoContent}, nil
}

// approved answers POST /apps/approve.
func (g *Gateway) approved(ctx context.Context, c *call) (*answer, error) {
	var in login.AppApproval
	d, err := g.deskFor(c, &in)
	if err != nil {
		return nil, err
	}
	a := d.pending(in.Code, g.now())
	if a == nil {
		return nil, noAsk()
	}
	p, err := g.lent(ctx, in.Completion)
	if err != nil {
		return nil, err
	}
	given, err := g.decide(ctx, a, p, &in)
	if err != nil {
		p.close()
		return nil, err
	}
	return jsonAnswer(login.AppGiven{Scope: given.scopes.String(), Expires: p.expires.Unix()})
}

// decide is where a person's yes becomes an app's access, whatever way the yes
// came: p is a session that the person's device lent for this alone.
func (g *Gateway) decide(ctx context.Context, a *ask, p *person, in *login.AppApproval) (*authorized, error) {
	wanted, _, err := smart.ParseScopes(in.Scope)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "value", "scope is too long; approve less")
	}
	context, err := g.contextOf(ctx, a, p, in)
	if err != nil {
		return nil, err
	}
	given := &authorized{app: a.App, person: p, nonce: a.Nonce, patient: context.id, launched: a.launch != nil}
	given.scopes = wanted.Within(a.Scopes).Only(context.levels...)
	if context.patient == (abaton.ActorID{}) {
		given.scopes = given.scopes.Without(smart.LaunchPatient)
	}
	if given.scopes.Empty() {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "of what the app asks, nothing is left to allow with this session; lend the session that fits: a patient's app one of its own, a clinician's app the clinician's")
	}
	p.limits = &limits{scopes: given.scopes, context: context.patient, org: g.org, deposits: context.own}
	if given.scopes.Has(smart.FHIRWho) {
		if given.who, err = g.whoIs(ctx, p, &context); err != nil {
			return nil, err
		}
		if given.who == "" {
			given.scopes = given.scopes.Without(smart.FHIRWho)
		}
	}
	if err := g.hold(given); err != nil {
		return nil, err
	}
	if !g.apps.approve(a, given) {
		g.sessions.end(given.anchor)
		return nil, noAsk()
	}
	g.counters.login()
	return given, nil
}

// contextual is what a lent session is good for.
type contextual struct {
	patient abaton.ActorID // in context; zero without one
	id      string         // that patient's FHIR id
	levels  []smart.Level
	own     bool // the app is an actor of its own
}

// contextOf holds the lent session against the ask. A patient's app is an
// agent with grants of one patient to itself; a clinician's app has the
// clinician's own session, and of a launch it must be the one who launched.
func (g *Gateway) contextOf(ctx context.Context, a *ask, p *person, in *login.AppApproval) (c contextual, err error) {
	who, err := g.network.Log(ctx, p.actor)
	if err != nil {
		return c, err
	}
	if in.Patient != "" {
		if c.patient, err = abaton.ParseActorID(in.Patient); err != nil {
			return c, refusal(http.StatusBadRequest, "value", "patient must name one actor, act1...; correct it")
		}
	}
	c.id = in.PatientID
	switch who.Kind() {
	case actor.Agent:
		c.own, c.levels = true, []smart.Level{smart.PatientLevel}
	case actor.Clinician:
		c.levels = []smart.Level{smart.PersonLevel}
		if c.patient != (abaton.ActorID{}) {
			c.levels = append(c.levels, smart.PatientLevel)
		}
	default:
		return c, refusal(http.StatusForbidden, "forbidden", "an app never works as a patient or an organisation: lend it a session of its own agent, or a clinician's")
	}
	if a.launch != nil {
		if c, err = a.launch.context(c, p); err != nil {
			return c, err
		}
	}
	return c, g.checkContext(&c, p)
}

// context is that of a launch: its patient, its person.
func (l *launch) context(c contextual, p *person) (contextual, error) {
	if c.own || p.actor != l.by || c.patient != (abaton.ActorID{}) && c.patient != l.patient {
		return c, refusal(http.StatusForbidden, "forbidden", "this app was launched by somebody else or about another patient; whoever launched it approves it")
	}
	c.patient, c.id = l.patient, l.patientID
	c.levels = []smart.Level{smart.PatientLevel, smart.PersonLevel}
	return c, nil
}

// checkContext wants the session to hold something of the patient, and an
// agent's to hold nothing of any other.
func (g *Gateway) checkContext(c *contextual, p *person) error {
	for _, patient := range p.patients() {
		if c.own && patient != c.patient && patient != g.org {
			return refusal(http.StatusUnprocessableEntity, "business-rule", "an app of a patient's is lent what that patient gave it, and nothing of anybody else; leave the rest out")
		}
	}
	if c.patient == (abaton.ActorID{}) {
		if c.own {
			return refusal(http.StatusUnprocessableEntity, "business-rule", "it must be said which patient the app is about")
		}
		return nil
	}
	tag, ours := tagOf(c.id)
	if c.patient == g.org || !p.holds(c.patient) || !fhir.IsID(c.id) || ours && tag != g.ids.tag(c.patient) {
		return refusal(http.StatusUnprocessableEntity, "business-rule", "the session must hold something of the patient in context, and patientId be that patient's id; lend the grants, and correct the id")
	}
	return nil
}

// actorSystem is the identifier system under which a Practitioner of the
// directory names the actor that the person signs in as.
const actorSystem = "urn:abaton:actor"

// whoIs is the resource that is the signed-in person: the patient of a
// patient's app, or the one Practitioner in the directory that names the
// clinician's actor. "" if there is none.
func (g *Gateway) whoIs(ctx context.Context, p *person, c *contextual) (string, error) {
	if c.own {
		return "Patient/" + c.id, nil
	}
	seen := *p.limits // the app may not be allowed to search for it
	defer func() { p.limits = &seen; p.drop(g.org) }()
	p.limits = nil
	directory, err := g.directory(ctx, p, false)
	if notMine(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	q, err := search.Parse("Practitioner", []fhir.Param{{Name: "identifier", Value: actorSystem + "|" + p.actor.String()}}, search.Options{Now: g.now()})
	if err != nil {
		return "", err
	}
	found, err := searchSet{directory}.run(q, nil)
	if err != nil || found.Total != 1 {
		return "", err
	}
	return "Practitioner/" + found.Versions[0].ID, nil
}

// launchApp answers POST /apps/launch: a signed-in person opens an app on a
// patient of theirs. Only a person's own device may.
func (g *Gateway) launchApp(ctx context.Context, c *call) (*answer, error) {
	var in login.AppLaunch
	d, err := g.deskFor(c, &in)
	if err != nil {
		return nil, err
	}
	app := d.registry().App(in.App)
	if app == nil || app.Launch == "" {
		return nil, refusal(http.StatusNotFound, "not-found", "no such app is registered here, or it cannot be launched from a record")
	}
	if !fhir.IsID(in.PatientID) {
		return nil, refusal(http.StatusBadRequest, "value", "patientId must be the FHIR id of a patient; correct it")
	}
	patient, err := g.patientByID(ctx, c.person, in.PatientID)
	if err != nil {
		return nil, err
	}
	text, name := secret()
	l := &launch{app: app.ID, by: c.person.actor, patient: patient, patientID: in.PatientID, expires: g.now().Add(smart.AskLife)}
	if !d.launched(name, l) {
		return nil, refusal(http.StatusServiceUnavailable, "throttled", "too many launches are open; try again in a minute")
	}
	to, err := url.Parse(app.Launch)
	if err != nil {
		return nil, errors.New("launch URL of the registry does not parse")
	}
	q := to.Query()
	q.Set("iss", d.base)
	q.Set("launch", text)
	to.RawQuery = q.Encode()
	return jsonAnswer(login.AppLaunched{URL: to.String(), Expires: l.expires.Unix()})
}

func (d *appDesk) launched(name [32]byte, l *launch) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.launches) >= asksMax {
		return false
	}
	d.launches[name] = l
	return true
}

// lendService answers POST /apps/lend: a device of the organisation lends a
// session of a service's agent, in place of the one before.
func (g *Gateway) lendService(ctx context.Context, c *call) (*answer, error) {
	var in login.ServiceLoan
	d, err := g.deskFor(c, &in)
	if err != nil {
		return nil, err
	}
	app := d.registry().App(in.App)
	if app == nil || app.Kind != smart.Backend {
		return nil, refusal(http.StatusNotFound, "not-found", "no such service is registered here")
	}
	wanted, _, err := smart.ParseScopes(in.Scope)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "value", "scope is too long; lend less")
	}
	p, err := g.lent(ctx, in.Completion)
	if err != nil {
		return nil, err
	}
	given, err := g.lendTo(ctx, app, wanted.Within(app.Scopes), p)
	if err != nil {
		p.close()
		return nil, err
	}
	return jsonAnswer(login.AppGiven{Scope: given.scopes.String(), Expires: p.expires.Unix()})
}

func (g *Gateway) lendTo(ctx context.Context, app *smart.App, scopes smart.Scopes, p *person) (*authorized, error) {
	who, err := g.network.Log(ctx, p.actor)
	if err != nil {
		return nil, err
	}
	if app.Actor == "" || p.actor.String() != app.Actor || who.Kind() != actor.Agent {
		return nil, refusal(http.StatusForbidden, "forbidden", "this is not the agent that the service is registered with; the operator sets actor in the registry")
	}
	if scopes.Empty() {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "none of these scopes is the service's; lend some that are registered for it")
	}
	given := &authorized{app: app, scopes: scopes, person: p}
	p.limits = &limits{scopes: scopes, org: g.org}
	if err := g.hold(given); err != nil {
		return nil, err
	}
	g.apps.mu.Lock()
	before := g.apps.services[app.ID]
	g.apps.services[app.ID] = &service{lent: given, views: make(map[string]*authorized)}
	g.apps.mu.Unlock()
	if before != nil {
		g.endService(before)
	}
	g.counters.login()
	return given, nil
}

// endService ends a lent session and every view on it.
func (g *Gateway) endService(s *service) {
	g.apps.mu.Lock()
	all := []*authorized{s.lent}
	for _, v := range s.views {
		all = append(all, v)
	}
	g.apps.mu.Unlock()
	for _, a := range all {
		g.endApp(a)
	}
}
