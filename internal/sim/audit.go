package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/ledger"
)

// restarted: what keeper k promised before it stopped still holds (I6, I7, I8).
func (c *checker) restarted(k *keeper) {
	if !k.honest() {
		return
	}
	for id, given := range k.kept.receipts {
		if given && !k.holds(c.w.pool.batches[id]) {
			c.w.fail("I7", "keeper %d gave a receipt for batch %d and came back without it", k.x, id)
		}
		c.locked(k, c.w.pool.batches[id])
	}
	for _, r := range k.kept.releases {
		if e, err := k.ledger().Entry(r.entry); err != nil || e.Request != r.request {
			c.w.fail("I6", "keeper %d released at ledger entry %d and came back without that entry", k.x, r.entry)
			return
		}
	}
	if size := k.ledger().Size(); size < k.kept.size {
		c.w.fail("I8", "keeper %d came back with %d ledger entries of %d", k.x, size, k.kept.size)
	}
}

// holds reports whether k has its piece of b or has had it erased.
func (k *keeper) holds(b *batch) bool {
	_, err := k.store.Notice(k.w.pool.patient.id, b.name)
	return err == nil || errors.Is(err, store.ErrErased)
}

// stepped: the ledger never shrinks while a keeper lives (I8).
func (c *checker) stepped(k *keeper) {
	size := k.ledger().Size()
	if k.honest() && size < k.kept.size {
		c.w.fail("I8", "the ledger of keeper %d shrank from %d to %d", k.x, k.kept.size, size)
	}
	k.kept.size = size
}

// heard: a keeper that hears of a larger ledger of its own does not serve, and
// one that lost nothing is never put in quarantine (I8).
func (c *checker) heard(k *keeper, y abaton.KeeperIndex) {
	claim, size := k.heard.claims[y], k.ledger().Size()
	if claim > size && k.mode() == custody.Serving && !k.mutates(NoQuarantine) { // that one is to be caught by what it does
		c.w.fail("I8", "keeper %d heard of %d entries of its own, has %d, and serves", k.x, claim, size)
	}
	if k.honest() && k.mode() == custody.Quarantined {
		c.w.fail("I8", "keeper %d lost nothing and is in quarantine", k.x)
	}
}

// audit looks at everything once the world is at rest.
func (w *world) audit() {
	if w.result.Violation != nil {
		return
	}
	c := w.checker
	for _, b := range w.pool.batches {
		if c.ack[b.id] {
			c.survives(b)
		}
	}
	for _, k := range w.keepers[1:] {
		if k.mode() == custody.Quarantined {
			w.result.Done.Quarantines++
		}
		if k.honest() {
			c.restarted(k)
			c.pieces(k)
			c.once(k)
		}
	}
	c.commutes()
}

// pieces: a keeper holds its own pieces whole and nothing of anybody else's
// (I1, I10), and nothing that was erased (E1).
func (c *checker) pieces(k *keeper) {
	patient := c.w.pool.patient.id
	for _, b := range c.w.pool.batches {
		gone, _, err := k.store.Erased(patient, b.name)
		if err != nil {
			c.w.fail("I11", "keeper %d cannot read its tombstones", k.x)
			return
		}
		if must := c.erasedFor(b); gone&must != must {
			c.w.fail("E1", "batch %d: keeper %d has forgotten an erasure", b.id, k.x)
		}
		number := 0
		if n, err := k.store.Notice(patient, b.name); err == nil {
			number = b.numberIn(n.Lock)
		}
		kept, _, err := k.store.Records(patient, b.name, b.all())
		if err != nil {
			if k.kept.receipts[b.id] && !errors.Is(err, store.ErrErased) {
				c.w.fail("I7", "batch %d: keeper %d cannot read what it gave a receipt for", b.id, k.x)
			}
			continue
		}
		for _, r := range kept {
			want := b.checked[k.x].Rows[r.Index]
			switch {
			case r.Share != b.share(k.x, max(number, 1), r.Index) || string(r.Fragment) != string(want.Fragment):
				c.w.fail("I10", "batch %d: keeper %d holds a piece that is not its own", b.id, k.x)
			case c.erasedFor(b)>>r.Index&1 == 1:
				c.w.fail("E1", "record %d of batch %d was erased in force and keeper %d holds it", r.Index, b.id, k.x)
			}
		}
	}
}

