package people

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Errors of custody.
var (
	// ErrOwn: the record is the patient's own, or being claimed.
	ErrOwn = errors.New("this record is not in a care team's custody")
	// ErrKept: the record is in custody, and the act is the patient's.
	ErrKept = errors.New("this record is in a care team's custody; the patient claims it first")
	// ErrNotTeam: somebody who is not in the team that keeps a record wants it.
	ErrNotTeam = errors.New("not in the team that keeps this record")
)

// keptFile holds the first events of a patient in custody, to be published
// again: no key, nothing secret. It goes with the claim.
const keptFile = "kept"

type keptForm struct {
	V     uint8  `cbor:"1,keyasint"`
	Event []byte `cbor:"2,keyasint"`
	Way   []byte `cbor:"3,keyasint"`
	Set   []byte `cbor:"4,keyasint"`
}

// claimFile holds what a claim under way needs to go on, mode 0600. It goes
// when every record is locked anew.
const claimFile = "claim"

type claimForm struct {
	V       uint8          `cbor:"1,keyasint"`
	Custody abaton.GrantID `cbor:"2,keyasint"`
	Kept    []byte         `cbor:"3,keyasint"` // the root that the team had
}

// NewKept makes a patient whose record a team keeps until it is claimed: as
// NewPatient, but nobody has a passkey, and the root is dropped here. The
// person has no keys and can be introduced, and no more.
func (w *World) NewKept(handle string, source []byte, org *Person, team Team, box key.BoxPublic, first ...Terms) (*Person, error) {
	root, own := key.NewSecret(), key.NewBox()
	p := &Person{Handle: w.free(handle), Kind: actor.Patient, Sponsor: org.ID, Source: source, Manage: careteam.Key(root),
		Box: own, Public: own.Public(), Root: key.NewRoot(root)}
	in, err := p.inception(w.set, org, first)
	if err != nil {
		return nil, err
	}
	event := actor.NewInception(time.Now().Unix(), in)
	p.ID, p.Event = actor.IDOf(event), actor.Signed(event, actor.ByKey(p.Manage, event)).Marshal()
	kept, err := careteam.Keep(w.set, p.ID, escrow.Payload{Root: root, Box: own.Seed()}, escrow.Holder{ID: team.ID, Box: box})
	if err != nil {
		return nil, err
	}
	second := actor.New(p.ID, 1, []actor.Hash{actor.HashOf(event)}, time.Now().Unix(), kept)
	p.Way = actor.Signed(second, actor.ByKey(p.Manage, second)).Marshal()
	if err := w.makeSet(p); err != nil {
		return nil, err
	}
	p.Manage, p.Box, p.Root = nil, nil, key.Root{}
	return p, w.saveKept(p)
}

// inception is a patient's first event, with lines for every category and
// deposits for org.
func (p *Person) inception(set *actor.Set, org *Person, first []Terms) (*actor.Inception, error) {
	in := &actor.Inception{Kind: actor.Patient, Set: set.ID(), Organisation: p.Sponsor, Invitation: org.Invite(invitationLife, actor.Patient),
		Keys: []actor.Key{{ID: p.Manage.ID(), Rights: actor.Manage}}, Box: p.Public.Bytes()}
	in.Nonce = [grant.NonceBytes]byte(nonce())
	return in, p.furnish(in, org, first)
}

func (w *World) saveKept(p *Person) error {
	if err := os.MkdirAll(w.Dir(p.Handle), 0o700); err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	data := wire.Marshal(keptForm{V: wire.Version, Event: p.Event, Way: p.Way, Set: p.Set})
	if err := durable.WriteFile(filepath.Join(w.Dir(p.Handle), keptFile), data, 0o600); err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	return w.saveCard(p)
}

// InCustody is a patient in custody, without keys; ErrOwn.
func (w *World) InCustody(handle string) (*Person, error) {
	card, err := w.Card(handle)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(w.Dir(handle), keptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", handle, ErrOwn)
	}
	if err != nil {
		return nil, fmt.Errorf("read person: %w", err)
	}
	p := &Person{Handle: handle, Name: card.Name, ID: card.ID, Kind: card.Kind, Sponsor: card.Sponsor, Source: card.Source}
	return p, p.parseKept(data)
}

