package policy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/policy"
)

func TestZeroRefuses(t *testing.T) {
	if d := policy.Decide(nil, nurse()); d.Permit || d.Why != policy.WhyNone {
		t.Errorf("no set: got %+v, want refused", d)
	}
	if d := policy.Decide(new(policy.Set), nurse()); d.Permit || d.Why != policy.WhyNone {
		t.Errorf("zero set: got %+v, want refused", d)
	}
	set := inForce(t, shipped(t, "solo"))
	if d := policy.Decide(set, nil); d.Permit || d.Why != policy.WhyFacts {
		t.Errorf("no facts: got %+v, want refused", d)
	}
	if d := policy.Decide(set, new(policy.Facts)); d.Permit || d.Why != policy.WhyFacts {
		t.Errorf("zero facts: got %+v, want refused", d)
	}
	if (policy.Decision{}).Permit {
		t.Error("the zero decision permits")
	}
	if _, err := policy.Parse([]byte(`permit (principal, action, resource);`), new(policy.Schema)); err == nil {
		t.Error("the zero schema accepts a text")
	}
}

// TestOnlyStatedFacts: what no keeper states is refused before any rule is
// asked, by a policy that permits everything.
func TestOnlyStatedFacts(t *testing.T) {
	set := inForce(t, parse(t, `@id("all") @why("All.") permit (principal, action, resource);`))
	if d := policy.Decide(set, nurse()); !d.Permit || d.Rule != "all" {
		t.Fatalf("a nurse: got %+v, want permitted", d)
	}
	for name, change := range map[string]func(*policy.Facts){
		"no kind":             func(f *policy.Facts) { f.Kind = "" },
		"unknown kind":        func(f *policy.Facts) { f.Kind = "Patient" },
		"no mode":             func(f *policy.Facts) { f.Mode = "" },
		"unknown mode":        func(f *policy.Facts) { f.Mode = "export" },
		"no purpose":          func(f *policy.Facts) { f.Purpose = "" },
		"unknown purpose":     func(f *policy.Facts) { f.Purpose = "FUN" },
		"level 0":             func(f *policy.Facts) { f.Level = 0 },
		"level 4":             func(f *policy.Facts) { f.Level = 4 },
		"before 1970":         func(f *policy.Facts) { f.Now = -1 },
		"time out of bounds":  func(f *policy.Facts) { f.Now = 1 << 41 },
		"count below zero":    func(f *policy.Facts) { f.PatientsHour = -1 },
		"fewer in a day":      func(f *policy.Facts) { f.PatientsDay = 1 },
		"many roles":          func(f *policy.Facts) { f.Roles = make([]string, policy.RolesMax+1) },
		"long role":           func(f *policy.Facts) { f.Roles = []string{strings.Repeat("r", policy.WordBytesMax+1)} },
		"training for ever":   func(f *policy.Facts) { f.Training = map[string]int64{"a": 1 << 62} },
		"grant out of bounds": func(f *policy.Facts) { f.Grant.Expires = 1 << 62 },
		"device of level 4":   func(f *policy.Facts) { f.Device.Level = 4 },
		"posture for ever":    func(f *policy.Facts) { f.Device.Posture = 1 << 62 },
		"step-up for ever":    func(f *policy.Facts) { never := int64(1 << 62); f.StepUp = &never },
	} {
		if d := policy.Decide(set, with(change)); d.Permit || d.Why != policy.WhyFacts {
			t.Errorf("%s: got %+v, want refused for its facts", name, d)
		}
	}
}

