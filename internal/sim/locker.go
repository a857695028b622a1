package sim

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/internal/store"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// locker is the patient's device that locks batches anew, one after the other.
// It keeps nothing: after a crash it begins again above every number it sees.
type locker struct {
	w    *world
	life int
	left int
	busy bool
}

// relocking is one batch on its way under a new lock.
type relocking struct {
	l        *locker
	life     int
	b        *batch
	number   int // of the new lock, from 2
	step     *quorum.Relock
	receipts [keepers + 1][]byte
	then     func()
}

func (l *locker) idle() bool { return l.left == 0 && !l.busy }

func (l *locker) plan() {
	l.left = l.w.plan.Relocks
	l.w.after(l.w.between(3*time.Second, 8*time.Second), l.next)
}

func (l *locker) next() {
	if l.left == 0 {
		return
	}
	l.left--
	l.busy = true
	w := l.w
	b, life := l.choose(), l.life
	if b == nil {
		l.busy = false
		w.after(w.between(time.Second, 3*time.Second), l.next)
		return
	}
	l.begin(b, func() {
		if l.life != life {
			return // that process is gone
		}
		l.busy = false
		w.after(w.between(100*time.Millisecond, w.plan.Life/time.Duration(1+w.plan.Relocks)), l.next)
	})
}

// choose is a batch that a listing would show as saved; nil when there is none.
func (l *locker) choose() *batch {
	var saved []*batch
	for id, acked := range l.w.checker.ackedNow() {
		if acked {
			saved = append(saved, l.w.pool.batches[id])
		}
	}
	if len(saved) == 0 {
		return nil
	}
	return saved[l.w.rng.IntN(len(saved))]
}

// crash ends the process; the next one begins with another batch.
func (l *locker) crash() {
	l.life++
	if l.busy {
		l.busy = false
		l.w.note("crashes", atLocker, l.left, 0)
		l.w.after(l.w.between(time.Second, 10*time.Second), l.next)
	}
}

// look asks all keepers for a batch under every lock they hold.
func (l *locker) look(b *batch, found func(by map[int]quorum.Keepers, answered quorum.Keepers)) {
	w := l.w
	asked := w.question(w.pool.patient.session, abaton.GrantID{}, session.Locks, []session.Row{{Batch: b.name, Bits: b.all()}})
	step := quorum.NewCollect(five, five.W, five.W)
	step.Hold(true)
	by, over := make(map[int]quorum.Keepers), false
	var do func([]quorum.Effect)
	do = func(effects []quorum.Effect) {
		for _, e := range effects {
			switch e.Do {
			case quorum.Send:
				x := e.Keeper
				w.ask(atLocker, w.pool.patient.session, x, asked, func(a answer) {
					if a.reply == nil || a.reply.Outcome == protocol.Refused {
						do(step.Refuse(x, a.reason))
						return
					}
					for _, piece := range a.reply.Pieces {
						if n := w.goodPiece(x, b, piece); n != 0 {
							by[n] = by[n].With(x)
						}
					}
					do(step.Answer(x, false))
				}, func() { do(step.Lost(x)) })
			case quorum.Wake:
				w.after(e.After, func() { do(step.Timer()) })
			case quorum.Changed:
				if !over && step.State() != quorum.Working {
					over = true
					found(by, step.Answered())
				}
			}
		}
	}
	do(step.Start())
}

// goodPiece is the number of the lock of which these bytes are x's whole and
// true piece; zero for any other.
func (w *world) goodPiece(x abaton.KeeperIndex, b *batch, data []byte) int {
	p, err := spread.ParsePiece(data)
	if err != nil || spread.NameOf(p.Head.Body) != b.name || p.X != x || p.Bitmap != b.all() {
		return 0
	}
	n := b.numberOf(spread.LockHash(p.Lock.Body))
	if n == 0 || len(p.Rows) != b.records {
		return 0
	}
	for j := range p.Rows {
		if p.Rows[j].State != spread.RowReleased || p.Rows[j].Share != b.share(x, n, j) {
			return 0
		}
	}
	return n
}

func (l *locker) begin(b *batch, then func()) {
	life := l.life
	l.look(b, func(by map[int]quorum.Keepers, answered quorum.Keepers) {
		top, opens := 0, false
		for n, from := range by {
			top, opens = max(top, n), opens || from.Len() >= five.T
		}
		if !opens || top >= locksMax || l.life != life {
			then() // nothing to open, erased in part, or too often locked
			return
		}
		t := &relocking{l: l, life: life, b: b, number: top + 1, step: quorum.NewRelock(l.w.plan.Mutant.relock(five), answered), then: then}
		l.w.note("locks anew", atLocker, b.id, t.number)
		t.do(t.step.Start())
	})
}

