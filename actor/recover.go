package actor

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// RecoveriesMax is how many recoveries one escrow may have under way.
const RecoveriesMax = 8

// Recover says that the owner of a log wants back in with a new passkey
// (PROTOCOL.md#recover). It gives nothing: after the escrow's wait the new
// passkey may add itself, by a CredentialAdd that it proves alone, unless a
// Veto came first. It holds on receipt, as what narrows does, so that no other
// event can hold it up.
type Recover struct {
	Escrow     abaton.GrantID         `cbor:"1,keyasint"`
	Credential Credential             `cbor:"2,keyasint"` // the new device's
	Box        []byte                 `cbor:"3,keyasint"` // the new device's box key: helpers seal their parts to it
	Nonce      [grant.NonceBytes]byte `cbor:"4,keyasint"`
}

// Veto stops a recovery for ever. It may name one this log copy has not heard
// of: then it holds from the moment it is.
type Veto struct {
	Recover Hash `cbor:"1,keyasint"`
}

// EventKind of Recover (Body).
func (*Recover) EventKind() EventKind { return EventRecover }

// EventKind of Veto (Body).
func (*Veto) EventKind() EventKind { return EventVeto }

func (b *Recover) validate() error {
	return valid(b.Escrow != (abaton.GrantID{}) && b.Credential.valid() && len(b.Box) == key.BoxPublicBytes &&
		b.Nonce != ([grant.NonceBytes]byte{}))
}

func (b *Veto) validate() error { return valid(b.Recover != (Hash{})) }

// recovery is a Recover that this copy knows.
type recovery struct {
	body *Recover
	by   *knot
}

// Recovery is a recovery as a log tells it.
type Recovery struct {
	Event      Hash
	Escrow     abaton.GrantID
	Kind       EscrowKind
	Credential Credential
	Wait       time.Duration // from when each keeper first heard of it
	Begun      time.Time     // by the clock of whoever began it
	Stopped    bool          // vetoed, or its escrow was ended
	Done       bool          // its passkey is in the log
}

// Recoveries lists every recovery that this log tells, by event.
func (s *State) Recoveries() []Recovery {
	all := make([]Recovery, 0, len(s.recoveries))
	for h, r := range s.recoveries {
		e, _ := s.Escrow(r.body.Escrow)
		if e == nil {
			continue
		}
		all = append(all, Recovery{Event: h, Escrow: r.body.Escrow, Kind: e.Kind, Credential: r.body.Credential,
			Wait: time.Duration(e.Delay) * time.Second, Begun: unix(r.by.a.event.Time),
			Stopped: s.halted(h, r) && !s.Returned(r.body.Credential.name(), r.body.Escrow), Done: s.Returned(r.body.Credential.name(), r.body.Escrow)})
	}
	slices.SortFunc(all, func(a, b Recovery) int { return bytes.Compare(a.Event[:], b.Event[:]) })
	return all
}

// Recovery is the Recover event of that name; nil when this copy knows none.
// It is not to be changed.
func (s *State) Recovery(h Hash) *Recover {
	if r := s.recoveries[h]; r != nil {
		return r.body
	}
	return nil
}

// Returned reports whether a live passkey came into the log by a recovery
// under this escrow.
func (s *State) Returned(c key.Credential, escrow abaton.GrantID) bool {
	e := s.credentials[c]
	if _, live := e.now(); !live || !e.firstKnot().a.returns() {
		return false
	}
	for _, r := range s.recoveries {
		if r.body.Escrow == escrow && r.body.Credential.name() == c {
			return true
		}
	}
	return false
}

// returns reports whether the event is a CredentialAdd that nobody but the new
// passkey proves. It counts by its own certificate only, never by a merge: the
// four keepers that signed are the proof that the wait is over.
func (a *Authentic) returns() bool {
	b, ok := a.body.(*CredentialAdd)
	return ok && len(a.by.keys) == 0 && len(a.by.credentials) == 1 &&
		a.by.credentials[0] == claim{name: b.Credential.name(), class: b.Credential.Class}
}

func (s *State) recover(b *Recover, n *knot) {
	if s.recoveries == nil {
		s.recoveries = make(map[Hash]*recovery)
	}
	s.recoveries[n.a.hash] = &recovery{body: b, by: n}
}