// TestTime: a set decides from its first second to its last; after it only
// emergencies are decided, by the rules as they were.
func TestTime(t *testing.T) {
	r := parse(t, `@id("all") @why("All.") permit (principal, action, resource);
		@id("no-lists") @why("No lists.") forbid (principal, action == Action::"list", resource);`)
	set, err := policy.NewSet(r, 1, noon.Unix(), noon.Unix()+60)
	if err != nil {
		t.Fatal(err)
	}
	emergency := func(f *policy.Facts) { f.Purpose = abaton.Emergency }
	for _, c := range []struct {
		name   string
		after  int64
		change func(*policy.Facts)
		want   policy.Why
	}{
		{"before", -1, func(*policy.Facts) {}, policy.WhyEarly},
		{"emergency before", -1, emergency, policy.WhyEarly},
		{"first second", 0, func(*policy.Facts) {}, policy.WhyPermitted},
		{"last second", 59, func(*policy.Facts) {}, policy.WhyPermitted},
		{"ended", 60, func(*policy.Facts) {}, policy.WhyExpired},
		{"emergency, ended", 60, emergency, policy.WhyPermitted},
		{"forbidden emergency, ended", 60, func(f *policy.Facts) { emergency(f); f.Mode = policy.List }, policy.WhyForbidden},
	} {
		d := policy.Decide(set, with(func(f *policy.Facts) { c.change(f); f.Now += c.after }))
		if d.Why != c.want || d.Permit != (c.want == policy.WhyPermitted) {
			t.Errorf("%s: got %+v, want %s", c.name, d, c.want)
		}
	}
	for _, bad := range []struct {
		r         *policy.Rules
		version   uint64
		from, end int64
	}{{nil, 1, 0, 1}, {new(policy.Rules), 1, 0, 1}, {r, 0, 0, 1}, {r, 1, 1, 1}, {r, 1, -1, 1}} {
		if _, err := policy.NewSet(bad.r, bad.version, bad.from, bad.end); !errors.Is(err, policy.ErrSet) {
			t.Errorf("set %+v: got %v, want ErrSet", bad, err)
		}
	}
}

func TestStanding(t *testing.T) {
	r := shipped(t, "solo")
	set, err := policy.NewSet(r, 1, noon.Unix(), noon.AddDate(0, 0, 90).Unix())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		days int
		want string
	}{{-1, "not yet in force"}, {0, "in force"}, {59, "in force"}, {60, "in force, ends soon"}, {90, "ended: it refuses everything but emergencies"}} {
		if got := set.Standing(noon.AddDate(0, 0, c.days)); got != c.want {
			t.Errorf("after %d days: got %q, want %q", c.days, got, c.want)
		}
	}
	baseline, err := policy.Baseline(newSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := baseline.Standing(noon.AddDate(100, 0, 0)); got != "in force" {
		t.Errorf("the baseline after a hundred years: got %q, want in force", got)
	}
}

// TestAnErrorRefuses: a rule that errs makes the whole answer no, also where
// every other rule permits. Parse lets no such rule in; this one is made without
// it, as a fault in Cedar's validator would.
func TestAnErrorRefuses(t *testing.T) {
	for _, effect := range []string{"permit", "forbid"} {
		set := inForce(t, policy.Unchecked(t, `permit (principal, action, resource);`,
			effect+` (principal, action, resource) when { context.device.posture < 0 };`))
		f := with(func(f *policy.Facts) { f.Device = nil })
		if d := policy.Decide(set, f); d.Permit || d.Why != policy.WhyError {
			t.Errorf("%s with an attribute that is missing: got %+v, want refused for the error", effect, d)
		}
		if d := policy.Decide(set, nurse()); !d.Permit {
			t.Errorf("%s with the attribute: got %+v, want permitted", effect, d)
		}
	}
}

