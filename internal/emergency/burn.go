package emergency

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
)

// Burned is what a patient's device did after an emergency.
type Burned struct {
	Escrow abaton.GrantID // the new set
	Locks  *client.Relocked
}

// Burn ends an emergency set that was opened: the doctor's device has its
// seeds. The set ends, its lines get a new epoch and new locks, and a new set
// takes its place, for the same authorities and as many clinicians. It is the
// patient's device that does it, at its next sign-in. The new set comes before
// the re-lock, so that the next emergency finds one.
func Burn(ctx context.Context, n *client.Network, hand client.Hand, id abaton.GrantID, c client.RelockConfig) (*Burned, error) {
	n.Refresh(hand.Actor)
	s, err := n.Log(ctx, hand.Actor)
	if err != nil {
		return nil, fmt.Errorf("burn: %w", err)
	}
	e, ended := s.Escrow(id)
	if e == nil || ended || e.Kind != actor.EscrowEmergency {
		return nil, fmt.Errorf("burn: %w", abaton.Refuse(abaton.ReasonGrant))
	}
	for _, line := range e.Lines {
		if _, err := n.NewEpoch(ctx, hand, line, true, c.Seed); err != nil {
			return nil, fmt.Errorf("burn: %w", err)
		}
	}
	next, err := Renew(ctx, n, hand.Actor, e, c.Seed)
	if err != nil {
		return nil, fmt.Errorf("burn: %w", err)
	}
	out := &Burned{}
	if out.Escrow, err = give(ctx, n, hand, next); err != nil {
		return nil, fmt.Errorf("burn: %w", err)
	}
	if _, err := n.Revoke(ctx, hand, id, true); err != nil {
		return out, fmt.Errorf("burn: %w", err)
	}
	c.Lines = e.Lines
	r, err := n.NewRelocker(c)
	if err != nil {
		return out, fmt.Errorf("burn: %w", err)
	}
	if out.Locks, err = r.Run(ctx); err != nil {
		return out, fmt.Errorf("burn: %w", err)
	}
	return out, nil
}

// setEpochs is how many epochs of a line, the newest, go into a set: records
// that are not locked anew yet are under older ones.
const setEpochs = 4

// Renew is a set over the newest epochs of the lines of another, for the same
// authorities and as many clinicians.
func Renew(ctx context.Context, n *client.Network, patient abaton.ActorID, old *actor.Escrow, seed func(abaton.Line, uint32) (grant.Seed, bool)) (*actor.Escrow, error) {
	ids := make([]abaton.ActorID, len(old.Wraps))
	for i, w := range old.Wraps {
		ids[i] = w.Holder
	}
	return NewSet(ctx, n, patient, ids, int(old.Need), old.Lines, seed)
}

// NewSet is an emergency set over the newest epochs of lines. The patient's
// device publishes it as an event.
func NewSet(ctx context.Context, n *client.Network, patient abaton.ActorID, authorities []abaton.ActorID, clinicians int, lines []abaton.Line,
	seed func(abaton.Line, uint32) (grant.Seed, bool)) (*actor.Escrow, error) {
	n.Refresh(patient)
	logs, err := n.Logs(ctx, append([]abaton.ActorID{patient}, authorities...)...)
	if err != nil {
		return nil, err
	}
	var holders []escrow.Holder
	for _, id := range authorities {
		if logs[id] == nil {
			return nil, fmt.Errorf("authority: %w", abaton.ErrNotFound)
		}
		box, err := logs[id].Box()
		if err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		holders = append(holders, escrow.Holder{ID: id, Box: box})
	}
	seeds, err := newest(logs[patient], lines, seed)
	if err != nil {
		return nil, err
	}
	return escrow.Make(n.Set(), patient, escrow.Emergency(holders, clinicians, lines...), key.NewSecret(), escrow.Payload{Seeds: seeds})
}

func newest(s *actor.State, lines []abaton.Line, seed func(abaton.Line, uint32) (grant.Seed, bool)) (seeds []grant.Seed, err error) {
	if s == nil {
		return nil, abaton.ErrNotFound
	}
	for _, line := range lines {
		seg, ok := s.Newest(line)
		if !ok {
			return nil, abaton.Refuse(abaton.ReasonGrant)
		}
		for e := seg.Epoch; e >= 1 && seg.Epoch-e < setEpochs; e-- {
			given, ok := seed(line, e)
			if !ok {
				return nil, client.ErrNoSeed
			}
			given.Level = seg.Level
			seeds = append(seeds, given)
		}
	}
	return seeds, nil
}

func give(ctx context.Context, n *client.Network, hand client.Hand, e *actor.Escrow) (abaton.GrantID, error) {
	if _, err := n.Append(ctx, hand, e); err != nil {
		return abaton.GrantID{}, err
	}
	n.Refresh(hand.Actor)
	s, err := n.Log(ctx, hand.Actor)
	if err != nil {
		return abaton.GrantID{}, err
	}
	for id, have := range s.Escrows() {
		if have.Nonce == e.Nonce {
			return id, nil
		}
	}
	return abaton.GrantID{}, abaton.ErrNotFound
}