// erasedFor is what of b was erased in force.
func (c *checker) erasedFor(b *batch) (bits uint64) {
	for i := range c.erasures {
		if e := &c.erasures[i]; e.b == b && e.live {
			bits |= e.bits
		}
	}
	return bits
}

// once: a repeat has no second effect. No request has two permits or two
// refusals in one ledger, no batch two deposits (E2). Asked of keepers whose
// clock was right, for a nonce lives by the clock.
func (c *checker) once(k *keeper) {
	type kind struct {
		request [32]byte
		op      ledger.Op
		refused bool
	}
	seen := make(map[kind]bool)
	for i := range k.ledger().Size() {
		e, err := k.ledger().Entry(i)
		if err != nil {
			c.w.fail("I8", "keeper %d cannot read entry %d of its ledger", k.x, i)
			return
		}
		this := kind{request: e.Request, op: e.Op, refused: e.Outcome == ledger.Refused}
		if seen[this] && !k.kept.jumped {
			c.w.fail("E2", "keeper %d has two entries of one %s", k.x, e.Op)
		}
		seen[this] = true
	}
}

// commutes: the union of the keepers' logs is the same in any order, and at
// rest every honest keeper has all of it (I9).
func (c *checker) commutes() {
	var all []custody.Input
	for _, k := range c.w.keepers[1:] {
		if k.honest() {
			all = append(all, c.stored(k)...)
		}
	}
	want := c.summary(gathered(all))
	slices.Reverse(all)
	if got := c.summary(gathered(all)); got != want {
		c.w.fail("I9", "the patient's log depends on the order of its events: %s, and %s", want, got)
	}
	for _, k := range c.w.keepers[1:] {
		if !k.honest() {
			continue
		}
		if got := c.summary(gathered(c.stored(k))); got != want {
			c.w.fail("I9", "at rest keeper %d knows %s, all together %s", k.x, got, want)
		}
	}
}

// stored are the statements of the patient's log at keeper k, in the order of
// arrival.
func (c *checker) stored(k *keeper) (out []custody.Input) {
	list, _ := k.log(c.w.pool.patient.id)
	for _, s := range list {
		in, err := c.w.stated(s.Bytes)
		if err != nil {
			c.w.fail("I9", "keeper %d has stored what is no statement", k.x)
			continue
		}
		out = append(out, in)
	}
	return out
}

// gathered is the log that statements make in the order given; what has no
// place yet comes again.
func gathered(all []custody.Input) *actor.State {
	st := new(actor.State)
	for moved := true; moved; {
		moved = false
		for _, in := range all {
			switch in := in.(type) {
			case custody.Publish:
				moved = !st.Knows(in.Event.Hash()) && st.Apply(in.Event) == nil || moved
			case custody.Certify:
				h := in.Event.Hash()
				moved = !(st.Knows(h) && st.IsCertified(h)) && st.Apply(in.Event) == nil && st.Certify(in.Certified) == nil || moved
			}
		}
	}
	return st
}

// summary is what a log gives and takes, in the order of the facts.
func (c *checker) summary(st *actor.State) string {
	text := ""
	if p, ok := st.Certified(); ok {
		text += fmt.Sprintf(" certified to %d;", p.Seq)
	}
	grants := st.Grants()
	for _, f := range c.grants {
		_, revoked := st.Grant(f.id)
		text += fmt.Sprintf(" grant %d: %v %v;", f.n, grants[f.id] != nil, revoked)
	}
	for _, b := range c.w.pool.batches {
		if bits := st.Erased(b.name); bits != 0 {
			text += fmt.Sprintf(" erased %d: %b;", b.id, bits)
		}
	}
	return text
}
