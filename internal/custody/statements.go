package custody

import (
	"errors"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

func granteeIn(grantBytes []byte) (abaton.ActorID, error) {
	g, err := grant.Parse(grantBytes)
	if err != nil {
		return abaton.ActorID{}, err
	}
	return g.Grantee, nil
}

// Publish asks for this keeper's vote for an event (PROTOCOL.md#certificate).
// An event that only narrows is applied at once (RULINGS 17). Output.Place is
// what to sign.
type Publish struct {
	Event *actor.Authentic
}

func (p Publish) slot() string { return actorSlot(p.Event.Actor()) }

// actorSlot keeps the events of one log in groups of their own.
func actorSlot(id abaton.ActorID) string { return "actor/" + string(id[:]) }

func (p Publish) decide(c *Core, t *tx) Output {
	a := p.Event
	st, err := c.actors.get(a.Actor())
	if err != nil {
		return t.fail(err)
	}
	if st == nil {
		return c.incept(t, a)
	}
	if err := st.Admit(a, actor.Door{}, t.now); err != nil {
		return refusedBy(err)
	}
	if out, closed := c.closed(); closed && !actor.Narrows(a.Kind()) {
		return out
	}
	if actor.Narrows(a.Kind()) {
		if out := c.narrow(t, st, a); out.Err != nil {
			return out
		}
	}
	return c.vote(t, a)
}

// incept votes for the first event of a log: an organisation that this
// operator admitted, or an invitation that was not used before.
func (c *Core) incept(t *tx, a *actor.Authentic) Output {
	in := a.Inception()
	if in == nil || in.Kind == actor.KeeperSet {
		return refused(abaton.ReasonActor)
	}
	if out, closed := c.closed(); closed {
		return out
	}
	var none actor.State
	if err := none.Admit(a, c.door(t, a.Actor()), t.now); err != nil {
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
	return c.vote(t, a)
}

func invitationName(nonce [grant.NonceBytes]byte) string { return "invitation/" + string(nonce[:]) }

// door is what a keeper knows when newcomer asks to come in.
func (c *Core) door(t *tx, newcomer abaton.ActorID) actor.Door {
	return actor.Door{
		Set:      c.cfg.Set.ID(),
		Admitted: func(org abaton.ActorID) bool { return c.admitted[org] },
		Organisation: func(org abaton.ActorID) *actor.State {
			st, err := c.actors.get(org)
			if err != nil {
				t.err = err
			}
			return st
		},
		InvitationUsed: func(nonce [grant.NonceBytes]byte) bool { return c.usedUp(t, newcomer, nonce) },
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

// vote takes the slot for the event, or refuses when another has it.
func (c *Core) vote(t *tx, a *actor.Authentic) Output {
	place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	held, err := c.store.Vote(place.Actor, place.Seq)
	switch {
	case err == nil && string(held) != string(place.Hash[:]):
		return refused(abaton.ReasonSlot)
	case errors.Is(err, store.ErrAbsent):
		if err := c.store.PutVote(&t.change, place.Actor, place.Seq, place.Hash[:]); err != nil {
			return refused(abaton.ReasonSlot)
		}
	case err != nil:
		return t.fail(err)
	}
	return Output{Place: place}
}

// narrow applies what only takes away, at once and for ever.
func (c *Core) narrow(t *tx, st *actor.State, a *actor.Authentic) Output {
	if st.Knows(a.Hash()) {
		return Output{}
	}
	return c.accept(t, st, a, nil)
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
	st, err := c.actors.get(a.Actor())
	if err != nil {
		return t.fail(err)
	}
	if st == nil {
		if a.Inception() == nil {
			return refused(abaton.ReasonActor)
		}
		st = new(actor.State)
	}
	if st.Knows(a.Hash()) && st.IsCertified(a.Hash()) {
		return Output{}
	}
	if out := c.accept(t, st, a, p.Certificate); out.Err != nil {
		return out
	}
	if err := st.Certify(p.Certified); err != nil {
		return refusedBy(err)
	}
	c.actors.states[a.Actor()] = st
	return Output{}
}

// accept applies an event to its log, stores it for the feed, and ledgers it:
// key logs are anchored in every keeper's ledger.
func (c *Core) accept(t *tx, st *actor.State, a *actor.Authentic, cert *actor.Certificate) Output {
	fresh := !st.Knows(a.Hash())
	if err := st.Apply(a); err != nil {
		return refusedBy(err)
	}
	s := keeper.Statement{Event: a.Signed().Marshal()}
	if cert != nil {
		s.Certificate = cert.Marshal()
	}
	name := statementName(a.Hash(), cert != nil)
	if err := c.store.PutStatement(&t.change, a.Actor(), a.Event().Seq, name, wire.Marshal(s)); err != nil {
		return t.fail(err)
	}
	if err := c.index(t, a); err != nil {
		return t.fail(err)
	}
	if !fresh {
		return Output{}
	}
	t.enter(ledger.Entry{Request: a.Hash(), Op: ledger.OpEvent, Outcome: ledger.Permitted, Actor: a.Actor(), Patient: a.Actor()})
	if b, ok := a.Body().(*actor.Erase); ok {
		return c.erase(t, a.Actor(), b)
	}
	return Output{}
}

// statementName is what the store keeps a statement under: a certified event
// stands beside the bare one, if that came first.
func statementName(event actor.Hash, certified bool) [32]byte {
	if certified {
		return wire.Hash(wire.Vote, event[:])
	}
	return event
}

// erasure is one patient's erased records on their way out of the store.
type erasure struct {
	patient abaton.ActorID
	rows    []store.Erasure
}

func (e *erasure) commit(s *store.Store, change *store.Change) error {
	return s.Erase(e.patient, e.rows, change)
}

// isErasure: an erasure re-seals the patient's other shares and commits in a
// group of its own.
func isErasure(in Input) bool {
	var a *actor.Authentic
	switch p := in.(type) {
	case Publish:
		a = p.Event
	case Certify:
		a = p.Event
	default:
		return false
	}
	return a.Kind() == actor.EventErase
}

// erase replaces shares by their leaves and deletes the fragments
// (PROTOCOL.md#erase). Batches that never came leave a tombstone.
func (c *Core) erase(t *tx, patient abaton.ActorID, b *actor.Erase) Output {
	e := &erasure{patient: patient}
	entry := ledger.Entry{Request: wire.Hash(wire.Event, wire.Marshal(b)), Op: ledger.OpErase, Outcome: ledger.Permitted, Actor: patient, Patient: patient}
	for _, row := range b.Rows {
		leaves, err := c.shareLeaves(patient, row)
		if err != nil {
			return t.fail(err)
		}
		e.rows = append(e.rows, store.Erasure{Batch: row.Batch, Records: row.Bits, Leaves: leaves})
		entry.Rows = append(entry.Rows, ledger.Row{Batch: row.Batch, Released: row.Bits})
	}
	ledger.SortRows(entry.Rows)
	t.enter(entry)
	t.erasure = e
	return Output{}
}

// shareLeaves are the leaves that stay when the shares go; nil when the batch
// is not held.
func (c *Core) shareLeaves(patient abaton.ActorID, row actor.Row) ([][32]byte, error) {
	n, err := c.store.Notice(patient, row.Batch)
	if errors.Is(err, store.ErrAbsent) || errors.Is(err, store.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, lock, err := decodeNotice(n)
	if err != nil {
		return nil, err
	}
	shares, err := c.store.Shares(patient, row.Batch)
	if err != nil {
		return nil, err
	}
	ctx := spread.Ctx(head.Line, lock)
	var leaves [][32]byte
	for j := range shares {
		if row.Bits>>j&1 == 0 {
			continue
		}
		if shares[j].Erased {
			leaves = append(leaves, shares[j].Bytes)
			continue
		}
		leaves = append(leaves, spread.ShareLeaf(ctx, c.cfg.Index, uint16(j), shares[j].Bytes))
	}
	return leaves, nil
}

// decodeNotice reads the HEAD and LOCK of a stored notice.
func decodeNotice(n store.Notice) (*spread.Head, *spread.Lock, error) {
	var head, lock wire.Signed
	if err := wire.Unmarshal(n.Head, &head); err != nil {
		return nil, nil, err
	}
	if err := wire.Unmarshal(n.Lock, &lock); err != nil {
		return nil, nil, err
	}
	h, err := spread.DecodeHead(head.Body)
	if err != nil {
		return nil, nil, err
	}
	l, err := spread.DecodeLock(lock.Body)
	return h, l, err
}

func refusedBy(err error) Output {
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return refused(e.Reason)
	}
	return refused(abaton.ReasonMalformed)
}
