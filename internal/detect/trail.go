package detect

import (
	"slices"

	"github.com/abaton-health/abaton"
)

// trail is what is remembered of one person or program.
type trail struct {
	organisation abaton.ActorID
	program      bool
	row          uint8  // of Thresholds.Profiles, at the newest act
	seen         uint32 // the newest act, refused or not
	settled      uint32 // when settle last went over it
	last         uint64 // the session of the newest act, refused or not
	pairs        []pair // the patients of the last day, in no order
	opens        []open // the unrelated ones of the last week

	due   int64 // D0: milliseconds; when the next new patient would be on time
	drift int32 // D4: the sum, in hundredths

	misses, unanswered misses // D5
	steps              [stepsKept]stepped
	sessions           [sessionsKept]place // D7
	devices            [devicesKept]known
	returned           uint32 // when last back from another device
	current            uint8  // of sessions: where the newest opening was

	hour                uint32 // D11: since 1970
	hourNew, hourTaught uint16
	taught              uint8  // the row that this hour teaches
	factor              uint16 // D11: this person's share of the role's mean, in thousandths
}

// How many of each are kept, the newest: a person has two hands.
const (
	stepsKept    = 8
	sessionsKept = 4
	devicesKept  = 12
)

// pair is one patient whom this person opened. Times are zero for never.
type pair struct {
	id        uint64
	last      uint32
	unrelated uint32 // when opened without a reason, newly for that day
	emergency uint32 // when opened in an emergency, newly for those eight hours
}

// open is one unrelated patient by name, until a reason comes.
type open struct {
	patient   abaton.ActorID
	session   abaton.SessionID
	at        uint32
	emergency bool
	counted   bool // by D4
}

// stepped: a fresh assertion for this patient in this session.
type stepped struct {
	patient, session uint64
	at               uint32
}

// counts are how many other patients than the one asked for there are.
type counts struct {
	here                        *pair // the one asked for, if opened in the last day
	ten, day                    int
	unrelatedHour, unrelatedDay int
	emergencies                 int
}

func (t *trail) count(id uint64, now uint32) (c counts) {
	ten, today := since(now, tenMinutes), since(now, day)
	recent, shift := since(now, hour), since(now, eightHours)
	for i := range t.pairs {
		p := &t.pairs[i]
		if p.last <= today {
			continue
		}
		if p.id == id {
			c.here = p
			continue
		}
		c.day++
		if p.last > ten {
			c.ten++
		}
		if p.unrelated > today {
			c.unrelatedDay++
			if p.unrelated > recent {
				c.unrelatedHour++
			}
		}
		if p.emergency > shift {
			c.emergencies++
		}
	}
	return c
}

// seek finds the pair of a patient, and the one that was not opened for longest.
func (t *trail) seek(id uint64) (here, oldest *pair) {
	for i := range t.pairs {
		p := &t.pairs[i]
		if p.id == id {
			return p, nil
		}
		if oldest == nil || p.last < oldest.last {
			oldest = p
		}
	}
	return nil, oldest
}

// pair counts an opening; here and oldest are what seek found.
func (t *trail) pair(a *Act, here, oldest *pair, now uint32) {
	if here == nil {
		here = t.room(oldest, now)
		*here = pair{id: short(a.Patient)}
	}
	here.last = max(here.last, now)
	if !a.Related && !a.Emergency && !within(now, here.unrelated, day) {
		here.unrelated = now
	}
	if a.Emergency && !within(now, here.emergency, eightHours) {
		here.emergency = now
	}
}

// room gives the place for one pair more: of one that is over, free, grown, or
// the oldest one's.
func (t *trail) room(oldest *pair, now uint32) *pair {
	most := PairsMax
	if t.program {
		most = ProgramPairsMax
	}
	if oldest != nil && (!within(now, oldest.last, day) || len(t.pairs) >= most) {
		return oldest
	}
	if len(t.pairs) == cap(t.pairs) {
		grown := make([]pair, len(t.pairs), min(most, max(16, 2*cap(t.pairs))))
		copy(grown, t.pairs)
		t.pairs = grown
	}
	t.pairs = t.pairs[:len(t.pairs)+1]
	return &t.pairs[len(t.pairs)-1]
}

// open remembers an unrelated opening by name, once in a week.
func (t *trail) open(a *Act, now uint32) {
	t.opens = slices.DeleteFunc(t.opens, func(o open) bool {
		return !within(now, o.at, week)
	})
	for i := range t.opens {
		if o := &t.opens[i]; o.patient == a.Patient {
			o.emergency = o.emergency && a.Emergency
			return
		}
	}
	if len(t.opens) >= OpensMax {
		t.opens = slices.Delete(t.opens, 0, 1)
	}
	if len(t.opens) == cap(t.opens) {
		t.opens = append(make([]open, 0, min(OpensMax, max(4, 2*cap(t.opens)))), t.opens...)
	}
	t.opens = append(t.opens, open{patient: a.Patient, session: a.Session, at: now, emergency: a.Emergency})
}

// week counts the unrelated patients of the last week besides this one.
func (t *trail) week(patient abaton.ActorID, now uint32) (n int) {
	for i := range t.opens {
		if o := &t.opens[i]; !o.emergency && o.patient != patient && within(now, o.at, week) {
			n++
		}
	}
	return n
}

// overdue counts the unrelated patients whose reason should have come by now,
// and of whom D4 does not know.
func (t *trail) overdue(now, late uint32) (n int) {
	for i := range t.opens {
		if t.opens[i].overdue(now, late) {
			n++
		}
	}
	return n
}

func (o *open) overdue(now, late uint32) bool {
	return !o.counted && !o.emergency && within(now, o.at, week) && !within(now, o.at, late)
}

// counted: D4 has taken them in.
func (t *trail) counted(now, late uint32) {
	for i := range t.opens {
		if o := &t.opens[i]; o.overdue(now, late) {
			o.counted = true
		}
	}
}

// forget: there was a reason to open this patient.
func (t *trail) forget(patient abaton.ActorID) {
	t.opens = slices.DeleteFunc(t.opens, func(o open) bool { return o.patient == patient })
}

func (t *trail) step(patient, session uint64, now uint32) {
	at := &t.steps[0]
	for i := range t.steps {
		s := &t.steps[i]
		if s.patient == patient && s.session == session {
			at = s
			break
		}
		if s.at < at.at {
			at = s
		}
	}
	*at = stepped{patient, session, now}
}

// pace moves the time on which D0 goes by one new patient.
func (t *trail) pace(p *Profile, now uint32) {
	t.due = max(t.due, 1000*int64(now)) + int64(p.Every)
}

// settle forgets what lies further back than any rule looks, and what a clock
// that ran ahead left behind.
func (t *trail) settle(now uint32, p Profile) {
	t.settled = now
	t.pairs = slices.DeleteFunc(t.pairs, func(p pair) bool { return !within(now, p.last, day) || ahead(now, p.last) })
	if len(t.pairs) == 0 {
		t.pairs = nil
	}
	t.opens = slices.DeleteFunc(t.opens, func(o open) bool { return !within(now, o.at, week) || ahead(now, o.at) })
	if len(t.opens) == 0 {
		t.opens = nil
	}
	t.due = min(t.due, 1000*int64(now)+int64(p.Burst)*int64(p.Every))
	if ahead(now, t.seen) {
		t.seen = now
	}
}

// ahead: later than any healthy clock says now.
func ahead(now, t uint32) bool { return t > now && t-now > hour }
