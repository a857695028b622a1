package custody

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// seen is what the watch made of one request.
type seen struct {
	made     bool
	act      detect.Act
	finding  detect.Finding
	holding  contain.Holding
	answered bool           // a step-up was given in this session lately
	second   abaton.ActorID // who agreed to what is held back
}

// level is how far the request is held back, for whatever reason.
func (s *seen) level() detect.Level { return max(s.finding.Level, s.holding.Level) }

// watched: what people and programs of an organisation ask. What a patient's
// own session can reach is bounded by what people gave to it.
func (v *verdict) watched() bool {
	m := v.r.Asked.Mode
	return v.asker.org != nil && v.asker.kind != actor.Patient && m != session.Confirm && m != session.History
}

// watch: what detection says of this act, and how far whoever asks is held
// back by this keeper's own word and by others' (docs/adr/0031-the-watch.md).
// A finding comes into force with the very request that it is about.
func (v *verdict) watch() abaton.Reason {
	if !v.watched() {
		return ""
	}
	if reason := v.judge(""); reason != "" {
		return reason
	}
	s := &v.seen
	switch level := v.core.cfg.Mutation.rung(v.heldAt()); {
	case level >= detect.SuspendSession:
		return v.suspended()
	case level >= detect.StepUp && !s.act.Stepped && !v.handless():
		return abaton.ReasonStepUp
	case level == detect.Throttle && v.tooSoon():
		return abaton.ReasonThrottled
	}
	return ""
}

// judge asks detection and the ladder. Refused is why an earlier check ended
// the request, empty where none did.
func (v *verdict) judge(refused abaton.Reason) abaton.Reason {
	a, err := v.act()
	if err != nil {
		return v.broken(err)
	}
	a.Refused = refused
	m, err := v.core.vigil(a.Organisation, v.t.now)
	if err != nil {
		return v.broken(err)
	}
	v.seen = seen{made: true, act: a, finding: m.watch.Judge(&a), answered: m.watch.Answered(&a)}
	if v.repeat == nil {
		if err := v.core.contain(v); err != nil {
			return v.broken(err)
		}
	}
	v.seen.holding = v.core.holds(v.t, v.r.Session)
	return ""
}

// act is the request in the words of detection.
func (v *verdict) act() (detect.Act, error) {
	st, q := v.r.Session.Statement(), v.r.Asked
	r, err := v.core.relation(v.t, v.opener(), q.Patient)
	if err != nil {
		return detect.Act{}, err
	}
	off := false
	if v.asker.kind == actor.Clinician {
		if off, err = v.core.offShift(v.opener(), v.t.now); err != nil {
			return detect.Act{}, err
		}
	}
	return detect.Act{
		Time: v.t.now.Unix(), Actor: st.Actor, Organisation: st.Organisation, Device: st.Device, Patient: q.Patient,
		Session: v.r.Session.ID(), Role: st.Role, Opens: opOf(q).Opens(),
		Emergency: q.Purpose == abaton.Emergency || q.Said() != nil, Renewal: v.renews(), Stepped: v.steps(),
		Related: r.Related, Delicate: r.Delicate, Honey: r.Honey, OffShift: off, Program: v.asker.kind != actor.Clinician,
	}, nil
}

// renews: a permit for nothing but what this session opened here (RULINGS 22).
func (v *verdict) renews() bool {
	if v.r.Asked.Mode != session.Permit || len(v.granted) == 0 {
		return false
	}
	for _, row := range v.granted {
		if row.Records&^v.core.counters.renewals.renews(v.r.Session.ID(), row.Batch) != 0 {
			return false
		}
	}
	return true
}

// steps: the person's passkey was touched for this very request.
func (v *verdict) steps() bool {
	if v.opening != nil { // unsealEmergency has verified the touch
		return true
	}
	_, ok := v.touched()
	return ok
}

// heldAt is the level that counts for this request. What others say of too many
// patients without a reason does not touch patients with one, short of a
// suspension. Whoever answered a step-up in this session is not asked at every
// act for an hour: an answer would wear out.
func (v *verdict) heldAt() detect.Level {
	s := &v.seen
	held := s.holding.Level
	if held < detect.SuspendSession && s.act.Related && s.holding.Rules&^aboutUnrelated == 0 {
		held = 0
	}
	if held == detect.StepUp && s.answered && s.holding.Rules&aboutUnrelated == 0 {
		held = detect.Notify
	}
	level := max(s.finding.Level, held)
	if v.ownDirectory() && level < detect.Quarantine {
		level = min(level, detect.Notify)
	}
	return level
}

// ownDirectory: the people and places of the house that somebody acts for. It is
// no patient's record, everybody there reads it at almost every act, and without
// it a program finds no patient in care. It is counted and ledgered as any other.
func (v *verdict) ownDirectory() bool {
	return v.r.Asked.Patient == v.r.Session.Statement().Organisation
}

// handless: a program, of which one other keeper alone speaks. It has no hand to
// step up with, and one keeper's word would stop it; it waits as a person would.
func (v *verdict) handless() bool {
	s := &v.seen
	by := s.holding.By
	return s.act.Program && s.finding.Level < detect.StepUp && !s.holding.Proof && len(by) == 1 && by[0] != v.core.cfg.Index
}