// TestNothingErrs: on no facts does a shipped rule err, and an answer depends on
// the facts alone.
func TestNothingErrs(t *testing.T) {
	for _, name := range []string{"solo", "hospital"} {
		set := inForce(t, shipped(t, name))
		again := inForce(t, shipped(t, name))
		r := rand.New(rand.NewPCG(1, 2))
		permitted, rules := 0, make(map[string]int)
		const rounds = 12000
		for n := range rounds {
			f := randomFacts(r)
			d := policy.Decide(set, f)
			if d.Why == policy.WhyError || d.Why == policy.WhyFacts {
				t.Fatalf("%s: got %+v for valid facts", name, d)
			}
			if n%16 == 0 && policy.Decide(again, f) != d {
				t.Fatalf("%s: the same facts: got %+v and another answer", name, d)
			}
			rules[d.Rule]++
			if d.Permit {
				permitted++
			}
		}
		if permitted < rounds/20 || permitted > rounds*19/20 {
			t.Errorf("%s: %d of %d permitted: the generator reaches too little", name, permitted, rounds)
		}
		for id := range shipped(t, name).All() {
			if rules[string(id)] == 0 {
				t.Errorf("%s: rule %s decided nothing in %d rounds", name, id, rounds)
			}
		}
	}
}

// who may what in a hospital and in a practice: the tables at the head of the
// shipped texts.
func TestShippedTables(t *testing.T) {
	touched := int64(30)
	late := int64(301)
	trained := func(f *policy.Facts) { f.Training = map[string]int64{"sensitive-records": f.Now + 1} }
	role := func(r string) func(*policy.Facts) { return func(f *policy.Facts) { f.Roles = []string{r} } }
	at := func(hour int) func(*policy.Facts) {
		return func(f *policy.Facts) {
			move := int64(hour-13) * 3600
			f.Now, f.Device.Posture = f.Now+move, f.Device.Posture+move
		}
	}
	agent := func(f *policy.Facts) { f.Kind, f.Roles, f.Device = policy.Agent, []string{"agent"}, nil }
	all := func(changes ...func(*policy.Facts)) func(*policy.Facts) {
		return func(f *policy.Facts) {
			for _, c := range changes {
				c(f)
			}
		}
	}
	purpose := func(p abaton.Purpose) func(*policy.Facts) { return func(f *policy.Facts) { f.Purpose = p } }
	level := func(n int64) func(*policy.Facts) { return func(f *policy.Facts) { f.Level = n } }
	device := func(level int64) func(*policy.Facts) { return func(f *policy.Facts) { f.Device.Level = level } }
	opened := func(hour, day int64) func(*policy.Facts) {
		return func(f *policy.Facts) { f.PatientsHour, f.PatientsDay = hour, day }
	}
	for _, c := range []struct {
		name           string
		change         func(*policy.Facts)
		solo, hospital string // the rule that permits, or "" and the hospital's rule that does not
	}{
		{"nurse", func(*policy.Facts) {}, "staff", "treat"},
		{"nurse at night", at(3), "staff", "treat"},
		{"nurse, no device", func(f *policy.Facts) { f.Device = nil }, "staff", "!sound-device"},
		{"nurse, strange device", func(f *policy.Facts) { f.Device.Enrolled = false }, "!no-stale-device", "!sound-device"},
		{"nurse, posture ran out", func(f *policy.Facts) { f.Device.Posture = f.Now }, "!no-stale-device", "!sound-device"},
		{"nurse for research", purpose(abaton.Research), "staff", "!"},
		{"porter", role("porter"), "staff", "!"},
		{"no role", func(f *policy.Facts) { f.Roles = nil }, "staff", "!"},
		{"level 3 untrained", all(level(3), func(f *policy.Facts) { f.StepUp = &touched }), "staff", "!"},
		{"level 3 untouched", all(level(3), trained), "staff", "!"},
		{"level 3 touched long ago", all(level(3), trained, func(f *policy.Facts) { f.StepUp = &late }), "staff", "!"},
		{"level 3", all(level(3), trained, func(f *policy.Facts) { f.StepUp = &touched }), "staff", "treat-sensitive"},
		{"level 3, training ran out this second", all(level(3), func(f *policy.Facts) {
			f.StepUp, f.Training = &touched, map[string]int64{"sensitive-records": f.Now}
		}), "staff", "!"},
		{"level 3, emergency, training ran out, no device", all(level(3), purpose(abaton.Emergency), func(f *policy.Facts) { f.Device = nil }), "staff", "emergency"},
		{"the records office's emergency", all(role("records"), purpose(abaton.Emergency)), "staff", "!"},
		{"assistant", role("assistant"), "staff", "assistant"},
		{"assistant at level 2", all(role("assistant"), level(2)), "staff", "!"},
		{"assistant before seven", all(role("assistant"), at(6)), "staff", "!"},
		{"assistant, own device", all(role("assistant"), device(1)), "staff", "!own-device"},
		{"assistant, eleventh patient", all(role("assistant"), opened(11, 11)), "staff", "!budget-assistants"},
		{"assistant, twenty-sixth patient", all(role("assistant"), opened(1, 26)), "staff", "!budget-assistants"},
		{"nurse and assistant too, eleventh patient", all(func(f *policy.Facts) { f.Roles = []string{"nurse", "assistant"} }, opened(11, 11)), "staff", "!budget-assistants"},
		{"assistant and large objects", all(role("assistant"), func(f *policy.Facts) { f.Mode = policy.Parts }), "staff", "!"},
		{"nurse, own device", device(1), "staff", "treat"},
		{"nurse, own device, level 2", all(device(1), level(2)), "staff", "!own-device"},
		{"locum", all(role("locum"), level(2)), "staff", "treat"},
		{"locum, own device", all(role("locum"), device(1)), "staff", "!own-device"},
		{"locum, level 3", all(role("locum"), level(3), trained, func(f *policy.Facts) { f.StepUp = &touched }), "staff", "!"},
		{"locum, thirty-first", all(role("locum"), opened(31, 31)), "staff", "!budget-locums"},
		{"records", all(role("records"), purpose(abaton.Coverage)), "staff", "records"},
		{"records treats", role("records"), "staff", "!"},
		{"records at night", all(role("records"), purpose(abaton.Payment), at(23)), "staff", "!"},
		{"records, forty-first", all(role("records"), purpose(abaton.Payment), opened(41, 41)), "staff", "!budget-records"},
		{"records, public health", all(role("records"), purpose(abaton.PublicHealth)), "staff", "records"},
		{"research with the course", all(purpose(abaton.Research), func(f *policy.Facts) {
			f.Training = map[string]int64{"research-ethics": f.Now + 60}
		}), "staff", "research"},
		{"research at night", all(purpose(abaton.Research), at(3), func(f *policy.Facts) {
			f.Training = map[string]int64{"research-ethics": f.Now + 60}
		}), "staff", "!"},
		{"sixty-first patient", opened(61, 61), "staff", "!budget"},
		{"sixty-first patient, emergency", all(opened(61, 61), purpose(abaton.Emergency)), "staff", "emergency"},
		{"agent", agent, "agents", "agents"},
		{"agent, emergency", all(agent, purpose(abaton.Emergency)), "!", "!agents-hand-nothing-on"},
		{"agent, research", all(agent, purpose(abaton.Research)), "agents", "!"},
		{"agent, level 3", all(agent, level(3)), "agents", "!"},
		{"agent without a grant", all(agent, func(f *policy.Facts) { f.Grant = nil }), "agents", "!"},
		{"agent, grant of two days", all(agent, func(f *policy.Facts) { f.Grant.Expires = f.Grant.NotBefore + 2*86400 }), "agents", "!"},
		{"app, grant of 31 days", all(agent, role("app"), func(f *policy.Facts) { f.Grant.Expires = f.Grant.NotBefore + 31*86400 }), "agents", "programs"},
		{"app, grant of 32 days", all(agent, role("app"), func(f *policy.Facts) { f.Grant.Expires = f.Grant.NotBefore + 32*86400 }), "agents", "!"},
		{"agent, public health", all(agent, purpose(abaton.PublicHealth)), "agents", "!"},
		{"agent without a role", all(agent, func(f *policy.Facts) { f.Roles = nil }), "agents", "!"},
		{"agent, grant of 32 days", all(agent, func(f *policy.Facts) { f.Grant.Expires = f.Grant.NotBefore + 32*86400 }), "agents", "!"},
		{"agent, grant handed on", all(agent, func(f *policy.Facts) { f.Grant.Delegated = true }), "agents", "!agents-hand-nothing-on"},
		{"agent, twenty-first patient", all(agent, opened(21, 21)), "agents", "!budget-agents"},
		{"the organisation itself", func(f *policy.Facts) { f.Kind, f.Roles, f.Device = policy.Organisation, nil, nil }, "practice", "hospital"},
		{"the organisation, research", all(purpose(abaton.Research), func(f *policy.Facts) { f.Kind, f.Roles, f.Device = policy.Organisation, nil, nil }), "!", "!"},
		{"a device", func(f *policy.Facts) { f.Kind, f.Roles, f.Device = policy.Device, nil, nil }, "devices", "devices"},
		{"a device, level 3", all(level(3), func(f *policy.Facts) { f.Kind, f.Roles, f.Device = policy.Device, nil, nil }), "!", "!"},
	} {
		for name, want := range map[string]string{"solo": c.solo, "hospital": c.hospital} {
			d := policy.Decide(inForce(t, shipped(t, name)), with(c.change))
			got := d.Rule
			if !d.Permit {
				got = "!" + got
			}
			if got != want {
				t.Errorf("%s, %s: got %q (%s), want %q", name, c.name, got, d.Why, want)
			}
		}
	}
}

