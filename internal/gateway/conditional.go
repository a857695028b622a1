package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// condition is the query of a conditional interaction; one that says nothing
// would mean everything, and is refused.
func (c *call) condition() (fhir.Ref, []fhir.Param, error) {
	params, err := fhir.ParseQuery(c.query)
	if err == nil && len(params) == 0 {
		err = refusal(http.StatusBadRequest, "required", "name the resource: Type/id, or Type?query that finds one")
	}
	return fhir.Ref{Type: c.kind, Query: c.query}, params, err
}

// conditionalUpdate answers PUT [type]?query (FHIR R4, http.html#cond-update).
func (g *Gateway) conditionalUpdate(ctx context.Context, c *call) (*answer, error) {
	r, err := c.parse()
	if err != nil {
		return nil, err
	}
	ref, _, err := c.condition()
	if err != nil {
		return nil, err
	}
	s := g.newScope(c)
	home, err := s.homeOf(ctx, r, c.patient)
	if err != nil {
		return nil, err
	}
	if home == (abaton.ActorID{}) {
		return nil, refusal(http.StatusPreconditionFailed, "not-supported", "it cannot be told which patient is meant without looking through all; update by id, or name the patient in the header Abaton-Patient")
	}
	defer g.locks.hold(c.exclusive(home, g.org)...)()
	if r, err = s.settleReferences(ctx, r, home); err != nil {
		return nil, err
	}
	id, err := s.find(ctx, ref, home)
	if err != nil {
		return nil, err
	}
	p, err := s.updateFound(ctx, r, home, id)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, p)
}

// updateFound plans what R4 asks for by what the query found and what id the
// resource brings.
func (s *scope) updateFound(ctx context.Context, r fhir.Resource, home abaton.ActorID, found string) (*plan, error) {
	brought := r.ID()
	switch {
	case found == "" && brought == "":
		return s.create(ctx, r, s.g.ids.fresh(home), nil)
	case found == "":
		chart, err := s.writable(ctx, home, false)
		if err != nil {
			return nil, err
		}
		if _, _, ok := chart.current(r.Type, brought); ok {
			return nil, refusal(http.StatusConflict, "conflict", "the query finds nothing, yet the id in the resource is in use; update that one by its id, or leave the id out")
		}
		return s.update(ctx, r, brought)
	case brought != "" && brought != found:
		return nil, refusal(http.StatusBadRequest, "invalid", "the query finds a resource with another id than the one in the body; make them the same, or leave the id out")
	}
	r, err := named(r, found)
	if err != nil {
		return nil, err
	}
	return s.update(ctx, r, found)
}

// named is a resource that brings no id under the one that its query found;
// any other stays as it is.
func named(r fhir.Resource, id string) (fhir.Resource, error) {
	if r.ID() != "" {
		return r, nil
	}
	text, err := r.Splice(id, "", time.Time{})
	if err != nil {
		return r, err
	}
	return fhir.ParseResource(text)
}

// conditionalDelete answers DELETE [type]?query: one match is deleted, none is
// done already, several are refused (FHIR R4, http.html#3.1.0.7.1).
func (g *Gateway) conditionalDelete(ctx context.Context, c *call) (*answer, error) {
	s := g.newScope(c)
	id, release, err := s.single(ctx)
	if err != nil || id == "" {
		return &answer{status: http.StatusNoContent}, err
	}
	defer release()
	p, err := s.remove(ctx, c.kind, id)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, p)
}

// conditionalPatch answers PATCH [type]?query.
func (g *Gateway) conditionalPatch(ctx context.Context, c *call) (*answer, error) {
	p, err := fhir.ParsePatch(c.body)
	if err != nil {
		return nil, err
	}
	s := g.newScope(c)
	id, release, err := s.single(ctx)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, absent()
	}
	defer release()
	planned, err := s.patch(ctx, c.kind, id, p)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, planned)
}

// single is the one resource that the query of a request finds, "" if none,
// with its chart locked until release.
func (s *scope) single(ctx context.Context) (id string, release func(), err error) {
	ref, params, err := s.c.condition()
	if err != nil {
		return "", nil, err
	}
	home, err := s.homeOfQuery(ctx, ref.Type, params, abaton.ActorID{})
	if notMine(err) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	if home != (abaton.ActorID{}) {
		release = s.g.locks.hold(s.c.exclusive(home, s.g.org)...)
	}
	id, err = s.find(ctx, ref, home)
	if notMine(err) {
		id, err = "", nil
	}
	if release != nil && (err != nil || id == "") {
		release()
	}
	return id, release, err
}

// homeOfQuery is in whose chart a condition looks: the directory for its
// types, else the patient that the query names, else otherwise, else that of
// the header Abaton-Patient. Zero says that it cannot be told.
func (s *scope) homeOfQuery(ctx context.Context, kind string, params []fhir.Param, otherwise abaton.ActorID) (abaton.ActorID, error) {
	if fhir.Directory(kind) {
		return s.g.org, nil
	}
	names := []string{"patient", "patient:Patient"}
	if kind == "Patient" {
		names = []string{"_id"}
	}
	if id, ok := param(params, names...); ok {
		return s.g.patientByID(ctx, s.p, id[strings.LastIndexByte(id, '/')+1:])
	}
	if id, ok := param(params, "_id"); ok && fhir.IsID(id) {
		found, err := s.g.locate(ctx, s.p, s.c, kind, id)
		if err != nil {
			return abaton.ActorID{}, err
		}
		return found.patient, nil
	}
	if otherwise != (abaton.ActorID{}) {
		return otherwise, nil
	}
	return s.c.patient, nil
}

// findFor is find where the query itself may say whose chart it means.
func (s *scope) findFor(ctx context.Context, ref fhir.Ref, otherwise abaton.ActorID) (string, error) {
	params, err := fhir.ParseQuery(ref.Query)
	if err != nil {
		return "", err
	}
	home, err := s.homeOfQuery(ctx, ref.Type, params, otherwise)
	if notMine(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return s.find(ctx, ref, home)
}

// param is the value of the first parameter with one of these names.
func param(params []fhir.Param, names ...string) (string, bool) {
	for _, p := range params {
		if slices.Contains(names, p.Name) {
			return p.Value, true
		}
	}
	return "", false
}
