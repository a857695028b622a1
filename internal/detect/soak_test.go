package detect

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
)

// house is a simple hospital without anybody bad in it: wards of 28 beds,
// people with a shift a day, own patients whom they open again and again, a
// few others, and a share of openings whose reason was not recorded. It shows
// what thresholds do; bench/hospital is the one that counts.
type house struct {
	dice        *rand.Rand
	unexplained float64 // share of new patients
}

// worker is one of the staff.
type worker struct {
	n, ward, patients int
	role              string
	first             int64   // second of the day at which the shift starts
	pace              float64 // this person's own, lognormal around 1
}

func (h *house) staff(n int) (all []worker) {
	roles := []string{abaton.RoleNurse, abaton.RoleNurse, abaton.RoleNurse, abaton.RolePhysician, abaton.RoleAssistant, abaton.RoleTherapist}
	for i := range n {
		w := worker{n: i, ward: i / 12, role: roles[i%len(roles)], first: int64(i%3) * eightHours, pace: math.Exp(0.3 * h.dice.NormFloat64())}
		w.patients = map[string]int{abaton.RoleNurse: 7, abaton.RolePhysician: 12, abaton.RoleAssistant: 8, abaton.RoleTherapist: 8}[w.role]
		all = append(all, w)
	}
	return all
}

// shift gives one person's acts of one day.
func (h *house) shift(w worker, midnight int64) (acts []Act) {
	r := h.dice
	at, sitting := midnight+w.first, 0
	reads := int(64 * w.pace * (0.6 + 0.8*r.Float64()))
	seat := r.IntN(6)
	for i := range reads {
		gap := r.ExpFloat64() * eightHours / float64(reads)
		if i < w.patients {
			gap = 20 + r.ExpFloat64()*60 // the handover: one after the other
		}
		at += int64(gap) + 1
		if at-midnight-w.first > hour*int64(sitting+1) {
			sitting, seat = int(at-midnight-w.first)/hour, r.IntN(6)
		}
		a := Act{Time: at, Actor: actorOf(w.n), Organisation: nameOf('o', 1), Role: w.role, Opens: true, Related: true,
			Device: deviceOf(w.ward*6 + seat), Session: sessionOf(w.n*100_000 + int(midnight/day%1000)*64 + sitting*6 + seat)}
		switch {
		case i < w.patients:
			a.Patient = patientOf(w.ward*28 + (w.n*5+i)%28)
		case r.Float64() < 0.2: // a new one: of the ward, or from anywhere
			a.Patient = patientOf(w.ward*28 + r.IntN(28))
			if r.Float64() < 0.5 {
				a.Patient = patientOf(10_000 + r.IntN(90_000))
			}
		default:
			a.Patient = patientOf(w.ward*28 + (w.n*5+r.IntN(w.patients))%28)
		}
		a.Delicate = r.Float64() < 0.0002
		acts = append(acts, a)
	}
	return acts
}

// mark takes the reasons of a share of the new patients away.
func (h *house) mark(acts []Act) {
	seen := make(map[abaton.ActorID]bool)
	reason := make(map[abaton.ActorID]bool)
	for i := range acts {
		p := acts[i].Patient
		if !seen[p] {
			seen[p], reason[p] = true, h.dice.Float64() >= h.unexplained
		}
		acts[i].Related = reason[p]
	}
}

// days runs the house and counts days of people with a finding of each level.
func (h *house) days(w *Watch, staff []worker, from, n int) (workdays int, at [Quarantine + 1]int, rules map[Rule]int) {
	rules = make(map[Rule]int)
	settled := int64(0)
	for d := from; d < from+n; d++ {
		midnight := start - start%day + int64(d)*day
		var acts []Act
		for _, p := range staff {
			mine := h.shift(p, midnight)
			h.mark(mine)
			acts = append(acts, mine...)
			workdays++
		}
		slices.SortStableFunc(acts, func(a, b Act) int { return int(a.Time - b.Time) })
		for i := range acts {
			a := &acts[i]
			f := w.Judge(a)
			at[f.Level]++
			for r := range ruleCount {
				if f.Level >= StepUp && f.Rules.Has(r) {
					rules[r]++
				}
			}
			if f.Level == StepUp { // the person has a reason, and a passkey
				a.Stepped = true
				f = w.Judge(a)
			}
			w.Note(a, f.Level < StepUp)
			if a.Time/hour != settled {
				settled = a.Time / hour
				w.Settle(a.Time)
			}
		}
	}
	return workdays, at, rules
}

