package quorum

import (
	"time"

	"github.com/abaton-health/abaton"
)

// CollectPatience is how long a step that asks all keepers waits for those
// it can do without once it cannot have what it needs any sooner.
const CollectPatience = 10 * time.Second

// HoldPatience is how long a held step waits for more answers than it needs.
const HoldPatience = time.Second

// Collect asks all keepers one question and takes the answers of at least
// need of them: listings and key logs with R, histories with n-t+1+f
// (docs/protocol/client.md#list). An answer may come in parts.
type Collect struct {
	p        Params
	need     int
	floor    int
	held     bool // what came so far is not clear: more answers are wanted
	waited   bool // the wait for them has begun
	state    State
	inflight Keepers
	answered Keepers
	refused  refusals
	out      effects
}

// NewCollect is Durable at need answers. When no more can come it is
// Durable too at floor answers; Answered tells how many there were.
func NewCollect(p Params, need, floor int) *Collect {
	return &Collect{p: p, need: need, floor: floor}
}

// Hold says, before an answer is fed in, whether with it the answers so far
// leave something open that others may clear up: a batch that fewer than T
// keepers are known to hold may still be an acknowledged one. While held, the
// step waits for all others, for HoldPatience at most.
func (c *Collect) Hold(on bool) { c.held = on }

// State is Working, Durable, Settled (all answered), Refused or Unavailable.
func (c *Collect) State() State { return c.state }

// Answered is whose whole answer came.
func (c *Collect) Answered() Keepers { return c.answered }

// Reason is why most keepers refused.
func (c *Collect) Reason() abaton.Reason { return c.refused.majority() }

// Err is nil when there are enough answers.
func (c *Collect) Err() error {
	switch c.state {
	case Durable, Settled:
		return nil
	case Refused:
		return abaton.Refuse(c.Reason())
	}
	return &abaton.TooFewError{Have: c.answered.Len(), Need: c.need}
}

// Start asks all keepers.
func (c *Collect) Start() []Effect {
	c.out.reset()
	c.state = Working
	c.inflight = All(c.p.N)
	for x := range c.inflight.Each {
		c.out.send(x)
	}
	c.out.wake(0, CollectPatience)
	return c.out.list
}

// Answer: a part of x's answer came; more says that x has more to say.
func (c *Collect) Answer(x abaton.KeeperIndex, more bool) []Effect {
	c.out.reset()
	if !c.inflight.Has(x) {
		return nil
	}
	if more {
		c.out.send(x)
		return c.out.list
	}
	c.inflight = c.inflight.Without(x)
	c.answered = c.answered.With(x)
	c.judge()
	return c.out.list
}

// Refuse: x refused, for this reason.
func (c *Collect) Refuse(x abaton.KeeperIndex, reason abaton.Reason) []Effect {
	c.out.reset()
	if !c.inflight.Has(x) {
		return nil
	}
	c.inflight = c.inflight.Without(x)
	c.refused.note(x, reason)
	c.judge()
	return c.out.list
}

// Lost: nothing came from x, or nothing that can be believed.
func (c *Collect) Lost(x abaton.KeeperIndex) []Effect {
	c.out.reset()
	if !c.inflight.Has(x) {
		return nil
	}
	c.inflight = c.inflight.Without(x)
	c.judge()
	return c.out.list
}

// Timer: patience is over; who has not answered counts as lost.
func (c *Collect) Timer() []Effect {
	c.out.reset()
	if c.state == Working {
		c.inflight = 0
		c.judge()
	}
	return c.out.list
}

func (c *Collect) judge() {
	was := c.state
	c.state = c.weigh()
	if c.state == Working && c.answered.Len() >= c.need && !c.waited {
		c.waited = true
		c.out.wake(0, HoldPatience)
	}
	if c.state != was {
		c.out.changed()
	}
}

func (c *Collect) weigh() State {
	have := c.answered.Len()
	switch {
	case c.state == Refused || c.state == Unavailable:
		return c.state
	case have == c.p.N:
		return Settled
	case have >= c.need && (!c.held || c.inflight == 0 || c.state == Durable):
		return Durable
	case c.refused.who.Len() > c.p.N-c.floor:
		return Refused
	case c.inflight != 0:
		return Working
	case have >= c.floor:
		return Durable
	case have == 0 && c.refused.who.Len() > c.p.F:
		return Refused
	}
	return Unavailable
}
