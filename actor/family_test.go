package actor_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

const day = 24 * time.Hour

// family is a patient whose log names a registrar, the registrar, and a
// physician of the clinic.
type family struct {
	*log
	town *log // the registrar
	dora *log // the physician, of w.org
	son  abaton.ActorID
}

func newFamily(t *testing.T) *family {
	t.Helper()
	w := newWorld(t)
	f := &family{log: w.patient("ana"), son: abaton.ActorID{5}}
	f.town = f.organisation("town", 1)
	f.dora = w.begin(w.inception(actor.Clinician, "dora"), byKey("dora"))
	f.dora.certifyAll()
	w.org.add(w.org.member(f.dora.st.Actor(), abaton.RolePhysician), byKey("org"))
	f.names(actor.SaysNarrow|actor.SaysIncapacity|actor.SaysDeath, f.dora.st.Actor())
	return f
}

// organisation is one that the operator admitted, with keys NAME and NAME two.
func (f *family) organisation(name string, approvals uint8) *log {
	f.w.t.Helper()
	in := f.w.inception(actor.Organisation, name)
	in.Approvals = approvals
	in.Keys = append(in.Keys, actor.Key{ID: signing(name + " two").ID(), Rights: actor.Manage})
	l := &log{w: f.w, st: new(actor.State)}
	a := f.w.authentic(actor.NewInception(f.w.now.Unix(), in), byKey(name), byKey(name+" two"))
	door := f.w.door()
	door.Admitted = func(abaton.ActorID) bool { return true }
	if err := l.st.Admit(a, door, f.w.now); err != nil {
		f.w.t.Fatal(err)
	}
	if err := l.st.Apply(a); err != nil {
		f.w.t.Fatal(err)
	}
	l.certifyAll()
	return l
}

func (f *family) names(may actor.Says, with ...abaton.ActorID) {
	f.w.t.Helper()
	f.add(&actor.Registrar{Registrar: f.town.st.Actor(), May: may, With: with}, byPasskey(f.w.t, "ana"))
}

// door knows everybody here.
func (f *family) door() actor.Door {
	d := f.w.door()
	d.Admitted = func(id abaton.ActorID) bool { return id == f.w.org.st.Actor() || id == f.town.st.Actor() }
	d.Log = func(id abaton.ActorID) *actor.State {
		for _, l := range []*log{f.w.org, f.town, f.dora, f.log} {
			if l.st.Actor() == id {
				return l.st
			}
		}
		return nil
	}
	return d
}

func (f *family) finding(c grant.Case, nonce byte) *actor.Finding {
	b := &actor.Finding{Case: c, Registrar: f.town.st.Actor(), Physician: f.dora.st.Actor(), House: f.w.org.st.Actor(), Nonce: [16]byte{nonce}}
	if c == grant.Incapacity {
		b.Until = f.w.now.Add(30 * day).Unix()
	}
	return b
}

func both() []signer { return []signer{byKey("town"), byKey("dora")} }

// says admits and applies an event; the reason where it is refused.
func (f *family) says(body actor.Body, by ...signer) (*actor.Authentic, abaton.Reason) {
	f.w.t.Helper()
	a := f.w.authentic(f.event(body), by...)
	if err := f.st.Admit(a, f.door(), f.w.now); err != nil {
		return a, reason(err)
	}
	if err := f.st.Apply(a); err != nil {
		f.w.t.Fatal(err)
	}
	return a, ""
}

// states says a finding and certifies it.
func (f *family) states(b *actor.Finding) *actor.Authentic {
	f.w.t.Helper()
	a, why := f.says(b, both()...)
	if why != "" {
		f.w.t.Fatalf("state: refused %q", why)
	}
	f.certify(a)
	return a
}

// forCase is a grant that lies dormant.
func (f *family) forCase(to abaton.ActorID, c grant.Case, nonce byte) *actor.Granted {
	g, err := grant.Parse(f.granted(to, nonce).Grant)
	if err != nil {
		f.w.t.Fatal(err)
	}
	g.When, g.Expires = c, f.w.now.Add(20*365*day).Unix()
	return &actor.Granted{Grant: g.Marshal(), Wrap: []byte("sealed elsewhere")}
}

