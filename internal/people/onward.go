package people

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// ErrNoOnward says that a grant cannot be handed on like this.
var ErrNoOnward = errors.New("cannot be handed on")

// Onward is how a grant is handed on. Zero Categories, Life and Quota are all
// that the grant has.
type Onward struct {
	Grant      abaton.GrantID
	To         *Person
	Team       *Team // in place of To
	Categories []fhir.Category
	Life       time.Duration
	Quota      uint32
}

// GiveOn hands a patient's grant on: as far as that grant allows, with the seeds
// that this person holds by it. n must ask with this person's key.
func (p *Person) GiveOn(ctx context.Context, n *client.Network, o Onward) (abaton.GrantID, client.Published, error) {
	held, parent, err := p.heldGrant(ctx, n, o.Grant)
	if err != nil {
		return abaton.GrantID{}, client.Published{}, err
	}
	terms, seeds, err := o.terms(held, parent)
	if err != nil {
		return abaton.GrantID{}, client.Published{}, err
	}
	return n.HandOn(ctx, p.Hand(), p.Sponsor, o.Grant, terms, seeds)
}

// heldGrant is what this person holds by a grant of a patient. What was handed to
// this person is not among it: that goes no further.
func (p *Person) heldGrant(ctx context.Context, n *client.Network, id abaton.GrantID) (b session.Bundle, g *grant.Grant, err error) {
	all, err := p.Held(ctx, n)
	if err != nil {
		return b, nil, err
	}
	for _, b := range all {
		if b.Grant != id {
			continue
		}
		if !b.Onward.IsZero() {
			err = fmt.Errorf("this grant was handed on once already: %w", ErrNoOnward)
			continue
		}
		st, err := n.Log(ctx, b.Patient)
		if err != nil {
			return b, nil, fmt.Errorf("hand on: %w", err)
		}
		g, _ := st.Grant(id)
		return b, g, nil
	}
	if err == nil {
		err = fmt.Errorf("grant: %w", abaton.ErrNotFound)
	}
	return b, nil, err
}

// terms are what is handed on and the seeds for it, held against what the
// keepers will ask.
func (o Onward) terms(held session.Bundle, parent *grant.Grant) (g grant.Grant, seeds []grant.Seed, err error) {
	now := time.Now()
	g = grant.Grant{V: wire.Version, Patient: held.Patient, Actions: grant.Read, Purposes: slices.Clone(parent.Purposes),
		NotBefore: now.Add(-time.Minute).Unix(), Expires: parent.Expires, Quota: parent.Quota}
	if o.Team != nil {
		g.Grantee = o.Team.ID
	} else {
		g.Grantee = o.To.ID
	}
	if o.Life > 0 {
		g.Expires = now.Add(o.Life).Unix()
	}
	if o.Quota > 0 {
		g.Quota = o.Quota
	}
	want := make(map[abaton.Category]bool)
	for _, c := range o.Categories {
		want[c.ID()] = false
	}
	for _, s := range held.Seeds {
		if _, wanted := want[s.Category]; (wanted || len(o.Categories) == 0) && parent.Covers(s.Line) {
			g.Lines, seeds, want[s.Category] = append(g.Lines, s.Line), append(seeds, s), true
		}
	}
	g.Sort()
	rand.Read(g.Nonce[:])
	for _, found := range want {
		if !found {
			return g, nil, fmt.Errorf("a part that the patient did not give: %w", ErrNoOnward)
		}
	}
	switch {
	case parent.Onward == (abaton.ActorID{}):
		err = fmt.Errorf("the patient did not allow it: %w", ErrNoOnward)
	case g.Expires > parent.Expires:
		err = fmt.Errorf("longer than the patient gave it: %w", ErrNoOnward)
	case g.Quota > parent.Quota:
		err = fmt.Errorf("more records than the patient gave: %w", ErrNoOnward)
	case g.Validate() != nil || !parent.Narrower(&g):
		err = fmt.Errorf("not within what the patient gave: %w", ErrNoOnward)
	}
	return g, seeds, err
}

// TakeBack ends a hand-on of this person.
func (p *Person) TakeBack(ctx context.Context, n *client.Network, id abaton.GrantID) (client.Published, error) {
	return n.Revoke(ctx, p.Hand(), id, false)
}

// handed are the seeds of what a colleague, whose log st is, handed on to one of
// boxes. What does not open is left out: a colleague must not keep anybody
// from signing in.
func (p *Person) handed(ctx context.Context, n *client.Network, boxes boxes, st *actor.State) (out []session.Bundle, err error) {
	if st.Kind() != actor.Clinician {
		return nil, nil
	}
	for _, h := range st.Onwards(abaton.GrantID{}, time.Now()) {
		own := boxes[h.Terms.Grantee]
		if own == nil || p.Kind != actor.Clinician {
			continue
		}
		patient, err := n.Log(ctx, h.Terms.Patient)
		if errors.Is(err, abaton.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read key log: %w", err)
		}
		if g := patient.Grants()[h.Parent]; g == nil || !g.Narrower(h.Terms) {
			continue
		}
		for _, b := range own {
			if seeds, err := grant.UnwrapOnward(b, h.ID, h.Wrap); err == nil {
				out = append(out, session.Bundle{Patient: h.Terms.Patient, Grant: h.Parent,
					Onward: abaton.Handed{From: st.Actor(), ID: h.ID}, Seeds: seeds})
				break
			}
		}
	}
	return out, nil
}
