package session_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/session"
)

func month() int64 { return start.Add(30 * 24 * time.Hour).Unix() }

// TestStanding: what the organisation's log says now decides, at every use.
func TestStanding(t *testing.T) {
	said := func(a *actors, body actor.Body) { apply(t, a.org, next(a.org, body), "org") }
	tests := []struct {
		name      string
		kind      actor.Kind
		statement func(*session.Statement)
		change    func(*actors, *session.Check)
		want      abaton.Reason
	}{
		{"clinician", actor.Clinician, nil, nil, ""},
		{"role that is not given", actor.Clinician, func(s *session.Statement) { s.Role = abaton.RoleNurse }, nil, abaton.ReasonStanding},
		{"no role", actor.Clinician, func(s *session.Statement) { s.Role = "" }, nil, abaton.ReasonStanding},
		{"role there is not", actor.Clinician, func(s *session.Statement) { s.Role = "king" }, nil, abaton.ReasonStanding},
		{"role taken away", actor.Clinician, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleNurse}, NotBefore: start.Unix(), Expires: month()})
		}, abaton.ReasonStanding},
		{"a person in an agent's role", actor.Clinician, func(s *session.Statement) { s.Role = abaton.RoleAgent }, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleAgent}, NotBefore: start.Unix(), Expires: month()})
		}, abaton.ReasonStanding},
		{"an agent in a person's role", actor.Agent, func(s *session.Statement) { s.Role = abaton.RolePhysician }, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleAgent, abaton.RolePhysician}, NotBefore: start.Unix(), Expires: month(), Sponsor: someone})
		}, abaton.ReasonStanding},
		{"membership over", actor.Clinician, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RolePhysician}, NotBefore: start.Unix() - 9, Expires: start.Unix()})
		}, abaton.ReasonStanding},
		{"membership not begun", actor.Clinician, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RolePhysician}, NotBefore: start.Unix() + 1, Expires: month()})
		}, abaton.ReasonStanding},
		{"suspended", actor.Clinician, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Bar{Actor: a.self.Actor(), Until: start.Unix() + 1})
		}, abaton.ReasonStanding},
		{"suspension over", actor.Clinician, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Bar{Actor: a.self.Actor(), Until: start.Unix()})
		}, ""},
		{"clinician ended", actor.Clinician, nil, func(a *actors, _ *session.Check) {
			apply(t, a.self, next(a.self, new(actor.Stop)), "ana")
		}, abaton.ReasonCredential},
		{"agent", actor.Agent, nil, nil, ""},
		{"agent's sponsor has left", actor.Agent, nil, func(a *actors, _ *session.Check) { said(a, &actor.Bar{Actor: someone}) }, abaton.ReasonStanding},
		{"agent's sponsor is a program", actor.Agent, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: someone, Roles: []string{abaton.RoleBatch}, NotBefore: start.Unix(), Expires: month()})
		}, abaton.ReasonStanding},
		{"agent without a sponsor", actor.Agent, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleAgent}, NotBefore: start.Unix(), Expires: month()})
		}, abaton.ReasonStanding},
		{"agent of the organisation itself", actor.Agent, nil, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleAgent}, NotBefore: start.Unix(), Expires: month(), Sponsor: a.org.Actor()})
		}, abaton.ReasonStanding},
		{"agent of a patient", actor.Agent, nil, ofPatient(t, nil), ""},
		{"agent of a patient whose log is unknown", actor.Agent, nil, ofPatient(t, func(c *session.Check) { c.Sponsor = nil }), abaton.ReasonStanding},
		{"agent of a patient, another's log", actor.Agent, nil, ofPatient(t, func(c *session.Check) { c.Sponsor = c.Actor }), abaton.ReasonStanding},
		{"agent at a device", actor.Agent, func(s *session.Statement) { s.Behalf = someone }, nil, abaton.ReasonStanding},
		{"in a colleague's place", actor.Clinician, func(s *session.Statement) { s.Behalf = someone }, func(a *actors, _ *session.Check) {
			said(a, &actor.Member{Actor: someone, Roles: []string{abaton.RoleNurse}, NotBefore: start.Unix(), Expires: month()})
		}, ""},
		{"in the place of nobody here", actor.Clinician, func(s *session.Statement) { s.Behalf = someone }, nil, abaton.ReasonStanding},
		{"patient in another's place", actor.Patient, func(s *session.Statement) { s.Behalf = someone }, nil, abaton.ReasonStanding},
	}
	for _, tt := range tests {
		class := actor.Bound
		a := newActors(t, tt.kind, class)
		st := a.statement()
		if tt.statement != nil {
			tt.statement(st)
		}
		s, check := a.session(st), a.check()
		if tt.change != nil {
			tt.change(a, &check)
		}
		if got := reason(s.Live(check)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// ofPatient makes the agent a patient's own.
func ofPatient(t *testing.T, change func(*session.Check)) func(*actors, *session.Check) {
	return func(a *actors, c *session.Check) {
		in := inception(t, actor.Patient, "eve", actor.Synced)
		in.Organisation = a.org.Actor()
		in.Invitation = actor.Invitation{Organisation: a.org.Actor(), Kind: actor.Patient, Expires: start.Add(time.Hour).Unix(), Nonce: [16]byte{3}}.Sign(signing("org"))
		c.Sponsor = begin(t, in, "eve")
		apply(t, a.org, next(a.org, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleAgent}, NotBefore: start.Unix(),
			Expires: month(), Sponsor: c.Sponsor.Actor()}), "org")
		if change != nil {
			change(c)
		}
	}
}