// TestClock: the minute of the day is that of the text's clock, summer and
// winter, to the second.
func TestClock(t *testing.T) {
	for _, c := range []struct {
		clock, utc string
		minute     int
		weekday    int
	}{
		{"", "2027-01-13T12:00:00Z", 720, 3},
		{"+00:00", "2027-01-10T23:59:59Z", 1439, 7},
		{"+01:00", "2027-07-11T23:00:00Z", 0, 1},
		{"+01:00 eu", "2027-01-13T12:00:00Z", 780, 3},
		{"+01:00 eu", "2027-03-28T00:59:59Z", 119, 7},
		{"+01:00 eu", "2027-03-28T01:00:00Z", 180, 7},
		{"+01:00 eu", "2027-10-31T00:59:59Z", 179, 7},
		{"+01:00 eu", "2027-10-31T01:00:00Z", 120, 7},
		{"+02:00 eu", "2027-03-28T01:00:00Z", 240, 7},
		{"-05:00 us", "2027-03-14T06:59:59Z", 119, 7},
		{"-05:00 us", "2027-03-14T07:00:00Z", 180, 7},
		{"-05:00 us", "2027-11-07T05:59:59Z", 119, 7},
		{"-05:00 us", "2027-11-07T06:00:00Z", 60, 7},
		{"+05:45", "2027-01-13T18:15:00Z", 0, 4},
		{"-10:00", "2027-01-01T09:30:00Z", 1410, 4},
	} {
		at, err := time.Parse(time.RFC3339, c.utc)
		if err != nil {
			t.Fatal(err)
		}
		annotation := ""
		if c.clock != "" {
			annotation = fmt.Sprintf("@clock(%q)", c.clock)
		}
		text := fmt.Sprintf(`@id("then") @why("Then.") %s permit (principal, action, resource) when { context.minute == %d && context.weekday == %d };`,
			annotation, c.minute, c.weekday)
		set, err := policy.NewSet(parse(t, text), 1, 0, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		if d := policy.Decide(set, with(func(f *policy.Facts) { f.Now = at.Unix() })); !d.Permit {
			t.Errorf("clock %q at %s: not minute %d of day %d", c.clock, c.utc, c.minute, c.weekday)
		}
	}
}

func TestShippedNames(t *testing.T) {
	for _, name := range []string{"", "clinic", "../abaton", "solo.cedar"} {
		if _, err := policy.Shipped(name); !errors.Is(err, policy.ErrNotShipped) {
			t.Errorf("%q: got %v, want ErrNotShipped", name, err)
		}
	}
}
