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

// HandOn hands a patient's grant on, as the grantee's own log says it
// (PROTOCOL.md#onward): terms, which must narrow the grant, and the seeds of
// their lines sealed to terms.Grantee, an actor or a team of organisation. Its
// name is returned. Keepers judge at every request whether it may be.
func (n *Network) HandOn(ctx context.Context, h Hand, organisation abaton.ActorID, parent abaton.GrantID, terms grant.Grant, seeds []grant.Seed) (abaton.GrantID, Published, error) {
	box, err := n.onwardBox(ctx, organisation, terms.Grantee)
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("hand on: grantee: %w", err)
	}
	terms.Sort()
	body := &actor.Onward{Parent: parent, Terms: terms.Marshal()}
	id := grant.OnwardID(h.Actor, parent, body.Terms)
	if body.Wrap, err = grant.WrapOnward(box, id, seeds); err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("hand on: %w", err)
	}
	p, err := n.Append(ctx, h, body)
	if err != nil {
		return id, p, fmt.Errorf("hand on: %w", err)
	}
	return id, p, nil
}

func (n *Network) onwardBox(ctx context.Context, organisation, to abaton.ActorID) (key.BoxPublic, error) {
	state, err := n.Log(ctx, to)
	if errors.Is(err, abaton.ErrNotFound) {
		return n.teamBox(ctx, organisation, to)
	}
	if err != nil {
		return key.BoxPublic{}, err
	}
	return state.Box()
}
