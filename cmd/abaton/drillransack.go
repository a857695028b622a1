package main

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// haul is what a thief really opened: records that came out readable.
type haul struct {
	patients map[abaton.ActorID]bool
	records  map[abaton.RecordName]abaton.ActorID // whose
}

func newHaul() *haul {
	return &haul{patients: make(map[abaton.ActorID]bool), records: make(map[abaton.RecordName]abaton.ActorID)}
}

// join adds what another attempt brought.
func (h *haul) join(o *haul) {
	for id := range o.patients {
		h.patients[id] = true
	}
	for name, patient := range o.records {
		h.records[name] = patient
	}
}

// add adds all records of a row.
func (h *haul) add(row client.Row, patient abaton.ActorID) {
	for j := range abaton.BatchRecordsMax {
		if row.Records>>j&1 == 1 {
			h.records[abaton.RecordName{Batch: row.Batch, Index: uint16(j)}] = patient
		}
	}
}

// robber tries what the holder of a session may be let do.
type robber struct {
	net      *client.Network
	patients []*people.Person
	staff    []*people.Person // whose logs may hand grants on
}

// ransack tries everything that a session may be let do: every patient, under
// every grant that any log ever gave and under none, every purpose, each line
// that needs a touch by itself. Touch is the passkey, if the thief has it.
func (r *robber) ransack(ctx context.Context, l client.Login, touch *key.Passkey) (*haul, error) {
	h := newHaul()
	reader, err := r.net.NewReader(l)
	if err != nil {
		return h, err
	}
	defer reader.Close()
	for _, p := range r.patients {
		r.net.Refresh(p.ID)
		log, err := r.net.Log(ctx, p.ID)
		if err != nil {
			return h, err
		}
		if err := r.tryLog(ctx, h, reader, touch, log); err != nil {
			return h, err
		}
	}
	return h, nil
}

func (r *robber) tryLog(ctx context.Context, h *haul, reader *client.Reader, touch *key.Passkey, log *actor.State) error {
	if err := r.tryGrant(ctx, h, reader, touch, log, client.Ask{}, []abaton.Purpose{abaton.PatientAccess, abaton.Treatment}); err != nil {
		return err
	}
	for _, id := range log.EverGranted() {
		g, _ := log.Grant(id)
		if err := r.tryGrant(ctx, h, reader, touch, log, client.Ask{Grant: id}, g.Purposes); err != nil {
			return err
		}
		handed, err := r.handedOn(ctx, id)
		if err != nil {
			return err
		}
		for _, on := range handed {
			if err := r.tryGrant(ctx, h, reader, touch, log, client.Ask{Grant: id, Onward: on}, g.Purposes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *robber) tryGrant(ctx context.Context, h *haul, reader *client.Reader, touch *key.Passkey, log *actor.State, by client.Ask, purposes []abaton.Purpose) error {
	for _, purpose := range purposes {
		ask := client.Ask{Patient: log.Actor(), Grant: by.Grant, Onward: by.Onward, Purpose: purpose}
		for _, seg := range log.Lines() {
			if seg.Level < actor.LevelMax {
				ask.Lines = append(ask.Lines, seg.Line)
			}
		}
		r.tryAsk(ctx, h, reader, ask)
		for _, seg := range log.Lines() {
			if seg.Level < actor.LevelMax {
				continue
			}
			ask.Lines, ask.StepUp = []abaton.Line{seg.Line}, nil
			if touch != nil {
				u, err := touched(touch, reader.Session(), log.Actor(), purpose, seg.Line)
				if err != nil {
					return err
				}
				ask.StepUp = u
			}
			r.tryAsk(ctx, h, reader, ask)
		}
	}
	return nil
}

// handedOn are the hand-ons of a grant in the log of anybody of the staff.
func (r *robber) handedOn(ctx context.Context, id abaton.GrantID) (all []abaton.Handed, err error) {
	for _, p := range r.staff {
		log, err := r.net.Log(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, h := range log.EverHandedOn() {
			if h.Parent == id {
				all = append(all, abaton.Handed{From: p.ID, ID: h.ID})
			}
		}
	}
	return all, nil
}

// tryAsk opens what one question opens. Whatever is refused is not in the haul;
// the refusal is returned for who counts the seconds until it.
func (r *robber) tryAsk(ctx context.Context, h *haul, reader *client.Reader, ask client.Ask) error {
	slices.SortFunc(ask.Lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	list, err := reader.List(ctx, ask)
	if err != nil {
		return err
	}
	var rows []client.Row
	for i := range list.Batches {
		if row := list.Batches[i].Rows(); row.Records != 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	got, err := reader.Get(ctx, ask, rows...)
	if err != nil {
		return err
	}
	for i := range got.Records {
		if len(got.Records[i].Content) > 0 {
			h.records[got.Records[i].Name] = ask.Patient
			h.patients[ask.Patient] = true
		}
	}
	return nil
}

// touched is a step-up over one line by a passkey at hand.
func touched(p *key.Passkey, id abaton.SessionID, patient abaton.ActorID, purpose abaton.Purpose, line abaton.Line) (*session.SignedStepUp, error) {
	u := session.StepUp{V: wire.Version, Session: id, Patient: patient, Lines: []abaton.Line{line}, Purpose: purpose, Time: time.Now().Unix()}
	rand.Read(u.Nonce[:])
	a, err := p.Assert(u.Challenge())
	if err != nil {
		return nil, err
	}
	return &session.SignedStepUp{StepUp: u, Assertion: *a}, nil
}
