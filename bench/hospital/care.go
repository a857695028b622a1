package main

import (
	"slices"

	"github.com/abaton-health/abaton"
)

const (
	stayMean          = 4   // days, geometric
	occupiedThousand  = 850 // of beds
	urgentEach        = 90  // emergencies a day and department
	walkInThousand    = 80  // of appointments are made on the day
	consultThousand   = 150 // of inpatients a day are seen by a specialist
	transferThousand  = 50  // of inpatients a day go to another ward
	orderThousand     = 700 // of inpatients a day, each of pharmacy, imaging and therapy
	unconsciousNumber = 30  // of a thousand emergencies are opened without a grant
	codingDays        = 4   // after a discharge, in which it is coded
	followThousand    = 40  // of emergencies a colleague looks up later, out of interest
)

// flow discharges and admits, moves, refers and orders.
func (h *hospital) flow(d int) {
	h.gone = slices.DeleteFunc(h.gone, func(s stay) bool { return s.until < clock(d, 0)-codingDays*day })
	for _, u := range h.w.wards {
		stays := h.stays[u][:0]
		for _, s := range h.stays[u] {
			if s.until > clock(d, 0)-day {
				stays = append(stays, s)
			} else if !s.moved {
				h.gone = append(h.gone, s)
			}
		}
		h.stays[u] = stays
		here := 0
		for _, s := range stays {
			if s.until > clock(d, 20) {
				here++
			}
		}
		for here < beds*occupiedThousand/1000 {
			at := clock(d, 10) + int64(h.at.Below(int(9*hour)))
			if d == 0 {
				at = clock(0, 0) + int64(here)*minute
			}
			h.admit(u, h.anybody(), at)
			here++
		}
		for i := range h.stays[u] {
			h.duringStay(u, &h.stays[u][i], d)
		}
	}
}

// admit puts a patient in a bed: the ward's team is told for the stay and the
// paperwork after it.
func (h *hospital) admit(u int, patient int32, at int64) {
	days := 1
	for h.at.Below(stayMean) != 0 && days < 30 {
		days++
	}
	until := at + int64(days)*day - hour - int64(h.at.Below(int(4*hour)))
	h.stays[u] = append(h.stays[u], stay{patient: patient, from: at, until: until})
	h.say(admission, at-30*minute, patient, team(u), at-30*minute, until+day)
	// Coding and bills come when the patient has gone.
	h.say(order, until, patient, team(h.w.sizes[archive][0]), until, until+(codingDays+2)*day)
}

// duringStay is what a day brings to an inpatient besides the ward.
func (h *hospital) duringStay(u int, s *stay, d int) {
	at := clock(d, 8) + int64(h.at.Below(int(9*hour)))
	if at < s.from || at >= s.until {
		return
	}
	if chance(h.at, consultThousand) {
		h.consult(s.patient, at)
	}
	for _, p := range []place{pharmacy, imaging, therapy} {
		if chance(h.at, orderThousand) {
			to := h.w.sizes[p][0]
			h.say(order, at, s.patient, team(to), at, at+2*day)
			later := at + 10*minute + exponential(h.at, 40*minute)
			if by := h.on(to, "", later); by != nil {
				h.some(by, ordered, later, s.patient, 2+h.at.Below(6))
			}
		}
	}
	if chance(h.at, transferThousand) && len(h.w.wards) > 1 {
		to := h.w.wards[h.at.Below(len(h.w.wards))]
		if to != u {
			h.stays[to] = append(h.stays[to], stay{patient: s.patient, from: at, until: s.until})
			h.say(admission, at-30*minute, s.patient, team(to), at-30*minute, s.until+day)
			s.until, s.moved = at, true
		}
	}
}

// consult is a referral: a specialist reads, told or not.
func (h *hospital) consult(patient int32, at int64) {
	to := h.w.sizes[clinic][h.at.Below(len(h.w.sizes[clinic]))]
	later := at + 20*minute + exponential(h.at, hour)
	by := h.on(to, abaton.RolePhysician, later)
	if by == nil {
		return
	}
	h.say(referral, at, patient, by.person, at, at+14*day)
	h.some(by, consult, later, patient, 3+h.at.Below(4))
}

