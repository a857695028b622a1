package main

import (
	"crypto/rand"
	"io"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/people"
)

// surveyed is what abaton blast computes from, for thefts of several things.
func (v *victims) surveyed() *blast.World {
	v.t.Helper()
	m, err := (&env{stdout: io.Discard, stderr: io.Discard, dir: v.n.Dir()}).employer()
	v.check(err)
	defer m.hangUp()
	s, err := newSurvey(v.t.Context(), m, true)
	v.check(err)
	return s.world
}

// stealsColleague: what a referral brought, and what the care team keeps.
func (v *victims) stealsColleague() theftTried {
	return theftTried{who: "fay", kind: blast.Person, words: "everything of a colleague to whom a referral was handed on, in that care team",
		now: v.ransack(v.session(v.fay), v.fay.Passkey), way: blast.ByCustody, later: v.opensKept(v.n.People(), v.fay)}
}

func (v *victims) stealsColleaguesSession() theftTried {
	return theftTried{who: "fay", kind: blast.Session, words: "an open session of that colleague", now: v.ransack(v.session(v.fay), nil)}
}

// stealsParent: the own record and the child's, and not what sleeps.
func (v *victims) stealsParent() theftTried {
	ana := v.patients[0]
	return theftTried{who: "ana", kind: blast.Person, words: "a mother's phone, unlocked: the own record and parts of her child's; a mandate of another sleeps",
		now: v.ransack(v.session(ana), ana.Passkey)}
}

// stealsRegister: every key of it. It states nothing with a physician of its own
// making, who is nobody to the patients either.
func (v *victims) stealsRegister() theftTried {
	w := v.hideout("registry/keys", "registry/card")
	registry, err := w.Load(v.registry.Handle)
	v.check(err)
	mallory, err := w.NewClinician("mallory", "Mallory", registry, abaton.RolePhysician, abaton.RoleEmergency)
	v.check(err)
	v.check(w.Enlist(v.t.Context(), v.net, registry, nil, mallory))
	if _, err := v.states(v.patients[2], mallory, registry.ID); err == nil {
		v.t.Error("a register stated a case with a physician of its own")
	}
	h := v.ransack(v.sessionIn(w, mallory), mallory.Passkey)
	h.join(v.opensSets(w, mallory))
	return theftTried{who: v.registry.Handle, kind: blast.Organisation, words: "every key of a register that may state a case", now: newHaul(), way: blast.ByMadeStaff, later: h}
}

// states has the register and somebody state that a patient cannot decide.
func (v *victims) states(patient, physician *people.Person, house abaton.ActorID) (actor.Hash, error) {
	body := &actor.Finding{Case: grant.Incapacity, Registrar: v.registry.ID, Physician: physician.ID, House: house,
		Until: time.Now().Add(time.Hour).Unix()}
	rand.Read(body.Nonce[:])
	hand := v.registry.Hand()
	hand.Actor = patient.ID
	p, err := v.net.Append(v.t.Context(), client.Together(hand, client.KeyHand(patient.ID, physician.Manage)), body)
	return p.Event, err
}

// statesIncapacity steals three things at once: the register, a physician and the
// phone of whom a mandate names. Now the mandate opens, as was computed.
func (v *victims) statesIncapacity() {
	v.t.Helper()
	ana, cas := v.patients[0], v.patients[2]
	var computed blast.More
	for _, m := range v.world.Reach(blast.Thing{Kind: blast.Organisation, Actor: v.registry.ID},
		blast.Thing{Kind: blast.Person, Actor: v.ben.ID, Device: v.ben.Device}, blast.Thing{Kind: blast.Person, Actor: ana.ID}).More {
		if m.Way == blast.ByFinding {
			computed = m
		}
	}
	before := v.ransack(v.session(ana), ana.Passkey)
	event, err := v.states(cas, v.ben, v.org.ID)
	v.check(err)
	d, err := newDevice(v.n, cas)
	v.check(err)
	defer d.hangUp()
	v.check(d.awaitStated(v.t.Context(), cas.ID, event))
	after := v.ransack(v.session(ana), ana.Passkey)
	patients, records := len(after.patients)-len(before.patients), len(after.records)-len(before.records)
	if patients != computed.Patients || records != computed.Records || patients != 1 {
		v.t.Errorf("a register, a physician and a proxy's phone: %d patients and %d records opened once stated, %+v was computed", patients, records, computed)
	}
	_, err = d.net.Append(v.t.Context(), cas.Hand(), &actor.Veto{Recover: event})
	v.check(err)
}
