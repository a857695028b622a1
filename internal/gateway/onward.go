package gateway

import (
	"context"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
)

// handed are the terms of the hand-ons by which the session holds something of
// a patient, as the logs of who handed them on say now; what was taken back is
// left out. Keepers decide all the same; this only spares questions that they
// would refuse.
func (p *person) handed(ctx context.Context, n *client.Network, patient abaton.ActorID) (map[abaton.Handed]*grant.Grant, error) {
	var names []abaton.Handed
	p.mu.Lock()
	if h := p.held[patient]; h != nil {
		for _, g := range h.grants {
			if !g.onward.IsZero() {
				names = append(names, g.onward)
			}
		}
	}
	p.mu.Unlock()
	if len(names) == 0 {
		return nil, nil
	}
	var givers []abaton.ActorID
	for _, h := range names {
		givers = append(givers, h.From)
	}
	logs, err := n.Logs(ctx, givers...)
	if err != nil {
		return nil, err
	}
	terms := make(map[abaton.Handed]*grant.Grant)
	for _, name := range names {
		st := logs[name.From]
		if st == nil {
			continue
		}
		if h, takenBack, ok := st.Onward(name.ID); ok && !takenBack {
			terms[name] = h.Terms
		}
	}
	return terms, nil
}
