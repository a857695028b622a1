package actor

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// Door is what a keeper knows beside the log itself when a new log asks to
// come in. The zero Door lets none in.
type Door struct {
	// Set is the keeper set this keeper belongs to.
	Set abaton.ActorID
	// Admitted says whether the operator admitted this organisation by
	// command.
	Admitted func(organisation abaton.ActorID) bool
	// Organisation is the log of an organisation, nil when unknown.
	Organisation func(organisation abaton.ActorID) *State
	// InvitationUsed says whether another actor came in by this nonce. The
	// keeper notes the nonce in the transaction that stores the inception.
	InvitationUsed func(nonce [grant.NonceBytes]byte) bool
	// Log is any actor's log, nil when unknown: helpers prove a recovery.
	Log func(abaton.ActorID) *State
	// Heard is when this keeper first heard of a recovery, by its own clock;
	// false when it has not. Nobody else's time counts.
	Heard func(recover Hash) (time.Time, bool)
	// Wait is the least a recovery waits: the keeper set's. Zero is
	// abaton.RecoveryWait.
	Wait time.Duration
}

// Admit decides whether a fresh event may join the log: place, time, who
// signs, what it says. It changes nothing; Apply does. An event already known
// is admitted again without effect. Refusals: ReasonActor, ReasonParent,
// ReasonSlot, ReasonTime, ReasonCredential, ReasonInvitation,
// ReasonKeeperSet, ReasonGrant, ReasonExpired, ReasonRevoked, ReasonReplay,
// ReasonEpoch, ReasonTooLarge (PROTOCOL.md#admit).
//
// An event that a verified certificate stands for needs no Admit: the keepers
// that voted have asked these questions. Apply and Certify it.
func (s *State) Admit(a *Authentic, door Door, now time.Time) error {
	if s.Knows(a.hash) {
		return nil
	}
	if a.event.Time > now.Add(abaton.ClockSkewMax).Unix() {
		return abaton.Refuse(abaton.ReasonTime)
	}
	if a.event.Kind == EventInception {
		return s.admitInception(a, door, now)
	}
	if full(len(s.knots), a.event.Kind) {
		return tooLarge()
	}
	parents, err := s.place(a)
	if err != nil {
		return err
	}
	if !Narrows(a.event.Kind) && s.slots[a.event.Seq] != nil {
		return abaton.Refuse(abaton.ReasonSlot)
	}
	if s.Kind() == KeeperSet {
		_, err := s.set.next(a)
		return err
	}
	if err := s.mayProve(a, s.standingOn(parents), door, now); err != nil {
		return err
	}
	if err := s.admitStopped(a.event.Kind); err != nil {
		return err
	}
	if err := s.admitFrozen(a.event.Kind); err != nil {
		return err
	}
	switch b := a.body.(type) {
	case *Escrow:
		return s.admitEscrow(b, parents, door)
	case *Granted:
		if err := s.admitShielded(b, parents, door); err != nil {
			return err
		}
	}
	return s.admitBody(a.body, parents, now)
}

// full reports whether a log of so many events takes no more of this kind. What
// takes away is taken longer: who filled the log must not keep what they gave
// themselves.
func full(events int, kind EventKind) bool {
	if Narrows(kind) {
		return events >= 2*abaton.LogEventsMax
	}
	return events >= abaton.LogEventsMax
}

// place finds an event's parents and checks that it continues them.
func (s *State) place(a *Authentic) ([]*knot, error) {
	if s.inception == nil || a.actor != s.actor {
		return nil, abaton.Refuse(abaton.ReasonActor)
	}
	parents := s.parentsOf(a)
	if len(parents) == 0 || !s.follows(a, parents) {
		return nil, abaton.Refuse(abaton.ReasonParent)
	}
	for _, p := range parents {
		if a.event.Time < p.a.event.Time {
			return nil, abaton.Refuse(abaton.ReasonTime)
		}
	}
	return parents, nil
}

