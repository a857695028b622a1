package detect

import (
	"encoding/binary"
	"math"

	"github.com/abaton-health/abaton"
)

// Spans of the rules, in seconds (docs/DETECTION.md).
const (
	minute     = 60
	tenMinutes = 10 * minute
	hour       = 60 * minute
	eightHours = 8 * hour
	day        = 24 * hour
	week       = 7 * day
	month      = 30 * day
)

// Watch is one keeper's memory of what it was asked. The zero Watch finds
// everything to suspend; New makes a useful one.
type Watch struct {
	t         Thresholds
	rows      rows
	blank     *trail // a stranger's
	trails    map[abaton.ActorID]*trail
	members   map[abaton.ActorID]int // trails by organisation
	readers   map[uint64]readers     // by patient
	desks     map[uint64]desk        // by device
	baselines []baseline             // by row of t.Profiles
}

// New gives an empty memory that goes by t. If t is not valid, Default is
// taken: a keeper is never without rules.
func New(t Thresholds) *Watch {
	if t.Valid() != nil {
		t = Default().without(t.off)
	}
	return &Watch{
		t: t, rows: t.rows(), blank: &trail{factor: one}, trails: make(map[abaton.ActorID]*trail), members: make(map[abaton.ActorID]int),
		readers: make(map[uint64]readers), desks: make(map[uint64]desk), baselines: make([]baseline, len(t.Profiles)),
	}
}

// Judge says what holds for this act, given what was noted before, as if it
// were released now. It changes nothing. A level of StepUp is no longer asked
// for when the act is Stepped, or its patient was opened with a step-up in the
// same session within StepLife: what is left is Notify, with the same rules.
func (w *Watch) Judge(a *Act) (f Finding) {
	if w.trails == nil || a.Opens && !a.named() {
		return Finding{Level: SuspendSession, Rules: Of(D7)} // a session of nobody
	}
	off := w.t.off
	if a.Honey {
		f.add(D9, SuspendPerson, off)
	}
	if a.own() {
		return f
	}
	v := w.look(a)
	f.add(D5, v.enumeration(), off)
	if a.Refused != "" {
		return f
	}
	f.add(D7, v.places(), off)
	if !a.Opens || a.Renewal {
		return f
	}
	f.add(D0, v.rate(), off)
	f.add(D1, v.volume(), off)
	f.add(D2, v.burst(), off)
	f.add(D3, v.slow(), off)
	f.add(D4, v.drift(), off)
	f.add(D6, v.delicate(), off)
	f.add(D8, v.emergencies(), off)
	f.add(D10, v.offShift(), off)
	f.add(D11, v.surprise(), off)
	f.add(D12, v.readers(), off)
	return f
}

// Note takes the act in, after the decision. Released acts that open count;
// what was refused counts for D5 alone.
func (w *Watch) Note(a *Act, released bool) {
	if w.trails == nil || !a.named() || a.own() || a.Renewal {
		return
	}
	missed, unanswered := denied(a.Refused), a.Refused == abaton.ReasonStepUp
	if a.Refused == "" && !released && a.Opens {
		unanswered = w.Judge(a).Level == StepUp
	}
	counts := released && a.Opens && a.Refused == ""
	if !missed && !unanswered && !counts {
		return
	}
	t := w.trailOf(a)
	if t == nil {
		return // no room: Judge throttles whoever has no trail
	}
	now := clock(a.Time)
	t.seen, t.last = max(t.seen, now), short(a.Session)
	switch {
	case missed:
		t.misses.add(short(a.Patient), now)
	case unanswered:
		t.unanswered.add(short(a.Patient), now)
	default:
		w.take(t, a, now)
	}
}

// take counts a released opening.
func (w *Watch) take(t *trail, a *Act, now uint32) {
	v := w.glance(a)
	here, oldest := t.seek(v.id)
	if here != nil && within(now, here.last, day) {
		v.c.here = here
	}
	w.turnHour(t, v.row, now)
	t.drift = v.drifted()
	t.counted(now, w.t.Late)
	if v.fresh(day) {
		t.pace(v.profile, now)
		t.hourNew = increment(t.hourNew)
		if a.Related {
			t.hourTaught = increment(t.hourTaught)
		}
	}
	if t.drift > int32(w.t.DriftLimit) {
		t.drift = 0 // one look by a person for each climb
	}
	if a.Related {
		w.explain(t, here, a.Actor, a.Patient)
	} else {
		t.open(a, now)
	}
	t.pair(a, here, oldest, now)
	if a.Stepped {
		t.unanswered.drop(v.id)
		t.step(short(a.Patient), short(a.Session), now)
	}
	t.stand(short(a.Session), short(a.Device), now, w.t.DeviceSpan)
	w.sit(a, now)
	if v.unrelated() && !a.Program {
		w.read(v.id, short(a.Actor), now)
	}
}

