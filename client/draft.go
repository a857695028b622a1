package client

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// Draft is the bytes of an event for others to prove: after the log's head as
// it is now, not signed, not published; in a split log after its certified end.
// Meant for what narrows, which holds wherever it stands (a Recover that helpers
// sign one after the other), and for what counts by its own certificate alone (a
// return, whose signer may not merge).
func (n *Network) Draft(ctx context.Context, id abaton.ActorID, body actor.Body) ([]byte, error) {
	l, err := n.look(ctx, id, false)
	if err != nil {
		return nil, fmt.Errorf("draft event: %w", err)
	}
	next := l.view.Next(actor.Narrows(body.EventKind()), false)
	if next.Merge {
		next = l.view.Next(true, false)
	}
	if len(next.Parents) == 0 {
		return nil, fmt.Errorf("draft event: %w", abaton.ErrUnavailable)
	}
	return next.Event(n.now(), body), nil
}

// Settle publishes again what somebody left half way in a log: an event that
// some keepers voted for holds its place until it is certified.
func (n *Network) Settle(ctx context.Context, id abaton.ActorID) error {
	l, err := n.look(ctx, id, true)
	if err != nil {
		return fmt.Errorf("settle log: %w", err)
	}
	if len(l.view.Open) > 0 {
		n.finish(ctx, l)
	}
	n.Refresh(id)
	return nil
}
