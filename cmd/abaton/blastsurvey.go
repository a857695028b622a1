package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

// survey is all that the clinic can see of its network, and the names by which
// people know it.
type survey struct {
	m          *employer
	now        time.Time
	logs       map[abaton.ActorID]*actor.State
	all        []*people.Person // whose devices this network plays
	known      map[abaton.ActorID]string
	categories map[abaton.Line]string
	teams      map[string]people.Team
	world      *blast.World
}

func newSurvey(ctx context.Context, m *employer, records bool) (*survey, error) {
	s := &survey{m: m, now: time.Now(), logs: make(map[abaton.ActorID]*actor.State), categories: make(map[abaton.Line]string)}
	var err error
	if s.known, err = namesWithTeams(m.at); err != nil {
		return nil, err
	}
	if s.all, err = m.at.People().All(0); err != nil {
		return nil, err
	}
	if s.teams, err = m.at.People().Teams(m.Person); err != nil {
		return nil, err
	}
	for _, p := range s.all {
		for _, c := range fhir.Categories() {
			s.categories[p.Root.Line(c.ID())] = c.String()
		}
		s.categories[p.Root.Line(login.DirectoryCategory())] = "directory"
		s.categories[p.Root.Line(login.QuarantineCategory())] = "quarantine"
	}
	if err := s.readLogs(ctx); err != nil {
		return nil, err
	}
	f := blast.Facts{Logs: s.logs, Counted: make(map[abaton.ActorID]bool), Set: m.at.Set(), Now: s.now,
		Served: map[abaton.ActorID]bool{m.ID: true}} // the authorities of a local network lend for its clinic alone
	if records {
		for _, p := range s.all {
			if p.Kind != actor.Patient || s.logs[p.ID] == nil {
				continue
			}
			batches, err := s.count(ctx, p)
			if err != nil {
				return nil, err
			}
			f.Batches, f.Counted[p.ID] = append(f.Batches, batches...), true
		}
	}
	s.world, err = blast.New(f)
	return s, err
}

// readLogs reads the logs of everybody who is known here, of every patient who
// gave the clinic anything, and of whom those logs name.
func (s *survey) readLogs(ctx context.Context) error {
	next := make(map[abaton.ActorID]bool)
	for _, p := range s.all {
		next[p.ID] = true
	}
	patients, err := s.m.net.Granted(ctx, s.m.ID)
	if err != nil {
		return fmt.Errorf("read key logs: %w", err)
	}
	for _, id := range patients {
		next[id] = true
	}
	asked := make(map[abaton.ActorID]bool)
	for len(next) > 0 {
		ids := slices.Collect(maps.Keys(next))
		s.m.net.Refresh(ids...)
		logs, err := s.m.net.Logs(ctx, ids...)
		if err != nil {
			return fmt.Errorf("read key logs: %w", err)
		}
		maps.Copy(s.logs, logs)
		for id := range next {
			asked[id] = true
		}
		clear(next)
		for _, log := range logs {
			for _, id := range named(log) {
				if id != (abaton.ActorID{}) && !asked[id] {
					next[id] = true
				}
			}
		}
	}
	return nil
}

// named are the actors, and teams, that a log speaks of.
func named(log *actor.State) (ids []abaton.ActorID) {
	if log == nil {
		return nil
	}
	ids = append(ids, log.Organisation())
	for _, m := range log.Members() {
		ids = append(ids, m.Actor, m.Sponsor)
	}
	for _, g := range log.Grants() {
		ids = append(ids, g.Grantee)
	}
	for _, r := range log.Registrars(time.Now()) {
		ids = append(append(ids, r.Registrar), r.With...)
	}
	for _, e := range log.Escrows() {
		for _, half := range e.Wraps {
			ids = append(ids, half.Holder)
		}
	}
	return ids
}

