package sim

import (
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// writer is one process with an outbox. The outbox is durable: a crash loses
// the steps under way and the receipts, never a batch.
type writer struct {
	w      *world
	life   int
	due    int
	outbox []*writing
}

// writing is one batch on its way to all keepers.
type writing struct {
	writer   *writer
	life     int
	b        *batch
	step     *quorum.Write
	receipts [keepers + 1][]byte
}

// plan spreads the batches over the world's life.
func (wr *writer) plan() {
	w := wr.w
	wr.due = w.plan.Batches
	for i := range w.plan.Batches {
		w.after(w.between(time.Second, w.plan.Life*3/4), func() {
			wr.due--
			wr.begin(w.pool.batches[i])
		})
	}
}

func (wr *writer) idle() bool {
	for _, t := range wr.outbox {
		saved := t.step.State() == quorum.Durable || t.step.State() == quorum.Settled
		// Of what the patient erased on its way nothing is left to write.
		if !saved && !wr.w.checker.mayBeErased(t.b) {
			return false
		}
	}
	return wr.due == 0
}

func (wr *writer) begin(b *batch) {
	t := &writing{writer: wr, life: wr.life, b: b, step: quorum.NewWrite(wr.w.plan.Mutant.write(five), 0)}
	wr.outbox = append(wr.outbox, t)
	wr.w.note("writes", atWriter, b.id, 0)
	t.do(t.step.Start())
}

// crash ends the process; another one goes on from the outbox.
func (wr *writer) crash() {
	w := wr.w
	w.note("crashes", atWriter, len(wr.outbox), 0)
	wr.life++
	w.after(w.between(time.Second, 10*time.Second), func() {
		for i, old := range wr.outbox {
			if old.life == wr.life || old.step.State() == quorum.Settled {
				continue
			}
			t := &writing{writer: wr, life: wr.life, b: old.b, step: quorum.NewWrite(w.plan.Mutant.write(five), 0)}
			wr.outbox[i] = t
			t.do(t.step.Start())
		}
	})
}

// live reports whether the process that began t still runs.
func (t *writing) live() bool { return t.life == t.writer.life }

func (t *writing) do(effects []quorum.Effect) {
	w := t.writer.w
	for _, e := range effects {
		switch e.Do {
		case quorum.Send:
			t.send(e.Keeper)
		case quorum.Certify:
			w.sendNotice(atWriter, e.Keeper, t.b, 1, t.receipts[:], func() {})
		case quorum.Wake:
			w.after(e.After, func() {
				if t.live() {
					t.do(t.step.Timer(e.Keeper))
				}
			})
		case quorum.Changed:
			w.note("write state", atWriter, t.b.id, int(t.step.State()))
			if t.step.State() == quorum.Durable || t.step.State() == quorum.Settled {
				w.checker.acked(t.b)
			}
		}
	}
}

func (t *writing) send(x abaton.KeeperIndex) {
	w := t.writer.w
	w.call(atWriter, x, callTimeout, func(k *keeper, reply func(func())) {
		k.deposit(t.b, func(out custody.Output) {
			reply(func() {
				if t.live() {
					t.answer(x, out)
				}
			})
		})
	}, func() {
		if t.live() {
			t.do(t.step.Lost(x))
		}
	})
}

func (t *writing) answer(x abaton.KeeperIndex, out custody.Output) {
	switch {
	case out.Err != nil:
		t.do(t.step.Refuse(x, reasonOf(out)))
	case t.writer.w.receiptOf(t.b, 1, out.Bytes) != x:
		t.do(t.step.Lost(x))
	default:
		t.receipts[x] = out.Bytes
		t.do(t.step.Receipt(x))
	}
}

// deposit is a keeper that is handed its piece of a batch.
func (k *keeper) deposit(b *batch, answer func(custody.Output)) {
	if k.lies(LieReceipt) {
		answer(custody.Output{Bytes: k.falseReceipt(b)})
		return
	}
	k.submit(job{inputs: []custody.Input{custody.Deposit{Upload: b.checked[k.x]}}, answer: func(out []custody.Output) {
		k.w.note("deposit", k.place(), b.id, len(reasonOf(out[0])))
		if out[0].Err == nil {
			if !k.kept.receipts[b.id] {
				k.kept.locks[b.id] |= 1 << 1
			}
			k.kept.receipts[b.id] = true
		}
		answer(out[0])
	}})
}

// sendNotice tells keeper x the receipts known for a batch. The keeper
// verifies them as its door does.
func (w *world) sendNotice(from place, x abaton.KeeperIndex, b *batch, number int, receipts [][]byte, kept func()) {
	n := protocol.Notice{Head: b.head, Lock: wire.Marshal(b.locks[number].signed)}
	count := 0
	for y := range five.N {
		if r := receipts[y+1]; r != nil && int(w.receiptOf(b, number, r)) == y+1 {
			n.Receipts = append(n.Receipts, r)
			count++
		}
	}
	in := custody.WriteBack{Notice: n, Head: b.checked[1].Head, Batch: b.name, Keepers: count}
	w.call(from, x, callTimeout, func(k *keeper, reply func(func())) {
		k.submit(job{inputs: []custody.Input{in}, answer: func(out []custody.Output) {
			k.w.note("notice", k.place(), b.id, count)
			if out[0].Err == nil {
				reply(kept)
			}
		}})
	}, func() {})
}

// receiptBody is what keeper x says of b in a receipt.
func receiptBody(x abaton.KeeperIndex, b *batch, at time.Time) []byte {
	return wire.Marshal(protocol.Receipt{
		V: wire.Version, Keeper: x, Batch: b.name, Lock: spread.Hash32(b.lockHash), Entry: 0, Time: uint64(at.Unix()),
	})
}

// String tells the states of all writes.
func (wr *writer) String() string {
	text := fmt.Sprintf("%d due", wr.due)
	for _, t := range wr.outbox {
		text += fmt.Sprintf(", batch %d in state %d with %d receipts", t.b.id, t.step.State(), t.step.Receipts().Len())
	}
	return text
}
