// Package careteam keeps records for patients who have not claimed them yet,
// opens them for the team, and hands them over.
//
//	body, err := careteam.Keep(set, patient, root, teams...)     // then drop root
//	payload, err := careteam.Open(ctx, n, reader, ask, boxes...) // one of the team, ledgered
//	at, err := careteam.Hand(ctx, n, careteam.Handover{...})     // the patient's own from here on
//
// Half of the root lies with the team, half with the keepers, which ledger and
// count each opening. It does not protect against a team member who was let in
// and keeps the root: the handover's new epochs and re-lock end what that opens.
package careteam

import (
	"context"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Key is what signs for a patient whose record a care team keeps: it follows
// from the root, so that whoever makes the log can drop it with the root
// (PROTOCOL.md#custody).
func Key(root key.Secret) *key.Signing {
	return key.SigningFromSeed(key.Expand(root[:], wire.CustodyKey))
}

// Keep is the event that puts a root into the custody of teams. Whoever makes
// it forgets the root.
func Keep(set *actor.Set, patient abaton.ActorID, p escrow.Payload, teams ...escrow.Holder) (*actor.Escrow, error) {
	if p.Root.IsZero() {
		return nil, fmt.Errorf("keep: %w", key.ErrKey)
	}
	return escrow.Make(set, patient, escrow.Custody(teams...), key.NewSecret(), p)
}

// Of is the custody that a patient's log gives now; false for a record of the
// patient's own.
func Of(s *actor.State) (id abaton.GrantID, e *actor.Escrow, ok bool) {
	for i, have := range s.Escrows() {
		if have.Kind == actor.EscrowCustody && (!ok || string(i[:]) < string(id[:])) {
			id, e, ok = i, have, true
		}
	}
	return id, e, ok
}

// Open opens a root in custody for one of the team: half B from the keepers,
// half A with one of the team's boxes. The reader's later requests name the
// custody in the place of a grant, as a does.
func Open(ctx context.Context, n *client.Network, r *client.Reader, a client.Ask, boxes ...*key.Box) (escrow.Payload, error) {
	state, err := n.Log(ctx, a.Patient)
	if err != nil {
		return escrow.Payload{}, fmt.Errorf("open custody: %w", err)
	}
	e, ended := state.Escrow(a.Grant)
	if e == nil || ended || e.Kind != actor.EscrowCustody {
		return escrow.Payload{}, fmt.Errorf("open custody: %w", abaton.Refuse(abaton.ReasonGrant))
	}
	half, err := unwrap(a.Patient, e, boxes)
	if err != nil {
		return escrow.Payload{}, fmt.Errorf("open custody: %w", err)
	}
	b, err := r.Unseal(ctx, a, e)
	if err != nil {
		return escrow.Payload{}, fmt.Errorf("open custody: %w", err)
	}
	p, err := escrow.Open(a.Patient, e, half, b.Half)
	if err != nil {
		return escrow.Payload{}, fmt.Errorf("open custody: %w", err)
	}
	return p, nil
}

// unwrap finds half A: a team's key may have moved on since.
func unwrap(patient abaton.ActorID, e *actor.Escrow, boxes []*key.Box) (half key.Secret, err error) {
	err = key.ErrBox
	for _, w := range e.Wraps {
		for _, box := range boxes {
			var a [32]byte
			if a, err = e.OpenWrap(patient, w, box); err == nil {
				return a, nil
			}
		}
	}
	return half, err
}

// Handover is everything that makes a record the patient's own.
type Handover struct {
	Patient abaton.ActorID
	Custody abaton.GrantID
	// Kept is the root, as one of the team opened it with the patient there.
	Kept key.Secret
	// Passkey is the patient's, and Hand signs with it.
	Passkey actor.Credential
	Hand    client.Hand
	// Locker is a new key of the patient's device.
	Locker *key.Signing
	// Root is the patient's own, which nobody else ever had.
	Root key.Root
	// Categories are all that the record may have lines of, and their levels.
	Categories map[abaton.Category]uint8
	// Before runs when the patient's passkey and key are in and the custody still
	// stands: what is to be there when it ends, as a second way back in. It may run
	// again. Nil does nothing.
	Before func(context.Context) error
	// SignIn begins a session of the patient by that passkey.
	SignIn func(context.Context) (*client.Reader, error)
	// Progress hears "n of m"; nil hears nothing.
	Progress func(client.Relocked)
}

// Hand makes a record the patient's own: the passkey and a device key come into
// the log by the custody's key, and that is the last thing it does. Then the
// custody ends, its key goes, every line gets a new epoch from the patient's
// own root, and every record is locked anew. It can be called again after any
// failure and goes on; what is not locked anew yet still opens with what the
// team had, and "n of m" says so.
func Hand(ctx context.Context, n *client.Network, h Handover) (*client.Relocked, error) {
	if h.Kept.IsZero() || h.Locker == nil || h.SignIn == nil || h.Hand.Actor != h.Patient {
		return nil, errors.New("hand over: root, key and session are needed")
	}
	if err := h.takeOver(ctx, n); err != nil {
		return nil, fmt.Errorf("hand over: %w", err)
	}
	own, lines, err := h.seeds(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("hand over: %w", err)
	}
	for _, line := range lines {
		if _, err := n.NewEpoch(ctx, h.Hand, line, true, own); err != nil {
			return nil, fmt.Errorf("hand over: %w", err)
		}
	}
	r, err := n.NewRelocker(client.RelockConfig{Patient: h.Patient, Locker: h.Locker, SignIn: h.SignIn, Seed: own, Progress: h.Progress})
	if err != nil {
		return nil, err
	}
	at, err := r.Run(ctx)
	if err != nil {
		return at, fmt.Errorf("hand over: %w", err)
	}
	return at, nil
}

// takeOver brings the log into the patient's hands, each step once.
func (h *Handover) takeOver(ctx context.Context, n *client.Network) error {
	custodian := Key(h.Kept)
	step := func(done func(*actor.State) bool, do func() error) error {
		n.Refresh(h.Patient)
		s, err := n.Log(ctx, h.Patient)
		if err != nil || done(s) {
			return err
		}
		return do()
	}
	name := h.Passkey.Public.Credential()
	if err := step(func(s *actor.State) bool { return s.CredentialClass(name) != 0 }, func() error {
		_, err := n.Append(ctx, client.KeyHand(h.Patient, custodian), &actor.CredentialAdd{Credential: h.Passkey})
		return err
	}); err != nil {
		return err
	}
	if err := step(func(s *actor.State) bool { return s.KeyRights(h.Locker.ID()) != 0 }, func() error {
		_, err := n.AddKey(ctx, h.Hand, h.Locker, actor.Manage|actor.Relock)
		return err
	}); err != nil {
		return err
	}
	if err := step(func(s *actor.State) bool { _, ended := s.Escrow(h.Custody); return ended }, func() error {
		if h.Before != nil {
			if err := h.Before(ctx); err != nil {
				return err
			}
		}
		_, err := n.Revoke(ctx, h.Hand, h.Custody, true)
		return err
	}); err != nil {
		return err
	}
	return step(func(s *actor.State) bool { return s.KeyRights(custodian.ID()) == 0 }, func() error {
		_, err := n.Append(ctx, h.Hand, &actor.KeyRemove{ID: custodian.ID()})
		return err
	})
}

// seeds gives the seed of any epoch: the team's root made those up to the
// handover, the patient's own those after. lines are those that still need a
// new epoch. A line keeps its name, which came from the first root.
func (h *Handover) seeds(ctx context.Context, n *client.Network) (own func(abaton.Line, uint32) (grant.Seed, bool), lines []abaton.Line, err error) {
	n.Refresh(h.Patient)
	s, err := n.Log(ctx, h.Patient)
	if err != nil {
		return nil, nil, err
	}
	kept := key.NewRoot(h.Kept)
	type place struct {
		category abaton.Category
		level    uint8
		from     uint32 // first epoch of the patient's own
	}
	at := make(map[abaton.Line]place)
	for c, level := range h.Categories {
		line := kept.Line(c)
		seg, ok := s.Newest(line)
		if !ok {
			continue
		}
		p := place{category: c, level: level, from: seg.Epoch + 1}
		if seg.ID == key.SegmentIDOf(h.Root.Segment(c, seg.Epoch).Public()) {
			p.from = seg.Epoch // an earlier run came so far
		} else {
			lines = append(lines, line)
		}
		at[line] = p
	}
	if len(at) != len(s.Lines()) {
		return nil, nil, client.ErrNoSeed // a line of a category that is not named: nothing is to stay behind
	}
	return func(line abaton.Line, epoch uint32) (grant.Seed, bool) {
		p, ok := at[line]
		if !ok || epoch < 1 {
			return grant.Seed{}, false
		}
		root := kept
		if epoch >= p.from {
			root = h.Root
		}
		return grant.Seed{Line: line, Category: p.category, Level: p.level, Epoch: epoch, Seed: root.SegmentSeed(p.category, epoch)}, true
	}, lines, nil
}
