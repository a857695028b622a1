package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/policy"
)

// ward is a text small enough to be simulated often.
const ward = `@id("treat") @why("Whoever treats.") @clock("+01:00 eu")
permit (principal is Person, action in [Action::"release", Action::"list"], resource is Record)
when { principal.roles.containsAny(["nurse", "student"]) && context.purpose == "TREAT" && resource.level <= 2 };
@id("sensitive") @why("Trained and touched.")
permit (principal is Person, action, resource)
when { principal.roles.contains("nurse") && resource.level == 3 && principal.hasTag("sensitive") &&
	principal.getTag("sensitive") > context.now && context has stepUp && context.stepUp <= 300 };
@id("agents") @why("Short grants.")
permit (principal is Agent, action, resource) when { context has grant && context.grant.life <= 86400 };
@id("students") @why("By day, few.")
forbid (principal is Person, action, resource)
when { principal.roles.contains("student") && (context.minute < 420 || context.minute >= 1200 || context.patientsHour > 10 || context.patientsDay > 25) };
@id("sound") @why("Sound devices.")
forbid (principal is Person, action, resource) unless { context has device && context.device.enrolled && context.device.posture > 0 };
`

// edited is the ward with one piece of text replaced.
func edited(t *testing.T, old, text string) *policy.Rules {
	t.Helper()
	if !strings.Contains(ward, old) {
		t.Fatalf("the ward's policy does not say %q", old)
	}
	return parse(t, strings.Replace(ward, old, text, 1))
}

// simulate holds two texts against those generated requests that are for
// treatment.
func simulate(before, after *policy.Rules) *policy.Simulation {
	return policy.Simulate(before, after, "generated", func(yield func(*policy.Facts) bool) {
		for f := range policy.Generate(before, after) {
			if f.Purpose == abaton.Treatment && !yield(f) {
				return
			}
		}
	})
}

// TestSimulationSeesEveryEdit: whatever one number, role or condition changes,
// somebody is seen to gain or to lose.
func TestSimulationSeesEveryEdit(t *testing.T) {
	was := parse(t, ward)
	for _, c := range []struct {
		old, text    string
		gains, loses bool
	}{
		{`patientsHour > 10 `, `patientsHour > 11 `, true, false},
		{`patientsHour > 10 `, `patientsHour > 9 `, false, true},
		{`patientsDay > 25)`, `patientsDay > 24)`, false, true},
		{`minute < 420`, `minute < 421`, false, true},
		{`minute >= 1200`, `minute >= 1260`, true, false},
		{`life <= 86400`, `life <= 86399`, false, true},
		{`stepUp <= 300`, `stepUp <= 301`, true, false},
		{`posture > 0`, `posture > 60`, false, true},
		{`context.device.enrolled && `, ``, true, false},
		{`"nurse", `, ``, false, true},
		{`["nurse", `, `["porter", "nurse", `, true, false},
		{`level <= 2`, `level <= 1`, false, true},
		{`[Action::"release", `, `[Action::"parts", Action::"release", `, true, false},
		{`@clock("+01:00 eu")`, `@clock("+02:00 eu")`, true, true},
		{`getTag("sensitive") >`, `getTag("sensitive") >=`, true, false},
		{`@id("sound")`, `@id("night") @why("At night a touch.") forbid (principal is Person, action, resource)
			when { context.minute < 360 } unless { context has stepUp }; @id("sound")`, false, true}, // two respects at once
	} {
		s := simulate(was, edited(t, c.old, c.text))
		if (s.Gained > 0) != c.gains || (s.Lost > 0) != c.loses {
			t.Errorf("%q for %q: got %d gains, %d losses of %d", c.text, c.old, s.Gained, s.Lost, s.Requests)
		}
		if s.Unknown != 0 {
			t.Errorf("%q: %d requests that no keeper states", c.text, s.Unknown)
		}
	}
}

// TestSimulationOfTheSame: nobody gains, nobody loses; in reverse gains and
// losses change places.
func TestSimulationOfTheSame(t *testing.T) {
	solo, hospital := shipped(t, "solo"), parse(t, ward)
	if s := simulate(parse(t, ward), parse(t, ward)); s.Gained != 0 || s.Lost != 0 || s.Requests < 500 {
		t.Errorf("the same text: got %d gains, %d losses of %d requests", s.Gained, s.Lost, s.Requests)
	}
	asked := slices.Collect(policy.Generate(solo, hospital))
	there := policy.Simulate(solo, hospital, "x", slices.Values(asked))
	back := policy.Simulate(hospital, solo, "x", slices.Values(asked))
	if there.Gained != back.Lost || there.Lost != back.Gained || there.Lost == 0 {
		t.Errorf("there %d and %d, back %d and %d", there.Gained, there.Lost, back.Gained, back.Lost)
	}
	total, permits := 0, 0
	for _, g := range there.Groups {
		total, permits = total+g.Requests, permits+g.After
		if g.After-g.Before != g.Gained-g.Lost || (g.Gained+g.Lost > 0) != (len(g.By) > 0) {
			t.Errorf("group %+v does not add up", g)
		}
	}
	if total != there.Requests || permits == 0 {
		t.Errorf("groups hold %d of %d requests, %d permitted", total, there.Requests, permits)
	}
}

// TestSimulationIsTheSameTwice: two people who simulate the same texts get the
// same digest, and any other text another.
func TestSimulationIsTheSameTwice(t *testing.T) {
	solo, hospital := shipped(t, "solo"), shipped(t, "hospital")
	few := func(a, b *policy.Rules) *policy.Simulation {
		return policy.Simulate(a, b, "x", slices.Values([]*policy.Facts{nurse(), with(func(f *policy.Facts) { f.Device = nil })}))
	}
	one, two := few(solo, hospital), few(shipped(t, "solo"), shipped(t, "hospital"))
	if one.Digest() != two.Digest() {
		t.Error("the same simulation has two digests")
	}
	if !one.Of(solo.ID(), hospital.ID()) || one.Of(hospital.ID(), solo.ID()) || one.Of(solo.ID(), policy.IDOf([]byte("other"))) {
		t.Error("a simulation passes for that of other texts")
	}
	if new(policy.Simulation).Of(policy.ID{}, policy.ID{}) {
		t.Error("the zero simulation passes")
	}
	read, err := policy.ParseSimulation(one.Marshal())
	if err != nil || read.Digest() != one.Digest() {
		t.Errorf("read again: got %v", err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "not JSON": []byte("x"), "another version": []byte(`{"v":2}`), "another form": append(one.Marshal(), '\n'),
	} {
		if _, err := policy.ParseSimulation(data); !errors.Is(err, policy.ErrSimulation) {
			t.Errorf("%s: got %v, want ErrSimulation", name, err)
		}
	}
	spoilt := nurse()
	spoilt.Level = 9
	if s := policy.Simulate(solo, hospital, "x", slices.Values([]*policy.Facts{spoilt})); s.Unknown != 1 || s.Of(solo.ID(), hospital.ID()) {
		t.Errorf("facts that no keeper states: got %d unknown of %d, and it counts as a simulation", s.Unknown, s.Requests)
	}
}

// FuzzParseSimulation: what parses is written again as the same bytes.
func FuzzParseSimulation(f *testing.F) {
	f.Add(policy.Simulate(shipped(f, "solo"), shipped(f, "hospital"), "x", slices.Values([]*policy.Facts{nurse()})).Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := policy.ParseSimulation(data)
		if err == nil && string(s.Marshal()) != string(data) {
			t.Error("parsed and written again, the simulation differs")
		}
	})
}
