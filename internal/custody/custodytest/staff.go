package custodytest

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
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

// Team is a team of the organisation with these seats. Tests open nothing with
// its seeds.
func (p *Person) Team(nonce byte, seats ...abaton.ActorID) *actor.Team {
	n := [grant.NonceBytes]byte{nonce}
	team := &actor.Team{Team: actor.TeamID(p.ID, n), Nonce: n, Epoch: 1, Public: p.Root.Segment(General, uint32(nonce)).Public().Bytes()}
	slices.SortFunc(seats, func(a, b abaton.ActorID) int { return slices.Compare(a[:], b[:]) })
	for _, who := range seats {
		team.Seats = append(team.Seats, actor.Seat{Actor: who, Sealed: make([]byte, key.BoxOverhead+len(key.Secret{}))})
	}
	return team
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
	if p.Device != nil {
		n.Publish(t, p.Device.Inception)
	}
	m := p.org.Member(p.ID, p.Role)
	m.Sponsor = p.Answers
	n.Publish(t, p.org.Event(m))
}

// NewAgent makes a program of org, in a role, for which somebody answers.
func NewAgent(t testing.TB, set *actor.Set, org *Person, role string, answers abaton.ActorID) *Person {
	p := newPerson(t, set)
	p.Sponsor, p.org, p.Role, p.Answers = org.ID, org, role, answers
	p.incept(&actor.Inception{Kind: actor.Agent, Organisation: org.ID, Invitation: org.Invite(actor.Agent)})
	return p
}

// Lend has a clinician work for another organisation, at a device of its.
func (p *Person) Lend(t testing.TB, set *actor.Set, to *Person) {
	p.Answers, p.org, p.Device = p.Sponsor, to, NewDevice(t, set, to)
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
