package client

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
)

// Held is whom one keeper holds back.
type Held struct {
	keeper.Held
	Keeper abaton.KeeperIndex // who says so of itself
}

// Held lists whom each keeper holds back of an organisation, asked by one of
// its managers or security officers: what every keeper that answers says of
// itself, at least R of them. Each ledgers the question.
func (n *Network) Held(ctx context.Context, organisation abaton.ActorID) (out []Held, err error) {
	step := quorum.NewCollect(n.params, n.params.N, n.params.R())
	err = n.query(ctx, keeper.QueryHeld, []abaton.ActorID{organisation}, step, func(s *keeper.Statements) error {
		if len(s.Held) > keeper.HeldMax {
			return errAnswer
		}
		for _, h := range s.Held {
			out = append(out, Held{Held: h, Keeper: s.Keeper})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask who is held: %w", err)
	}
	return out, nil
}
