package actor

import (
	"math"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
)

// forEver is the end of a bar that has none.
const forEver = math.MaxInt64

// barring is one event that bars somebody, until when in unix seconds.
type barring struct {
	by    Hash
	until int64
}

// bar: of two bars of one actor the longer holds.
func (s *State) bar(b *Bar, by *knot) {
	if s.bars == nil {
		s.bars = make(map[abaton.ActorID][]barring)
	}
	one := barring{by: by.a.hash, until: b.Until}
	if b.Until == 0 {
		one.until = forEver
	}
	s.bars[b.Actor] = append(s.bars[b.Actor], one)
}

// holds: it was not lifted. What is for ever nobody lifts.
func (s *State) holds(b barring) bool { return b.until == forEver || !s.Lifted(b.by) }

// barredUntil is when the last bar of an actor that holds ends; zero for none.
func (s *State) barredUntil(a abaton.ActorID) (until int64) {
	for _, b := range s.bars[a] {
		if b.until > until && s.holds(b) {
			until = b.until
		}
	}
	return until
}

// Bars are whom this log bars now, each until when in unix seconds; for ever is
// the largest time.
func (s *State) Bars(now time.Time) map[abaton.ActorID]int64 {
	all := make(map[abaton.ActorID]int64)
	for id := range s.bars {
		if until := s.BarredUntil(id, now); until != 0 {
			all[id] = until
		}
	}
	return all
}

// Liftable are the events that bar an actor now and have an end, ascending:
// what a Lift names to let the actor back.
func (s *State) Liftable(a abaton.ActorID, now time.Time) (all []Hash) {
	for _, b := range s.bars[a] {
		if b.until != forEver && now.Unix() < b.until && s.holds(b) {
			all = append(all, b.by)
		}
	}
	slices.SortFunc(all, func(a, b Hash) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}
