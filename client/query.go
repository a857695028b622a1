package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// queryPagesMax bounds the pages of one keeper's answer.
const queryPagesMax = 1024

// stated is a statement and the keeper that made it.
type stated struct {
	keeper.Statement
	by abaton.KeeperIndex
}

// queryLogs gives what the keepers told of these actors' logs.
func (n *Network) queryLogs(ctx context.Context, step *quorum.Collect, ids []abaton.ActorID) ([]stated, error) {
	var all []stated
	err := n.query(ctx, keeper.QueryLog, ids, step, func(s *keeper.Statements) error {
		told := make([]stated, len(s.Statements))
		for i, b := range s.Statements {
			if wire.Unmarshal(b, &told[i].Statement) != nil {
				return errAnswer
			}
			told[i].by = s.Keeper
		}
		all = append(all, told...)
		return nil
	})
	return all, err
}

// Granted lists the patients whose logs grant something to the actor whose key
// is the Asker, as the union of at least R answers, sorted. The grants
// themselves stand in the patients' logs.
func (n *Network) Granted(ctx context.Context, grantee abaton.ActorID) ([]abaton.ActorID, error) {
	var all []abaton.ActorID
	err := n.query(ctx, keeper.QueryGranted, []abaton.ActorID{grantee}, n.atLeastR(), func(s *keeper.Statements) error {
		all = append(all, s.Actors...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list granted patients: %w", err)
	}
	slices.SortFunc(all, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all), nil
}

// Checkpoints are for a session statement (RULINGS 21): the newest signed
// checkpoints of at least f+1 keepers, and of all that answer within a second
// after that. A keeper that is not among them judges by two others'.
func (n *Network) Checkpoints(ctx context.Context) ([][]byte, error) {
	var all [][]byte
	step := quorum.NewCollect(n.params, n.params.F+1, n.params.F+1)
	step.Hold(true)
	err := n.query(ctx, keeper.QueryLog, nil, step, func(s *keeper.Statements) error {
		all = append(all, s.Checkpoint)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("fetch checkpoints: %w", err)
	}
	return all, nil
}

// atLeastR is the step of a question whose answer must hold everything that is
// in force.
func (n *Network) atLeastR() *quorum.Collect {
	return quorum.NewCollect(n.params, n.params.R(), n.params.R())
}

// query asks all keepers one thing, follows each one's pages and hands what
// verifies to take, one at a time.
func (n *Network) query(ctx context.Context, kind keeper.QueryKind, ids []abaton.ActorID, step *quorum.Collect, take func(*keeper.Statements) error) error {
	if n.asker == nil {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	from, pages := make([]uint64, n.params.N+1), make([]int, n.params.N+1)
	err := drive(ctx, play{
		start: step.Start, timer: step.Timer,
		ended: func() bool { return step.State() != quorum.Working },
		ask: func(ctx context.Context, x abaton.KeeperIndex) func() []quorum.Effect {
			told, err := n.queryOne(ctx, x, kind, ids, from[x])
			return func() []quorum.Effect {
				if reason := reasonOf(err); reason != "" {
					return step.Refuse(x, reason)
				}
				pages[x]++
				if err != nil || pages[x] > queryPagesMax || told.Next != 0 && told.Next <= from[x] || take(told) != nil {
					return step.Lost(x)
				}
				from[x] = told.Next
				return step.Answer(x, told.Next != 0)
			}
		},
	})
	if err != nil {
		return err
	}
	return step.Err()
}

func (n *Network) queryOne(ctx context.Context, x abaton.KeeperIndex, kind keeper.QueryKind, ids []abaton.ActorID, from uint64) (*keeper.Statements, error) {
	return n.pose(ctx, x, keeper.Query{Kind: kind, Actors: ids, From: from})
}

// pose puts one question to one keeper, as the Asker, and verifies who answers
// what.
func (n *Network) pose(ctx context.Context, x abaton.KeeperIndex, q keeper.Query) (*keeper.Statements, error) {
	q.V, q.Time, q.Key = wire.Version, uint64(n.now().Unix()), n.asker.ID()
	rand.Read(q.Nonce[:])
	body := wire.Marshal(q)
	reply, err := n.call(ctx, x, keeper.RouteQuery, wire.Marshal(n.asker.Seal(wire.Query, body)))
	if err != nil {
		return nil, err
	}
	var signed keeper.Signed
	s := new(keeper.Statements)
	if wire.Unmarshal(reply, &signed) != nil || wire.Unmarshal(signed.Body, s) != nil {
		return nil, errAnswer
	}
	if s.V != wire.Version || s.Keeper != x || s.Query != sha(body) ||
		!key.Verify(n.set.Keeper(x).Key, wire.Feed, signed.Body, signed.Sig) {
		return nil, errAnswer
	}
	return s, nil
}
