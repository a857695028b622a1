package gateway

import (
	"context"
	"net/http"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
)

// ask answers POST Consent with status proposed: an access request. It is
// deposited with the patient as it stands, under the organisation's right to
// deposit; whoever asks need not be able to read anything, and can read
// nothing by it. The patient's device lists it and gives a grant or does not
// (docs/CONSENT.md).
func (g *Gateway) ask(ctx context.Context, c *call, r fhir.Resource) (*answer, error) {
	q, err := view.RequestOf(r)
	if err != nil {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "this access request asks for what no grant can give; name known parts, one known purpose and at most one grantee, deny nothing, and give the reason in one line of at most 200 plain characters")
	}
	if q.Grantee != (abaton.ActorID{}) && q.Grantee != c.person.actor {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "access is asked for oneself; leave the actor out, or name the one who is signed in")
	}
	home, err := g.askedOf(ctx, c, q)
	if err != nil {
		return nil, err
	}
	category := fhir.CategoryOf(r)
	for _, part := range q.Categories { // that a part is asked for may tell that there is one
		category = fhir.Stricter(category, part)
	}
	s := g.newScope(c)
	ch, err := s.change(ctx, g.newChart(home, "", nil, c.person.limits), r.Type, g.ids.fresh(home), nil, category)
	if err != nil {
		return nil, notAsked(err)
	}
	ch.content, ch.fact = r.Raw(), factOf(r)
	return s.finish(ctx, ch.plan(http.StatusCreated))
}

// askedOf is the patient whom a request is to reach: named by the header
// Abaton-Patient, by the actor in the Consent, or by a FHIR reference where
// the session may read the patient already. Two names must be one patient.
func (g *Gateway) askedOf(ctx context.Context, c *call, q view.Request) (home abaton.ActorID, err error) {
	home = c.patient
	if q.Patient != (abaton.ActorID{}) {
		if home != (abaton.ActorID{}) && home != q.Patient {
			return home, nobodyToAsk()
		}
		home = q.Patient
	}
	if q.Reference != "" {
		ref, _ := fhir.ParseRef(q.Reference)
		known, err := g.patientByID(ctx, c.person, ref.ID)
		if err != nil && !notMine(err) {
			return home, err
		}
		if err != nil || ref.Type != "Patient" || ref.Base != "" || home != (abaton.ActorID{}) && home != known {
			return home, nobodyToAsk()
		}
		home = known
	}
	if home == (abaton.ActorID{}) {
		return home, nobodyToAsk()
	}
	log, err := g.network.Log(ctx, home)
	if err != nil {
		return home, notAsked(err)
	}
	if log.Kind() != actor.Patient {
		return home, nobodyToAsk()
	}
	return home, nil
}

// nobodyToAsk is the one answer where a request reaches nobody: an unknown
// actor, one that is no patient, one that takes no deposits from here.
func nobodyToAsk() error {
	return refusal(http.StatusUnprocessableEntity, "not-found", "the request reaches nobody: name the patient's actor (act1...) in the header Abaton-Patient or in Consent.patient.identifier, and see that the patient takes deposits from this organisation")
}

func notAsked(err error) error {
	if status := outcomeOf(err).Status; status == http.StatusNotFound || status == http.StatusForbidden {
		return nobodyToAsk()
	}
	return err
}