// count lists a patient's batches by the patient's own device.
func (s *survey) count(ctx context.Context, p *people.Person) ([]blast.Batch, error) {
	d, err := newDevice(s.m.at, p)
	if err != nil {
		return nil, err
	}
	defer d.hangUp()
	l, err := d.at.People().Direct(ctx, p, d.net)
	if err != nil {
		return nil, err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	ask := client.Ask{Patient: p.ID, Purpose: abaton.PatientAccess}
	for _, seg := range s.logs[p.ID].Lines() {
		ask.Lines = append(ask.Lines, seg.Line)
	}
	return batchesOf(ctx, reader, ask)
}

// batchesOf lists what there is, large objects too.
func batchesOf(ctx context.Context, reader *client.Reader, ask client.Ask) (all []blast.Batch, err error) {
	for _, list := range []func(context.Context, client.Ask) (*client.Listing, error){reader.List, reader.Parts} {
		l, err := list(ctx, ask)
		if err != nil {
			return nil, fmt.Errorf("count records: %w", err)
		}
		for i := range l.Batches {
			b := &l.Batches[i]
			all = append(all, blast.Batch{Owner: b.Patient, Line: b.Line, Segment: b.Segment, Records: bits.OnesCount64(b.Rows().Records)})
		}
	}
	return all, nil
}

// named are the thefts that an argument stands for.
func (s *survey) named(arg string) ([]theft, error) {
	switch arg {
	case "gateway":
		return []theft{theftOf(s.m.Handle, blast.Thing{Kind: blast.Gateway, Actor: s.m.ID}), s.memory()}, nil
	case "kit", "helper":
		return s.worst(blast.Kind(arg))
	}
	if n, ok := strings.CutPrefix(arg, "keeper"); ok {
		if x, err := strconv.Atoi(n); err == nil && x >= 1 && x <= local.Keepers {
			return []theft{theftOf(arg, blast.Thing{Kind: blast.Keeper, Keeper: abaton.KeeperIndex(x)})}, nil
		}
	}
	if c, err := hex.DecodeString(arg); err == nil && len(c) == len(key.Credential{}) {
		return s.credential(key.Credential(c))
	}
	p, err := s.m.at.People().Find(arg)
	if errors.Is(err, people.ErrNobody) {
		if team, ok := s.teams[arg]; ok {
			return []theft{s.teamSeed(arg, team)}, nil
		}
		if id, bad := abaton.ParseActorID(arg); bad == nil && s.logs[id] != nil {
			return s.theftsOf(&people.Person{Handle: short(arg), ID: id, Kind: s.logs[id].Kind()}), nil
		}
	}
	if err != nil {
		return nil, err
	}
	return s.theftsOf(p), nil
}

// memory is a running gateway in which everybody of the staff, and every agent,
// is signed in at once; with its keys.
func (s *survey) memory() theft {
	t := theft{kind: blast.GatewayMemory, who: s.m.Handle, stolen: []blast.Thing{{Kind: blast.Gateway, Actor: s.m.ID}}}
	for _, p := range s.all {
		if (p.Kind == actor.Clinician || p.Kind == actor.Agent) && s.logs[s.m.ID].Member(p.ID, s.now) != nil {
			t.stolen = append(t.stolen, s.session(p))
		}
	}
	return t
}

// session is one that was begun just now.
func (s *survey) session(p *people.Person) blast.Thing {
	life := abaton.ClinicianSessionMax
	if p.Kind == actor.Patient {
		life = abaton.PatientSessionMax
	}
	return blast.Thing{Kind: blast.Session, Actor: p.ID, Device: p.Device, Until: s.now.Add(life).Unix()}
}

func (s *survey) teamSeed(name string, t people.Team) theft {
	return theftOf(name, blast.Thing{Kind: blast.TeamSeed, Actor: t.Organisation, Team: t.ID})
}

// credential finds whose a passkey is.
func (s *survey) credential(c key.Credential) ([]theft, error) {
	for id, log := range s.logs {
		if log != nil && log.LiveCredentials()[c] != 0 {
			return []theft{theftOf(nameOf(s.known, id), blast.Thing{Kind: blast.Passkey, Actor: id, Credential: c})}, nil
		}
	}
	return nil, usage("no log that the clinic can read has this passkey live: it opens nothing")
}

// theftsOf are the thefts that concern one actor, the whole of it first.
func (s *survey) theftsOf(p *people.Person) (all []theft) {
	add := func(t blast.Thing) { all = append(all, theftOf(p.Handle, t)) }
	switch p.Kind {
	case actor.Patient:
		add(blast.Thing{Kind: blast.Person, Actor: p.ID})
		add(s.session(p))
		add(blast.Thing{Kind: blast.Passkey, Actor: p.ID})
		add(blast.Thing{Kind: blast.Device, Held: []abaton.ActorID{p.ID}})
		add(blast.Thing{Kind: blast.Kit, Actor: p.ID})
	case actor.Clinician, actor.Agent:
		add(blast.Thing{Kind: blast.Person, Actor: p.ID, Device: p.Device})
		add(s.session(p))
		add(blast.Thing{Kind: blast.Passkey, Actor: p.ID})
		if p.Device != (abaton.ActorID{}) {
			all = append(all, s.device(p.Device))
		}
	case actor.Device:
		all = append(all, s.device(p.ID))
	case actor.Organisation:
		add(blast.Thing{Kind: blast.Organisation, Actor: p.ID})
		add(blast.Thing{Kind: blast.ManageKey, Actor: p.ID})
		add(blast.Thing{Kind: blast.AlarmKey, Actor: p.ID})
		add(blast.Thing{Kind: blast.AttestKey, Actor: p.ID})
		for _, name := range slices.Sorted(maps.Keys(s.teams)) {
			if t := s.teams[name]; t.Organisation == p.ID {
				all = append(all, s.teamSeed(name, t))
			}
		}
		if s.authority(p.ID) {
			add(blast.Thing{Kind: blast.Authority, Actor: p.ID})
		}
	}
	return all
}

// device is a locked device with the keys of whoever sits at it.
func (s *survey) device(id abaton.ActorID) theft {
	t := blast.Thing{Kind: blast.Device, Actor: id}
	for _, p := range s.all {
		if p.Device == id {
			t.Held = append(t.Held, p.ID)
		}
	}
	return theftOf(nameOf(s.known, id), t)
}

// authority: some emergency set has a half sealed to it.
func (s *survey) authority(id abaton.ActorID) bool {
	for _, log := range s.logs {
		for _, e := range log.Escrows() {
			if e.Kind == actor.EscrowEmergency && slices.ContainsFunc(e.Wraps, func(w actor.HalfWrap) bool { return w.Holder == id }) {
				return true
			}
		}
	}
	return false
}

// worst is the kit, or the helper, of all that there are that reaches most.
func (s *survey) worst(k blast.Kind) ([]theft, error) {
	var best []theft
	most := -1
	for _, id := range slices.SortedFunc(maps.Keys(s.logs), func(a, b abaton.ActorID) int { return slices.Compare(a[:], b[:]) }) {
		t := theftOf(nameOf(s.known, id), blast.Thing{Kind: k, Actor: id, Device: s.deviceOf(id)})
		if k == blast.Kit && !s.logs[id].Ways().Kit || k == blast.Trustee && !s.helps(id) {
			continue
		}
		r := s.world.Reach(t.stolen...)
		n := r.Patients
		for _, m := range r.More {
			n += m.Patients
		}
		if n > most {
			best, most = []theft{t}, n
		}
	}
	if best == nil {
		return nil, usage("there is no %s here", k)
	}
	return best, nil
}

// deviceOf is where somebody whose device this network plays sits.
func (s *survey) deviceOf(id abaton.ActorID) (device abaton.ActorID) {
	for _, p := range s.all {
		if p.ID == id {
			device = p.Device
		}
	}
	return device
}

func (s *survey) helps(id abaton.ActorID) bool {
	for _, log := range s.logs {
		for _, e := range log.Escrows() {
			if e.Kind == actor.EscrowTrustees && slices.ContainsFunc(e.Wraps, func(w actor.HalfWrap) bool { return w.Holder == id }) {
				return true
			}
		}
	}
	return false
}

// others are the things that a thief may have besides: each person's passkey
// and device, the teams' keys, the clinic's, a keeper.
func (s *survey) others() (all []blast.Thing) {
	for _, p := range s.all {
		for _, t := range s.theftsOf(p) {
			if t.kind != blast.Person && t.kind != blast.Session && t.kind != blast.Organisation {
				all = append(all, t.stolen...)
			}
		}
		if s.helps(p.ID) {
			all = append(all, blast.Thing{Kind: blast.Trustee, Actor: p.ID, Device: p.Device})
		}
	}
	return append(all, blast.Thing{Kind: blast.Gateway, Actor: s.m.ID}, blast.Thing{Kind: blast.Keeper, Keeper: 1}, blast.Thing{Kind: blast.Keeper, Keeper: 2})
}
