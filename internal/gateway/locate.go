package gateway

import (
	"context"
	"net/http"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
	"github.com/abaton-health/abaton/seal"
)

// directory is the chart of the organisation's own resources.
func (g *Gateway) directory(ctx context.Context, p *person, fresh bool) (*chart, error) {
	return g.chartOf(ctx, p, g.org, "", fresh)
}

// patientByID is the patient whom a FHIR Patient id names. An id of ours
// names the patient by its tag; any other stands in the directory.
func (g *Gateway) patientByID(ctx context.Context, p *person, id string) (abaton.ActorID, error) {
	if tag, ok := tagOf(id); ok {
		if patient, ok := p.byTag(tag); ok && patient != g.org {
			return patient, nil
		}
		return abaton.ActorID{}, absent()
	}
	directory, err := g.directory(ctx, p, false)
	if err != nil {
		return abaton.ActorID{}, err
	}
	if patient, ok := directory.patientOf(id); ok && p.holds(patient) {
		return patient, nil
	}
	return abaton.ActorID{}, absent()
}

// locate finds the chart in which a resource lies: by the tag in its id, by
// the directory for a Patient, else by looking where the caller may look.
func (g *Gateway) locate(ctx context.Context, p *person, c *call, kind, id string) (*chart, error) {
	if view.Computed(kind, id) || live(kind, id) {
		return g.mirrorByID(ctx, c, kind, id)
	}
	if tag, ok := tagOf(id); ok {
		patient, ok := p.byTag(tag)
		if !ok {
			return nil, absent()
		}
		return g.chartOf(ctx, p, patient, c.purpose, false)
	}
	if kind == "Patient" {
		patient, err := g.patientByID(ctx, p, id)
		if err != nil {
			return nil, err
		}
		return g.chartOf(ctx, p, patient, c.purpose, false)
	}
	return g.lookFor(ctx, p, c, kind, id)
}

