package detect

import (
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
)

// story is what happened before, and then one act and what a rule says of it.
type story struct {
	name  string
	rule  Rule
	level Level // exactly; 0: the rule is silent
	acts  []Act // noted as released, unless refused
	last  Act
}

// line and its next act: of n+1 acts alike the last is judged.
func next(name string, rule Rule, level Level, n int, every int64, change ...func(*Act)) story {
	acts := line(n+1, every, change...)
	return story{name, rule, level, acts[:n], acts[n]}
}

func stories() []story {
	at := func(minutes int64) int64 { return start + minutes*minute }
	miss := refused(abaton.ReasonGrant)
	two := []Act{opening(at(0), 1), with(opening(at(1), 2), on(2, 2))} // moved to another device
	forth := append(two[:2:2], opening(at(2), 3))
	readers := func(n int) (acts []Act) {
		for i := range n {
			acts = append(acts, with(opening(at(int64(i)), 9), by(10+i), unrelated))
		}
		return acts
	}
	all := []story{
		next("the burst", D0, 0, 9, 0),
		next("more than the burst", D0, Throttle, 10, 0),
		next("one each two seconds", D0, 0, 25, 2),
		next("one each second, clerk", D0, 0, 25, 1, as(abaton.RoleRecords)),
		next("one each second, nurse", D0, Throttle, 25, 1),
		{"the same patients again", D0, 0, line(10, 0), opening(start, 3)},

		next("a ward round", D1, 0, 27, 20),
		next("more than a ward", D1, StepUp, 28, 20),
		next("an unknown role has the least", D1, StepUp, 10, 20, as("")),
		next("twice a ward, stepped each time", D1, Notify, 55, 10, touched),
		next("more than twice a ward", D1, SuspendSession, 56, 10, touched),
		next("a long day", D1, 0, 149, 120),
		next("a longer one", D1, StepUp, 150, 120),
		next("two days in one", D1, SuspendSession, 300, 61, touched),
		next("a program's own profile", D1, 0, 28, 20, program(abaton.RoleBatch)),
		next("an app", D1, StepUp, 10, 20, program(abaton.RoleApp)),
		{"one of the ward again", D1, 0, line(29, 20), opening(start+29*20, 3)},
		{"one of the day again", D1, 0, line(151, 120), opening(start+151*120, 3)},

		next("five in an hour", D2, 0, 4, 300, unrelated),
		next("six in an hour", D2, StepUp, 5, 300, unrelated),
		next("six, stepped", D2, Notify, 5, 300, unrelated, touched),
		next("eleven, stepped", D2, SuspendPerson, 10, 300, unrelated, touched),
		next("six in six hours", D2, 0, 5, hour, unrelated),
		{"after five emergencies", D2, 0, line(5, 300, urgent), with(opening(at(31), 9), unrelated)},
		{"the permit of one again", D2, 0, line(5, 300, unrelated), with(opening(at(31), 9), unrelated, func(a *Act) { a.Renewal = true })},
		next("related ones", D2, 0, 12, 300),
		{"one of the five again", D2, 0, line(6, 300, unrelated), with(opening(at(31), 2), unrelated)},
		{"without a reason since this morning", D2, StepUp, append(line(5, 300, unrelated), opening(start, 6)), with(opening(at(30), 6), unrelated)},

		next("twelve in a day", D3, 0, 11, hour, unrelated),
		next("thirteen in a day", D3, StepUp, 12, hour, unrelated),
		next("twenty-five in a day, stepped", D3, SuspendPerson, 24, hour-60, unrelated, touched),
		next("twenty-five in a week", D3, 0, 24, 6*hour, unrelated),
		next("twenty-six in a week", D3, Log, 25, 6*hour, unrelated),
		next("fifty in a week, stepped", D3, 0, 49, 3*hour, unrelated, touched),
		next("fifty-one", D3, SuspendPerson, 50, 3*hour, unrelated, touched),
		{"emergencies do not count", D3, 0, line(25, 6*hour, urgent), with(opening(start+25*6*hour, 99), unrelated)},
		next("the line was crossed before", D3, 0, 26, 6*hour, unrelated),

		{"four without a reason, a day later", D4, 0, line(4, 2*hour, unrelated), opening(at(33*60), 99)},
		{"five of today", D4, 0, line(5, 2*hour, unrelated), opening(at(9*60), 99)},
		{"five of yesterday", D4, Log, line(5, 2*hour, unrelated), opening(at(33*60), 99)},
		{"five, one told late", D4, 0, append(line(5, 2*hour, unrelated), opening(at(20*60), 3)), opening(at(33*60), 99)},
		{"five emergencies", D4, 0, line(5, 2*hour, urgent), opening(at(33*60), 99)},
		{"somebody looked a moment ago", D4, 0, append(line(5, 2*hour, unrelated), opening(at(33*60), 98)), opening(at(33*60), 99)},
		{"four among twenty, and twenty more", D4, 0, append(mixed(20, 5), each(line(20, 60), later)...), opening(at(26*60), 99)},
		{"every other one", D4, Log, mixed(11, 2), opening(at(26*60), 99)},

		next("four refusals", D5, 0, 3, 10, miss),
		next("five refusals", D5, SuspendSession, 4, 10, miss),
		next("five slow ones", D5, 0, 4, 31, miss),
		next("five by a storage fault", D5, 0, 4, 10, refused(abaton.ReasonStorage)),
		{"five at one patient", D5, 0, alike(4, with(opening(start, 1), miss)), with(opening(start, 1), miss)},
		{"whatever comes after five", D5, SuspendSession, line(5, 1, miss), opening(start+10, 20)},
		{"a fifth at one of the four", D5, 0, line(4, 1, miss), with(opening(start+9, 1), miss)},
		{"ten step-ups not given", D5, SuspendSession, line(10, 1, refused(abaton.ReasonStepUp)), opening(start+10, 20)},
		{"ten, one given", D5, 0, append(line(10, 1, refused(abaton.ReasonStepUp)), with(opening(start+10, 4), touched)), opening(start+11, 20)},
		{"nine", D5, 0, line(9, 1, refused(abaton.ReasonStepUp)), opening(start+10, 20)},

		{"kin", D6, StepUp, nil, with(opening(start, 1), unrelated, delicate)},
		{"kin, stepped", D6, Notify, nil, with(opening(start, 1), unrelated, delicate, touched)},
		{"kin, stepped just now", D6, Notify, []Act{with(opening(start, 1), unrelated, delicate, touched)}, with(opening(at(10), 1), unrelated, delicate)},
		{"kin, stepped for another", D6, StepUp, []Act{with(opening(start, 2), unrelated, delicate, touched)}, with(opening(at(10), 1), unrelated, delicate)},
		{"kin, stepped a while ago", D6, StepUp, []Act{with(opening(start, 1), unrelated, delicate, touched)}, with(opening(at(60), 1), unrelated, delicate)},
		{"kin, stepped in another session", D6, StepUp, []Act{with(opening(start, 1), unrelated, delicate, touched, on(1, 7))}, with(opening(at(1), 1), unrelated, delicate)},
		{"a colleague in one's care", D6, Notify, nil, with(opening(start, 1), delicate)},
		{"a colleague in one's care, again", D6, 0, []Act{with(opening(start, 1), delicate)}, with(opening(at(9), 1), delicate)},
		{"nobody", D6, 0, nil, with(opening(start, 1), unrelated)},
		{"the own record, as staff", D6, StepUp, nil, with(opening(start, 1), unrelated, delicate, func(a *Act) { a.Patient = a.Actor })},

		{"a session on another device", D7, SuspendSession, two[:1], with(opening(at(30), 1), on(2, 1))},
		{"refused on another device", D7, 0, two[:1], with(opening(at(30), 1), on(2, 1), miss)},
		{"moving on", D7, 0, two[:1], two[1]},
		{"a look at the next desk, and back", D7, 0, two, opening(at(2), 3)},
		{"and back, unrelated", D7, StepUp, two, with(opening(at(2), 3), unrelated)},
		{"back and forth", D7, StepUp, forth, with(opening(at(3), 3), on(2, 2))},
		{"back and forth, stepped", D7, Notify, forth, with(opening(at(3), 3), on(2, 2), touched)},
		{"back and forth, stepped just now", D7, Notify, append(forth[:3:3], with(opening(at(3), 3), on(2, 2), touched), opening(at(4), 3)), with(opening(at(5), 4), on(2, 2))},
		{"back and forth in hours", D7, 0, []Act{two[0], two[1], opening(at(60), 3)}, with(opening(at(61), 3), on(2, 2))},
		{"forth after a while", D7, 0, forth, with(opening(at(8), 3), on(2, 2))},
		{"forth after a while, the first one in use", D7, 0, append(forth[:3:3], opening(at(7), 3)), with(opening(at(8), 3), on(2, 2), unrelated)},
		{"back after a while, unrelated", D7, 0, two, with(opening(at(6), 3), unrelated)},
		{"moving on to a known device, unrelated", D7, 0, two, with(opening(at(3), 3), on(1, 9), unrelated)},
		{"moving on to a new device, unrelated", D7, StepUp, two[:1], with(two[1], unrelated)},
		{"a new device, unrelated, hours later", D7, StepUp, two[:1], with(opening(at(300), 3), on(2, 2), unrelated)},
		{"a known device, unrelated, hours later", D7, 0, two, with(opening(at(300), 3), unrelated)},
		{"moving on to a desk of the house, unrelated", D7, 0, append(seated(3), two[0]), with(two[1], unrelated)},
		{"to one that two people used", D7, StepUp, append(seated(2), two[0]), with(two[1], unrelated)},
		{"to one that three used two months ago", D7, StepUp, append(seated(3), with(two[0], monthsLater)), with(two[1], unrelated, monthsLater)},
		{"the first device of all", D7, 0, nil, with(opening(at(1), 3), unrelated)},
		{"a program in two places", D7, 0, each(forth, program(abaton.RoleBatch)), with(opening(at(3), 3), on(2, 2), program(abaton.RoleBatch))},
		{"a program elsewhere, unrelated", D7, 0, each(two[:1], program(abaton.RoleBatch)), with(opening(at(3), 3), on(2, 2), program(abaton.RoleBatch), unrelated)},

		next("two emergencies", D8, Notify, 1, 600, urgent),
		next("three emergencies", D8, SuspendSession, 2, 600, urgent),
		next("five, in the emergency department", D8, Notify, 4, 600, urgent, as(abaton.RoleEmergency)),
		next("six, there", D8, SuspendSession, 5, 600, urgent, as(abaton.RoleEmergency)),
		next("three in a day", D8, Notify, 2, 4*hour, urgent),
		{"an emergency of a patient known", D8, Notify, line(1, 60), with(opening(at(5), 1), urgent)},
		{"the same emergency goes on", D8, 0, line(2, 60, urgent), with(opening(at(5), 2), urgent)},

		{"honey", D9, SuspendPerson, nil, with(opening(start, 1), func(a *Act) { a.Honey = true })},
		{"honey, refused", D9, SuspendPerson, nil, with(opening(start, 1), miss, func(a *Act) { a.Honey = true })},
		{"no honey", D9, 0, nil, opening(start, 1)},

		{"off shift", D10, StepUp, nil, with(opening(start, 1), unrelated, func(a *Act) { a.OffShift = true })},
		{"off shift, related", D10, 0, nil, with(opening(start, 1), func(a *Act) { a.OffShift = true })},
		{"off shift, emergency", D10, 0, nil, with(opening(start, 1), urgent, func(a *Act) { a.OffShift = true })},
		{"on shift", D10, 0, nil, with(opening(start, 1), unrelated)},

		next("a busy hour", D11, 0, 24, 60),
		next("an hour nobody has", D11, StepUp, 55, 60),
		next("an hour nobody ever has", D11, SuspendSession, 85, 30),
		{"a new hour", D11, 0, line(55, 60), opening(start+hour, 99)},
		{"such an hour, stepped at another patient", D11, Notify, append(line(55, 60), with(opening(at(55), 70), touched)), opening(at(55)+30, 71)},

		{"a fourth unrelated reader", D12, 0, readers(3), with(opening(at(5), 9), by(20), unrelated)},
		{"a fifth", D12, StepUp, readers(4), with(opening(at(5), 9), by(20), unrelated)},
		{"a fifth, stepped", D12, Notify, readers(4), with(opening(at(5), 9), by(20), unrelated, touched)},
		{"a fifth, after four with a reason", D12, 0, each(readers(4), related), with(opening(at(5), 9), by(20), unrelated)},
		{"a fifth, after four programs", D12, 0, each(readers(4), program("")), with(opening(at(5), 9), by(20), unrelated)},
		{"a program as the fifth", D12, 0, readers(4), with(opening(at(5), 9), by(20), unrelated, program(""))},
		{"the fourth again", D12, 0, readers(4), with(opening(at(5), 9), by(12), unrelated)},
		{"the fourth again, after a fifth", D12, StepUp, readers(5), with(opening(at(5), 9), by(12), unrelated)},
		{"a program, after a fifth", D12, StepUp, readers(5), with(opening(at(5), 9), by(30), unrelated, program(""))},
		{"a related one, after a fifth", D12, Notify, readers(5), with(opening(at(5), 9), by(20))},
		{"a fifth, the next day", D12, 0, readers(4), with(opening(start+day+5*minute, 9), by(20), unrelated)},
		{"another patient", D12, 0, readers(5), with(opening(at(5), 8), by(20), unrelated)},
	}
	return all
}

