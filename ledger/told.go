package ledger

import (
	"cmp"
	"slices"

	"github.com/abaton-health/abaton"
)

// Told is what one keeper's ledger says for itself of a request: its answer,
// and what it judged by. Keepers may differ here without any of them lying: one
// was behind with a policy, another had seen more of the same reader.
type Told struct {
	Keeper  abaton.KeeperIndex
	Index   uint64 // of the entry in its ledger
	Time    int64  // unix seconds, its clock
	Outcome Outcome
	Reason  abaton.Reason // empty if permitted
	Policy  uint64        // version of the organisation's policy; 0 for the shipped one
	Watch   Watch
	// What an emergency says besides (Entry).
	Urgency uint8
	Loud    bool
	Words   []byte
	Second  abaton.ActorID
	Opening [32]byte
}

func tellOf(en *Entry, index uint64) Told {
	return Told{Keeper: en.Keeper, Index: index, Time: en.Time, Outcome: en.Outcome, Reason: en.Reason, Policy: en.Policy, Watch: en.Watch,
		Urgency: en.Urgency, Loud: en.Loud, Words: en.Words, Second: en.Second, Opening: en.Opening}
}

// Outcome is the line's as a reader met it: permitted where a ledger permitted
// all, partly where one released something, refused where none did. Zero for a
// line that no ledger tells.
func (l *Line) Outcome() Outcome {
	var out Outcome
	for i := range l.Told {
		if o := l.Told[i].Outcome; out == 0 || o < out {
			out = o
		}
	}
	return out
}

// Reasons are why ledgers refused it, or a part of it, ascending.
func (l *Line) Reasons() (out []abaton.Reason) {
	for i := range l.Told {
		if r := l.Told[i].Reason; r != "" && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return out
}

// Policy is the version of the organisation's policy that most of the ledgers
// name; of equally many the newest. One keeper's word alone moves it only where
// it is alone.
func (l *Line) Policy() uint64 { return most(l.Told, func(t *Told) uint64 { return t.Policy }) }

// Watch is the gravest finding any of the ledgers holds.
func (l *Line) Watch() Watch {
	var out Watch
	for i := range l.Told {
		if w := l.Told[i].Watch; w.Level > out.Level || w.Level == out.Level && w.Fired > out.Fired {
			out = w
		}
	}
	return out
}

// Urgency is why it was urgent, as most ledgers say; 0 for what is no emergency.
func (l *Line) Urgency() uint8 { return most(l.Told, func(t *Told) uint8 { return t.Urgency }) }

// most is the value that most tell; of equally many the largest.
func most[V cmp.Ordered](told []Told, of func(*Told) V) (best V) {
	count, found := make(map[V]int), 0
	for i := range told {
		count[of(&told[i])]++
	}
	for v, n := range count {
		if n > found || n == found && v > best {
			best, found = v, n
		}
	}
	return best
}
