package gateway

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
	"github.com/abaton-health/abaton/ledger"
)

// Consent, AuditEvent and Provenance are partly mirrors: resources that nobody
// stored, computed from key logs, ledgers and signatures for whoever asks
// (docs/CONSENT.md). They stand in searches beside stored ones of the same
// type, and never in $everything, exports or histories of the chart.

// mirrored are the computed resources of a type about one patient, as far as
// this session may see them: the patient all, anybody else the own ones.
func (g *Gateway) mirrored(ctx context.Context, p *person, c *chart, kind string) (versions []fhir.Version, warning string, err error) {
	switch kind {
	case "Consent":
		versions, err = g.consents(ctx, p, c)
	case "Subscription":
		versions, err = g.lives(p)
	case "AuditEvent":
		return g.disclosures(ctx, p, c)
	case "Provenance":
		versions = g.provenance(c, c.timeline("", time.Time{}))
	}
	return versions, "", err
}

// consents are the grants of a patient as Consent: all for the patient, those
// to oneself for anybody else.
func (g *Gateway) consents(ctx context.Context, p *person, c *chart) (out []fhir.Version, err error) {
	state, err := g.network.Log(ctx, c.patient)
	if err != nil {
		return nil, err
	}
	var mine []abaton.GrantID
	for _, id := range state.EverGranted() {
		if given, _ := state.Grant(id); c.patient == p.actor || given.Grantee == p.actor || p.holdsGrant(c.patient, id) {
			mine = append(mine, id)
		}
	}
	kinds, err := g.kindsOf(ctx, state, mine)
	if err != nil {
		return nil, err
	}
	parts, ref := p.partsOf(c.patient), c.patientRef()
	for _, id := range mine {
		given, revoked := state.Grant(id)
		shown := view.Given{ID: id, Grant: given, Patient: ref, Kind: kinds[given.Grantee], Revoked: revoked, Asleep: state.Asleep(given, g.now()), Now: g.now()}
		for _, line := range given.Lines {
			if category, ok := parts[line]; ok {
				shown.Categories = append(shown.Categories, category)
			} else {
				shown.Others++
			}
		}
		body := view.Consent(shown)
		out = append(out, fhir.Version{Type: "Consent", ID: view.ConsentID(id), VersionID: view.VersionID(body),
			LastUpdated: time.Unix(given.NotBefore, 0).UTC(), Body: body})
	}
	return out, nil
}

// kindsOf are the FHIR types of the grantees.
func (g *Gateway) kindsOf(ctx context.Context, state *actor.State, ids []abaton.GrantID) (map[abaton.ActorID]string, error) {
	var grantees []abaton.ActorID
	kinds := make(map[abaton.ActorID]string)
	for _, id := range ids {
		given, _ := state.Grant(id)
		if _, ok := kinds[given.Grantee]; !ok {
			kinds[given.Grantee] = ""
			grantees = append(grantees, given.Grantee)
		}
	}
	logs, err := g.network.Logs(ctx, grantees...)
	if err != nil {
		return nil, err
	}
	for id, log := range logs {
		kinds[id] = typeOf(log.Kind())
	}
	if org, err := g.network.Log(ctx, g.org); err == nil {
		for id := range kinds {
			if org.Team(id) != nil {
				kinds[id] = "CareTeam"
			}
		}
	}
	return kinds, nil
}

// partsOf is which line is which part of a patient's record, as far as the
// session was told.
func (p *person) partsOf(patient abaton.ActorID) map[abaton.Line]fhir.Category {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := make(map[abaton.Line]fhir.Category)
	if h := p.held[patient]; h != nil {
		for _, g := range h.grants {
			for line, id := range g.lines {
				if c, ok := fhir.CategoryByID(id); ok {
					parts[line] = c
				}
			}
		}
	}
	return parts
}

// patientRef is the patient's FHIR resource in the chart, empty if there is
// none.
func (c *chart) patientRef() string {
	for _, v := range c.timeline("Patient", time.Time{}) {
		if now, _, ok := c.current("Patient", v.ID); ok && !now.Deleted {
			return "Patient/" + v.ID
		}
	}
	return ""
}

