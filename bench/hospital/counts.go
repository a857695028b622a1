package main

import (
	"math"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
)

// counts are what is measured of honest work after the training. A program's
// night is no staff-day.
type counts struct {
	from int64

	staffDays, acts   int
	newPairs, strange int // strange: without a relation at that moment
	late              int // explained afterwards
	prompts           int // acts for which a passkey was asked for
	promptDays        int // staff-days with at least one
	calmDays          int // staff-days without casualties or an outage
	calmPromptDays    int
	suspendDays       int // staff-days on which somebody was suspended
	reviewDays        int // staff-days put before a person
	throttledActs     int
	lostActs          int // that did not open at all
	notices           int // patients told of an emergency opening
	byRule            [32]int
	causes            map[because]int
	unexplained       int            // pairs that a keeper lists after a day (D14)
	refusedRelated    int            // of lost acts, those about a related patient
	flags             map[string]int // staff-days that each onlooker named

	pairs map[uint64]int64 // person and patient: last seen
	today map[int32]*personDay

	perKeeper int // bytes of a watch, the largest seen
}

type personDay struct {
	prompted, suspended, reviewed bool
	rules                         detect.Rules
	causes                        map[because]bool // counted today
}

func newCounts(from int64) *counts {
	return &counts{from: from, pairs: make(map[uint64]int64), flags: make(map[string]int), causes: make(map[because]int), today: make(map[int32]*personDay)}
}

// honest counts an act of honest work.
func (c *counts) honest(l *loop, a *act, da *detect.Act, o *outcome) {
	key := uint64(a.who)<<32 | uint64(uint32(a.patient))
	last, seen := c.pairs[key]
	c.pairs[key] = a.at
	if a.at < c.from {
		return
	}
	c.acts++
	if (!seen || a.at-last >= day) && l.w.people[a.who].role != abaton.RoleBatch {
		c.newPairs++
		if !da.Related {
			c.strange++
		}
	}
	if a.bits&urgently != 0 && o.opened {
		c.notices++
	}
	c.finding(a, da, o, l.w.people[a.who].role)
}

func (c *counts) finding(a *act, da *detect.Act, o *outcome, role string) {
	if o.level == 0 && o.opened && !o.stepped {
		return
	}
	p := c.today[a.who]
	if p == nil {
		p = &personDay{causes: make(map[because]bool)}
		c.today[a.who] = p
	}
	if o.stepped {
		c.prompts++
		p.prompted = true
		c.because(p, "step-up", a, o.rules, role, da.Related)
	}
	if !o.opened {
		c.lostActs++
		if da.Related {
			c.refusedRelated++
		}
		if o.slowed {
			c.throttledActs++
		}
	}
	if o.level >= detect.SuspendSession {
		p.suspended = true
		c.because(p, "suspension", a, o.rules, role, da.Related)
	}
	if o.level == detect.Log || o.rules.Has(detect.D4) {
		p.reviewed = true
		c.because(p, "review", a, o.rules, role, da.Related)
	}
	if o.level >= detect.StepUp {
		p.rules |= o.rules
	}
}

// explained counts a reason that came after the look.
func (c *counts) explained() { c.late++ }

// day closes a day.
func (c *counts) day(l *loop, d int) {
	if clock(d, 0) >= c.from {
		for _, s := range l.h.now {
			if !l.struck[s.person] {
				c.staffDays++
				c.calmDays += one(calm(d))
			}
		}
	}
	for _, p := range c.today {
		c.promptDays += one(p.prompted)
		c.calmPromptDays += one(p.prompted && calm(d))
		c.suspendDays += one(p.suspended)
		c.reviewDays += one(p.reviewed)
		for r := range detect.Rule(32) {
			c.byRule[r] += one(p.rules.Has(r))
		}
	}
	clear(c.today)
	now := clock(d+1, 0)
	for key, at := range c.pairs {
		if now-at >= day {
			delete(c.pairs, key)
		}
	}
	for _, m := range l.n.members {
		c.perKeeper = max(c.perKeeper, m.watch.Bytes())
	}
}

func (c *counts) finish(l *loop) {
	c.unexplained = len(l.n.members[0].watch.Unexplained(clock(l.days, 0) / second))
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rate is so many in a thousand staff-days, with the exact Poisson interval.
type rate struct {
	Count int     `json:"count"`
	Rate  float64 `json:"per_1000_staff_days"`
	Low   float64 `json:"low_95"`
	High  float64 `json:"high_95"`
}

func perThousand(n, staffDays int) rate {
	if staffDays == 0 {
		return rate{}
	}
	k := 1000 / float64(staffDays)
	low, high := poisson(n)
	return rate{n, float64(n) * k, low * k, high * k}
}

// poisson is the exact interval of 95 % for a count (Garwood 1936), by halving.
func poisson(n int) (low, high float64) {
	find := func(k int, tail func(mean float64) float64) float64 {
		from, to := 0.0, 2*float64(k)+50
		for range 100 {
			if mid := (from + to) / 2; tail(mid) > 0.025 {
				to = mid
			} else {
				from = mid
			}
		}
		return from
	}
	if n > 0 { // P(X >= n) grows with the mean
		low = find(n, func(mean float64) float64 { return 1 - below(n-1, mean) })
	}
	// P(X <= n) falls with the mean: turn it round
	from, to := 0.0, 2*float64(n)+50
	for range 100 {
		if mid := (from + to) / 2; below(n, mid) > 0.025 {
			from = mid
		} else {
			to = mid
		}
	}
	return low, from
}

// below is P(X <= n) for a Poisson count of that mean.
func below(n int, mean float64) float64 {
	sum := 0.0
	for i := range n + 1 {
		g, _ := math.Lgamma(float64(i) + 1)
		sum += math.Exp(float64(i)*math.Log(mean) - mean - g)
	}
	return sum
}

// share is k of n, with Wilson's interval of 95 %.
type share struct {
	Of   int     `json:"of"`
	Is   int     `json:"is"`
	Low  float64 `json:"low_95"`
	High float64 `json:"high_95"`
}

func wilson(k, n int) share {
	if n == 0 {
		return share{High: 1}
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return share{n, k, max(0, middle-half), min(1, middle+half)}
}
