package custody_test

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/ledger"
)

// TestRungs: each rung of the ladder, said by two others about a session, a
// person, a device and a house, holds a session that was open before at its very
// next request, and nobody whom it is not about.
func TestRungs(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newStaffed(t, 9, 5)
	people := append([]*custodytest.Person{w.thief}, w.others...)
	bystander := w.SignIn(t, w.eve)
	for i, c := range []struct {
		kind  contain.Kind
		level detect.Level
		want  [3]abaton.Reason // of a patient; with a touch; of the next patient with a touch
		anew  abaton.Reason    // with a touch, in a new session
	}{
		{contain.KindPerson, detect.StepUp, [3]abaton.Reason{abaton.ReasonStepUp, "", ""}, ""},
		{contain.KindPerson, detect.Throttle, [3]abaton.Reason{abaton.ReasonStepUp, "", abaton.ReasonThrottled}, ""},
		{contain.KindSession, detect.SuspendSession, [3]abaton.Reason{abaton.ReasonSuspended, abaton.ReasonSuspended, abaton.ReasonSuspended}, ""},
		{contain.KindPerson, detect.SuspendPerson, [3]abaton.Reason{abaton.ReasonSuspended, abaton.ReasonSuspended, abaton.ReasonSuspended}, abaton.ReasonSuspended},
		{contain.KindDevice, detect.Quarantine, [3]abaton.Reason{abaton.ReasonSuspended, abaton.ReasonSuspended, abaton.ReasonSuspended}, abaton.ReasonSuspended},
		{contain.KindOrganisation, detect.Quarantine, [3]abaton.Reason{abaton.ReasonSuspended, abaton.ReasonSuspended, abaton.ReasonSuspended}, abaton.ReasonSuspended},
	} {
		p, charts := people[i], w.charts[3*(i/2):]
		s := w.SignIn(t, p)
		if got := w.asks(t, s, 1, charts[0].release()); got != "" {
			t.Fatalf("before: got %q, want released", got)
		}
		about := map[contain.Kind]contain.Subject{contain.KindSession: contain.Session(s.ID), contain.KindPerson: contain.Person(p.ID),
			contain.KindDevice: contain.Device(p.Device.ID), contain.KindOrganisation: contain.Organisation(w.org.ID)}[c.kind]
		w.mustTell(t, 1, w.says(t, 4, about, c.level), w.says(t, 5, about, c.level))
		for n, got := range [3]abaton.Reason{
			w.asks(t, s, 1, charts[1].release()),
			w.asks(t, s, 1, w.steps(t, p, s, &charts[1])),
			w.asks(t, s, 1, w.steps(t, p, s, &charts[2])),
		} {
			if got != c.want[n] {
				t.Errorf("%v of a %v, request %d: got %q, want %q", c.level, about.Kind, n+1, got, c.want[n])
			}
		}
		again := w.SignInAt(t, p, time.Now().Add(time.Second))
		if got := w.asks(t, again, 1, w.steps(t, p, again, &charts[1])); got != c.anew {
			t.Errorf("%v of a %v, in a new session: got %q, want %q", c.level, about.Kind, got, c.anew)
		}
		if got := w.asks(t, bystander, 1, charts[0].release()); got != "" && about.Kind != contain.KindOrganisation {
			t.Errorf("%v of a %v, a colleague: got %q, want released", c.level, about.Kind, got)
		}
		if t.Failed() {
			return
		}
	}
}

// lastEntry is the newest entry of an operation at a keeper.
func (w *clinic) lastEntry(t *testing.T, x abaton.KeeperIndex, op ledger.Op) ledger.Entry {
	t.Helper()
	for i := w.Keepers[x].LedgerSize(); i > 0; i-- {
		if e, err := w.Keepers[x].EntryAt(i - 1); err != nil {
			t.Fatal(err)
		} else if e.Op == op {
			return e
		}
	}
	t.Fatalf("keeper %d: no entry of operation %d", x, op)
	return ledger.Entry{}
}