func (s *State) stop(b *Veto) {
	if s.vetoes == nil {
		s.vetoes = make(map[Hash]struct{})
	}
	s.vetoes[b.Recover] = struct{}{}
}

func (s *State) halted(h Hash, r *recovery) bool {
	if _, vetoed := s.vetoes[h]; vetoed {
		return true
	}
	_, ended := s.Escrow(r.body.Escrow)
	return ended
}

// wait is the least a recovery waits; the rule unless a test network's set
// says less.
func (d Door) wait() time.Duration {
	if d.Wait <= 0 {
		return abaton.RecoveryWait
	}
	return d.Wait
}

// admitRecover: the escrow is live, enough of its provers speak, and the
// passkey is new.
func (s *State) admitRecover(b *Recover, by provers, door Door) error {
	e, ended := s.Escrow(b.Escrow)
	switch {
	case ended:
		return abaton.Refuse(abaton.ReasonRevoked)
	case e == nil || !e.Kind.Recovers():
		return abaton.Refuse(abaton.ReasonGrant)
	case e.proved(by, door) < int(e.Need):
		return abaton.Refuse(abaton.ReasonCredential)
	}
	pending := 0
	for h, r := range s.recoveries {
		if r.body.Escrow == b.Escrow && !s.halted(h, r) {
			pending++
		}
	}
	if pending >= RecoveriesMax {
		return tooLarge()
	}
	return fresh(s.credentials[b.Credential.name()])
}

// proved counts the provers of e among by. An actor counts once, however many
// of its keys speak, and only while they are live in its own log.
func (e *Escrow) proved(by provers, door Door) (n int) {
	for _, p := range e.Provers {
		if p.Actor == (abaton.ActorID{}) {
			if slices.Contains(by.keys, p.Key) {
				n++
			}
			continue
		}
		if door.Log == nil {
			continue
		}
		if st := door.Log(p.Actor); st != nil && st.Live() && st.actor == p.Actor && st.speaks(by) {
			n++
		}
	}
	return n
}

// speaks reports whether a live passkey or manage key of this log is among by.
func (s *State) speaks(by provers) bool {
	return slices.ContainsFunc(by.keys, func(k abaton.KeyID) bool { return s.KeyRights(k)&Manage != 0 }) ||
		slices.ContainsFunc(by.credentials, func(c claim) bool { return s.CredentialClass(c.name) == c.class })
}

// admitReturn: a passkey adds itself. Some recovery of this log names it, is
// not stopped, is still proven, and this keeper heard of it a wait ago.
func (s *State) admitReturn(b *CredentialAdd, door Door, now time.Time) error {
	why := abaton.ReasonCredential
	for h, r := range s.recoveries {
		if !r.body.Credential.is(b.Credential) {
			continue
		}
		reason := s.mayReturn(h, r, door, now)
		if reason == "" {
			return nil
		}
		if why == abaton.ReasonCredential || reason == abaton.ReasonWait {
			why = reason // that one waits says more than that another ended
		}
	}
	return abaton.Refuse(why)
}

func (s *State) mayReturn(h Hash, r *recovery, door Door, now time.Time) abaton.Reason {
	e, ended := s.Escrow(r.body.Escrow)
	if _, vetoed := s.vetoes[h]; vetoed {
		return abaton.ReasonVetoed
	}
	if ended {
		return abaton.ReasonRevoked
	}
	if e == nil || e.proved(r.by.a.by, door) < int(e.Need) {
		return abaton.ReasonCredential
	}
	if door.Heard == nil {
		return abaton.ReasonWait
	}
	heard, ok := door.Heard(h)
	if wait := max(time.Duration(e.Delay)*time.Second, door.wait()); !ok || now.Sub(heard) < wait {
		return abaton.ReasonWait
	}
	return ""
}

// vouchedReturn: what a merge or a keeper may tell. It gives nothing without
// its own certificate (knot.effective), so no wait is asked for; and one that
// was vetoed after some keepers voted holds its place until a merge names it.
func (s *State) vouchedReturn(b *CredentialAdd) error {
	for _, r := range s.recoveries {
		if r.body.Credential.is(b.Credential) {
			return nil
		}
	}
	return abaton.Refuse(abaton.ReasonCredential)
}

