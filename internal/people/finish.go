package people

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Back is somebody who is back in.
type Back struct {
	*Person
	Liars    []abaton.KeeperIndex // keepers that gave a share that is not theirs
	Trustees []abaton.ActorID     // helpers whose part was not theirs
	Cut      int                  // old passkeys and keys that were removed
	Kit      escrow.Code          // the new kit, to be printed; zero where the old one still holds
}

// Finish brings the new device in once the wait is over (ReasonWait before, and
// ReasonVetoed if somebody stopped it): it adds its passkey, asks the keepers
// for their half, opens the escrow, cuts the old devices, and makes a new kit
// where the old one was used. Finish may be called again until it succeeds.
func (w *World) Finish(ctx context.Context, n *client.Network, r *Return) (*Back, error) {
	e, err := w.open(ctx, n, r)
	if err != nil {
		return nil, err
	}
	out := new(Back)
	half, err := r.half(e, out)
	if err != nil {
		return out, err
	}
	if err := w.enter(ctx, n, r); err != nil {
		return nil, err
	}
	p := &Person{Handle: r.Handle, Name: r.Name, ID: r.ID, Kind: r.Kind, Sponsor: r.Sponsor, Source: r.Source, Manage: r.Manage, Passkey: r.Passkey}
	root, err := w.unseal(ctx, n, r, p, e, half, out)
	if err != nil {
		return out, err
	}
	out.Person = p
	if len(p.Old) > 0 {
		if err := w.saveOwn(p); err != nil {
			return out, fmt.Errorf("finish recovery: %w", err)
		}
	}
	if err := w.save(p, root); err != nil {
		return out, fmt.Errorf("finish recovery: %w", err)
	}
	if out.Cut, err = w.cut(ctx, n, p); err != nil {
		return out, err
	}
	if e.Kind == actor.EscrowKit { // whoever saw the paper has half A of the old one
		if out.Kit, _, err = w.NewKit(ctx, n, p, nil); err != nil {
			return out, err
		}
	}
	return out, os.Remove(filepath.Join(w.Dir(r.Handle), returnFile))
}

// open is the escrow by which r comes back, live or not: what it says is
// judged by keepers.
func (w *World) open(ctx context.Context, n *client.Network, r *Return) (*actor.Escrow, error) {
	n.Refresh(r.ID)
	st, err := n.Log(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	e, ended := st.Escrow(r.Escrow)
	switch {
	case e == nil:
		return nil, fmt.Errorf("finish recovery: %w", abaton.ErrNotFound)
	case ended:
		return nil, abaton.Refuse(abaton.ReasonRevoked)
	}
	return e, nil
}

// half is half A: from the kit, or from the helpers' parts.
func (r *Return) half(e *actor.Escrow, out *Back) (half key.Secret, err error) {
	if len(r.Half) == len(half) {
		return key.Secret(r.Half), nil
	}
	var parts []escrow.Part
	for _, data := range r.Answers {
		var a Answer
		if wire.Unmarshal(data, &a) != nil {
			return half, errDamaged
		}
		part, err := escrow.ParsePart(a.Part)
		if err != nil {
			out.Trustees = append(out.Trustees, a.Trustee)
			continue
		}
		parts = append(parts, part)
	}
	half, liars, err := escrow.HalfOf(r.ID, e, r.Hash(), r.Box, parts)
	out.Trustees = append(out.Trustees, liars...)
	if err != nil {
		return half, fmt.Errorf("put the helpers' parts together: %w", err)
	}
	return half, nil
}

// unseal gets half B from the keepers and opens the escrow.
func (w *World) unseal(ctx context.Context, n *client.Network, r *Return, p *Person, e *actor.Escrow, half key.Secret, out *Back) (root key.Secret, err error) {
	login, err := w.Direct(ctx, p, n)
	if err != nil {
		return root, err
	}
	reader, err := n.NewReader(login)
	if err != nil {
		return root, err
	}
	defer reader.Close()
	got, err := reader.Unseal(ctx, client.Ask{Patient: p.ID, Grant: r.Escrow, Purpose: abaton.PatientAccess}, e)
	out.Liars = got.Liars
	if err != nil {
		return root, err
	}
	kept, err := escrow.Open(p.ID, e, half, got.Half)
	if err != nil {
		return root, fmt.Errorf("open escrow: %w", err)
	}
	p.Root, p.Old = key.NewRoot(kept.Root), kept.Seeds
	p.Box = key.BoxFromSeed(kept.Box)
	p.Public = p.Box.Public()
	return kept.Root, nil
}

// cut removes every passkey and key but the new device's.
func (w *World) cut(ctx context.Context, n *client.Network, p *Person) (count int, err error) {
	n.Refresh(p.ID)
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return 0, fmt.Errorf("read key log: %w", err)
	}
	var bodies []actor.Body
	for c := range st.LiveCredentials() {
		if c != p.Passkey.Credential() {
			bodies = append(bodies, &actor.CredentialRemove{Name: c})
		}
	}
	for id := range st.LiveKeys() {
		if id != p.Manage.ID() {
			bodies = append(bodies, &actor.KeyRemove{ID: id})
		}
	}
	for _, b := range bodies {
		if _, err := n.Append(ctx, p.Hand(), b); err != nil {
			return count, fmt.Errorf("cut old devices: %w", err)
		}
		count++
	}
	return count, nil
}

// Veto stops every recovery of p's record that is under way, from a device
// that is still p's; it says how many.
func (p *Person) Veto(ctx context.Context, n *client.Network) (count int, err error) {
	n.Refresh(p.ID)
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return 0, fmt.Errorf("read own key log: %w", err)
	}
	for _, r := range st.Recoveries() {
		if r.Stopped || r.Done {
			continue
		}
		if _, err := n.Append(ctx, p.Hand(), &actor.Veto{Recover: r.Event}); err != nil {
			return count, fmt.Errorf("veto: %w", err)
		}
		count++
	}
	return count, nil
}
