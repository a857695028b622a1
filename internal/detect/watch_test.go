package detect

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

func TestSizes(t *testing.T) {
	for name, c := range map[string]struct {
		got  uintptr
		most int
	}{
		"pair":    {unsafe.Sizeof(pair{}), pairBytes},
		"open":    {unsafe.Sizeof(open{}), openBytes},
		"trail":   {unsafe.Sizeof(trail{}), trailBytes},
		"readers": {unsafe.Sizeof(readers{}) + 8, readersBytes * 2 / 3}, // a map is two thirds full
		"desk":    {unsafe.Sizeof(desk{}) + 8, deskBytes * 2 / 3},
		"cell":    {unsafe.Sizeof(cell{}), cellBytes},
	} {
		if int(c.got) > c.most {
			t.Errorf("%s: got %d bytes, want at most %d", name, c.got, c.most)
		}
	}
}

// arbitrary makes an act out of dice, ordinary or not.
func arbitrary(r *rand.Rand, at int64, people, patients int) Act {
	who := r.IntN(people)
	roles := []string{abaton.RoleNurse, abaton.RolePhysician, abaton.RoleRecords, abaton.RoleBatch, "", "nobody"}
	reasons := []abaton.Reason{"", "", "", "", abaton.ReasonGrant, abaton.ReasonStepUp, abaton.ReasonStorage}
	flag := func(in int) bool { return r.IntN(in) == 0 }
	return Act{
		Time: at, Actor: actorOf(who), Organisation: nameOf('o', who%3), Device: deviceOf(who*4 + r.IntN(2)), Patient: patientOf(r.IntN(patients)),
		Session: sessionOf(who*4 + r.IntN(3)), Role: roles[r.IntN(len(roles))], Opens: !flag(10), Emergency: flag(50), Renewal: flag(20),
		Stepped: flag(5), Refused: reasons[r.IntN(len(reasons))], Related: !flag(5), Delicate: flag(30), Honey: flag(200), OffShift: flag(20), Program: flag(20),
	}
}

// live feeds acts as a keeper would and gives what was found.
func live(w *Watch, seed uint64, n int) (found []Finding) {
	r := rand.New(rand.NewPCG(seed, 1))
	at := start
	for range n {
		at += int64(r.IntN(40))
		a := arbitrary(r, at, 20, 300)
		f := w.Judge(&a)
		found = append(found, f)
		w.Note(&a, a.Refused == "" && f.Level < StepUp)
		if r.IntN(50) == 0 {
			w.Settle(at)
		}
	}
	return found
}

func TestReplayGivesTheSameMemory(t *testing.T) {
	for seed := range uint64(5) {
		one, two := New(Default()), New(Default())
		if a, b := live(one, seed, 4000), live(two, seed, 4000); !slices.Equal(a, b) {
			t.Errorf("seed %d: two lives, two lists of findings", seed)
		}
		if !reflect.DeepEqual(one, two) {
			t.Errorf("seed %d: the same acts gave two memories", seed)
		}
	}
}

func TestJudgeChangesNothing(t *testing.T) {
	one, two := New(Default()), New(Default())
	live(one, 3, 3000)
	live(two, 3, 3000)
	r := rand.New(rand.NewPCG(9, 9))
	for range 2000 {
		a := arbitrary(r, start+int64(r.IntN(200_000)), 40, 400)
		if f, again := one.Judge(&a), one.Judge(&a); f != again {
			t.Fatalf("judged twice: got %v, then %v", f, again)
		}
	}
	if !reflect.DeepEqual(one, two) {
		t.Error("Judge changed the memory")
	}
}

// TestOrderWithinASecond: acts of one second may reach a keeper's loop in any
// order; what it says afterwards is the same.
func TestOrderWithinASecond(t *testing.T) {
	var acts []Act
	for i := range 12 {
		acts = append(acts, with(opening(start, i), func(a *Act) { a.Related = i%3 != 0 }), with(opening(start, i), by(2+i%3), unrelated))
	}
	var questions []Act
	for i := range 20 {
		questions = append(questions, opening(start+5, i), with(opening(start+5, i), by(9), unrelated))
	}
	var want []Finding
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		r.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
		w := New(Default().Without(D4)) // a sum over time minds the order
		take(w, acts...)
		var got []Finding
		for i := range questions {
			got = append(got, w.Judge(&questions[i]))
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: got %v, want %v", seed, got, want)
		}
	}
}