func mixed(n, every int) []Act {
	acts := line(n, 60)
	for i := every - 1; i < n; i += every {
		acts[i].Related = false
	}
	return acts
}

// seated are people who work on device 2.
func seated(people int) (acts []Act) {
	for i := range people {
		acts = append(acts, with(opening(start-hour, 40+i), by(50+i), on(2, 50+i)))
	}
	return acts
}

func later(a *Act)       { a.Time += hour; a.Patient = patientOf(int(a.Time-start) + 1000) }
func monthsLater(a *Act) { a.Time += 2 * month }

// each changes every one of acts.
func each(acts []Act, change ...func(*Act)) (all []Act) {
	for _, a := range acts {
		all = append(all, with(a, change...))
	}
	return all
}

func alike(n int, a Act) (acts []Act) {
	for range n {
		acts = append(acts, a)
	}
	return acts
}

func TestRules(t *testing.T) {
	for _, s := range stories() {
		t.Run(fmt.Sprintf("%v %s", s.rule, s.name), func(t *testing.T) {
			w := New(alone(s.rule))
			take(w, s.acts...)
			got := w.Judge(&s.last)
			if want := (Finding{s.level, rulesIf(s.level != 0, s.rule)}); got != want {
				t.Errorf("alone: got %v, want %v", got, want)
			}
			w = New(Default())
			take(w, s.acts...)
			wantFinding(t, w.Judge(&s.last), s.rule, s.level)
			w = New(Default().Without(s.rule))
			take(w, s.acts...)
			if got := w.Judge(&s.last); got.Rules.Has(s.rule) {
				t.Errorf("without the rule: got %v", got)
			}
		})
	}
}