// mayStillReturn reports whether a recovery for this passkey is not stopped.
func (s *State) mayStillReturn(b *CredentialAdd) bool {
	for h, r := range s.recoveries {
		if r.body.Credential.is(b.Credential) && !s.halted(h, r) {
			return true
		}
	}
	return false
}

// vouchedRecover: its provers may be actors of other logs, which a log alone
// cannot judge; each keeper judges them anew when the passkey adds itself.
func (s *State) vouchedRecover(b *Recover, parents []*knot) error {
	e := s.escrows[b.Escrow]
	if e == nil || !slices.ContainsFunc(e.given, func(g gift[*Escrow]) bool { return s.within(g.by, parents) }) {
		return abaton.Refuse(abaton.ReasonGrant)
	}
	return nil
}

// mayProve reports who of an event's provers may say it, where that is not the
// plain table's matter (PROTOCOL.md#recover).
func (s *State) mayProve(a *Authentic, standing standing, door Door, now time.Time) error {
	switch b := a.body.(type) {
	case *Recover:
		return s.admitRecover(b, a.by, door)
	case *Finding:
		return s.admitFinding(b, a.by, door, now)
	case *CredentialAdd:
		if a.returns() {
			return s.admitReturn(b, door, now)
		}
	}
	err := s.proves(a.event.Kind, a.by, standing)
	if err == nil || s.Kind() != Patient {
		return err
	}
	if isOrder(a.body) {
		return s.admitOrder(a, door, now)
	}
	if b, ok := a.body.(*Veto); ok && s.takesBack(b, a.by, door) {
		return nil
	}
	return err
}

// mayBeVouched is mayProve as of the event's own branch, without a door.
func (s *State) mayBeVouched(a *Authentic, parents []*knot) error {
	switch b := a.body.(type) {
	case *Recover:
		if s.Kind() != Patient {
			return abaton.Refuse(abaton.ReasonCredential)
		}
		return s.vouchedRecover(b, parents)
	case *Finding:
		return s.vouchedFinding(b, parents)
	case *CredentialAdd:
		if a.returns() {
			return s.vouchedReturn(b)
		}
	}
	before := s.standing(parents, func(r *knot) bool { return s.within(r, parents) })
	err := s.proves(a.event.Kind, a.by, before)
	if err != nil && s.Kind() == Patient && isOrder(a.body) {
		return s.vouchedOrder(parents)
	}
	if b, ok := a.body.(*Veto); err != nil && ok && s.vouchedTakeBack(b, parents) {
		return nil
	}
	return err
}

// outcast reports whether a removal on another branch took the word of those
// who proved the event (deny wins). A Recover gives nothing that could be taken;
// who proves a Finding, or a registrar's order, has no key in this log.
func (s *State) outcast(n *knot) bool {
	switch b := n.a.body.(type) {
	case *Recover, *Finding:
		return false
	case *Revoke, *Bar:
		if s.stranger(n.a.by) {
			return s.vouchedOrder(n.parents) != nil
		}
	case *Veto:
		if s.stranger(n.a.by) {
			return !s.vouchedTakeBack(b, n.parents)
		}
	case *CredentialAdd:
		if n.a.returns() {
			return !s.mayStillReturn(b)
		}
	}
	return s.proves(n.a.event.Kind, n.a.by, s.standingAt(n)) != nil
}

// RulesOut reports whether the certified log has no place for the event any
// more: it ends on another branch, at or beyond the event's place. No keeper that
// voted for that end will ever vote for the event (Ballot), so whoever made it may
// make another. An event that counts, or that the log's end leads to, is not
// ruled out.
func (s *State) RulesOut(a *Authentic) bool {
	if s.tip == nil || a.actor != s.actor {
		return false
	}
	if n := s.knots[a.hash]; n != nil {
		return !n.certified && !s.continuesTip(n)
	}
	if parents := s.parentsOf(a); len(parents) > 0 {
		return !s.within(s.tip, parents)
	}
	return a.event.Seq <= s.tip.seq()
}

// stranger reports whether none of the provers ever stood in this log.
func (s *State) stranger(by provers) bool {
	return !slices.ContainsFunc(by.keys, func(k abaton.KeyID) bool { return s.keys[k] != nil }) &&
		!slices.ContainsFunc(by.credentials, func(c claim) bool { return s.credentials[c.name] != nil })
}