// lookFor goes through the charts that are open, then the directory, then the
// indexes of the other patients: an index says which resources there are
// without opening them.
func (g *Gateway) lookFor(ctx context.Context, p *person, c *call, kind, id string) (*chart, error) {
	looked := make(map[abaton.ActorID]bool)
	order := p.openCharts()
	if fhir.Directory(kind) && p.holds(g.org) {
		order = append([]abaton.ActorID{g.org}, order...)
	}
	for _, patient := range order {
		if looked[patient] {
			continue
		}
		looked[patient] = true
		opened, err := g.chartOf(ctx, p, patient, c.purpose, false)
		if notMine(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, _, ok := opened.current(kind, id); ok {
			return opened, nil
		}
	}
	count := 0
	for _, patient := range p.patients() {
		if looked[patient] || patient == g.org {
			continue
		}
		if count++; count > searchPatientsMax {
			return nil, refusal(http.StatusBadRequest, "too-costly", "this id does not tell its patient, and too many patients would have to be looked through; open the patient first")
		}
		found, err := g.listed(ctx, p, c, patient, kind, id)
		if err != nil && !notMine(err) {
			return nil, err
		}
		if found {
			return g.showing(ctx, p, c, patient, kind, id)
		}
	}
	return nil, absent()
}

// showing is the chart of a patient in which a resource was listed: to an app,
// only if it may see the resource there.
func (g *Gateway) showing(ctx context.Context, p *person, c *call, patient abaton.ActorID, kind, id string) (*chart, error) {
	opened, err := g.chartOf(ctx, p, patient, c.purpose, false)
	if err != nil || p.limits == nil {
		return opened, err
	}
	if _, _, ok := opened.current(kind, id); !ok {
		return nil, absent()
	}
	return opened, nil
}

// notMine tells refusals of a grant, which look like absence, from troubles.
func notMine(err error) bool {
	return err != nil && outcomeOf(err).Status == http.StatusNotFound
}

// listed looks a resource up in a patient's batch indexes; a batch of one
// record has none and is opened.
func (g *Gateway) listed(ctx context.Context, p *person, c *call, patient abaton.ActorID, kind, id string) (bool, error) {
	lent, err := p.asks(ctx, g.network, patient, c.purpose, g.now())
	if err != nil {
		return false, err
	}
	for _, ask := range lent.asks {
		listing, err := p.reader.List(ctx, ask)
		if err != nil {
			return false, err
		}
		indexes, err := p.reader.Indexes(ctx, ask, listing.Batches)
		if err != nil {
			return false, err
		}
		if indexed(indexes.Records, kind, id) {
			return true, nil
		}
		rows := singles(listing.Batches)
		if len(rows) == 0 {
			continue
		}
		opened, err := p.reader.Get(ctx, ask, rows...)
		if err != nil {
			return false, err
		}
		for i := range opened.Records {
			if e := &opened.Records[i].Envelope; e.Kind == seal.KindResource && e.Type == kind && e.ID == id {
				return true, nil
			}
		}
	}
	return false, nil
}

func indexed(records []client.Record, kind, id string) bool {
	for i := range records {
		index, err := seal.ParseIndex(records[i].Content)
		if err != nil {
			continue // a faulty writer's; the chart, when opened, names it
		}
		for _, e := range index.Entries {
			if e.Kind == seal.KindResource && e.Type == kind && e.ID == id {
				return true
			}
		}
	}
	return false
}

func singles(batches []client.Batch) (rows []client.Row) {
	for _, b := range batches {
		if b.Records == 1 && b.Gone&1 == 0 {
			rows = append(rows, client.Row{Batch: b.Name, Records: 1})
		}
	}
	return rows
}

// homeOf is the actor in whose lines a resource belongs: its patient, or the
// organisation. self is the patient of a Patient resource.
func (s *scope) homeOf(ctx context.Context, r fhir.Resource, self abaton.ActorID) (abaton.ActorID, error) {
	at := fhir.PlaceOf(r)
	switch at.Home {
	case fhir.HomeDirectory:
		return s.g.org, nil
	case fhir.HomePatient:
		if at.Self {
			return self, nil
		}
		return s.patientByRef(ctx, at.Patients[0])
	case fhir.HomeFollow:
		return s.follow(ctx, at.Follow)
	}
	if at.Self {
		return abaton.ActorID{}, refusal(http.StatusUnprocessableEntity, "business-rule", "a Patient is not linked to another by writing link; use Patient/$merge")
	}
	return abaton.ActorID{}, refusal(http.StatusUnprocessableEntity, "business-rule", at.Reason)
}

func (s *scope) patientByRef(ctx context.Context, ref fhir.Ref) (abaton.ActorID, error) {
	if home, ok := s.within[ref.Type+"/"+ref.ID]; ok && ref.Base == "" {
		return home, nil
	}
	unknown := refusal(http.StatusUnprocessableEntity, "not-found", "the resource refers to a patient that is not known here, or to whom there is no access; refer to Patient/id of a patient whose grant this session holds")
	if ref.ID == "" || ref.Base != "" {
		return abaton.ActorID{}, unknown
	}
	patient, err := s.g.patientByID(ctx, s.p, ref.ID)
	if notMine(err) {
		return abaton.ActorID{}, unknown
	}
	return patient, err
}

// follow finds the one patient in whose chart all references lie.
func (s *scope) follow(ctx context.Context, refs []fhir.Ref) (home abaton.ActorID, err error) {
	for _, ref := range refs {
		at, err := s.lies(ctx, ref)
		if err != nil {
			return home, err
		}
		if home != (abaton.ActorID{}) && home != at {
			return home, refusal(http.StatusUnprocessableEntity, "business-rule", "the resource refers to resources of more than one patient; split it, one resource for each")
		}
		home = at
	}
	return home, nil
}

// lies is the actor in whose chart what a reference names lies.
func (s *scope) lies(ctx context.Context, ref fhir.Ref) (abaton.ActorID, error) {
	if home, ok := s.within[ref.Type+"/"+ref.ID]; ok && ref.Base == "" {
		return home, nil
	}
	if tag, ok := tagOf(ref.ID); ok {
		if patient, ok := s.p.byTag(tag); ok {
			return patient, nil
		}
	} else if c, err := s.g.lookFor(ctx, s.p, s.c, ref.Type, ref.ID); err == nil {
		return c.patient, nil
	} else if !notMine(err) {
		return abaton.ActorID{}, err
	}
	return abaton.ActorID{}, refusal(http.StatusUnprocessableEntity, "not-found", "the resource refers to one that is not known here, so it cannot be told whose it is; write that one first")
}
