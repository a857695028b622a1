package main

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/thief"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

func (v *victims) stealsSession() theftTried {
	return theftTried{who: "ben", kind: blast.Session, words: "a clinician's open session, in a gateway's memory", now: v.ransack(v.session(v.ben), nil)}
}

func (v *victims) stealsClinician() theftTried {
	return theftTried{who: "ben", kind: blast.Person, words: "everything of a clinician: passkey, keys, device", now: v.ransack(v.session(v.ben), v.ben.Passkey)}
}

func (v *victims) stealsNurse() theftTried {
	return theftTried{who: "cora", kind: blast.Person, words: "the same of a nurse whom one of two patients bars, in a care team that keeps records",
		now: v.ransack(v.session(v.cora), v.cora.Passkey), way: blast.ByCustody, later: v.opensKept(v.n.People(), v.cora)}
}

func (v *victims) stealsAgent() theftTried {
	return theftTried{who: "scribe", kind: blast.Person, words: "an agent's folder", now: v.ransack(v.session(v.agent), v.agent.Passkey)}
}

func (v *victims) stealsPhone() theftTried {
	dee := v.patients[3]
	return theftTried{who: "dee", kind: blast.Person, words: "a patient's phone, unlocked", now: v.ransack(v.session(dee), dee.Passkey)}
}

// begins makes a session out of what a thief has. Nothing is asked before the
// keepers get it: they judge.
func (v *victims) begins(d login.Device, bundles ...session.Bundle) client.Login {
	v.t.Helper()
	l, err := begun(v.t.Context(), v.net, v.org.ID, d, bundles...)
	v.check(err)
	return l
}

// ownPasskey is one that the thief made.
func (v *victims) ownPasskey() *key.Passkey {
	v.t.Helper()
	p, err := key.NewPasskey(v.n.Set().RelyingParty)
	v.check(err)
	return p
}

// asClinician is a session of ben's made of these parts.
func (v *victims) asClinician(who *people.Person, passkey *key.Passkey, at *login.At) login.Device {
	return login.Device{Actor: who.ID, Organisation: v.org.ID, Role: who.Roles[0], Passkey: passkey, At: at}
}

// stealsPasskey: with a device of the thief's own making, at ben's without its
// key, and at none.
func (v *victims) stealsPasskey() theftTried {
	h, own := newHaul(), key.NewSigning()
	posture := actor.Posture{Organisation: v.org.ID, Device: v.ben.Device, Level: actor.Managed, From: time.Now().Unix() - 60, Until: time.Now().Unix() + 3600}
	for _, at := range []*login.At{
		{Device: v.ben.Device, Key: own, Posture: posture.Sign(own)},
		{Device: v.ben.Device, Key: own, Posture: v.org.Vouch(v.ben.Device)},
		nil,
	} {
		h.join(v.ransack(v.begins(v.asClinician(v.ben, v.ben.Passkey, at)), v.ben.Passkey))
	}
	return theftTried{who: "ben", kind: blast.Passkey, words: "a clinician's passkey without the device", now: h}
}

// stealsDevice: its own keys, with the clinic's word about it that lies there,
// and a passkey that the thief made; and as the device itself.
func (v *victims) stealsDevice() theftTried {
	device, err := v.n.People().Find(v.ben.Device.String())
	v.check(err)
	passkey := v.ownPasskey()
	at := &login.At{Device: device.ID, Key: device.Alarm, Posture: v.org.Vouch(device.ID)}
	h := v.ransack(v.begins(v.asClinician(v.ben, passkey, at)), passkey)
	h.join(v.ransack(v.begins(login.Device{Actor: device.ID, Organisation: v.org.ID, Role: abaton.RoleDevice, Passkey: device.Passkey}), device.Passkey))
	return theftTried{who: "ben-device", kind: blast.Device, words: "a clinician's device, locked", now: h}
}

// stealsPatientPasskey: keepers let the session in and release pieces, and the
// thief has no seed.
func (v *victims) stealsPatientPasskey() theftTried {
	dee := v.patients[3]
	return theftTried{who: "dee", kind: blast.Passkey, words: "a patient's passkey without a device",
		now: v.ransack(v.begins(login.Device{Actor: dee.ID, Passkey: dee.Passkey}), dee.Passkey)}
}

// stealsEmergencyDoctor: besides grants, of which there are none, every
// emergency set.
func (v *victims) stealsEmergencyDoctor() theftTried {
	h := v.ransack(v.session(v.eve), v.eve.Passkey)
	return theftTried{who: "eve", kind: blast.Person, words: "everything of an emergency doctor", now: h, way: blast.ByEmergency, later: v.opensSets(v.n.People(), v.eve)}
}