// TestNotice: who opens a delicate record with a reason is asked nothing, and the
// patient's list says which rule spoke.
func TestNotice(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 1)
	patient := w.charts[0].patient.ID
	w.relates(t, w.org.Manage, stands(relation.Raised, patient, abaton.ActorID{}))
	w.relates(t, w.org.Writer, stands(relation.Appointment, patient, w.thief.ID))
	if got := w.asks(t, w.SignIn(t, w.thief), 1, w.charts[0].release()); got != "" {
		t.Fatalf("got %q, want released", got)
	}
	e := w.lastEntry(t, 1, ledger.OpRelease)
	if e.Watch.Level != uint8(detect.Notify) || e.Watch.Fired != uint32(detect.Of(detect.D6)) {
		t.Errorf("entry: got level %d, rules %v, want notify by D6", e.Watch.Level, detect.Rules(e.Watch.Fired))
	}
}

// TestOwnVerdict: whom a keeper suspends by what it saw itself stays suspended,
// for patients in care too; its ledger says whose word it is; what lifts it lets
// the person begin anew.
func TestOwnVerdict(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 13)
	s := w.SignIn(t, w.thief)
	steps := func(i int) abaton.Reason { return w.asks(t, s, 1, w.steps(t, w.thief, s, &w.charts[i])) }
	for i := range 10 {
		if got := steps(i); got != "" {
			t.Fatalf("patient %d: got %q, want released", i+1, got)
		}
	}
	if got := steps(10); got != abaton.ReasonSuspended {
		t.Fatalf("patient 11: got %q, want %q", got, abaton.ReasonSuspended)
	}
	w.relates(t, w.org.Writer, stands(relation.Appointment, w.charts[0].patient.ID, w.thief.ID))
	if got := steps(0); got != abaton.ReasonSuspended {
		t.Errorf("a patient in care: got %q, want %q", got, abaton.ReasonSuspended)
	}
	e := w.lastEntry(t, 1, ledger.OpContain)
	if e.Word != 0 || e.Actor != w.thief.ID || e.Watch.Level != uint8(detect.SuspendPerson) {
		t.Errorf("entry: got word %d, level %d, want the own, suspend-person", e.Word, e.Watch.Level)
	}
	w.Publish(t, w.org.Event(&actor.Lift{Verdicts: [][32]byte{e.Request}, Why: actor.Explained}))
	for _, i := range []int{0, 11, 12} {
		if got := steps(i); got != "" {
			t.Errorf("lifted, patient %d: got %q, want released", i+1, got)
		}
	}
}

// TestVerdictsEnd: a mistake ends by itself.
func TestVerdictsEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 1)
	s := w.SignIn(t, w.thief)
	var said []*contain.Said
	for _, x := range []abaton.KeeperIndex{4, 5} {
		now := time.Now().Unix()
		one, err := contain.Sign(w.Keepers[x].Identity.Key, contain.Verdict{Keeper: x, Organisation: w.org.ID, Subject: contain.Person(w.thief.ID),
			Level: detect.SuspendPerson, Rules: detect.Of(detect.D1), Time: now, Until: now + 30})
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, one)
	}
	w.mustTell(t, 1, said...)
	if got := w.asks(t, s, 1, w.charts[0].release()); got != abaton.ReasonSuspended {
		t.Fatalf("while it stands: got %q, want %q", got, abaton.ReasonSuspended)
	}
	w.Keepers[1].Ahead(45 * time.Second)
	if got := w.asks(t, s, 1, w.charts[0].release()); got != "" {
		t.Errorf("after its end: got %q, want released", got)
	}
}

