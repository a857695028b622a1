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
	treats := has("physician", "nurse", "pharmacist", "therapist")
	sound := f.Device != nil && f.Device.Enrolled && f.Device.Posture > f.Now
	managed := f.Device != nil && f.Device.Level >= 2
	over := func(hour, day int64) bool { return f.PatientsHour > hour || f.PatientsDay > day }
	person, agent := f.Kind == policy.Person, f.Kind == policy.Agent
	switch {
	case person && !emergency && !sound, f.Device != nil && !emergency && !sound,
		person && !emergency && !managed && (f.Level > 1 || has("locum", "assistant", "records")),
		agent && (f.OnCall || emergency || f.Grant != nil && f.Grant.Delegated),
		agent && over(20, 100), person && has("assistant") && over(10, 25), person && has("records") && over(40, 150),
		person && has("locum") && !emergency && over(30, 100), !emergency && over(60, 200):
		return false
	}
	treatment, life := f.Purpose == abaton.Treatment, int64(1<<40)
	general := treatment || f.Purpose == abaton.Operations || f.Purpose == abaton.PublicHealth
	if f.Grant != nil {
		life = f.Grant.Expires - f.Grant.NotBefore
	}
	switch f.Kind {
	case policy.Agent:
		return has("app", "batch", "intake") && general && f.Level <= 2 && life <= 2678400 ||
			has("agent") && general && f.Purpose != abaton.PublicHealth && f.Level <= 2 && life <= 86400
	case policy.Organisation:
		return general && f.Level <= 2
	case policy.Device:
		return treatment && f.Level == 1
	}
	return (treats || has("locum")) && treatment && f.Level <= 2 ||
		treats && treatment && trained("sensitive-records") && f.StepUp != nil && *f.StepUp <= 300 ||
		emergency && (treats || has("emergency")) ||
		has("assistant") && treatment && f.Level == 1 && minute >= 420 && minute < 1200 && f.Mode != policy.Parts && f.Mode != policy.Unseal ||
		has("records") && (f.Purpose == abaton.Coverage || f.Purpose == abaton.Payment || f.Purpose == abaton.Operations || f.Purpose == abaton.PublicHealth) && f.Level == 1 && day ||
		treats && f.Purpose == abaton.Research && f.Level <= 2 && trained("research-ethics") && day
}

// minuteOf is the hospital's minute in the week of the random facts: winter.
func minuteOf(f *policy.Facts) int64 { return (f.Now + 3600) / 60 % 1440 }

// TestHospitalByHand: the text and the same rules in Go give one answer.
func TestHospitalByHand(t *testing.T) {
	set := inForce(t, shipped(t, "hospital"))
	r := randv2.New(randv2.NewPCG(5, 5))
	for range 8000 {
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
