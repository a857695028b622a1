package main

import (
	"cmp"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/dice"
)

const nurseRole = abaton.RoleNurse

// act is one request about one patient, as it happens.
type act struct {
	at           int64
	who, patient int32 // patient -1: one that there is not
	session      int64
	device       int32
	bits         bits
	task         task
	thief        int16 // of whom in the attack list, plus one; 0 for honest work
}

type bits uint8

const (
	urgently bits = 1 << iota // an emergency opening
	unknown                   // not on a roster now
	batch                     // by a program, under a grant that names it
	listed                    // by a grant or a list that names the person
	denied                    // refused before the watch: not found, or no grant
)

// hospital is a world at work under one feed.
type hospital struct {
	w        *world
	feed     feed
	sessions int64
	days     int

	stays  map[int][]stay // by ward
	gone   []stay         // discharged lately
	before []shift        // yesterday's, for the small hours
	now    []shift
	tells  []tell // told later than the day that made them
	acts   []act  // of the small hours of tomorrow
	at     *dice.Dice
}

// stay is an admission.
type stay struct {
	patient     int32
	from, until int64
	moved       bool // to another ward, where the stay goes on
}

func newHospital(w *world, f feed, days int) *hospital {
	return &hospital{w: w, feed: f, days: days, stays: make(map[int][]stay)}
}

// next is all that happens on a day, in order; days come one after the other.
func (h *hospital) next(d int) (acts []act, tells []tell) {
	h.at = h.w.dice('d', d)
	h.before, h.now = h.now, h.roster(d)
	h.flow(d)
	h.ambulatory(d)
	h.emergencies(d)
	h.handovers()
	h.wardWork(d)
	h.meetings(d)
	h.desk(d)
	h.programs(d)
	end := clock(d+1, 0)
	acts, h.acts = part(h.acts, end, func(a *act) int64 { return a.at })
	tells, h.tells = part(h.tells, end, func(t *tell) int64 { return t.told })
	slices.SortStableFunc(acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(tells, func(a, b tell) int { return cmp.Compare(a.told, b.told) })
	return acts, tells
}

// part splits off what happens before end.
func part[T any](all []T, end int64, when func(*T) int64) (before, after []T) {
	for i := range all {
		if when(&all[i]) < end {
			before = append(before, all[i])
		} else {
			after = append(after, all[i])
		}
	}
	return before, after
}

// say tells a relation, as well as the feed does, from a time it was known.
func (h *hospital) say(k kind, known int64, patient, whom int32, from, until int64) {
	if told, ever := h.feed.when(h.at, k, known); ever {
		h.tells = append(h.tells, tell{told: told, from: from, until: until, patient: patient, whom: whom, kind: k})
	}
}

// reads lets somebody on shift open a patient's record, or now and then, by
// mistake, another's.
func (h *hospital) reads(s *shift, why task, at int64, patient int32, b bits) {
	if at < s.from-10*minute || at >= s.until {
		return
	}
	if chance(h.at, h.feed.slip) {
		patient, why = h.anybody(), slip
	}
	if s.unknown {
		b |= unknown
	}
	device, session := s.where(at)
	h.acts = append(h.acts, act{at: at, who: s.person, patient: patient, session: session, device: device, bits: b, task: why})
}

// some is a few reads in a row: the chart, then results, then the chart.
func (h *hospital) some(s *shift, why task, at int64, patient int32, n int) {
	for range n {
		h.reads(s, why, at, patient, 0)
		at += 20*second + exponential(h.at, 2*minute)
	}
}

func (h *hospital) anybody() int32 { return int32(h.at.Below(len(h.w.patients))) }

// on is somebody of a role at work in a unit at a time, nil when nobody is.
func (h *hospital) on(u int, role string, at int64) *shift {
	var all []*shift
	for _, day := range [][]shift{h.now, h.before} {
		for i := range day {
			if s := &day[i]; s.unit == u && (role == "" || s.role == role) && s.from <= at && at < s.until {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[h.at.Below(len(all))]
}