func (t *relocking) live() bool { return t.life == t.l.life }

func (t *relocking) do(effects []quorum.Effect) {
	w := t.l.w
	for _, e := range effects {
		switch e.Do {
		case quorum.Send:
			t.prepare(e.Keeper)
		case quorum.Wake:
			w.after(e.After, func() {
				if t.live() {
					t.do(t.step.Timer(e.Keeper))
				}
			})
		case quorum.Check:
			t.check()
		case quorum.Certify:
			t.commit(e.Keeper)
		case quorum.Changed:
			w.note("re-lock state", atLocker, t.b.id, int(t.step.State()))
			t.ended()
		}
	}
}

// ended goes on with the next batch when this one is in force, or cannot be.
func (t *relocking) ended() {
	if then := t.then; then != nil && t.step.State() != quorum.Working {
		t.then = nil
		if t.step.Err() == nil {
			t.l.w.result.Done.Relocked++
		}
		then()
	}
}

func (t *relocking) prepare(x abaton.KeeperIndex) {
	w, b, n := t.l.w, t.b, t.number
	w.call(atLocker, x, callTimeout, func(k *keeper, reply func(func())) {
		k.prepare(b, n, func(out custody.Output) {
			reply(func() {
				switch {
				case !t.live():
				case out.Err != nil:
					t.do(t.step.Refuse(x, reasonOf(out)))
				case w.lockReceipt(b, n, out.Bytes) != x:
					t.do(t.step.Lost(x))
				default:
					t.receipts[x] = out.Bytes
					t.do(t.step.Receipt(x))
				}
			})
		})
	}, func() {
		if t.live() {
			t.do(t.step.Lost(x))
		}
	})
}

// prepare is a keeper that is handed its part of a new lock.
func (k *keeper) prepare(b *batch, n int, answer func(custody.Output)) {
	if k.lies(LieReceipt) {
		answer(custody.Output{Bytes: receipt(k.x, lockReceiptBody(k.x, b, n))})
		return
	}
	if k.mutates(ErasedReturns) {
		k.resurrect(b)
	}
	in := custody.Prepare{Patient: k.w.pool.patient.id, Rekey: b.rekeys[n][k.x], Lock: b.locks[n].lock, Base: &b.locks[n-1].signed}
	k.submit(job{inputs: []custody.Input{in}, answer: func(out []custody.Output) {
		k.w.note("prepare", k.place(), b.id, len(reasonOf(out[0])))
		if out[0].Err == nil {
			k.kept.locks[b.id] |= 1 << n
			if k.mutates(PrepareDestroys) {
				k.commit(b, n, [][]byte{out[0].Bytes}, func([]custody.Output) {})
			}
		}
		answer(out[0])
	}})
}

func (t *relocking) check() {
	t.l.look(t.b, func(by map[int]quorum.Keepers, _ quorum.Keepers) {
		if t.live() {
			valid := by[t.number]
			if t.l.w.plan.Mutant == CommitEarly {
				valid = t.step.Receipts()
			}
			t.do(t.step.Checked(valid))
		}
	})
}

func (t *relocking) commit(x abaton.KeeperIndex) {
	w := t.l.w
	var receipts [][]byte
	for _, r := range t.receipts {
		if r != nil {
			receipts = append(receipts, r)
		}
	}
	w.call(atLocker, x, callTimeout, func(k *keeper, reply func(func())) {
		k.commit(t.b, t.number, receipts, func(out []custody.Output) {
			reply(func() {
				switch {
				case !t.live():
				case out[0].Err != nil:
					t.do(t.step.Refuse(x, reasonOf(out[0])))
				case len(out[0].Each) == 1 && out[0].Each[0] != "":
					t.do(t.step.Refuse(x, out[0].Each[0]))
				default:
					t.do(t.step.InForce(x))
				}
				t.ended()
			})
		})
	}, func() {
		if t.live() {
			t.do(t.step.Lost(x))
		}
	})
}

// commit is a keeper that is shown receipts for a lock; its door has counted
// them.
func (k *keeper) commit(b *batch, n int, receipts [][]byte, answer func([]custody.Output)) {
	count := len(receipts)
	if k.mutates(CommitEarly) || k.mutates(PrepareDestroys) {
		count = five.W // nobody counts
	}
	in := custody.Commit{Patient: k.w.pool.patient.id,
		Locks: []custody.Certified{{Batch: b.name, Lock: b.locks[n].hash, Receipts: receipts, Keepers: count}}}
	k.submit(job{inputs: []custody.Input{in}, answer: func(out []custody.Output) {
		k.w.note("commit", k.place(), b.id, len(reasonOf(out[0])))
		if out[0].Err == nil && out[0].Each[0] == "" {
			k.kept.locks[b.id] &^= 1<<n - 1
			k.w.checker.openable(b)
		}
		answer(out)
	}})
}

