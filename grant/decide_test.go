package grant_test

import (
	"math"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

// TestDecideTruthTable walks every combination of every input and compares
// the decision with a second reading of the rules, written the other way
// round: as one conjunction.
func TestDecideTruthTable(t *testing.T) {
	combinations, permitted := 0, 0
	for _, f := range everyFact() {
		for _, a := range everyAccess() {
			for _, now := range everyTime() {
				combinations++
				got, want := grant.Decide(f, a, now), mayAccess(f, a, now)
				if got.Permit != want {
					t.Fatalf("facts %+v, access %+v: got permit %t, want %t", f, a, got.Permit, want)
				}
				if got.Permit == (got.Reason != "") {
					t.Fatalf("facts %+v, access %+v: a reason belongs to a refusal and to nothing else", f, a)
				}
				if got.Permit {
					permitted++
				}
			}
		}
	}
	if permitted == 0 || permitted == combinations {
		t.Errorf("permitted %d of %d: the table tells nothing", permitted, combinations)
	}
	t.Logf("%d combinations, %d permitted", combinations, permitted)
}

func mayAccess(f grant.Facts, a grant.Access, now time.Time) bool {
	one := a.Action == grant.Read || a.Action == grant.Deposit
	formed := one && a.Actor != abaton.ActorID{} && a.Patient != abaton.ActorID{} && a.Line != abaton.Line{}
	own := f.Owner && f.Grant == nil && !f.Revoked && a.Actor == a.Patient && a.Purpose == abaton.PatientAccess
	g := f.Grant
	granted := !f.Owner && g != nil && g.Quota > 0 && !f.Revoked && g.Patient == a.Patient && g.Grantee == a.Actor &&
		g.Actions&a.Action != 0 && (g.Lines[0] == a.Line || g.Lines[len(g.Lines)-1] == a.Line) &&
		(g.Purposes[0] == a.Purpose || g.Purposes[len(g.Purposes)-1] == a.Purpose) &&
		!now.Before(time.Unix(g.NotBefore, 0)) && now.Before(time.Unix(g.Expires, 0)) &&
		float64(f.Used)+float64(a.Records) <= float64(g.Quota)
	return formed && !f.Barred && (own || granted)
}

func everyFact() (all []grant.Facts) {
	grants := []*grant.Grant{nil}
	for _, actions := range []grant.Action{grant.Read, grant.Deposit, grant.Read | grant.Deposit} {
		for _, change := range []func(*grant.Grant){
			func(*grant.Grant) {},
			func(g *grant.Grant) { g.Patient = eve },
			func(g *grant.Grant) { g.Grantee = eve },
			func(g *grant.Grant) { g.Quota = 0 },
		} {
			g := sample()
			g.Actions = actions
			change(g)
			grants = append(grants, g)
		}
	}
	for _, g := range grants {
		for bits := range 8 {
			for _, used := range []uint64{0, 9, 10, 11, math.MaxUint64} {
				all = append(all, grant.Facts{Grant: g, Owner: bits&1 != 0, Revoked: bits&2 != 0, Barred: bits&4 != 0, Used: used})
			}
		}
	}
	return all
}

func everyAccess() (all []grant.Access) {
	for _, actor := range []abaton.ActorID{{}, ana, ben, eve} {
		for _, patient := range []abaton.ActorID{{}, ana} {
			for action := range grant.Action(5) {
				for _, purpose := range []abaton.Purpose{"", "CURIOUS", abaton.Treatment, abaton.PatientAccess} {
					for _, line := range []abaton.Line{{}, lineA, lineB, lineC} {
						for _, records := range []uint64{0, 1, 10, math.MaxUint64} {
							all = append(all, grant.Access{Actor: actor, Patient: patient, Action: action, Purpose: purpose, Line: line, Records: records})
						}
					}
				}
			}
		}
	}
	return all
}

func everyTime() []time.Time {
	end := start.Add(time.Hour)
	return []time.Time{start.Add(-time.Second), start, end.Add(-time.Second), end}
}

// TestDecideReasons names the reason of each single defect.
func TestDecideReasons(t *testing.T) {
	access := grant.Access{Actor: ben, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineA, Records: 1}
	own := grant.Access{Actor: ana, Patient: ana, Action: grant.Read, Purpose: abaton.PatientAccess, Line: lineA, Records: 1}
	tests := []struct {
		name   string
		facts  grant.Facts
		access grant.Access
		now    time.Time
		want   abaton.Reason
	}{
		{"granted", grant.Facts{Grant: sample()}, access, start, ""},
		{"the last records of the quota", grant.Facts{Grant: sample(), Used: 9}, access, start, ""},
		{"own record", grant.Facts{Owner: true}, own, start, ""},
		{"nothing known", grant.Facts{}, access, start, abaton.ReasonGrant},
		{"revoked", grant.Facts{Grant: sample(), Revoked: true}, access, start, abaton.ReasonRevoked},
		{"barred", grant.Facts{Grant: sample(), Barred: true}, access, start, abaton.ReasonBarred},
		{"not yet", grant.Facts{Grant: sample()}, access, start.Add(-time.Second), abaton.ReasonExpired},
		{"no longer", grant.Facts{Grant: sample()}, access, start.Add(time.Hour), abaton.ReasonExpired},
		{"quota used up", grant.Facts{Grant: sample(), Used: 10}, access, start, abaton.ReasonQuota},
		{"own record for another purpose", grant.Facts{Owner: true}, with(own, func(a *grant.Access) { a.Purpose = abaton.Treatment }), start, abaton.ReasonPurpose},
		{"owner of another record", grant.Facts{Owner: true}, access, start, abaton.ReasonGrant},
		{"owner with a grant", grant.Facts{Owner: true, Grant: sample()}, own, start, abaton.ReasonGrant},
		{"line not granted", grant.Facts{Grant: sample()}, with(access, func(a *grant.Access) { a.Line = lineC }), start, abaton.ReasonGrant},
		{"action not granted", grant.Facts{Grant: sample()}, with(access, func(a *grant.Access) { a.Action = grant.Deposit }), start, abaton.ReasonGrant},
		{"two actions at once", grant.Facts{Grant: sample()}, with(access, func(a *grant.Access) { a.Action = 3 }), start, abaton.ReasonMalformed},
		{"purpose not granted", grant.Facts{Grant: sample()}, with(access, func(a *grant.Access) { a.Purpose = abaton.Research }), start, abaton.ReasonPurpose},
		{"somebody else", grant.Facts{Grant: sample()}, with(access, func(a *grant.Access) { a.Actor = eve }), start, abaton.ReasonGrant},
		{"another patient", grant.Facts{Grant: sample()}, with(access, func(a *grant.Access) { a.Patient = eve }), start, abaton.ReasonGrant},
	}
	for _, tt := range tests {
		got := grant.Decide(tt.facts, tt.access, tt.now)
		if got.Reason != tt.want || got.Permit != (tt.want == "") {
			t.Errorf("%s: got %+v, want reason %q", tt.name, got, tt.want)
		}
	}
	if (grant.Decision{}).Permit {
		t.Errorf("the zero Decision permits")
	}
}

func with(a grant.Access, change func(*grant.Access)) grant.Access {
	change(&a)
	return a
}

func BenchmarkDecide(b *testing.B) {
	f := grant.Facts{Grant: sample(), Used: 3}
	a := grant.Access{Actor: ben, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineB, Records: 1}
	for b.Loop() {
		if !grant.Decide(f, a, start).Permit {
			b.Fatal("refused")
		}
	}
}
