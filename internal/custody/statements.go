package custody

import (
	"errors"
	"maps"
	"sort"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// Publish asks for this keeper's vote for an event (PROTOCOL.md#certificate).
// What the event gives counts only once it is certified; what it takes away
// holds from here on (RULINGS 17). Output.Place is what to sign; Err with
// slot-taken on an event that narrows means that it holds, without a vote.
type Publish struct {
	Event  *actor.Authentic
	Posted bool // by whoever wants it in force, not told by a peer
}

func (p Publish) slot() string { return actorSlot(p.Event.Actor()) }

// actorSlot keeps the events of one log in groups of their own.
func actorSlot(id abaton.ActorID) string { return "actor/" + string(id[:]) }

func (p Publish) decide(c *Core, t *tx) Output {
	a := p.Event
	out, closed := c.closed()
	if closed && !actor.Narrows(a.Kind()) {
		return out
	}
	if c.clock.doubted() && !actor.Narrows(a.Kind()) {
		return refused(abaton.ReasonClock)
	}
	l, err := c.actors.log(a.Actor())
	if err != nil {
		return t.fail(err)
	}
	if l == nil {
		return c.incept(t, a)
	}
	if out := c.reunite(t, l, a, l.state.AdmitBranch); out.Err != nil {
		return out
	}
	if err := l.state.Admit(a, c.door(t, a.Actor()), t.now); t.err != nil {
		return refused(abaton.ReasonStorage)
	} else if err != nil {
		c.branches.keep(l.state, a, err, t.now)
		return refusedBy(err)
	}
	if err := c.policies.readable(a); err != nil {
		return refusedBy(err)
	}
	if !l.state.Knows(a.Hash()) && l.crowds(a) {
		return refused(abaton.ReasonTooLarge)
	}
	if p.Posted && !l.state.Knows(a.Hash()) && backdated(a, t.now) {
		c.find(t, abaton.ReasonTime)
	}
	if out := c.accept(t, l, a, nil); out.Err != nil {
		return out
	}
	if closed {
		return out // in force, but no vote: this keeper may have lost an earlier one
	}
	return c.vote(t, l, a)
}

// incept lets a new log in: an organisation that this operator admitted, or
// an invitation that was not used before.
func (c *Core) incept(t *tx, a *actor.Authentic) Output {
	if a.Inception() == nil {
		return refused(abaton.ReasonActor)
	}
	l := newKeyLog()
	if err := l.state.Admit(a, c.door(t, a.Actor()), t.now); err != nil {
		return refusedBy(err)
	}
	if t.err != nil {
		return refused(abaton.ReasonStorage)
	}
	if inv := a.Invitation(); inv != nil {
		name, id := invitationName(inv.Nonce), a.Actor()
		t.mark(name)
		c.store.PutMeta(&t.change, name, id[:])
	}
	if out := c.accept(t, l, a, nil); out.Err != nil {
		return out
	}
	c.actors.logs[a.Actor()] = l
	return c.vote(t, l, a)
}

func invitationName(nonce [grant.NonceBytes]byte) string { return "invitation/" + string(nonce[:]) }

// door is what a keeper knows when newcomer asks to come in.
func (c *Core) door(t *tx, newcomer abaton.ActorID) actor.Door {
	return actor.Door{
		Set:            c.cfg.Set.ID(),
		Admitted:       func(org abaton.ActorID) bool { return c.admitted[org] },
		Organisation:   func(org abaton.ActorID) *actor.State { return c.stateOf(t, org) },
		InvitationUsed: func(nonce [grant.NonceBytes]byte) bool { return c.usedUp(t, newcomer, nonce) },
		Log:            func(id abaton.ActorID) *actor.State { return c.stateOf(t, id) },
		Heard:          func(h actor.Hash) (time.Time, bool) { return c.firstHeard(t, h) },
		Wait:           c.cfg.Set.RecoveryWait(),
	}
}

// usedUp: an invitation serves one inception for ever, and the same inception
// again.
func (c *Core) usedUp(t *tx, newcomer abaton.ActorID, nonce [grant.NonceBytes]byte) bool {
	name := invitationName(nonce)
	by, err := c.store.Meta(name)
	switch {
	case errors.Is(err, store.ErrAbsent):
		return t.marked[name]
	case err != nil:
		t.err = err
		return true
	}
	return string(by) != string(newcomer[:])
}

// vote takes the slot for the event, durably before anyone sees the
// signature.
func (c *Core) vote(t *tx, l *keyLog, a *actor.Authentic) Output {
	place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	if !c.mayVote(l, place) {
		return refused(abaton.ReasonQuarantine) // it holds here if it narrows, without a vote
	}
	_, voted := l.ballot.At(place.Seq)
	if err := l.ballot.Cast(l.state, place.Hash); err != nil {
		return refusedBy(err)
	}
	if !voted {
		if err := c.store.PutVote(&t.change, place.Actor, place.Seq, place.Hash[:]); err != nil {
			return t.fail(err)
		}
	}
	return Output{Place: place}
}

// Certify brings a certified event: now it counts.
type Certify struct {
	Event       *actor.Authentic
	Certificate *actor.Certificate
	Certified   actor.Certified
}

func (p Certify) slot() string { return actorSlot(p.Event.Actor()) }

func (p Certify) decide(c *Core, t *tx) Output {
	a := p.Event
	if p.Certified.Place().Hash != a.Hash() || p.Certified.Place().Actor != a.Actor() {
		return refused(abaton.ReasonCertificate)
	}
	l, err := c.actors.log(a.Actor())
	if err != nil {
		return t.fail(err)
	}
	if l == nil {
		if a.Inception() == nil {
			return refused(abaton.ReasonActor)
		}
		l = newKeyLog()
	}
	if l.state.IsCertified(a.Hash()) && c.kept(p) {
		return Output{}
	}
	if out := c.reunite(t, l, a, l.state.TakeBranch); out.Err != nil {
		return out
	}
	if out := c.accept(t, l, a, &p); out.Err != nil {
		return out
	}
	c.actors.logs[a.Actor()] = l
	if err := c.indexCertified(t, a); err != nil {
		return t.fail(err)
	}
	if !actor.Narrows(a.Kind()) {
		c.record(t, anchor(a))
	}
	c.forgive(t, a)
	return Output{}
}

// kept reports whether the event's own certificate came before. An event that
// counts only because a later one is certified is not yet indexed.
func (c *Core) kept(p Certify) bool {
	_, err := c.store.Statement(p.Event.Actor(), p.Event.Event().Seq, statementName(p.Event.Hash(), true))
	return err == nil
}

// accept applies an event to its log and stores it for the feed. An event that
// narrows is in force with that, and ledgered.
func (c *Core) accept(t *tx, l *keyLog, a *actor.Authentic, by *Certify) Output {
	fresh := !l.state.Knows(a.Hash())
	if err := l.state.Apply(a); err != nil {
		c.branches.keep(l.state, a, err, t.now)
		return refusedBy(err)
	}
	var cert *actor.Certificate
	if by != nil {
		if err := l.state.Certify(by.Certified); err != nil {
			c.actors.forget(a.Actor()) // the event was applied, and is not stored
			if refusedBy(err).Reason == abaton.ReasonCertificate {
				c.find(t, abaton.ReasonEquivocation) // keepers have signed two ends of one log
			}
			return refusedBy(err)
		}
		cert = by.Certificate
	}
	if a.Inception() != nil {
		l.born = a.Event().Time
	}
	if cert != nil {
		if err := c.witnessed(t, l, a, cert); err != nil {
			return t.fail(err)
		}
	}
	if fresh && cert == nil {
		l.opened(a)
	}
	if fresh {
		c.hear(t, a)
	}
	if fresh || cert != nil {
		if err := c.putStatement(t, a, cert); err != nil {
			return t.fail(err)
		}
	}
	if !fresh || !actor.Narrows(a.Kind()) {
		return Output{}
	}
	return c.narrow(t, a)
}

// narrow ledgers an event that takes something away, and erases what it says.
func (c *Core) narrow(t *tx, a *actor.Authentic) Output {
	c.record(t, anchor(a))
	if b, ok := a.Body().(*actor.Erase); ok {
		return c.erase(t, a, b)
	}
	return Output{}
}

func (c *Core) putStatement(t *tx, a *actor.Authentic, cert *actor.Certificate) error {
	s := keeper.Statement{Event: a.Signed().Marshal()}
	if cert != nil {
		s.Certificate = cert.Marshal()
	}
	return c.store.PutStatement(&t.change, a.Actor(), a.Event().Seq, statementName(a.Hash(), cert != nil), wire.Marshal(s))
}

// anchor is the ledger entry of an event that came into force.
func anchor(a *actor.Authentic) ledger.Entry {
	op := ledger.OpEvent
	if a.Kind() == actor.EventLift {
		op = ledger.OpLift
	}
	return ledger.Entry{Request: a.Hash(), Op: op, Outcome: ledger.Permitted, Actor: a.Actor(), Patient: a.Actor()}
}

// statementName is what the store keeps a statement under: a certified event
// stands beside the bare one, if that came first.
func statementName(event actor.Hash, certified bool) [32]byte {
	if certified {
		return wire.Hash(wire.Vote, event[:])
	}
	return event
}

// Bounds of the refused events that are remembered for a merge: of all logs,
// in events and bytes, and of one.
const (
	branchesMax      = 1024
	branchBytesMax   = 32 << 20
	branchesPerActor = 64
)

// branches are events this keeper refused because another has their slot or
// their parent is not known here, or because their signer was removed on
// another branch or their grant ran out. They count for nothing; a merge that a
// live manager signs may name them.
type branches map[actor.Hash]*actor.Authentic

func (b branches) keep(st *actor.State, a *actor.Authentic, err error, now time.Time) {
	e, ok := errors.AsType[*abaton.RefusedError](err)
	if !ok {
		return
	}
	lost := e.Reason == abaton.ReasonSlot || e.Reason == abaton.ReasonParent
	if !(lost && b.belongs(st, a)) && st.Vouchable(a, now) != nil {
		return
	}
	if b.room(st, a) {
		b[a.Hash()] = a
	}
}

// room makes room for one more of the actor's events: first goes what keys
// signed that are no longer live, and such an event pushes out no other. Whoever
// closes a split sends its branches again.
func (b branches) room(st *actor.State, a *actor.Authentic) bool {
	own := func(o *actor.Authentic) bool { return o.Actor() == a.Actor() }
	if n, _ := b.load(a.Actor()); n >= branchesPerActor {
		maps.DeleteFunc(b, func(_ actor.Hash, o *actor.Authentic) bool { return own(o) && !liveSigner(st, o) })
	}
	if n, _ := b.load(a.Actor()); n >= branchesPerActor {
		if !liveSigner(st, a) {
			return false
		}
		maps.DeleteFunc(b, func(_ actor.Hash, o *actor.Authentic) bool { return own(o) })
	}
	if _, bytes := b.load(a.Actor()); len(b) >= branchesMax || bytes >= branchBytesMax {
		clear(b)
	}
	return true
}

// load is how many events of one actor are remembered, and the bytes of all.
func (b branches) load(id abaton.ActorID) (events, bytes int) {
	for _, a := range b {
		s := a.Signed()
		bytes += len(s.Event)
		for _, p := range s.Proofs {
			bytes += len(p.Body)
		}
		if a.Actor() == id {
			events++
		}
	}
	return events, bytes
}

// belongs reports whether one of the log's own keys or passkeys signed the
// event, or it continues a remembered one of the log: strangers can sign
// events for any log, and must not push others out.
func (b branches) belongs(st *actor.State, a *actor.Authentic) bool {
	for _, h := range a.Event().Prev {
		if before := b[h]; before != nil && before.Actor() == a.Actor() {
			return true
		}
	}
	return liveSigner(st, a)
}

// liveSigner reports whether a live key or passkey of the log proved the event.
func liveSigner(st *actor.State, a *actor.Authentic) bool {
	for _, p := range a.Signed().Proofs {
		if id, passkey := proverOf(p); st.KeyRights(id) != 0 || st.CredentialClass(passkey) != 0 {
			return true
		}
	}
	return false
}

// admitBranch is State.AdmitBranch, or TakeBranch under a certificate.
type admitBranch = func(missing []*actor.Authentic, merge *actor.Authentic, now time.Time) error

// reunite applies the branches that a merge names and this keeper refused
// (PROTOCOL.md#merge). They get no vote.
func (c *Core) reunite(t *tx, l *keyLog, merge *actor.Authentic, admit admitBranch) Output {
	if merge.Kind() != actor.EventMerge || l.state.Knows(merge.Hash()) {
		return Output{}
	}
	missing := c.branches.ancestors(l.state, merge)
	if len(missing) == 0 {
		return Output{}
	}
	if err := admit(missing, merge, t.now); err != nil {
		c.actors.forget(merge.Actor()) // some of them were applied, and none is stored
		return refusedBy(err)
	}
	for _, a := range missing {
		if err := c.putStatement(t, a, nil); err != nil {
			return t.fail(err)
		}
		l.opened(a)
		c.hear(t, a)
		if !actor.Narrows(a.Kind()) {
			continue
		}
		if out := c.narrow(t, a); out.Err != nil {
			return out
		}
	}
	t.reunited = append(t.reunited, missing...)
	return Output{}
}

// ancestors are the remembered events that a merge stands on and the log does
// not know, oldest first.
func (b branches) ancestors(st *actor.State, merge *actor.Authentic) []*actor.Authentic {
	var out []*actor.Authentic
	seen := make(map[actor.Hash]bool)
	queue := append([]actor.Hash(nil), merge.Event().Prev...)
	for len(queue) > 0 && len(out) < actor.ParentsMax {
		h := queue[0]
		queue = queue[1:]
		a := b[h]
		if a == nil || seen[h] || st.Knows(h) {
			continue
		}
		seen[h] = true
		out = append(out, a)
		queue = append(queue, a.Event().Prev...)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Event().Seq < out[j].Event().Seq })
	return out
}

func refusedBy(err error) Output {
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return refused(e.Reason)
	}
	return refused(abaton.ReasonMalformed)
}
