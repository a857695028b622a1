package ledger

import (
	"fmt"

	"github.com/abaton-health/abaton"
)

// GapError says that one keeper's entries about a patient are not an unbroken
// run, and where.
type GapError struct {
	Keeper abaton.KeeperIndex
	Seq    uint64 // first place that is missing or does not fit
	Check  string // what did not fit there
}

func (e *GapError) Error() string {
	return fmt.Sprintf("keeper %d: gap at entry %d about this patient: %s", e.Keeper, e.Seq, e.Check)
}

// Chain is one keeper's unbroken run of entries about one patient.
type Chain struct {
	Keeper   abaton.KeeperIndex
	Redacted uint64   // how many of the oldest are redacted
	Entries  []Entry  // those after them, ascending
	Indexes  []uint64 // of Entries
}

// CheckChain checks that ds are all of one keeper's entries about the patient
// from 0 on, each tying the one before, none missing between; only the oldest
// may be redacted. The error is a *GapError naming the first place that does
// not fit. That the run does not end too early, no single keeper can prove:
// Merge asks several.
func CheckChain(keeper abaton.KeeperIndex, patient abaton.ActorID, ds []Disclosure) (Chain, error) {
	c := Chain{Keeper: keeper}
	for i := range ds {
		d, seq := &ds[i], uint64(i)
		gap := func(check string) (Chain, error) {
			return Chain{}, &GapError{Keeper: keeper, Seq: seq, Check: check}
		}
		if d.Seq != seq {
			return gap("missing")
		}
		if i > 0 && d.Index <= ds[i-1].Index {
			return gap("order")
		}
		if len(d.Entry) == 0 {
			if c.Redacted != seq {
				return gap("redacted")
			}
			c.Redacted++
			continue
		}
		en, check := readLink(d, keeper, patient)
		if check != "" {
			return gap(check)
		}
		if i > 0 && en.Prev != ds[i-1].Leaf.Tie() {
			return gap("tie")
		}
		c.Entries = append(c.Entries, en)
		c.Indexes = append(c.Indexes, d.Index)
	}
	return c, nil
}

func readLink(d *Disclosure, keeper abaton.KeeperIndex, patient abaton.ActorID) (Entry, string) {
	if NewLeaf(d.Salt, d.Entry) != d.Leaf {
		return Entry{}, "leaf"
	}
	en, err := ParseEntry(d.Entry)
	switch {
	case err != nil:
		return Entry{}, "form"
	case en.Keeper != keeper:
		return Entry{}, "keeper"
	case en.Patient != patient:
		return Entry{}, "patient"
	case en.PatientSeq != d.Seq:
		return Entry{}, "seq"
	}
	return en, ""
}
