package custody_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// steered asks a keeper what an officer decides by.
func (w *clinic) steered(t *testing.T, x abaton.KeeperIndex, by *key.Signing, about ...abaton.ActorID) (*keeper.Statements, abaton.Reason) {
	t.Helper()
	return w.steeredAt(t, x, 0, by, about...)
}

// steeredAt asks when the keepers' clocks are ahead.
func (w *clinic) steeredAt(t *testing.T, x abaton.KeeperIndex, ahead time.Duration, by *key.Signing, about ...abaton.ActorID) (*keeper.Statements, abaton.Reason) {
	t.Helper()
	q := keeper.Query{V: wire.Version, Kind: keeper.QuerySteer, Actors: about, Time: uint64(time.Now().Add(ahead).Unix()), Key: by.ID()}
	rand.Read(q.Nonce[:])
	answer, err := w.Keepers[x].Call(context.Background(), keeper.RouteQuery, wire.Marshal(by.Seal(wire.Query, wire.Marshal(q))))
	if err != nil {
		return nil, whyNot(err)
	}
	var signed keeper.Signed
	s := new(keeper.Statements)
	if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, s) != nil || s.Steer == nil {
		t.Fatalf("keeper %d: no answer that can be read", x)
	}
	return s, ""
}

// mustSteer is what keeper x tells the organisation of somebody.
func (w *clinic) mustSteer(t *testing.T, x abaton.KeeperIndex, who abaton.ActorID) *keeper.Steer {
	t.Helper()
	s, why := w.steered(t, x, w.org.Manage, w.org.ID, who)
	if why != "" {
		t.Fatalf("keeper %d: got %q, want told", x, why)
	}
	return s.Steer
}

// TestSteer: whoever decides about somebody is told each verdict with its
// numbers and where it stands in the ledger, until after its end; what is lifted
// is forgotten, and stays forgotten when the keeper starts anew.
func TestSteer(t *testing.T) {
	w := newClinic(t, 7)
	s := w.SignIn(t, w.thief)
	for i := range w.charts {
		w.asks(t, s, 1, w.charts[i].release()) // five without a known reason, then a step-up
	}
	told := w.mustSteer(t, 1, w.thief.ID)
	if len(told.Words) != 1 {
		t.Fatalf("verdicts: got %d, want 1", len(told.Words))
	}
	word := told.Words[0]
	if word.Keeper != 1 || word.Subject != w.thief.ID || word.Who != w.thief.ID || word.State != keeper.WordStands {
		t.Errorf("verdict: got keeper %d, state %d, want one of keeper 1 about the thief that stands", word.Keeper, word.State)
	}
	want := keeper.Figure{Rule: uint8(detect.D2), Measure: uint8(detect.NoReason), Count: 6, Limit: 5, Span: 3600}
	if !slices.Contains(word.Figures, want) {
		t.Errorf("numbers: got %v, want %v among them", word.Figures, want)
	}
	e, err := w.Keepers[1].EntryAt(word.Entry)
	if err != nil || e.Op != ledger.OpContain || e.Request != word.Name {
		t.Errorf("entry %d: got operation %d, %v, want the verdict's own", word.Entry, e.Op, err)
	}
	if told.Granted != 0 || told.InCare != 0 || len(told.Counted) == 0 {
		t.Errorf("got %d who gave, %d in care, %d numbers, want 0, 0, some", told.Granted, told.InCare, len(told.Counted))
	}
	if i := slices.IndexFunc(told.SignedIn, func(one keeper.SignedIn) bool { return one.Actor == w.thief.ID }); i < 0 || told.SignedIn[i].Device != w.thief.Device.ID {
		t.Errorf("signed in: got %d sessions, want the thief's at the own device", len(told.SignedIn))
	}
	w.heardElsewhere(t, word.Name)
	w.forgiven(t, word.Name)
}

// heardElsewhere: another keeper knows the verdict, and not what it went by.
func (w *clinic) heardElsewhere(t *testing.T, name [32]byte) {
	t.Helper()
	var theirs keeper.Word
	w.settles(t, "the verdict does not arrive", func() bool {
		told := w.mustSteer(t, 2, w.thief.ID)
		if len(told.Words) == 1 {
			theirs = told.Words[0]
		}
		return len(told.Words) == 1
	})
	if theirs.Name != name || theirs.Keeper != 1 || len(theirs.Figures) != 0 || theirs.Who != (abaton.ActorID{}) {
		t.Errorf("at another keeper: got keeper %d with %d numbers, want keeper 1's bare word", theirs.Keeper, len(theirs.Figures))
	}
	if e, err := w.Keepers[2].EntryAt(theirs.Entry); err != nil || e.Request != name {
		t.Errorf("at another keeper, entry %d: %v, want the verdict's own", theirs.Entry, err)
	}
}

