package actor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// policy is a policy of that version that begins now and holds for a month.
func (l *log) policy(version uint64) *actor.Policy {
	return &actor.Policy{
		Version: version, NotBefore: l.w.now.Unix(), Expires: l.w.now.Add(30 * 24 * time.Hour).Unix(),
		Text: fmt.Appendf(nil, "text %d", version), Simulation: [32]byte{1},
	}
}

// officer is who watches over the organisation's rules.
var officer = abaton.ActorID{9, 9}

// appoints is a world whose organisation has a security officer.
func appoints(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.org.add(w.org.member(officer, abaton.RoleSecurityOfficer), byKey("org"))
	return w
}

// TestPolicyNeedsAnOfficer: a place where nobody watches over the rules changes
// none of them, and keeps what is in force.
func TestPolicyNeedsAnOfficer(t *testing.T) {
	w := newWorld(t)
	try := func(version uint64) abaton.Reason {
		return reason(admit(w.org, signed(w.org.event(w.org.policy(version)), byKey("org"))))
	}
	if got := try(1); got != abaton.ReasonVacant {
		t.Errorf("nobody appointed: got %q, want %q", got, abaton.ReasonVacant)
	}
	w.org.add(w.org.member(carl, abaton.RoleAdministrator), byKey("org"))
	if got := try(1); got != abaton.ReasonVacant {
		t.Errorf("an administrator: got %q, want %q", got, abaton.ReasonVacant)
	}
	w.org.add(w.org.member(officer, abaton.RoleSecurityOfficer), byKey("org"))
	w.org.add(w.org.policy(1), byKey("org"))
	w.org.add(&actor.Bar{Actor: officer}, byKey("org"))
	if got := try(2); got != abaton.ReasonVacant {
		t.Errorf("the officer left: got %q, want %q", got, abaton.ReasonVacant)
	}
	if got := versionOf(w.org.st.Policy(w.now.Unix())); got != 1 {
		t.Errorf("in force: got version %d, want 1", got)
	}
}

func versionOf(p *actor.Policy) uint64 {
	if p == nil {
		return 0
	}
	return p.Version
}