func rulesIf(yes bool, r Rule) Rules {
	if yes {
		return Of(r)
	}
	return 0
}

// TestEveryRuleHasBothSides: no rule without a story in which it speaks and
// one in which it is silent. D13 belongs to keepers, D14 to TestUnexplained.
func TestEveryRuleHasBothSides(t *testing.T) {
	var speaks, silent Rules
	for _, s := range stories() {
		if s.level != 0 {
			speaks |= Of(s.rule)
		} else {
			silent |= Of(s.rule)
		}
	}
	want := AllRules &^ Of(D13, D14)
	if speaks != want {
		t.Errorf("rules that speak: got %v, want %v", speaks, want)
	}
	if want &^= Of(D8); silent&want != want { // every emergency is told to the patient, but the same one
		t.Errorf("rules that are silent: got %v, want %v", silent, want)
	}
}

func TestWhatIsNotCounted(t *testing.T) {
	for name, change := range map[string]func(*Act){
		"renewals":       func(a *Act) { a.Renewal = true },
		"lists":          func(a *Act) { a.Opens = false },
		"own record":     func(a *Act) { a.Patient = a.Actor },
		"refused before": refused(abaton.ReasonPolicy),
	} {
		w := New(Default())
		take(w, line(100, 0, unrelated, change)...)
		if len(w.trails) != 0 {
			t.Errorf("%s: got a trail, want none", name)
		}
		last := with(opening(start, 200), unrelated)
		if got := w.Judge(&last); got != (Finding{}) {
			t.Errorf("%s: got %v, want nothing", name, got)
		}
	}
	w := New(Default())
	for _, a := range line(100, 0, refused(abaton.ReasonStorage)) {
		w.Note(&a, true) // says two things: counts as refused
	}
	if len(w.trails) != 0 {
		t.Error("refused and released: got a trail, want none")
	}
	acts := line(100, 1)
	for i := range acts {
		w.Note(&acts[i], false) // refused by the watch itself
	}
	last := opening(start+300, 200)
	if got := w.Judge(&last); got != (Finding{}) {
		t.Errorf("not released: got %v, want nothing", got)
	}
}

