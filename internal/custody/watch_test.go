package custody_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// chart is one patient who gave a team to read, and a record.
type chart struct {
	patient *custodytest.Person
	sealed  *seal.Sealed
	grant   *grant.Grant
}

// clinic is a house whose team many patients gave their records to: a grant
// that names no person, so that nobody has a reason by it alone.
type clinic struct {
	*world
	thief, eve *custodytest.Person
	others     []*custodytest.Person // of the same team
	charts     []chart
}

func newClinic(t *testing.T, patients int) *clinic {
	t.Helper()
	return newStaffed(t, patients, 0)
}

// newStaffed is a clinic with so many more clinicians in the team.
func newStaffed(t *testing.T, patients, others int) *clinic {
	t.Helper()
	w := &clinic{world: newWorld(t, 1)}
	hire := func() *custodytest.Person {
		p := custodytest.NewClinician(t, w.Set, w.org)
		w.Publish(t, p.Inception)
		w.Enrol(t, p)
		return p
	}
	w.thief, w.eve = hire(), hire()
	seats := []abaton.ActorID{w.thief.ID, w.eve.ID}
	for range others {
		w.others = append(w.others, hire())
		seats = append(seats, w.others[len(w.others)-1].ID)
	}
	team := w.org.Team(1, seats...)
	w.Publish(t, w.org.Event(team))
	for i := range patients {
		c := chart{patient: custodytest.NewPatient(t, w.Set, w.org, 1)}
		w.Publish(t, c.patient.Inception)
		c.grant = c.patient.Grant(team.Team, grant.Read, 1000)
		w.Publish(t, c.patient.Event(&actor.Granted{Grant: c.grant.Marshal()}))
		theirs := *w.world
		theirs.ana = c.patient
		c.sealed = theirs.seals(t, uint64(i+1), 1)
		w.mustDeposit(t, c.sealed)
		w.charts = append(w.charts, c)
	}
	return w
}

func (c *chart) release() session.Request {
	return session.Request{Patient: c.patient.ID, Grant: c.grant.ID(), Mode: session.Release, Purpose: abaton.Treatment,
		Rows: []session.Row{{Batch: c.sealed.Name, Bits: 1}}}
}

// asks one keeper: empty when it released, else why not.
func (w *clinic) asks(t *testing.T, s *custodytest.Session, x abaton.KeeperIndex, q session.Request) abaton.Reason {
	t.Helper()
	r, err := w.Ask(t.Context(), s, x, q)
	if err != nil {
		t.Fatalf("ask keeper %d: %v", x, err)
	}
	return r.Reason
}

// reads asks three keepers, and the others where one refuses, as a reader does.
func (w *clinic) reads(t *testing.T, s *custodytest.Session, c *chart, order []int) bool {
	t.Helper()
	released := 0
	for _, i := range order {
		if w.asks(t, s, abaton.KeeperIndex(i+1), c.release()) == "" {
			if released++; released == 3 {
				return true
			}
		}
	}
	return false
}

