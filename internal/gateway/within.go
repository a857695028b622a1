package gateway

import (
	"context"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// A searchSet is what one search looks through: charts the session may read
// now, each once.
type searchSet []*chart

// run answers a page. Charts are locked for reading only while it runs;
// versions stay as they are.
func (s searchSet) run(q *search.Query, after *search.Cursor) (*search.Page, error) {
	indexes := make([]*search.Index, len(s))
	for i, c := range s {
		c.mu.RLock()
		defer c.mu.RUnlock()
		if !c.loaded { // dropped meanwhile
			return nil, abaton.ErrUnavailable
		}
		indexes[i] = c.found
	}
	return q.Run(after, indexes...)
}

// warning tells of a part that is not shown, "" when all that is granted is.
func (s searchSet) warning() string {
	for _, c := range s {
		if text := c.warning(); text != "" {
			return text
		}
	}
	return ""
}

// setFor is what a query looks through: one patient's chart where it names
// one, else parts of the charts of all patients it may be about; and the
// directory, if something of it can be in the answer or decides on it. What
// the session may not open is not in it, and nothing tells that it was asked
// for.
func (g *Gateway) setFor(ctx context.Context, c *call, q *search.Query) (set searchSet, err error) {
	kinds, every := q.Kinds()
	if every {
		kinds = nil
	}
	charts, directory := every, every
	for kind := range kinds {
		inCharts, inDirectory := lieIn(kind)
		charts, directory = charts || inCharts, directory || inDirectory
	}
	if charts {
		if set, err = g.chartsFor(ctx, c, q, kinds); err != nil {
			return nil, err
		}
	}
	if directory && c.person.holds(g.org) {
		d, err := g.directory(ctx, c.person, false)
		if err != nil && !notMine(err) {
			return nil, err
		}
		if err == nil {
			set = append(set, d)
		}
	}
	return g.withMirrors(ctx, c, set, mirrorKinds(q), q.Used)
}

// chartsFor are the charts of the patients a query is about.
func (g *Gateway) chartsFor(ctx context.Context, c *call, q *search.Query, kinds map[string]bool) (searchSet, error) {
	patients, err := g.about(ctx, c, q)
	if err != nil {
		return nil, err
	}
	if len(patients) == 1 {
		one, err := g.chartOf(ctx, c.person, patients[0], c.purpose, false)
		if notMine(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return searchSet{one}, nil
	}
	return g.panel(ctx, c.person, c.purpose, patients, kinds)
}

// about are the patients a query names, each once; all that the session holds
// when it names none.
func (g *Gateway) about(ctx context.Context, c *call, q *search.Query) (patients []abaton.ActorID, err error) {
	for _, p := range q.Used {
		ids, byPatient := c.named(p)
		var found []abaton.ActorID
		switch {
		case byPatient:
			found, err = g.patientsByID(ctx, c.person, ids)
		case p.Name == "_id":
			found, err = g.homesByID(ctx, c, strings.Split(p.Value, ","))
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		return found, nil
	}
	if c.patient != (abaton.ActorID{}) {
		return []abaton.ActorID{c.patient}, nil
	}
	return slices.DeleteFunc(c.person.patients(), func(id abaton.ActorID) bool { return id == g.org }), nil
}

// named are the patients' ids of a condition that holds for nobody else's
// resources; false if it is no such condition.
func (c *call) named(p fhir.Param) (ids []string, ok bool) {
	bare := false
	switch p.Name {
	case "patient", "patient:Patient", "subject:Patient":
		bare = true
	case "subject":
	case "_id":
		if c.kind != "Patient" {
			return nil, false
		}
		return strings.Split(p.Value, ","), true
	default:
		return nil, false
	}
	for value := range strings.SplitSeq(p.Value, ",") {
		value = strings.TrimPrefix(value, c.base+"/")
		id, typed := strings.CutPrefix(value, "Patient/")
		id, _, _ = strings.Cut(id, "/")
		if !typed && !bare || !typed && !fhir.IsID(value) {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// patientsByID are those of these FHIR ids that the session holds.
func (g *Gateway) patientsByID(ctx context.Context, p *person, ids []string) (out []abaton.ActorID, err error) {
	for _, id := range ids {
		if !fhir.IsID(id) {
			continue
		}
		patient, err := g.patientByID(ctx, p, id)
		if notMine(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, patient) {
			out = append(out, patient)
		}
	}
	return out, nil
}

// homesByID are the patients in whose charts resources with these ids lie: by
// the tag in the id, else by looking.
func (g *Gateway) homesByID(ctx context.Context, c *call, ids []string) (out []abaton.ActorID, err error) {
	for _, id := range ids {
		if !fhir.IsID(id) {
			continue
		}
		found, err := g.locate(ctx, c.person, c, c.kind, id)
		if notMine(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found.patient != g.org && !slices.Contains(out, found.patient) {
			out = append(out, found.patient)
		}
	}
	return out, nil
}
