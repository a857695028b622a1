package custody_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// relations is a house with two clinicians and a team of one of them.
type relations struct {
	*world
	eve  *custodytest.Person // a colleague, without a seat
	team *actor.Team         // the doctor's
	bob  *custodytest.Person // a patient whom nobody granted anything
}

func newRelations(t *testing.T) *relations {
	t.Helper()
	w := &relations{world: newWorld(t, 1)}
	w.eve = custodytest.NewClinician(t, w.Set, w.org)
	w.bob = custodytest.NewPatient(t, w.Set, w.org, 1)
	w.Publish(t, w.eve.Inception, w.bob.Inception)
	w.Enrol(t, w.doctor)
	w.Enrol(t, w.eve)
	seed := key.NewSecret()
	w.team = &actor.Team{Epoch: 1, Public: key.BoxFromSeed(seed).Public().Bytes(), Delegable: true}
	rand.Read(w.team.Nonce[:])
	w.team.Team = actor.TeamID(w.org.ID, w.team.Nonce)
	sealed, err := actor.SealTeamSeed(w.doctor.Box.Public(), w.team.Team, seed)
	if err != nil {
		t.Fatal(err)
	}
	w.team.Seats = []actor.Seat{{Actor: w.doctor.ID, Sealed: sealed}}
	w.Publish(t, w.org.Event(w.team))
	return w
}

// stands for an hour, about now.
func stands(kind relation.Kind, patient, whom abaton.ActorID) relation.Entry {
	at := time.Now().Unix()
	return relation.Entry{Patient: patient, Whom: whom, Kind: kind, From: at - 60, Until: at + 3600}
}

// tells one keeper; the reasons are its answers, or its refusal of the whole.
func (w *relations) tells(t *testing.T, x abaton.KeeperIndex, by *key.Signing, at time.Time, entries ...relation.Entry) []abaton.Reason {
	t.Helper()
	return w.tellsAs(t, x, w.org.ID, by, at, entries...)
}

