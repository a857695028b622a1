package detect

import "github.com/abaton-health/abaton"

// Measure is what a rule counts. Zero is nothing.
type Measure uint8

// The measures of version 1 (PROTOCOL.md#figure).
const (
	TooSoon      Measure = iota + 1 // D0: new patients at once
	Opened                          // D1: different patients
	NoReason                        // D2, D3: new patients without a known reason
	Denied                          // D5: different patients refused
	Unanswered                      // D5: different patients at whom a step-up was not given
	Urgent                          // D8: patients opened in an emergency
	NewInTheHour                    // D11: new patients in this hour of the clock
)

// Figure is one number that a rule went by. It names no patient.
type Figure struct {
	Rule    Rule
	Measure Measure
	Count   uint32 // the act that was judged is in it
	Limit   uint32 // the rule speaks above it; D5 at it; D11 below it too, where the hour is strange
	Span    uint32 // seconds within which was counted; 0 for D0
}

// Over reports whether the number alone makes the rule speak.
func (f Figure) Over() bool {
	return f.Count > f.Limit || f.Rule == D5 && f.Count == f.Limit
}

// Figures are the numbers behind a finding of Judge about this act, in the
// order of the rules: those that are over, and that of D11. Rules that go by
// no number (D7, D9) have none. It changes nothing.
func (w *Watch) Figures(a *Act, found Rules) (out []Figure) {
	if w.trails == nil {
		return nil
	}
	v := w.look(a)
	more := uint32(0)
	if a.Opens && a.Refused == "" {
		more = 1
	}
	for _, f := range v.figures(more) {
		if found.Has(f.Rule) && (f.Over() || f.Rule == D11) {
			out = append(out, f)
		}
	}
	return out
}

// Counted is what counts now for one actor, and how many patients this actor
// opened with a reason in the last day. Without a memory of the actor both are
// empty: so it is after Forgive.
func (w *Watch) Counted(actor abaton.ActorID, now int64) (figures []Figure, inCare int) {
	t := w.trails[actor]
	if t == nil {
		return nil, 0
	}
	v := view{w: w, a: &Act{}, t: t, profile: &w.t.Profiles[t.row], now: clock(now)}
	v.c = t.count(0, v.now)
	for i := range t.pairs {
		p := &t.pairs[i]
		if p.id == short(t.organisation) {
			continue // the directory of the house is nobody's record
		}
		if within(v.now, p.last, day) && !within(v.now, p.unrelated, day) && !within(v.now, p.emergency, eightHours) {
			inCare++
		}
	}
	for _, f := range v.figures(0) {
		if f.Count > 0 {
			figures = append(figures, f)
		}
	}
	return figures, inCare
}

// figures are all numbers of this view, with more opening acts in them.
func (v *view) figures(more uint32) []Figure {
	p, t := v.profile, &v.w.t
	missed := v.t.misses.count(v.now, t.MissSpan)
	if denied(v.a.Refused) && !v.t.misses.has(v.id, v.now, t.MissSpan) {
		missed++
	}
	hourNew := uint32(0)
	if v.t.hour == v.now/hour {
		hourNew = uint32(v.t.hourNew)
	}
	without, urgent := more, more
	if !v.unrelated() {
		without = 0
	}
	if !v.a.Emergency {
		urgent = 0
	}
	week := v.t.week(v.a.Patient, v.now)
	return []Figure{
		{D0, TooSoon, v.ahead() + more, uint32(p.Burst), 0},
		{D1, Opened, uint32(v.c.ten) + more, uint32(p.Volume), tenMinutes},
		{D1, Opened, uint32(v.c.day) + more, uint32(p.Day), day},
		{D2, NoReason, uint32(v.c.unrelatedHour) + without, uint32(p.UnrelatedHour), hour},
		{D3, NoReason, uint32(v.c.unrelatedDay) + without, uint32(p.UnrelatedDay), day},
		{D3, NoReason, uint32(week) + without, uint32(p.UnrelatedWeek), 7 * day},
		{D5, Denied, uint32(missed), uint32(t.Misses), t.MissSpan},
		{D5, Unanswered, uint32(v.t.unanswered.count(v.now, t.MissSpan)), uint32(t.Unanswered), t.MissSpan},
		{D8, Urgent, uint32(v.c.emergencies) + urgent, uint32(p.Emergencies), eightHours},
		{D11, NewInTheHour, hourNew + more, uint32(p.Hour), hour},
	}
}

// ahead is how many new patients this person is before the pace of D0.
func (v *view) ahead() uint32 {
	early, every := v.t.due-1000*int64(v.now), int64(v.profile.Every)
	if early <= 0 {
		return 0
	}
	return uint32((early + every - 1) / every)
}
