package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/seal"
)

// limits are what an app may do with the session that was lent for it. They
// hold in two places and nowhere else: a chart shows an app's session only
// what its scopes cover (shows, add), and commit writes only what they cover
// (mayWrite). So a route needs no check of its own, and a new one has none to
// forget.
type limits struct {
	scopes  smart.Scopes
	context abaton.ActorID // the patient in context, zero without one
	org     abaton.ActorID
	// deposits: what it writes needs a grant to the app itself, for a person
	// gave it; a clinician's app writes as the clinician does.
	deposits bool
}

// place says where a chart lies for these limits.
func (l *limits) place(home abaton.ActorID) smart.Place {
	switch {
	case home == (abaton.ActorID{}):
		return 0
	case home == l.org:
		return smart.InDirectory
	case home == l.context:
		return smart.InContext
	}
	return smart.Elsewhere
}

// covers reports whether one of some actions is allowed on a resource with
// this text.
func (l *limits) covers(actions smart.Action, home abaton.ActorID, kind string, body []byte) bool {
	var r fhir.Resource
	if l.scopes.Granular(kind) && len(body) > 0 {
		parsed, err := fhir.ParseResource(body)
		if err != nil {
			return false
		}
		r = parsed
	}
	return l.scopes.Covers(actions, l.place(home), kind, r)
}

// shows reports whether a session may do one of some actions with a version.
// Callers hold mu.
func (c *chart) shows(actions smart.Action, v fhir.Version) bool {
	return c.limits == nil || c.limits.covers(actions, c.patient, v.Type, v.Body)
}

// all is every version that is open, whatever an app may see of it. Callers
// hold mu.
func (c *chart) all() *fhir.Chart {
	if c.limits == nil {
		return &c.index
	}
	return &c.whole
}

// add puts versions into the chart. The index of an app's session, in which
// searches run, is made anew of the resources that it may search for: what it
// may not is not in the set, and no count, order or chain can tell of it.
// Callers hold mu, and have remembered the versions.
func (c *chart) add(versions []fhir.Version) error {
	if c.limits == nil {
		return c.index.Add(versions...)
	}
	if err := c.whole.Add(versions...); err != nil {
		return err
	}
	var shown []fhir.Version
	for at := range c.strictest {
		kind, id, _ := strings.Cut(at, "/")
		if v, _, ok := c.whole.Current(kind, id); ok && c.shows(smart.Search, v) {
			shown = append(shown, c.whole.History(kind, id)...)
		}
	}
	c.found = c.space.NewIndex()
	c.index = fhir.Chart{Indexer: c.found}
	return c.index.Add(shown...)
}

// shown are the versions of a resource that may be read, the newest first:
// none if the current one may not, for what it became may be why.
func (c *chart) shown(kind, id string) []fhir.Version {
	versions := c.all().History(kind, id)
	if c.limits == nil {
		return versions
	}
	if v, _, ok := c.whole.Current(kind, id); !ok || !c.shows(smart.Read, v) {
		return nil
	}
	var out []fhir.Version
	for _, v := range versions {
		if c.shows(smart.Read, v) {
			out = append(out, v)
		}
	}
	return out
}

// heads are the versions over which nothing was written.
func (c *chart) heads(kind, id string) []fhir.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.all().Heads(kind, id)
}

// headsFor are the heads of a resource on which an action is allowed; of any
// other there are none, as if it did not exist.
func (c *chart) headsFor(a smart.Action, kind, id string) []fhir.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	heads := c.all().Heads(kind, id)
	for _, v := range heads {
		if !c.shows(a, v) {
			return nil
		}
	}
	return heads
}

// mayDo refuses an action on a whole type that no scope allows. A session of
// the person's own device has no scopes and may do all.
func (p *person) mayDo(a smart.Action, kind string) error {
	if p.limits == nil || a != 0 && p.limits.scopes.Can(a, kind) {
		return nil
	}
	return insufficient()
}

// insufficient is the one answer to what an app's scopes do not allow.
func insufficient() error {
	return &challengeError{
		OutcomeError: refusal(http.StatusForbidden, "forbidden", "the scopes of this app do not allow this; ask for access with the scope it needs"),
		header:       `Bearer error="insufficient_scope"`,
	}
}

// mayWrite is the last look before anything is written: every change of an
// app's session is held against its scopes and, where the app is a party of
// its own, against the patient's grant to it.
func (g *Gateway) mayWrite(ctx context.Context, p *person, changes []*change) error {
	l := p.limits
	if l == nil {
		return nil
	}
	for _, ch := range changes {
		a := ch.action()
		if a == 0 || !l.covers(a, ch.home, ch.envelope.Type, ch.content) {
			return insufficient()
		}
		if a != smart.Create && !p.mayReplace(a, ch) {
			return absent()
		}
		if l.deposits && ch.home != g.org {
			if err := g.deposited(ctx, p, ch); err != nil {
				return err
			}
		}
	}
	return nil
}

// action is what a change does, 0 for what no app may: a new Patient, an entry
// of the directory.
func (ch *change) action() smart.Action {
	switch e := &ch.envelope; {
	case e.Kind != seal.KindResource && e.Kind != seal.KindObject:
		return 0
	case e.Deleted:
		return smart.Delete
	case len(e.Parents) > 0:
		return smart.Update
	case e.Type == "Patient":
		return 0
	}
	return smart.Create
}

// mayReplace looks at the version that a change replaces.
func (p *person) mayReplace(a smart.Action, ch *change) bool {
	p.mu.Lock()
	h := p.held[ch.home]
	var c *chart
	if h != nil {
		c = h.chart
	}
	p.mu.Unlock()
	return c != nil && len(c.headsFor(a, ch.envelope.Type, ch.envelope.ID)) > 0
}

// deposited wants a live grant that lets the app itself deposit to the line.
func (g *Gateway) deposited(ctx context.Context, p *person, ch *change) error {
	state, err := g.network.Log(ctx, ch.home)
	if err != nil {
		return err
	}
	now := g.now().Unix()
	for _, live := range state.Grants() {
		if live.Grantee == p.actor && live.Actions&grant.Deposit != 0 && live.Covers(ch.line) && now >= live.NotBefore && now < live.Expires {
			return nil
		}
	}
	return refusal(http.StatusForbidden, "forbidden", "the patient's grant to this app does not let it add to the part of the record this belongs to; ask the patient to approve it for that part")
}

// fileable is the chart a new resource goes to. An app that may only add
// opens nothing: it writes blind.
func (s *scope) fileable(ctx context.Context, home abaton.ActorID) (*chart, error) {
	if s.p.limits == nil || s.p.opens(home) || !s.p.holds(home) {
		return s.writable(ctx, home, false)
	}
	return s.g.newChart(home, s.c.purpose, nil, s.p.limits), nil
}

// opens reports whether the session was lent any seed of a patient.
func (p *person) opens(patient abaton.ActorID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held[patient]; h != nil {
		for _, g := range h.grants {
			if len(g.lines) > 0 {
				return true
			}
		}
	}
	return false
}
