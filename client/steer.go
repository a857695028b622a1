package client

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
)

// Steered is what one keeper tells whoever decides about an organisation's
// people.
type Steered struct {
	keeper.Steer
	Held   []keeper.Held // whom it holds back now
	Keeper abaton.KeeperIndex
}

// Steer asks every keeper whom of an organisation it holds back, by which
// verdicts and numbers, and who is signed in; of who, unless that is zero, what
// counts now. One of its managers or security officers asks. At least R answer,
// each for itself; each ledgers the question first.
func (n *Network) Steer(ctx context.Context, organisation, who abaton.ActorID) (out []Steered, err error) {
	about := []abaton.ActorID{organisation}
	if who != (abaton.ActorID{}) {
		about = append(about, who)
	}
	step := quorum.NewCollect(n.params, n.params.N, n.params.R())
	err = n.query(ctx, keeper.QuerySteer, about, step, func(s *keeper.Statements) error {
		if s.Steer == nil || len(s.Held) > keeper.HeldMax || len(s.Steer.Words) > keeper.WordsMax || len(s.Steer.SignedIn) > keeper.SignedInMax {
			return errAnswer
		}
		out = append(out, Steered{Steer: *s.Steer, Held: s.Held, Keeper: s.Keeper})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask what is held and why: %w", err)
	}
	return out, nil
}
