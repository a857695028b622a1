package grant_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

const day = 24 * time.Hour

// forCase is the sample, dormant until a case is stated, for ten years.
func forCase(c grant.Case) *grant.Grant {
	g := sample()
	g.When, g.Expires = c, start.Add(3650*day).Unix()
	return g
}

// TestCaseVectors: the form of a grant for a case.
func TestCaseVectors(t *testing.T) {
	made := []vector{
		grantVector(t, "for an incapacity, ten years", forCase(grant.Incapacity).Marshal()),
		grantVector(t, "for a death, ten years", forCase(grant.Death).Marshal()),
	}
	for _, d := range []struct {
		name   string
		change func(*grant.Grant)
	}{
		{"an unknown case", func(g *grant.Grant) { g.When = 3 }},
		{"ten years for no case", func(g *grant.Grant) { g.When = grant.Always }},
		{"longer than thirty years", func(g *grant.Grant) {
			g.Expires = g.NotBefore + int64(abaton.DormantLifeMax/time.Second) + 1
		}},
		{"to deposit in a case", func(g *grant.Grant) { g.Actions = grant.Read | grant.Deposit }},
	} {
		g := forCase(grant.Death)
		d.change(g)
		made = append(made, grantVector(t, d.name, g.Marshal()))
	}
	zero := append([]byte(nil), sample().Marshal()...)
	zero[0]++ // a map of one field more
	made = append(made, grantVector(t, "case zero, written out", append(zero, 12, 0)))
	for i := range made {
		made[i].Source = "PROTOCOL.md#case"
	}
	checkVectors(t, "case", made)
}

// TestDecideInCases: who opens what, while what is stated.
func TestDecideInCases(t *testing.T) {
	grants := map[string]*grant.Grant{"always": sample(), "incapacity": forCase(grant.Incapacity), "death": forCase(grant.Death)}
	for _, c := range []struct {
		name   string
		frozen bool
		stated grant.Case
		want   map[string]abaton.Reason
	}{
		{"nothing", false, grant.Always, map[string]abaton.Reason{"always": "", "incapacity": abaton.ReasonDormant, "death": abaton.ReasonDormant}},
		{"incapacity", false, grant.Incapacity, map[string]abaton.Reason{"always": "", "incapacity": "", "death": abaton.ReasonDormant}},
		{"death, not certified", true, grant.Always, map[string]abaton.Reason{"always": abaton.ReasonFrozen, "incapacity": abaton.ReasonFrozen, "death": abaton.ReasonDormant}},
		{"death", true, grant.Death, map[string]abaton.Reason{"always": abaton.ReasonFrozen, "incapacity": abaton.ReasonFrozen, "death": ""}},
		{"no death, and its case", false, grant.Death, map[string]abaton.Reason{"always": "", "incapacity": abaton.ReasonDormant, "death": ""}},
	} {
		for name, g := range grants {
			a := grant.Access{Actor: ben, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineA, Records: 1}
			f := grant.Facts{Grant: g, Level: 1, Frozen: c.frozen, Stated: c.stated}
			if got := grant.Decide(f, a, start).Reason; got != c.want[name] {
				t.Errorf("%s, a grant for %s: got %q, want %q", c.name, name, got, c.want[name])
			}
			f.Revoked = true
			if got := grant.Decide(f, a, start).Reason; got != abaton.ReasonRevoked {
				t.Errorf("%s, revoked, for %s: got %q, want %q", c.name, name, got, abaton.ReasonRevoked)
			}
			if a.Actor = eve; grant.Decide(grant.Facts{Grant: g, Level: 1, Stated: c.stated}, a, start).Reason != abaton.ReasonGrant {
				t.Errorf("%s: somebody else opens a grant for %s", c.name, name)
			}
		}
	}
	own := grant.Access{Actor: ana, Patient: ana, Action: grant.Read, Purpose: abaton.PatientAccess, Line: lineA, Records: 1}
	if got := grant.Decide(grant.Facts{Owner: true, Frozen: true}, own, start).Reason; got != abaton.ReasonFrozen {
		t.Errorf("the owner's device after a death: got %q, want %q", got, abaton.ReasonFrozen)
	}
	g := sample()
	g.Actions = grant.Deposit
	late := grant.Access{Actor: ben, Patient: ana, Action: grant.Deposit, Purpose: abaton.Treatment, Line: lineA, Records: 1}
	if d := grant.Decide(grant.Facts{Grant: g, Level: 1, Frozen: true, Stated: grant.Death}, late, start); !d.Permit {
		t.Errorf("a result that comes in after a death: got %q, want it taken", d.Reason)
	}
	if d := grant.Decide(grant.Facts{Grant: forCase(grant.Death), Level: 1, Frozen: true, Stated: grant.Death}, late, start); d.Permit {
		t.Error("an heir deposits")
	}
}
