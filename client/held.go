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

// HeldAnswer is what one keeper answered about an organisation.
type HeldAnswer struct {
	Keeper abaton.KeeperIndex
	Held   []keeper.Held
	Found  []keeper.Found // what the keeper itself found, how often ever
}

// Held lists whom each keeper holds back of an organisation, asked by one of
// its managers or security officers: what every keeper that answers says of
// itself, at least R of them. Each ledgers the question.
func (n *Network) Held(ctx context.Context, organisation abaton.ActorID) (out []Held, err error) {
	answers, err := n.askHeld(ctx, organisation, quorum.NewCollect(n.params, n.params.N, n.params.R()))
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		for _, h := range a.Held {
			out = append(out, Held{Held: h, Keeper: a.Keeper})
		}
	}
	return out, nil
}

// HeldAnswers is Held for whoever asks again and again: by keeper, without
// waiting for long for those beyond R. The answers that came are there with an
// error too.
func (n *Network) HeldAnswers(ctx context.Context, organisation abaton.ActorID) ([]HeldAnswer, error) {
	step := n.atLeastR()
	step.Hold(true)
	return n.askHeld(ctx, organisation, step)
}

func (n *Network) askHeld(ctx context.Context, organisation abaton.ActorID, step *quorum.Collect) (answers []HeldAnswer, err error) {
	err = n.query(ctx, keeper.QueryHeld, []abaton.ActorID{organisation}, step, func(s *keeper.Statements) error {
		if len(s.Held) > keeper.HeldMax || len(s.Found) > keeper.FoundMax || s.Next != 0 {
			return errAnswer
		}
		answers = append(answers, HeldAnswer{s.Keeper, s.Held, s.Found})
		return nil
	})
	if err != nil {
		return answers, fmt.Errorf("ask who is held: %w", err)
	}
	return answers, nil
}
