package policy_test

import (
	"crypto/ed25519"
	"crypto/rand"
	randv2 "math/rand/v2"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/policy"
)

// byHand is the hospital's policy written in Go: what a decision costs at least,
// and a second opinion on what the text says.
func byHand(f *policy.Facts, minute int64) bool {
	has := func(roles ...string) bool {
		return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(f.Roles, r) })
	}
	trained := func(course string) bool { return f.Training[course] > f.Now }
	emergency, day := f.Purpose == abaton.Emergency, minute >= 360 && minute < 1320
	treats := has("clinician", "physician", "nurse", "pharmacist", "therapist")
	sound := f.Device != nil && f.Device.Enrolled && f.Device.Posture > f.Now
	switch {
	case f.Kind == policy.Person && !emergency && !sound, f.Device != nil && !emergency && !sound:
		return false
	case f.Kind == policy.Agent && (f.OnCall || emergency || f.Grant != nil && f.Grant.Delegated):
		return false
	case f.Kind == policy.Agent && (f.PatientsHour > 20 || f.PatientsDay > 100),
		f.Kind == policy.Person && has("student") && (f.PatientsHour > 10 || f.PatientsDay > 25),
		f.Kind == policy.Person && has("clerk") && (f.PatientsHour > 40 || f.PatientsDay > 150),
		!emergency && (f.PatientsHour > 60 || f.PatientsDay > 200):
		return false
	}
	general := f.Purpose == abaton.Treatment || f.Purpose == abaton.Operations || f.Purpose == abaton.PublicHealth
	switch f.Kind {
	case policy.Agent:
		return general && f.Level <= 2 && f.Grant != nil && f.Grant.Expires-f.Grant.NotBefore <= 2678400
	case policy.Organisation:
		return general && f.Level <= 2
	case policy.Device:
		return f.Purpose == abaton.Treatment && f.Level == 1
	}
	return treats && f.Purpose == abaton.Treatment && f.Level <= 2 ||
		treats && f.Purpose == abaton.Treatment && trained("sensitive-records") && f.StepUp != nil && *f.StepUp <= 300 ||
		emergency && (treats || has("emergency")) ||
		has("student") && f.Purpose == abaton.Treatment && f.Level == 1 && minute >= 420 && minute < 1200 &&
			f.Mode != policy.Parts && f.Mode != policy.Unseal ||
		has("clerk") && (f.Purpose == abaton.Coverage || f.Purpose == abaton.Payment || f.Purpose == abaton.Operations) && f.Level == 1 && day ||
		has("researcher") && f.Purpose == abaton.Research && f.Level <= 2 && trained("research-ethics") && day ||
		has("officer") && (f.Purpose == abaton.PublicHealth || f.Purpose == abaton.Operations) && f.Level <= 2 && day
}

// minuteOf is the hospital's minute in the week of the random facts: winter.
func minuteOf(f *policy.Facts) int64 { return (f.Now + 3600) / 60 % 1440 }

// TestHospitalByHand: the text and the same rules in Go give one answer.
func TestHospitalByHand(t *testing.T) {
	set := inForce(t, shipped(t, "hospital"))
	r := randv2.New(randv2.NewPCG(5, 5))
	for range 20000 {
		f := randomFacts(r)
		if d := policy.Decide(set, f); d.Permit != byHand(f, minuteOf(f)) {
			t.Fatalf("%+v: got %+v, by hand %t", *f, d, !d.Permit)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	many := make([]*policy.Facts, 256)
	r := randv2.New(randv2.NewPCG(3, 3))
	for i := range many {
		many[i] = randomFacts(r)
	}
	for _, name := range []string{"solo", "hospital"} {
		set := inForce(b, shipped(b, name))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				policy.Decide(set, many[i%len(many)])
			}
		})
	}
	b.Run("byhand", func(b *testing.B) {
		permits := 0
		for i := range b.N {
			if f := many[i%len(many)]; byHand(f, minuteOf(f)) {
				permits++
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		message := make([]byte, 400)
		sig := ed25519.Sign(private, message)
		for range b.N {
			if !ed25519.Verify(public, message, sig) {
				b.Fatal("a good signature does not verify")
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text, err := policy.Shipped("hospital")
	if err != nil {
		b.Fatal(err)
	}
	schema := newSchema(b)
	for range b.N {
		if _, err := policy.Parse(text, schema); err != nil {
			b.Fatal(err)
		}
	}
}