// aboutUnrelated are the rules that count only patients without a reason.
const aboutUnrelated = 1<<detect.D2 | 1<<detect.D3

// throttleEvery is how long a throttled person waits between two patients who
// are new and without a known reason.
const throttleEvery = 30 * time.Second

// tooSoon: the last such patient of this person was opened just now. A patient
// opened within the day and one with a reason wait for nothing: care goes on.
func (v *verdict) tooSoon() bool {
	a := &v.seen.act
	if a.Related || !a.Opens {
		return false
	}
	w := v.core.windows[a.Actor] // v.budget has read it
	if w != nil && w.at[a.Patient] != nil {
		return false
	}
	last, ok := v.core.watching.passed[a.Actor]
	return ok && a.Time-last < int64(throttleEvery/time.Second)
}

// suspended: whoever is suspended opens nothing, but for patients in care with
// a second clinician, each time; an emergency that a second clinician agreed
// to goes on as well.
func (v *verdict) suspended() abaton.Reason {
	second, reason := v.secondAgrees()
	switch {
	case reason == abaton.ReasonStorage:
		return reason
	case v.core.cfg.Mutation.skips("second"):
	case reason != "" || second == (abaton.ActorID{}) || v.seen.act.Honey:
		return abaton.ReasonSuspended
	}
	v.seen.second = second
	return ""
}

// secondAgrees is who agreed to this very request, zero for nobody.
func (v *verdict) secondAgrees() (second abaton.ActorID, reason abaton.Reason) {
	if v.opening != nil {
		return v.opening.Second, ""
	}
	if second, err := v.agreedOpening(); err != nil {
		return second, v.broken(err)
	} else if second != (abaton.ActorID{}) {
		return second, ""
	}
	if v.core.cfg.Mutation.skips("care") {
		return second, abaton.ReasonSecond
	}
	if !v.seen.act.Related || v.asker.kind != actor.Clinician || v.r.Asked.Mode == session.Unseal {
		return second, ""
	}
	if second, reason = v.agreed(2); reason != "" {
		return abaton.ActorID{}, reason
	}
	if v.oneDesk() {
		return abaton.ActorID{}, abaton.ReasonSecond
	}
	return second, ""
}

// oneDesk: whoever agrees sits somewhere else. A thief at one device may find two
// people signed in at it; that is one break-in and no second person. Whoever is
// slowed down may agree: a single keeper can say that of anybody.
func (v *verdict) oneDesk() bool {
	own, theirs := v.r.Session.Statement().Device, v.r.Second.Statement().Device
	return own != (abaton.ActorID{}) && own == theirs
}

// agreedOpening is who agreed to the emergency opening that this request reads
// under, and is not suspended since.
func (v *verdict) agreedOpening() (second abaton.ActorID, err error) {
	st, q := v.r.Session.Statement(), v.r.Asked
	e, _ := v.patient.Escrow(q.Grant)
	if e == nil || e.Kind != actor.EscrowEmergency {
		return second, nil
	}
	all, err := v.core.openings(v.t, st.Actor)
	if err != nil {
		return second, err
	}
	asked := &emergency{Escrow: q.Grant, Organisation: st.Organisation, Device: st.Device}
	for i := range all {
		o := &all[i]
		if o.same(asked) && o.gives(v.t.now) && o.Verdict == session.Right && !v.core.suspends(v.t, contain.Person(o.Second)) {
			second = o.Second
		}
	}
	return second, nil
}

// noteRefused takes a refused request into memory.
func (v *verdict) noteRefused(reason abaton.Reason) {
	if v.repeat != nil || !v.watched() {
		return
	}
	if !v.seen.made && v.judge(reason) != "" {
		return // t.err is set
	}
	v.seen.act.Refused = reason
	v.remembers(false)
}

// noteOpened takes a permitted one.
func (v *verdict) noteOpened() {
	if !v.seen.made {
		return
	}
	v.remembers(true)
	if v.heldAt() == detect.Throttle && !v.seen.act.Related && v.seen.act.Opens {
		v.core.watching.pass(v.seen.act.Actor, v.seen.act.Time)
	}
}

func (v *verdict) remembers(released bool) {
	m, err := v.core.vigil(v.seen.act.Organisation, v.t.now)
	if err != nil {
		v.t.err = err
		return
	}
	m.watch.Note(&v.seen.act, released)
}

// tellWatch adds to an entry what the watch knew and said.
func (v *verdict) tellWatch(e *ledger.Entry) {
	s := &v.seen
	if !s.made {
		return
	}
	e.Basis = basisOf(&s.act)
	if level := v.core.cfg.Mutation.rung(s.level()); level != 0 {
		e.Watch = ledger.Watch{Rules: watchVersion, Level: uint8(level), Fired: uint32(s.finding.Rules | s.holding.Rules)}
	}
	if s.second != (abaton.ActorID{}) {
		e.Second = s.second
	}
}