// TestRestartInMidAttack: who restarts a keeper gains nothing. It counts on where
// it stood, knows who is made up and who has a reason.
func TestRestartInMidAttack(t *testing.T) {
	w := newClinic(t, 8)
	s := w.SignIn(t, w.thief)
	w.isHoney(t, &w.charts[7])
	w.relates(t, w.org.Writer, stands(relation.Appointment, w.charts[6].patient.ID, w.thief.ID))
	for i := range 5 {
		if i == 3 {
			w.Restart(t, 1, func() {})
			w.Keepers[1].AwaitMode(t)
		}
		if got := w.asks(t, s, 1, w.charts[i].release()); got != "" {
			t.Fatalf("patient %d: got %q, want released", i+1, got)
		}
	}
	for _, c := range []struct {
		what  string
		chart int
		want  abaton.Reason
	}{
		{"the sixth without a reason", 5, abaton.ReasonStepUp},
		{"one with a reason", 6, ""},
		{"one who is made up", 7, abaton.ReasonSuspended},
	} {
		if got := w.asks(t, s, 1, w.charts[c.chart].release()); got != c.want {
			t.Errorf("after a restart, %s: got %q, want %q", c.what, got, c.want)
		}
	}
}

// TestRelationsMissed: a keeper that was away when reasons were told asks more
// than it needs, and opens nothing more; told late, it forgets what it counted.
func TestRelationsMissed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 7)
	var reasons []relation.Entry
	for i := range w.charts[:6] {
		reasons = append(reasons, stands(relation.Appointment, w.charts[i].patient.ID, w.thief.ID))
	}
	slices.SortFunc(reasons, relation.Compare)
	w.Keepers[5].Down(true)
	w.relates(t, w.org.Writer, reasons...)
	w.Keepers[5].Down(false)
	s := w.SignIn(t, w.thief)
	for x, want := range map[abaton.KeeperIndex]abaton.Reason{1: "", 5: abaton.ReasonStepUp} {
		for i := range 5 {
			if got := w.asks(t, s, x, w.charts[i].release()); got != "" {
				t.Fatalf("keeper %d, patient %d: got %q, want released", x, i+1, got)
			}
		}
		if got := w.asks(t, s, x, w.charts[5].release()); got != want {
			t.Errorf("keeper %d, patient 6: got %q, want %q", x, got, want)
		}
	}
	w.relates(t, w.org.Writer, reasons...)
	if got := w.asks(t, s, 5, w.charts[5].release()); got != "" {
		t.Errorf("keeper 5, told late: got %q, want released", got)
	}
	if got := w.asks(t, s, 5, w.charts[6].release()); got != abaton.ReasonStepUp {
		t.Errorf("keeper 5, another patient: got %q, want %q by what it said before", got, abaton.ReasonStepUp)
	}
}

// TestSilentPeer: a peer that tells nothing for a lease is found within it, once,
// and again when it falls silent again; the others are not.
func TestSilentPeer(t *testing.T) {
	c := newClockCore(t)
	at := time.Unix(1_800_000_000, 0)
	const step = abaton.LeaseMax / 4
	passes := func(steps int, peers ...abaton.KeeperIndex) {
		for range steps {
			at = at.Add(step)
			inputs := []custody.Input{custody.Tick{}}
			for _, x := range peers {
				inputs = append(inputs, custody.Heard{Peer: x})
			}
			c.Step(at, inputs)
		}
	}
	wants := func(when string, want uint64) {
		t.Helper()
		if got, err := c.FoundNow(abaton.ReasonPeer); err != nil || got != want {
			t.Errorf("%s: got %d findings, %v, want %d", when, got, err, want)
		}
	}
	passes(3, 2, 3, 4, 5)
	wants("all are heard", 0)
	passes(4, 2, 3, 4)
	wants("one is quiet for a lease", 0)
	passes(1, 2, 3, 4)
	wants("and longer", 1)
	passes(8, 2, 3, 4)
	wants("and goes on", 1)
	passes(1, 2, 3, 4, 5)
	passes(6, 2, 3, 4)
	wants("heard, and quiet again", 2)
}
