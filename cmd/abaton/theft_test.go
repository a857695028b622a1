package main

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/thief"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
)

// victims is a network about to be robbed, one thing at a time: a clinic with
// four clinicians, two teams and an agent, a register, and five patients with
// records in every line, one of them in a care team's custody.
type victims struct {
	*town
	n              *local.Network
	org            *people.Person
	net            *client.Network // the clinic's own way to the keepers
	patients       []*people.Person
	ben, cora, eve *people.Person // a physician, one of a team, one of the emergency department
	fay            *people.Person // to whom ben handed a referral on
	staff          []*people.Person
	agent          *people.Person
	registry       *people.Person
	ward, carers   people.Team
	kept           *people.Person // one of the patients: the carers keep the record
	lenders        map[abaton.ActorID]emergency.Lender
	authorities    []*people.Person
	authorityBoxes []*key.Box
	set            abaton.GrantID // the first patient's emergency set
	facts          []thief.Fact   // what stands in the records
	writes         *client.Writer // with the gateway's own key
	computed       blastList      // before anything was stolen
	world          *blast.World   // the same, for several things at once
}

// victimsWait is how long recoveries and emergency roles wait in this network.
const victimsWait = 2 * time.Second

func newVictims(t *testing.T) *victims {
	t.Helper()
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: built, RecoveryWait: victimsWait})
	if err != nil {
		t.Fatal(err)
	}
	v := &victims{town: &town{t: t}, n: n, lenders: make(map[abaton.ActorID]emergency.Lender)}
	v.makeAuthorities()
	if v.run, err = n.Start(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.run.Stop(); err != nil {
			t.Error(err)
		}
	})
	v.unwatched()
	v.org, err = n.Organisation()
	v.check(err)
	v.net = v.dial(v.org)
	v.startAuthorities()
	v.makeStaff()
	v.makePatients()
	v.giveAccess()
	v.writeRecords()
	return v
}

