package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/thief"
	"github.com/abaton-health/abaton/key"
)

// groundPatients is how many made-up patients a drill's network has: more than
// a contained export may reach, by a margin.
const groundPatients = 36

// emergencyWait is how long recoveries and emergency roles wait in a drill's
// network; the rule is a day.
const emergencyWait = time.Second

// ground is the network that drills attack: a clinic whose ward treats all
// patients, as a team, and people who are about to be robbed or turn bad.
type ground struct {
	e      *env // quiet
	dir    string
	size   int // patients
	n      *local.Network
	run    *local.Processes
	mutant string // folder of the binaries that can be told to misbehave

	org      *device // the clinic
	ward     people.Team
	staff    map[string]*people.Person
	patients []*people.Person
	facts    []thief.Fact // what stands in their records
	used     int          // thieves taken so far

	ledgers []ledgerSource
	hangUp  func()
	left    drillLeft // for whoever reports
}

// The staff of the ward. Each drill takes its own, since who was caught stays
// suspended.
var wardStaff = []string{"mia", "noa", "oda", "pia", "ria", "sia", "tia", "una", "vea", "wil", "zeno", "ada", "bea", "cleo"}

// Others of the clinic.
const (
	besideHandle = "zoe" // a physician to whom nobody gave anything
	leaverHandle = "max" // of the ward, and then no more
	urgentHandle = "eve" // of the emergency department
	secondHandle = "fay" // another of it
)

// newGround brings up the network, of the binaries in a folder.
func (e *env) newGround(ctx context.Context, dir, binaries string, patients int) (g *ground, err error) {
	g = &ground{e: e.quiet(filepath.Join(dir, drillNetwork)), dir: dir, size: patients, staff: make(map[string]*people.Person), hangUp: func() {}, left: drillLeft{V: 1, Drills: []drillDone{}}}
	if g.mutant, err = mutantFolder(binaries); err != nil {
		return nil, err
	}
	if g.n, err = local.Make(ctx, g.e.dir, local.Options{Binaries: binaries, RecoveryWait: emergencyWait}); err != nil {
		return nil, err
	}
	if err = errors.Join(g.leave(drillFile, &g.left), g.leave(reportSettings, drillSettings())); err != nil {
		return nil, err
	}
	if g.run, err = g.n.Start(ctx, binaries); err != nil {
		return nil, err
	}
	if err = g.settle(ctx); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// settle makes the people and their records.
func (g *ground) settle(ctx context.Context) error {
	org, err := g.n.Organisation()
	if err != nil {
		return err
	}
	if g.org, err = newDevice(g.n, org); err != nil {
		return err
	}
	if err := g.hire(ctx); err != nil {
		return err
	}
	if g.ledgers, g.hangUp, err = setSources(g.n.Set()); err != nil {
		return err
	}
	return g.admit(ctx)
}

// hire makes the staff, and the ward of them.
func (g *ground) hire(ctx context.Context) error {
	var all []*people.Person
	make := func(handle string, roles ...string) error {
		p, err := g.n.People().NewClinician(handle, handle, g.org.Person, roles...)
		if err != nil {
			return err
		}
		g.staff[handle], all = p, append(all, p)
		return nil
	}
	var members []abaton.ActorID
	for _, handle := range append([]string{leaverHandle}, wardStaff...) {
		if err := make(handle, abaton.RolePhysician); err != nil {
			return err
		}
		members = append(members, g.staff[handle].ID)
	}
	err := errors.Join(make(besideHandle, abaton.RolePhysician), make(urgentHandle, abaton.RoleEmergency, abaton.RolePhysician),
		make(secondHandle, abaton.RoleEmergency, abaton.RolePhysician))
	if err != nil {
		return err
	}
	if err := g.n.People().Enlist(ctx, g.org.net, g.org.Person, nil, all...); err != nil {
		return err
	}
	team, nonce := g.org.NewTeam()
	if _, err := g.org.SetTeam(ctx, g.org.net, g.org.Hand(), &actor.Team{Team: team.ID, Nonce: nonce}, members...); err != nil {
		return err
	}
	g.ward = team
	return nil
}

// admit brings the patients in through the gateway, as any hospital would: each
// gives the ward the general part, and the leaver.
func (g *ground) admit(ctx context.Context) error {
	ward, err := g.wardBox(ctx)
	if err != nil {
		return err
	}
	reads := func(t people.Terms) people.Terms {
		t.Actions, t.Categories, t.Purpose, t.Life, t.Quota = grant.Read, []fhir.Category{fhir.General}, abaton.Treatment, 8*time.Hour, people.RecordsMax
		return t
	}
	m, err := newImporter(ctx, g.e, g.n, reads(people.Terms{To: g.staff[leaverHandle]}),
		reads(people.Terms{To: &people.Person{ID: g.ward.ID, Public: ward}}))
	if err != nil {
		return err
	}
	sources, err := g.charts()
	if err != nil {
		return err
	}
	out, err := m.run(ctx, sources)
	if err != nil {
		return err
	}
	if out.Refused > 0 || out.Pending > 0 || out.Patients != g.size {
		return fmt.Errorf("%d patients came in, %d resources refused, %d not durable", out.Patients, out.Refused, out.Pending)
	}
	for _, p := range m.known {
		g.patients = append(g.patients, p)
	}
	return nil
}

// wardBox is what is given to the ward is sealed to.
func (g *ground) wardBox(ctx context.Context) (box key.BoxPublic, err error) {
	g.org.net.Refresh(g.org.ID)
	log, err := g.org.net.Log(ctx, g.org.ID)
	if err != nil {
		return box, err
	}
	team := log.Team(g.ward.ID)
	if team == nil {
		return box, errors.New("the ward is not known")
	}
	return key.ParseBoxPublic(team.Public)
}

// charts are the patients' records: a person, an observation, a visit of years ago
// (so that nobody has a reason to open them now) and a sensitive diagnosis each.
func (g *ground) charts() (all []source, err error) {
	for i := range g.size {
		var salt [8]byte
		rand.Read(salt[:])
		id := fmt.Sprintf("%x%02d", salt[:3], i)
		entry := func(kind string, rest string) string {
			return fmt.Sprintf(`{"fullUrl":"urn:uuid:%s-%s","resource":{"resourceType":"%s","id":"%s-%s",%s},"request":{"method":"POST","url":"%s"}}`,
				id, kind, kind, kind, id, rest, kind)
		}
		about := fmt.Sprintf(`"subject":{"reference":"urn:uuid:%s-Patient"},`, id)
		text := fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[%s,%s,%s,%s]}`,
			entry("Patient", fmt.Sprintf(`"name":[{"family":"Drill%x","given":["Case %d"]}],"birthDate":"19%02d-04-12"`, salt[3:], i, 40+i%50)),
			entry("Observation", about+fmt.Sprintf(`"status":"final","code":{"text":"weight"},"note":[{"text":"lost %d kilograms since %x"}]`, i, salt)),
			entry("Encounter", about+fmt.Sprintf(`"status":"finished","period":{"start":"2019-03-01T09:00:00Z","end":"2019-03-01T09:20:00Z"},"class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"reasonCode":[{"text":"told of a fall, %x"}]`, salt)),
			entry("Condition", about+fmt.Sprintf(`"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSYTHPN"}]},"code":{"text":"a diagnosis kept apart, %x"}`, salt)))
		bundle, err := fhir.ParseBundle([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("make up a patient: %w", err)
		}
		var raw []json.RawMessage
		for i := range bundle.Entries {
			raw = append(raw, bundle.Entries[i].Resource.Raw())
		}
		facts, err := thief.FactsOf(raw...)
		if err != nil {
			return nil, err
		}
		g.facts = append(g.facts, facts...)
		all = append(all, source{name: id + ".json", size: int64(len(text)), open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader([]byte(text))), nil
		}})
	}
	return all, nil
}

