package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
)

// cover is what stopping somebody, or a device, breaks: shown before a person
// orders it.
type cover struct {
	V         int            `json:"v"`
	Who       string         `json:"who"`
	Actor     string         `json:"actor"`
	Does      string         `json:"does"` // what would be done
	Sessions  []coverSession `json:"sessions"`
	Teams     []coverTeam    `json:"teams"`
	Duties    []string       `json:"duties"`   // shifts that end with it
	Granted   uint64         `json:"granted"`  // patients who ever gave something to this one by name
	InCare    uint64         `json:"inCare"`   // patients opened with a known reason in 24 h, at least
	Programs  []string       `json:"programs"` // that nobody answers for any more
	Emergency []string       `json:"emergency"`
	OnNow     []string       `json:"emergencyNow"`
	Second    []string       `json:"secondNow"` // who can agree as a second clinician, signed in now
	Says      []string       `json:"says"`      // the same in words, not stable
	Undo      string         `json:"undo"`
}

// coverSession is a session that ends.
type coverSession struct {
	Session string `json:"session"`
	Who     string `json:"who"`
	Device  string `json:"device,omitempty"`
	Role    string `json:"role,omitempty"`
	Expires uint64 `json:"expires"` // unix seconds
}

// coverTeam is a team that loses somebody.
type coverTeam struct {
	Team string   `json:"team"`
	Left []string `json:"left"`    // others in it now
	Now  []string `json:"leftNow"` // of them signed in now
}

// losing gathers a cover.
type losing struct {
	m       *employer
	p       *people.Person
	now     time.Time
	log     *actor.State
	known   map[abaton.ActorID]string
	present map[abaton.ActorID]bool // signed in, besides p
	out     *cover
}

// cover asks keepers and key logs what stopping p would break.
func (m *employer) cover(ctx context.Context, p *people.Person, does, undo string) (*cover, error) {
	answers, err := m.net.Steer(ctx, m.ID, p.ID)
	if err != nil {
		return nil, err
	}
	m.net.Refresh(m.ID)
	log, err := m.net.Log(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	known, err := namesWithTeams(m.at)
	if err != nil {
		return nil, err
	}
	l := &losing{m: m, p: p, now: time.Now(), log: log, known: known, present: make(map[abaton.ActorID]bool), out: &cover{V: 1,
		Who: p.Handle, Actor: p.ID.String(), Does: does, Undo: undo, Sessions: []coverSession{}, Teams: []coverTeam{}, Duties: []string{},
		Programs: []string{}, Emergency: []string{}, OnNow: []string{}, Second: []string{}}}
	l.sessions(answers)
	l.out.Granted = reached(answers, func(a *client.Steered) uint64 { return a.Granted })
	l.out.InCare = reached(answers, func(a *client.Steered) uint64 { return a.InCare })
	if p.Kind != actor.Device { // at another device the person goes on
		if err := l.duties(ctx); err != nil {
			return nil, err
		}
		l.teams()
		l.members()
	}
	l.say()
	return l.out, nil
}

// reached is the most that two keepers say: one may make it up.
func reached(answers []client.Steered, of func(*client.Steered) uint64) uint64 {
	var all []uint64
	for i := range answers {
		all = append(all, of(&answers[i]))
	}
	slices.Sort(all)
	if len(all) < 2 {
		return 0
	}
	return all[len(all)-2]
}

// sessions are those that any keeper has: what is not there costs nothing.
func (l *losing) sessions(answers []client.Steered) {
	told := make(map[abaton.SessionID]keeper.SignedIn)
	for _, a := range answers {
		for _, s := range a.SignedIn {
			told[s.Session] = s
		}
	}
	for id, s := range told {
		if s.Actor != l.p.ID && s.Device != l.p.ID {
			if l.log.Member(s.Actor, l.now) != nil {
				l.present[s.Actor] = true
			}
			continue
		}
		one := coverSession{Session: id.String(), Who: nameOf(l.known, s.Actor), Role: s.Role, Expires: s.Expires}
		if s.Device != (abaton.ActorID{}) {
			one.Device = nameOf(l.known, s.Device)
		}
		l.out.Sessions = append(l.out.Sessions, one)
	}
	slices.SortFunc(l.out.Sessions, func(a, b coverSession) int { return strings.Compare(a.Session, b.Session) })
}

// teams are those that p is in now.
func (l *losing) teams() {
	for _, t := range l.log.Teams() {
		if !l.log.Seated(t.Team, l.p.ID, l.now) {
			continue
		}
		c := coverTeam{Team: strings.TrimPrefix(nameOf(l.known, t.Team), "team "), Left: []string{}, Now: []string{}}
		for _, s := range t.Seats {
			if s.Actor == l.p.ID || !l.log.Seated(t.Team, s.Actor, l.now) {
				continue
			}
			c.Left = append(c.Left, nameOf(l.known, s.Actor))
			if l.present[s.Actor] {
				c.Now = append(c.Now, nameOf(l.known, s.Actor))
			}
		}
		slices.Sort(c.Left)
		slices.Sort(c.Now)
		l.out.Teams = append(l.out.Teams, c)
	}
}

// duties are shifts that p handed on, and those that colleagues of p's teams
// handed to p.
func (l *losing) duties(ctx context.Context) error {
	ids := []abaton.ActorID{l.p.ID}
	for _, t := range l.log.Teams() {
		for _, s := range t.Seats {
			if l.log.Member(s.Actor, l.now) != nil && !slices.Contains(ids, s.Actor) {
				ids = append(ids, s.Actor)
			}
		}
	}
	l.m.net.Refresh(ids...)
	logs, err := l.m.net.Logs(ctx, ids...)
	if err != nil {
		return err
	}
	for giver, log := range logs {
		if log == nil {
			continue
		}
		for _, d := range log.Duties(l.now) {
			if giver == l.p.ID || d.To == l.p.ID {
				l.out.Duties = append(l.out.Duties, nameOf(l.known, d.To)+" in the place of "+nameOf(l.known, giver)+" in "+
					nameOf(l.known, d.Team)+" until "+clockTime(uint64(d.Until)))
			}
		}
	}
	slices.Sort(l.out.Duties)
	return nil
}

// members are the programs that p answers for, and who is left for emergencies.
func (l *losing) members() {
	for _, b := range l.log.Members() {
		m := l.log.Member(b.Actor, l.now)
		if m == nil || b.Actor == l.p.ID {
			continue
		}
		name := nameOf(l.known, b.Actor)
		if m.Program() {
			if m.Sponsor == l.p.ID {
				l.out.Programs = append(l.out.Programs, name)
			}
			continue
		}
		if m.Holds(abaton.RoleEmergency) {
			l.out.Emergency = append(l.out.Emergency, name)
			if l.present[b.Actor] {
				l.out.OnNow = append(l.out.OnNow, name)
			}
		}
		if l.present[b.Actor] && reads(m) {
			l.out.Second = append(l.out.Second, name)
		}
	}
	for _, all := range [][]string{l.out.Programs, l.out.Emergency, l.out.OnNow, l.out.Second} {
		slices.Sort(all)
	}
}

// reads reports whether a member may open records, as a person.
func reads(m *actor.Member) bool {
	return slices.ContainsFunc(m.Roles, func(name string) bool {
		r, ok := abaton.RoleOf(name)
		return ok && r.Reads && r.Human
	})
}
