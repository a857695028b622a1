package quorum

import (
	"time"

	"github.com/abaton-health/abaton"
)

// HedgeAfter is how long a read waits for the keepers it asked first before
// it asks the others too.
const HedgeAfter = 60 * time.Millisecond

// Read asks for pieces until every wanted row has T valid ones
// (docs/protocol/client.md#read). It asks T keepers first: every keeper asked
// ledgers a disclosure, and three are enough. It asks one more at once for
// every keeper that refuses, fails or answers what does not help, and all
// when the timer fires.
type Read struct {
	// Hedge is how long those asked first have; NewRead sets HedgeAfter.
	// Replies of megabytes need longer, or everybody sends them.
	Hedge time.Duration

	p        Params
	order    []abaton.KeeperIndex
	wide     bool
	state    State
	asked    Keepers
	inflight Keepers
	answered Keepers
	refused  refusals
	out      effects
}

// NewRead asks in the order of prefer, then whom it leaves out. wide asks all
// at once.
func NewRead(p Params, prefer []abaton.KeeperIndex, wide bool) *Read {
	r := &Read{Hedge: HedgeAfter, p: p, wide: wide, order: make([]abaton.KeeperIndex, 0, p.N)}
	seen := Keepers(0)
	for _, x := range prefer {
		if All(p.N).Has(x) && !seen.Has(x) {
			r.order, seen = append(r.order, x), seen.With(x)
		}
	}
	for x := range (All(p.N) &^ seen).Each {
		r.order = append(r.order, x)
	}
	return r
}

// State is Working, Durable (every row has T valid pieces), Refused or
// Unavailable.
func (r *Read) State() State { return r.state }

// Reason is why most keepers refused.
func (r *Read) Reason() abaton.Reason { return r.refused.majority() }

// Answered is who sent an answer.
func (r *Read) Answered() Keepers { return r.answered }

// Err is nil when Durable, else the refusal or how few answered.
func (r *Read) Err() error {
	switch r.state {
	case Durable:
		return nil
	case Refused:
		return abaton.Refuse(r.Reason())
	}
	return &abaton.TooFewError{Have: r.answered.Len(), Need: r.p.T}
}

// Start asks the first T, or all.
func (r *Read) Start() []Effect {
	r.out.reset()
	r.state = Working
	if r.wide {
		r.ask(r.p.N)
		return r.out.list
	}
	r.ask(r.p.T)
	r.out.wake(0, r.Hedge)
	return r.out.list
}

// Answer: x answered. helps says that its answer was of use for every row it
// was asked for; enough says that every row now has T valid pieces.
func (r *Read) Answer(x abaton.KeeperIndex, helps, enough bool) []Effect {
	r.out.reset()
	if !r.asked.Has(x) {
		return nil
	}
	r.inflight = r.inflight.Without(x)
	r.answered = r.answered.With(x)
	r.refused.forget(x)
	if enough && r.state == Working {
		r.to(Durable)
		return r.out.list
	}
	if !helps {
		r.ask(1)
	}
	r.judge()
	return r.out.list
}

// Refuse: x refused, for this reason.
func (r *Read) Refuse(x abaton.KeeperIndex, reason abaton.Reason) []Effect {
	r.out.reset()
	if !r.asked.Has(x) || r.answered.Has(x) {
		return nil
	}
	r.inflight = r.inflight.Without(x)
	r.refused.note(x, reason)
	r.ask(1)
	r.judge()
	return r.out.list
}

// Lost: nothing came from x, or nothing that can be believed.
func (r *Read) Lost(x abaton.KeeperIndex) []Effect {
	r.out.reset()
	if !r.asked.Has(x) || r.answered.Has(x) {
		return nil
	}
	r.inflight = r.inflight.Without(x)
	r.ask(1)
	r.judge()
	return r.out.list
}

// Timer: Hedge has passed; ask everybody.
func (r *Read) Timer() []Effect {
	r.out.reset()
	if r.state == Working {
		r.ask(r.p.N)
	}
	return r.out.list
}

// ask asks the next count keepers in order.
func (r *Read) ask(count int) {
	if r.state != Working {
		return
	}
	for _, x := range r.order {
		if count == 0 {
			return
		}
		if !r.asked.Has(x) {
			r.asked, r.inflight = r.asked.With(x), r.inflight.With(x)
			r.out.send(x)
			count--
		}
	}
}

func (r *Read) judge() {
	if r.state != Working {
		return
	}
	if r.refused.who.Len() > r.p.N-r.p.T {
		r.to(Refused)
		return
	}
	if r.inflight != 0 || r.asked != All(r.p.N) {
		return
	}
	// Nobody is left to ask. Where all who answered refused and an honest
	// one is among them, that is the truth to tell.
	if r.answered == 0 && r.refused.who.Len() > r.p.F {
		r.to(Refused)
		return
	}
	r.to(Unavailable)
}

func (r *Read) to(s State) {
	r.state = s
	r.out.changed()
}
