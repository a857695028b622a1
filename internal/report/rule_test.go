package report_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/report"
)

// TestDeadlines: counted from detection, per rule; those that depend on how many
// people it is apply where they should.
func TestDeadlines(t *testing.T) {
	detected := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		people int
		want   map[string]time.Time
	}{
		{3, map[string]time.Time{
			"gdpr-33 notification": detected.Add(72 * time.Hour), "gdpr-34 communication": detected, "ap-nl melding": detected.Add(72 * time.Hour),
			"ico-uk report": detected.Add(72 * time.Hour), "nis2-23 early warning": detected.Add(24 * time.Hour),
			"nis2-23 incident notification": detected.Add(72 * time.Hour), "nis2-23 final report": time.Date(2026, 12, 5, 10, 0, 0, 0, time.UTC),
			"hipaa individuals": detected.AddDate(0, 0, 60), "hipaa HHS, fewer than 500": time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC),
		}},
		{500, map[string]time.Time{"hipaa HHS, 500 or more": detected.AddDate(0, 0, 60)}},
		{501, map[string]time.Time{"hipaa media, 501 or more of one state": detected.AddDate(0, 0, 60)}},
	} {
		i := &report.Incident{Clocks: report.Clocks{Detected: detected.Unix()}}
		i.Scope.People.Opened = c.people
		got := make(map[string]int64)
		for _, r := range report.Due(i) {
			for _, s := range r.Steps {
				got[r.Rule+" "+s.Name] = s.Due
			}
		}
		for name, at := range c.want {
			if got[name] != at.Unix() {
				t.Errorf("%d people, %s: got %v, want %v", c.people, name, time.Unix(got[name], 0).UTC(), at)
			}
		}
		if _, both := got["hipaa HHS, fewer than 500"]; both && c.people >= 500 {
			t.Errorf("%d people: got the duty for fewer than 500", c.people)
		}
	}
}

// TestRulesOfTheirDay: a rule applies from its first day to its last.
func TestRulesOfTheirDay(t *testing.T) {
	if r := report.RuleFor("nis2-23", time.Date(2024, 10, 17, 23, 59, 0, 0, time.UTC).Unix()); r != nil {
		t.Error("a rule applies before its day")
	}
	if r := report.RuleFor("nis2-23", time.Date(2024, 10, 18, 0, 0, 0, 0, time.UTC).Unix()); r == nil {
		t.Error("a rule does not apply on its day")
	}
	for _, r := range report.Rules() {
		if len(r.Sources) == 0 || r.Note == "" {
			t.Errorf("%s: no source, or nothing said of how sure it is", r.ID)
		}
	}
}
