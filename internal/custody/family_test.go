package custody_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/session"
)

// kin is a practice's patient with a person of her own and a registrar.
type kin struct {
	*practice
	son *custodytest.Person
}

func newKin(t *testing.T) *kin {
	t.Helper()
	k := &kin{practice: newPractice(t)}
	k.son = custodytest.NewPatient(t, k.Set, k.org, 1)
	k.Publish(t, k.registry.Inception, k.son.Inception)
	k.Enrol(t, k.doctor)
	return k
}

// gives is what the patient gives her son, for a case and until a time.
func (k *kin) gives(t *testing.T, when grant.Case, until time.Time) *grant.Grant {
	t.Helper()
	g := k.ana.Grant(k.son.ID, grant.Read, 100)
	g.Purposes, g.When, g.Expires = []abaton.Purpose{abaton.PatientAccess}, when, until.Unix()
	k.Publish(t, k.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	return g
}

func (k *kin) names(t *testing.T, may actor.Says, with ...abaton.ActorID) {
	t.Helper()
	k.Publish(t, k.ana.Event(&actor.Registrar{Registrar: k.registry.ID, May: may, With: with}))
}

// finding is a death, or an incapacity of a day, that both signed.
func (k *kin) finding(c grant.Case) actor.SignedEvent {
	b := &actor.Finding{Case: c, Registrar: k.registry.ID, Physician: k.doctor.ID, House: k.org.ID}
	if c == grant.Incapacity {
		b.Until = k.clock().Add(24 * time.Hour).Unix()
	}
	rand.Read(b.Nonce[:])
	event := k.ana.Unsigned(b)
	e := actor.Signed(event, actor.ByKey(k.registry.Manage, event), actor.ByKey(k.doctor.Manage, event))
	k.ana.Stand(e)
	return e
}

// asks is what every keeper says to a request, a list if it has no mode; all say the
// same.
func (k *kin) asks(t *testing.T, p *custodytest.Person, q session.Request) abaton.Reason {
	t.Helper()
	q.Patient, q.Time = k.ana.ID, k.clock().Unix()
	if q.Mode == 0 {
		q.Mode, q.Lines = session.List, k.grant.Lines
	}
	s := k.signIn(t, p)
	var said []abaton.Reason
	for x := range k.Keepers {
		said = append(said, k.reason(t, s, x, q))
	}
	slices.Sort(said)
	if said = slices.Compact(said); len(said) != 1 {
		t.Errorf("keepers differ: %q", said)
	}
	return said[0]
}

func (k *kin) under(g *grant.Grant, p abaton.Purpose) session.Request {
	return session.Request{Grant: g.ID(), Purpose: p}
}

// TestGuardianEndsAtTheBirthday (H2): every keeper, by its own clock, at that
// instant; and a person asks for nothing but what a person may.
func TestGuardianEndsAtTheBirthday(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newKin(t)
	birthday := time.Now().Add(50 * time.Second) // keepers set ahead by less than their lease
	g := k.gives(t, grant.Always, birthday)
	if got := k.asks(t, k.son, k.under(g, abaton.PatientAccess)); got != "" {
		t.Errorf("before: got %q, want permitted", got)
	}
	for _, c := range []struct {
		who     *custodytest.Person
		grant   *grant.Grant
		purpose abaton.Purpose
		want    abaton.Reason
	}{
		{k.son, g, abaton.Treatment, abaton.ReasonPurpose},
		{k.son, k.grant, abaton.PatientAccess, abaton.ReasonGrant},
		{k.doctor, g, abaton.PatientAccess, abaton.ReasonGrant},
	} {
		if got := k.asks(t, c.who, k.under(c.grant, c.purpose)); got != c.want {
			t.Errorf("for %s: got %q, want %q", c.purpose, got, c.want)
		}
	}
	treat := k.ana.Grant(k.son.ID, grant.Read, 100)
	k.Publish(t, k.ana.Event(&actor.Granted{Grant: treat.Marshal()}))
	if got := k.asks(t, k.son, k.under(treat, abaton.Treatment)); got != abaton.ReasonPolicy {
		t.Errorf("a person who treats: got %q, want %q", got, abaton.ReasonPolicy)
	}
	k.pass(time.Until(birthday) + 2*time.Second)
	if got := k.asks(t, k.son, k.under(g, abaton.PatientAccess)); got != abaton.ReasonExpired {
		t.Errorf("after: got %q, want %q", got, abaton.ReasonExpired)
	}
}

// TestOrderHoldsOnReceipt (H2b): a keeper that has a registrar's order refuses,
// without a certificate.
func TestOrderHoldsOnReceipt(t *testing.T) {
	k := newKin(t)
	g := k.gives(t, grant.Always, time.Now().Add(time.Hour))
	bar := &actor.Bar{Actor: k.son.ID, Until: time.Now().Add(48 * time.Hour).Unix()}
	order := func() actor.SignedEvent {
		event := k.ana.Unsigned(bar)
		return actor.Signed(event, actor.ByKey(k.registry.Manage, event))
	}
	for x := range k.Keepers {
		if got := k.Tell(t, x, order()); got != abaton.ReasonCredential {
			t.Errorf("keeper %d: an order of nobody named: got %q, want %q", x, got, abaton.ReasonCredential)
		}
	}
	k.names(t, actor.SaysNarrow)
	said := order()
	for x := range k.Keepers {
		if got := k.Tell(t, x, said); got != "" {
			t.Errorf("keeper %d: the order: got %q, want it to hold", x, got)
		}
	}
	if got := k.asks(t, k.son, k.under(g, abaton.PatientAccess)); got != abaton.ReasonBarred {
		t.Errorf("cut off: got %q, want %q", got, abaton.ReasonBarred)
	}
}

// TestDeathAtEveryKeeper (H4): what is frozen, what opens, and how it is undone.
func TestDeathAtEveryKeeper(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newKin(t)
	heir := k.gives(t, grant.Death, time.Now().Add(10*365*24*time.Hour))
	proxy := k.gives(t, grant.Incapacity, time.Now().Add(10*365*24*time.Hour))
	k.names(t, actor.SaysIncapacity|actor.SaysDeath, k.doctor.ID)
	history := session.Request{Mode: session.History, Purpose: abaton.PatientAccess}
	own := session.Request{Purpose: abaton.PatientAccess}
	unseal := k.unseal()
	check := func(when string, wantHeir, wantProxy, wantOthers abaton.Reason) {
		t.Helper()
		for _, c := range []struct {
			name string
			who  *custodytest.Person
			ask  session.Request
			want abaton.Reason
		}{
			{"the heir", k.son, k.under(heir, abaton.PatientAccess), wantHeir},
			{"the proxy", k.son, k.under(proxy, abaton.PatientAccess), wantProxy},
			{"the doctor", k.doctor, k.under(k.grant, abaton.Treatment), wantOthers},
			{"the owner", k.ana, own, wantOthers},
			{"the owner's history", k.ana, history, wantOthers},
			{"the care team", k.eve, unseal, wantOthers},
			{"the care team's list", k.eve, session.Request{Grant: k.keptID, Purpose: abaton.Treatment}, wantOthers},
			{"a stranger", k.ben, k.under(k.grant, abaton.Treatment), abaton.ReasonGrant},
		} {
			if got := k.asks(t, c.who, c.ask); got != c.want {
				t.Errorf("%s, %s: got %q, want %q", when, c.name, got, c.want)
			}
		}
	}
	check("alive", abaton.ReasonDormant, abaton.ReasonDormant, "")
	k.Publish(t, k.finding(grant.Incapacity))
	check("cannot decide", abaton.ReasonDormant, "", "")
	death := k.finding(grant.Death)
	for x := range k.Keepers {
		if got := k.Tell(t, x, death); got != "" {
			t.Fatalf("keeper %d: %q", x, got)
		}
	}
	check("told", abaton.ReasonDormant, abaton.ReasonFrozen, abaton.ReasonFrozen)
	k.Publish(t, death)
	check("certified", "", abaton.ReasonFrozen, abaton.ReasonFrozen)
	if err := k.TryPublish(t, k.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}}})); reasonOf(err) != abaton.ReasonFrozen {
		t.Errorf("erasure: got %v, want %q", err, abaton.ReasonFrozen)
	}
	k.Publish(t, k.vetoes(death))
	check("alive after all", abaton.ReasonDormant, "", "")
}

// vetoes is the patient's own word that a finding is wrong, after the log's
// certified end.
func (k *kin) vetoes(finding actor.SignedEvent) actor.SignedEvent {
	return k.ana.After(finding, &actor.Veto{Recover: actor.HashOf(finding.Event)})
}
