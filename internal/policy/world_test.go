package policy_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/policy"
)

// noon is a Wednesday in winter, 12:00 UTC, 13:00 in the hospital.
var noon = time.Date(2027, time.January, 13, 12, 0, 0, 0, time.UTC)

func newSchema(t testing.TB) *policy.Schema {
	t.Helper()
	s, err := policy.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t testing.TB, text string) *policy.Rules {
	t.Helper()
	r, err := policy.Parse([]byte(text), newSchema(t))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return r
}

func shipped(t testing.TB, name string) *policy.Rules {
	t.Helper()
	text, err := policy.Shipped(name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

// inForce is the rules in force for a year around noon.
func inForce(t testing.TB, r *policy.Rules) *policy.Set {
	t.Helper()
	s, err := policy.NewSet(r, 1, noon.AddDate(0, -6, 0).Unix(), noon.AddDate(0, 6, 0).Unix())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nurse is an ordinary request: at noon, from a sound device, for treatment.
func nurse() *policy.Facts {
	return &policy.Facts{
		Kind: policy.Person, Organisation: "act1x", Roles: []string{"nurse"}, Mode: policy.Release, Purpose: abaton.Treatment,
		Level: 1, Now: noon.Unix(), PatientsHour: 3, PatientsDay: 12,
		Grant:  &policy.GrantFacts{NotBefore: noon.Unix() - 3600, Expires: noon.Unix() + 3600},
		Device: &policy.DeviceFacts{Enrolled: true, Level: 2, Posture: noon.Unix() + 3600},
	}
}

func with(change func(*policy.Facts)) *policy.Facts {
	f := nurse()
	change(f)
	return f
}

// randomFacts reaches every branch of the shipped policies often.
func randomFacts(r *rand.Rand) *policy.Facts {
	pick := func(n int) int { return r.IntN(n) }
	f := nurse()
	f.Kind = []policy.Kind{policy.Person, policy.Person, policy.Person, policy.Agent, policy.Device, policy.Organisation}[pick(6)]
	roles := []string{"nurse", "physician", "assistant", "assistant", "records", "locum", "emergency", "pharmacist", "app", "agent", "porter"}
	f.Roles = nil
	for range pick(3) {
		f.Roles = append(f.Roles, roles[pick(len(roles))])
	}
	f.Mode = []policy.Mode{policy.Release, policy.Permit, policy.List, policy.Index, policy.Parts, policy.Unseal}[pick(6)]
	f.Purpose = []abaton.Purpose{abaton.Treatment, abaton.Treatment, abaton.Treatment, abaton.Emergency, abaton.Operations,
		abaton.Research, abaton.Payment, abaton.PublicHealth, abaton.Coverage}[pick(9)]
	f.Level, f.OnCall = []int64{1, 1, 2, 3}[pick(4)], pick(8) == 0
	f.Now += int64(pick(7*24)) * 3600
	f.PatientsHour = int64([]int{1, 1, 5, 10, 10, 11, 20, 21, 30, 31, 40, 41, 60, 61}[pick(14)])
	f.PatientsDay = f.PatientsHour + int64([]int{0, 10, 60, 150}[pick(4)])
	if pick(3) > 0 {
		f.Training = map[string]int64{
			"sensitive-records": f.Now + []int64{0, 1, 3600}[pick(3)], "research-ethics": f.Now + []int64{0, 1, 3600}[pick(3)],
		}
	}
	if pick(5) == 0 {
		f.Grant = nil
	} else {
		f.Grant.Delegated = pick(6) == 0
		f.Grant.Expires = f.Grant.NotBefore + int64([]int{86400, 86401, 2678400, 2678401}[pick(4)])
	}
	switch pick(5) {
	case 0:
		f.Device = nil
	case 1:
		f.Device.Enrolled = false
	default:
		f.Device.Posture, f.Device.Level = f.Now+[]int64{0, 1, 3600}[pick(3)], []int64{0, 1, 2, 2, 3, 3}[pick(6)]
	}
	if pick(2) == 0 {
		age := int64([]int{0, 300, 301}[pick(3)])
		f.StepUp = &age
	}
	return f
}
