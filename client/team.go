package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// Together signs as several people do who must agree: the first hand, and
// everybody else's beside it.
func Together(first Hand, others ...Hand) Hand {
	h := first
	for _, o := range others {
		h.also = append(append(h.also[:len(h.also):len(h.also)], o.Prove), o.also...)
	}
	return h
}

// proofs are the hand's proofs over an event.
func (h Hand) proofs(event []byte) ([]actor.Proof, error) {
	first, err := h.Prove(event)
	if err != nil {
		return nil, err
	}
	all := []actor.Proof{first}
	for _, prove := range h.also {
		p, err := prove(event)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// ShareTeam is Share with a team of an organisation: whoever is in it when
// keepers are asked may use the grant. ErrNotFound when the organisation has no
// such team.
func (n *Network) ShareTeam(ctx context.Context, h Hand, organisation abaton.ActorID, g grant.Grant, seeds []grant.Seed) (abaton.GrantID, Published, error) {
	box, err := n.teamBox(ctx, organisation, g.Grantee)
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: %w", err)
	}
	return n.share(ctx, h, box, g, seeds)
}

func (n *Network) teamBox(ctx context.Context, organisation, team abaton.ActorID) (box key.BoxPublic, err error) {
	state, err := n.Log(ctx, organisation)
	if err != nil {
		return box, fmt.Errorf("organisation: %w", err)
	}
	t := state.Team(team)
	if t == nil {
		return box, fmt.Errorf("team: %w", abaton.ErrNotFound)
	}
	return key.ParseBoxPublic(t.Public)
}

// boxOf is what is sealed to a grantee goes to: an actor's own box, or a team's
// of the patient's organisation.
func (n *Network) boxOf(ctx context.Context, patient *actor.State, grantee abaton.ActorID) (key.BoxPublic, error) {
	state, err := n.Log(ctx, grantee)
	if errors.Is(err, abaton.ErrNotFound) {
		return n.teamBox(ctx, patient.Organisation(), grantee)
	}
	if err != nil {
		return key.BoxPublic{}, err
	}
	return state.Box()
}
