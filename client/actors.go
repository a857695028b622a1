package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// appendAttempts is how often an event is signed anew after the log's newer
// head when another event took its slot.
const appendAttempts = 4

// Hand signs events for one key log: with a signing key, or with a passkey on
// the person's device.
type Hand struct {
	Actor abaton.ActorID
	// Prove makes the proof over an event's bytes.
	Prove func(event []byte) (actor.Proof, error)
}

// KeyHand signs with a live key of the log.
func KeyHand(id abaton.ActorID, k *key.Signing) Hand {
	return Hand{Actor: id, Prove: func(event []byte) (actor.Proof, error) { return actor.ByKey(k, event), nil }}
}

// PasskeyHand signs with a live passkey of the log.
func PasskeyHand(id abaton.ActorID, p *key.Passkey) Hand {
	return Hand{Actor: id, Prove: func(event []byte) (actor.Proof, error) {
		a, err := p.Assert(actor.HashOf(event))
		if err != nil {
			return actor.Proof{}, err
		}
		return actor.ByPasskey(a), nil
	}}
}

// Append signs one event after the log's head and publishes it. A split log
// is closed by a merge first; a slot that another event took in the meantime
// is passed by.
func (n *Network) Append(ctx context.Context, h Hand, body actor.Body) (Published, error) {
	var last Published
	var err error
	for range appendAttempts {
		n.logs.forget(h.Actor)
		var l *log
		if l, err = n.log1(ctx, h.Actor); err != nil {
			return last, fmt.Errorf("append event: %w", err)
		}
		if last, err = n.appendTo(ctx, h, l, body); !passedBy(err) {
			return last, err
		}
		if err := n.finish(ctx, l); err != nil {
			return last, err
		}
	}
	return last, err
}

// passedBy reports whether another event got there first.
func passedBy(err error) bool {
	_, conflict := errors.AsType[*ConflictError](err)
	return conflict || reasonOf(err) == abaton.ReasonParent
}

// finish publishes again what others left half way in this log: an event that
// some keepers voted for holds its slot until it is certified.
func (n *Network) finish(ctx context.Context, l *log) error {
	for _, signed := range l.open {
		if _, err := n.Publish(ctx, signed); err != nil && !passedBy(err) && reasonOf(err) == "" {
			return err
		}
	}
	return nil
}

func (n *Network) appendTo(ctx context.Context, h Hand, l *log, body actor.Body) (Published, error) {
	heads := l.state.Heads()
	if len(heads) > 1 {
		merge := actor.New(h.Actor, highest(heads)+1, hashes(heads), n.now().Unix(), &actor.Merge{})
		if p, err := n.signAndPublish(ctx, h, merge); err != nil {
			return p, err
		}
		heads = []actor.Place{{Actor: h.Actor, Seq: highest(heads) + 1, Hash: actor.HashOf(merge)}}
	}
	event := actor.New(h.Actor, heads[0].Seq+1, []actor.Hash{heads[0].Hash}, n.now().Unix(), body)
	return n.signAndPublish(ctx, h, event)
}

func (n *Network) signAndPublish(ctx context.Context, h Hand, event []byte) (Published, error) {
	proof, err := h.Prove(event)
	if err != nil {
		return Published{}, fmt.Errorf("sign event: %w", err)
	}
	all, err := n.Publish(ctx, actor.Signed(event, proof).Marshal())
	if len(all) == 0 {
		return Published{}, err
	}
	return all[0], err
}

func highest(heads []actor.Place) (seq uint64) {
	for _, h := range heads {
		seq = max(seq, h.Seq)
	}
	return seq
}

func hashes(heads []actor.Place) []actor.Hash {
	out := make([]actor.Hash, len(heads))
	for i, h := range heads {
		out[i] = h.Hash
	}
	slices.SortFunc(out, func(a, b actor.Hash) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Share gives a grant: seeds of the lines it names, wrapped to the grantee's
// box key, in one event of the patient's log. The grant's patient and order
// are filled in; its name is returned.
func (n *Network) Share(ctx context.Context, h Hand, g grant.Grant, seeds []grant.Seed) (abaton.GrantID, Published, error) {
	state, err := n.Log(ctx, g.Grantee)
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: grantee: %w", err)
	}
	box, err := state.Box()
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: grantee: %w", err)
	}
	g.Patient = h.Actor
	g.Sort()
	b := g.Marshal()
	wrap, err := grant.WrapSeeds(box, b, seeds)
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: %w", err)
	}
	p, err := n.Append(ctx, h, &actor.Granted{Grant: b, Wrap: wrap})
	return grant.IDOf(b), p, err
}

// Revoke takes a grant back. Published says at how many keepers it is in
// force: "revoked" from the write quorum on. Urgent also ends the grace of
// earlier epochs.
func (n *Network) Revoke(ctx context.Context, h Hand, id abaton.GrantID, urgent bool) (Published, error) {
	return n.Append(ctx, h, &actor.Revoke{Grant: id, Urgent: urgent})
}

// Erase erases records for ever, at every keeper that hears of it.
func (n *Network) Erase(ctx context.Context, h Hand, rows ...Row) (Published, error) {
	var last Published
	for part := range slices.Chunk(rows, actor.EraseRowsMax) {
		body := new(actor.Erase)
		for _, row := range part {
			body.Rows = append(body.Rows, actor.Row{Batch: row.Batch, Bits: row.Records})
		}
		var err error
		if last, err = n.Append(ctx, h, body); err != nil {
			return last, err
		}
	}
	return last, nil
}

// Announce opens a line's next epoch with this seed and wraps it to everybody
// who still has a live grant to read the line (RULINGS 18). Urgent ends the
// previous epoch at once.
func (n *Network) Announce(ctx context.Context, h Hand, seed grant.Seed, urgent bool) (Published, error) {
	n.logs.forget(h.Actor)
	state, err := n.Log(ctx, h.Actor)
	if err != nil {
		return Published{}, fmt.Errorf("announce epoch: %w", err)
	}
	segment := key.BoxFromSeed(seed.Seed).Public()
	body := &actor.Epoch{Line: seed.Line, Level: seed.Level, Epoch: seed.Epoch, Segment: segment.Bytes(), Urgent: urgent}
	for _, grantee := range readersOf(state, seed.Line, n.now().Unix()) {
		wrap, err := n.wrapEpoch(ctx, grantee, segment, seed)
		if err != nil {
			return Published{}, err
		}
		body.Wraps = append(body.Wraps, wrap)
	}
	return n.Append(ctx, h, body)
}

func (n *Network) wrapEpoch(ctx context.Context, grantee abaton.ActorID, segment key.BoxPublic, seed grant.Seed) (actor.SeedWrap, error) {
	state, err := n.Log(ctx, grantee)
	if err != nil {
		return actor.SeedWrap{}, fmt.Errorf("announce epoch: grantee: %w", err)
	}
	box, err := state.Box()
	if err != nil {
		return actor.SeedWrap{}, fmt.Errorf("announce epoch: grantee: %w", err)
	}
	return actor.WrapEpoch(grantee, box, segment, seed)
}

// readersOf are the grantees with a live grant to read a line, sorted.
func readersOf(s *actor.State, line abaton.Line, now int64) (ids []abaton.ActorID) {
	for _, g := range s.Grants() {
		if g.Actions&grant.Read != 0 && g.Expires > now && g.Covers(line) && !s.Barred(g.Grantee) {
			ids = append(ids, g.Grantee)
		}
	}
	slices.SortFunc(ids, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}
