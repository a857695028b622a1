// Package quorum is the protocol logic of the reader's and the writer's side
// as pure steps: events go in, effects come out. A step knows no content, no
// clock, no network and no goroutine; it counts which keepers answered what
// and says whom to ask next.
//
//	w := quorum.NewWrite(p, 0)
//	for _, e := range w.Start() { ... }       // send to all five
//	for _, e := range w.Receipt(2) { ... }    // a valid receipt came
//	if w.State() >= quorum.Durable { ... }    // four hold it
//
// The same steps run over a network in client and by the million in the
// simulation. What a step does not protect: it believes its caller about what
// is valid. Signatures, pieces and chains are checked before an event is fed
// in. The rules are those of docs/protocol/client.md.
package quorum

import (
	"errors"
	"math/bits"
	"time"

	"github.com/abaton-health/abaton"
)

// Params are the numbers of a keeper set (docs/protocol/client.md#numbers).
type Params struct {
	N int // keepers
	K int // fragments that give the bytes
	T int // shares that give the second lock
	W int // durable receipts that acknowledge a write or an event
	F int // dishonest keepers that must not matter
}

// ErrParams says that the numbers do not carry the promises made with them.
var ErrParams = errors.New("keeper set numbers do not hold")

// Validate checks the conditions C1 to C5 of docs/protocol/client.md#numbers:
// a write can be met with f keepers away, data survives f liars, a listing
// meets an honest holder, an unaware and a lying keeper are fewer than t.
func (p Params) Validate() error {
	switch {
	case p.N < 1 || p.N > abaton.KeepersMax || p.F < 0 || p.K < 1 || p.T < 1,
		p.W > p.N-p.F, p.W < p.K+p.F, p.W < p.T+p.F,
		p.T < p.F+1, p.N-p.W+p.F > p.T-1:
		return ErrParams
	}
	return nil
}

// R is how many keepers a listing must hear so that every acknowledged write
// has an honest holder among them: n + f + 1 - w.
func (p Params) R() int { return p.N + p.F + 1 - p.W }

// HistoryAnswers is how many ledgers make a list of disclosures complete:
// n - t + 1 + f (RULINGS 23).
func (p Params) HistoryAnswers() int { return p.N - p.T + 1 + p.F }

// Completeness is what may be said about a list of disclosures.
type Completeness uint8

// The zero Completeness claims nothing.
const (
	Incomplete     Completeness = iota // a disclosure may be missing
	CompleteUnless                     // complete unless one of the answering keepers lies
	Complete                           // complete with f keepers lying
)

// Completeness of a history heard from this many keepers.
func (p Params) Completeness(answers int) Completeness {
	switch {
	case answers >= p.HistoryAnswers():
		return Complete
	case answers >= p.N-p.T+1:
		return CompleteUnless
	}
	return Incomplete
}

// Keepers is a set of keeper indexes, 1 to abaton.KeepersMax, as a bitmap.
type Keepers uint32

// Of is the set of the keepers named.
func Of(xs ...abaton.KeeperIndex) (s Keepers) {
	for _, x := range xs {
		s = s.With(x)
	}
	return s
}

// All is the set of keepers 1 to n.
func All(n int) Keepers { return Keepers(1<<(n+1) - 2) }

// With is s and x; an index that is no keeper changes nothing.
func (s Keepers) With(x abaton.KeeperIndex) Keepers {
	if x == 0 || x > abaton.KeepersMax {
		return s
	}
	return s | 1<<x
}

// Without is s without x.
func (s Keepers) Without(x abaton.KeeperIndex) Keepers { return s &^ (1 << (x & 31)) }

// Has reports whether x is in s.
func (s Keepers) Has(x abaton.KeeperIndex) bool {
	return x != 0 && x <= abaton.KeepersMax && s&(1<<x) != 0
}

// Len is how many keepers are in s.
func (s Keepers) Len() int { return bits.OnesCount32(uint32(s)) }

// Each yields the keepers of s in ascending order.
func (s Keepers) Each(yield func(abaton.KeeperIndex) bool) {
	for rest := s; rest != 0; rest &= rest - 1 {
		if !yield(abaton.KeeperIndex(bits.TrailingZeros32(uint32(rest)))) {
			return
		}
	}
}

// Do is what the caller of a step must do next.
type Do uint8

// The zero Do is never given out.
const (
	// Send the step's message to Keeper and feed back what comes of it.
	Send Do = 1
	// Certify: send Keeper the certificate the step has gathered (receipts
	// of a write, votes of an event).
	Certify Do = 2
	// Wake: call Timer(Keeper) when After has passed.
	Wake Do = 3
	// Changed: State is another than before.
	Changed Do = 4
	// Check: read back what was prepared and feed Checked.
	Check Do = 5
)

// Effect is one thing to do. Keeper is zero where it concerns the step as a
// whole.
type Effect struct {
	Do     Do
	Keeper abaton.KeeperIndex
	After  time.Duration
}

// State is how far a step has come. Steps only ever move up, but for Pending,
// which may be left for any later one.
type State uint8

// The states. The zero State has not started.
const (
	// Working: answers are awaited.
	Working State = 1
	// Pending: the quorum cannot be met now; the step goes on trying.
	Pending State = 2
	// Durable: the quorum is there (write acknowledged, event in force,
	// answers enough). Late answers still count.
	Durable State = 3
	// Settled: all keepers have it.
	Settled State = 4
	// Unavailable: too few keepers answered.
	Unavailable State = 5
	// Refused: so many keepers refused that the quorum cannot be met.
	Refused State = 6
	// Conflict: another event has the slot.
	Conflict State = 7
)

// effects is the list a step hands out, reused from event to event.
type effects struct{ list []Effect }

func (e *effects) reset()                    { e.list = e.list[:0] }
func (e *effects) send(x abaton.KeeperIndex) { e.list = append(e.list, Effect{Do: Send, Keeper: x}) }
func (e *effects) certify(x abaton.KeeperIndex) {
	e.list = append(e.list, Effect{Do: Certify, Keeper: x})
}
func (e *effects) wake(x abaton.KeeperIndex, after time.Duration) {
	e.list = append(e.list, Effect{Do: Wake, Keeper: x, After: after})
}
func (e *effects) changed() { e.list = append(e.list, Effect{Do: Changed}) }
