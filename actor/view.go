package actor

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// openMax is how many uncertified events of one log a View takes up; the best
// attested come first. An honest keeper holds a few hundred at most.
const openMax = 1024

// Told is one event as several keepers told it. Where it came with different
// proofs, which are no part of its name, there is one Told for each.
type Told struct {
	Event     *Authentic
	By        int       // how many keepers told it, with whatever proofs
	Certified Certified // zero where nobody told a certificate
}

func (t *Told) certified() bool {
	a := t.Event
	return t.Certified.place == Place{Actor: a.actor, Seq: a.event.Seq, Hash: a.hash}
}

// View is one key log as several keepers tell it together
// (PROTOCOL.md#view): what whoever asks them goes by.
type View struct {
	// State is the log. It is not live while no inception is certified.
	State *State
	// Open are the events that no certificate covers yet, each after those it
	// continues. Before a merge names them every keeper must have met them.
	Open []*Authentic
}

// NewView reduces what keepers told of one log. A certified event and all that
// it continues are taken as they are: the keepers that voted have judged them.
// Any other is a keeper's claim, and is taken up only if an honest keeper may
// hold it: it is entitled on its own branch, and where it takes away, its
// signer has not been removed on another or more than liars tell it, so that
// nobody closes a split over a removed key's word. Equal claims are taken up in
// the order given. Without told events the View's State is empty. ErrSplit when
// two certificates exclude each other: then nothing of this log can be believed.
func NewView(told []Told, liars int, now time.Time) (View, error) {
	v := View{State: new(State)}
	told = slices.Clone(told)
	slices.SortStableFunc(told, func(a, b Told) int { return cmp.Compare(a.Event.event.Seq, b.Event.event.Seq) })
	var claims []Told
	done := judged(told)
	for i := range told {
		t := &told[i]
		if !done[t.Event.hash] {
			claims = append(claims, *t)
		} else if v.State.Apply(v.proved(told[i:], now)) == nil && t.certified() && v.State.Certify(t.Certified) != nil {
			return View{State: new(State)}, ErrSplit
		}
	}
	if v.State.Live() {
		v.takeUp(claims, liars, now)
	}
	for _, n := range v.State.open {
		if !n.covered {
			v.Open = append(v.Open, n.a)
		}
	}
	return v, nil
}

// proved is the first told event, in the form whose proofs entitle it if there
// is one: a keeper can put a stranger's proof in the place of the owner's.
func (v *View) proved(told []Told, now time.Time) *Authentic {
	first := told[0].Event
	for i := 1; i < len(told) && told[i].Event.event.Seq == first.event.Seq; i++ {
		other := told[i].Event
		if other.hash == first.hash && v.State.Vouchable(first, now) != nil && v.State.Vouchable(other, now) == nil {
			return other
		}
	}
	return first
}

// judged are the certified events and what they continue, by hash.
func judged(told []Told) map[Hash]bool {
	byHash := make(map[Hash]*Told, len(told))
	var queue []Hash
	for i := range told {
		t := &told[i]
		byHash[t.Event.hash] = t
		if t.certified() {
			queue = append(queue, t.Event.hash)
		}
	}
	done := make(map[Hash]bool, len(told))
	for len(queue) > 0 {
		h := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if t := byHash[h]; t != nil && !done[h] {
			done[h] = true
			queue = append(queue, t.Event.event.Prev...)
		}
	}
	return done
}

// takeUp applies the claims that may count, the best attested first, until no
// further one has its place.
func (v *View) takeUp(claims []Told, liars int, now time.Time) {
	slices.SortStableFunc(claims, func(a, b Told) int { return cmp.Compare(b.By, a.By) })
	taken := 0
	for moved := true; moved; {
		moved = false
		claims = slices.DeleteFunc(claims, func(t Told) bool {
			if taken == openMax || v.State.claim(t.Event, t.By > liars, now) != nil || v.State.Apply(t.Event) != nil {
				return false
			}
			taken++
			moved = true
			return true
		})
	}
}

// claim judges an event that no certificate stands for. Attested says that an
// honest keeper holds it.
func (s *State) claim(a *Authentic, attested bool, now time.Time) error {
	if !attested && Narrows(a.event.Kind) {
		return s.Admit(a, Door{}, now)
	}
	return s.Vouchable(a, now)
}

// Step is what the next event of a log stands on.
type Step struct {
	Parents []Place
	// Merge: the log is split, and nothing that gives comes into force before
	// a merge of Parents.
	Merge bool
	// Time is the least that the next event may have, in unix seconds. Who
	// merges uses it as it is: then two devices make the same merge.
	Time int64
}

// Next is where the next event goes: after the head; in a split log after a
// merge. An event that only narrows needs no place of its own and stands on the
// certified log, which every keeper knows. Again says that an event after a
// single head was refused: perhaps nobody else takes that head, and the event
// goes beside it.
// No Parents when the log is not live.
func (v *View) Next(narrows, again bool) Step {
	s := v.State
	if !s.Live() {
		return Step{}
	}
	heads := v.heads()
	switch {
	case len(heads) == 1 && (heads[0].certified || !again && !narrows):
		return step(heads, false)
	case len(heads) == 1 || narrows:
		return step([]*knot{s.tip}, false)
	}
	return step(heads, true)
}

// heads are at most ParentsMax of the log's heads: first those that the
// certified log leads to, then the highest, whose next place is free.
func (v *View) heads() []*knot {
	s := v.State
	heads := ordered(s.heads)
	slices.Reverse(heads)
	slices.SortStableFunc(heads, func(a, b *knot) int {
		switch onA, onB := s.continuesTip(a), s.continuesTip(b); {
		case onA && !onB:
			return -1
		case onB && !onA:
			return 1
		}
		return 0
	})
	return heads[:min(len(heads), ParentsMax)]
}

func (s *State) continuesTip(n *knot) bool { return n == s.tip || s.within(s.tip, n.parents) }

func step(parents []*knot, merge bool) Step {
	st := Step{Merge: merge}
	for _, n := range parents {
		st.Parents = append(st.Parents, n.place())
		st.Time = max(st.Time, n.a.event.Time)
	}
	return st
}

// Event is the bytes of the event that takes the step, at the signer's clock or
// later; a merge has the step's own time. It panics without Parents.
func (st Step) Event(now time.Time, body Body) []byte {
	var seq uint64
	prev := make([]Hash, len(st.Parents))
	for i, p := range st.Parents {
		seq, prev[i] = max(seq, p.Seq), p.Hash
	}
	slices.SortFunc(prev, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	at := max(now.Unix(), st.Time)
	if st.Merge {
		at = st.Time
	}
	return New(st.Parents[0].Actor, seq+1, prev, at, body)
}

// Counts reports whether the event is in force in this copy: what it takes away
// is taken, what it gives is certified or covered by a certified merge.
func (s *State) Counts(h Hash) bool {
	n := s.knots[h]
	return n != nil && (n.effective() || Narrows(n.a.event.Kind))
}

// Vouchable refuses an event that no merge may bring into the log: its place,
// its time, or its signer as of its own branch (PROTOCOL.md#merge). A keeper that
// refused the event remembers it while this holds. Refusals as Admit's.
func (s *State) Vouchable(a *Authentic, now time.Time) error { return s.admitVouched(a, now) }