// whole sees that the network serves as it did, before the next drill.
func (g *ground) whole(ctx context.Context) (err error) {
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		if !g.run.Running(x) {
			err = errors.Join(err, g.run.StartKeeper(ctx, x, local.Build{}))
		}
	}
	return err
}

func (g *ground) close() error {
	if g.org != nil {
		g.org.hangUp()
	}
	g.hangUp()
	return g.run.Stop()
}

// bad is the next of the ward whom a drill may rob or turn.
func (g *ground) bad() (*people.Person, error) {
	if g.used == len(wardStaff) {
		return nil, errors.New("the ward has nobody left")
	}
	p := g.staff[wardStaff[g.used]]
	g.used++
	return p, nil
}

// robber is one who knows all patients.
func (g *ground) robber() *robber { return &robber{net: g.org.net, patients: g.patients} }

// general is a patient's part that the ward may read.
func (g *ground) general(p *people.Person) []abaton.Line {
	return []abaton.Line{p.Line(fhir.General.ID())}
}

// ask is what one of the ward may ask of a patient, under the ward's grant.
func (g *ground) ask(ctx context.Context, p *people.Person) (client.Ask, error) {
	return g.askAs(ctx, p, g.ward.ID)
}

// askAs is what a grantee may ask of a patient.
func (g *ground) askAs(ctx context.Context, p *people.Person, grantee abaton.ActorID) (client.Ask, error) {
	log, err := g.org.net.Log(ctx, p.ID)
	if err != nil {
		return client.Ask{}, err
	}
	for id, held := range log.Grants() {
		if held.Grantee == grantee && held.Actions&grant.Read != 0 && held.Covers(g.general(p)[0]) {
			return client.Ask{Patient: p.ID, Grant: id, Purpose: held.Purposes[0], Lines: g.general(p)}, nil
		}
	}
	return client.Ask{}, fmt.Errorf("%s gave no such grant: %w", p.Handle, abaton.ErrNotFound)
}