func (w *relations) tellsAs(t *testing.T, x abaton.KeeperIndex, organisation abaton.ActorID, by *key.Signing, at time.Time, entries ...relation.Entry) (reasons []abaton.Reason) {
	t.Helper()
	message, err := relation.Sign(by, organisation, at, entries)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.Keepers[x].Call(context.Background(), keeper.RouteRelations, message)
	if err != nil {
		return []abaton.Reason{reasonOf(err)}
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Results {
		reasons = append(reasons, one.Reason)
	}
	return reasons
}

// knows is what keeper 1 knows of somebody of the house and a patient.
func (w *relations) knows(t *testing.T, who, behalf, patient abaton.ActorID) string {
	t.Helper()
	return w.knowsIn(t, w.org.ID, who, behalf, patient)
}

func (w *relations) knowsIn(t *testing.T, organisation, who, behalf, patient abaton.ActorID) string {
	t.Helper()
	got, err := w.Keepers[1].RelationOf(organisation, who, behalf, false, patient)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const (
	unrelated = "{Related:false Delicate:false Honey:false Kind:0}"
)

// TestRelationsStand: each kind is told, is found for whom it is about, and for
// nobody else.
func TestRelationsStand(t *testing.T) {
	w := newRelations(t)
	none := abaton.ActorID{}
	for _, c := range []struct {
		name  string
		kind  relation.Kind
		whom  abaton.ActorID
		right *key.Signing
		doc   string // for the doctor, who is in the team
		eve   string // for the colleague
	}{
		{"appointment", relation.Appointment, w.doctor.ID, w.org.Writer, "{Related:true Delicate:false Honey:false Kind:1}", unrelated},
		{"admission to the team", relation.Admission, w.team.Team, w.org.Writer, "{Related:true Delicate:false Honey:false Kind:2}", unrelated},
		{"referral", relation.Referral, w.eve.ID, w.org.Writer, unrelated, "{Related:true Delicate:false Honey:false Kind:3}"},
		{"order", relation.Order, w.doctor.ID, w.org.Writer, "{Related:true Delicate:false Honey:false Kind:4}", unrelated},
		{"hand-over", relation.HandOver, w.eve.ID, w.org.Writer, unrelated, "{Related:true Delicate:false Honey:false Kind:5}"},
		{"own", relation.Own, w.doctor.ID, w.org.Manage, "{Related:false Delicate:true Honey:false Kind:6}", unrelated},
		{"kin", relation.Kin, w.eve.ID, w.org.Manage, unrelated, "{Related:false Delicate:true Honey:false Kind:7}"},
		{"colleague of the team", relation.Colleague, w.team.Team, w.org.Manage, "{Related:false Delicate:true Honey:false Kind:8}", unrelated},
		{"colleague of all", relation.Colleague, none, w.org.Manage, "{Related:false Delicate:true Honey:false Kind:8}", "{Related:false Delicate:true Honey:false Kind:8}"},
		{"raised", relation.Raised, none, w.org.Manage, "{Related:false Delicate:true Honey:false Kind:9}", "{Related:false Delicate:true Honey:false Kind:9}"},
	} {
		e := stands(c.kind, w.bob.ID, c.whom)
		now := time.Now()
		if got := w.tells(t, 1, c.right, now, e); !slices.Equal(got, []abaton.Reason{""}) {
			t.Fatalf("%s: got %q, want it kept", c.name, got)
		}
		if got := w.knows(t, w.doctor.ID, none, w.bob.ID); got != c.doc {
			t.Errorf("%s, the doctor: got %s, want %s", c.name, got, c.doc)
		}
		if got := w.knows(t, w.eve.ID, none, w.bob.ID); got != c.eve {
			t.Errorf("%s, the colleague: got %s, want %s", c.name, got, c.eve)
		}
		if got := w.knowsIn(t, w.registry.ID, w.doctor.ID, none, w.bob.ID); got != unrelated {
			t.Errorf("%s, for another house: got %s, want %s", c.name, got, unrelated)
		}
		if got := w.knows(t, w.doctor.ID, none, w.ana.ID); got != unrelated {
			t.Errorf("%s, another patient: got %s, want %s", c.name, got, unrelated)
		}
		w.Keepers[1].Ahead(2 * time.Hour)
		if got := w.knows(t, w.doctor.ID, none, w.bob.ID); got != unrelated {
			t.Errorf("%s, two hours later: got %s, want %s", c.name, got, unrelated)
		}
		w.Keepers[1].Ahead(-2 * time.Hour)
		if got := w.knows(t, w.eve.ID, none, w.bob.ID); got != unrelated {
			t.Errorf("%s, two hours earlier: got %s, want %s", c.name, got, unrelated)
		}
		w.Keepers[1].Ahead(0)
		e.Until = e.From // taken back in the same second
		if got := w.tells(t, 1, c.right, now, e); !slices.Equal(got, []abaton.Reason{""}) {
			t.Fatalf("%s, taken back: got %q", c.name, got)
		}
		if got := w.knows(t, w.doctor.ID, none, w.bob.ID); got != unrelated {
			t.Errorf("%s, taken back: got %s, want %s", c.name, got, unrelated)
		}
	}
}

// TestRelationsInAPlaceTaken: who stands in for a colleague for a shift has the
// colleague's relations, and the team's; without the duty neither.
func TestRelationsInAPlaceTaken(t *testing.T) {
	w := newRelations(t)
	related := "{Related:true Delicate:false Honey:false Kind:1}"
	for _, whom := range []abaton.ActorID{w.doctor.ID, w.team.Team} {
		if got := w.tells(t, 1, w.org.Writer, time.Now(), stands(relation.Appointment, w.bob.ID, whom)); got[0] != "" {
			t.Fatal(got)
		}
		if got := w.knows(t, w.eve.ID, w.doctor.ID, w.bob.ID); got != unrelated {
			t.Errorf("without a duty: got %s, want %s", got, unrelated)
		}
		duty := &actor.Duty{To: w.eve.ID, Team: w.team.Team, From: time.Now().Unix() - 1, Until: time.Now().Unix() + 3600, Sealed: w.team.Seats[0].Sealed}
		w.Publish(t, w.doctor.Event(duty))
		if got := w.knows(t, w.eve.ID, w.doctor.ID, w.bob.ID); got != related {
			t.Errorf("on duty: got %s, want %s", got, related)
		}
		if got := w.knows(t, w.eve.ID, abaton.ActorID{}, w.bob.ID); got != unrelated {
			t.Errorf("in the own place: got %s, want %s", got, unrelated)
		}
		ended := *duty
		ended.Until = ended.From + 1
		w.Publish(t, w.doctor.Event(&ended))
		e := stands(relation.Appointment, w.bob.ID, whom)
		e.From++ // another one: what was told stands on
		w.tells(t, 1, w.org.Writer, time.Now(), e)
	}
}

// TestRelationByName: a grant that names the person, and the own record, need no
// feed.
func TestRelationByName(t *testing.T) {
	w := newRelations(t)
	for _, c := range []struct {
		name  string
		who   abaton.ActorID
		named bool
		want  string
	}{
		{"named", w.eve.ID, true, "{Related:true Delicate:false Honey:false Kind:0}"},
		{"the patient", w.bob.ID, false, "{Related:true Delicate:false Honey:false Kind:0}"},
		{"neither", w.eve.ID, false, unrelated},
	} {
		got, err := w.Keepers[1].RelationOf(w.org.ID, c.who, abaton.ActorID{}, c.named, w.bob.ID)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

// TestHoneyNeedsThePatient: no managing key has people suspended for a real
// patient.
func TestHoneyNeedsThePatient(t *testing.T) {
	w := newRelations(t)
	at := time.Now().Unix()
	sweet := "{Related:false Delicate:false Honey:true Kind:0}"
	for _, c := range []struct {
		name string
		by   *key.Signing
		e    relation.Entry
		want abaton.Reason
	}{
		{"a key of somebody else", w.org.Manage, relation.MakeHoney(w.org.Manage, w.bob.ID, w.org.ID, at, at+60), abaton.ReasonCredential},
		{"a patient nobody knows", w.org.Manage, relation.MakeHoney(w.bob.Manage, abaton.ActorID{7}, w.org.ID, at, at+60), abaton.ReasonNotFound},
		{"no patient", w.org.Manage, relation.MakeHoney(w.doctor.Manage, w.doctor.ID, w.org.ID, at, at+60), abaton.ReasonNotFound},
		{"told by the gateway", w.org.Writer, relation.MakeHoney(w.bob.Manage, w.bob.ID, w.org.ID, at, at+60), abaton.ReasonCredential},
	} {
		if got := w.tells(t, 1, c.by, time.Now(), c.e); !slices.Equal(got, []abaton.Reason{c.want}) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := w.knows(t, w.doctor.ID, abaton.ActorID{}, w.bob.ID); got != unrelated {
		t.Errorf("got %s, want %s", got, unrelated)
	}
	if got := w.tells(t, 1, w.org.Manage, time.Now(), relation.MakeHoney(w.bob.Manage, w.bob.ID, w.org.ID, at-1, at+600)); got[0] != "" {
		t.Fatalf("rightly told: got %q", got)
	}
	if got := w.knows(t, w.doctor.ID, abaton.ActorID{}, w.bob.ID); got != sweet {
		t.Errorf("got %s, want %s", got, sweet)
	}
	if got := w.tells(t, 1, w.org.Manage, time.Now(), relation.Entry{Patient: w.bob.ID, Kind: relation.Honey, From: at - 1, Until: at - 1}); got[0] != "" {
		t.Fatalf("taken back without the patient: got %q", got)
	}
	if got := w.knows(t, w.doctor.ID, abaton.ActorID{}, w.bob.ID); got != unrelated {
		t.Errorf("taken back: got %s, want %s", got, unrelated)
	}
}

// TestRelationsNewestHolds: of two statements about one thing the newer holds,
// in whichever order they come; the same one again changes nothing.
func TestRelationsNewestHolds(t *testing.T) {
	w := newRelations(t)
	now := time.Now()
	long := stands(relation.Admission, w.bob.ID, w.doctor.ID)
	short := long
	short.Until = long.From + 30 // has ended
	related := "{Related:true Delicate:false Honey:false Kind:2}"
	for _, step := range []struct {
		name string
		e    relation.Entry
		at   time.Time
		want string
	}{
		{"first", long, now, related},
		{"the same again", long, now, related},
		{"of an earlier time", short, now.Add(-time.Second), related},
		{"of the same second, ending first", short, now, unrelated},
		{"of the same second, ending later", long, now, unrelated},
		{"newer", long, now.Add(time.Second), related},
	} {
		if got := w.tells(t, 1, w.org.Writer, step.at, step.e); got[0] != "" {
			t.Fatalf("%s: got %q", step.name, got)
		}
		if got := w.knows(t, w.doctor.ID, abaton.ActorID{}, w.bob.ID); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
	}
	if counted, has, err := w.Keepers[1].RelationCount(w.org.ID); counted != 1 || has != 1 || err != nil {
		t.Errorf("got %d counted, %d kept, %v; want one", counted, has, err)
	}
}

// TestRelationsFallWithTheirKey: what a key told counts while it is live.
func TestRelationsFallWithTheirKey(t *testing.T) {
	w := newRelations(t)
	thief := key.NewSigning()
	add := w.org.Event(&actor.KeyAdd{Key: actor.Key{ID: thief.ID(), Rights: actor.Write}})
	add.Proofs = append(add.Proofs, actor.ByKey(thief, add.Event))
	w.Publish(t, add)
	if got := w.tells(t, 1, thief, time.Now(), stands(relation.Order, w.bob.ID, w.eve.ID)); got[0] != "" {
		t.Fatal(got)
	}
	if got, want := w.knows(t, w.eve.ID, abaton.ActorID{}, w.bob.ID), "{Related:true Delicate:false Honey:false Kind:4}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.Publish(t, w.org.Event(&actor.KeyRemove{ID: thief.ID()}))
	if got := w.knows(t, w.eve.ID, abaton.ActorID{}, w.bob.ID); got != unrelated {
		t.Errorf("its key removed: got %s, want %s", got, unrelated)
	}
	if got := w.tells(t, 1, w.org.Writer, time.Now().Add(time.Second), stands(relation.Order, w.bob.ID, w.eve.ID)); got[0] != "" {
		t.Fatal(got)
	}
	if got, want := w.knows(t, w.eve.ID, abaton.ActorID{}, w.bob.ID), "{Related:true Delicate:false Honey:false Kind:4}"; got != want {
		t.Errorf("told anew by another: got %s, want %s", got, want)
	}
}

// TestStolenKeyLeavesNoLitter: whoever filled a house's room with a stolen key,
// for a year ahead, leaves it free again when that key is removed; and meanwhile
// who manages still says what is delicate.
func TestStolenKeyLeavesNoLitter(t *testing.T) {
	w := newRelations(t)
	thief := key.NewSigning()
	add := w.org.Event(&actor.KeyAdd{Key: actor.Key{ID: thief.ID(), Rights: actor.Write}})
	add.Proofs = append(add.Proofs, actor.ByKey(thief, add.Event))
	w.Publish(t, add)
	w.Keepers[1].BoundRelations(uint64(relation.PatientMax) + 1)
	var junk []relation.Entry
	for i := range relation.PatientMax {
		e := stands(relation.Order, w.bob.ID, abaton.ActorID{1, byte(i >> 8), byte(i)})
		e.From += int64(300 * 24 * time.Hour / time.Second)
		e.Until = e.From + 3600
		junk = append(junk, e)
	}
	junk = append(junk, stands(relation.Order, w.ana.ID, w.eve.ID))
	if got := w.tells(t, 1, thief, time.Now(), junk...); slices.ContainsFunc(got, func(r abaton.Reason) bool { return r != "" }) {
		t.Fatalf("junk: got %q, want all kept", got)
	}
	if got := w.tells(t, 1, w.org.Writer, time.Now(), stands(relation.Order, w.bob.ID, w.eve.ID)); got[0] != abaton.ReasonTooLarge {
		t.Fatalf("full: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	if got := w.tells(t, 1, w.org.Manage, time.Now(), stands(relation.Raised, w.bob.ID, abaton.ActorID{})); got[0] != "" {
		t.Errorf("raised, of a patient whose room is full: got %q, want kept", got)
	}
	w.Publish(t, w.org.Event(&actor.KeyRemove{ID: thief.ID()}))
	if err := w.Keepers[1].Sweep(); err != nil {
		t.Fatal(err)
	}
	if counted, has, err := w.Keepers[1].RelationCount(w.org.ID); counted != 1 || has != 1 || err != nil {
		t.Errorf("its key removed, and swept: got %d counted, %d kept, %v; want what who manages told", counted, has, err)
	}
	if got := w.tells(t, 1, w.org.Writer, time.Now(), stands(relation.Order, w.bob.ID, w.eve.ID)); got[0] != "" {
		t.Errorf("afterwards: got %q, want kept", got)
	}
}

// TestRelationsAreBounded: of one patient so many are kept, and one message does
// not get round it.
func TestRelationsAreBounded(t *testing.T) {
	w := newRelations(t)
	var all []relation.Entry
	for i := range relation.PatientMax + 10 {
		all = append(all, stands(relation.Order, w.bob.ID, abaton.ActorID{1, byte(i >> 8), byte(i)}))
	}
	got := w.tells(t, 1, w.org.Writer, time.Now(), all...)
	kept := 0
	for _, r := range got {
		switch r {
		case "":
			kept++
		case abaton.ReasonTooLarge:
		default:
			t.Errorf("got %q", r)
		}
	}
	if kept != relation.PatientMax {
		t.Errorf("got %d kept, want %d", kept, relation.PatientMax)
	}
	if got := w.tells(t, 1, w.org.Writer, time.Now(), stands(relation.Admission, w.bob.ID, w.doctor.ID)); got[0] != abaton.ReasonTooLarge {
		t.Errorf("one more: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	if got := w.tells(t, 1, w.org.Writer, time.Now(), stands(relation.Admission, w.ana.ID, w.doctor.ID)); got[0] != "" {
		t.Errorf("of another patient: got %q, want it kept", got)
	}
	w.Keepers[1].BoundRelations(uint64(relation.PatientMax) + 1)
	e := stands(relation.Admission, w.ana.ID, w.doctor.ID)
	e.From++
	if got := w.tells(t, 1, w.org.Writer, time.Now(), e); got[0] != abaton.ReasonTooLarge {
		t.Errorf("more than an organisation may: got %q, want %q", got, abaton.ReasonTooLarge)
	}
}

// TestRelationsAreSwept: what is over is forgotten, and counted no more; what
// stands survives a restart.
func TestRelationsAreSwept(t *testing.T) {
	w := newRelations(t)
	none := abaton.ActorID{}
	day := stands(relation.Admission, w.bob.ID, w.doctor.ID)
	day.Until += 24 * 3600
	if got := w.tells(t, 1, w.org.Writer, time.Now(), day, stands(relation.Order, w.bob.ID, w.doctor.ID), stands(relation.Order, w.ana.ID, w.doctor.ID)); len(got) != 3 {
		t.Fatal(got)
	}
	w.Restart(t, 1, func() {})
	related := "{Related:true Delicate:false Honey:false Kind:2}"
	if got := w.knows(t, w.doctor.ID, none, w.bob.ID); got != related {
		t.Errorf("after a restart: got %s, want %s", got, related)
	}
	for _, step := range []struct {
		ahead time.Duration
		want  int
	}{{0, 3}, {2 * time.Hour, 1}, {26 * time.Hour, 0}} {
		w.Keepers[1].Ahead(step.ahead)
		if err := w.Keepers[1].Sweep(); err != nil {
			t.Fatal(err)
		}
		if counted, has, err := w.Keepers[1].RelationCount(w.org.ID); counted != step.want || has != step.want || err != nil {
			t.Errorf("%v later: got %d counted, %d kept, %v; want %d", step.ahead, counted, has, err, step.want)
		}
		if step.want > 0 {
			if got := w.knows(t, w.doctor.ID, none, w.bob.ID); got != related {
				t.Errorf("%v later: got %s, want %s", step.ahead, got, related)
			}
		}
	}
}

// TestRelationsDamaged: a store that cannot be read gives no answer, and no
// panic.
func TestRelationsDamaged(t *testing.T) {
	for i := range 120 {
		if _, err := custody.ReadRelation(make([]byte, i), make([]byte, 48)); (err == nil) != (i == 105) {
			t.Errorf("key of %d bytes: got %v", i, err)
		}
		if _, err := custody.ReadRelation(make([]byte, 105), make([]byte, i)); (err == nil) != (i == 48) {
			t.Errorf("value of %d bytes: got %v", i, err)
		}
	}
}
