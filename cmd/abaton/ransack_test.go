package main

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

// haul is what a thief really opened: records that came out readable.
type haul struct {
	patients map[abaton.ActorID]bool
	records  map[abaton.RecordName]abaton.ActorID // whose
}

func newHaul() *haul {
	return &haul{patients: make(map[abaton.ActorID]bool), records: make(map[abaton.RecordName]abaton.ActorID)}
}

// ransack tries everything that a session may be let do: every patient, under
// every grant that any log ever gave and under none, every purpose, each line
// that needs a touch by itself. Touch is the passkey, if the thief has it.
func (v *victims) ransack(l client.Login, touch *key.Passkey) *haul {
	v.t.Helper()
	h := newHaul()
	reader, err := v.net.NewReader(l)
	v.check(err)
	defer reader.Close()
	for _, p := range v.patients {
		v.net.Refresh(p.ID)
		log, err := v.net.Log(v.t.Context(), p.ID)
		v.check(err)
		v.tryGrant(h, reader, touch, log, client.Ask{}, []abaton.Purpose{abaton.PatientAccess, abaton.Treatment})
		for _, id := range log.EverGranted() {
			g, _ := log.Grant(id)
			v.tryGrant(h, reader, touch, log, client.Ask{Grant: id}, g.Purposes)
			for _, on := range v.handedOn(id) {
				v.tryGrant(h, reader, touch, log, client.Ask{Grant: id, Onward: on}, g.Purposes)
			}
		}
	}
	return h
}

func (v *victims) tryGrant(h *haul, reader *client.Reader, touch *key.Passkey, log *actor.State, by client.Ask, purposes []abaton.Purpose) {
	v.t.Helper()
	for _, purpose := range purposes {
		ask := client.Ask{Patient: log.Actor(), Grant: by.Grant, Onward: by.Onward, Purpose: purpose}
		for _, seg := range log.Lines() {
			if seg.Level < actor.LevelMax {
				ask.Lines = append(ask.Lines, seg.Line)
			}
		}
		v.tryAsk(h, reader, ask)
		for _, seg := range log.Lines() {
			if seg.Level < actor.LevelMax {
				continue
			}
			ask.Lines, ask.StepUp = []abaton.Line{seg.Line}, nil
			if touch != nil {
				ask.StepUp = v.touched(touch, reader.Session(), log.Actor(), purpose, seg.Line)
			}
			v.tryAsk(h, reader, ask)
		}
	}
}

// handedOn are the hand-ons of a grant in the log of anybody of the staff.
func (v *victims) handedOn(id abaton.GrantID) (all []abaton.Handed) {
	v.t.Helper()
	for _, p := range v.staff {
		log, err := v.net.Log(v.t.Context(), p.ID)
		v.check(err)
		for _, h := range log.EverHandedOn() {
			if h.Parent == id {
				all = append(all, abaton.Handed{From: p.ID, ID: h.ID})
			}
		}
	}
	return all
}

// opensKept opens what a care team keeps, as one of it, and tries every line.
func (v *victims) opensKept(w *people.World, member *people.Person) *haul {
	v.t.Helper()
	h := newHaul()
	b, err := w.OpenKept(v.t.Context(), v.net, member, v.kept.ID)
	if err != nil {
		return h
	}
	l, err := w.Direct(v.t.Context(), member, v.net, b)
	v.check(err)
	reader, err := v.net.NewReader(l)
	v.check(err)
	defer reader.Close()
	log, err := v.net.Log(v.t.Context(), v.kept.ID)
	v.check(err)
	v.tryGrant(h, reader, member.Passkey, log, client.Ask{Grant: b.Grant}, []abaton.Purpose{abaton.Treatment, abaton.Operations})
	return h
}

// tryAsk opens what one question opens. Whatever is refused is not in the haul.
func (v *victims) tryAsk(h *haul, reader *client.Reader, ask client.Ask) {
	v.t.Helper()
	slices.SortFunc(ask.Lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	list, err := reader.List(v.t.Context(), ask)
	if err != nil {
		return
	}
	var rows []client.Row
	for i := range list.Batches {
		if row := list.Batches[i].Rows(); row.Records != 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return
	}
	got, err := reader.Get(v.t.Context(), ask, rows...)
	if err != nil {
		return
	}
	for i := range got.Records {
		if len(got.Records[i].Content) > 0 {
			h.records[got.Records[i].Name] = ask.Patient
			h.patients[ask.Patient] = true
		}
	}
}

// session is a session of p as its own device begins and lends it: what a
// gateway holds in memory. Direct makes its keys outside of any gateway.
func (v *victims) session(p *people.Person) client.Login {
	v.t.Helper()
	d, err := newDevice(v.n, p)
	v.check(err)
	defer d.hangUp()
	bundles, err := d.lendable(v.t.Context())
	v.check(err)
	l, err := v.n.People().Direct(v.t.Context(), p, d.net, bundles...)
	v.check(err)
	return l
}
