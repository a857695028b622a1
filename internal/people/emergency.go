package people

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Clinicians that must agree to open a set: one for the small one, two for
// anything wider.
const (
	SmallSet = 1
	WideSet  = 2
)

// ErrNoSet says that a patient has no such emergency set.
var ErrNoSet = errors.New("this record has no such emergency set")

// UseAuthorities has patients made from here on keep their emergency set with
// these authorities. Fewer than two: they have none.
func (w *World) UseAuthorities(all ...*Person) { w.authorities = all }

// firstSet makes the emergency set that a new patient has from the start, and
// keeps its event.
func (w *World) firstSet(p *Person) error {
	if err := w.makeSet(p); err != nil || len(p.Set) == 0 {
		return err
	}
	return w.saveOwn(p)
}

// makeSet makes the event that follows the second way back in; none without
// authorities.
func (w *World) makeSet(p *Person) error {
	if len(w.authorities) < 2 {
		return nil
	}
	signed, err := actor.ParseSigned(p.Way)
	if err != nil {
		return fmt.Errorf("make emergency set: %w", err)
	}
	var holders []escrow.Holder
	for _, a := range w.authorities {
		holders = append(holders, escrow.Holder{ID: a.ID, Box: a.Public})
	}
	line := p.Line(fhir.Emergency.ID())
	seed, _ := p.Seed(line, 1)
	body, err := escrow.Make(w.set, p.ID, escrow.Emergency(holders, SmallSet, line), key.NewSecret(), escrow.Payload{Seeds: []grant.Seed{seed}})
	if err != nil {
		return err
	}
	event := actor.New(p.ID, 2, []actor.Hash{actor.HashOf(signed.Event)}, time.Now().Unix(), body)
	p.Set = actor.Signed(event, actor.ByKey(p.Manage, event)).Marshal()
	return nil
}

// SetOf is the live emergency set of a log that so many clinicians open.
func SetOf(st *actor.State, clinicians int) (id abaton.GrantID, set *actor.Escrow, err error) {
	for i, e := range st.Escrows() {
		if e.Kind == actor.EscrowEmergency && int(e.Need) == clinicians && (set == nil || bytes.Compare(i[:], id[:]) < 0) {
			id, set = i, e
		}
	}
	if set == nil {
		return id, nil, ErrNoSet
	}
	return id, set, nil
}

// Prepare gives a patient an emergency set over these parts of the record, for
// so many clinicians, and ends those of the same kind before it.
func (w *World) Prepare(ctx context.Context, n *client.Network, p *Person, clinicians int, parts ...fhir.Category) (client.Published, error) {
	var ids []abaton.ActorID
	for _, a := range w.authorities {
		ids = append(ids, a.ID)
	}
	var lines []abaton.Line
	for _, c := range parts {
		lines = append(lines, p.Line(c.ID()))
	}
	body, err := emergency.NewSet(ctx, n, p.ID, ids, clinicians, lines, p.Seed)
	if err != nil {
		return client.Published{}, fmt.Errorf("make emergency set: %w", err)
	}
	published, err := n.Append(ctx, p.Hand(), body)
	if err != nil {
		return published, fmt.Errorf("make emergency set: %w", err)
	}
	n.Refresh(p.ID)
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return published, fmt.Errorf("read own key log: %w", err)
	}
	for id, e := range st.Escrows() {
		if e.Kind != actor.EscrowEmergency || int(e.Need) != clinicians || id == abaton.GrantID(published.Event) {
			continue
		}
		if _, err := n.Revoke(ctx, p.Hand(), id, true); err != nil {
			return published, fmt.Errorf("end old emergency set: %w", err)
		}
	}
	return published, nil
}

// Urgent is what a clinician says at the bedside.
type Urgent struct {
	Patient abaton.ActorID
	Why     session.Urgency
	Words   string  // for session.InWords
	Sole    bool    // no other clinician is there
	Second  *Person // agrees beforehand; needed for anything wider than the small set
	Wide    bool    // the wider set
}

// Unconscious is a patient's emergency set on a clinician's screen.
type Unconscious struct {
	*emergency.Opened
	Escrow abaton.GrantID
	Chart  *client.Chart
}

