package sim

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// Directed is the schedule under which a mutant must be caught. Without the
// mutant the same schedule breaks nothing (Plan.Unbroken).
func Directed(m Mutant, seed uint64) Plan {
	p := NewPlan(seed)
	p.Mutant, p.Stage = m, m
	p.Drop, p.Twice, p.Late = max(p.Drop, 0.1), max(p.Twice, 0.1), max(p.Late, 0.05)
	p.Bad = [keepers + 1]Fault{}
	p.Bad[1+seed%keepers] = Byzantine
	p.Lies = LieReceipt | LieList | LieRelease | LieFeed
	switch m {
	case LazyDisk, LedgerLate:
		p.Times[Crash] = 6
	case ListTwo:
		p.Lists = 20
	case RevokeThree:
		p.Events, p.Lists = 7, 16
	case FreeWidening:
		p.Lies |= LieForge
		p.Lists = 16
	case NoLease:
		p.Bad = [keepers + 1]Fault{}
		p.Times = [faultKinds]int{}
		p.Life, p.Events, p.Lists = 2*time.Minute, 6, 30
	case NoWriteBack:
		p.Life, p.Lists, p.Batches, p.Readers = 40*time.Second, 30, batchesMax, 1
		p.Events, p.Drop, p.Times[WriterCrash] = 1, 0.3, 6
	case CommitEarly, PrepareDestroys:
		p.Life, p.Relocks, p.Batches, p.Times[WriterCrash] = 40*time.Second, 12, 3, 4
	case ErasedReturns:
		p.Life, p.Relocks, p.Batches, p.Events = 60*time.Second, 20, 3, 7
	case NoVote:
		p.Bad, p.Times = [keepers + 1]Fault{}, [faultKinds]int{}
		p.Life, p.Events, p.Devices = 40*time.Second, 0, 2
	case NoQuarantine:
		// Two keepers are rolled back, one more than the budget bears: data
		// may be lost, but no revocation.
		p.Bad[1+seed%keepers], p.Bad[1+(seed+1)%keepers] = RolledBack, RolledBack
		p.Over, p.Readers, p.Batches = "I4", 1, batchesMax
		p.Times = [faultKinds]int{}
		p.Life, p.Events, p.Lists, p.Drop, p.Late = 75*time.Second, 0, 30, 0, 0
	}
	return p
}

// Unbroken is the plan's schedule with every rule in force.
func (p Plan) Unbroken() Plan {
	p.Mutant = 0
	return p
}

// direct adds to the plan's faults what the schedule of a mutant needs.
func (w *world) direct() {
	life := w.plan.Life
	a, b := w.honestPair()
	switch w.plan.Stage {
	case ListTwo: // one honest keeper is written to late
		w.cutLine(atWriter, place(a), true, life)
	case RevokeThree: // two honest keepers do not hear of revocations
		w.after(10*time.Second, func() {
			w.cutLine(atDevice, place(a), true, life)
			w.cutLine(atDevice, place(b), true, life)
		})
	case FreeWidening: // two honest keepers do not hear of grants
		w.cutLine(atDevice, place(a), true, life)
		w.cutLine(atDevice, place(b), true, life)
	case NoLease: // one keeper hears neither peers nor the patient, but its readers
		w.after(8*time.Second, func() {
			w.cutLine(atDevice, place(a), true, life)
			w.isolate(place(a), life)
		})
	case NoQuarantine:
		w.loseTheEnd(a)
	case NoVote:
		w.voteTwice()
	}
}

// voteTwice has two devices sign for one slot: the first gets its votes and
// sleeps, the keepers start anew, the second asks for theirs, the first wakes.
func (w *world) voteTwice() {
	const grants, first, restarts, second, wakes = 2 * time.Second, 10 * time.Second, 14 * time.Second, 18 * time.Second, 26 * time.Second
	d, other := w.devices[0], w.devices[1]
	wanted := d.wishGrant(0)
	w.after(grants, func() { d.publish(0, wanted, func() {}) })
	w.after(first, func() {
		d.fetch(func(l *actor.View) {
			if l == nil || !wanted.fact.live {
				return
			}
			next := d.wishGrant(0)
			d.bring(d.signed(l.Next(false, false), next.body, next.fact), wakes, func(bool) {})
			revoke := other.signed(l.Next(true, false), &actor.Revoke{Grant: wanted.fact.id}, wanted.fact)
			w.after(second-first, func() { other.bring(revoke, 0, func(bool) {}) })
		})
	})
	w.after(restarts, func() {
		for _, k := range w.keepers[1:] {
			w.crashFor(k, time.Second)
		}
	})
}

// honestPair is two keepers that spend no budget.
func (w *world) honestPair() (a, b abaton.KeeperIndex) {
	for x := abaton.KeeperIndex(1); x <= keepers; x++ {
		if w.plan.honest(x) {
			a, b = b, x
		}
	}
	return a, b
}

// isolate cuts a keeper off from all others.
func (w *world) isolate(x place, d time.Duration) {
	for y := place(1); y < atWriter; y++ {
		if y != x {
			w.cutLine(x, y, true, d)
		}
	}
}

// loseTheEnd plays the worst that two rolled back keepers can do: the patient
// revokes while keeper late is cut off; then the two go back to before the
// revocation and meet nobody but each other and late.
func (w *world) loseTheEnd(late abaton.KeeperIndex) {
	const grants, backs, cuts, revokes, restores = 3 * time.Second, 12 * time.Second, 45 * time.Second, 47 * time.Second, 55 * time.Second
	d := w.devices[0]
	wanted := d.wishGrant(0)
	w.after(grants, func() { d.publish(0, wanted, func() {}) })
	var back []*keeper
	for x := abaton.KeeperIndex(1); x <= keepers; x++ {
		if w.plan.Bad[x] == RolledBack {
			back = append(back, w.keepers[x])
		}
	}
	w.after(backs, func() {
		for _, k := range back {
			k.backup = &image{records: k.records.Snapshot(), keys: k.keys.Snapshot()}
		}
	})
	w.after(cuts, func() {
		w.isolate(place(late), restores-cuts)
		w.cutLine(atDevice, place(late), true, w.plan.Life)
	})
	w.after(revokes, func() {
		if wanted.fact.live {
			d.publish(0, &wish{body: &actor.Revoke{Grant: wanted.fact.id}, fact: wanted.fact}, func() {})
		}
	})
	w.after(restores, func() {
		for _, k := range back {
			for y := place(1); y < atWriter; y++ {
				if w.plan.honest(abaton.KeeperIndex(y)) && y != place(late) {
					w.cutLine(k.place(), y, true, w.plan.Life)
					w.cutLine(place(late), y, true, w.plan.Life)
				}
			}
			w.restore(k, *k.backup, RolledBack)
		}
	})
}
