package custodytest

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// NewDevice makes a device of org; Writer signs for its sessions.
func NewDevice(t testing.TB, set *actor.Set, org *Person) *Person {
	p := newPerson(t, set)
	p.Sponsor, p.Writer = org.ID, key.NewSigning()
	p.incept(&actor.Inception{Kind: actor.Device, Keys: []actor.Key{{ID: p.Writer.ID(), Rights: actor.DeviceRight}},
		Organisation: org.ID, Invitation: org.Invite(actor.Device)})
	return p
}

// Member is an hour's membership in these roles.
func (p *Person) Member(who abaton.ActorID, roles ...string) *actor.Member {
	now := time.Now().Unix()
	return &actor.Member{Actor: who, Roles: roles, NotBefore: now - 60, Expires: now + 3600}
}

// Enrol publishes a clinician's device and membership, once.
func (n *Network) Enrol(t testing.TB, p *Person) {
	t.Helper()
	if p.org == nil || p.enrolled {
		return
	}
	p.enrolled = true
	n.Publish(t, p.Device.Inception, p.org.Event(p.org.Member(p.ID, p.Role)))
}

// Vouch is the organisation's word about the person's device, from start on.
func (p *Person) Vouch(start time.Time) []byte {
	from := start.Add(-time.Minute).Unix()
	return actor.Posture{Organisation: p.org.ID, Device: p.Device.ID, Level: p.Level, From: from, Until: from + 7200}.Sign(p.org.Attest)
}

// sits adds what a clinician's device adds to a signed statement.
func (p *Person) sits(s *session.Signed, id abaton.SessionID, start time.Time) {
	if p.Device != nil {
		s.Device, s.Posture = session.DeviceProof(p.Device.Writer, id), p.Vouch(start)
	}
}