// TestSoak: what ordinary care costs, by this simple house. The figures are
// those of one keeper that sees everything, so more than any keeper sees.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("a soak")
	}
	for _, c := range []struct {
		unexplained   float64
		stepUps, hard float64 // per 1000 staff-days, at most
	}{{0.02, 5, 0.3}, {0.06, 100, 0.3}} {
		h := &house{dice: rand.New(rand.NewPCG(1, 5)), unexplained: c.unexplained}
		staff, w := h.staff(480), New(Default())
		h.days(w, staff, 0, 4)
		workdays, at, rules := h.days(w, staff, 4, 7)
		per := func(n int) float64 { return 1000 * float64(n) / float64(workdays) }
		hard := at[SuspendSession] + at[SuspendPerson]
		t.Logf("unexplained %.0f %%: %d staff-days; per 1000: step-ups %.2f, throttles %.2f, suspended %.2f, told %.2f, for people %.2f; asked by %v",
			100*c.unexplained, workdays, per(at[StepUp]), per(at[Throttle]), per(hard), per(at[Notify]), per(at[Log]), rules)
		if per(at[StepUp]) > c.stepUps || per(hard) > c.hard {
			t.Errorf("unexplained %v: got %.2f step-ups and %.2f suspensions per 1000 staff-days, want at most %v and %v",
				c.unexplained, per(at[StepUp]), per(hard), c.stepUps, c.hard)
		}
	}
}

// keepers are five that do not hear from one another.
type keepers [5]*Watch

// ask opens a patient if three release; the client starts where it likes.
func (k *keepers) ask(a Act, first int) bool {
	n := 0
	for i := range k {
		w := k[(first+i)%len(k)]
		ok := w.Judge(&a).Level < StepUp
		w.Note(&a, ok)
		if ok {
			n++
		}
		if n == 3 {
			return true
		}
	}
	return false
}

// TestBoundOverFiveKeepers: who turns the keepers round opens what audit.md
// 3.2 says and no more, before any verdict travels.
func TestBoundOverFiveKeepers(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  int64
		change []func(*Act)
		most   int
	}{
		{"fast export", 1, []func(*Act){unrelated}, 11},
		{"one a minute", 60, []func(*Act){unrelated}, 11},
		{"one a minute, with the person's own hand", 60, []func(*Act){unrelated, touched}, 20},
	} {
		var k keepers
		for i := range k {
			k[i] = New(Default())
		}
		opened := 0
		for i := range int(hour / c.every) {
			if k.ask(with(opening(start+int64(i)*c.every, i), c.change...), i*3) {
				opened++
			}
		}
		if opened > c.most || opened == 0 {
			t.Errorf("%s: opened %d patients, want 1 to %d", c.name, opened, c.most)
		}
		t.Logf("%s: opened %d", c.name, opened)
	}
}

// TestMemoryOfALargeHospital: 5,000 people, 100,000 patients, two days.
func TestMemoryOfALargeHospital(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million acts")
	}
	h := &house{dice: rand.New(rand.NewPCG(3, 5)), unexplained: 0.06}
	staff, w := h.staff(5000), New(Default())
	most := 0
	for d := range 2 {
		h.days(w, staff, d, 1)
		most = max(most, w.Bytes())
	}
	t.Logf("%d people, %d patients with unrelated readers: %d bytes, %d a person", len(w.trails), len(w.readers), most, most/len(staff))
	if len(w.trails) != len(staff) || most > len(staff)*PersonBytesMax {
		t.Errorf("got %d people in %d bytes, want %d in at most %d each", len(w.trails), most, len(staff), PersonBytesMax)
	}
	if each := most / len(staff); each > 12<<10 { // audit.md 3.4 measured 12.8 KiB
		t.Errorf("an ordinary person takes %d bytes, want at most 12 KiB", each)
	}
	w.Settle(start + 60*day)
	if left := w.Bytes(); left > 1<<16 {
		t.Errorf("after two months without an act: got %d bytes, want almost none", left)
	}
}
