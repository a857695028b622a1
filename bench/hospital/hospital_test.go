package main

import (
	"cmp"
	"reflect"
	"slices"
	"testing"

	"github.com/abaton-health/abaton/internal/detect"
)

// TestRoster: in every minute each ward and the emergency department have
// nurses, nobody works twice at once or with less than seven and a half hours of
// rest, also in the night when clocks go back and when people leave.
func TestRoster(t *testing.T) {
	const days = 28
	w := build(500, 20_000, days, 3)
	h := newHospital(w, pick("fresh"), days)
	var all []shift
	for d := range days {
		all = append(all, h.roster(d)...)
	}
	gaps(t, w, all, days)
	byPerson := make(map[int32][]shift)
	for _, s := range all {
		byPerson[s.person] = append(byPerson[s.person], s)
	}
	for _, own := range byPerson {
		slices.SortFunc(own, func(a, b shift) int { return cmp.Compare(a.from, b.from) })
		for i := 1; i < len(own); i++ {
			if rest := own[i].from - own[i-1].until; rest < 7*hour+30*minute {
				t.Fatalf("rest of a %s: got %d minutes, want 450 or more", own[i].role, rest/minute)
			}
		}
	}
	last := map[int]bool{}
	for _, s := range all {
		last[int((s.until-s.from)/minute)] = true
	}
	if !last[495] || !last[555] || len(last) != 2 {
		t.Errorf("minutes of shifts: got %v, want 495, and 555 in the night when clocks go back", last)
	}
}

func gaps(t *testing.T, w *world, all []shift, days int) {
	t.Helper()
	for at := clock(0, 8); at < clock(days, 0); at += 30 * minute {
		there := make(map[int]map[string]int)
		for _, s := range all {
			if s.from <= at && at < s.until {
				if there[s.unit] == nil {
					there[s.unit] = make(map[string]int)
				}
				there[s.unit][s.role]++
			}
		}
		for _, u := range slices.Concat(w.wards, w.sizes[urgent]) {
			if there[u][nurseRole] < 3 {
				t.Fatalf("nurses of unit %d on day %d: got %d, want 3 or more", u, (at-beginning)/day, there[u][nurseRole])
			}
		}
	}
}

// TestDeterminism: one seed gives the same acts and relations, another others.
func TestDeterminism(t *testing.T) {
	days := func(seed uint64) (acts []act, tells []tell) {
		h := newHospital(build(120, 4_800, 3, seed), pick("ordinary"), 3)
		for d := range 3 {
			a, b := h.next(d)
			acts, tells = append(acts, a...), append(tells, b...)
		}
		return acts, tells
	}
	acts, tells := days(5)
	again, told := days(5)
	if !reflect.DeepEqual(acts, again) || !reflect.DeepEqual(tells, told) {
		t.Error("the same seed: got other days, want the same")
	}
	if other, _ := days(6); reflect.DeepEqual(acts, other) {
		t.Error("another seed: got the same days, want others")
	}
	for i := 1; i < len(acts); i++ {
		if acts[i].at < acts[i-1].at {
			t.Fatal("acts: got one before its time, want them in order")
		}
	}
}

// TestCalibration holds the three feeds against the shares they stand for.
func TestCalibration(t *testing.T) {
	if testing.Short() {
		t.Skip("eighteen days of 500 staff")
	}
	want := map[string]float64{"fresh": 0.02, "ordinary": 0.06, "poor": 0.15}
	for _, f := range feeds() {
		tr := trial{world: build(500, 20_000, 6, 1), feed: f, thresholds: without(), days: 6, train: 2, delay: second}
		q := quietOf(tr.run())
		if got := q.Unexplained; got < want[f.name]*0.7 || got > want[f.name]*1.3 {
			t.Errorf("%s feed: unexplained new pairs: got %.4f, want %.2f within 30 %%", f.name, got, want[f.name])
		}
		if got := q.ReadsADay; got < 54 || got > 74 {
			t.Errorf("%s feed: reads a staff-day: got %.1f, want about 64", f.name, got)
		}
	}
}

// replay is a small hospital of three days with three runs of one attack.
func replay(t *testing.T, attack string, thresholds detect.Thresholds) stolen {
	t.Helper()
	o := options{only: attack}
	scripts, err := o.scripts()
	if err != nil {
		t.Fatal(err)
	}
	tr := trial{world: build(60, 4_000, 3, 9), feed: pick("fresh"), thresholds: thresholds, scripts: scripts, runs: 3, days: 3, train: 1, honey: 20, delay: second}
	return stolenOf(tr.run(), attack)
}

// TestEndToEnd plays a hospital of about sixty: each attack is seen by the
// rule that is there for it, and is not when that rule is switched off.
func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("ten replays of three days")
	}
	for _, c := range []struct {
		attack string
		off    []detect.Rule // without which it is missed, or exposes more
		most   int           // patients exposed with all rules
	}{
		{"fast-export", []detect.Rule{detect.D0, detect.D1, detect.D2, detect.D3, detect.D5, detect.D9, detect.D11}, 11},
		{"enumeration", []detect.Rule{detect.D5}, 0},
		{"snoop-colleague", []detect.Rule{detect.D6}, 1},
		{"snoop-off-shift", []detect.Rule{detect.D10, detect.D7}, 1},
		{"emergencies", []detect.Rule{detect.D8}, 4},
	} {
		with := replay(t, c.attack, detect.Default())
		if with.Runs == 0 || with.Recall.Is != with.Runs || with.ExposedMax > c.most {
			t.Errorf("%s: got %d of %d seen and %d exposed, want all seen and at most %d", c.attack, with.Recall.Is, with.Runs, with.ExposedMax, c.most)
		}
		off := replay(t, c.attack, detect.Default().Without(c.off...))
		if off.Recall.Is == off.Runs && off.ExposedMax <= c.most {
			t.Errorf("%s without %v: got as much seen and no more exposed, want less or more", c.attack, c.off)
		}
	}
}

// TestIntervals holds the two intervals against published values.
func TestIntervals(t *testing.T) {
	near := func(got, want float64) bool { return got > want-0.005 && got < want+0.005 }
	if low, high := poisson(0); low != 0 || !near(high, 3.689) {
		t.Errorf("0 counted: got %.3f to %.3f, want 0 to 3.689", low, high)
	}
	if low, high := poisson(10); !near(low, 4.795) || !near(high, 18.390) {
		t.Errorf("10 counted: got %.3f to %.3f, want 4.795 to 18.390", low, high)
	}
	if s := wilson(8, 10); !near(s.Low, 0.490) || !near(s.High, 0.943) {
		t.Errorf("8 of 10: got %.3f to %.3f, want 0.490 to 0.943", s.Low, s.High)
	}
}