// TestDevice: a clinician without a device that is live, enrolled here and
// vouched for now is refused, whatever else holds.
func TestDevice(t *testing.T) {
	forms := []struct {
		name      string
		statement func(*session.Statement)
		signed    func(*actors, *session.Signed)
		want      abaton.Reason
	}{
		{"good", nil, nil, ""},
		{"no proof", nil, func(_ *actors, s *session.Signed) { s.Device = nil }, abaton.ReasonDevice},
		{"no posture", nil, func(_ *actors, s *session.Signed) { s.Posture = nil }, abaton.ReasonDevice},
		{"proof of another session", nil, func(_ *actors, s *session.Signed) {
			s.Device = session.DeviceProof(signing("device sign"), abaton.SessionID{1})
		}, abaton.ReasonDevice},
		{"forged proof", nil, func(_ *actors, s *session.Signed) { s.Device[len(s.Device)-1] ^= 1 }, abaton.ReasonDevice},
		{"forged posture", nil, func(_ *actors, s *session.Signed) { s.Posture[len(s.Posture)-1] ^= 1 }, abaton.ReasonDevice},
		{"posture of another device", nil, func(a *actors, s *session.Signed) {
			p := a.posture()
			p.Device[0] ^= 1
			s.Posture = p.Sign(signing("attest"))
		}, abaton.ReasonDevice},
		{"posture of another organisation", nil, func(a *actors, s *session.Signed) {
			p := a.posture()
			p.Organisation[0] ^= 1
			s.Posture = p.Sign(signing("attest"))
		}, abaton.ReasonDevice},
		{"a device nobody named", func(s *session.Statement) { s.Device = abaton.ActorID{} }, func(a *actors, s *session.Signed) {
			s.Posture = a.posture().Sign(signing("attest"))
		}, abaton.ReasonMalformed},
	}
	for _, tt := range forms {
		a := newActors(t, actor.Clinician, actor.Bound)
		st := a.statement()
		if tt.statement != nil {
			tt.statement(st)
		}
		signed := a.sign(st)
		if tt.signed != nil {
			tt.signed(a, signed)
		}
		if _, err := session.Authenticate(signed, party); reason(err) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, reason(err), tt.want)
		}
	}
	lives := []struct {
		name   string
		change func(*actors, *session.Check)
		want   abaton.Reason
	}{
		{"good", nil, ""},
		{"device unknown here", func(_ *actors, c *session.Check) { c.Device = nil }, abaton.ReasonDevice},
		{"device's log empty", func(_ *actors, c *session.Check) { c.Device = new(actor.State) }, abaton.ReasonDevice},
		{"another's log", func(a *actors, c *session.Check) { c.Device = a.self }, abaton.ReasonDevice},
		{"organisation unknown here", func(_ *actors, c *session.Check) { c.Organisation = nil }, abaton.ReasonDevice},
		{"device ended", func(a *actors, _ *session.Check) { apply(t, a.device, next(a.device, new(actor.Stop)), "device sign") }, abaton.ReasonDevice},
		{"device barred", func(a *actors, _ *session.Check) {
			apply(t, a.org, next(a.org, &actor.Bar{Actor: a.device.Actor()}), "org")
		}, abaton.ReasonDevice},
		{"device's key removed", func(a *actors, _ *session.Check) {
			apply(t, a.device, next(a.device, &actor.KeyRemove{ID: signing("device sign").ID()}), "device")
		}, abaton.ReasonDevice},
		{"attesting key removed", func(a *actors, _ *session.Check) {
			apply(t, a.org, next(a.org, &actor.KeyRemove{ID: signing("attest").ID()}), "org")
		}, abaton.ReasonDevice},
		{"posture run out", func(_ *actors, c *session.Check) { c.Now = start.Add(2 * time.Hour) }, abaton.ReasonSession},
	}
	for _, tt := range lives {
		a := newActors(t, actor.Clinician, actor.Bound)
		s, check := a.session(a.statement()), a.check()
		if tt.change != nil {
			tt.change(a, &check)
		}
		if got := reason(s.Live(check)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPostureRunsOut: a session does not outlive what was said of its device.
func TestPostureRunsOut(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	signed := a.sign(a.statement())
	p := a.posture()
	p.Until = start.Add(time.Minute).Unix()
	signed.Posture = p.Sign(signing("attest"))
	s, err := session.Authenticate(signed, party)
	if err != nil {
		t.Fatal(err)
	}
	check := a.check()
	if err := s.Live(check); err != nil {
		t.Fatal(err)
	}
	check.Now = start.Add(time.Minute)
	if got := reason(s.Live(check)); got != abaton.ReasonDevice {
		t.Errorf("a minute later: got %q, want %q", got, abaton.ReasonDevice)
	}
	// A device's managing key, or a key with another right, is not the device.
	for _, name := range []string{"device", "org", "stranger"} {
		signed.Device = session.DeviceProof(signing(name), session.Challenge(signed.Statement))
		if s, err = session.Authenticate(signed, party); err != nil {
			t.Fatal(err)
		}
		if got := reason(s.Live(a.check())); got != abaton.ReasonDevice {
			t.Errorf("signed by %s's key: got %q, want %q", name, got, abaton.ReasonDevice)
		}
	}
}

// TestDeviceOfAnotherHouse: what an organisation says of a device that it did
// not enrol counts for nothing.
func TestDeviceOfAnotherHouse(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	house := inception(t, actor.Organisation, "agency", actor.Bound)
	house.Nonce = [16]byte{9}
	in := a.deviceInception("device")
	in.Organisation = begin(t, house, "agency").Actor()
	in.Invitation = actor.Invitation{Organisation: in.Organisation, Kind: actor.Device, Expires: month(), Nonce: [16]byte{5}}.Sign(signing("agency"))
	a.device = begin(t, in, "device")
	if got := reason(a.session(a.statement()).Live(a.check())); got != abaton.ReasonDevice {
		t.Errorf("got %q, want %q", got, abaton.ReasonDevice)
	}
}

// TestLocum: whoever an agency lends works while agency and hospital both say
// so, at a device of the hospital.
func TestLocum(t *testing.T) {
	agency := func(a *actors) *actor.State {
		in := inception(t, actor.Organisation, "agency", actor.Bound)
		in.Nonce = [16]byte{9}
		return begin(t, in, "agency")
	}
	tests := []struct {
		name   string
		change func(a *actors)
		want   abaton.Reason
	}{
		{"lent", nil, ""},
		{"the agency ends it", func(a *actors) { apply(t, a.home, next(a.home, &actor.Bar{Actor: a.self.Actor()}), "agency") }, abaton.ReasonStanding},
		{"the hospital ends it", func(a *actors) { apply(t, a.org, next(a.org, &actor.Bar{Actor: a.self.Actor()}), "org") }, abaton.ReasonStanding},
		{"the agency is unknown here", func(a *actors) { a.home = nil }, abaton.ReasonStanding},
		{"another agency", func(a *actors) { a.home = a.org }, abaton.ReasonStanding},
		{"nobody at the hospital names the agency", func(a *actors) {
			apply(t, a.org, next(a.org, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleLocum}, NotBefore: start.Unix(), Expires: month()}), "org")
		}, abaton.ReasonStanding},
		{"the agency's term is over", func(a *actors) {
			apply(t, a.home, next(a.home, &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleLocum}, NotBefore: start.Unix() - 9, Expires: start.Unix()}), "agency")
		}, abaton.ReasonStanding},
	}
	for _, tt := range tests {
		a := newActors(t, actor.Clinician, actor.Bound)
		a.home = agency(a)
		in := inception(t, actor.Clinician, "ana", actor.Bound)
		in.Organisation, in.Nonce = a.home.Actor(), [16]byte{8}
		in.Invitation = actor.Invitation{Organisation: a.home.Actor(), Kind: actor.Clinician, Expires: start.Add(time.Hour).Unix(), Nonce: [16]byte{4}}.Sign(signing("agency"))
		a.self = begin(t, in, "ana")
		lent := &actor.Member{Actor: a.self.Actor(), Roles: []string{abaton.RoleLocum}, NotBefore: start.Unix(), Expires: month()}
		apply(t, a.home, next(a.home, lent), "agency")
		taken := *lent
		taken.Sponsor = a.home.Actor()
		apply(t, a.org, next(a.org, &taken), "org")
		if tt.change != nil {
			tt.change(a)
		}
		st := a.statement()
		st.Role = abaton.RoleLocum
		if got := reason(a.session(st).Live(a.check())); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
