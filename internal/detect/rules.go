package detect

import "github.com/abaton-health/abaton"

// view is one act against what is remembered of who asks.
type view struct {
	w       *Watch
	a       *Act
	t       *trail // never nil; a blank one for a stranger, which nobody writes to
	c       counts
	row     int
	profile *Profile
	id      uint64 // of the patient
	now     uint32
	crowded bool // there is no room for this stranger
}

// look is a glance with the counts.
func (w *Watch) look(a *Act) view {
	v := w.glance(a)
	v.c = v.t.count(v.id, v.now)
	return v
}

func (w *Watch) glance(a *Act) view {
	v := view{w: w, a: a, id: short(a.Patient), now: clock(a.Time), row: w.rows.of(a.Role, a.Program)}
	v.profile = &w.t.Profiles[v.row]
	if v.t = w.trails[a.Actor]; v.t == nil {
		v.t, v.crowded = w.blank, w.crowded(a)
	}
	return v
}

// fresh: not opened by this person in the last span seconds.
func (v *view) fresh(span uint32) bool {
	return v.c.here == nil || !within(v.now, v.c.here.last, span)
}

// unrelated: without a reason. An emergency has its own rule.
func (v *view) unrelated() bool { return !v.a.Related && !v.a.Emergency }

// newlyUnrelated: and not counted as such today. That a patient was opened
// with a reason this morning does not count for this evening.
func (v *view) newlyUnrelated() bool {
	return v.unrelated() && (v.c.here == nil || !within(v.now, v.c.here.unrelated, day))
}

// ask is a step-up, or what is left of it once it was given for this patient.
func (v *view) ask() Level {
	if v.a.Stepped {
		return Notify
	}
	for _, s := range v.t.steps {
		if s.patient == v.id && s.session == short(v.a.Session) && within(v.now, s.at, v.w.t.StepLife) {
			return Notify
		}
	}
	return StepUp
}

// askOnce is a step-up that one in this session answers, whatever the patient.
func (v *view) askOnce() Level {
	for _, s := range v.t.steps {
		if s.session == short(v.a.Session) && within(v.now, s.at, v.w.t.StepLife) {
			return Notify
		}
	}
	return v.ask()
}

// over is for a count with the act in it: more than the limit asks, more than
// twice the limit stops.
func (v *view) over(n int, limit uint16, stop Level) Level {
	switch {
	case n > 2*int(limit):
		return stop
	case n > int(limit):
		return v.ask()
	}
	return 0
}

// rate is D0: the generic cell rate algorithm (ITU-T I.371, annex A) over new
// patients.
func (v *view) rate() Level {
	if v.crowded {
		return Throttle
	}
	tolerance := int64(v.profile.Burst-1) * int64(v.profile.Every)
	if v.fresh(day) && 1000*int64(v.now) < v.t.due-tolerance {
		return Throttle
	}
	return 0
}

// volume is D1: different patients in ten minutes and in a day.
func (v *view) volume() (l Level) {
	if v.fresh(tenMinutes) {
		l = v.over(v.c.ten+1, v.profile.Volume, SuspendSession)
	}
	if v.fresh(day) {
		l = max(l, v.over(v.c.day+1, v.profile.Day, SuspendSession))
	}
	return l
}

// burst is D2: unrelated patients within an hour. Twice as many were opened
// with the person's own hand at each: it is the person who is stopped.
func (v *view) burst() Level {
	if !v.newlyUnrelated() {
		return 0
	}
	return v.over(v.c.unrelatedHour+1, v.profile.UnrelatedHour, SuspendPerson)
}

// slow is D3: unrelated patients in a day, and in a week.
func (v *view) slow() (l Level) {
	if !v.newlyUnrelated() {
		return 0
	}
	l = v.over(v.c.unrelatedDay+1, v.profile.UnrelatedDay, SuspendPerson)
	switch n := v.t.week(v.a.Patient, v.now) + 1; {
	case n > 2*int(v.profile.UnrelatedWeek):
		l = SuspendPerson
	case n == int(v.profile.UnrelatedWeek)+1:
		l = max(l, Log) // once, when the line is crossed
	}
	return l
}

// drift is D4: a one-sided cumulative sum over new patients (Page 1954), down by
// k for each with a reason and up by 1 - k for another: not at once, but when the
// look is Late and still without one. Most are told late, and a person who is
// sent to look should find something.
func (v *view) drift() Level {
	if v.drifted() > int32(v.w.t.DriftLimit) {
		return Log
	}
	return 0
}

func (v *view) drifted() int32 {
	s, slack := v.t.drift, int32(v.w.t.DriftSlack)
	if v.fresh(day) && !v.newlyUnrelated() {
		s = max(s-slack, 0)
	}
	return s + (100-slack)*int32(v.t.overdue(v.now, v.w.t.Late))
}

// enumeration is D5: refused at many patients, or asked for a step-up at many
// and not giving it. It holds for whatever comes within the span.
func (v *view) enumeration() Level {
	missed := v.t.misses.count(v.now, v.w.t.MissSpan)
	if denied(v.a.Refused) && !v.t.misses.has(v.id, v.now, v.w.t.MissSpan) {
		missed++
	}
	if missed >= int(v.w.t.Misses) || v.t.unanswered.count(v.now, v.w.t.MissSpan) >= int(v.w.t.Unanswered) {
		return SuspendSession
	}
	return 0
}

// denied: a reason that says no about this patient, to this person.
func denied(r abaton.Reason) bool {
	switch r {
	case abaton.ReasonNotFound, abaton.ReasonActor, abaton.ReasonGrant, abaton.ReasonPurpose, abaton.ReasonExpired,
		abaton.ReasonRevoked, abaton.ReasonBarred, abaton.ReasonFrozen, abaton.ReasonDormant:
		return true
	}
	return false
}

// delicate is D6.
func (v *view) delicate() Level {
	switch {
	case !v.a.Delicate:
		return 0
	case v.unrelated():
		return v.ask()
	case v.fresh(day):
		return Notify
	}
	return 0
}

// emergencies is D8: who uses up the right loses this session, so that what is
// left is ordinary care after signing in anew.
func (v *view) emergencies() Level {
	switch {
	case !v.a.Emergency || v.c.here != nil && within(v.now, v.c.here.emergency, eightHours):
		return 0
	case v.c.emergencies+1 > int(v.profile.Emergencies):
		return SuspendSession
	}
	return Notify
}

// offShift is D10.
func (v *view) offShift() Level {
	if v.a.OffShift && v.unrelated() && !v.a.Program {
		return v.ask()
	}
	return 0
}
