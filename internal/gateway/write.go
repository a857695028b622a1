package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
	"github.com/abaton-health/abaton/internal/fhir/view"
)

// pendingText is what 202 says.
const pendingText = "accepted, not yet durable: it lies sealed in this gateway's outbox until four keepers have it; read it later to be sure"

// parse reads the one resource of a body and holds it against the URL.
func (c *call) parse() (fhir.Resource, error) {
	r, err := fhir.ParseResource(c.body)
	if err != nil {
		return r, err
	}
	if r.Type != c.kind {
		return r, refusal(http.StatusBadRequest, "invalid", "the resource's type is not that of the URL; make them the same")
	}
	return r, nil
}

// create answers POST [type].
func (g *Gateway) create(ctx context.Context, c *call) (*answer, error) {
	r, err := c.parse()
	if err != nil {
		return nil, err
	}
	if view.IsRequest(r) {
		return g.ask(ctx, c, r)
	}
	if asksToSubscribe(r) {
		return g.subscribe(ctx, c, r)
	}
	s := g.newScope(c)
	home, err := s.homeOf(ctx, r, c.patient)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(c.exclusive(home, g.org)...)()
	if r, err = s.settleReferences(ctx, r, home); err != nil {
		return nil, err
	}
	if c.ifNoneExist != "" {
		id, err := s.find(ctx, fhir.Ref{Type: c.kind, Query: strings.TrimPrefix(strings.TrimPrefix(c.ifNoneExist, "?"), c.kind+"?")}, home)
		if err != nil {
			return nil, err
		}
		if id != "" {
			return s.existing(ctx, home, id)
		}
	}
	id, source := g.ids.fresh(home), []byte(nil)
	if c.imports {
		id, source = g.ids.imported(home, "", c.body)
	}
	p, err := s.create(ctx, r, id, source)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, p)
}

// exclusive are the charts in which nobody else may write meanwhile: none for
// a plain create, whose id is new; the directory too for a Patient, whose id
// goes there.
func (c *call) exclusive(home, org abaton.ActorID) []abaton.ActorID {
	switch {
	case c.kind == "Patient":
		return []abaton.ActorID{home, org}
	case c.method == http.MethodPost && c.ifNoneExist == "" && !c.imports:
		return nil
	}
	return []abaton.ActorID{home}
}

// existing answers a conditional create that found what is there.
func (s *scope) existing(ctx context.Context, home abaton.ActorID, id string) (*answer, error) {
	chart, err := s.writable(ctx, home, false)
	if err != nil {
		return nil, err
	}
	v, _, ok := chart.current(s.c.kind, id)
	if !ok {
		return nil, absent()
	}
	return s.finish(ctx, &plan{status: http.StatusOK, version: v})
}

// settleReferences replaces the conditional references of a resource that
// comes alone.
func (s *scope) settleReferences(ctx context.Context, r fhir.Resource, home abaton.ActorID) (fhir.Resource, error) {
	var failed error
	out := r.Rewrite(func(text string) (string, bool) {
		ref, ok := fhir.ParseRef(text)
		if !ok || ref.Query == "" || failed != nil {
			return "", false
		}
		id, err := s.find(ctx, ref, home)
		if err == nil && id == "" {
			err = refusal(http.StatusPreconditionFailed, "not-found", "a conditional reference finds nothing; load what it refers to first, or refer to it by id")
		}
		if err != nil {
			failed = err
			return "", false
		}
		return ref.Type + "/" + id, true
	})
	if failed != nil {
		return r, failed
	}
	return fhir.ParseResource(out)
}

// update answers PUT [type]/[id].
func (g *Gateway) update(ctx context.Context, c *call) (*answer, error) {
	r, err := c.parse()
	if err != nil {
		return nil, err
	}
	if r, err = g.unlinked(ctx, c.person, r); err != nil {
		return nil, err
	}
	s := g.newScope(c)
	home, err := s.homeForUpdate(ctx, r, c.id)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(c.exclusive(home, g.org)...)()
	if r, err = s.settleReferences(ctx, r, home); err != nil {
		return nil, err
	}
	p, err := s.update(ctx, r, c.id)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, p)
}

// remove answers DELETE [type]/[id].
func (g *Gateway) remove(ctx context.Context, c *call) (*answer, error) {
	if live(c.kind, c.id) {
		return g.unsubscribe(c)
	}
	chart, err := g.locate(ctx, c.person, c, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(chart.patient)()
	s := g.newScope(c)
	p, err := s.remove(ctx, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, p)
}

// finish writes a plan and answers it.
func (s *scope) finish(ctx context.Context, p *plan) (*answer, error) {
	pending, err := s.g.commit(ctx, s.p, p.changes)
	if err != nil {
		return nil, err
	}
	v := p.version
	a := &answer{status: p.status, etag: fhir.ETag(v.VersionID), modified: v.LastUpdated}
	if p.status == http.StatusCreated || p.status == http.StatusOK {
		a.location = s.c.base + "/" + v.Type + "/" + v.ID + "/_history/" + v.VersionID
	}
	if pending {
		a.status = http.StatusAccepted
		a.body = fhir.OperationOutcome(fhir.Issue{Severity: "warning", Code: "incomplete", Diagnostics: pendingText})
		return a, nil
	}
	if p.status == http.StatusNoContent {
		return a, nil
	}
	switch s.c.returns {
	case "minimal":
		return a, nil
	case "OperationOutcome":
		a.body = p.done()
		return a, nil
	}
	if v.Deleted {
		return a, nil
	}
	a.body, err = render(v)
	return a, err
}

// find answers a conditional reference or create: the id of the one resource
// that a query finds, "" if none. Directory types are looked up in the
// directory, all others in the chart of home.
func (s *scope) find(ctx context.Context, ref fhir.Ref, home abaton.ActorID) (string, error) {
	in := home
	if fhir.Directory(ref.Type) {
		in = s.g.org
	}
	if in == (abaton.ActorID{}) {
		return "", refusal(http.StatusPreconditionFailed, "not-supported", "a query over several patients cannot be answered here; refer by id")
	}
	params, err := fhir.ParseQuery(ref.Query)
	if err != nil {
		return "", err
	}
	q, err := search.Parse(ref.Type, params, search.Options{Now: s.g.now(), Base: s.c.base})
	if err != nil {
		return "", err
	}
	if len(q.Ignored) > 0 || !q.Conditional() {
		return "", refusal(http.StatusPreconditionFailed, "not-supported", "a condition uses a search parameter that is not supported here, or none; use identifier or _id")
	}
	id, err := s.match(ctx, in, q, false)
	if err == nil && id == "" {
		return s.match(ctx, in, q, true)
	}
	return id, err
}

// match is the id of the one resource of a chart that a condition finds.
func (s *scope) match(ctx context.Context, home abaton.ActorID, q *search.Query, fresh bool) (string, error) {
	chart, err := s.writable(ctx, home, fresh && !s.looked(home))
	if err != nil {
		return "", err
	}
	found, err := searchSet{chart}.run(q.Narrow(), nil)
	if err != nil {
		return "", err
	}
	if found.Total > 1 {
		return "", refusal(http.StatusPreconditionFailed, "multiple-matches", "a condition finds several resources; make it narrower, or refer by id")
	}
	if found.Total == 0 {
		return "", nil
	}
	return found.Versions[0].ID, nil
}

// looked reports whether this request has already asked the keepers for news
// of a chart, and notes that it does now.
func (s *scope) looked(home abaton.ActorID) bool {
	was := s.asked[home]
	s.asked[home] = true
	return was
}
