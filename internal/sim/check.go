package sim

import (
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// Violation is a promise that was not kept.
type Violation struct {
	Invariant string // of the package comment
	At        time.Duration
	Text      string
	Command   string // replays it
}

// Error is the promise, when it was broken, and how to see it again.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s broken at %v: %s\nreplay: %s", v.Invariant, v.At, v.Text, v.Command)
}

// checker knows everything and compares what the keepers and clients do with
// what was promised. It takes no part in the world.
type checker struct {
	w        *world
	ack      [batchesMax]bool
	grants   []*grantFact
	slots    map[uint64]actor.Hash // certified, by place in the patient's log
	events   map[actor.Hash]eventFact
	erasures []erasureFact
	openings []openingFact
}

// eventFact is an event that a device signed, and the grant it gives or takes.
type eventFact struct {
	event *actor.Authentic
	grant *grantFact
}

// grantFact is what is true of one grant.
type grantFact struct {
	n         int
	reader    int
	id        abaton.GrantID
	proposed  bool
	certified bool
	live      bool // in force
	revoked   bool // a revocation was published
	over      bool // the revocation is in force
	overAt    time.Duration
	after     [batchesMax]quorum.Keepers // who gave shares to requests made after that
	never     [batchesMax]quorum.Keepers // who gave shares though it was never certified
}

type erasureFact struct {
	b      *batch
	bits   uint64
	live   bool
	at     time.Duration
	event  actor.Hash
	leaked [64]quorum.Keepers
}

type openingFact struct {
	request [32]byte
	at      time.Duration
}

func newChecker(w *world) *checker {
	return &checker{w: w, slots: make(map[uint64]actor.Hash), events: make(map[actor.Hash]eventFact)}
}

// acked: the writer was told that b is saved (I1).
func (c *checker) acked(b *batch) {
	if !c.ack[b.id] {
		c.ack[b.id] = true
		c.w.result.Done.Acked++
	}
	c.survives(b)
}

// survives: an acknowledged batch is with at least k honest keepers (I1).
func (c *checker) survives(b *batch) {
	honest := 0
	for _, k := range c.w.keepers[1:] {
		if k.honest() && k.kept.receipts[b.id] {
			honest++
		}
	}
	if honest < five.K && !c.mayBeErased(b) {
		c.w.fail("I1", "batch %d was acknowledged and only %d honest keepers hold it", b.id, honest)
	}
	c.openable(b)
}

func (c *checker) mayBeErased(b *batch) bool {
	gone := uint64(0)
	for i := range c.erasures {
		if c.erasures[i].b == b {
			gone |= c.erasures[i].bits
		}
	}
	return gone == b.all()
}

func (c *checker) ackedNow() (out [batchesMax]bool) {
	for id := range out {
		out[id] = c.ack[id] && !c.mayBeErased(c.w.pool.batches[id])
	}
	return out
}

// Grants.

func (c *checker) wanted(reader int, id abaton.GrantID) *grantFact {
	f := &grantFact{n: len(c.grants), reader: reader, id: id}
	c.grants = append(c.grants, f)
	return f
}

