package view

import (
	"strconv"

	"github.com/abaton-health/abaton"
)

type agent struct {
	Type         concept    `json:"type"`
	Role         []concept  `json:"role,omitempty"`
	Who          *reference `json:"who"`
	Name         string     `json:"name,omitempty"`
	Requestor    bool       `json:"requestor"`
	Policy       []string   `json:"policy,omitempty"`
	Network      *network   `json:"network,omitempty"`
	PurposeOfUse []concept  `json:"purposeOfUse,omitempty"`
}

// network is where an agent was. Keepers write no addresses down: a computer of
// the house has its enrolled name, and of anything else it is said that nobody
// asked.
type network struct {
	Extension []absent `json:"extension,omitempty"`
	Address   string   `json:"address,omitempty"`
	Type      string   `json:"type,omitempty"` // 1 machine name, 5 URI
}

type absent struct {
	URL   string `json:"url"`
	Value string `json:"valueCode"`
}

// keepers is the keeper set, as the source of the event and as its one end.
func (d *Disclosed) keepers() *reference {
	return &reference{Identifier: &identifier{SystemKeeperSet, d.KeeperSet.String()}}
}

func (d *Disclosed) person() *reference {
	ref := patientRef(d.Patient, d.ID)
	ref.Type = "Patient"
	return ref
}

// agents are who asked, from where, whom, for which house, in whose place and
// by whose hand-on.
func (d *Disclosed) agents(p pattern) (out []agent) {
	l := d.Line
	out = append(out, d.asker(p), d.client(p), agent{Type: concept{Coding: []coding{p.keeper}}, Who: d.keepers(), Network: d.ofKeepers(p)})
	if l.Organisation != (abaton.ActorID{}) {
		out = append(out, agent{Type: conceptOf(systemRoleClass, "PROV"), Who: actorRef(l.Organisation, "Organization")})
	}
	if l.Behalf != (abaton.ActorID{}) { // who is responsible: in whose place
		out = append(out, agent{Type: conceptOf(systemPart, "RESP"), Who: actorRef(l.Behalf, "Practitioner"), Name: d.called(l.Behalf)})
	}
	if !l.Onward.IsZero() { // who handed the grant on
		out = append(out, agent{Type: conceptOf(systemPart, "REFB"), Who: actorRef(l.Onward.From, "Practitioner"),
			Policy: []string{SystemGrant + ":" + l.Onward.ID.String()}})
	}
	if second := second(d); second != (abaton.ActorID{}) { // who agreed, or whose opening is judged
		out = append(out, agent{Type: conceptOf(systemPart, "VRF"), Who: actorRef(second, "Practitioner"), Name: d.called(second)})
	}
	return out
}

// second is the other clinician of an emergency, if most ledgers that name one
// agree; one that another keeper's contradicts is left to the ledgers.
func second(d *Disclosed) (who abaton.ActorID) {
	for i := range d.Line.Told {
		switch t := d.Line.Told[i].Second; {
		case t == abaton.ActorID{}, t == who:
		case who == abaton.ActorID{}:
			who = t
		default:
			return abaton.ActorID{}
		}
	}
	return who
}

// asker is who asked: the grant and the version of the policy are what let it.
func (d *Disclosed) asker(p pattern) agent {
	l := d.Line
	who := agent{Type: conceptOf(systemPart, p.user), Who: actorRef(l.Actor, d.kind(l.Actor)), Name: d.called(l.Actor), Requestor: true}
	if d.Own {
		who.Who = d.person()
	}
	if l.Role != "" {
		who.Role = []concept{conceptOf(SystemRole, l.Role)}
	}
	if l.Purpose != "" {
		who.PurposeOfUse = []concept{conceptOf(systemReason, string(l.Purpose))}
	}
	if l.Grant != (abaton.GrantID{}) {
		who.Policy = append(who.Policy, SystemGrant+":"+l.Grant.String())
	}
	if v := l.Policy(); v != 0 {
		who.Policy = append(who.Policy, SystemPolicy+":"+l.Organisation.String()+":"+strconv.FormatUint(v, 10))
	}
	return who
}

// client is the computer it was asked from: the house's where one was vouched
// for, else the session.
func (d *Disclosed) client(p pattern) agent {
	l := d.Line
	c := agent{Type: concept{Coding: []coding{p.client}}, Network: &network{Extension: []absent{{extensionAbsent, "not-asked"}}}}
	switch {
	case l.Device != (abaton.ActorID{}):
		c.Who, c.Network = actorRef(l.Device, "Device"), &network{Address: l.Device.String(), Type: "1"}
	case l.Session != (abaton.SessionID{}):
		c.Who = &reference{Identifier: &identifier{SystemSession, l.Session.String()}}
	default: // a deposit: the key that signed is its client
		c.Who = actorRef(l.Actor, "Device")
	}
	if l.Session != (abaton.SessionID{}) {
		c.Policy = []string{SystemSession + ":" + l.Session.String()}
	}
	return c
}

func (d *Disclosed) ofKeepers(p pattern) *network {
	if p.authorizes { // who decides is no end of a wire
		return nil
	}
	return &network{Address: SystemKeeperSet + ":" + d.KeeperSet.String(), Type: "5"}
}

func (d *Disclosed) kind(id abaton.ActorID) string {
	if d.Kind != nil {
		if k := d.Kind(id); k != "" {
			return k
		}
	}
	if d.Line.Organisation == id {
		return "Organization"
	}
	return "Practitioner"
}

func (d *Disclosed) called(id abaton.ActorID) string {
	if d.Called == nil {
		return ""
	}
	return d.Called(id)
}
