package sim

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
)

const slowMost = 1500 * time.Millisecond

// trouble plans every fault of the plan, or those of the mutant's schedule.
func (w *world) trouble() {
	for f, times := range w.plan.Times {
		for range times {
			w.after(w.between(time.Second, w.plan.Life), func() { w.strike(Fault(f)) })
		}
	}
	for x := abaton.KeeperIndex(1); x <= keepers; x++ {
		switch w.plan.Bad[x] {
		case Byzantine:
			w.result.Struck[Byzantine]++
		case RolledBack:
			if w.plan.Stage != NoQuarantine { // which has its own times
				w.rollBack(x)
			}
		case Wiped:
			w.after(w.between(w.plan.Life/4, w.plan.Life), func() { w.wipe(x) })
		}
	}
	w.direct()
}

func (w *world) anyKeeper() abaton.KeeperIndex { return abaton.KeeperIndex(1 + w.rng.IntN(keepers)) }

// strike lets one transient fault happen.
func (w *world) strike(f Fault) {
	w.result.Struck[f]++
	x := w.anyKeeper()
	k := w.keepers[x]
	switch f {
	case Crash:
		w.crashFor(k, w.between(100*time.Millisecond, 20*time.Second))
	case Partition:
		w.part(x, w.anyKeeper(), true)
	case OneWay:
		w.part(x, w.anyKeeper(), false)
	case Swizzle:
		w.swizzle()
	case Slow:
		k.slow = w.between(100*time.Millisecond, slowMost)
		w.after(w.between(5*time.Second, 30*time.Second), func() { k.slow = 0 })
	case DiskFull:
		k.fillDisk()
		w.after(w.between(5*time.Second, 20*time.Second), func() { w.makeRoom(k) })
	case ClockJump:
		w.jump(k)
	case WriterCrash:
		w.writer.crash()
		w.locker.crash()
	}
}

// crashFor cuts a keeper's power and starts it again later.
func (w *world) crashFor(k *keeper, down time.Duration) {
	if !k.up {
		return
	}
	k.crash()
	life := k.life
	w.after(down, func() {
		if k.life == life && !k.up {
			k.start()
		}
	})
}

// makeRoom ends a full disk: the operator starts the keeper anew.
func (w *world) makeRoom(k *keeper) {
	k.records.Fail(nil)
	if k.up && k.mode() == custody.Stopped {
		w.crashFor(k, 100*time.Millisecond)
	}
}

// part cuts the line between a keeper and a few others, or its clients.
func (w *world) part(x, y abaton.KeeperIndex, both bool) {
	a, b := place(x), place(y)
	if x == y {
		b = atWriter + place(w.rng.IntN(int(places-atWriter)))
	}
	w.note("cut", a, int(b), 0)
	w.cutLine(a, b, both, w.between(2*time.Second, 40*time.Second))
}

func (w *world) cutLine(a, b place, both bool, d time.Duration) {
	w.cut[a][b]++
	if both {
		w.cut[b][a]++
	}
	w.after(d, func() {
		w.cut[a][b]--
		if both {
			w.cut[b][a]--
		}
	})
}

// swizzle cuts several keepers off one after the other, and lets them come
// back in another order.
func (w *world) swizzle() {
	for _, i := range w.rng.Perm(keepers)[:2+w.rng.IntN(2)] {
		x := place(i + 1)
		begin, last := w.between(0, 5*time.Second), w.between(5*time.Second, 25*time.Second)
		w.after(begin, func() {
			w.note("swizzled", x, 0, 0)
			for y := place(1); y < places; y++ {
				if y != x {
					w.cutLine(x, y, true, last)
				}
			}
		})
	}
}

// jump sets a keeper's clock wrong for a while.
func (w *world) jump(k *keeper) {
	d := w.between(time.Minute, time.Hour)
	if w.rng.IntN(2) == 0 {
		d = -d
	}
	w.note("clock jumps", k.place(), int(d/time.Second), 0)
	k.skew, k.kept.jumped = d, true
	w.after(w.between(5*time.Second, 40*time.Second), func() { k.skew = 0 })
}

// rollBack takes a backup of a keeper and restores it some time later.
func (w *world) rollBack(x abaton.KeeperIndex) {
	k := w.keepers[x]
	w.after(w.between(0, w.plan.Life/2), func() {
		k.backup = &image{records: k.records.Snapshot(), keys: k.keys.Snapshot()}
		w.after(w.between(time.Second, w.plan.Life/2), func() {
			w.result.Struck[RolledBack]++
			w.restore(k, *k.backup, RolledBack)
		})
	})
}

// wipe gives a keeper an empty disk.
func (w *world) wipe(x abaton.KeeperIndex) {
	w.result.Struck[Wiped]++
	w.restore(w.keepers[x], image{records: store.NewMemory().Snapshot(), keys: store.NewMemory().Snapshot()}, Wiped)
}

// restore puts older disks into a keeper. From now on it spends the budget.
func (w *world) restore(k *keeper, old image, how Fault) {
	w.note("restored from "+how.String(), k.place(), 0, 0)
	k.up = false
	k.life++
	k.records, k.keys = k.records.Crash(), k.keys.Crash()
	k.records.Restore(old.records)
	k.keys.Restore(old.keys)
	k.fault = how
	k.kept = keptWord{jumped: k.kept.jumped, proposed: k.kept.proposed}
	k.start()
	for id, acked := range w.checker.ack {
		if acked {
			w.checker.survives(w.pool.batches[id])
		}
	}
}

// heal ends all faults: lines are whole, clocks right, disks have room, and
// every keeper runs. Who spent the budget stays as it is.
func (w *world) heal() {
	if w.result.Violation != nil {
		return
	}
	w.note("healed", 0, 0, 0)
	w.calm = true
	for _, k := range w.keepers[1:] {
		k.skew, k.slow = 0, 0
		k.records.Fail(nil)
		switch {
		case !k.up:
			k.start()
		case k.mode() == custody.Stopped:
			k.crash()
			k.start()
		}
	}
	if w.plan.Life > 0 && len(w.writer.outbox) > 0 && w.rng.IntN(4) == 0 {
		w.writer.crash()
	}
}