func (p *Person) parseKept(data []byte) error {
	var f keptForm
	if wire.Unmarshal(data, &f) != nil || f.V != wire.Version || len(f.Event) == 0 || len(f.Way) == 0 {
		return fmt.Errorf("read person %q: %w", p.Handle, errDamaged)
	}
	p.Event, p.Way, p.Set = f.Event, f.Way, f.Set
	return nil
}

// AllInCustody lists the patients in custody, by handle; those whose claim is under
// way too.
func (w *World) AllInCustody() (out []*Person, err error) {
	cards, err := w.Cards()
	if err != nil {
		return nil, err
	}
	for _, c := range cards {
		p, err := w.InCustody(c.Handle)
		if errors.Is(err, ErrOwn) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// OpenKept plays a team member's device: it opens a root in custody, which the
// keepers ledger and count, and gives the seeds of the whole record to lend.
func (w *World) OpenKept(ctx context.Context, n *client.Network, member *Person, patient abaton.ActorID) (session.Bundle, error) {
	st, id, payload, err := w.openRoot(ctx, n, member, patient)
	if err != nil {
		return session.Bundle{}, err
	}
	return session.Bundle{Patient: patient, Grant: id, Seeds: seedsOf(st, key.NewRoot(payload.Root))}, nil
}

func (w *World) openRoot(ctx context.Context, n *client.Network, member *Person, patient abaton.ActorID) (*actor.State, abaton.GrantID, escrow.Payload, error) {
	n.Refresh(patient)
	st, err := n.Log(ctx, patient)
	if err != nil {
		return nil, abaton.GrantID{}, escrow.Payload{}, fmt.Errorf("read key log: %w", err)
	}
	id, e, ok := careteam.Of(st)
	if !ok {
		return nil, id, escrow.Payload{}, ErrOwn
	}
	teams, err := member.boxes(ctx, n)
	if err != nil {
		return nil, id, escrow.Payload{}, err
	}
	var own []*key.Box
	for _, wrap := range e.Wraps {
		own = append(own, teams[wrap.Holder]...)
	}
	if len(own) == 0 {
		return nil, id, escrow.Payload{}, ErrNotTeam
	}
	reader, err := w.ownReader(ctx, n, member)
	if err != nil {
		return nil, id, escrow.Payload{}, err
	}
	defer reader.Close()
	payload, err := careteam.Open(ctx, n, reader, client.Ask{Patient: patient, Grant: id, Purpose: abaton.Treatment}, own...)
	return st, id, payload, err
}

// seedsOf are the seeds of every epoch that a log has of a root's lines.
func seedsOf(st *actor.State, root key.Root) (seeds []grant.Seed) {
	for _, c := range fhir.Categories() {
		line := root.Line(c.ID())
		newest, ok := st.Newest(line)
		for e := uint32(1); ok && e <= newest.Epoch; e++ {
			seeds = append(seeds, grant.Seed{Line: line, Category: c.ID(), Level: newest.Level, Epoch: e, Seed: root.SegmentSeed(c.ID(), e)})
		}
	}
	return seeds
}

// Claiming is a claim as its screen shows it.
type Claiming struct {
	Printed  func(escrow.Code) error // gets the new kit, before the custody ends; nil prints none
	Progress func(client.Relocked)   // "n of m"; nil hears nothing
}

// Claim makes a record in custody the patient's own, with the patient there: a
// member of the team opens the root once more, the patient's new device makes
// keys and a root that nobody else ever had. Every grant to read that was made
// in the patient's absence ends. It may be called again until it succeeds; then
// every record is locked anew.
func (w *World) Claim(ctx context.Context, n *client.Network, member *Person, handle string, c Claiming) (*Person, *client.Relocked, error) {
	p, claim, err := w.claiming(ctx, n, member, handle)
	if err != nil {
		return nil, nil, err
	}
	root, err := w.rootOf(p)
	if err != nil {
		return nil, nil, err
	}
	categories := make(map[abaton.Category]uint8)
	for _, one := range fhir.Categories() {
		categories[one.ID()] = one.Level()
	}
	at, err := careteam.Hand(ctx, n, careteam.Handover{
		Patient: p.ID, Custody: claim.Custody, Kept: key.Secret(claim.Kept), Hand: p.Hand(), Locker: p.Manage, Root: key.NewRoot(root),
		Passkey: actor.Credential{Public: p.Passkey.Public(), Class: actor.Bound}, Categories: categories, Progress: c.Progress,
		SignIn: func(ctx context.Context) (*client.Reader, error) { return w.ownReader(ctx, n, p) },
		Before: func(ctx context.Context) error { return w.settle(ctx, n, p, c.Printed) },
	})
	if err != nil {
		return p, at, err
	}
	if len(p.Set) > 0 {
		if _, err := w.Prepare(ctx, n, p, SmallSet, fhir.Emergency); err != nil {
			return p, at, err
		}
	}
	for _, name := range []string{keptFile, claimFile} {
		if err := os.Remove(filepath.Join(w.Dir(handle), name)); err != nil {
			return p, at, fmt.Errorf("end claim: %w", err)
		}
	}
	return p, at, nil
}

// settle gives the patient a kit while the custody still stands, and ends what
// others may read.
func (w *World) settle(ctx context.Context, n *client.Network, p *Person, printed func(escrow.Code) error) error {
	n.Refresh(p.ID)
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("read own key log: %w", err)
	}
	for id, g := range st.Grants() {
		if g.Actions&grant.Read == 0 {
			continue
		}
		if _, err := n.Revoke(ctx, p.Hand(), id, true); err != nil {
			return fmt.Errorf("end what was given: %w", err)
		}
	}
	if st.Ways().Kit {
		return nil // an earlier try came so far
	}
	_, _, err = w.NewKit(ctx, n, p, printed)
	return err
}

// claiming is the patient's new device: one that an earlier try made, or a new
// one.
func (w *World) claiming(ctx context.Context, n *client.Network, member *Person, handle string) (*Person, *claimForm, error) {
	kept, err := w.InCustody(handle)
	if err != nil {
		return nil, nil, err
	}
	claim, err := w.loadClaim(handle)
	if err != nil {
		return nil, nil, err
	}
	if claim != nil {
		p, err := w.Load(handle)
		if !errors.Is(err, ErrNobody) {
			return p, claim, err
		} // a try that ended before the keys were saved has published nothing
	}
	st, id, payload, err := w.openRoot(ctx, n, member, kept.ID)
	if err != nil {
		return nil, nil, err
	}
	passkey, err := key.NewPasskey(w.set.RelyingParty)
	if err != nil {
		return nil, nil, err
	}
	root := key.NewSecret()
	p := kept
	p.Passkey, p.Manage, p.Root, p.Box = passkey, key.NewSigning(), key.NewRoot(root), key.BoxFromSeed(payload.Box)
	p.Public, p.Old = p.Box.Public(), seedsOf(st, key.NewRoot(payload.Root))
	claim = &claimForm{V: wire.Version, Custody: id, Kept: payload.Root[:]}
	if err := durable.WriteFile(filepath.Join(w.Dir(handle), claimFile), wire.Marshal(claim), 0o600); err != nil {
		return nil, nil, fmt.Errorf("begin claim: %w", err)
	}
	if err := w.saveOwn(p); err != nil {
		return nil, nil, err
	}
	return p, claim, w.save(p, root)
}

func (w *World) loadClaim(handle string) (*claimForm, error) {
	data, err := os.ReadFile(filepath.Join(w.Dir(handle), claimFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read claim: %w", err)
	}
	f := new(claimForm)
	if wire.Unmarshal(data, f) != nil || f.V != wire.Version || len(f.Kept) != len(key.Secret{}) || key.Secret(f.Kept).IsZero() {
		return nil, fmt.Errorf("read claim of %q: %w", handle, errDamaged)
	}
	return f, nil
}

// Claims reports whether a claim is under way.
func (w *World) Claims(handle string) (bool, error) {
	f, err := w.loadClaim(handle)
	return f != nil, err
}
