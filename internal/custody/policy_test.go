package custody_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/policy"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
)

const permitAll = `@id("all") @why("All.") permit (principal, action, resource);` + "\n"

// policyOf is a policy body that began a minute ago and holds for an hour.
func policyOf(version uint64, text string) *actor.Policy {
	now := time.Now().Unix()
	return &actor.Policy{Version: version, NotBefore: now - 60, Expires: now + 3600, Text: []byte(text), Simulation: [32]byte{1}}
}

func (w *world) publishes(t *testing.T, version uint64, text string) {
	t.Helper()
	if version == 1 {
		w.appoints(t)
	}
	w.Publish(t, w.org.Event(policyOf(version, text)))
}

// officer is who watches over the organisation's rules.
var officer = abaton.ActorID{9, 9}

// appoints a security officer, without whom no policy is published.
func (w *world) appoints(t testing.TB) {
	t.Helper()
	w.Publish(t, w.org.Event(w.org.Member(officer, abaton.RoleSecurityOfficer)))
}

// everyKeeper asks all five the same bytes' worth and wants one answer of all.
func (w *world) everyKeeper(t *testing.T, s *custodytest.Session, q session.Request, want keeper.Outcome, why abaton.Reason) {
	t.Helper()
	for x := range w.Keepers {
		w.mustAsk(t, s, x, q, want, why)
	}
}

// TestPolicySwappedBetweenTwoRequests: one session, one grant, the same question;
// each answer is by the policy of that moment, at every keeper.
func TestPolicySwappedBetweenTwoRequests(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	q := w.release(sealed, 1)
	w.everyKeeper(t, s, q, keeper.Permitted, "") // the shipped baseline
	w.publishes(t, 1, permitAll+`@id("no-releases") @why("None.") forbid (principal, action == Action::"release", resource);`)
	w.everyKeeper(t, s, q, keeper.Refused, abaton.ReasonPolicy)
	list := session.Request{Patient: w.ana.ID, Grant: w.grant.ID(), Mode: session.List, Purpose: abaton.Treatment, Lines: w.grant.Lines}
	w.everyKeeper(t, s, list, keeper.Permitted, "")
	w.publishes(t, 2, permitAll)
	w.everyKeeper(t, s, q, keeper.Permitted, "")
	w.publishes(t, 3, `@id("nobody") @why("Nobody.") permit (principal is Device, action, resource);`)
	w.everyKeeper(t, s, q, keeper.Refused, abaton.ReasonPolicy)
}

// TestPolicyLeavesPatientsAlone: no organisation's policy stands between a
// patient and the own record.
func TestPolicyLeavesPatientsAlone(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.publishes(t, 1, permitAll+`@id("none") @why("None.") forbid (principal, action, resource);`)
	q := w.release(sealed, 1)
	w.mustAsk(t, w.SignIn(t, w.doctor), 1, q, keeper.Refused, abaton.ReasonPolicy)
	q.Grant, q.Purpose = abaton.GrantID{}, abaton.PatientAccess
	w.mustAsk(t, w.SignIn(t, w.ana), 1, q, keeper.Permitted, "")
}

// TestPolicyGivesNothing: where the grant does not reach, no policy helps.
func TestPolicyGivesNothing(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.publishes(t, 1, permitAll)
	q := w.release(sealed, 1)
	q.Purpose = abaton.Research
	w.mustAsk(t, w.SignIn(t, w.doctor), 1, q, keeper.Refused, abaton.ReasonPurpose)
}

// TestPolicyEnds: an ended policy refuses everything but emergencies, and the
// one before it does not come back.
func TestPolicyEnds(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	g := w.ana.Grant(w.doctor.ID, grant.Read, 100)
	g.Purposes = []abaton.Purpose{abaton.Emergency, abaton.Treatment}
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	w.grant = g
	w.publishes(t, 1, permitAll)
	short := policyOf(2, permitAll+"// the second version\n")
	const left = 40 * time.Second // less than a lease: keepers still know each other after it
	short.Expires = time.Now().Add(left).Unix()
	w.Publish(t, w.org.Event(short))
	s := w.SignIn(t, w.doctor)
	treat := w.release(sealed, 1)
	emergency := treat
	emergency.Purpose = abaton.Emergency
	w.mustAsk(t, s, 1, treat, keeper.Permitted, "")
	w.Keepers[1].Ahead(left)
	w.mustAsk(t, s, 1, treat, keeper.Refused, abaton.ReasonPolicy)
	w.mustAsk(t, s, 1, emergency, keeper.Permitted, "")
}

