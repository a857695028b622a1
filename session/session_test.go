package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

func TestAuthenticate(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	tests := []struct {
		name   string
		change func(*session.Statement)
		signed func(*session.Signed)
		want   abaton.Reason
	}{
		{"valid", nil, nil, ""},
		{"version", func(s *session.Statement) { s.V = 2 }, nil, abaton.ReasonMalformed},
		{"no actor", func(s *session.Statement) { s.Actor = abaton.ActorID{} }, nil, abaton.ReasonMalformed},
		{"no session key", func(s *session.Statement) { s.Key = abaton.KeyID{} }, nil, abaton.ReasonMalformed},
		{"no reply key", func(s *session.Statement) { s.Reply = nil }, nil, abaton.ReasonMalformed},
		{"reply key that is none", func(s *session.Statement) {
			s.Reply = []byte(strings.Repeat("\xff", key.BoxPublicBytes))
		}, nil, abaton.ReasonMalformed},
		{"ends as it begins", func(s *session.Statement) { s.Expires = s.NotBefore }, nil, abaton.ReasonMalformed},
		{"before time began", func(s *session.Statement) { s.NotBefore = -1 }, nil, abaton.ReasonMalformed},
		{"no keeper set", func(s *session.Statement) { s.Set = abaton.ActorID{} }, nil, abaton.ReasonMalformed},
		{"no checkpoint", func(s *session.Statement) { s.Checkpoints = nil }, nil, abaton.ReasonMalformed},
		{"no nonce", func(s *session.Statement) { s.Nonce = [16]byte{} }, nil, abaton.ReasonMalformed},
		{"role with a line break", func(s *session.Statement) { s.Role = "a\nb" }, nil, abaton.ReasonMalformed},
		{"six checkpoints", func(s *session.Statement) { s.Checkpoints = make([][]byte, 6) }, nil, abaton.ReasonTooLarge},
		{"long checkpoint", func(s *session.Statement) {
			s.Checkpoints = [][]byte{make([]byte, session.CheckpointBytesMax+1)}
		}, nil, abaton.ReasonTooLarge},
		{"long role", func(s *session.Statement) { s.Role = strings.Repeat("a", session.RoleBytesMax+1) }, nil, abaton.ReasonTooLarge},
		{"another credential signed", func(s *session.Statement) { s.Credential = passkey(t, "ben").Credential() }, nil, abaton.ReasonSession},
		{"trailing byte", nil, func(s *session.Signed) { s.Statement = append(s.Statement, 0) }, abaton.ReasonMalformed},
		{"longer after signing", nil, func(s *session.Signed) {
			longer := a.statement()
			longer.Expires++
			s.Statement = longer.Marshal()
		}, abaton.ReasonSession},
		{"forged signature", nil, func(s *session.Signed) { s.Assertion.Sig[8] ^= 1 }, abaton.ReasonSession},
		{"assertion of another origin", nil, func(s *session.Signed) {
			s.Assertion.ClientData = []byte(strings.Replace(string(s.Assertion.ClientData), "abaton.example", "abaton.evil", 1))
		}, abaton.ReasonSession},
	}
	for _, tt := range tests {
		st := a.statement()
		if tt.change != nil {
			tt.change(st)
		}
		signed := a.sign(st)
		if tt.signed != nil {
			tt.signed(signed)
		}
		got, err := session.Authenticate(signed, party)
		if reason(err) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, reason(err), tt.want)
		}
		if (got == nil) != (err != nil) {
			t.Errorf("%s: a session and an error", tt.name)
		}
	}
	other := key.RelyingParty{ID: "abaton.example", Origins: []string{"https://other.example"}}
	if _, err := session.Authenticate(a.sign(a.statement()), other); reason(err) != abaton.ReasonSession {
		t.Errorf("another relying party: got %v, want %q", err, abaton.ReasonSession)
	}
}

