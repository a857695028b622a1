package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Simulation is what two texts say of the same requests: who gains and who
// loses.
type Simulation struct {
	V        int     `json:"v"`
	Before   string  `json:"before"` // name of the text in force, in hexadecimal
	After    string  `json:"after"`  // name of the text simulated
	Source   string  `json:"source"` // where the requests came from
	Requests int     `json:"requests"`
	Unknown  int     `json:"unknown"` // of them with facts that no keeper states
	Gained   int     `json:"gained"`
	Lost     int     `json:"lost"`
	Groups   []Group `json:"groups"` // those that gain or lose first, then by name
}

// Group is the requests of one kind of asker with the same roles, for one
// purpose at one level.
type Group struct {
	Kind     Kind           `json:"kind"`
	Roles    string         `json:"roles"` // joined by commas
	Purpose  abaton.Purpose `json:"purpose"`
	Level    int64          `json:"level"`
	Requests int            `json:"requests"`
	Before   int            `json:"before"` // permitted
	After    int            `json:"after"`
	Gained   int            `json:"gained"`
	Lost     int            `json:"lost"`
	By       []string       `json:"by,omitempty"` // rules of the new text that gain or lose; "-" where none permits
}

// Simulate holds both texts against every request as if both were in force.
func Simulate(before, after *Rules, source string, requests iter.Seq[*Facts]) *Simulation {
	old, next := always(before), always(after)
	s := &Simulation{V: 1, Before: fmt.Sprintf("%x", before.id), After: fmt.Sprintf("%x", after.id), Source: source}
	groups := make(map[groupName]*Group)
	by := make(map[*Group]map[string]bool)
	for f := range requests {
		s.Requests++
		if !f.Valid() {
			s.Unknown++
			continue
		}
		name := Group{Kind: f.Kind, Roles: strings.Join(f.Roles, ","), Purpose: f.Purpose, Level: f.Level}
		key := nameOf(name)
		g := groups[key]
		if g == nil {
			g = &name
			groups[key], by[g] = g, make(map[string]bool)
		}
		was, is := Decide(old, f), Decide(next, f)
		if rule := g.add(was, is); rule != "" {
			by[g][rule] = true
		}
	}
	for _, g := range groups {
		g.By = sorted(by[g])
		s.Gained, s.Lost = s.Gained+g.Gained, s.Lost+g.Lost
		s.Groups = append(s.Groups, *g)
	}
	slices.SortFunc(s.Groups, compareGroups)
	return s
}

// nameOf is what a group is found by.
func nameOf(g Group) groupName { return groupName{g.Kind, g.Roles, g.Purpose, g.Level} }

type groupName struct {
	kind    Kind
	roles   string
	purpose abaton.Purpose
	level   int64
}

func always(r *Rules) *Set { return &Set{rules: r, expires: math.MaxInt64} }

// add counts one request and names the rule that changed its answer.
func (g *Group) add(was, is Decision) (rule string) {
	g.Requests++
	if was.Permit {
		g.Before++
	}
	if is.Permit {
		g.After++
	}
	switch {
	case is.Permit && !was.Permit:
		g.Gained++
	case was.Permit && !is.Permit:
		g.Lost++
	default:
		return ""
	}
	if is.Rule == "" {
		return "-"
	}
	return is.Rule
}

func compareGroups(a, b Group) int {
	return cmp.Or(
		cmp.Compare(b.Gained+b.Lost, a.Gained+a.Lost),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Roles, b.Roles), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Level, b.Level))
}

// Digest names the simulation; it stands in the event that publishes the text.
func (s *Simulation) Digest() [32]byte { return wire.Hash(wire.Simulation, s.Marshal()) }

// Marshal is the simulation's one form: JSON.
func (s *Simulation) Marshal() []byte {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		panic("policy: a simulation is plain data")
	}
	return append(b, '\n')
}

// ErrSimulation is what ParseSimulation returns for anything but the one form.
var ErrSimulation = errors.New("not a simulation of this software")

// ParseSimulation reads a simulation as Marshal wrote it, byte for byte.
func ParseSimulation(data []byte) (*Simulation, error) {
	var s Simulation
	if json.Unmarshal(data, &s) != nil || s.V != 1 || string(s.Marshal()) != string(data) {
		return nil, ErrSimulation
	}
	return &s, nil
}

// Of reports whether it is the simulation of these two texts, over some
// requests.
func (s *Simulation) Of(before, after ID) bool {
	return s.Requests > s.Unknown && s.Before == fmt.Sprintf("%x", before) && s.After == fmt.Sprintf("%x", after)
}
