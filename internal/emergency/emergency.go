// Package emergency is both ends of an emergency opening besides the keepers:
// the authority that lends half A of a patient's emergency set, and the reader
// that puts the halves together.
//
//	a := emergency.NewAuthority(emergency.Config{Network: n, Actor: id, Box: box, Organisations: served})
//	sealed, err := a.Lend(ctx, body)
//	...
//	opened, err := emergency.Open(ctx, reader, emergency.Opening{...}, authorities)
//
// An authority never sees half B: what the keepers tell it is that they
// released, not what. Stolen, its key opens nothing without three keepers, each
// of which asks everything anew. It does not protect against an authority and
// three keepers that conspire, nor against what a clinician who was let in does
// with what is read.
package emergency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Lender is an authority as a reader reaches it: *Authority, or Remote. Lend
// takes and gives the messages of PROTOCOL.md#lend.
type Lender interface {
	Lend(ctx context.Context, body []byte) ([]byte, error)
}

// question is what a reader shows an authority.
type question struct {
	V        uint64   `cbor:"1,keyasint"`
	Signed   []byte   `cbor:"2,keyasint"` // session.Signed
	Request  []byte   `cbor:"3,keyasint"` // as the keepers got it
	Released [][]byte `cbor:"4,keyasint"` // keeper.Released of T keepers, signed
}

// answer is half A sealed to the session's reply key.
type answer struct {
	V      uint64 `cbor:"1,keyasint"`
	Sealed []byte `cbor:"2,keyasint"`
}

// BodyMax is the largest question, in bytes.
const BodyMax = session.SignedBytesMax + session.RequestBytesMax + abaton.KeepersMax*1024

// Opening is what a clinician's device signed.
type Opening struct {
	Patient   abaton.ActorID
	Escrow    abaton.GrantID
	Signed    []byte // the session's statement, as keepers got it
	Statement *session.SignedEmergency
	Approval  *session.SignedApproval // nil where one clinician is enough
}

// Opened is what an opening gives, until Until and never longer than the
// keepers let.
type Opened struct {
	Request [32]byte // names the opening: what a second clinician confirms
	Lines   []abaton.Line
	Until   time.Time
	Liars   []abaton.KeeperIndex // gave a share that is not the one they were given
}

// ErrAuthorities says that no authority of the set answered.
var ErrAuthorities = errors.New("no authority of this emergency set lends its half")

// Ask is what a reader asks under an opening.
func (o Opening) Ask(lines ...abaton.Line) client.Ask {
	return client.Ask{Patient: o.Patient, Grant: o.Escrow, Purpose: abaton.Emergency, Lines: lines}
}

// Open opens a patient's emergency set for a reader: half B from the keepers,
// which ledger it first, then half A from any authority. The reader holds the
// seeds from then on. A refusal is an *abaton.RefusedError.
func Open(ctx context.Context, n *client.Network, r *client.Reader, o Opening, authorities map[abaton.ActorID]Lender) (*Opened, error) {
	state, err := n.Log(ctx, o.Patient)
	if err != nil {
		return nil, fmt.Errorf("open in an emergency: %w", err)
	}
	e, ended := state.Escrow(o.Escrow)
	if e == nil || ended || e.Kind != actor.EscrowEmergency {
		return nil, fmt.Errorf("open in an emergency: %w", abaton.Refuse(abaton.ReasonGrant))
	}
	a := o.Ask()
	a.Emergency, a.Approval = o.Statement, o.Approval
	b, err := r.UnsealUrgent(ctx, a, e)
	if err != nil {
		return nil, fmt.Errorf("open in an emergency: %w", err)
	}
	half, err := borrow(ctx, r, o, e, b, authorities)
	if err != nil {
		return nil, fmt.Errorf("open in an emergency: %w", err)
	}
	payload, err := escrow.Open(o.Patient, e, half, b.Half)
	if err != nil {
		return nil, fmt.Errorf("open in an emergency: %w", err)
	}
	seeds := slices.DeleteFunc(payload.Seeds, func(s grant.Seed) bool { return !slices.Contains(e.Lines, s.Line) })
	r.AddSeeds(session.Bundle{Patient: o.Patient, Grant: o.Escrow, Seeds: seeds})
	return &Opened{Request: b.Hash, Lines: e.Lines, Liars: b.Liars,
		Until: time.Unix(o.Statement.Emergency.Time, 0).Add(abaton.EmergencyRight)}, nil
}

// borrow asks the authorities of the set at once; the first true half counts.
func borrow(ctx context.Context, r *client.Reader, o Opening, e *actor.Escrow, b client.Urgent, authorities map[abaton.ActorID]Lender) (key.Secret, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body := wire.Marshal(question{V: wire.Version, Signed: o.Signed, Request: b.Request, Released: b.Released})
	type lent struct {
		half key.Secret
		err  error
	}
	answers, asked := make(chan lent, len(e.Wraps)), 0
	for _, w := range e.Wraps {
		lender := authorities[w.Holder]
		if lender == nil {
			continue
		}
		asked++
		go func() {
			half, err := lend(ctx, r, lender, body, b.Hash)
			if err == nil && !e.CheckPart(o.Patient, w, half) {
				err = ErrAuthorities
			}
			answers <- lent{half, err}
		}()
	}
	last := ErrAuthorities
	for range asked {
		l := <-answers
		if l.err == nil {
			return l.half, nil
		}
		last = l.err
	}
	return key.Secret{}, last
}

func lend(ctx context.Context, r *client.Reader, lender Lender, body []byte, request [32]byte) (half key.Secret, err error) {
	data, err := lender.Lend(ctx, body)
	if err != nil {
		return half, err
	}
	var a answer
	if wire.Unmarshal(data, &a) != nil || a.V != wire.Version {
		return half, ErrAuthorities
	}
	return r.Lent(request, a.Sealed)
}
