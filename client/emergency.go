package client

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Urgent is half B of an emergency set, and what an authority asks to see
// before it lends half A.
type Urgent struct {
	Half     key.Secret
	Request  []byte   // as every keeper got it
	Hash     [32]byte // names the opening
	Released [][]byte // T keepers' signed words that they released and ledgered
	Liars    []abaton.KeeperIndex
}

// UnsealUrgent is Unseal for the emergency set that Ask.Grant names, with the
// statement of Ask.Emergency. It waits for nobody once T keepers gave true
// shares: who else lies shows another time.
func (r *Reader) UnsealUrgent(ctx context.Context, a Ask, e *actor.Escrow) (Urgent, error) {
	q := r.sign(a, session.Unseal, nil, 0)
	u := &urgency{unsealing: unsealing{log: a.Patient, escrow: e}, n: r.n, hash: q.hash}
	step := quorum.NewCollect(r.n.params, r.n.params.T, r.n.params.T)
	err := r.collectFrom(ctx, step, a, session.Unseal, q, u)
	u.mu.Lock()
	defer u.mu.Unlock()
	slices.Sort(u.liars)
	out := Urgent{Request: q.bytes, Hash: q.hash, Liars: slices.Compact(u.liars)}
	if err != nil {
		return out, fmt.Errorf("unseal: %w", err)
	}
	out.Released = u.words[:r.n.params.T]
	if out.Half, err = spread.Combine(u.shares[:r.n.params.T]); err != nil {
		return out, fmt.Errorf("unseal: %w", err)
	}
	return out, nil
}

// urgency gathers shares of which each comes with its keeper's word.
type urgency struct {
	unsealing
	n     *Network
	hash  [32]byte
	words [][]byte
}

func (u *urgency) take(x abaton.KeeperIndex, a *answered) error {
	if !u.n.released(x, a.Released, u.hash) {
		return errAnswer
	}
	if err := u.unsealing.take(x, a); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.words = append(u.words, a.Released)
	return nil
}

func (u *urgency) unclear() bool { return false }

// released verifies the keeper's word about a request.
func (n *Network) released(x abaton.KeeperIndex, data []byte, request [32]byte) bool {
	var signed wire.Signed
	var word keeper.Released
	return wire.Unmarshal(data, &signed) == nil && wire.Unmarshal(signed.Body, &word) == nil &&
		word.V == wire.Version && word.Keeper == x && word.Request == request &&
		key.Verify(n.set.Keeper(x).Key, wire.Released, signed.Body, signed.Sig)
}

// Lent opens half A as an authority sealed it to this session for the request
// of that hash.
func (r *Reader) Lent(request [32]byte, sealed []byte) (key.Secret, error) {
	half, err := r.login.Reply.OpenFrom(wire.LentHalf, request[:], sealed)
	if err != nil || len(half) != len(key.Secret{}) {
		return key.Secret{}, fmt.Errorf("open lent half: %w", key.ErrBox)
	}
	return key.Secret(half), nil
}

// Confirm tells the keepers what a second clinician says of an emergency
// opening: Ask.Approval, about the set that Ask.Grant names. Nil when at least T
// of them, and all that remember the opening and answered, took it.
func (r *Reader) Confirm(ctx context.Context, a Ask) error {
	step := quorum.NewCollect(r.n.params, r.n.params.N, r.n.params.T)
	if err := r.collect(ctx, step, a, session.Confirm, taken{}); err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	return nil
}

// taken is an answer that says no more than that it was taken.
type taken struct{}

func (taken) take(abaton.KeeperIndex, *answered) error { return nil }
func (taken) unclear() bool                            { return false }

// Introduce begins the session at every keeper that answers, so that its
// approval may stand beside another's request. Nil from T keepers on.
func (r *Reader) Introduce(ctx context.Context) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	known, last := 0, error(nil)
	for x := range quorum.All(r.n.params.N).Each {
		wg.Go(func() {
			_, err := r.channel(ctx, x)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				last = err
				return
			}
			known++
		})
	}
	wg.Wait()
	if known < r.n.params.T {
		return fmt.Errorf("begin session: %w", last)
	}
	return nil
}