// opensSets opens every emergency set there is, as a clinician, with a made-up
// reason.
func (v *victims) opensSets(w *people.World, doctor *people.Person) *haul {
	v.t.Helper()
	h := newHaul()
	as := *doctor
	as.Role = abaton.RoleEmergency
	for _, p := range v.patients {
		log, err := v.net.Log(v.t.Context(), p.ID)
		v.check(err)
		for id, e := range log.Escrows() {
			if e.Kind == actor.EscrowEmergency {
				v.opensSet(w, h, &as, p.ID, id)
			}
		}
	}
	return h
}

func (v *victims) opensSet(w *people.World, h *haul, doctor *people.Person, patient abaton.ActorID, set abaton.GrantID) {
	v.t.Helper()
	for {
		l, err := w.Direct(v.t.Context(), doctor, v.net)
		v.check(err)
		reader, err := v.net.NewReader(l)
		v.check(err)
		said := session.Emergency{V: wire.Version, Session: reader.Session(), Patient: patient, Escrow: set, Purpose: abaton.Emergency,
			Urgency: session.CannotSpeak, Sole: true, Time: time.Now().Unix()}
		rand.Read(said.Nonce[:])
		touch, err := doctor.Passkey.Assert(said.Challenge())
		v.check(err)
		o := emergency.Opening{Patient: patient, Escrow: set, Signed: l.Signed, Statement: &session.SignedEmergency{Emergency: said, Assertion: *touch}}
		opened, err := emergency.Open(v.t.Context(), v.net, reader, o, v.lenders)
		if refused, ok := errors.AsType[*abaton.RefusedError](err); ok && refused.Reason == abaton.ReasonNewRole {
			reader.Close()
			continue // keepers have not known the role for long enough
		}
		if err == nil {
			v.robber().tryAsk(v.t.Context(), h, reader, o.Ask(opened.Lines...))
		}
		reader.Close()
		return
	}
}

// stealsHelper: all of one helper's, who is a patient too; and an attempt to
// come in as the one who is helped.
func (v *victims) stealsHelper() theftTried {
	name := v.findKind(blast.Trustee).Who
	helper, err := v.n.People().Find(name)
	v.check(err)
	h := v.ransack(v.session(helper), helper.Passkey)
	w := v.hideout("ana/card")
	r, err := w.Ask(v.t.Context(), v.net, "ana")
	v.check(err)
	answer, err := helper.Help(v.t.Context(), v.net, r.Event, r.Words(escrow.English))
	v.check(err)
	if enough, err := w.Take(v.t.Context(), v.net, r, answer); err != nil || enough {
		v.t.Errorf("one helper of two: got enough %v (%v), want not enough", enough, err)
	}
	if _, err := w.Tell(v.t.Context(), v.net, r); err == nil {
		v.t.Error("one helper began a recovery alone")
	}
	return theftTried{who: name, kind: blast.Trustee, words: "all that one helper has, who is a patient too: the own record, none of the patient who is helped", now: h}
}

func (v *victims) findKind(kind blast.Kind) *blastThing {
	v.t.Helper()
	for i := range v.computed.Things {
		if v.computed.Things[i].Thing == kind {
			return &v.computed.Things[i]
		}
	}
	v.t.Fatalf("no %s was computed", kind)
	return nil
}

