package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// Peer is another keeper as this one calls it; keeper.Client is one.
type Peer interface {
	Call(ctx context.Context, route string, body []byte) ([]byte, error)
}

// Times of the conversation between keepers.
const (
	// cosignEvery is how often a grown ledger is shown to the peers.
	cosignEvery = time.Second
	// retryEvery is how often a feed is asked for while the keeper has not
	// heard enough peers to serve.
	retryEvery = 250 * time.Millisecond
	// peerTimeout bounds one call.
	peerTimeout = 10 * time.Second
)

// Converse keeps this keeper in touch with its peers until ctx ends: it reads
// their statement feeds, which renews the lease, and has its checkpoints
// cosigned. It returns when every conversation has ended.
func (k *Keeper) Converse(ctx context.Context, peers map[abaton.KeeperIndex]Peer) {
	var wg sync.WaitGroup
	lines := &cosignatures{keeper: k}
	for x, p := range peers {
		wg.Go(func() { k.listen(ctx, x, p) })
		wg.Go(func() { lines.seek(ctx, x, p) })
		wg.Go(func() { k.tellVerdicts(ctx, p) })
	}
	wg.Wait()
}

// listen pulls one peer's feed again and again.
func (k *Keeper) listen(ctx context.Context, x abaton.KeeperIndex, p Peer) {
	var at, gone uint64
	passes := 0
	for {
		if n := k.RepairProgress().Passes; n != passes {
			passes, gone = n, 0 // leaves of batches that were not here before
		}
		next, err := k.pull(ctx, x, p, at, &gone)
		if err != nil && ctx.Err() == nil {
			k.cfg.Log.DebugContext(ctx, "peer not heard", "peer", x, "error", err.Error())
		}
		at = next
		wait := abaton.FeedInterval
		if k.Mode() == Starting {
			wait = retryEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// pull reads the feed from at up to the peer's signed head and returns where
// to go on. Only then has the peer been heard.
func (k *Keeper) pull(ctx context.Context, x abaton.KeeperIndex, p Peer, at uint64, gone *uint64) (uint64, error) {
	for {
		a, err := k.ask(ctx, x, p, at)
		if refusedBy(err).Reason == abaton.ReasonTime {
			return at, errors.Join(err, k.askTime(ctx, x, p))
		}
		if err != nil {
			return at, err
		}
		if a.Head < at {
			at = 0 // the peer was restored or began anew: read all of it again
			continue
		}
		if err := k.learn(ctx, a.Statements); err != nil {
			return at, err
		}
		done := a.Next >= a.Head
		if !done && a.Next <= at {
			return at, errors.New("feed does not move")
		}
		at = a.Next
		if done {
			_, err := k.one(ctx, Heard{Peer: x, Yours: a.Yours})
			if err == nil && k.Mode() == Serving {
				*gone = k.fetchGone(ctx, x, p, *gone, a.Erased)
			}
			return at, err
		}
	}
}

func (k *Keeper) ask(ctx context.Context, x abaton.KeeperIndex, p Peer, at uint64) (*keeper.Statements, error) {
	return k.query(ctx, x, p, keeper.Query{Kind: keeper.QueryFeed, From: at})
}

// query asks one peer and compares its clock with ours.
func (k *Keeper) query(ctx context.Context, x abaton.KeeperIndex, p Peer, q keeper.Query) (*keeper.Statements, error) {
	sent := k.cfg.Now()
	q.V, q.Time, q.Key = wire.Version, uint64(sent.Unix()), k.cfg.Key.ID()
	rand.Read(q.Nonce[:])
	body := wire.Marshal(q)
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	answer, err := p.Call(ctx, keeper.RouteQuery, wire.Marshal(k.cfg.Key.Seal(wire.Query, body)))
	if err != nil {
		return nil, err
	}
	got := k.cfg.Now()
	a, err := k.readFeed(x, hashOf(body), answer)
	if err != nil {
		return nil, err
	}
	return a, k.compare(ctx, x, sent, got, a.Time)
}

// readFeed verifies a peer's answer: its signature, that it answers this very
// question, and that it is the keeper we asked.
func (k *Keeper) readFeed(x abaton.KeeperIndex, query [32]byte, answer []byte) (*keeper.Statements, error) {
	var signed wire.Signed
	var a keeper.Statements
	if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &a) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	peer := k.cfg.Set.Keeper(x)
	if peer == nil || !key.Verify(peer.Key, wire.Feed, signed.Body, signed.Sig) {
		return nil, abaton.Refuse(abaton.ReasonSignature)
	}
	if len(a.Statements) > statementsMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	if a.V != wire.Version || a.Keeper != x || a.Query != query {
		return nil, abaton.Refuse(abaton.ReasonReplay)
	}
	return &a, nil
}

// learn takes statements from a peer as from anyone: each is verified. What a
// lying peer mixes in is dropped.
func (k *Keeper) learn(ctx context.Context, statements [][]byte) error {
	var inputs []Input
	for _, s := range statements {
		if k.knows(s) {
			continue
		}
		in, err := k.stated(s)
		if err != nil {
			continue
		}
		inputs = append(inputs, in)
		if len(inputs) == groupMax {
			if _, err := k.submit(ctx, inputs...); err != nil {
				return err
			}
			inputs = nil
		}
	}
	_, err := k.submit(ctx, inputs...)
	return err
}

// knows reports whether this very statement is stored here, so that a feed
// read again costs no signatures.
func (k *Keeper) knows(data []byte) bool {
	var s keeper.Statement
	var e actor.Event
	if wire.Unmarshal(data, &s) != nil {
		return false
	}
	signed, err := actor.ParseSigned(s.Event)
	if err != nil || wire.Unmarshal(signed.Event, &e) != nil {
		return false
	}
	id := e.Actor
	if id == (abaton.ActorID{}) {
		id = actor.IDOf(signed.Event)
	}
	held, err := k.store.Statement(id, e.Seq, statementName(actor.HashOf(signed.Event), len(s.Certificate) > 0))
	return err == nil && bytes.Equal(held.Bytes, data)
}

// cosignatures gathers the peers' cosignatures on this keeper's newest tree.
type cosignatures struct {
	keeper *Keeper
	mu     sync.Mutex // held while one is kept, so that none replaces another
}

// seek shows one peer every larger tree.
func (c *cosignatures) seek(ctx context.Context, x abaton.KeeperIndex, p Peer) {
	var shown uint64
	first := true
	tick := time.NewTicker(cosignEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k := c.keeper
		now := k.vouched.show(k.core.log, k.cfg.Now())
		if k.Mode() != Serving || !first && now.point.Size == shown {
			continue
		}
		size, err := c.show(ctx, x, p, now, shown)
		if err != nil {
			k.cfg.Log.DebugContext(ctx, "checkpoint not cosigned", "peer", x, "error", err.Error())
			continue
		}
		shown, first = size, false
	}
}

// show sends a checkpoint with its proof from old, and keeps the cosignature.
// The peer's word on the old size is followed once.
func (c *cosignatures) show(ctx context.Context, x abaton.KeeperIndex, p Peer, now shownNote, old uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	for try := 0; ; try++ {
		proof, err := c.keeper.core.log.Consistency(old, now.point.Size)
		if err != nil {
			return old, err
		}
		add := ledger.AddCheckpoint{Old: old, Proof: proof, Checkpoint: now.signed}
		lines, err := p.Call(ctx, keeper.RouteWitness, add.Marshal())
		if e, ok := errors.AsType[*keeper.StatusError](err); ok && e.Status == ledger.StatusConflict && try == 0 {
			if old, err = ledger.ParseSize(e.Body); err != nil {
				return old, err
			}
			continue
		}
		if err != nil {
			return old, err
		}
		point, err := c.keep(ctx, add.Checkpoint, lines)
		return point.Size, err
	}
}

// keep adds a peer's cosignature to those on the same tree and stores them.
func (c *cosignatures) keep(ctx context.Context, signed, lines []byte) (ledger.Checkpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keeper
	own := k.core.cfg.Evidence[k.cfg.Index]
	point, err := ledger.VerifyCheckpoint(signed, own.Origin, own.Ledger)
	if err != nil {
		return point, err
	}
	peers := k.peerVerifiers()
	note, err := ledger.Countersign(signed, lines, peers...)
	if err != nil {
		return point, err
	}
	if kept, err := k.core.log.Cosigned(); err == nil && len(kept) > 0 {
		held, err := ledger.VerifyCheckpoint(kept, own.Origin, own.Ledger)
		switch {
		case err == nil && held.Size > point.Size:
			return point, nil
		case err == nil && held == point:
			_, more, _ := bytes.Cut(kept, []byte("\n\n"))
			if both, err := ledger.Countersign(note, more, peers...); err == nil {
				note = both
			}
		}
	}
	k.vouched.cosigned(point, note, k.cfg.Now())
	_, err = k.one(ctx, Cosigned{Signed: note, Verifiers: peers})
	return point, err
}