// TestPolicyKnowsRoleAndPasskey: facts reach the rules.
func TestPolicyKnowsRoleAndPasskey(t *testing.T) {
	w := newWorld(t, 2)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	q := w.release(sealed, 1)
	w.Enrol(t, w.doctor)
	w.Publish(t, w.org.Event(w.org.Member(w.doctor.ID, abaton.RoleNurse, abaton.RolePhysician)))
	nurse := *w.doctor
	nurse.Role = abaton.RoleNurse
	rule := func(condition string) string {
		return fmt.Sprintf(`@id("only") @why("Only.") permit (principal is Person, action, resource) when { %s };`, condition)
	}
	w.publishes(t, 1, rule(`principal.roles.contains("nurse")`))
	w.mustAsk(t, w.SignIn(t, w.doctor), 1, q, keeper.Refused, abaton.ReasonPolicy)
	w.mustAsk(t, w.SignIn(t, &nurse), 1, q, keeper.Permitted, "")
	for i, c := range []struct {
		condition string
		want      keeper.Outcome
	}{
		{`resource.level == 2`, keeper.Permitted},
		{`resource.level == 1`, keeper.Refused},
		{`principal.organisation == "` + w.org.ID.String() + `"`, keeper.Permitted},
		{`context has grant && context.grant.life == 3660 && context.grant.age >= 60 && context.grant.left > 3000 && !context.grant.delegated`, keeper.Permitted},
		{`context has device && context.device.enrolled && context.device.posture > 0`, keeper.Permitted},
		{`context.emergency || context.onCall`, keeper.Refused},
		{`context.patientsHour == 1 && context.patientsDay == 1`, keeper.Permitted},
		{`principal.hasTag("sensitive-records")`, keeper.Refused},
		{`context has stepUp && context.stepUp <= 60`, keeper.Refused},
	} {
		w.publishes(t, uint64(i+2), rule(c.condition))
		why := abaton.Reason("")
		if c.want == keeper.Refused {
			why = abaton.ReasonPolicy
		}
		w.mustAsk(t, w.SignIn(t, w.doctor), 1, q, c.want, why)
	}
	s := w.SignIn(t, w.doctor)
	touch := func(lines ...abaton.Line) session.Request {
		up := session.StepUp{V: 1, Session: s.ID, Patient: w.ana.ID, Lines: lines, Purpose: abaton.Treatment, Time: time.Now().Unix()}
		a, err := w.doctor.Passkey.Assert(up.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		touched := q
		touched.StepUp = (&session.SignedStepUp{StepUp: up, Assertion: *a}).Marshal()
		return touched
	}
	w.mustAsk(t, s, 1, touch(w.grant.Lines...), keeper.Permitted, "")
	w.mustAsk(t, s, 1, touch(abaton.Line{1}), keeper.Refused, abaton.ReasonPolicy) // for other lines it does not count
}

// TestPolicyThatCannotBeRead gets no vote.
func TestPolicyThatCannotBeRead(t *testing.T) {
	w := newWorld(t, 1)
	w.appoints(t)
	for name, text := range map[string]string{
		"not Cedar":  "allow all",
		"unguarded":  permitAll + `@id("x") @why("X.") forbid (principal, action, resource) when { context.stepUp > 5 };`,
		"one person": permitAll + `@id("x") @why("X.") forbid (principal == Person::"ana", action, resource);`,
	} {
		bad := *w.org // its log does not move
		if err := w.TryPublish(t, bad.Event(policyOf(1, text))); reasonOf(err) != abaton.ReasonPolicy {
			t.Errorf("%s: got %v, want %s", name, err, abaton.ReasonPolicy)
		}
	}
	w.publishes(t, 1, permitAll)
}

// TestShippedPoliciesArePublishable as they are.
func TestShippedPoliciesArePublishable(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	q := w.release(sealed, 1)
	w.Enrol(t, w.doctor)
	w.Publish(t, w.org.Event(w.org.Member(w.doctor.ID, abaton.RolePhysician, abaton.RoleRecords)))
	office := *w.doctor
	office.Role = abaton.RoleRecords
	for i, c := range []struct {
		name string
		want abaton.Reason
	}{{"solo", ""}, {"hospital", abaton.ReasonPolicy}} { // there the records office does not treat
		text, err := policy.Shipped(c.name)
		if err != nil {
			t.Fatal(err)
		}
		w.publishes(t, uint64(i+1), string(text))
		outcome := keeper.Permitted
		if c.want != "" {
			outcome = keeper.Refused
		}
		w.everyKeeper(t, w.SignIn(t, &office), q, outcome, c.want)
	}
}

// TestBudgets: each keeper bounds the patients of an hour and of a day by itself,
// also after a restart, and a policy may be tighter.
func TestBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	for _, b := range []custody.Budget{{PatientsPerHour: 3, PatientsPerDay: 100}, {PatientsPerHour: 100, PatientsPerDay: 3}} {
		testBudget(t, b)
	}
}

// testBudget is three patients and no more.
func testBudget(t *testing.T, b custody.Budget) {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	w := &world{org: custodytest.NewOrganisation(t, set)}
	w.doctor = custodytest.NewClinician(t, set, w.org)
	w.Network = custodytest.StartWith(t, b, set, ids, w.org.ID)
	w.Publish(t, w.org.Inception, w.doctor.Inception)
	var asks []session.Request
	for i := range 5 {
		w.ana = custodytest.NewPatient(t, set, w.org, 1)
		w.grant = w.ana.Grant(w.doctor.ID, grant.Read, 100)
		w.Publish(t, w.ana.Inception, w.ana.Event(&actor.Granted{Grant: w.grant.Marshal()}))
		sealed := w.seals(t, uint64(i+1), 1)
		w.mustDeposit(t, sealed)
		asks = append(asks, w.release(sealed, 1))
	}
	s := w.SignIn(t, w.doctor)
	for _, q := range asks[:3] {
		w.everyKeeper(t, s, q, keeper.Permitted, "")
	}
	w.everyKeeper(t, s, asks[3], keeper.Refused, abaton.ReasonBudget)
	w.everyKeeper(t, s, asks[0], keeper.Permitted, "") // an open chart stays open
	w.Restart(t, 2, func() {})
	if got := w.Keepers[2].AwaitMode(t); got != "serving" {
		t.Fatalf("restarted keeper: got mode %q, want serving", got)
	}
	w.mustAsk(t, s, 2, asks[4], keeper.Refused, abaton.ReasonBudget)
	w.mustAsk(t, s, 2, asks[2], keeper.Permitted, "")
	w.publishes(t, 1, permitAll+`@id("few") @why("Few.") forbid (principal, action, resource) when { context.patientsDay > 2 };`)
	w.mustAsk(t, s, 1, asks[0], keeper.Refused, abaton.ReasonPolicy)
}
