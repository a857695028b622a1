package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
)

// Unsealed is half B of an escrow. Liars gave a share that is not the one the
// escrow's own hash names: each is at fault alone, and none was used.
type Unsealed struct {
	Half  key.Secret
	Liars []abaton.KeeperIndex
}

// Unseal asks the keepers for half B of the escrow that Ask.Grant names; each
// ledgers it before it answers. T true shares make it; Liars are set also
// where fewer came. The other half is not the keepers' to give.
func (r *Reader) Unseal(ctx context.Context, a Ask, e *actor.Escrow) (Unsealed, error) {
	u := &unsealing{log: a.Patient, escrow: e}
	step := quorum.NewCollect(r.n.params, r.n.params.T, r.n.params.T)
	err := r.collect(ctx, step, a, session.Unseal, u)
	u.mu.Lock()
	defer u.mu.Unlock()
	slices.Sort(u.liars)
	out := Unsealed{Liars: slices.Compact(u.liars)}
	if err != nil {
		return out, fmt.Errorf("unseal: %w", err)
	}
	half, err := spread.Combine(u.shares[:r.n.params.T])
	if err != nil {
		return out, fmt.Errorf("unseal: %w", err)
	}
	out.Half = half
	return out, nil
}

// unsealing gathers the shares of one escrow.
type unsealing struct {
	log    abaton.ActorID
	escrow *actor.Escrow
	mu     sync.Mutex
	shares []spread.Share
	liars  []abaton.KeeperIndex
}

var errShare = errors.New("a keeper gave another share than it was given")

func (u *unsealing) take(x abaton.KeeperIndex, a *answered) error {
	var share [32]byte
	honest := len(a.Share) == len(share)
	if honest {
		share = [32]byte(a.Share)
		honest = u.escrow.CheckShare(u.log, x, share)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !honest {
		u.liars = append(u.liars, x)
		return errShare
	}
	u.shares = append(u.shares, spread.Share{X: x, Y: share})
	return nil
}

// unclear waits for all keepers: whoever lies is to be named.
func (u *unsealing) unclear() bool { return true }
