package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

type grantOf = grant.Grant

// Apply adds an event that was admitted, here or by the keepers that
// certified it, and gives it effect as far as it may have any. Applying it
// again changes nothing. It checks only that the event has its place:
// ReasonActor, ReasonParent, ReasonSlot.
func (s *State) Apply(a *Authentic) error {
	if s.Knows(a.hash) {
		return nil
	}
	if a.event.Kind == EventInception {
		return s.begin(a)
	}
	if s.inception == nil || a.actor != s.actor {
		return abaton.Refuse(abaton.ReasonActor)
	}
	parents := s.parentsOf(a)
	if parents == nil || !s.follows(a, parents) {
		return abaton.Refuse(abaton.ReasonParent)
	}
	if s.Kind() == KeeperSet {
		return s.applySet(a, parents)
	}
	n := s.link(a, parents)
	s.effect(a.body, n)
	s.veto()
	return nil
}

func (s *State) begin(a *Authentic) error {
	if s.inception != nil {
		return abaton.Refuse(abaton.ReasonSlot)
	}
	in := a.Inception()
	s.actor, s.inception = a.actor, in
	if in.Kind == KeeperSet {
		set, err := newSet(a)
		if err != nil {
			return err
		}
		s.set = set
		s.certify(s.link(a, nil)) // all keepers signed it
		return nil
	}
	n := s.link(a, nil)
	for _, k := range in.Keys {
		give(&s.keys, k.ID, k.Rights, n)
	}
	for _, c := range in.Credentials {
		give(&s.credentials, c.Public.Credential(), c.Class, n)
	}
	for i := range in.Lines {
		s.announce(&in.Lines[i], n)
	}
	for i := range in.Grants {
		s.give(&in.Grants[i], n)
	}
	return nil
}

// applySet: a change proved by w keepers is its own certificate.
func (s *State) applySet(a *Authentic, parents []*knot) error {
	if s.slots[a.event.Seq] != nil {
		return abaton.Refuse(abaton.ReasonSlot)
	}
	next, err := s.set.next(a)
	if err != nil {
		return err
	}
	s.set = next
	s.certify(s.link(a, parents))
	return nil
}

func (s *State) effect(body Body, n *knot) {
	switch b := body.(type) {
	case *KeyAdd:
		give(&s.keys, b.Key.ID, b.Key.Rights, n)
	case *CredentialAdd:
		give(&s.credentials, b.Credential.Public.Credential(), b.Credential.Class, n)
	case *Epoch:
		s.announce(b, n)
	case *Granted:
		s.give(b, n)
	case *Origins:
		s.origins = append(s.origins, origins{rp: b.RelyingParty, by: n})
	case *Policy:
		s.policies = append(s.policies, gift[*Policy]{value: b, by: n})
	case *Watch:
		s.watches = append(s.watches, gift[*Watch]{value: b, by: n})
	case *Lift:
		s.lift(b, n)
	case *KeyRemove:
		remove(&s.keys, b.ID, n)
	case *CredentialRemove:
		remove(&s.credentials, b.Name, n)
	case *Revoke:
		remove(&s.grants, b.Grant, n)
		remove(&s.escrows, b.Grant, n)
		remove(&s.onwards, b.Grant, n)
		if b.Urgent {
			s.urgent = append(s.urgent, urgentRevoke{grant: b.Grant, by: n})
		}
	case *Bar:
		s.bar(b, n)
	case *Member:
		give(&s.members, b.Actor, b, n)
	case *Team:
		give(&s.teams, b.Team, b, n)
	case *Duty:
		give(&s.duties, post{to: b.To, team: b.Team}, b, n)
	case *Onward:
		give(&s.onwards, b.id(s.actor), b, n)
	case *Stop:
		s.stopped = true
	case *Erase:
		s.erase(b)
	case *Escrow:
		give(&s.escrows, abaton.GrantID(n.a.hash), b, n)
	case *Recover:
		s.recover(b, n)
	case *Veto:
		s.stop(b)
	case *Registrar:
		give(&s.registrars, b.Registrar, b, n)
	case *Finding:
		s.find(b, n)
	}
}

func (s *State) erase(b *Erase) {
	if s.erased == nil {
		s.erased = make(map[abaton.BatchName]uint64)
	}
	for _, r := range b.Rows {
		s.erased[r.Batch] |= r.Bits
	}
}

// give adds a grant. Its patient is this log, also where an inception could
// not name it yet.
func (s *State) give(b *Granted, n *knot) {
	g, err := grant.Parse(b.Grant)
	if err != nil {
		panic("actor: a parsed body holds a valid grant")
	}
	g.Patient = s.actor
	give(&s.grants, grant.IDOf(b.Grant), g, n)
}

// Certify takes note that an event counts. The event must be known:
// ReasonParent. ReasonCertificate when the certificate contradicts another,
// which takes more dishonest keepers than the set bears.
func (s *State) Certify(c Certified) error {
	if s.inception == nil || c.place.Actor != s.actor || s.actor == (abaton.ActorID{}) {
		return abaton.Refuse(abaton.ReasonActor)
	}
	n := s.knots[c.place.Hash]
	if n == nil {
		return abaton.Refuse(abaton.ReasonParent)
	}
	if n.certified {
		return nil
	}
	if c.place.Seq != n.seq() || !s.onChain(n) {
		return abaton.Refuse(abaton.ReasonCertificate)
	}
	s.certify(n)
	s.veto()
	return nil
}

// onChain reports whether n and every certified event continue one another. Those
// are one chain, so its two neighbours tell.
func (s *State) onChain(n *knot) bool {
	if s.tip == nil {
		return true
	}
	if s.certifiedAt(n.seq()) != nil {
		return false
	}
	if above := s.nextCertified(n.seq()); above != nil && !s.within(n, above.parents) {
		return false
	}
	below := s.lastCertified(n.seq())
	return below == nil || s.within(below, n.parents)
}

// Join applies everything that o knows and s does not: the union of two
// copies of one log.
func (s *State) Join(o *State) error {
	all := make([]*knot, 0, len(o.knots))
	for _, n := range o.knots {
		all = append(all, n)
	}
	all = ordered(all)
	for _, n := range all {
		if err := s.Apply(n.a); err != nil {
			return err
		}
	}
	for _, n := range all {
		if !n.certified {
			continue
		}
		if err := s.Certify(Certified{place: n.place()}); err != nil {
			return err
		}
	}
	return nil
}
