package client

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// TellRelations gives one keeper a signed statement of relations
// (PROTOCOL.md#relations) of so many entries, and returns the keeper's answer to
// each: empty where it keeps it. Every keeper is told on its own; what one does
// not have makes it ask more than it needs, and opens nothing. An
// abaton.RefusedError refuses the whole.
func (n *Network) TellRelations(ctx context.Context, x abaton.KeeperIndex, message []byte, entries int) ([]abaton.Reason, error) {
	if n.couriers[x] == nil {
		return nil, fmt.Errorf("tell relations: %w", abaton.Refuse(abaton.ReasonPeer))
	}
	body, err := n.call(ctx, x, keeper.RouteRelations, message)
	if err != nil {
		return nil, fmt.Errorf("tell relations: %w", err)
	}
	var r keeper.Results
	if wire.Unmarshal(body, &r) != nil || r.V != wire.Version || len(r.Results) != entries {
		return nil, fmt.Errorf("tell relations: %w", errAnswer)
	}
	reasons := make([]abaton.Reason, entries)
	for i := range reasons {
		reasons[i] = r.Results[i].Reason
	}
	return reasons, nil
}