// forgiven: a lift shows, and nothing is counted any more, also after a start.
func (w *clinic) forgiven(t *testing.T, name [32]byte) {
	t.Helper()
	w.Publish(t, w.org.Event(&actor.Lift{Verdicts: [][32]byte{name}, Why: actor.Explained}))
	check := func(when string) {
		told := w.mustSteer(t, 1, w.thief.ID)
		if len(told.Words) != 1 || told.Words[0].State != keeper.WordLifted {
			t.Errorf("%s: got %d verdicts, want the one, lifted", when, len(told.Words))
		}
		if len(told.Counted) != 0 {
			t.Errorf("%s: still counted %v", when, told.Counted)
		}
	}
	check("lifted")
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	w.settles(t, "the keeper has no lease", func() bool {
		_, why := w.steered(t, 1, w.org.Manage, w.org.ID)
		return why == ""
	})
	check("after a start")
}

// TestLiftedSession: a verdict about a session speaks of whoever's it is.
func TestLiftedSession(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 3)
	s := w.SignIn(t, w.thief)
	for i := range w.charts {
		w.asks(t, s, 1, w.charts[i].release())
	}
	said := w.says(t, 4, contain.Session(s.ID), detect.SuspendSession)
	w.mustTell(t, 1, said)
	if told := w.mustSteer(t, 1, w.thief.ID); len(told.Counted) == 0 {
		t.Fatal("nothing was counted")
	}
	w.Publish(t, w.org.Event(&actor.Lift{Verdicts: [][32]byte{said.Name()}, Why: actor.Mistaken}))
	if told := w.mustSteer(t, 1, w.thief.ID); len(told.Counted) != 0 {
		t.Errorf("lifted: still counted %v", told.Counted)
	}
}

// TestSteerIsForOfficers: nobody else is told, whoever they ask about.
func TestSteerIsForOfficers(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 0)
	for name, c := range map[string]struct {
		by    *key.Signing
		about []abaton.ActorID
		want  abaton.Reason
	}{
		"a clinician":            {w.eve.Manage, []abaton.ActorID{w.org.ID}, abaton.ReasonCredential},
		"about oneself":          {w.eve.Manage, []abaton.ActorID{w.org.ID, w.eve.ID}, abaton.ReasonCredential},
		"a patient":              {w.ana.Manage, []abaton.ActorID{w.org.ID}, abaton.ReasonCredential},
		"the attesting key":      {w.org.Attest, []abaton.ActorID{w.org.ID}, abaton.ReasonCredential},
		"another organisation's": {w.org.Manage, []abaton.ActorID{w.ana.ID}, abaton.ReasonCredential},
		"a keeper":               {w.Keepers[2].Identity.Key, []abaton.ActorID{w.org.ID}, abaton.ReasonPeer},
		"about nobody":           {w.org.Manage, nil, abaton.ReasonMalformed},
		"about two":              {w.org.Manage, []abaton.ActorID{w.org.ID, w.eve.ID, w.thief.ID}, abaton.ReasonMalformed},
	} {
		if _, got := w.steered(t, 1, c.by, c.about...); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestPastVerdicts: a verdict that ended is told for seven days, and no longer.
func TestPastVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for keepers' ticks")
	}
	w := newClinic(t, 0)
	later := w.says(t, 4, contain.Person(w.eve.ID), detect.StepUp) // for an hour
	sooner := later.Verdict
	sooner.Subject, sooner.Until = contain.Person(w.thief.ID), sooner.Time+600
	first, err := contain.Sign(w.Keepers[4].Identity.Key, sooner)
	if err != nil {
		t.Fatal(err)
	}
	w.mustTell(t, 1, first, later)
	if told := w.mustSteer(t, 1, w.eve.ID); len(told.Words) != 2 || told.Words[1].State != keeper.WordStands {
		t.Fatalf("at once: got %d verdicts, want two that stand", len(told.Words))
	}
	const ahead = 7*24*time.Hour + 30*time.Minute
	for x := range w.Keepers {
		w.Keepers[x].Ahead(ahead)
	}
	w.settles(t, "what ended more than seven days ago is still told, or nothing is", func() bool {
		s, why := w.steeredAt(t, 1, ahead, w.org.Manage, w.org.ID)
		return why == "" && len(s.Steer.Words) == 1 && s.Steer.Words[0].Name == later.Name() && s.Steer.Words[0].State == keeper.WordEnded
	})
}