// ambulatory is the clinics: a list for each physician, made days ahead or on
// the day, and a nurse beside.
func (h *hospital) ambulatory(d int) {
	for i := range h.now {
		s := &h.now[i]
		if h.w.units[s.unit].place != clinic {
			continue
		}
		if s.role == nurseRole {
			continue // reads with the physicians below
		}
		for at := s.from + hour + int64(h.at.Below(int(20*minute))); at < s.until-40*minute; at += 18*minute + exponential(h.at, 6*minute) {
			patient := h.anybody()
			known := at - day
			if chance(h.at, walkInThousand) {
				known = at - 5*minute
			}
			h.say(appointment, known, patient, team(s.unit), min(known, at-hour), at+7*day)
			h.some(s, visit, at, patient, 3+h.at.Below(4))
			if by := h.on(s.unit, nurseRole, at); by != nil {
				h.some(by, visit, at-4*minute, patient, 3+h.at.Below(3))
			}
			if chance(h.at, h.feed.aside) {
				h.aside(at+10*minute, patient, s.unit)
			}
		}
	}
}

// aside is a question to somebody who has nothing to do with the patient.
func (h *hospital) aside(at int64, patient int32, not int) {
	u := h.at.Below(len(h.w.units))
	if p := h.w.units[u].place; u == not || p == archive || p == pool {
		return
	}
	if by := h.on(u, abaton.RolePhysician, at); by != nil {
		h.some(by, aside, at, patient, 1+h.at.Below(2))
	}
}

// emergencies come at all hours; two nurses and two physicians see each.
func (h *hospital) emergencies(d int) {
	for _, u := range h.w.sizes[urgent] {
		n := urgentEach + h.at.Below(21) - 10
		for i := range n {
			at := clock(d, 0) + int64(h.at.Below(int(day)))
			if i%3 > 0 { // most by day
				at = clock(d, 9) + int64(h.at.Below(int(13*hour)))
			}
			h.emergency(u, at, false)
		}
		if d == casualtyDay {
			for range 2 * urgentEach {
				h.emergency(u, clock(d, 10)+int64(h.at.Below(int(6*hour))), true)
			}
		}
	}
}

func (h *hospital) emergency(u int, at int64, rush bool) {
	patient := h.anybody()
	known := at
	if rush && chance(h.at, 500) {
		known += 30 * minute
	}
	h.say(registration, known, patient, team(u), min(known, at), at+day)
	nurse, doctor := h.on(u, nurseRole, at), h.on(u, abaton.RoleEmergency, at+8*minute)
	if doctor != nil {
		b := bits(0)
		if chance(h.at, unconsciousNumber) {
			b = urgently
		}
		h.reads(doctor, accident, at+8*minute, patient, b)
		h.some(doctor, accident, at+10*minute, patient, 4+h.at.Below(5))
	}
	if nurse != nil {
		h.some(nurse, accident, at+2*minute, patient, 4+h.at.Below(5))
	}
	if second := h.on(u, nurseRole, at+90*minute); second != nil {
		h.some(second, accident, at+90*minute, patient, 2+h.at.Below(3))
	}
	if second := h.on(u, abaton.RoleEmergency, at+2*hour); second != nil {
		h.some(second, accident, at+2*hour, patient, 1+h.at.Below(3))
	}
	if doctor != nil && chance(h.at, followThousand*h.feed.aside/8) {
		h.reads(doctor, follow, doctor.until-30*minute-int64(h.at.Below(int(hour))), patient, 0)
	}
}

// handovers name the wards' patients to the one physician of the night, and
// move pool nurses to the wards they help on: a day's list, told or stale.
func (h *hospital) handovers() {
	for i := range h.now {
		s := &h.now[i]
		switch {
		case s.cover > 0:
			first := slices.Index(h.w.wards, s.unit)
			for _, u := range h.w.wards[first:min(first+s.cover, len(h.w.wards))] {
				h.list(s, u)
			}
		case h.w.people[s.person].unit != s.unit && !s.stale:
			h.list(s, s.unit)
		}
	}
}

// list tells of a ward's patients that one person has them for this shift.
func (h *hospital) list(s *shift, u int) {
	for _, st := range h.stays[u] {
		if st.from < s.until && st.until > s.from {
			h.say(handover, max(st.from, s.from-30*minute), st.patient, s.person, s.from-30*minute, s.until)
		}
	}
}
