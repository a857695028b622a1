package main

import (
	"slices"

	"github.com/abaton-health/abaton/internal/detect"
)

// fixedRules are what hospitals go by: lists made each night of who opened
// kin, a neighbour, a colleague, somebody known, or more than 200 charts
// (the rules of Boxwala 2011). They refuse nothing.
type fixedRules struct {
	w     *world
	named map[int32]bool
	read  map[int32]map[int32]bool
}

const chartsADay = 200

func (*fixedRules) name() string { return "fixed rules, nightly" }

func (f *fixedRules) saw(a *act, d *detect.Act) {
	if d.Program || int(a.patient) >= len(f.w.patients) {
		return
	}
	if f.read[a.who] == nil {
		f.read[a.who] = make(map[int32]bool)
	}
	f.read[a.who][a.patient] = true
	next := f.w.patients[a.patient].household - f.w.patients[f.w.people[a.who].chart].household
	if f.w.delicate(a.who, a.patient) || next == 1 || next == -1 || len(f.read[a.who]) > chartsADay {
		f.named[a.who] = true
	}
}

func (f *fixedRules) night() (all []int32) {
	for who := range f.named {
		all = append(all, who)
	}
	clear(f.named)
	clear(f.read)
	slices.Sort(all)
	return all
}

// learned flags a day above the 99.95th percentile of the last fortnight's days
// of the same role, by charts opened and by charts without a reason. Nothing
// bounds what it learns, so that whoever is patient teaches it.
type learned struct {
	w     *world
	today map[int32]*tally
	past  map[string][][2]int // by role, the newest last
}

type tally struct {
	all, strange map[int32]bool
}

const (
	fortnightDays = 14 * 200 // of one role, at most
	fewDays       = 20       // below so many, nothing is known yet
)

func (*learned) name() string { return "learnt without caps, nightly" }

func (b *learned) saw(a *act, d *detect.Act) {
	if d.Program {
		return
	}
	t := b.today[a.who]
	if t == nil {
		t = &tally{make(map[int32]bool), make(map[int32]bool)}
		b.today[a.who] = t
	}
	t.all[a.patient] = true
	if !d.Related {
		t.strange[a.patient] = true
	}
}

func (b *learned) night() (named []int32) {
	var people []int32
	for who := range b.today {
		people = append(people, who)
	}
	slices.Sort(people)
	limit := make(map[string][2]int)
	for _, who := range people {
		role, t := b.w.people[who].role, b.today[who]
		if _, known := limit[role]; !known {
			limit[role] = top(b.past[role])
		}
		if l := limit[role]; l != [2]int{} && (len(t.all) > l[0] || len(t.strange) > l[1]) {
			named = append(named, who)
		}
	}
	for _, who := range people {
		role, t := b.w.people[who].role, b.today[who]
		b.past[role] = append(b.past[role], [2]int{len(t.all), len(t.strange)})
		if over := len(b.past[role]) - fortnightDays; over > 0 {
			b.past[role] = b.past[role][over:]
		}
	}
	clear(b.today)
	return named
}

// top is the 99.95th percentile of either.
func top(past [][2]int) (out [2]int) {
	if len(past) < fewDays {
		return out
	}
	for i := range out {
		var all []int
		for _, p := range past {
			all = append(all, p[i])
		}
		slices.Sort(all)
		out[i] = all[min(len(all)-1, len(all)*9995/10000)]
	}
	return out
}

func onlookers(w *world) []onlooker {
	return []onlooker{
		&fixedRules{w: w, named: make(map[int32]bool), read: make(map[int32]map[int32]bool)},
		&learned{w: w, today: make(map[int32]*tally), past: make(map[string][][2]int)},
	}
}