// reads is grant.Decide for somebody under a grant, zero for the owner.
func (f *family) reads(who abaton.ActorID, id abaton.GrantID, at time.Time) abaton.Reason {
	a := grant.Access{Actor: who, Patient: f.st.Actor(), Action: grant.Read, Purpose: abaton.Treatment, Line: f.st.Lines()[0].Line, Records: 1}
	if id == (abaton.GrantID{}) {
		a.Purpose = abaton.PatientAccess
	}
	return grant.Decide(f.st.Facts(actor.Asker{Actor: who}, id, a.Line, 0, at), a, at).Reason
}

// findingDefects change a valid statement of an incapacity into one that no log
// is asked about.
var findingDefects = []struct {
	name   string
	change func(*actor.Finding)
}{
	{"no case", func(b *actor.Finding) { b.Case = 0 }},
	{"unknown case", func(b *actor.Finding) { b.Case = 3 }},
	{"no registrar", func(b *actor.Finding) { b.Registrar = abaton.ActorID{} }},
	{"no physician", func(b *actor.Finding) { b.Physician = abaton.ActorID{} }},
	{"no house", func(b *actor.Finding) { b.House = abaton.ActorID{} }},
	{"the registrar is the physician", func(b *actor.Finding) { b.Physician = b.Registrar }},
	{"the registrar is the house", func(b *actor.Finding) { b.House = b.Registrar }},
	{"the physician is the house", func(b *actor.Finding) { b.House = b.Physician }},
	{"no nonce", func(b *actor.Finding) { b.Nonce = [16]byte{} }},
	{"no review date", func(b *actor.Finding) { b.Until = 0 }},
	{"a review before time began", func(b *actor.Finding) { b.Until = -1 }},
	{"a death with a review date", func(b *actor.Finding) { b.Case = grant.Death }},
}

func TestFindingForms(t *testing.T) {
	f := newFamily(t)
	for _, c := range findingDefects {
		b := f.finding(grant.Incapacity, 1)
		c.change(b)
		_, err := actor.Authenticate(signed(f.event(b), both()...), party)
		if got := reason(err); got != abaton.ReasonMalformed {
			t.Errorf("%s: got %q, want %q", c.name, got, abaton.ReasonMalformed)
		}
	}
}

func TestRegistrarForms(t *testing.T) {
	f := newFamily(t)
	nine := func() (all []abaton.ActorID) {
		for i := range actor.CosignersMax + 1 {
			all = append(all, abaton.ActorID{byte(i + 1)})
		}
		return all
	}
	for _, c := range []struct {
		name string
		body actor.Registrar
		want abaton.Reason
	}{
		{"cuts only", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysNarrow}, ""},
		{"ended", actor.Registrar{Registrar: f.town.st.Actor()}, ""},
		{"nobody", actor.Registrar{May: actor.SaysNarrow}, abaton.ReasonMalformed},
		{"unknown bit", actor.Registrar{Registrar: abaton.ActorID{9}, May: 8}, abaton.ReasonMalformed},
		{"states alone", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysDeath}, abaton.ReasonMalformed},
		{"cuts with somebody", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysNarrow, With: nine()[:1]}, abaton.ReasonMalformed},
		{"with itself", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysDeath, With: []abaton.ActorID{{9}}}, abaton.ReasonMalformed},
		{"with nobody", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysDeath, With: []abaton.ActorID{{}}}, abaton.ReasonMalformed},
		{"with one twice", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysDeath, With: []abaton.ActorID{{1}, {1}}}, abaton.ReasonMalformed},
		{"with nine", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysDeath, With: nine()}, abaton.ReasonTooLarge},
		{"of the own life", actor.Registrar{Registrar: f.st.Actor(), May: actor.SaysNarrow}, abaton.ReasonActor},
		{"with the patient", actor.Registrar{Registrar: abaton.ActorID{9}, May: actor.SaysDeath, With: []abaton.ActorID{f.st.Actor()}}, abaton.ReasonActor},
	} {
		if got := reason(admit(f.log, signed(f.event(&c.body), byKey("ana")))); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for i := byte(1); i < actor.RegistrarsMax; i++ {
		f.add(&actor.Registrar{Registrar: abaton.ActorID{i}, May: actor.SaysNarrow}, byKey("ana"))
	}
	if got := reason(admit(f.log, signed(f.event(&actor.Registrar{Registrar: abaton.ActorID{99}, May: actor.SaysNarrow}), byKey("ana")))); got != abaton.ReasonTooLarge {
		t.Errorf("one registrar too many: got %q, want %q", got, abaton.ReasonTooLarge)
	}
}

