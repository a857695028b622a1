package sim

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/internal/store"
)

// Mutant is one rule of the protocol broken on purpose in a world: it must be
// caught. No mutant touches code that ships.
type Mutant uint8

// The mutants (RULINGS 28). The zero Mutant breaks nothing.
const (
	_            Mutant = iota
	WriteThree          // a write is acknowledged at three receipts
	ListTwo             // a listing is content with two answers
	LazyDisk            // a keeper answers before the fsync
	NoWriteBack         // a reader does not write back
	NoQuarantine        // a keeper ignores that a peer remembers a longer ledger
	RevokeThree         // a revocation counts at three keepers
	FreeWidening        // an event that widens needs no certificate of four
	NoTombstone         // an erasure leaves no tombstone
	NoNonce             // a keeper forgets which requests it answered
	LedgerLate          // pieces leave before their entry is durable
	NoLease             // a keeper that hears nobody answers on
	NoVote              // a keeper forgets what it voted for
	mutants
)

// Mutants are all of them.
func Mutants() (all []Mutant) {
	for m := WriteThree; m < mutants; m++ {
		all = append(all, m)
	}
	return all
}

func (m Mutant) String() string {
	return [...]string{"none", "write at three receipts", "list from two answers", "answer before fsync", "no write-back",
		"no quarantine", "revoke at three", "widening without certificate", "no tombstone", "forgotten request",
		"release before ledger", "lease ignored", "forgotten vote"}[m]
}

// Tables of the store whose rows a forgetful disk loses.
const (
	tableTombstone = 't'
	tableNonce     = 'o'
	tableVote      = 'v'
)

// forgetful is a disk that loses one table.
type forgetful struct {
	*store.Memory
	table byte
}

// Commit implements store.Engine.
func (f forgetful) Commit(b *store.Batch) error {
	var kept store.Batch
	b.Each(func(key, value []byte, deletes bool) bool {
		switch {
		case key[0] == f.table:
		case deletes:
			kept.Delete(key)
		default:
			kept.Put(key, value)
		}
		return true
	})
	return f.Memory.Commit(&kept)
}

func (m Mutant) engine(disk *store.Memory) store.Engine {
	switch m {
	case NoTombstone:
		return forgetful{Memory: disk, table: tableTombstone}
	case NoNonce:
		return forgetful{Memory: disk, table: tableNonce}
	case NoVote:
		return forgetful{Memory: disk, table: tableVote}
	}
	return disk
}

func (m Mutant) lazy() bool { return m == LazyDisk || m == LedgerLate }

func (m Mutant) write(p quorum.Params) quorum.Params {
	if m == WriteThree {
		p.W = 3
	}
	return p
}

func (m Mutant) listAnswers() int {
	if m == ListTwo {
		return 2
	}
	return five.R()
}

func (m Mutant) publish(p quorum.Params, kind actor.EventKind) quorum.Params {
	if m == RevokeThree && kind == actor.EventRevoke {
		p.W = 3
	}
	return p
}

func (m Mutant) votesNeeded() int {
	if m == FreeWidening {
		return 1
	}
	return five.W
}

// eraseless: the schedule of these needs revocations.
func (m Mutant) eraseless() bool { return m == RevokeThree || m == NoLease || m == NoQuarantine }

// mutateBefore runs before a group is decided.
func (k *keeper) mutateBefore(now time.Time) {
	if k.mutates(NoLease) && k.mode() == custody.Serving {
		var heard []custody.Input
		for y := abaton.KeeperIndex(1); y <= keepers; y++ {
			if y != k.x {
				heard = append(heard, custody.Heard{Peer: y})
			}
		}
		k.core.Step(now, heard)
	}
}

// mutateAfter runs when a group is decided and before its answers leave.
func (k *keeper) mutateAfter(onlyRequests bool) {
	switch {
	case k.mutates(LazyDisk):
		if k.w.rng.IntN(4) == 0 {
			k.records.Sync()
		}
	case k.mutates(LedgerLate) && !onlyRequests:
		k.records.Sync()
	case k.mutates(LedgerLate):
		k.again(time.Second, k.records.Sync)
	}
}

// Directed is the schedule under which a mutant must be caught.
func Directed(m Mutant, seed uint64) Plan {
	p := NewPlan(seed)
	p.Mutant = m
	p.Drop, p.Twice, p.Late = max(p.Drop, 0.1), max(p.Twice, 0.1), max(p.Late, 0.05)
	if p.Bad == [keepers + 1]Fault{} || m == NoQuarantine {
		p.Bad = [keepers + 1]Fault{}
		p.Bad[1+seed%keepers] = Byzantine
		p.Lies = LieReceipt | LieList | LieRelease | LieFeed
	}
	switch m {
	case LazyDisk, LedgerLate:
		p.Times[Crash] = 6
	case NoQuarantine:
		p.Bad = [keepers + 1]Fault{}
		p.Bad[1+seed%keepers], p.Bad[1+(seed+1)%keepers] = RolledBack, RolledBack
	case NoLease:
		p.Life = 2 * time.Minute
		p.Times = [faultKinds]int{}
		p.Events, p.Lists = 6, 24
	case RevokeThree:
		p.Events, p.Lists = 7, 16
	case FreeWidening:
		p.Lies |= LieForge
	case NoVote:
		p.Devices = 2
	}
	return p
}

// direct adds to the plan's faults what the mutant's schedule needs.
func (w *world) direct() {
	if w.plan.Mutant != NoLease {
		return
	}
	x := place(w.anyKeeper()) // hears no peer, and still hears its clients
	for y := place(1); y < atWriter; y++ {
		if y != x {
			w.after(8*time.Second, func() { w.cutLine(x, y, true, w.plan.Life) })
		}
	}
}
