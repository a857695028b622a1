package people

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// Introduce publishes people's inceptions, many in one message, then their
// second ways back in, then their emergency sets. Those that are known already are in force again without
// effect.
func Introduce(ctx context.Context, n *client.Network, all ...*Person) error {
	var first, second, third [][]byte
	for _, p := range all {
		if len(p.Event) > 0 { // who came back without devices is known
			first = append(first, p.Event)
		}
		if len(p.Way) > 0 {
			second = append(second, p.Way)
		}
		if len(p.Set) > 0 {
			third = append(third, p.Set)
		}
	}
	if err := introduce(ctx, n, first); err != nil {
		return err
	}
	if err := introduce(ctx, n, second); err != nil {
		return err
	}
	return introduce(ctx, n, third)
}

func introduce(ctx context.Context, n *client.Network, events [][]byte) error {
	if len(events) == 0 {
		return nil
	}
	published, err := n.Publish(ctx, events...)
	if err != nil {
		return fmt.Errorf("introduce people: %w", err)
	}
	for _, p := range published {
		if !p.InForce {
			return fmt.Errorf("introduce people: %w", errors.Join(p.Err, abaton.ErrUnavailable))
		}
	}
	return nil
}

// Hand signs for this person: with the passkey where a person decides, with
// the managing key for an organisation.
func (p *Person) Hand() client.Hand {
	if p.Kind == actor.Patient {
		return client.PasskeyHand(p.ID, p.Passkey)
	}
	return p.HandOf(len(p.signers()))
}

// HandOf is Hand with so many of an organisation's managers, at least one.
func (p *Person) HandOf(managers int) client.Hand {
	keys := append([]*key.Signing{p.Manage}, p.Managers...)
	keys = keys[:max(1, min(managers, len(keys)))]
	first := client.KeyHand(p.ID, keys[0])
	for _, k := range keys[1:] {
		first = client.Together(first, client.KeyHand(p.ID, k))
	}
	return first
}

// signers are the keys that sign what the person gives: one, or of an
// organisation that demands two as many.
func (p *Person) signers() []*key.Signing {
	all := []*key.Signing{p.Manage}
	if len(p.Managers) > 0 {
		all = append(all, p.Managers[0])
	}
	return all
}

// Give signs and publishes a grant; it is in force at "At of Of" keepers.
func (p *Person) Give(ctx context.Context, n *client.Network, t Terms) (abaton.GrantID, client.Published, error) {
	g, seeds := p.grant(t)
	seeds, err := p.upToDate(ctx, n, seeds)
	if err != nil {
		return abaton.GrantID{}, client.Published{}, err
	}
	if t.Team != nil {
		return n.ShareTeam(ctx, p.Hand(), t.Team.Organisation, g, seeds)
	}
	return n.Share(ctx, p.Hand(), g, seeds)
}

// Stop takes a grant back.
func (p *Person) Stop(ctx context.Context, n *client.Network, id abaton.GrantID, urgent bool) (client.Published, error) {
	return n.Revoke(ctx, p.Hand(), id, urgent)
}

// Held are the seeds of every grant that names this person and still holds,
// unwrapped with the person's own key. n must ask with this person's key.
func (p *Person) Held(ctx context.Context, n *client.Network) ([]session.Bundle, error) {
	boxes, err := p.boxes(ctx, n)
	if err != nil {
		return nil, err
	}
	var patients []abaton.ActorID
	for name := range boxes {
		named, err := n.Granted(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look for grants: %w", err)
		}
		patients = append(patients, named...)
	}
	slices.SortFunc(patients, func(a, b abaton.ActorID) int { return slices.Compare(a[:], b[:]) })
	patients = slices.Compact(patients)
	n.Refresh(patients...) // what was given a moment ago is held
	return p.heldOf(ctx, n, boxes, patients...)
}

// HeldOf is Held for these patients only.
func (p *Person) HeldOf(ctx context.Context, n *client.Network, patients ...abaton.ActorID) ([]session.Bundle, error) {
	boxes, err := p.boxes(ctx, n)
	if err != nil {
		return nil, err
	}
	return p.heldOf(ctx, n, boxes, patients...)
}

func (p *Person) heldOf(ctx context.Context, n *client.Network, boxes boxes, patients ...abaton.ActorID) ([]session.Bundle, error) {
	logs, err := n.Logs(ctx, patients...)
	if err != nil {
		return nil, fmt.Errorf("read key logs: %w", err)
	}
	var out []session.Bundle
	for _, patient := range patients {
		st := logs[patient]
		if st == nil {
			continue
		}
		handed, err := p.handed(ctx, n, boxes, st)
		if err != nil {
			return nil, err
		}
		out = append(out, handed...)
		for id, g := range st.Grants() {
			if boxes[g.Grantee] == nil || g.Actions&grant.Read == 0 && p.Kind != actor.Agent {
				continue // an agent lends too where it may write: the line, and no seed
			}
			b, err := bundle(st, id, g.Grantee, boxes[g.Grantee])
			if errors.Is(err, key.ErrBox) && g.Grantee != p.ID {
				continue // given to the team before this seat, and not given anew yet
			}
			if err != nil {
				return nil, err
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// bundle opens a grant's wrap, and the wraps of epochs announced since.
func bundle(st *actor.State, id abaton.GrantID, grantee abaton.ActorID, own []*key.Box) (session.Bundle, error) {
	given, ok := st.Given(id)
	if !ok {
		return session.Bundle{}, fmt.Errorf("grant without an event: %w", abaton.ErrNotFound)
	}
	seeds, err := firstOf(own, func(b *key.Box) ([]grant.Seed, error) { return grant.Unwrap(b, given.Grant, given.Wrap) })
	if err != nil {
		return session.Bundle{}, err
	}
	have := make(map[abaton.Line]grant.Seed)
	for _, s := range seeds {
		if s.Epoch > have[s.Line].Epoch {
			have[s.Line] = s
		}
	}
	for line, s := range have {
		newest, ok := st.Newest(line)
		if !ok || newest.Epoch <= s.Epoch {
			continue
		}
		if sealed := st.Wrap(line, newest.Epoch, grantee); sealed != nil {
			more, err := firstOf(own, func(b *key.Box) (grant.Seed, error) { return actor.UnwrapEpoch(b, newest, sealed) })
			if err != nil {
				return session.Bundle{}, err
			}
			seeds = append(seeds, more)
		}
	}
	return session.Bundle{Patient: st.Actor(), Grant: id, Seeds: seeds}, nil
}

// Own are the seeds of a patient's own record, every epoch of every line.
func (p *Person) Own(ctx context.Context, n *client.Network) (session.Bundle, error) {
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return session.Bundle{}, fmt.Errorf("read own key log: %w", err)
	}
	b := session.Bundle{Patient: p.ID}
	for _, c := range fhir.Categories() {
		newest, ok := st.Newest(p.Line(c.ID()))
		for e := uint32(1); ok && e <= newest.Epoch; e++ {
			b.Seeds = append(b.Seeds, grant.Seed{Line: newest.Line, Category: c.ID(), Level: newest.Level, Epoch: e, Seed: p.seedOf(newest.Line, c.ID(), e)})
		}
	}
	return b, nil
}