// settles waits until f holds.
func (w *clinic) settles(t *testing.T, what string, f func() bool) {
	t.Helper()
	patience := 20 * time.Second
	if custodytest.Mutant() { // what is switched off never comes
		patience = time.Second
	}
	end := time.Now().Add(patience)
	for !f() {
		if time.Now().After(end) {
			t.Fatal(what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// says is a verdict by a keeper's own key, whatever that keeper saw.
func (w *clinic) says(t *testing.T, x abaton.KeeperIndex, about contain.Subject, level detect.Level) *contain.Said {
	t.Helper()
	now := time.Now().Unix()
	s, err := contain.Sign(w.Keepers[x].Identity.Key, contain.Verdict{Keeper: x, Organisation: w.org.ID, Subject: about, Level: level,
		Rules: detect.Of(detect.D1), Time: now, Until: now + 3600})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tells a keeper verdicts, and gives its answers.
func (w *clinic) tells(t *testing.T, x abaton.KeeperIndex, said ...*contain.Said) (why []abaton.Reason) {
	t.Helper()
	m := keeper.Verdicts{V: wire.Version}
	for _, s := range said {
		m.Verdicts = append(m.Verdicts, s.Marshal())
	}
	answer, err := w.Keepers[x].Call(context.Background(), keeper.RouteVerdict, wire.Marshal(m))
	var r keeper.Results
	if err != nil || wire.Unmarshal(answer, &r) != nil {
		t.Fatalf("keeper %d: verdicts: %v", x, err)
	}
	for _, one := range r.Results {
		why = append(why, one.Reason)
	}
	return why
}

func (w *clinic) mustTell(t *testing.T, x abaton.KeeperIndex, said ...*contain.Said) {
	t.Helper()
	for _, why := range w.tells(t, x, said...) {
		if why != "" {
			t.Fatalf("keeper %d: verdict: got %q, want heard", x, why)
		}
	}
}

// TestFastExport: a stolen session reads one patient after the other at once.
// Whoever asks keepers at random opens at most eleven.
func TestFastExport(t *testing.T) {
	w := newClinic(t, 16)
	s := w.SignIn(t, w.thief)
	order := rand.New(rand.NewPCG(1, 2))
	opened := 0
	for i := range w.charts {
		if w.reads(t, s, &w.charts[i], order.Perm(5)) {
			opened++
		}
	}
	t.Logf("patients opened: %d of %d", opened, len(w.charts))
	if opened > 11 || opened < 5 {
		t.Errorf("patients opened: got %d, want 5 to 11", opened)
	}
	for x := range w.Keepers {
		if why := w.asks(t, s, x, w.charts[15].release()); why != abaton.ReasonStepUp && why != abaton.ReasonSuspended {
			t.Errorf("keeper %d, at the end: got %q, want step-up or suspended", x, why)
		}
	}
}

// TestOneLyingKeeper: it can make somebody step up at all others, and no more;
// when it says so of many, it is found and counts no more.
func TestOneLyingKeeper(t *testing.T) {
	w := newClinic(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	lie := w.says(t, 4, contain.Person(w.doctor.ID), detect.SuspendPerson)
	s := w.SignIn(t, w.doctor)
	q := w.release(sealed, 1)
	for _, x := range []abaton.KeeperIndex{1, 2, 3, 5} {
		w.mustTell(t, x, lie, lie) // twice the same
		if got := w.asks(t, s, x, q); got != abaton.ReasonStepUp {
			t.Errorf("keeper %d: got %q, want %q", x, got, abaton.ReasonStepUp)
		}
		if got := w.asks(t, s, x, w.touched(t, w.doctor, s, q)); got != "" {
			t.Errorf("keeper %d, stepped up: got %q, want released", x, got)
		}
	}
	var many []*contain.Said
	for i := range contain.SubjectsPerHourMax {
		many = append(many, w.says(t, 4, contain.Person(abaton.ActorID{byte(i), 1}), detect.SuspendPerson))
	}
	before := w.found(t, 1, abaton.ReasonBudget)
	answers := w.tells(t, 1, many...)
	if got := answers[len(answers)-1]; got != abaton.ReasonBudget {
		t.Errorf("too many: got %q, want %q", got, abaton.ReasonBudget)
	}
	if got := w.found(t, 1, abaton.ReasonBudget); got != before+1 {
		t.Errorf("findings: got %d, want %d", got, before+1)
	}
	if got := w.asks(t, s, 1, q); got != "" {
		t.Errorf("a keeper that said too much: got %q, want released", got)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := w.asks(t, s, 1, q); got != "" {
		t.Errorf("and after a restart: got %q, want released", got)
	}
}

func (w *clinic) found(t *testing.T, x abaton.KeeperIndex, r abaton.Reason) uint64 {
	t.Helper()
	all, err := w.Keepers[x].Findings()
	if err != nil {
		t.Fatal(err)
	}
	return all[r]
}

// touched adds a fresh touch over the patient's line.
func (w *clinic) touched(t *testing.T, by *custodytest.Person, s *custodytest.Session, q session.Request) session.Request {
	t.Helper()
	return w.world.touched(t, by, s, q)
}

// isHoney tells every keeper that a patient is made up.
func (w *clinic) isHoney(t *testing.T, c *chart) {
	t.Helper()
	at := time.Now().Unix()
	w.relates(t, w.org.Manage, relation.MakeHoney(c.patient.Manage, c.patient.ID, w.org.ID, at-60, at+3600))
}

// relates tells every keeper that can be reached.
func (w *clinic) relates(t *testing.T, by *key.Signing, entries ...relation.Entry) {
	t.Helper()
	message, err := relation.Sign(by, w.org.ID, time.Now(), entries)
	if err != nil {
		t.Fatal(err)
	}
	for x := range w.Keepers {
		answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteRelations, message)
		if err != nil {
			continue // it is away
		}
		var r keeper.Results
		if err := wire.Unmarshal(answer, &r); err != nil || r.Results[0].Reason != "" {
			t.Fatalf("keeper %d: relations: got %v, want taken", x, err)
		}
	}
}

// steps is a request for a chart with the passkey touched for it.
func (w *clinic) steps(t *testing.T, by *custodytest.Person, s *custodytest.Session, c *chart) session.Request {
	t.Helper()
	theirs := *w.world
	theirs.ana = c.patient
	return theirs.touched(t, by, s, c.release())
}

// TestHoney: one touch of a made-up patient, seen by one keeper, suspends
// everywhere at once: the verdict carries what the thief signed.
func TestHoney(t *testing.T) {
	w := newClinic(t, 2)
	honey, real := &w.charts[0], &w.charts[1]
	w.isHoney(t, honey)
	s := w.SignIn(t, w.thief)
	if got := w.asks(t, s, 1, honey.release()); got != abaton.ReasonSuspended {
		t.Fatalf("honey: got %q, want %q", got, abaton.ReasonSuspended)
	}
	for x := range w.Keepers {
		w.settles(t, "the verdict does not arrive", func() bool { return w.asks(t, s, x, real.release()) == abaton.ReasonSuspended })
	}
	again := w.SignIn(t, w.thief)
	if got := w.asks(t, again, 3, real.release()); got != abaton.ReasonSuspended {
		t.Errorf("a new session: got %q, want %q", got, abaton.ReasonSuspended)
	}
	if got := w.asks(t, w.SignIn(t, w.eve), 3, real.release()); got != "" {
		t.Errorf("a colleague: got %q, want released", got)
	}
}

// TestVerdictReachesAKeeperThatWasAway: it is told until it hears, and keeps
// what it heard over a restart.
func TestVerdictReachesAKeeperThatWasAway(t *testing.T) {
	w := newClinic(t, 12)
	w.Keepers[5].Down(true)
	s := w.SignIn(t, w.thief)
	for i := range w.charts {
		w.asks(t, s, 1, w.charts[i].release()) // keeper 1 finds it alone
	}
	w.Keepers[5].Down(false)
	w.settles(t, "the verdict does not arrive", func() bool {
		return w.asks(t, s, 5, w.charts[0].release()) == abaton.ReasonStepUp
	})
	w.Restart(t, 5, func() {})
	w.Keepers[5].AwaitMode(t)
	if got := w.asks(t, s, 5, w.charts[0].release()); got != abaton.ReasonStepUp {
		t.Errorf("after a restart: got %q, want %q", got, abaton.ReasonStepUp)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := w.asks(t, s, 1, w.charts[11].release()); got != abaton.ReasonStepUp {
		t.Errorf("the keeper that found it, after a restart: got %q, want %q", got, abaton.ReasonStepUp)
	}
}

// TestCareGoesOn: a suspended clinician opens a patient in care with a second
// clinician's word, each time, and nobody else's; an organisation's lift ends it.
func TestCareGoesOn(t *testing.T) {
	w := newClinic(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	said := []*contain.Said{w.says(t, 4, contain.Person(w.doctor.ID), detect.SuspendPerson), w.says(t, 5, contain.Person(w.doctor.ID), detect.SuspendPerson)}
	w.mustTell(t, 1, said...)
	s, second := w.SignIn(t, w.doctor), w.SignIn(t, w.eve)
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, second.Signed); err != nil {
		t.Fatal(err)
	}
	q := w.release(sealed, 1) // the grant names the doctor
	if got := w.asks(t, s, 1, w.touched(t, w.doctor, s, q)); got != abaton.ReasonSuspended {
		t.Fatalf("alone: got %q, want %q", got, abaton.ReasonSuspended)
	}
	agreed := func(change func(*session.Approval)) session.Request {
		p := q
		p.Approval = custodytest.Agree(t, w.eve, second, w.ana.ID, w.grant.ID(), w.doctor.ID, time.Now(), func(a *session.Approval) {
			if a.Opening = s.ID; change != nil {
				change(a)
			}
		})
		return p
	}
	if got := w.asks(t, s, 1, agreed(nil)); got != "" {
		t.Fatalf("with a second clinician: got %q, want released", got)
	}
	if got := w.asks(t, s, 1, agreed(func(p *session.Approval) { p.Opener = w.thief.ID })); got != abaton.ReasonSuspended {
		t.Errorf("agreed to somebody else: got %q, want %q", got, abaton.ReasonSuspended)
	}
	if got := w.asks(t, s, 1, q); got != abaton.ReasonSuspended {
		t.Errorf("without, the next time: got %q, want %q", got, abaton.ReasonSuspended)
	}
	w.mustTell(t, 1, w.says(t, 4, contain.Person(w.eve.ID), detect.SuspendPerson), w.says(t, 5, contain.Person(w.eve.ID), detect.SuspendPerson))
	if got := w.asks(t, s, 1, agreed(nil)); got != abaton.ReasonSuspended {
		t.Errorf("the second is suspended too: got %q, want %q", got, abaton.ReasonSuspended)
	}
	var names [][32]byte
	for _, v := range said {
		names = append(names, v.Name())
	}
	slices.SortFunc(names, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	w.Publish(t, w.org.Event(&actor.Lift{Verdicts: names, Why: actor.Explained}))
	if got := w.asks(t, s, 1, q); got != "" {
		t.Errorf("lifted: got %q, want released", got)
	}
	w.ledgered(t)
}

// ledgered: what the watch did and went by stands in the ledger.
func (w *clinic) ledgered(t *testing.T) {
	t.Helper()
	var contained, lifted, agreed int
	for i := range w.Keepers[1].LedgerSize() {
		e, err := w.Keepers[1].EntryAt(i)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Op == ledger.OpContain:
			contained++
			if e.Word != 4 && e.Word != 5 || e.Watch.Level != uint8(detect.SuspendPerson) {
				t.Errorf("entry %d: got word %d, level %d, want 4 or 5, suspend-person", i, e.Word, e.Watch.Level)
			}
		case e.Op == ledger.OpLift:
			lifted++
		case e.Op == ledger.OpRelease && e.Second == w.eve.ID:
			agreed++
			if e.Watch.Level < uint8(detect.SuspendSession) || e.Outcome != ledger.Permitted {
				t.Errorf("entry %d: got level %d, outcome %v, want suspended and permitted", i, e.Watch.Level, e.Outcome)
			}
		}
	}
	if contained != 4 || lifted != 1 || agreed != 1 {
		t.Errorf("ledger: got %d verdicts, %d lifts, %d agreed openings, want 4, 1, 1", contained, lifted, agreed)
	}
}

// TestSteppedUpTwiceAsFar: who steps up goes on, is noted, and is suspended at
// twice the threshold: a bought clinician.
func TestSteppedUpTwiceAsFar(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 12)
	s := w.SignIn(t, w.thief)
	opened := 0
	for i := range w.charts {
		switch why := w.asks(t, s, 1, w.steps(t, w.thief, s, &w.charts[i])); why {
		case "":
			opened++
		case abaton.ReasonSuspended:
		default:
			t.Fatalf("patient %d: got %q, want released or suspended", i, why)
		}
	}
	if opened != 10 {
		t.Errorf("opened at one keeper: got %d, want 10", opened)
	}
}
