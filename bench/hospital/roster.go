package main

import "github.com/abaton-health/abaton/internal/dice"

// shift is one person at work.
type shift struct {
	person      int32
	role        string
	unit        int // where, which is not the home of one from the pool
	index, of   int // which of the equals in this shift
	part        int // 0 day, 1 evening, 2 night
	from, until int64
	cover       int   // wards that this one answers for
	unknown     bool  // swapped with another: no roster knows it
	stale       bool  // from the pool: no roster says where
	session     int64 // at the computer where it began
	device      int32
	moves       []move // to other computers, in order
}

// move is when somebody goes on at another computer of the unit, with a session
// of its own there: a session never moves.
type move struct {
	at     int64
	device int32
}

// Shifts overlap by a quarter of an hour, in which they hand over.
var parts = [3]struct{ from, until float64 }{{7, 15.25}, {15, 23.25}, {23, 31.25}}

const (
	sickThousandth    = 30  // of nurses' shifts on wards go to the pool
	swappedThousandth = 2   // of shifts are swapped and no roster knows it
	devicesEach       = 6   // computers of a unit
	movesEach         = 4   // in a shift on a ward or with emergencies
	backThousand      = 150 // of moves are one look elsewhere, and back within minutes
	phones            = 1e6 // from here on, devices are of one person
)

// roster is who works on a day, by the rotation of each group: with S slots a
// day, day d takes the S positions after those of day d-1. Each works some days
// and is off some, and nobody follows a night with a day.
func (h *hospital) roster(d int) (all []shift) {
	throw := h.w.dice('r', d)
	free := make(map[int][]int32) // of the pool, by part
	for u := range h.w.units {
		for _, g := range h.w.units[u].groups {
			if g.weekdays && weekend(d) {
				continue
			}
			for i, at := range onDuty(&g, d) {
				s := shift{person: int32(h.w.holder(at, d)), role: g.role, unit: u, cover: g.cover}
				s.part, s.index, s.of = partOf(&g, i)
				if h.w.units[u].place == pool {
					free[s.part] = append(free[s.part], s.person)
					continue
				}
				all = append(all, s)
			}
		}
	}
	for i := range all {
		s := &all[i]
		if pl := h.w.units[s.unit].place; pl == ward && len(free[s.part]) > 0 && s.role == nurseRole && chance(throw, sickThousandth) {
			last := len(free[s.part]) - 1
			s.person, free[s.part] = free[s.part][last], free[s.part][:last]
			s.stale = chance(throw, h.feed.stale)
		}
		s.unknown = chance(throw, swappedThousandth)
		s.from, s.until = clock(d, parts[s.part].from), clock(d, parts[s.part].until)
		h.sessions++
		s.session = h.sessions
		s.device = int32(s.unit*devicesEach + throw.Below(devicesEach))
		if pl := h.w.units[s.unit].place; pl == ward || pl == urgent {
			s.roam(throw)
		}
	}
	return all
}

// roam makes the moves of a shift.
func (s *shift) roam(d *dice.Dice) {
	at, here := s.from, s.device
	for range movesEach {
		at += exponential(d, (s.until-s.from)/movesEach)
		if at >= s.until {
			return
		}
		to := here/devicesEach*devicesEach + int32(d.Below(devicesEach))
		s.moves = append(s.moves, move{at, to})
		if chance(d, backThousand) {
			at += minute + exponential(d, 2*minute)
			s.moves = append(s.moves, move{at, here})
			continue
		}
		here = to
	}
}

// where is the computer at which somebody reads at a time, and the session
// there.
func (s *shift) where(at int64) (device int32, session int64) {
	device = s.device
	for _, m := range s.moves {
		if m.at > at {
			break
		}
		device = m.device
	}
	if device == s.device {
		return device, s.session
	}
	return device, s.session + int64(device%devicesEach+1)<<40
}

// onDuty is the positions of a group that work on a day, in the order of slots.
func onDuty(g *group, d int) (all []int) {
	need, n := g.slots[0]+g.slots[1]+g.slots[2], len(g.positions)
	if g.weekdays {
		d = d/7*5 + d%7
	}
	for slot := range need {
		all = append(all, g.positions[(need*d+slot)%n])
	}
	return all
}

// partOf is the part of the day that slot i of a group is in, which one it is
// there, and of how many.
func partOf(g *group, i int) (part, index, of int) {
	for part, n := range g.slots {
		if i < n {
			return part, i, n
		}
		i -= n
	}
	return 2, 0, 1
}