func TestPolicyForms(t *testing.T) {
	w := appoints(t)
	for name, change := range map[string]func(*actor.Policy){
		"version 0":          func(p *actor.Policy) { p.Version = 0 },
		"begins before 1970": func(p *actor.Policy) { p.NotBefore = -1 },
		"ends as it begins":  func(p *actor.Policy) { p.Expires = p.NotBefore },
		"holds too long":     func(p *actor.Policy) { p.Expires = p.NotBefore + int64(actor.PolicyLifeMax/time.Second) + 1 },
		"no text":            func(p *actor.Policy) { p.Text = nil },
		"text in Latin 1":    func(p *actor.Policy) { p.Text = []byte{'a', 0xe9} },
		"not simulated":      func(p *actor.Policy) { p.Simulation = [32]byte{} },
	} {
		p := w.org.policy(1)
		change(p)
		if got := reason(admit(w.org, signed(w.org.event(p), byKey("org")))); got != abaton.ReasonMalformed {
			t.Errorf("%s: got %q, want %q", name, got, abaton.ReasonMalformed)
		}
	}
	p := w.org.policy(1)
	p.Text = []byte(strings.Repeat("a", abaton.PolicyBytesMax+1))
	if got := reason(admit(w.org, signed(w.org.event(p), byKey("org")))); got != abaton.ReasonTooLarge {
		t.Errorf("long text: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	p.Text = p.Text[1:]
	if got := reason(admit(w.org, signed(w.org.event(p), byKey("org")))); got != "" {
		t.Errorf("longest text: got %q, want admitted", got)
	}
}

// TestPolicyVersions: they rise by one, and a stolen key cannot use them up.
func TestPolicyVersions(t *testing.T) {
	w := appoints(t)
	try := func(version uint64) abaton.Reason {
		return reason(admit(w.org, signed(w.org.event(w.org.policy(version)), byKey("org"))))
	}
	if got := try(2); got != abaton.ReasonParent {
		t.Errorf("version 2 first: got %q, want %q", got, abaton.ReasonParent)
	}
	w.org.add(w.org.policy(1), byKey("org"))
	for version, want := range map[uint64]abaton.Reason{1: abaton.ReasonReplay, 2: "", 3: abaton.ReasonParent, ^uint64(0): abaton.ReasonParent} {
		if got := try(version); got != want {
			t.Errorf("version %d after 1: got %q, want %q", version, got, want)
		}
	}
	over := w.org.policy(2)
	over.NotBefore, over.Expires = over.NotBefore-7200, over.NotBefore
	if got := reason(admit(w.org, signed(w.org.event(over), byKey("org")))); got != abaton.ReasonExpired {
		t.Errorf("a version that is over: got %q, want %q", got, abaton.ReasonExpired)
	}
}

// TestPolicyInForce: the newest certified version that has begun holds; what has
// not begun leaves the one before, what has ended does not bring it back.
func TestPolicyInForce(t *testing.T) {
	w := appoints(t)
	now := w.now.Unix()
	if got := versionOf(w.org.st.Policy(now)); got != 0 {
		t.Errorf("before any: got version %d, want none", got)
	}
	first := w.authentic(w.org.event(w.org.policy(1)), byKey("org"))
	w.org.take(first)
	if got := versionOf(w.org.st.Policy(now)); got != 0 {
		t.Errorf("without a certificate: got version %d, want none", got)
	}
	w.org.certify(first)
	later := w.org.policy(2)
	later.NotBefore, later.Expires = now+3600, now+7200
	w.org.add(later, byKey("org"))
	for at, want := range map[int64]uint64{now - 1: 0, now: 1, now + 3599: 1, now + 3600: 2, now + 7200: 2, now + 1<<30: 2} {
		if got := versionOf(w.org.st.Policy(at)); got != want {
			t.Errorf("at %+d s: got version %d, want %d", at-now, got, want)
		}
	}
	if got := len(w.org.st.Policies()); got != 2 {
		t.Errorf("got %d versions, want 2", got)
	}
}

// TestPolicyOnTwoBranches: where a merge brings in two texts of one version,
// every keeper takes the same.
func TestPolicyOnTwoBranches(t *testing.T) {
	w := appoints(t)
	base := w.org.st.Heads()[0]
	one, two := w.org.policy(1), w.org.policy(1)
	two.Text = []byte("another text")
	a, b := w.authentic(w.org.after(one, base), byKey("org")), w.authentic(w.org.after(two, base), byKey("org"))
	copies := make([]*actor.State, 2)
	for i, order := range [][]*actor.Authentic{{a, b}, {b, a}} {
		st := joined(t, w.org.st, w.org.st)
		for _, e := range order {
			if err := st.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		at := &log{w: w, st: st}
		merge := w.authentic(at.after(&actor.Merge{}, placeOf(a), placeOf(b)), byKey("org"))
		if err := st.Apply(merge); err != nil {
			t.Fatal(err)
		}
		if err := st.Certify(certified(placeOf(merge))); err != nil {
			t.Fatal(err)
		}
		copies[i] = st
	}
	got, want := copies[0].Policy(w.now.Unix()), copies[1].Policy(w.now.Unix())
	if got == nil || want == nil || string(got.Text) != string(want.Text) {
		t.Errorf("two orders of arrival: got %v and %v, want one text", got, want)
	}
}

// TestPolicyIsAnOrganisations: nobody else publishes one.
func TestPolicyIsAnOrganisations(t *testing.T) {
	w := newWorld(t)
	ana := w.patient("ana")
	if got := reason(admit(ana, signed(ana.event(w.org.policy(1)), byKey("ana")))); got != abaton.ReasonCredential {
		t.Errorf("a patient's policy: got %q, want %q", got, abaton.ReasonCredential)
	}
	if got := reason(admit(w.org, signed(w.org.event(w.org.policy(1)), byKey("org write")))); got != abaton.ReasonCredential {
		t.Errorf("a writer's policy: got %q, want %q", got, abaton.ReasonCredential)
	}
	if actor.Narrows(actor.EventPolicy) {
		t.Error("a policy needs no certificate")
	}
}