func (s *State) admitInception(a *Authentic, door Door, now time.Time) error {
	if s.inception != nil {
		return abaton.Refuse(abaton.ReasonSlot)
	}
	in := a.Inception()
	set := in.Set
	if in.Kind == KeeperSet {
		set = a.actor
	}
	if set != door.Set { // no inception names the zero set, so the zero Door lets none in
		return abaton.Refuse(abaton.ReasonKeeperSet)
	}
	switch in.Kind {
	case KeeperSet:
		return nil
	case Organisation:
		if door.Admitted == nil || !door.Admitted(a.actor) {
			return abaton.Refuse(abaton.ReasonInvitation)
		}
	default:
		if !door.invited(a.invitation, now) {
			return abaton.Refuse(abaton.ReasonInvitation)
		}
	}
	for i := range in.Grants {
		if expired(in.Grants[i].Grant, now) {
			return abaton.Refuse(abaton.ReasonExpired)
		}
	}
	return admitFirstShielded(in, door)
}

// invited reports whether an invitation, whose signature was verified, is
// by enough live keys of an organisation admitted here, in time and unused.
func (d Door) invited(v *Invitation, now time.Time) bool {
	if v == nil || d.Admitted == nil || d.Organisation == nil || d.InvitationUsed == nil {
		return false
	}
	if !d.Admitted(v.Organisation) || d.InvitationUsed(v.Nonce) {
		return false
	}
	if t := now.Unix(); t >= v.Expires || v.Expires-t > int64(InvitationLifeMax/time.Second) {
		return false
	}
	org := d.Organisation(v.Organisation)
	return org != nil && org.actor == v.Organisation && org.Kind() == Organisation && org.approved(v)
}

func expired(grantBytes []byte, now time.Time) bool {
	g, err := grant.Parse(grantBytes)
	return err != nil || now.Unix() >= g.Expires
}

func (s *State) admitBody(body Body, parents []*knot, now time.Time) error {
	switch b := body.(type) {
	case *KeyAdd:
		return fresh(s.keys[b.Key.ID])
	case *CredentialAdd:
		return fresh(s.credentials[b.Credential.Public.Credential()])
	case *KeyRemove:
		return s.admitRemoval(parents, b.ID, key.Credential{}, s.keys[b.ID] != nil)
	case *CredentialRemove:
		return s.admitRemoval(parents, abaton.KeyID{}, b.Name, s.credentials[b.Name] != nil)
	case *Epoch:
		return s.admitEpoch(b, parents)
	case *Granted:
		return s.admitGrant(b, parents, now)
	case *Policy:
		if s.officers(now) < s.Approvals() {
			return abaton.Refuse(abaton.ReasonVacant)
		}
		return s.admitPolicy(b, parents, now.Unix())
	case *Watch:
		if s.officers(now) < s.Approvals() {
			return abaton.Refuse(abaton.ReasonVacant)
		}
		return s.admitWatch(b, parents)
	case *Bar:
		if b.Actor == s.actor {
			return abaton.Refuse(abaton.ReasonBarred)
		}
	case *Member:
		return s.admitMember(b, now)
	case *Team:
		return s.admitTeam(b, parents)
	case *Duty:
		return s.admitDuty(b)
	case *Registrar:
		return s.admitRegistrar(b)
	case *Onward:
		return s.admitOnward(b, now)
	case *Revoke, *Erase, *Merge, *Origins, *Stop, *Recover, *Veto, *Finding, *Lift:
	default:
		return malformed()
	}
	return nil
}