func TestAdmit(t *testing.T) {
	tests := []struct {
		name      string
		kind      actor.Kind
		class     actor.Class
		statement func(*session.Statement)
		check     func(*actors, *session.Check)
		want      abaton.Reason
		says      actor.Class // the passkey, when not what was enrolled
	}{
		{"patient", actor.Patient, actor.Synced, nil, nil, "", 0},
		{"clinician", actor.Clinician, actor.Bound, nil, nil, "", 0},
		{"device", actor.Device, actor.Bound, nil, nil, "", 0},
		{"agent", actor.Agent, actor.Bound, nil, nil, "", 0},
		{"organisation", actor.Organisation, actor.Bound, nil, nil, abaton.ReasonSession, 0},
		{"zero check", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { *c = session.Check{} }, abaton.ReasonKeeperSet, 0},
		{"another keeper set", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Set[0]++ }, abaton.ReasonKeeperSet, 0},
		{"set of another log", actor.Patient, actor.Synced, func(s *session.Statement) { s.Set = abaton.ActorID{6} },
			func(_ *actors, c *session.Check) { c.Set = abaton.ActorID{6} }, abaton.ReasonCredential, 0},
		{"log unknown", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Actor = nil }, abaton.ReasonActor, 0},
		{"log empty", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Actor = new(actor.State) }, abaton.ReasonActor, 0},
		{"another actor's log", actor.Patient, actor.Synced, nil, func(a *actors, c *session.Check) { c.Actor = a.org }, abaton.ReasonActor, 0},
		{"not yet", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Now = start.Add(-abaton.ClockSkewMax - time.Second) }, abaton.ReasonSession, 0},
		{"within the skew", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Now = start.Add(-abaton.ClockSkewMax) }, "", 0},
		{"last second", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Now = start.Add(abaton.PatientSessionMax - time.Second) }, "", 0},
		{"over", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Now = start.Add(abaton.PatientSessionMax) }, abaton.ReasonSession, 0},
		{"patient's session too long", actor.Patient, actor.Synced, func(s *session.Statement) { s.Expires++ }, nil, abaton.ReasonSession, 0},
		{"clinician's session too long", actor.Clinician, actor.Bound, func(s *session.Statement) { s.Expires++ }, nil, abaton.ReasonSession, 0},
		{"stale checkpoints", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) {
			c.Fresh = func([][]byte, time.Time) bool { return false }
		}, abaton.ReasonSession, 0},
		{"nobody judges the checkpoints", actor.Patient, actor.Synced, nil, func(_ *actors, c *session.Check) { c.Fresh = nil }, abaton.ReasonSession, 0},
		{"patient in a role", actor.Patient, actor.Synced, func(s *session.Statement) { s.Role = "physician" }, nil, abaton.ReasonStanding, 0},
		{"patient for an organisation", actor.Patient, actor.Synced, func(s *session.Statement) { s.Organisation[0] = 1 }, nil, abaton.ReasonStanding, 0},
		{"clinician with a synced passkey", actor.Clinician, actor.Synced, nil, nil, abaton.ReasonCredential, 0},
		{"agent for another organisation", actor.Agent, actor.Bound, func(s *session.Statement) { s.Organisation[0] ^= 1 }, nil, abaton.ReasonStanding, 0},
		{"agent for none", actor.Agent, actor.Bound, func(s *session.Statement) { s.Organisation = abaton.ActorID{} }, nil, abaton.ReasonStanding, 0},
		{"organisation unknown here", actor.Agent, actor.Bound, nil, func(_ *actors, c *session.Check) { c.Organisation = nil }, abaton.ReasonStanding, 0},
		{"organisation's log empty", actor.Agent, actor.Bound, nil, func(_ *actors, c *session.Check) { c.Organisation = new(actor.State) }, abaton.ReasonStanding, 0},
		{"clinician has left", actor.Clinician, actor.Bound, nil, func(a *actors, _ *session.Check) {
			apply(t, a.org, next(a.org, &actor.Bar{Actor: a.self.Actor()}), "org")
		}, abaton.ReasonStanding, 0},
		{"passkey removed", actor.Patient, actor.Synced, nil, func(a *actors, _ *session.Check) {
			apply(t, a.self, next(a.self, &actor.CredentialRemove{Name: passkey(t, "ana").Credential()}), "ana")
		}, abaton.ReasonCredential, 0},
		{"enrolled as bound, but it syncs", actor.Clinician, actor.Bound, nil, nil, abaton.ReasonCredential, actor.Synced},
		{"enrolled as synced, but it says it is bound", actor.Patient, actor.Synced, nil, nil, abaton.ReasonCredential, actor.Bound},
	}
	for _, tt := range tests {
		a := newActors(t, tt.kind, tt.class)
		st := a.statement()
		if tt.statement != nil {
			tt.statement(st)
		}
		if tt.says != 0 {
			a.class = tt.says
		}
		s, check := a.session(st), a.check()
		if tt.check != nil {
			tt.check(a, &check)
		}
		if got := reason(s.Admit(check)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestLiveSeesRemoval: an admitted session ends when its passkey does.
func TestLiveSeesRemoval(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	s := a.session(a.statement())
	check := a.check()
	if err := s.Admit(check); err != nil {
		t.Fatal(err)
	}
	check.Fresh = nil
	if err := s.Live(check); err != nil {
		t.Errorf("live: %v", err)
	}
	apply(t, a.self, next(a.self, &actor.CredentialRemove{Name: passkey(t, "ana").Credential()}), "ana")
	if got := reason(s.Live(check)); got != abaton.ReasonCredential {
		t.Errorf("after the removal: got %q, want %q", got, abaton.ReasonCredential)
	}
}

func FuzzParseSigned(f *testing.F) {
	a := newActors(f, actor.Clinician, actor.Bound)
	f.Add(a.sign(a.statement()).Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := session.ParseSigned(data)
		if err != nil {
			return
		}
		if string(s.Marshal()) != string(data) {
			t.Errorf("parsed and written again, the signed statement differs")
		}
		_, _ = session.Authenticate(s, party)
	})
}