// TestTwoHousesState: one defect each, refused with its reason.
func TestTwoHousesState(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(*family)
		make  func(*family) *actor.Finding
		by    []string
		want  abaton.Reason
	}{
		{"both sign", nil, nil, []string{"town", "dora"}, ""},
		{"the registrar alone", nil, nil, []string{"town"}, abaton.ReasonCredential},
		{"the physician alone", nil, nil, []string{"dora"}, abaton.ReasonCredential},
		{"two of the registrar", nil, nil, []string{"town", "town two"}, abaton.ReasonCredential},
		{"the patient for the physician", nil, nil, []string{"town", "ana"}, abaton.ReasonCredential},
		{"the patient alone", nil, nil, []string{"ana"}, abaton.ReasonCredential},
		{"a writer of the registrar", nil, nil, []string{"town write", "dora"}, abaton.ReasonCredential},
		{"a writer of the physician", nil, nil, []string{"town", "dora write"}, abaton.ReasonCredential},
		{"a manager of the clinic for the physician", nil, nil, []string{"town", "org"}, abaton.ReasonCredential},
		{"a stranger", nil, nil, []string{"stranger", "dora"}, abaton.ReasonCredential},
		{"an organisation that is not named", nil, func(f *family) *actor.Finding {
			b := f.finding(grant.Incapacity, 1)
			b.Registrar, b.House = f.w.org.st.Actor(), f.town.st.Actor()
			return b
		}, []string{"org", "dora"}, abaton.ReasonCredential},
		{"a case that is not its", func(f *family) { f.names(actor.SaysNarrow|actor.SaysDeath, f.dora.st.Actor()) }, nil, []string{"town", "dora"}, abaton.ReasonCredential},
		{"ended", func(f *family) { f.names(0) }, nil, []string{"town", "dora"}, abaton.ReasonCredential},
		{"barred", func(f *family) { f.add(&actor.Bar{Actor: f.town.st.Actor()}, byKey("ana")) }, nil, []string{"town", "dora"}, abaton.ReasonCredential},
		{"another physician is named", func(f *family) { f.names(actor.SaysIncapacity, abaton.ActorID{8}) }, nil, []string{"town", "dora"}, abaton.ReasonCredential},
		{"the physician's house is named", func(f *family) { f.names(actor.SaysIncapacity, f.w.org.st.Actor()) }, nil, []string{"town", "dora"}, ""},
		{"a manager who left the registrar", func(f *family) {
			f.town.add(&actor.KeyRemove{ID: signing("town").ID()}, byKey("town two"))
		}, nil, []string{"town", "dora"}, abaton.ReasonCredential},
		{"a physician who left", func(f *family) {
			f.w.org.add(&actor.Bar{Actor: f.dora.st.Actor()}, byKey("org"))
		}, nil, []string{"town", "dora"}, abaton.ReasonStanding},
		{"a nurse", func(f *family) {
			f.w.org.add(f.w.org.member(f.dora.st.Actor(), abaton.RoleNurse), byKey("org"))
		}, nil, []string{"town", "dora"}, abaton.ReasonStanding},
		{"a physician who has ended", func(f *family) { f.dora.add(new(actor.Stop), byKey("dora")) }, nil, []string{"town", "dora"}, abaton.ReasonCredential},
		{"the physician gains", func(f *family) {
			f.add(f.forCase(f.dora.st.Actor(), grant.Incapacity, 3), byKey("ana"))
		}, nil, []string{"town", "dora"}, abaton.ReasonStanding},
		{"the registrar gains", func(f *family) {
			f.add(f.forCase(f.town.st.Actor(), grant.Incapacity, 3), byKey("ana"))
		}, nil, []string{"town", "dora"}, abaton.ReasonStanding},
		{"review is over", nil, func(f *family) *actor.Finding {
			b := f.finding(grant.Incapacity, 1)
			b.Until = f.w.now.Unix()
			return b
		}, []string{"town", "dora"}, abaton.ReasonExpired},
		{"a first one for half a year", nil, func(f *family) *actor.Finding {
			b := f.finding(grant.Incapacity, 1)
			b.Until = f.w.now.Add(183 * day).Unix()
			return b
		}, []string{"town", "dora"}, abaton.ReasonTooLarge},
		{"a second one for half a year", func(f *family) { f.states(f.finding(grant.Incapacity, 9)) }, func(f *family) *actor.Finding {
			b := f.finding(grant.Incapacity, 1)
			b.Until = f.w.now.Add(183 * day).Unix()
			return b
		}, []string{"town", "dora"}, ""},
		{"a second one for two years", func(f *family) { f.states(f.finding(grant.Incapacity, 9)) }, func(f *family) *actor.Finding {
			b := f.finding(grant.Incapacity, 1)
			b.Until = f.w.now.Add(730 * day).Unix()
			return b
		}, []string{"town", "dora"}, abaton.ReasonTooLarge},
		{"of somebody who has died", func(f *family) { f.states(f.finding(grant.Death, 9)) }, nil, []string{"town", "dora"}, abaton.ReasonFrozen},
		{"a death", nil, func(f *family) *actor.Finding { return f.finding(grant.Death, 1) }, []string{"town", "dora"}, ""},
	} {
		f := newFamily(t)
		if c.setup != nil {
			c.setup(f)
		}
		b := f.finding(grant.Incapacity, 1)
		if c.make != nil {
			b = c.make(f)
		}
		var by []signer
		for _, k := range c.by {
			by = append(by, byKey(k))
		}
		if _, got := f.says(b, by...); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOneKeyIsNotTwo: a key in both logs does not speak for both, and a
// registrar that demands two managers is heard through two.
func TestOneKeyIsNotTwo(t *testing.T) {
	f := newFamily(t)
	f.dora.add(&actor.KeyAdd{Key: actor.Key{ID: signing("town").ID(), Rights: actor.Manage}}, byKey("dora"), byKey("town"))
	if _, got := f.says(f.finding(grant.Death, 1), byKey("town")); got != abaton.ReasonCredential {
		t.Errorf("one key in both logs: got %q, want %q", got, abaton.ReasonCredential)
	}
	f = newFamily(t)
	f.town = f.organisation("court", 2)
	f.names(actor.SaysDeath, f.dora.st.Actor())
	if _, got := f.says(f.finding(grant.Death, 1), byKey("court"), byKey("dora")); got != abaton.ReasonApprovals {
		t.Errorf("one manager of two: got %q, want %q", got, abaton.ReasonApprovals)
	}
	if _, got := f.says(f.finding(grant.Death, 1), byKey("court"), byKey("court two"), byKey("dora")); got != "" {
		t.Errorf("two managers: got %q, want admitted", got)
	}
}

// TestNoDoorNoFinding: a keeper that knows no other log believes nobody.
func TestNoDoorNoFinding(t *testing.T) {
	f := newFamily(t)
	for _, body := range []actor.Body{f.finding(grant.Death, 1), &actor.Bar{Actor: f.son, Until: f.w.now.Add(day).Unix()}} {
		a := f.w.authentic(f.event(body), both()...)
		if got := reason(f.st.Admit(a, f.w.door(), f.w.now)); got != abaton.ReasonCredential {
			t.Errorf("kind %d: got %q, want %q", a.Kind(), got, abaton.ReasonCredential)
		}
	}
}

// TestOnlyAdmittedHouses: a keeper believes no registrar, and no physician's
// house, that its own operator did not admit.
func TestOnlyAdmittedHouses(t *testing.T) {
	f := newFamily(t)
	for name, only := range map[string]abaton.ActorID{"the house alone": f.w.org.st.Actor(), "the registrar alone": f.town.st.Actor()} {
		door := f.door()
		door.Admitted = func(id abaton.ActorID) bool { return id == only }
		a := f.w.authentic(f.event(f.finding(grant.Death, 1)), both()...)
		if got := reason(f.st.Admit(a, door, f.w.now)); got != abaton.ReasonCredential {
			t.Errorf("%s is admitted: got %q, want %q", name, got, abaton.ReasonCredential)
		}
	}
}

// TestMandate: what was given for incapacity opens from the certificate to the
// review date, and the patient ends it with one event.
func TestMandate(t *testing.T) {
	f := newFamily(t)
	mandate := f.forCase(f.son, grant.Incapacity, 1)
	heir := f.forCase(f.son, grant.Death, 2)
	other := f.granted(ben, 3)
	f.add(mandate, byKey("ana"))
	f.add(heir, byKey("ana"))
	f.add(other, byKey("ana"))
	now := f.w.now
	check := func(when string, at time.Time, wantMandate abaton.Reason) {
		t.Helper()
		if got := f.reads(f.son, grantID(mandate), at); got != wantMandate {
			t.Errorf("%s: the mandate: got %q, want %q", when, got, wantMandate)
		}
		if got := f.reads(f.son, grantID(heir), at); got != abaton.ReasonDormant {
			t.Errorf("%s: the heir's: got %q, want %q", when, got, abaton.ReasonDormant)
		}
		if got := f.reads(f.st.Actor(), abaton.GrantID{}, at); got != "" {
			t.Errorf("%s: the patient: got %q, want permitted", when, got)
		}
	}
	asleep := func(g *actor.Granted) bool {
		given, _ := f.st.Grant(grantID(g))
		return f.st.Asleep(given, now)
	}
	if !asleep(mandate) || !asleep(heir) || asleep(other) {
		t.Error("before: what is for a case sleeps, and nothing else")
	}
	check("before", now, abaton.ReasonDormant)
	a, why := f.says(f.finding(grant.Incapacity, 1), both()...)
	if why != "" {
		t.Fatal(why)
	}
	check("without a certificate", now, abaton.ReasonDormant)
	f.certify(a)
	check("stated", now, "")
	if asleep(mandate) || !asleep(heir) || asleep(other) {
		t.Error("stated: what is for another case sleeps, and nothing else")
	}
	if got := f.reads(ben, grantID(other), now); got != "" {
		t.Errorf("another's grant: got %q, want permitted", got)
	}
	check("on the review date", now.Add(30*day), abaton.ReasonDormant)
	if _, why := f.says(&actor.Veto{Recover: actor.Hash(a.Hash())}, byPasskey(t, "ana")); why != "" {
		t.Fatal(why)
	}
	check("taken back", now, abaton.ReasonDormant)
}

// TestDeath: it freezes on receipt, opens to heirs with the certificate, and is
// undone by the patient or by the registrar alone.
func TestDeath(t *testing.T) {
	for _, undo := range []struct {
		name string
		by   signer
		want abaton.Reason
	}{
		{"the patient", byPasskey(t, "ana"), ""},
		{"the registrar", byKey("town two"), ""},
		{"the physician", byKey("dora"), abaton.ReasonCredential},
		{"a stranger", byKey("stranger"), abaton.ReasonCredential},
	} {
		f := newFamily(t)
		heir, mandate, other := f.forCase(f.son, grant.Death, 1), f.forCase(f.son, grant.Incapacity, 2), f.granted(ben, 3)
		for _, g := range []*actor.Granted{heir, mandate, other} {
			f.add(g, byKey("ana"))
		}
		f.states(f.finding(grant.Incapacity, 7))
		now := f.w.now
		a, why := f.says(f.finding(grant.Death, 1), both()...)
		if why != "" {
			t.Fatal(why)
		}
		frozen := func(when string, wantHeir abaton.Reason) {
			t.Helper()
			for who, c := range map[string]struct {
				actor abaton.ActorID
				id    abaton.GrantID
				want  abaton.Reason
			}{
				"the doctor":  {ben, grantID(other), abaton.ReasonFrozen},
				"the mandate": {f.son, grantID(mandate), abaton.ReasonFrozen},
				"the owner":   {f.st.Actor(), abaton.GrantID{}, abaton.ReasonFrozen},
				"the heir":    {f.son, grantID(heir), wantHeir},
				"a stranger":  {carl, grantID(other), abaton.ReasonGrant},
			} {
				if got := f.reads(c.actor, c.id, now); got != c.want {
					t.Errorf("%s, %s: got %q, want %q", when, who, got, c.want)
				}
			}
		}
		frozen("without a certificate", abaton.ReasonDormant)
		f.certify(a)
		frozen("certified", "")
		for g, want := range map[*actor.Granted]bool{heir: false, mandate: true, other: true} {
			if given, _ := f.st.Grant(grantID(g)); f.st.Asleep(given, now) != want {
				t.Errorf("a grant for %v sleeps after a death: got %t, want %t", given.When, !want, want)
			}
		}
		late := grant.Access{Actor: ben, Patient: f.st.Actor(), Action: grant.Deposit, Purpose: abaton.Treatment, Line: f.st.Lines()[0].Line}
		if d := grant.Decide(f.st.Facts(actor.Asker{Actor: ben}, grantID(other), late.Line, 0, now), late, now); d.Reason != abaton.ReasonGrant {
			t.Errorf("a deposit under a grant to read: got %q, want %q", d.Reason, abaton.ReasonGrant)
		}
		for name, body := range map[string]actor.Body{
			"erase": &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}}}, "grant": f.granted(carl, 9), "epoch": f.epoch(2),
			"key": &actor.KeyAdd{Key: actor.Key{ID: signing("new key").ID(), Rights: actor.Write}}, "kit": sampleKit("k", signing("k")),
			"registrar": &actor.Registrar{Registrar: f.town.st.Actor()},
			"passkey":   &actor.CredentialAdd{Credential: actor.Credential{Public: passkey(t, "new passkey").Public(), Class: actor.Bound}},
		} {
			if _, got := f.says(body, byKey("ana")); got != abaton.ReasonFrozen {
				t.Errorf("%s in the name of the dead: got %q, want %q", name, got, abaton.ReasonFrozen)
			}
		}
		if _, got := f.says(&actor.Veto{Recover: a.Hash()}, undo.by); got != undo.want {
			t.Errorf("taken back by %s: got %q, want %q", undo.name, got, undo.want)
		}
		if undo.want != "" {
			frozen("still", "")
			continue
		}
		if got := f.reads(ben, grantID(other), now); got != "" {
			t.Errorf("%s is back: the doctor: got %q, want permitted", undo.name, got)
		}
		if got := f.reads(f.son, grantID(heir), now); got != abaton.ReasonDormant {
			t.Errorf("%s is back: the heir: got %q, want %q", undo.name, got, abaton.ReasonDormant)
		}
	}
}