// resurrect plays a keeper to which a re-lock brings back what was erased.
func (k *keeper) resurrect(b *batch) {
	gone, _, err := k.store.Erased(k.w.pool.patient.id, b.name)
	if err != nil || gone == 0 || k.mode() != custody.Serving {
		return
	}
	var lost store.Batch
	_ = k.records.Scan(nil, nil, func(key, _ []byte) bool {
		if bytes.IndexByte([]byte{tableTombstone, 'b', 'f', 's'}, key[0]) >= 0 && bytes.Contains(key, b.name[:]) {
			lost.Delete(key)
		}
		return true
	})
	if k.records.Commit(&lost) == nil {
		k.core.Step(k.clock(), []custody.Input{custody.Deposit{Upload: b.checked[k.x]}})
	}
}

// lockReceiptBody is what keeper x says of lock n of b in a receipt.
func lockReceiptBody(x abaton.KeeperIndex, b *batch, n int) []byte {
	return wire.Marshal(protocol.Receipt{V: wire.Version, Keeper: x, Batch: b.name, Lock: b.locks[n].hash, Entry: 0, Time: uint64(dawn.Unix())})
}

// lockReceipt is whose valid receipt for lock n of b this is; zero for
// nobody's.
func (w *world) lockReceipt(b *batch, n int, data []byte) abaton.KeeperIndex {
	var s wire.Signed
	var r protocol.Receipt
	if wire.Unmarshal(data, &s) != nil || wire.Unmarshal(s.Body, &r) != nil || r.Batch != b.name || r.Lock != b.locks[n].hash ||
		string(s.Sig) != string(mark(r.Keeper, forReceipt, s.Body)) {
		return 0
	}
	return r.Keeper
}

// numberOf is the number of a lock by its hash; zero for none of b's.
func (b *batch) numberOf(hash spread.Hash32) int {
	for n := 1; n <= locksMax; n++ {
		if b.locks[n].hash == hash {
			return n
		}
	}
	return 0
}

// capsule is keeper x's capsule fragment under lock n.
func (b *batch) capsule(x abaton.KeeperIndex, n int) []byte {
	if n == 1 {
		return b.checked[x].Capsule
	}
	return b.rekeys[n][x].Capsule
}

// share is keeper x's share of record j under lock n.
func (b *batch) share(x abaton.KeeperIndex, n, j int) [32]byte {
	if n == 1 {
		return b.checked[x].Rows[j].Share
	}
	return b.rekeys[n][x].Shares[j]
}

// openable: under some lock at least k honest keepers have their pieces of an
// acknowledged batch, whatever of a re-lock has reached whom (I1).
func (c *checker) openable(b *batch) {
	if !c.ack[b.id] || c.mayBeErased(b) {
		return
	}
	best := 0
	for n := 1; n <= locksMax; n++ {
		have := 0
		for _, k := range c.w.keepers[1:] {
			if k.honest() && k.kept.receipts[b.id] && k.kept.locks[b.id]>>n&1 == 1 {
				have++
			}
		}
		best = max(best, have)
	}
	if best < five.K {
		c.w.fail("I1", "batch %d was acknowledged, and no lock of it is at more than %d honest keepers", b.id, best)
	}
}

// locked: what keeper k gave receipts for and has not replaced is there (I7).
func (c *checker) locked(k *keeper, b *batch) {
	if !k.kept.receipts[b.id] {
		return
	}
	whole, err := k.store.Whole(c.w.pool.patient.id, b.name, 0, true)
	if err != nil {
		return // gone: holds has asked
	}
	has := lockBit(b, whole.Notice.Lock)
	force := bits.TrailingZeros8(has)
	for i := range whole.Beside {
		has |= lockBit(b, whole.Beside[i].Lock)
	}
	kept := k.kept.locks[b.id] &^ (1<<force - 1)
	if _, _, gone := k.erasedAll(b); kept&^has != 0 && !gone {
		c.w.fail("I7", "keeper %d gave receipts for locks %b of batch %d and has %b", k.x, kept, b.id, has)
	}
	k.kept.locks[b.id] = has
}

// lockBit is the bit of a signed LOCK's number.
func lockBit(b *batch, signed []byte) uint8 {
	var s wire.Signed
	if wire.Unmarshal(signed, &s) != nil {
		return 0
	}
	return 1 << b.numberOf(spread.LockHash(s.Body))
}

// erasedAll reports whether nothing of the batch is left at k.
func (k *keeper) erasedAll(b *batch) (gone uint64, whole, all bool) {
	gone, whole, err := k.store.Erased(k.w.pool.patient.id, b.name)
	return gone, whole, err == nil && (whole || gone&b.all() == b.all())
}
