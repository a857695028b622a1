package actor_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

var (
	anasGrant = abaton.GrantID{42}
	anasLine  = abaton.Line{3}
)

// onward hands a patient's grant on for two hours.
func (l *log) onward(to abaton.ActorID, nonce byte) *actor.Onward {
	g := grant.Grant{V: 1, Patient: abaton.ActorID{77}, Grantee: to, Actions: grant.Read, Lines: []abaton.Line{anasLine},
		Purposes: []abaton.Purpose{abaton.Treatment}, NotBefore: l.w.now.Unix(), Expires: l.w.now.Add(2 * time.Hour).Unix(), Quota: 10, Nonce: [16]byte{nonce}}
	return &actor.Onward{Parent: anasGrant, Terms: g.Marshal(), Wrap: make([]byte, key.BoxOverhead)}
}

// changed is a hand-on with other terms.
func changed(b *actor.Onward, change func(*grant.Grant)) *actor.Onward {
	g, err := grant.Parse(b.Terms)
	if err != nil {
		panic("the sample's terms are valid")
	}
	change(g)
	b.Terms = g.Marshal()
	return b
}

func clinician(t *testing.T) *log {
	t.Helper()
	w := newWorld(t)
	l := w.begin(w.inception(actor.Clinician, "ana"), byKey("ana"))
	l.certifyAll()
	return l
}

func TestOnward(t *testing.T) {
	l := clinician(t)
	body := l.onward(carl, 1)
	id := grant.OnwardID(l.st.Actor(), anasGrant, body.Terms)
	l.take(l.w.authentic(l.event(body), byKey("ana")))
	if _, _, ok := l.st.Onward(id); ok {
		t.Error("a hand-on without a certificate gives something")
	}
	l.certifyAll()
	h, takenBack, ok := l.st.Onward(id)
	if !ok || takenBack || h.Parent != anasGrant || h.Terms.Grantee != carl {
		t.Fatalf("got %+v, taken back %t, %t", h, takenBack, ok)
	}
	if got := len(l.st.Onwards(anasGrant, l.w.now)); got != 1 {
		t.Errorf("hand-ons of the grant: got %d, want 1", got)
	}
	if got := len(l.st.Onwards(abaton.GrantID{9}, l.w.now)); got != 0 {
		t.Errorf("hand-ons of another grant: got %d, want 0", got)
	}
	if got := len(l.st.Onwards(anasGrant, l.w.now.Add(2*time.Hour))); got != 0 {
		t.Errorf("hand-ons after their end: got %d, want 0", got)
	}
	if g, _ := l.st.Grant(id); g != nil {
		t.Error("a hand-on is no grant of the log's owner")
	}
	l.add(&actor.Revoke{Grant: id}, byPasskey(t, "ana")) // by any key, and without a certificate
	if _, takenBack, ok := l.st.Onward(id); !ok || !takenBack {
		t.Errorf("after the giver took it back: got %t, %t, want known and taken back", ok, takenBack)
	}
	if got := len(l.st.Onwards(anasGrant, l.w.now)); got != 0 {
		t.Errorf("hand-ons after it was taken back: got %d, want 0", got)
	}
	if got := reason(l.st.Admit(l.w.authentic(l.event(body), byKey("ana")), l.w.door(), l.w.now)); got != abaton.ReasonRevoked {
		t.Errorf("the same again: got %q, want %q", got, abaton.ReasonRevoked)
	}
}

// TestOnwardEndsWithItsGiver: who has ended hands nothing on.
func TestOnwardEndsWithItsGiver(t *testing.T) {
	l := clinician(t)
	body := l.onward(carl, 1)
	l.add(body, byKey("ana"))
	l.certifyAll()
	l.add(new(actor.Stop), byKey("ana"))
	if _, _, ok := l.st.Onward(grant.OnwardID(l.st.Actor(), anasGrant, body.Terms)); ok {
		t.Error("a hand-on of somebody who has ended gives something")
	}
}

func TestOnwardRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*log) *actor.Onward
		want abaton.Reason
	}{
		{"to oneself", func(l *log) *actor.Onward { return l.onward(l.st.Actor(), 1) }, abaton.ReasonGrant},
		{"over already", func(l *log) *actor.Onward {
			return changed(l.onward(carl, 1), func(g *grant.Grant) { g.NotBefore, g.Expires = l.w.now.Unix()-10, l.w.now.Unix() })
		}, abaton.ReasonExpired},
		{"of no grant", func(l *log) *actor.Onward {
			b := l.onward(carl, 1)
			b.Parent = abaton.GrantID{}
			return b
		}, abaton.ReasonMalformed},
		{"that goes on further", func(l *log) *actor.Onward {
			return changed(l.onward(carl, 1), func(g *grant.Grant) { g.Onward = ben })
		}, abaton.ReasonMalformed},
		{"to write", func(l *log) *actor.Onward {
			return changed(l.onward(carl, 1), func(g *grant.Grant) { g.Actions = grant.Read | grant.Deposit })
		}, abaton.ReasonMalformed},
		{"of nobody's record", func(l *log) *actor.Onward {
			return changed(l.onward(carl, 1), func(g *grant.Grant) { g.Patient = abaton.ActorID{} })
		}, abaton.ReasonMalformed},
		{"without a seed", func(l *log) *actor.Onward {
			b := l.onward(carl, 1)
			b.Wrap = nil
			return b
		}, abaton.ReasonMalformed},
		{"with too much sealed", func(l *log) *actor.Onward {
			b := l.onward(carl, 1)
			b.Wrap = make([]byte, actor.WrapBytesMax+1)
			return b
		}, abaton.ReasonTooLarge},
	} {
		l := clinician(t)
		if got := reason(admit(l, signed(l.event(c.make(l)), byKey("ana")))); got != c.want {
			t.Errorf("a hand-on %s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestGives: whoever hands on holds the patient's grant now, in a role that reads.
func TestGives(t *testing.T) {
	w := newWorld(t)
	l := w.org
	team := l.team(1, 1, ben)
	l.add(l.member(ben, abaton.RolePhysician), byKey("org"))
	l.add(l.member(carl, abaton.RoleAdministrator), byKey("org"))
	l.add(team, byKey("org"))
	l.certifyAll()
	stranger := abaton.ActorID{99}
	for _, c := range []struct {
		name          string
		grantee, from abaton.ActorID
		want          bool
	}{
		{"to the giver", ben, ben, true},
		{"to the giver's team", team.Team, ben, true},
		{"to somebody else", carl, ben, false},
		{"to an administrator", carl, carl, false},
		{"to a stranger", stranger, stranger, false},
		{"to a team the giver is not in", team.Team, carl, false},
	} {
		if got := l.st.Gives(c.grantee, c.from, w.now); got != c.want {
			t.Errorf("a grant %s: got %t, want %t", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name   string
		within abaton.ActorID
		who    abaton.ActorID
		want   bool
	}{
		{"the organisation", l.st.Actor(), ben, true},
		{"the team", team.Team, ben, true},
		{"a team one is not in", team.Team, carl, false},
		{"nowhere", abaton.ActorID{}, ben, false},
		{"another organisation", stranger, ben, false},
		{"the organisation of others", l.st.Actor(), stranger, false},
	} {
		if got := l.st.Inside(c.within, c.who, abaton.ActorID{}, nil, w.now); got != c.want {
			t.Errorf("inside %s: got %t, want %t", c.name, got, c.want)
		}
	}
	l.add(&actor.Bar{Actor: ben}, byKey("org"))
	if l.st.Gives(ben, ben, w.now) || l.st.Gives(team.Team, ben, w.now) || l.st.Inside(team.Team, ben, abaton.ActorID{}, nil, w.now) {
		t.Error("who has left hands on, or is inside")
	}
}