// hideout is the thief's own folder, with what was stolen of people in it.
func (v *victims) hideout(stolen ...string) *people.World {
	v.t.Helper()
	dir := v.t.TempDir()
	for _, name := range stolen {
		data, err := os.ReadFile(filepath.Join(v.n.People().Dir("."), name))
		v.check(err)
		v.check(os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		v.check(os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	w, err := people.Open(dir, v.n.Set())
	v.check(err)
	return w
}

// stealsAuthority: half A opens nothing alone, and an authority is nobody who
// could ask.
func (v *victims) stealsAuthority() theftTried {
	ana := v.patients[0]
	log, err := v.net.Log(v.t.Context(), ana.ID)
	v.check(err)
	set, _ := log.Escrow(v.set)
	h := newHaul()
	for i := range set.Wraps {
		half, err := set.OpenWrap(ana.ID, set.Wraps[i], v.authorityBoxes[0])
		if err != nil {
			continue // the other authority's
		}
		for _, b := range []key.Secret{{}, half} {
			if _, err := escrow.Open(ana.ID, set, half, b); err == nil {
				v.t.Error("an emergency set opened with half of its key")
			}
		}
	}
	h.join(v.ransack(v.begins(login.Device{Actor: v.authorities[0].ID, Organisation: v.authorities[0].ID, Role: abaton.RoleEmergency, Passkey: v.authorities[0].Passkey}), v.authorities[0].Passkey))
	return theftTried{who: "authority-1", kind: blast.Authority, words: "an emergency authority's key", now: h}
}

// madeUp is a clinician of the thief's own making, whom org's keys at hand let
// in as far as they go; nil where keepers do not take it.
func (v *victims) madeUp(org *people.Person) *people.Person {
	v.t.Helper()
	mallory, refused, err := madeUp(v.t.Context(), v.hideout(), v.net, org)
	v.check(err)
	if refused == nil {
		v.t.Error("a clinician was taken on with one key")
	}
	return mallory
}

// asMadeUp tries to read as a clinician of the thief's own making, at a device
// whose keys the thief made too.
func (v *victims) asMadeUp(mallory *people.Person, vouches *key.Signing) *haul {
	own := key.NewSigning()
	posture := actor.Posture{Organisation: v.org.ID, Device: mallory.Device, Level: actor.Managed, From: time.Now().Unix() - 60, Until: time.Now().Unix() + 3600}
	return v.ransack(v.begins(v.asClinician(mallory, mallory.Passkey, &login.At{Device: mallory.Device, Key: own, Posture: posture.Sign(vouches)})), mallory.Passkey)
}

func (v *victims) stealsManageKey() theftTried {
	one := *v.org
	one.Managers, one.Attest, one.Alarm = nil, nil, nil
	return theftTried{who: "clinic", kind: blast.ManageKey, words: "one of an organisation's managing keys, where two must agree",
		now: v.asMadeUp(v.madeUp(&one), key.NewSigning())}
}

func (v *victims) stealsAlarmKey() theftTried {
	one := *v.org
	one.Manage, one.Managers, one.Attest = v.org.Alarm, nil, nil
	return theftTried{who: "clinic", kind: blast.AlarmKey, words: "an organisation's alarm key",
		now: v.asMadeUp(v.madeUp(&one), v.org.Alarm)}
}

func (v *victims) stealsAttestKey() theftTried {
	one := *v.org
	one.Manage, one.Managers, one.Alarm = v.org.Attest, nil, nil
	return theftTried{who: "clinic", kind: blast.AttestKey, words: "an organisation's attesting key",
		now: v.asMadeUp(v.madeUp(&one), v.org.Attest)}
}

// stealsTeamKey: it opens lock one of what the team was given, and nobody whom
// keepers would let ask has it.
func (v *victims) stealsTeamKey() theftTried {
	log, err := v.net.Log(v.t.Context(), v.org.ID)
	v.check(err)
	seats := log.SeatSeeds(v.ward.ID, v.cora.ID)
	box, err := actor.OpenTeamSeed(v.cora.Box, v.ward.ID, seats[0].Public, seats[0].Sealed)
	v.check(err)
	bundles := v.unwraps(v.ward.ID, box)
	if len(bundles) != 2 {
		v.t.Errorf("the team's key unwraps the seeds of %d grants, want 2", len(bundles))
	}
	passkey, own := v.ownPasskey(), key.NewSigning()
	at := &login.At{Device: v.cora.Device, Key: own, Posture: v.org.Vouch(v.cora.Device)}
	return theftTried{who: "ward", kind: blast.TeamSeed, words: "a team's key", now: v.ransack(v.begins(v.asClinician(v.cora, passkey, at), bundles...), passkey)}
}

// unwraps opens what was sealed to a grantee, with its box alone.
func (v *victims) unwraps(grantee abaton.ActorID, box *key.Box) []session.Bundle {
	v.t.Helper()
	all, err := unwrapped(v.t.Context(), v.net, grantee, box, v.patients)
	v.check(err)
	return all
}

// stealsGatewayDisk: its files, its box, and its writer key as somebody who
// asks.
func (v *victims) stealsGatewayDisk() theftTried {
	loot, err := thief.StealFiles(v.t.Context(), v.t.TempDir(), v.n.GatewayDir())
	v.check(err)
	report, err := thief.Open(v.t.Context(), v.facts, loot)
	v.check(err)
	if report.Found != 0 {
		v.t.Errorf("a gateway's disk: %s", report.Readable())
	}
	bundles := v.unwraps(v.org.ID, key.BoxFromSeed(key.Secret(v.gatewayKeys().Box)))
	passkey := v.ownPasskey()
	return theftTried{who: "clinic", kind: blast.Gateway, words: "a gateway's disk",
		now: v.ransack(v.begins(login.Device{Actor: v.org.ID, Organisation: v.org.ID, Role: abaton.RoleRecords, Passkey: passkey}, bundles...), passkey)}
}

// stealsGatewayMemory: every session of the staff at once.
func (v *victims) stealsGatewayMemory() theftTried {
	h := newHaul()
	for _, p := range append([]*people.Person{v.agent}, v.staff...) {
		h.join(v.ransack(v.session(p), nil))
	}
	return theftTried{who: "clinic", kind: blast.GatewayMemory, words: "a running gateway with the whole staff signed in", now: h}
}

// stealsKeeper: the whole folder of one, with its keys, and the opener that
// tries every way it knows.
func (v *victims) stealsKeeper() theftTried {
	v.check(v.run.StopKeeper(1))
	loot, err := thief.Steal(v.t.Context(), v.t.TempDir(), v.n.KeeperDir(1))
	v.check(err)
	report, err := thief.Open(v.t.Context(), v.facts, loot)
	v.check(err)
	v.check(v.run.StartKeeper(v.t.Context(), 1, local.Build{}))
	h := newHaul()
	if report.Found != 0 {
		v.t.Errorf("one keeper's disk: %s", report.Readable())
	}
	if report.Fragments == 0 || report.Shares == 0 {
		v.t.Errorf("one keeper's disk: %d fragments and %d shares, want some to try", report.Fragments, report.Shares)
	}
	return theftTried{who: "keeper1", kind: blast.Keeper, words: "one keeper's disk and keys", now: h}
}

// stealsKit: at once it opens nothing; after the wait that nobody used, all of
// its patient, and what others gave her.
func (v *victims) stealsKit() theftTried {
	name := v.patients[0].Handle
	text, err := os.ReadFile(v.n.People().KitFile(name))
	v.check(err)
	code, err := escrow.ParseWords(strings.Fields(string(text)))
	v.check(err)
	w := v.hideout(name + "/card")
	r, _, err := w.BeginWithKit(v.t.Context(), v.net, name, code)
	v.check(err)
	out := theftTried{who: name, kind: blast.Kit, words: "a paper kit, that mother's", now: newHaul(), way: blast.ByRecovery, later: newHaul()}
	out.now.join(v.ransack(v.begins(login.Device{Actor: r.ID, Passkey: r.Passkey}), r.Passkey))
	for {
		back, err := w.Finish(v.t.Context(), v.net, r)
		if refused, ok := errors.AsType[*abaton.RefusedError](err); ok && refused.Reason == abaton.ReasonWait || errors.Is(err, abaton.ErrPending) {
			continue // the keepers count
		}
		v.check(err)
		out.later.join(v.ransack(v.sessionIn(w, back.Person), back.Passkey))
		return out
	}
}

// sessionIn is session for somebody whose device lies in another folder.
func (v *victims) sessionIn(w *people.World, p *people.Person) client.Login {
	v.t.Helper()
	d, err := newDevice(v.n, p)
	v.check(err)
	defer d.hangUp()
	bundles, err := d.lendable(v.t.Context())
	v.check(err)
	l, err := w.Direct(v.t.Context(), p, d.net, bundles...)
	v.check(err)
	return l
}

// stealsOrganisation: every key of it. The thief takes on a doctor, gives her a
// device and a seat, and opens what a seat opens; and emergency sets, once the
// role is old enough.
func (v *victims) stealsOrganisation() theftTried {
	ctx := v.t.Context()
	w := v.hideout("clinic/keys", "clinic/card", "cora/keys", "cora/card", "fay/keys", "fay/card")
	org, err := w.Load("clinic")
	v.check(err)
	mallory, err := w.NewClinician("mallory", "Mallory", org, abaton.RoleEmergency, abaton.RolePhysician)
	v.check(err)
	v.check(w.Enlist(ctx, v.net, org, nil, mallory))
	_, err = org.SetTeam(ctx, v.net, org.Hand(), &actor.Team{Team: v.ward.ID}, v.cora.ID, mallory.ID)
	v.check(err)
	_, err = org.SetTeam(ctx, v.net, org.Hand(), &actor.Team{Team: v.carers.ID}, v.cora.ID, v.fay.ID, mallory.ID)
	v.check(err)
	later := v.ransack(v.sessionIn(w, mallory), mallory.Passkey)
	later.join(v.opensSets(w, mallory))
	later.join(v.opensKept(w, mallory))
	return theftTried{who: "clinic", kind: blast.Organisation, words: "every key of an organisation at once", now: newHaul(), way: blast.ByMadeStaff, later: later}
}

// addsRecords: a stolen writer key writes for as many patients as was computed.
func (v *victims) addsRecords() {
	v.t.Helper()
	added := 0
	for _, p := range v.patients {
		v.put(p, fhir.General, 1)
		added++
	}
	for _, can := range v.find("clinic", blast.Gateway).Can {
		if can.Can == blast.CanAdd && can.Patients != added {
			v.t.Errorf("a gateway's disk adds records for %d patients, %d were computed", added, can.Patients)
		}
	}
}