// TestOrder: a registrar takes away, and gives nothing.
func TestOrder(t *testing.T) {
	f := newFamily(t)
	g := f.granted(ben, 1)
	f.add(g, byKey("ana"))
	kit := f.w.authentic(f.event(sampleKit("k", signing("k"))), byKey("ana"))
	if err := f.st.Apply(kit); err != nil {
		t.Fatal(err)
	}
	f.certify(kit)
	year := f.w.now.Add(365 * day).Unix()
	for _, c := range []struct {
		name string
		body actor.Body
		by   string
		want abaton.Reason
	}{
		{"a bar for ever", &actor.Bar{Actor: ben}, "town", abaton.ReasonTooLarge},
		{"a bar for two years", &actor.Bar{Actor: ben, Until: f.w.now.Add(730 * day).Unix()}, "town", abaton.ReasonTooLarge},
		{"a bar of the patient", &actor.Bar{Actor: f.st.Actor(), Until: year}, "town", abaton.ReasonBarred},
		{"an end of the kit", &actor.Revoke{Grant: abaton.GrantID(kit.Hash())}, "town", abaton.ReasonGrant},
		{"a veto of a recovery", &actor.Veto{Recover: actor.Hash{7}}, "town", abaton.ReasonCredential},
		{"an erasure", &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}}}, "town", abaton.ReasonCredential},
		{"a key taken away", &actor.KeyRemove{ID: signing("ana write").ID()}, "town", abaton.ReasonCredential},
		{"a grant", f.granted(carl, 2), "town", abaton.ReasonCredential},
		{"a bar by a writer of the registrar", &actor.Bar{Actor: ben, Until: year}, "town write", abaton.ReasonCredential},
		{"a bar by another organisation", &actor.Bar{Actor: ben, Until: year}, "org", abaton.ReasonCredential},
		{"a bar by one manager", &actor.Bar{Actor: carl, Until: year}, "town two", ""},
		{"a revocation", &actor.Revoke{Grant: grantID(g)}, "town", ""},
	} {
		if _, got := f.says(c.body, byKey(c.by)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if !f.st.Barred(carl, f.w.now) || f.st.Barred(carl, time.Unix(year, 0)) {
		t.Error("the bar does not hold until its end")
	}
	if got := f.reads(ben, grantID(g), f.w.now); got != abaton.ReasonRevoked {
		t.Errorf("revoked without a certificate: got %q, want %q", got, abaton.ReasonRevoked)
	}
	f.names(actor.SaysDeath, f.dora.st.Actor())
	if _, got := f.says(&actor.Bar{Actor: f.son, Until: year}, byKey("town")); got != abaton.ReasonCredential {
		t.Errorf("a registrar of deaths bars: got %q, want %q", got, abaton.ReasonCredential)
	}
}

// TestOneKeeperTellsNoDeath: who asks several keepers believes one of them
// neither a death nor an order that it has no certificate for.
func TestOneKeeperTellsNoDeath(t *testing.T) {
	f := newFamily(t)
	first := f.w.authentic(actor.NewInception(f.w.now.Unix(), f.w.inception(actor.Patient, "ana")), byKey("ana"))
	f.log = &log{w: f.w, st: new(actor.State)}
	f.take(first)
	f.certify(first)
	names := f.add(&actor.Registrar{Registrar: f.town.st.Actor(), May: actor.SaysNarrow | actor.SaysDeath, With: []abaton.ActorID{f.dora.st.Actor()}}, byKey("ana"))
	death := f.w.authentic(f.event(f.finding(grant.Death, 1)), byKey("stranger"))
	order := f.w.authentic(f.event(&actor.Bar{Actor: ben, Until: f.w.now.Add(day).Unix()}), byKey("stranger"))
	for n, want := range map[int]bool{1: false, 2: true} { // of two, an honest one has judged
		v := view(t, f.w, sure(first), sure(names), by(n, death), by(n, order))
		if v.State.Frozen() != want || v.State.Barred(ben, f.w.now) != want {
			t.Errorf("told by %d: frozen %t, barred %t, want %t", n, v.State.Frozen(), v.State.Barred(ben, f.w.now), want)
		}
		if v.State.Stated(f.w.now) != grant.Always {
			t.Errorf("told by %d: a case is open without a certificate", n)
		}
		unnamed := view(t, f.w, sure(first), by(n, f.w.authentic(f.after(&actor.Bar{Actor: ben}, placeOf(first)), byKey("stranger"))))
		if unnamed.State.Barred(ben, f.w.now) {
			t.Errorf("told by %d: an order counts in a log that names no registrar", n)
		}
	}
}
