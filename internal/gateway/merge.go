package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/smart"
)

// merging is a request to link two Patients, or to end that.
type merging struct {
	from, into     string // FHIR ids: the Patient that is replaced, and the one that replaces it
	source, target abaton.ActorID
}

// mergingOf reads the Parameters and finds both patients, whose charts the
// session must hold.
func (g *Gateway) mergingOf(ctx context.Context, c *call) (m merging, err error) {
	params, err := c.operationParams()
	if err != nil {
		return m, err
	}
	for _, p := range params {
		switch p.Name {
		case "source-patient":
			m.from = referenceID(p.Value)
		case "target-patient":
			m.into = referenceID(p.Value)
		default:
			return m, refusal(http.StatusBadRequest, "not-supported", "$merge and $unmerge take source-patient and target-patient here; leave the others out")
		}
	}
	switch {
	case m.from == "" || m.into == "":
		return m, refusal(http.StatusBadRequest, "required", "source-patient and target-patient are needed, each a reference Patient/id; add them")
	case m.from == m.into:
		return m, refusal(http.StatusUnprocessableEntity, "business-rule", "source-patient and target-patient are the same; name two")
	}
	if m.source, err = g.patientByID(ctx, c.person, m.from); err != nil {
		return m, err
	}
	if m.target, err = g.patientByID(ctx, c.person, m.into); err != nil {
		return m, err
	}
	if m.source == m.target {
		return m, refusal(http.StatusUnprocessableEntity, "business-rule", "source-patient and target-patient are the same; name two")
	}
	return m, nil
}

// both opens the two charts and the directory anew: a link is decided on what
// stands there now. Callers hold the locks of all three.
func (s *scope) both(ctx context.Context, m merging) (charts [2]*chart, directory *chart, err error) {
	for i, one := range []struct {
		home abaton.ActorID
		id   string
	}{{m.source, m.from}, {m.target, m.into}} {
		if charts[i], err = s.writable(ctx, one.home, true); err != nil {
			return charts, nil, err
		}
		if _, _, err := charts[i].find("Patient", one.id); err != nil {
			return charts, nil, err
		}
	}
	directory, err = s.writable(ctx, s.g.org, true)
	return charts, directory, err
}

// merge answers POST Patient/$merge: a link in the directory says from now on
// that both charts are of one person. Whoever may open both reads them side by
// side; nothing is moved, copied or given.
func (g *Gateway) merge(ctx context.Context, c *call) (*answer, error) {
	m, err := g.mergingOf(ctx, c)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(m.source, m.target, g.org)()
	s := g.newScope(c)
	charts, directory, err := s.both(ctx, m)
	if err != nil {
		return nil, err
	}
	known, err := directory.ties()
	if err != nil {
		return nil, err
	}
	if slices.Contains(oneOf(known, m.from), m.into) {
		return nil, refusal(http.StatusConflict, "duplicate", "these two are linked already; nothing was changed")
	}
	if standing(known, m.from) != m.from || standing(known, m.into) != m.into {
		return nil, refusal(http.StatusConflict, "conflict", "one of them is replaced by another Patient already; name the one that replaces it")
	}
	r, err := fhir.ParseResource(linkageText(m.from, m.into, true))
	if err != nil {
		return nil, err
	}
	p, err := s.write(ctx, directory, r, g.ids.fresh(g.org), nil, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return s.merged(ctx, m, charts[1], p, "linked: both charts are read side by side now; undo it with Patient/$unmerge")
}

// unmerge answers POST Patient/$unmerge: the link ends, both charts stand alone
// as before, and each gets a Flag that tells every later reader what was shown
// together, and since when.
func (g *Gateway) unmerge(ctx context.Context, c *call) (*answer, error) {
	m, err := g.mergingOf(ctx, c)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(m.source, m.target, g.org)()
	s := g.newScope(c)
	charts, directory, err := s.both(ctx, m)
	if err != nil {
		return nil, err
	}
	known, err := directory.ties()
	if err != nil {
		return nil, err
	}
	known = slices.DeleteFunc(slices.Clone(known), func(t tie) bool { return t.from != m.from || t.into != m.into })
	if len(known) == 0 {
		return nil, refusal(http.StatusConflict, "conflict", "these two are not linked this way round; nothing was changed")
	}
	p := &plan{status: http.StatusOK}
	for _, t := range known {
		ended, err := s.ended(ctx, directory, t)
		if err != nil {
			return nil, err
		}
		p.version, p.changes = ended.version, append(p.changes, ended.changes...)
	}
	for i, id := range []string{m.from, m.into} {
		flag, err := s.flag(ctx, charts[i], id, known[0])
		if err != nil {
			return nil, err
		}
		p.changes = append(p.changes, flag.changes...)
	}
	return s.merged(ctx, m, charts[1], p, "the link has ended: both charts stand alone again, and a Flag in each tells its readers; the patients' lists of disclosures say who read meanwhile")
}

// ended plans the version of a Linkage that says it holds no more.
func (s *scope) ended(ctx context.Context, directory *chart, t tie) (*plan, error) {
	r, err := fhir.ParseResource(linkageText(t.from, t.into, false))
	if err != nil {
		return nil, err
	}
	heads := directory.headsFor(smart.Update, "Linkage", t.linkage)
	return s.write(ctx, directory, r, t.linkage, versionIDs(heads), nil, http.StatusOK)
}

// flag plans what tells the readers of one chart. It names no other patient: a
// resource lies in one compartment alone (RULINGS 11).
func (s *scope) flag(ctx context.Context, chart *chart, id string, t tie) (*plan, error) {
	now := fhir.Instant(s.g.now())
	r, err := fhir.ParseResource(fmt.Appendf(nil, `{"resourceType":"Flag","status":"active",`+
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/flag-category","code":"admin"}]}],`+
		`"code":{"text":"From %s to %s this chart was shown together with another person's. What was read, printed or decided then may rest on the other chart: check it."},`+
		`"subject":{"reference":"Patient/%s"},"period":{"start":"%s"}}`, fhir.Instant(t.since), now, id, now))
	if err != nil {
		return nil, err
	}
	return s.write(ctx, chart, r, s.g.ids.fresh(chart.patient), nil, nil, http.StatusOK)
}

// merged writes a plan and answers with what became of it and of the target.
func (s *scope) merged(ctx context.Context, m merging, target *chart, p *plan, text string) (*answer, error) {
	pending, err := s.g.commit(ctx, s.p, p.changes)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if pending {
		status, text = http.StatusAccepted, pendingText
	}
	known, err := s.g.ties(ctx, s.p)
	if err != nil {
		return nil, err
	}
	v, _, err := target.find("Patient", m.into)
	if err != nil {
		return nil, err
	}
	if v, err = linked(known, v); err != nil {
		return nil, err
	}
	shown, err := render(v)
	if err != nil {
		return nil, err
	}
	outcome := fhir.OperationOutcome(fhir.Issue{Severity: "information", Code: "informational", Diagnostics: text})
	body := fmt.Appendf(nil, `{"resourceType":"Parameters","parameter":[{"name":"outcome","resource":%s},{"name":"linkage","valueReference":{"reference":"Linkage/%s"}},{"name":"result","resource":%s}]}`,
		outcome, p.version.ID, shown)
	return &answer{status: status, body: body}, nil
}