// fresh: a key that was ever in the log does not come again, so that a
// removal never ends and rights never change in place.
func fresh[T any](e *entry[T]) error {
	if e != nil {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	return nil
}

func (s *State) admitRemoval(parents []*knot, id abaton.KeyID, c key.Credential, known bool) error {
	if !known || s.lastProof(parents, id, c) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	return nil
}

func (s *State) admitEpoch(b *Epoch, parents []*knot) error {
	epoch, level := s.epochOn(b.Line, parents)
	if b.Epoch != epoch+1 || b.Level < level {
		return abaton.Refuse(abaton.ReasonEpoch)
	}
	if epoch == 0 && len(s.lines) >= abaton.LinesMax {
		return tooLarge()
	}
	for _, l := range s.lines {
		if slices.ContainsFunc(l.epochs, func(e announced) bool { return slices.Equal(e.Public, b.Segment) }) {
			return abaton.Refuse(abaton.ReasonEpoch)
		}
	}
	return nil
}

func (s *State) admitGrant(b *Granted, parents []*knot, now time.Time) error {
	g, err := grant.Parse(b.Grant)
	if err != nil {
		return err
	}
	if g.Patient != s.actor || g.Grantee == s.actor {
		return abaton.Refuse(abaton.ReasonGrant)
	}
	for _, line := range g.Lines {
		if epoch, _ := s.epochOn(line, parents); epoch == 0 {
			return abaton.Refuse(abaton.ReasonGrant)
		}
	}
	if e := s.grants[grant.IDOf(b.Grant)]; e != nil {
		if len(e.removed) > 0 {
			return abaton.Refuse(abaton.ReasonRevoked)
		}
		return abaton.Refuse(abaton.ReasonReplay)
	}
	if now.Unix() >= g.Expires {
		return abaton.Refuse(abaton.ReasonExpired)
	}
	return nil
}

// AdmitBranch applies the missing parents of a merge, oldest first: events
// this copy refused or never met, for which a live manage key of the log vouches
// by naming them in a merge. They get no vote and give nothing that a removal
// on another branch forbids; what they take away is taken away. Refusals as
// Admit's. After it, Admit the merge.
func (s *State) AdmitBranch(missing []*Authentic, merge *Authentic, now time.Time) error {
	if err := s.mayVouch(merge); err != nil {
		return err
	}
	return s.TakeBranch(missing, merge, now)
}

// TakeBranch is AdmitBranch for a merge that a verified certificate stands for:
// the keepers that voted have asked who vouches, and a copy that knows none of the
// parents could not.
func (s *State) TakeBranch(missing []*Authentic, merge *Authentic, now time.Time) error {
	for i, a := range missing {
		if s.Knows(a.hash) {
			continue
		}
		if !named(a.hash, merge, missing[i+1:]) {
			return abaton.Refuse(abaton.ReasonParent)
		}
		if err := s.admitVouched(a, now); err != nil {
			return err
		}
		if err := s.Apply(a); err != nil {
			return err
		}
	}
	return nil
}

// mayVouch: the merge's signer is live after the parents known here.
func (s *State) mayVouch(merge *Authentic) error {
	if s.inception == nil || merge.actor != s.actor {
		return abaton.Refuse(abaton.ReasonActor)
	}
	var known []*knot
	for _, h := range merge.event.Prev {
		if n := s.knots[h]; n != nil {
			known = append(known, n)
		}
	}
	if merge.event.Kind != EventMerge || !entitled(s.Kind(), EventMerge, merge.by, s.standingOn(known)) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	return nil
}

// named reports whether the merge or a later missing event names h.
func named(h Hash, merge *Authentic, later []*Authentic) bool {
	if slices.Contains(merge.event.Prev, h) {
		return true
	}
	return slices.ContainsFunc(later, func(a *Authentic) bool { return slices.Contains(a.event.Prev, h) })
}

// admitVouched asks what Admit asks, but as of the event's own branch.
func (s *State) admitVouched(a *Authentic, now time.Time) error {
	if a.event.Time > now.Add(abaton.ClockSkewMax).Unix() {
		return abaton.Refuse(abaton.ReasonTime)
	}
	parents, err := s.place(a)
	if err != nil {
		return err
	}
	if err := s.mayBeVouched(a, parents); err != nil {
		return err
	}
	switch b := a.body.(type) {
	case *Epoch:
		return s.admitEpoch(b, parents)
	case *Granted:
		return s.vouchedGrant(b, parents)
	case *Policy:
		return s.admitPolicy(b, parents, 0) // one that ended while the branch waited gives nothing
	case *Watch:
		return s.admitWatch(b, parents)
	}
	return nil
}

// vouchedGrant: a grant that ran out while the branch waited does no harm.
func (s *State) vouchedGrant(b *Granted, parents []*knot) error {
	err := s.admitGrant(b, parents, unix(0))
	if refused, ok := err.(*abaton.RefusedError); ok && (refused.Reason == abaton.ReasonRevoked || refused.Reason == abaton.ReasonReplay) {
		return nil
	}
	return err
}
