package client

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// Draft is the bytes of an event for others to prove: after the log's head as
// it is now, not signed, not published. Meant for what narrows or gives nothing,
// which holds wherever it stands: a Recover that helpers sign one after the
// other.
func (n *Network) Draft(ctx context.Context, id abaton.ActorID, body actor.Body) ([]byte, error) {
	l, err := n.look(ctx, id, false)
	if err != nil {
		return nil, fmt.Errorf("draft event: %w", err)
	}
	next := l.view.Next(actor.Narrows(body.EventKind()), false)
	if len(next.Parents) == 0 || next.Merge {
		return nil, fmt.Errorf("draft event: %w", abaton.ErrUnavailable)
	}
	return next.Event(n.now(), body), nil
}