// Answered reports whether the act, or one before it in this session within
// StepLife, carried the person's step-up, whatever the patient. It is for who
// holds a person at StepUp for longer than one act: asking at each of them would
// wear out what an answer means.
func (w *Watch) Answered(a *Act) bool {
	if w.trails == nil {
		return false
	}
	v := w.glance(a)
	return v.askOnce() == Notify
}

// Onlookers are who opened this patient without a reason in the last day, in no
// order: whom to Explain when a relation comes that names a team.
func (w *Watch) Onlookers(patient abaton.ActorID) (all []abaton.ActorID) {
	if _, some := w.readers[short(patient)]; !some {
		return nil
	}
	for actor, t := range w.trails {
		for i := range t.opens {
			if t.opens[i].patient == patient {
				all = append(all, actor)
			}
		}
	}
	return all
}

// Explain says that a reason for this actor to open this patient came
// afterwards: what was unrelated no longer counts.
func (w *Watch) Explain(actor, patient abaton.ActorID) {
	if t := w.trails[actor]; t != nil {
		here, _ := t.seek(short(patient))
		w.explain(t, here, actor, patient)
	}
}

func (w *Watch) explain(t *trail, here *pair, actor, patient abaton.ActorID) {
	if here != nil {
		here.unrelated = 0
	}
	t.forget(patient)
	if r, ok := w.readers[short(patient)]; ok {
		r.drop(short(actor))
		w.readers[short(patient)] = r
	}
}

// settleEvery is how long a trail is left alone; they came at different times,
// so that no turn has much to do.
const settleEvery = 10 * minute

// Settle forgets what no rule looks at any more. Call it once a minute or so,
// with this keeper's time in unix seconds.
func (w *Watch) Settle(now int64) {
	at := clock(now)
	for actor, t := range w.trails {
		if !within(at, t.seen, week) {
			w.forget(actor, t)
			continue
		}
		if within(at, t.settled, settleEvery) && !ahead(at, t.settled) {
			continue
		}
		t.settle(at, w.t.Profiles[t.row])
	}
	for patient, r := range w.readers {
		if !r.alive(at) {
			delete(w.readers, patient)
		}
	}
	for device, d := range w.desks {
		if !d.alive(at) {
			delete(w.desks, device)
		}
	}
}

func (w *Watch) forget(actor abaton.ActorID, t *trail) {
	delete(w.trails, actor)
	w.members[t.organisation]--
	if w.members[t.organisation] <= 0 {
		delete(w.members, t.organisation)
	}
}

// trailOf finds or makes the trail of whoever acts; nil if there is no room.
func (w *Watch) trailOf(a *Act) *trail {
	if t := w.trails[a.Actor]; t != nil {
		return t
	}
	if w.crowded(a) {
		return nil
	}
	t := &trail{organisation: a.Organisation, program: a.Program, factor: one, settled: clock(a.Time)}
	w.trails[a.Actor] = t
	w.members[a.Organisation]++
	return t
}

func (w *Watch) crowded(a *Act) bool {
	return len(w.trails) >= ActorsMax || w.members[a.Organisation] >= OrganisationActorsMax
}

// own: a person reads the own record, and not as a member of the staff.
func (a *Act) own() bool { return a.Actor == a.Patient && !a.Delicate }

func (a *Act) named() bool {
	return a.Actor != (abaton.ActorID{}) && a.Patient != (abaton.ActorID{}) && a.Session != (abaton.SessionID{}) && a.Time > 0
}

// clock is a time as it is kept: seconds since 1970, until 2106. Zero means
// never.
func clock(t int64) uint32 { return uint32(min(max(t, 1), math.MaxUint32)) }

// within reports whether t is less than span seconds ago. What lies ahead,
// because a clock was set back, counts as now.
func within(now, t, span uint32) bool { return t > since(now, span) }

// since is the newest time that is no longer within span; never never is.
func since(now, span uint32) uint32 { return now - min(now, span) }

// short is how a pseudonym is kept. They are hashes: whoever wants two with the
// same beginning has to make both.
func short[T ~[32]byte](id T) uint64 { return binary.LittleEndian.Uint64(id[:8]) }

func increment(n uint16) uint16 { return n + min(1, math.MaxUint16-n) }
