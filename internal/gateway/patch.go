package gateway

import (
	"context"
	"net/http"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/smart"
)

// patch answers PATCH [type]/[id] with a JSON Patch (RFC 6902): applied to
// what a read shows, then written as an update (FHIR R4, http.html#patch).
func (g *Gateway) patch(ctx context.Context, c *call) (*answer, error) {
	p, err := fhir.ParsePatch(c.body)
	if err != nil {
		return nil, err
	}
	found, err := g.locate(ctx, c.person, c, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(c.exclusive(found.patient, g.org)...)()
	s := g.newScope(c)
	planned, err := s.patch(ctx, c.kind, c.id, p)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, planned)
}

// patch plans the new version that a patch of the current one gives.
func (s *scope) patch(ctx context.Context, kind, id string, p *fhir.Patch) (*plan, error) {
	found, err := s.g.locate(ctx, s.p, s.c, kind, id)
	if err != nil {
		return nil, err
	}
	chart, err := s.writable(ctx, found.patient, !s.looked(found.patient))
	if err != nil {
		return nil, err
	}
	heads := chart.headsFor(smart.Read, kind, id)
	switch {
	case len(heads) == 0:
		return nil, absent()
	case len(heads) == 1 && heads[0].Deleted:
		return nil, gone()
	}
	if err := s.c.matches(heads); err != nil {
		return nil, err
	}
	if len(heads) > 1 {
		return nil, refusal(http.StatusConflict, "conflict", "two versions stand side by side, and a patch of one would lose the other; merge them with an update (PUT) that names both in If-Match")
	}
	r, err := patched(heads[0], p)
	if err != nil {
		return nil, err
	}
	if r, err = s.settleReferences(ctx, r, found.patient); err != nil {
		return nil, err
	}
	return s.update(ctx, r, id)
}

// patched is a version with a patch applied. A narrative that software made
// of the elements is dropped where the patch changes those and not it.
func patched(v fhir.Version, p *fhir.Patch) (fhir.Resource, error) {
	shown, err := render(v)
	if err != nil {
		return fhir.Resource{}, err
	}
	changed, err := p.Apply(shown)
	if err != nil {
		return fhir.Resource{}, err
	}
	if !p.Touches("text") && p.Changes("meta") {
		if changed, err = fhir.WithoutNarrative(changed); err != nil {
			return fhir.Resource{}, err
		}
	}
	r, err := fhir.ParseResource(changed)
	if err != nil {
		return r, err
	}
	if r.Type != v.Type || r.ID() != v.ID {
		return r, refusal(http.StatusUnprocessableEntity, "business-rule", "a patch cannot change the type or the id of a resource; create another one instead")
	}
	return r, nil
}