// unwatched runs every keeper without the watch, which would stop whoever tries
// all there is: what is measured here is what rights alone let a thief open. What
// the watch stops, the drills measure.
func (v *victims) unwatched() {
	v.t.Helper()
	folder := filepath.Join(v.t.TempDir(), "mutant")
	build := exec.CommandContext(v.t.Context(), "go", "build", "-tags", "mutant", "-o", folder+string(filepath.Separator), "github.com/abaton-health/abaton/cmd/abaton-keeper")
	if out, err := build.CombinedOutput(); err != nil {
		v.t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	for i := range v.n.Set().Keepers {
		x := v.n.Set().Keepers[i].X
		v.check(v.run.StopKeeper(x))
		v.check(v.run.StartKeeper(v.t.Context(), x, local.Build{Folder: folder, Flags: []string{"-skip", "watch"}}))
	}
}

func (v *victims) check(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// dial is somebody's way to the keepers.
func (v *victims) dial(p *people.Person) *client.Network {
	v.t.Helper()
	net, hangUp, err := v.n.Client(p.Manage)
	v.check(err)
	v.t.Cleanup(hangUp)
	return net
}

func (v *victims) makeAuthorities() {
	for i := range 2 {
		box := key.NewBox()
		a, err := v.n.People().NewOrganisation(fmt.Sprintf("authority-%d", i+1), "Authority", people.Gateway{Writer: key.NewSigning().ID(), Box: box.Public()})
		v.check(err)
		v.check(v.n.Admit(a.ID))
		v.authorities, v.authorityBoxes = append(v.authorities, a), append(v.authorityBoxes, box)
	}
}

func (v *victims) startAuthorities() {
	for i, a := range v.authorities {
		v.check(people.Introduce(v.t.Context(), v.net, a))
		one, err := emergency.NewAuthority(emergency.Config{Network: v.dial(a), Actor: a.ID, Box: v.authorityBoxes[i], Organisations: []abaton.ActorID{v.org.ID}})
		v.check(err)
		v.lenders[a.ID] = one
	}
	real, closeAll, err := v.n.Lenders()
	v.check(err)
	v.t.Cleanup(closeAll)
	maps.Copy(v.lenders, real) // the daemons, to which every patient's first set is sealed
}

func (v *victims) makeStaff() {
	w, ctx := v.n.People(), v.t.Context()
	made := func(p *people.Person, err error) *people.Person {
		v.t.Helper()
		v.check(err)
		return p
	}
	v.ben = made(w.NewClinician("ben", "Ben", v.org, abaton.RolePhysician))
	v.cora = made(w.NewClinician("cora", "Cora", v.org, abaton.RoleNurse))
	v.eve = made(w.NewClinician("eve", "Eve", v.org, abaton.RoleEmergency))
	v.agent = made(w.NewAgent("scribe", "Scribe", nil, v.org, abaton.RoleAgent))
	v.fay = made(w.NewClinician("fay", "Fay", v.org, abaton.RolePhysician))
	v.staff = []*people.Person{v.ben, v.cora, v.eve, v.fay}
	v.registry = made(w.Load(local.RegistryHandle))
	v.check(w.Enlist(ctx, v.net, v.org, nil, v.staff...))
	v.check(w.Enlist(ctx, v.net, v.org, v.ben, v.agent))
	v.must("", "team", "set", "ward", "--members", "cora")
	v.must("", "team", "set", "carers", "--members", "cora,fay")
	all, err := w.Teams(v.org)
	v.check(err)
	v.ward, v.carers = all["ward"], all["carers"]
}

func (v *victims) makePatients() {
	for i, handle := range []string{"ana", "bo", "cas", "dee"} {
		p, err := v.n.People().NewPatient(handle, fmt.Sprintf("Patient %d", i), nil, v.org)
		v.check(err)
		v.patients = append(v.patients, p)
	}
	v.keepRecord()
	v.check(people.Introduce(v.t.Context(), v.net, v.patients...))
}

// keepRecord makes a patient as abaton import --custody does, of whose keys nobody
// has any.
func (v *victims) keepRecord() {
	v.net.Refresh(v.org.ID)
	log, err := v.net.Log(v.t.Context(), v.org.ID)
	v.check(err)
	box, err := key.ParseBoxPublic(log.Team(v.carers.ID).Public)
	v.check(err)
	v.kept, err = v.n.People().NewKept("kim", nil, v.org, v.carers, box)
	v.check(err)
	v.patients = append(v.patients, v.kept)
}

// lineOf is a patient's line of a category. Of a record in custody nobody knows
// which is which, and each category stands for some line.
func (v *victims) lineOf(p *people.Person, c fhir.Category) abaton.Line {
	v.t.Helper()
	if p != v.kept {
		return p.Root.Line(c.ID())
	}
	log, err := v.net.Log(v.t.Context(), p.ID)
	v.check(err)
	return log.Lines()[slices.Index(fhir.Categories(), c)].Line
}

// giveAccess: ben treats two patients and has the notes of one; what he has of bo
// may go on, and he handed a part of it to fay. The ward has grants of two, the
// agent a task about one. Ana has helpers and an emergency set, reads for her child
// dee, and would for cas, once it is stated that cas cannot decide; cas barred the
// ward's cora.
func (v *victims) giveAccess() {
	ana, bo, cas, dee := v.patients[0], v.patients[1], v.patients[2], v.patients[3]
	give := func(p *people.Person, t people.Terms) abaton.GrantID {
		v.t.Helper()
		t.Actions, t.Quota = grant.Read, people.RecordsMax
		if t.Life == 0 {
			t.Life = 8 * time.Hour
		}
		id, _, err := p.Give(v.t.Context(), v.dial(p), t)
		v.check(err)
		return id
	}
	give(ana, people.Terms{To: v.ben, Categories: []fhir.Category{fhir.General, fhir.Psychiatric}, Purpose: abaton.Treatment})
	give(ana, people.Terms{To: v.ben, Categories: []fhir.Category{fhir.PsychotherapyNotes}, Purpose: abaton.Treatment})
	letter := give(bo, people.Terms{To: v.ben, Categories: []fhir.Category{fhir.General, fhir.Imaging}, Purpose: abaton.Treatment, Onward: v.org.ID})
	give(bo, people.Terms{Team: &v.ward, Categories: []fhir.Category{fhir.General, fhir.Genetic}, Purpose: abaton.Treatment})
	give(cas, people.Terms{Team: &v.ward, Categories: []fhir.Category{fhir.General}, Purpose: abaton.Treatment})
	give(dee, people.Terms{To: v.agent, Categories: []fhir.Category{fhir.General, fhir.Reproductive}, Purpose: abaton.Operations, Life: time.Hour})
	give(dee, people.Terms{To: ana, Categories: []fhir.Category{fhir.General, fhir.Reproductive}, Purpose: abaton.PatientAccess})
	give(cas, people.Terms{To: ana, Categories: []fhir.Category{fhir.General, fhir.Psychiatric}, Purpose: abaton.PatientAccess, When: grant.Incapacity})
	_, _, err := v.ben.GiveOn(v.t.Context(), v.dial(v.ben), people.Onward{Grant: letter, To: v.fay, Categories: []fhir.Category{fhir.General}})
	v.check(err)
	for _, body := range []actor.Body{
		&actor.Bar{Actor: v.cora.ID},
		&actor.Registrar{Registrar: v.registry.ID, May: actor.SaysNarrow | actor.SaysIncapacity, With: []abaton.ActorID{v.org.ID}},
	} {
		_, err := v.dial(cas).Append(v.t.Context(), cas.Hand(), body)
		v.check(err)
	}
	_, err = v.n.People().Choose(v.t.Context(), v.dial(ana), ana, 2, bo, cas, dee)
	v.check(err)
	v.keepEmergencySet(ana)
}

func (v *victims) keepEmergencySet(p *people.Person) {
	var holders []escrow.Holder
	for i, a := range v.authorities {
		holders = append(holders, escrow.Holder{ID: a.ID, Box: v.authorityBoxes[i].Public()})
	}
	c := fhir.Emergency
	line := p.Root.Line(c.ID())
	seed := grant.Seed{Line: line, Category: c.ID(), Level: c.Level(), Epoch: 1, Seed: p.Root.SegmentSeed(c.ID(), 1)}
	body, err := escrow.Make(v.n.Set(), p.ID, escrow.Emergency(holders, 1, line), key.NewSecret(), escrow.Payload{Seeds: []grant.Seed{seed}})
	v.check(err)
	done, err := v.dial(p).Append(v.t.Context(), p.Hand(), body)
	v.check(err)
	v.set = abaton.GrantID(done.Event)
}

// gatewayKeys are the keys of the clinic's gateway.
func (v *victims) gatewayKeys() (k gatewayKeys) {
	v.t.Helper()
	k, err := readGatewayKeys(v.n.GatewayDir())
	v.check(err)
	return k
}

// writer writes with the gateway's own key.
func (v *victims) writer() *client.Writer {
	v.t.Helper()
	writer := key.SigningFromSeed(key.Secret(v.gatewayKeys().Writer))
	box, err := client.OpenOutbox(v.t.TempDir(), key.NewSecret())
	v.check(err)
	v.t.Cleanup(func() { box.Close() })
	net, hangUp, err := v.n.Client(writer)
	v.check(err)
	v.t.Cleanup(hangUp)
	w, err := net.NewWriter(client.WriterConfig{Outbox: box, Writer: writer, Author: seal.Author{Actor: v.org.ID, Key: writer}})
	v.check(err)
	return w
}

// recordsALine is how many records each patient has in each line.
const recordsALine = 3

// writeRecords fills every line of every patient.
func (v *victims) writeRecords() {
	v.writes = v.writer()
	for _, p := range v.patients {
		for _, c := range fhir.Categories() {
			v.put(p, c, recordsALine)
		}
	}
}

func (v *victims) put(p *people.Person, c fhir.Category, n int) {
	v.t.Helper()
	var writes []client.Write
	for i := range n {
		id := fmt.Sprintf("%s-%s-%d", p.Handle, c, i)
		content := fmt.Appendf(nil, `{"resourceType":"Observation","id":%q,"note":[{"text":"%s was told of %s by %x"}]}`, id, p.Name, c, p.ID[:8])
		facts, err := thief.FactsOf(content)
		v.check(err)
		v.facts = append(v.facts, facts...)
		writes = append(writes, client.Write{Patient: p.ID, Line: v.lineOf(p, c), Record: seal.Record{
			Envelope: seal.Envelope{Kind: seal.KindResource, Type: "Observation", ID: id, VersionID: "1", LastUpdated: 1}, Content: content}})
	}
	_, err := v.writes.Put(v.t.Context(), client.Transaction{Writes: writes})
	v.check(err)
}
