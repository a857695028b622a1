package main

import (
	"slices"

	"github.com/abaton-health/abaton"
)

const (
	illThousand   = 330 // of inpatients, those the night is told to look after
	readsOnWard   = 44  // of a nurse or physician in a shift, besides the first round
	ownThousand   = 850
	homeThousand  = 30 // of physicians look again from home, in the evening
	meetingCharts = 10
	deskReads     = 52
	reviewCharts  = 40  // of a quality review, in a day, from a list
	programCharts = 400 // of the research program, each night
	phoneThousand = 4   // of a clerk's reads: somebody rings, and the clerk looks
	programStarts = 1.5 // o'clock
)

// wardWork is the round at the beginning of a shift and the reads of the hours
// after it: mostly one's own patients, in bursts.
func (h *hospital) wardWork(d int) {
	for i := range h.now {
		s := &h.now[i]
		if h.w.units[s.unit].place != ward || s.role == abaton.RoleAssistant {
			continue
		}
		wards := []int{s.unit}
		if s.cover > 0 {
			first := slices.Index(h.w.wards, s.unit)
			wards = h.w.wards[first:min(first+s.cover, len(h.w.wards))]
		}
		own, others := h.divide(s, wards)
		h.firstRound(s, own, others)
		n := int(readsOnWard * h.w.people[s.person].pace)
		for range n {
			at := s.from + 40*minute + int64(h.at.Below(int(s.until-s.from-50*minute)))
			who := own
			if len(own) == 0 || !chance(h.at, ownThousand) {
				who = others
			}
			if len(who) == 0 {
				continue
			}
			p := who[h.at.Below(len(who))]
			if p.from-15*minute > at || p.until+hour < at {
				continue
			}
			h.reads(s, bedside, at, p.patient, 0)
			if chance(h.at, h.feed.aside) {
				h.aside(at, p.patient, s.unit)
			}
		}
		if s.role == abaton.RolePhysician && s.part == 0 && len(own) > 0 && chance(h.at, homeThousand) {
			h.fromHome(s, own)
		}
	}
}

// divide is who a shift's own patients are, and the ward's others.
func (h *hospital) divide(s *shift, wards []int) (own, others []stay) {
	n := 0
	for _, u := range wards {
		for _, st := range h.stays[u] {
			if st.from > s.until || st.until < s.from {
				continue
			}
			if n%s.of == s.index {
				own = append(own, st)
			} else {
				others = append(others, st)
			}
			n++
		}
	}
	return own, others
}

// firstRound reads one's own patients; half of all read the whole list. Who
// answers for several wards at night reads those who were handed over as ill.
func (h *hospital) firstRound(s *shift, own, others []stay) {
	list := own
	if h.at.Below(2) == 0 && s.cover == 0 {
		list = slices.Concat(own, others)
	}
	at := s.from + int64(h.at.Below(int(8*minute)))
	for _, st := range list {
		if s.cover > 0 && !chance(h.at, illThousand) {
			continue
		}
		if st.from-30*minute <= at && at < st.until {
			h.reads(s, rounds, at, st.patient, 0)
			at += 15*second + exponential(h.at, 20*second)
		}
	}
}

// fromHome is a physician who looks at own patients once more, on a device of
// the person's own, hours after the shift.
func (h *hospital) fromHome(s *shift, own []stay) {
	h.sessions++
	at := s.until + 3*hour + int64(h.at.Below(int(3*hour)))
	for i := range own[:min(len(own), 1+h.at.Below(4))] {
		h.acts = append(h.acts, act{at: at, who: s.person, patient: own[i].patient,
			session: h.sessions, device: int32(phones) + s.person, bits: unknown, task: fromHome})
		at += minute + exponential(h.at, minute)
	}
}