// disclosures are the accesses to a patient's record. The patient gets what
// the keepers' ledgers say. Keepers tell nobody else; to anybody else this
// gateway says what the session itself has opened.
func (g *Gateway) disclosures(ctx context.Context, p *person, c *chart) (out []fhir.Version, warning string, err error) {
	shown := view.Disclosed{Tag: g.ids.tag(c.patient), Patient: c.patientRef(), ID: c.patient, KeeperSet: g.set.ID(), Name: c.names(), Part: p.partsOfBatches(c)}
	var lines []ledger.Line
	if c.patient == p.actor {
		history, err := g.historyOf(ctx, p, c)
		if err != nil {
			return nil, "", err
		}
		if lines = history.Lines; history.Verdict != ledger.Complete {
			warning = "the list of disclosures is " + history.String()
		}
	} else {
		lines = g.looks(p, c)
	}
	if shown.Kind, err = g.askers(ctx, lines); err != nil {
		return nil, "", err
	}
	for i := range lines {
		shown.Line, shown.Own = &lines[i], lines[i].Actor == c.patient
		body := view.AuditEvent(shown)
		out = append(out, fhir.Version{Type: "AuditEvent", ID: view.AuditEventID(shown.Tag, &lines[i]), VersionID: view.VersionID(body),
			LastUpdated: view.When(&lines[i]), Body: body})
	}
	return out, warning, nil
}

// historyOf is what the ledgers say, asked for anew after historyFresh: each
// question is itself a line in them.
func (g *Gateway) historyOf(ctx context.Context, p *person, c *chart) (*ledger.History, error) {
	c.mu.RLock()
	told, at := c.told, c.toldAt
	c.mu.RUnlock()
	if age := g.now().Sub(at); told != nil && age >= 0 && age < historyFresh {
		return told, nil
	}
	told, err := p.reader.History(ctx, c.patient)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.toldAt = told, g.now()
	return told, nil
}

// looks are what this session has opened of a chart, one line for each grant.
func (g *Gateway) looks(p *person, c *chart) (lines []ledger.Line) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, ask := range c.asks {
		l := ledger.Line{Op: ledger.OpRelease, Actor: p.actor, Organisation: g.org, Session: p.id, Purpose: ask.Purpose, Grant: ask.Grant,
			First: c.opened.Unix(), Last: c.leased.Unix(), Request: sha256.Sum256(append(p.id[:], ask.Grant[:]...)), Lines: ask.Lines}
		for _, line := range ask.Lines {
			for batch, records := range c.rows[line] {
				l.Rows = append(l.Rows, ledger.LineRow{Batch: batch, Released: records})
			}
		}
		if len(l.Rows) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// mirrorByID is a chart that holds nothing but the computed resource of an id.
// One that is not there, or not the caller's, is absent.
func (g *Gateway) mirrorByID(ctx context.Context, c *call, kind, id string) (*chart, error) {
	if live(kind, id) {
		s, err := g.subscriptions.find(c.person, id)
		if err != nil {
			return nil, err
		}
		v, err := s.shown()
		if err != nil {
			return nil, err
		}
		return g.overlay(c.person, abaton.ActorID{}, v)
	}
	patient, ok := g.mirrorPatient(ctx, c.person, kind, id)
	if !ok {
		return nil, absent()
	}
	at, err := g.chartOf(ctx, c.person, patient, c.purpose, false)
	if err != nil {
		return nil, err
	}
	versions, _, err := g.mirrored(ctx, c.person, at, kind)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.ID == id {
			return g.overlay(c.person, patient, v)
		}
	}
	return nil, absent()
}

// mirrorPatient is whom a computed resource is about.
func (g *Gateway) mirrorPatient(ctx context.Context, p *person, kind, id string) (abaton.ActorID, bool) {
	if kind != "Consent" {
		tag, ok := view.TagOf(id)
		if !ok {
			return abaton.ActorID{}, false
		}
		return p.byTag(tag)
	}
	want, err := view.GrantOf(id)
	if err != nil {
		return abaton.ActorID{}, false
	}
	if patient, ok := p.patientOfGrant(want); ok {
		return patient, true
	}
	if !p.holds(p.actor) {
		return abaton.ActorID{}, false
	}
	state, err := g.network.Log(ctx, p.actor)
	if err != nil {
		return abaton.ActorID{}, false
	}
	given, _ := state.Grant(want)
	return p.actor, given != nil
}

// patientOfGrant is the patient whose grant the session was lent.
func (p *person) patientOfGrant(id abaton.GrantID) (abaton.ActorID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for patient, h := range p.held {
		for _, g := range h.grants {
			if g.id == id {
				return patient, true
			}
		}
	}
	return abaton.ActorID{}, false
}

// overlay is a chart of these versions alone, of which an app sees what its
// scopes cover.
func (g *Gateway) overlay(p *person, patient abaton.ActorID, versions ...fhir.Version) (*chart, error) {
	c := g.newChart(patient, "", nil, p.limits)
	c.loaded = true
	for i := range versions {
		c.remember(abaton.Line{}, versions[i].Type, versions[i].ID, len(versions[i].Body))
	}
	return c, c.add(versions)
}

// errMirror refuses to store what is computed.
func errMirror() error {
	return refusal(http.StatusUnprocessableEntity, "business-rule", "this id is one that the gateway computes from grants, ledgers or signatures, so nothing can be stored under it; let the id be assigned (POST)")
}