// anyGrant that was ever proposed to the reader, nil when there is none.
func (c *checker) anyGrant(reader int) *grantFact {
	var found []*grantFact
	for _, f := range c.grants {
		if f.reader == reader && f.proposed {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[c.w.rng.IntN(len(found))]
}

func (c *checker) liveGrants() (out []*grantFact) {
	for _, f := range c.grants {
		if f.live && !f.revoked {
			out = append(out, f)
		}
	}
	return out
}

// Events of the patient's log.

func (c *checker) proposed(a *actor.Authentic, fact *grantFact) {
	c.events[a.Hash()] = eventFact{event: a, grant: fact}
	switch b := a.Body().(type) {
	case *actor.Granted:
		fact.proposed = true
	case *actor.Revoke:
		fact.revoked = true
	case *actor.Erase:
		for _, row := range b.Rows {
			c.erasures = append(c.erasures, erasureFact{b: c.w.pool.byName[row.Batch], bits: row.Bits, event: a.Hash()})
		}
	}
}

// certified: one slot never has two certificates (I9). A certificate stands
// for all that the event continues.
func (c *checker) certified(h actor.Hash) {
	e, ok := c.events[h]
	if !ok {
		return // an inception
	}
	if e.grant != nil && e.event.Kind() == actor.EventGrant {
		e.grant.certified = true
	}
	for _, parent := range e.event.Event().Prev {
		c.certified(parent)
	}
}

func (c *checker) certificate(t *publishing) {
	held, taken := c.slots[t.place.Seq]
	if taken && held != t.place.Hash {
		c.w.fail("I9", "two events were certified for slot %d", t.place.Seq)
	}
	if taken {
		return
	}
	for seq, other := range c.slots {
		if !c.continues(t.place.Hash, other) && !c.continues(other, t.place.Hash) && !c.reunited(t.place.Hash, other) {
			c.w.fail("I9", "the events certified for slots %d and %d stand on branches that exclude each other", min(seq, t.place.Seq), max(seq, t.place.Seq))
		}
	}
	c.slots[t.place.Seq] = t.place.Hash
	c.certified(t.place.Hash)
}

// reunited reports whether a certified event stands on both.
func (c *checker) reunited(a, b actor.Hash) bool {
	for _, h := range c.slots {
		if c.continues(h, a) && c.continues(h, b) {
			return true
		}
	}
	return false
}

// continues reports whether event a stands on event b.
func (c *checker) continues(a, b actor.Hash) bool {
	e, ok := c.events[a]
	if !ok {
		return false
	}
	for _, parent := range e.event.Event().Prev {
		if parent == b || c.continues(parent, b) {
			return true
		}
	}
	return false
}

func (c *checker) inForce(t *publishing) {
	fact := c.events[t.place.Hash].grant
	switch t.event.Kind() {
	case actor.EventGrant:
		fact.live = true
	case actor.EventRevoke:
		if !fact.over {
			fact.over, fact.overAt = true, c.w.now
		}
	case actor.EventErase:
		for i := range c.erasures {
			if e := &c.erasures[i]; e.event == t.place.Hash && !e.live {
				e.live, e.at = true, c.w.now
				c.w.result.Done.Erased++
			}
		}
	}
	if t.event.Kind() == actor.EventMerge {
		c.w.result.Done.Merged++
	}
	c.w.result.Done.InForce++
}

// Releases.

// leaves: pieces are about to leave keeper k (I4, I6). What it said stays in
// its kept word, to be compared with its ledger after every crash.
func (c *checker) leaves(k *keeper, asked *session.Asked, out custody.Output) {
	c.w.result.Done.Releases++
	if !k.honest() {
		return
	}
	k.kept.releases = append(k.kept.releases, release{entry: out.Entry, request: asked.Hash()})
	if !out.Ledgered || out.Entry >= k.ledger().Size() {
		c.w.fail("I6", "keeper %d releases what is not in its ledger", k.x)
	}
	f := c.grant(asked.Grant)
	switch {
	case f == nil:
	case !f.certified:
		c.w.fail("I4", "keeper %d releases under grant %d, which no quorum certified", k.x, f.n)
	case f.over && !k.kept.jumped && c.w.now-f.overAt > abaton.LeaseMax+leaseSlack:
		c.w.fail("I4", "keeper %d releases under grant %d, revoked in force for %v", k.x, f.n, c.w.now-f.overAt)
	}
}

// leaseSlack: an answer to a question asked before the revocation may still be
// on its way, and be decided late by a slow keeper.
const leaseSlack = peerTimeout + 2*slowMost

func (c *checker) grant(id abaton.GrantID) *grantFact {
	for _, f := range c.grants {
		if f.id == id {
			return f
		}
	}
	return nil
}

// share: the reader got valid shares of b from keeper x, honest or not (I4,
// I11).
func (c *checker) share(t *reading, x abaton.KeeperIndex, b *batch, shares uint64) {
	f := t.g
	if shares != 0 && f.over && t.began > f.overAt {
		f.after[b.id] = f.after[b.id].With(x)
		if f.after[b.id].Len() >= five.T {
			c.w.fail("I4", "grant %d was revoked in force, and later requests got %d shares of batch %d", f.n, five.T, b.id)
		}
	}
	if shares != 0 && !f.certified {
		f.never[b.id] = f.never[b.id].With(x)
		if f.never[b.id].Len() >= five.T {
			c.w.fail("I4", "grant %d was never certified, and requests got %d shares of batch %d", f.n, five.T, b.id)
		}
	}
	for i := range c.erasures {
		e := &c.erasures[i]
		if e.b != b || !e.live || t.began <= e.at {
			continue
		}
		for j := range b.records {
			if e.bits&shares>>j&1 == 0 {
				continue
			}
			if e.leaked[j] = e.leaked[j].With(x); e.leaked[j].Len() >= five.T {
				c.w.fail("E1", "record %d of batch %d was erased in force, and later requests got %d shares of it", j, b.id, five.T)
			}
		}
	}
}

// opened: t valid pieces of every row came together; it must be found in any
// four histories from now on.
func (c *checker) opened(t *reading) {
	c.openings = append(c.openings, openingFact{request: t.asked.Hash(), at: c.w.now})
}

// told: a history that is said to be complete shows every opening before it
// began (I6, T11).
func (c *checker) told(began time.Duration, h *ledger.History) {
	if h.Verdict != ledger.Complete {
		return
	}
	seen := make(map[[32]byte]bool, len(h.Lines))
	for i := range h.Lines {
		seen[h.Lines[i].Request] = true
	}
	for _, o := range c.openings {
		if o.at <= began && !seen[o.request] {
			c.w.fail("I6", "a history said to be complete lacks an opening at %v", o.at)
		}
	}
}

// listed: what was acknowledged before the listing began is in it, or it says
// that it is incomplete (I2, I3); what this reader saw saved stays saved (I5).
func (c *checker) listed(l *listing, standing [batchesMax]quorum.Standing, incomplete bool) {
	for id := range standing {
		shown := standing[id] > quorum.Rumour
		if l.before[id] && !shown && !incomplete {
			c.w.fail("I3", "batch %d was acknowledged and a later listing neither shows it nor says that it is incomplete", id)
		}
		if l.pinned[id] && standing[id] != quorum.Saved && !incomplete {
			c.w.fail("I5", "batch %d was shown as saved, and a later listing of the same reader takes it back", id)
		}
	}
}

// answered: in a world without faults a live grant opens.
func (c *checker) answered(t *reading) {
	if c.w.plan.faultless() && t.g.live && !t.g.revoked && t.step.State() != quorum.Durable {
		c.w.fail("I2", "nothing was wrong, the grant was live, and the read ended in state %d", t.step.State())
	}
}
