package grant_test

import (
	"math"
	"slices"
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
		float64(f.Used)+float64(a.Records) <= float64(g.Quota) &&
		(f.Level == 1 || f.Level == 2 || f.Level >= 3 && (a.Action == grant.Deposit || alone(f, a)))
	return formed && !f.Barred && (own || granted)
}

// alone is a person under the own name, whose grant is for one line and for
// treatment only.
func alone(f grant.Facts, a grant.Access) bool {
	g := f.Grant
	return f.Person && f.ActsFor == abaton.ActorID{} && g.Grantee == a.Actor && len(g.Lines) == 1 && !slices.Contains(g.Purposes, abaton.Operations)
}

func everyFact() (all []grant.Facts) {
	grants := []*grant.Grant{nil}
	for _, actions := range []grant.Action{grant.Read, grant.Deposit, grant.Read | grant.Deposit} {
		for _, change := range []func(*grant.Grant){
			func(*grant.Grant) {},
			func(g *grant.Grant) { g.Patient = eve },
			func(g *grant.Grant) { g.Grantee = eve },
			func(g *grant.Grant) { g.Quota = 0 },
			func(g *grant.Grant) { g.Lines = g.Lines[:1] },
			func(g *grant.Grant) {
				g.Lines, g.Purposes = g.Lines[:1], []abaton.Purpose{abaton.PatientAccess, abaton.Treatment}
			},
		} {
			g := sample()
			g.Actions = actions
			change(g)
			grants = append(grants, g)
		}
	}
	for _, g := range grants {
		for bits := range 8 {
			f := grant.Facts{Grant: g, Owner: bits&1 != 0, Revoked: bits&2 != 0, Barred: bits&4 != 0, Level: 1}
			for _, used := range []uint64{0, 9, 10, 11, math.MaxUint64} {
				f.Used = used
				all = append(all, f)
			}
			for _, level := range []uint8{0, 2, 3} {
				f.Used, f.Level = 0, level
				f.Person = false
				all = append(all, f)
				f.Person = true
				all = append(all, f)
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
		{"granted", grant.Facts{Grant: sample(), Level: 1}, access, start, ""},
		{"the last records of the quota", grant.Facts{Grant: sample(), Level: 1, Used: 9}, access, start, ""},
		{"own record", grant.Facts{Owner: true}, own, start, ""},
		{"nothing known", grant.Facts{}, access, start, abaton.ReasonGrant},
		{"revoked", grant.Facts{Grant: sample(), Level: 1, Revoked: true}, access, start, abaton.ReasonRevoked},
		{"barred", grant.Facts{Grant: sample(), Level: 1, Barred: true}, access, start, abaton.ReasonBarred},
		{"not yet", grant.Facts{Grant: sample(), Level: 1}, access, start.Add(-time.Second), abaton.ReasonExpired},
		{"no longer", grant.Facts{Grant: sample(), Level: 1}, access, start.Add(time.Hour), abaton.ReasonExpired},
		{"quota used up", grant.Facts{Grant: sample(), Level: 1, Used: 10}, access, start, abaton.ReasonQuota},
		{"own record for another purpose", grant.Facts{Owner: true}, with(own, func(a *grant.Access) { a.Purpose = abaton.Treatment }), start, abaton.ReasonPurpose},
		{"owner of another record", grant.Facts{Owner: true}, access, start, abaton.ReasonGrant},
		{"owner with a grant", grant.Facts{Owner: true, Grant: sample()}, own, start, abaton.ReasonGrant},
		{"line not granted", grant.Facts{Grant: sample(), Level: 1}, with(access, func(a *grant.Access) { a.Line = lineC }), start, abaton.ReasonGrant},
		{"action not granted", grant.Facts{Grant: sample(), Level: 1}, with(access, func(a *grant.Access) { a.Action = grant.Deposit }), start, abaton.ReasonGrant},
		{"two actions at once", grant.Facts{Grant: sample(), Level: 1}, with(access, func(a *grant.Access) { a.Action = 3 }), start, abaton.ReasonMalformed},
		{"purpose not granted", grant.Facts{Grant: sample(), Level: 1}, with(access, func(a *grant.Access) { a.Purpose = abaton.Research }), start, abaton.ReasonPurpose},
		{"a line nobody knows", grant.Facts{Grant: sample()}, access, start, abaton.ReasonGrant},
		{"shielded, among others", grant.Facts{Grant: sample(), Level: 3, Person: true}, access, start, abaton.ReasonGrant},
		{"shielded, alone", grant.Facts{Grant: single(), Level: 3, Person: true}, access, start, ""},
		{"shielded, by a program", grant.Facts{Grant: single(), Level: 3}, access, start, abaton.ReasonGrant},
		{"shielded, own record", grant.Facts{Owner: true, Level: 3}, own, start, ""},
		{"shielded, by a team", grant.Facts{Grant: team(), ActsFor: eve, Level: 3, Person: true}, access, start, abaton.ReasonGrant},
		{"not shielded, by a team", grant.Facts{Grant: team(), ActsFor: eve, Level: 2, Person: true}, access, start, ""},
		{"somebody else", grant.Facts{Grant: sample(), Level: 1}, with(access, func(a *grant.Access) { a.Actor = eve }), start, abaton.ReasonGrant},
		{"another patient", grant.Facts{Grant: sample(), Level: 1}, with(access, func(a *grant.Access) { a.Patient = eve }), start, abaton.ReasonGrant},
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

// single is a grant of one line for treatment, and team the same to a team.
func single() *grant.Grant {
	g := sample()
	g.Lines, g.Purposes = []abaton.Line{lineA}, []abaton.Purpose{abaton.Treatment}
	return g
}

func team() *grant.Grant {
	g := single()
	g.Grantee = eve
	return g
}

func with(a grant.Access, change func(*grant.Access)) grant.Access {
	change(&a)
	return a
}

func BenchmarkDecide(b *testing.B) {
	f := grant.Facts{Grant: sample(), Level: 1, Used: 3}
	a := grant.Access{Actor: ben, Patient: ana, Action: grant.Read, Purpose: abaton.Treatment, Line: lineB, Records: 1}
	for b.Loop() {
		if !grant.Decide(f, a, start).Permit {
			b.Fatal("refused")
		}
	}
}