func TestUnexplained(t *testing.T) {
	w := New(Default())
	take(w, with(opening(start, 2), unrelated), with(opening(start, 1), unrelated), with(opening(start+hour, 3), unrelated),
		with(opening(start+1, 4), urgent), opening(start, 5), with(opening(start, 6), unrelated), with(opening(start+2*hour, 6)))
	listed := func(now int64) (patients []string) {
		for _, o := range w.Unexplained(now) {
			if o.Actor != actorOf(1) || o.Session != sessionOf(1) || o.Emergency != (o.Patient == patientOf(4)) {
				t.Errorf("open: got actor %v session %v emergency %v", o.Actor, o.Session, o.Emergency)
			}
			for n := range 10 {
				if o.Patient == patientOf(n) {
					patients = append(patients, fmt.Sprintf("%d@%d", n, o.Time-start))
				}
			}
		}
		return patients
	}
	check := func(name string, now int64, want ...string) {
		t.Helper()
		if got := listed(now); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	check("a second before a day", start+day-1)
	check("after a day", start+day, "1@0", "2@0")
	check("after two days", start+2*day, "1@0", "2@0", "4@1", "3@3600")
	w.Explain(actorOf(1), patientOf(2))
	w.Explain(actorOf(7), patientOf(1)) // somebody else's reason
	check("one explained", start+2*day, "1@0", "4@1", "3@3600")
	check("after a week", start+week+hour)
	w.Settle(start + week + hour)
	if n := len(w.trails[actorOf(1)].opens); n != 0 {
		t.Errorf("kept after a week: got %d, want 0", n)
	}
	w = New(Default())
	take(w, with(opening(start, 4), urgent), with(opening(start+hour, 4), unrelated))
	if got := w.Unexplained(start + 2*day); len(got) != 1 || got[0].Emergency {
		t.Errorf("an emergency that went on without one: got %d listed, want one that is none", len(got))
	}
	off := New(Default().Without(D14))
	take(off, with(opening(start, 2), unrelated))
	if got := off.Unexplained(start + 2*day); got != nil {
		t.Errorf("without D14: got %d listed", len(got))
	}
}

// TestExplainedNoLongerCounts: for the person and for the patient.
func TestExplainedNoLongerCounts(t *testing.T) {
	w := New(Default())
	take(w, line(5, 300, unrelated)...)
	last := with(opening(start+25*minute, 9), unrelated)
	wantFinding(t, w.Judge(&last), D2, StepUp)
	w.Explain(actorOf(1), patientOf(3))
	wantFinding(t, w.Judge(&last), D2, 0)

	w = New(Default())
	for i := range 4 {
		take(w, with(opening(start, 9), by(10+i), unrelated))
	}
	last = with(opening(start+minute, 9), by(20), unrelated)
	wantFinding(t, w.Judge(&last), D12, StepUp)
	w.Explain(actorOf(11), patientOf(9))
	wantFinding(t, w.Judge(&last), D12, 0)

	// What was raised once stays so for its day.
	take(w, with(last, touched), with(last, by(21), touched))
	onlookers := w.Onlookers(patientOf(9))
	if len(onlookers) != 5 || slices.Contains(onlookers, actorOf(11)) {
		t.Errorf("onlookers: got %d, want five, and not who had a reason", len(onlookers))
	}
	if got := w.Onlookers(patientOf(8)); got != nil {
		t.Errorf("onlookers of another patient: got %d, want none", len(got))
	}
	for _, who := range onlookers {
		w.Explain(who, patientOf(9))
	}
	last = with(opening(start+hour, 9), by(30), unrelated)
	wantFinding(t, w.Judge(&last), D12, StepUp)
	last.Time = start + day + hour
	wantFinding(t, w.Judge(&last), D12, 0)
}

func TestAnswered(t *testing.T) {
	w := New(Default())
	a := opening(start, 1)
	if w.Answered(&a) || new(Watch).Answered(&a) {
		t.Error("nobody answered: got true")
	}
	take(w, with(a, touched))
	for name, c := range map[string]struct {
		a    Act
		want bool
	}{
		"itself":          {with(opening(start, 2), by(9), touched), true},
		"another patient": {opening(start+59*minute, 2), true},
		"too late":        {opening(start+hour, 2), false},
		"another session": {with(opening(start, 1), on(1, 5)), false},
		"another person":  {with(opening(start, 1), by(2)), false},
	} {
		if got := w.Answered(&c.a); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestNoRoomForPatients: where readers can no longer be counted, each is asked.
func TestNoRoomForPatients(t *testing.T) {
	w := New(alone(D12))
	for i := range uint64(PatientsMax) {
		w.readers[1<<50+i] = readers{at: [readersMax]uint32{clock(start)}}
	}
	a := with(opening(start, 1), unrelated)
	wantFinding(t, w.Judge(&a), D12, StepUp)
	take(w, a)
	if len(w.readers) != PatientsMax {
		t.Errorf("patients: got %d, want %d", len(w.readers), PatientsMax)
	}
	a.Related = true
	wantFinding(t, w.Judge(&a), D12, 0)
}

// TestForgets: after their spans nothing is left, and a clock that ran ahead
// leaves nothing behind.
func TestForgets(t *testing.T) {
	w := New(Default())
	live(w, 4, 3000)
	w.Settle(start + 60*day)
	if len(w.trails) != 0 || len(w.members) != 0 || len(w.readers) != 0 {
		t.Errorf("after two months: got %d trails, %d organisations, %d patients, want none", len(w.trails), len(w.members), len(w.readers))
	}
	w = New(Default())
	take(w, line(30, 1, unrelated, func(a *Act) { a.Time += 300 * day })...)
	w.Settle(start)
	if n := len(w.trails[actorOf(1)].opens) + len(w.trails[actorOf(1)].pairs); n != 0 {
		t.Errorf("after a clock ran ahead: got %d patients kept, want 0", n)
	}
	last := with(opening(start+minute, 99), unrelated)
	if got := w.Judge(&last); got.Level >= StepUp {
		t.Errorf("after a clock ran ahead: got %v, want nothing to stop", got)
	}
	w.Settle(start + 8*day)
	if len(w.trails) != 0 || len(w.readers) != 0 {
		t.Errorf("after a clock ran ahead and a week: got %d trails, %d patients", len(w.trails), len(w.readers))
	}
}

// TestOverTheBoundIsSuspended: what does not fit into memory is refused anyway,
// for every profile that Valid lets through.
func TestOverTheBoundIsSuspended(t *testing.T) {
	if 2*dayMax >= PairsMax || 2*programDayMax >= ProgramPairsMax || 2*unrelatedWeekMax >= OpensMax || 2*programWeekMax >= OpensMax {
		t.Error("a cap lies beyond what is remembered")
	}
	w := New(Default())
	take(w, line(2*PairsMax, 1)...)
	tr := w.trails[actorOf(1)]
	if len(tr.pairs) != PairsMax || cap(tr.pairs) != PairsMax {
		t.Errorf("pairs: got %d of %d, want %d", len(tr.pairs), cap(tr.pairs), PairsMax)
	}
	last := with(opening(start+12*hour, 5000), touched)
	if got := w.Judge(&last); got.Level < SuspendSession {
		t.Errorf("over the bound: got %v, want suspend-session or more", got)
	}
	w = New(Default())
	take(w, line(2*OpensMax, hour/2, unrelated)...)
	if n := cap(w.trails[actorOf(1)].opens); n != OpensMax {
		t.Errorf("opens: got room for %d, want %d", n, OpensMax)
	}
	week := New(alone(D3)) // never more than 20 in a day
	take(week, line(OpensMax, 75*minute, unrelated)...)
	last = with(opening(start+OpensMax*75*minute, 5000), unrelated, touched)
	wantFinding(t, week.Judge(&last), D3, SuspendPerson)
	if w.Bytes() > PersonBytesMax+len(w.readers)*readersBytes+1<<16 {
		t.Errorf("bytes: got %d, want at most %d and the rest", w.Bytes(), PersonBytesMax)
	}
}

// TestCrowded: an organisation that makes up people fills its own room only,
// and whoever does not fit is slowed.
func TestCrowded(t *testing.T) {
	w := New(Default())
	for i := range OrganisationActorsMax + 5 {
		take(w, with(opening(start, 1), by(i)))
	}
	if len(w.trails) != OrganisationActorsMax {
		t.Errorf("trails: got %d, want %d", len(w.trails), OrganisationActorsMax)
	}
	last := with(opening(start, 1), by(OrganisationActorsMax+9))
	wantFinding(t, w.Judge(&last), D0, Throttle)
	other := with(last, func(a *Act) { a.Organisation = nameOf('o', 2) })
	wantFinding(t, w.Judge(&other), D0, 0)
	w.Settle(start + 8*day)
	wantFinding(t, w.Judge(&last), D0, 0)
}

func TestThresholds(t *testing.T) {
	d := Default()
	if err := d.Valid(); err != nil {
		t.Fatalf("default: %v", err)
	}
	again, err := Parse(d.Encode())
	if err != nil || !reflect.DeepEqual(again, d) {
		t.Errorf("default, written and read: got %v, want the same", err)
	}
	off, err := Parse(d.Without(D9).Encode())
	if err != nil || off.off != 0 {
		t.Errorf("rules switched off travel: got %v, %v", off.off, err)
	}
	for _, role := range abaton.Roles() {
		if i := d.rows().of(role.Name, !role.Human); role.Reads && d.Profiles[i].Role != role.Name {
			t.Errorf("role %s: got the row of %q", role.Name, d.Profiles[i].Role)
		}
	}
	for _, c := range []struct {
		role    string
		program bool
		want    string
	}{{"nobody", false, AnyPerson}, {"", false, AnyPerson}, {"", true, AnyProgram}, {abaton.RoleNurse, true, AnyProgram}, {abaton.RoleBatch, false, AnyPerson}, {AnyProgram, false, AnyPerson}} {
		if got := d.Profiles[d.rows().of(c.role, c.program)].Role; got != c.want {
			t.Errorf("row of %q, program %v: got %q, want %q", c.role, c.program, got, c.want)
		}
	}
}

// TestHardCaps: no number of any row goes beyond its cap, nor to where nothing
// is caught or everything.
func TestHardCaps(t *testing.T) {
	refuse := func(name string, change func(*Thresholds)) {
		d := Default()
		change(&d)
		if err := d.Valid(); !errors.Is(err, ErrThresholds) {
			t.Errorf("%s: got %v, want ErrThresholds", name, err)
		}
		if _, err := Parse(wire.Marshal(d)); !errors.Is(err, ErrThresholds) {
			t.Errorf("%s, read: got %v, want ErrThresholds", name, err)
		}
	}
	refuse("zero", func(t *Thresholds) { *t = Thresholds{} })
	refuse("version", func(t *Thresholds) { t.Version++ })
	refuse("not sorted", func(t *Thresholds) { slices.Reverse(t.Profiles) })
	refuse("twice", func(t *Thresholds) { t.Profiles[2].Role = t.Profiles[1].Role })
	refuse("no role", func(t *Thresholds) { t.Profiles[1].Role = "abc" })
	refuse("no default", func(t *Thresholds) { t.Profiles = t.Profiles[1:] })
	refuse("too many", func(t *Thresholds) { t.Profiles = make([]Profile, profilesMax+1) })
	numbers(reflect.ValueOf(Default()), func(path string, i []int, isProfile bool) {
		if path == "Version" {
			return
		}
		refuse(path, func(t *Thresholds) { setNumber(t, i, isProfile, math.MaxUint32) })
		if path != "StepLife" { // none is stricter
			refuse(path+" zero", func(t *Thresholds) { setNumber(t, i, isProfile, 0) })
		}
	})
}

// numbers visits each exported number of Thresholds and of its first profile.
func numbers(v reflect.Value, visit func(path string, index []int, isProfile bool)) {
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.IsExported() && f.Type.Kind() != reflect.Slice {
			visit(f.Name, f.Index, false)
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Profile]()) {
		if f.Type.Kind() != reflect.String {
			visit("Profile."+f.Name, f.Index, true)
		}
	}
}

func setNumber(t *Thresholds, index []int, isProfile bool, to uint64) {
	v := reflect.ValueOf(t).Elem()
	if isProfile {
		v = reflect.ValueOf(&t.Profiles[0]).Elem()
	}
	f := v.FieldByIndex(index)
	if f.OverflowUint(to) {
		to = math.MaxUint16
	}
	f.SetUint(to)
}