// OpenEmergency plays the clinician's device: a touch, the keepers, an
// authority, then the set itself. A refusal is an *abaton.RefusedError.
func (w *World) OpenEmergency(ctx context.Context, n *client.Network, p *Person, u Urgent, lenders map[abaton.ActorID]emergency.Lender) (*Unconscious, error) {
	n.Refresh(u.Patient)
	st, err := n.Log(ctx, u.Patient)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	clinicians := SmallSet
	if u.Wide {
		clinicians = WideSet
	}
	id, _, err := SetOf(st, clinicians)
	if err != nil {
		return nil, err
	}
	doctor := *p
	doctor.Role = abaton.RoleEmergency
	login, err := w.Direct(ctx, &doctor, n)
	if err != nil {
		return nil, err
	}
	reader, err := n.NewReader(login)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	o := emergency.Opening{Patient: u.Patient, Escrow: id, Signed: login.Signed}
	if o.Statement, err = p.touch(st, reader.Session(), id, u); err != nil {
		return nil, err
	}
	if u.Second != nil {
		if o.Approval, err = w.agree(ctx, n, u.Second, session.Approval{Patient: u.Patient, Escrow: id, Opener: p.ID, Verdict: session.Right}); err != nil {
			return nil, err
		}
	}
	opened, err := emergency.Open(ctx, n, reader, o, lenders)
	if err != nil {
		return nil, err
	}
	chart, err := reader.Chart(ctx, o.Ask(opened.Lines...))
	if err != nil {
		return nil, fmt.Errorf("read emergency set: %w", err)
	}
	return &Unconscious{Opened: opened, Escrow: id, Chart: chart}, nil
}

// touch is the emergency statement under the clinician's passkey.
func (p *Person) touch(patient *actor.State, id abaton.SessionID, escrow abaton.GrantID, u Urgent) (*session.SignedEmergency, error) {
	m := session.Emergency{V: wire.Version, Session: id, Patient: u.Patient, Escrow: escrow, Purpose: abaton.Emergency,
		Urgency: u.Why, Sole: u.Sole, Time: time.Now().Unix()}
	rand.Read(m.Nonce[:])
	if u.Why == session.InWords {
		box, err := patient.Box()
		if err != nil {
			return nil, fmt.Errorf("seal reason: %w", err)
		}
		if m.Words, err = session.SealWords(box, id, u.Words); err != nil {
			return nil, err
		}
	}
	a, err := p.Passkey.Assert(m.Challenge())
	if err != nil {
		return nil, fmt.Errorf("touch: %w", err)
	}
	return &session.SignedEmergency{Emergency: m, Assertion: *a}, nil
}

// agree plays a second clinician's device: it begins a session of its own at
// the keepers and signs what it agrees to.
func (w *World) agree(ctx context.Context, n *client.Network, second *Person, say session.Approval) (*session.SignedApproval, error) {
	reader, err := w.ownReader(ctx, n, second)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if err := reader.Introduce(ctx); err != nil {
		return nil, err
	}
	return second.approve(reader.Session(), say)
}

func (p *Person) approve(id abaton.SessionID, say session.Approval) (*session.SignedApproval, error) {
	say.V, say.Session, say.Time = wire.Version, id, time.Now().Unix()
	rand.Read(say.Nonce[:])
	a, err := p.Passkey.Assert(say.Challenge())
	if err != nil {
		return nil, fmt.Errorf("touch: %w", err)
	}
	return &session.SignedApproval{Approval: say, Assertion: *a}, nil
}

func (w *World) ownReader(ctx context.Context, n *client.Network, p *Person) (*client.Reader, error) {
	login, err := w.Direct(ctx, p, n)
	if err != nil {
		return nil, err
	}
	return n.NewReader(login)
}

// Judge plays a second clinician's device: it says of somebody's opening that
// it was right, or was not.
func (w *World) Judge(ctx context.Context, n *client.Network, second *Person, say session.Approval) error {
	reader, err := w.ownReader(ctx, n, second)
	if err != nil {
		return err
	}
	defer reader.Close()
	signed, err := second.approve(reader.Session(), say)
	if err != nil {
		return err
	}
	return reader.Confirm(ctx, client.Ask{Patient: say.Patient, Grant: say.Escrow, Purpose: abaton.Emergency, Approval: signed})
}