// meetings are on weekdays at four: people of several units look at the same
// patients, by an agenda that is told or not.
func (h *hospital) meetings(d int) {
	if weekend(d) {
		return
	}
	at := clock(d, 14)
	for range max(1, len(h.w.sizes[clinic])/3) {
		var there []*shift
		for range 5 {
			u := h.w.sizes[clinic][h.at.Below(len(h.w.sizes[clinic]))]
			if by := h.on(u, abaton.RolePhysician, at); by != nil && !slices.Contains(there, by) {
				there = append(there, by)
			}
		}
		for i := range meetingCharts {
			patient := h.anybody()
			// The agenda is an appointment of all who sit there, made the day before.
			told, ever := h.feed.when(h.at, appointment, clock(d, 9)-day)
			for _, by := range there {
				if ever {
					h.tells = append(h.tells, tell{told: told, from: clock(d, 9), until: clock(d, 24), patient: patient, whom: by.person, kind: appointment})
				}
				h.reads(by, meeting, at+int64(i)*5*minute+exponential(h.at, minute), patient, 0)
			}
		}
	}
}

// desk is those without patients of their own: clerks of wards, appointments,
// coding, quality review; and pharmacy, imaging and therapy for the clinics.
func (h *hospital) desk(d int) {
	for i := range h.now {
		s := &h.now[i]
		switch p := h.w.units[s.unit].place; {
		case p == archive && s.index == 1 && d%7 == 2:
			h.review(s, d)
		case p == archive && s.index%2 == 0:
			h.worklist(s, h.coding(s))
		case p == archive:
			h.ordered(s, true)
		case p == pharmacy || p == imaging || p == therapy:
			h.ordered(s, false)
		case p == ward && s.role == abaton.RoleAssistant:
			own, others := h.divide(s, []int{s.unit})
			h.worklist(s, slices.Concat(own, others))
		}
	}
}

// coding is the share of the discharged that one of the archive works on.
func (h *hospital) coding(s *shift) (all []stay) {
	for i, st := range h.gone {
		if i%((s.of+1)/2) == s.index/2 {
			all = append(all, st)
		}
	}
	return all
}

func (h *hospital) worklist(s *shift, list []stay) {
	if len(list) == 0 {
		return
	}
	turn := h.at.Below(len(list))
	n := int(deskReads * h.w.people[s.person].pace)
	at := s.from + 10*minute
	for i := range n {
		// Three looks at one, then the next: a list is worked through.
		h.reads(s, worklist, at, list[(turn+i/3)%len(list)].patient, 0)
		if chance(h.at, phoneThousand*h.feed.aside/8) {
			h.reads(s, phoned, at+30*second, h.anybody(), 0)
		}
		at += 3*minute + exponential(h.at, 5*minute)
	}
}

// ordered is what comes from clinics, all day: orders, or at the desk those who
// have an appointment soon, booked a day before or just now.
func (h *hospital) ordered(s *shift, booked bool) {
	at := s.from + 15*minute
	for at < s.until-10*minute {
		patient, known, why := h.anybody(), at-20*minute, order
		if booked {
			why = appointment
			if known = at - day; chance(h.at, walkInThousand) {
				known = at - 5*minute
			}
		}
		h.say(why, known, patient, team(s.unit), known, at+2*day)
		h.some(s, ordered, at, patient, 1+h.at.Below(4))
		at += 6*minute + exponential(h.at, 14*minute)
	}
}

// review reads a list in a day that was given to one person the day before.
func (h *hospital) review(s *shift, d int) {
	at := s.from + 30*minute
	for range reviewCharts {
		patient := h.anybody()
		h.say(order, clock(d, 7)-day, patient, s.person, clock(d, 7)-day, clock(d, 24))
		h.reads(s, review, at, patient, 0)
		at += 4*minute + exponential(h.at, 4*minute)
	}
}

// programs are the research program of the night, under a grant that names it.
func (h *hospital) programs(d int) {
	h.sessions++
	at := clock(d, programStarts)
	for range programCharts {
		h.acts = append(h.acts, act{at: at, who: int32(h.w.program), patient: h.anybody(), session: h.sessions,
			device: int32(phones) - 1, bits: batch | listed | unknown, task: program})
		at += 2*second + int64(h.at.Below(int(second)))
	}
}
