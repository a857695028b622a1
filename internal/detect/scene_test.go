package detect

import (
	"encoding/binary"
	"testing"

	"github.com/abaton-health/abaton"
)

// start is a Tuesday, 10:00 UTC.
const start = int64(1_780_394_400)

func nameOf(kind byte, n int) (id [32]byte) {
	id[0] = kind
	binary.LittleEndian.PutUint32(id[1:], uint32(n))
	return id
}

func actorOf(n int) abaton.ActorID     { return nameOf('a', n) }
func patientOf(n int) abaton.ActorID   { return nameOf('p', n) }
func deviceOf(n int) abaton.ActorID    { return nameOf('d', n) }
func sessionOf(n int) abaton.SessionID { return nameOf('s', n) }

// opening is a related read on shift, by nurse 1 at her device.
func opening(at int64, patient int) Act {
	return Act{Time: at, Actor: actorOf(1), Organisation: nameOf('o', 1), Device: deviceOf(1), Patient: patientOf(patient),
		Session: sessionOf(1), Role: abaton.RoleNurse, Opens: true, Related: true}
}

// with changes an act.
func with(a Act, change ...func(*Act)) Act {
	for _, c := range change {
		c(&a)
	}
	return a
}

func unrelated(a *Act) { a.Related = false }
func touched(a *Act)   { a.Stepped = true }
func delicate(a *Act)  { a.Delicate = true }
func urgent(a *Act)    { a.Emergency, a.Related = true, false }

func by(n int) func(*Act) {
	return func(a *Act) { a.Actor, a.Session, a.Device = actorOf(n), sessionOf(n), deviceOf(n) }
}

func on(device, session int) func(*Act) {
	return func(a *Act) { a.Device, a.Session = deviceOf(device), sessionOf(session) }
}

func as(role string) func(*Act)          { return func(a *Act) { a.Role = role } }
func refused(r abaton.Reason) func(*Act) { return func(a *Act) { a.Refused = r } }
func program(role string) func(*Act) {
	return func(a *Act) { a.Role, a.Program = role, true }
}

// line gives n openings, one every so many seconds, of patients 1 to n.
func line(n int, every int64, change ...func(*Act)) (acts []Act) {
	for i := range n {
		acts = append(acts, with(opening(start+int64(i)*every, i+1), change...))
	}
	return acts
}

// take notes acts as released.
func take(w *Watch, acts ...Act) {
	for i := range acts {
		w.Note(&acts[i], acts[i].Refused == "")
	}
}

func wantFinding(t *testing.T, got Finding, rule Rule, level Level) {
	t.Helper()
	if level == 0 {
		if got.Rules.Has(rule) {
			t.Errorf("finding: got %v, want none of %v", got, rule)
		}
		return
	}
	if !got.Rules.Has(rule) || got.Level < level {
		t.Errorf("finding: got %v, want %v at %v or above", got, rule, level)
	}
}

// alone is what one rule says: every other is switched off.
func alone(rule Rule) Thresholds {
	t := Default()
	t.off = AllRules &^ Of(rule)
	return t
}
