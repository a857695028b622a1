package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// Hand signs events for one key log: with a signing key, or with a passkey on
// the person's device.
type Hand struct {
	Actor abaton.ActorID
	// Prove makes the proof over an event's bytes.
	Prove func(event []byte) (actor.Proof, error)

	also []func(event []byte) (actor.Proof, error) // Together
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

// Share gives a grant: seeds of the lines it names, wrapped to the grantee's
// box key, in one event of the patient's log. The grant's patient and order
// are filled in; its name is returned. Where the event loses its place to
// another, the grant is taken back for ever and given under another nonce:
// keepers that met the first would refuse it as a replay.
func (n *Network) Share(ctx context.Context, h Hand, g grant.Grant, seeds []grant.Seed) (abaton.GrantID, Published, error) {
	state, err := n.Log(ctx, g.Grantee)
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: grantee: %w", err)
	}
	box, err := state.Box()
	if err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: grantee: %w", err)
	}
	return n.share(ctx, h, box, g, seeds)
}

func (n *Network) share(ctx context.Context, h Hand, box key.BoxPublic, g grant.Grant, seeds []grant.Seed) (abaton.GrantID, Published, error) {
	g.Patient = h.Actor
	g.Sort()
	body := new(actor.Granted)
	fill := func() (err error) {
		body.Grant = g.Marshal()
		body.Wrap, err = grant.WrapSeeds(box, body.Grant, seeds)
		return err
	}
	a := &appending{n: n, hand: h, body: body, renew: func() error {
		rand.Read(g.Nonce[:])
		return fill()
	}}
	if err := fill(); err != nil {
		return abaton.GrantID{}, Published{}, fmt.Errorf("share: %w", err)
	}
	p, err := a.run(ctx)
	return grant.IDOf(body.Grant), p, err
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
	for _, grantee := range readersOf(state, seed.Line, n.now()) {
		wrap, err := n.wrapEpoch(ctx, state, grantee, segment, seed)
		if errors.Is(err, abaton.ErrNotFound) {
			continue // a team of an organisation that is not the patient's: it is given anew
		}
		if err != nil {
			return Published{}, err
		}
		body.Wraps = append(body.Wraps, wrap)
	}
	return n.Append(ctx, h, body)
}

func (n *Network) wrapEpoch(ctx context.Context, patient *actor.State, grantee abaton.ActorID, segment key.BoxPublic, seed grant.Seed) (actor.SeedWrap, error) {
	box, err := n.boxOf(ctx, patient, grantee)
	if err != nil {
		return actor.SeedWrap{}, fmt.Errorf("announce epoch: grantee: %w", err)
	}
	return actor.WrapEpoch(grantee, box, segment, seed)
}

// readersOf are the grantees with a live grant to read a line, sorted.
func readersOf(s *actor.State, line abaton.Line, now time.Time) (ids []abaton.ActorID) {
	for _, g := range s.Grants() {
		if g.Actions&grant.Read != 0 && g.Expires > now.Unix() && g.Covers(line) && !s.Barred(g.Grantee, now) {
			ids = append(ids, g.Grantee)
		}
	}
	slices.SortFunc(ids, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}