// TestStepUpsNotGiven: the watch counts its own questions, told live or from
// the ledger, where the reason stands.
func TestStepUpsNotGiven(t *testing.T) {
	live, replayed := New(Default()), New(Default())
	acts := line(16, 5, unrelated)
	for i := range acts {
		f := live.Judge(&acts[i])
		released := f.Level < StepUp
		live.Note(&acts[i], released)
		if f.Level == StepUp {
			acts[i].Refused = abaton.ReasonStepUp
		}
		replayed.Note(&acts[i], released)
	}
	last := opening(start+90, 50)
	got := live.Judge(&last)
	if want := (Finding{SuspendSession, Of(D5)}); got != want {
		t.Errorf("after ten questions: got %v, want %v", got, want)
	}
	if again := replayed.Judge(&last); again != got {
		t.Errorf("from the ledger: got %v, want %v", again, got)
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	a := opening(start, 1)
	if got := new(Watch).Judge(&a); got.Level != SuspendSession {
		t.Errorf("zero watch: got %v, want suspend-session", got)
	}
	new(Watch).Note(&a, true)
	for name, a := range map[string]Act{
		"nobody":     with(a, func(a *Act) { a.Actor = abaton.ActorID{} }),
		"no patient": with(a, func(a *Act) { a.Patient = abaton.ActorID{} }),
		"no session": with(a, func(a *Act) { a.Session = abaton.SessionID{} }),
		"no time":    with(a, func(a *Act) { a.Time = 0 }),
	} {
		if got := New(Default()).Judge(&a); got.Level != SuspendSession {
			t.Errorf("%s: got %v, want suspend-session", name, got)
		}
	}
	w := New(Thresholds{})
	if err := w.t.Valid(); err != nil {
		t.Errorf("thresholds after New without any: %v", err)
	}
}
