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
	_               Mutant = iota
	WriteThree             // a write is acknowledged at three receipts
	ListTwo                // a listing is content with two answers
	LazyDisk               // a keeper answers before the fsync
	NoWriteBack            // a reader does not write back
	NoQuarantine           // a keeper ignores that a peer remembers a longer ledger
	RevokeThree            // a revocation counts at three keepers
	FreeWidening           // an event that widens needs no certificate of four
	NoTombstone            // an erasure leaves no tombstone
	NoNonce                // a keeper forgets which requests it answered
	LedgerLate             // pieces leave before their entry is durable
	NoLease                // a keeper that hears nobody answers on
	NoVote                 // a keeper forgets what it voted for
	CommitEarly            // a new lock is put in force at three receipts
	PrepareDestroys        // a keeper destroys the old shares when it is handed new ones
	ErasedReturns          // a re-lock brings back what was erased
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
		"release before ledger", "lease ignored", "forgotten vote", "commit at three receipts", "old share destroyed at prepare",
		"erased record returns"}[m]
}

// Breaks are the promises of the package comment that the mutant breaks: what
// it must be caught by.
func (m Mutant) Breaks() []string {
	switch m {
	case WriteThree, CommitEarly, PrepareDestroys:
		return []string{"I1"}
	case ListTwo:
		return []string{"I3"}
	case LazyDisk:
		return []string{"I6", "I7", "I8"}
	case NoWriteBack:
		return []string{"I5"}
	case NoQuarantine, RevokeThree, FreeWidening, NoLease:
		return []string{"I4"}
	case NoTombstone, ErasedReturns:
		return []string{"E1"}
	case NoNonce:
		return []string{"E2"}
	case LedgerLate:
		return []string{"I6", "I8"}
	case NoVote:
		return []string{"I9"}
	}
	return nil
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

func (m Mutant) relock(p quorum.Params) quorum.Params {
	if m == CommitEarly {
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
