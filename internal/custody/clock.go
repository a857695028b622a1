package custody

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
)

// ClockHealth is what a keeper thinks of its own clock (PROTOCOL.md#clock).
// Zero: it has not heard the time of two peers yet, and answers nothing for want
// of a lease.
type ClockHealth uint8

// What a keeper may think of its clock.
const (
	ClockHealthy ClockHealth = 1 // within ClockDoubtMax of the peers' median
	ClockDoubted ClockHealth = 2 // no sessions, nothing that widens, nothing of assurance level 3
	ClockWrong   ClockHealth = 3 // beyond ClockSkewMax: no answers
)

// String is the word for h in logs and on pages.
func (h ClockHealth) String() string {
	switch h {
	case ClockHealthy:
		return "healthy"
	case ClockDoubted:
		return "doubted"
	case ClockWrong:
		return "wrong"
	}
	return "unknown"
}

// Clock is a keeper's reading of its own clock. Ahead is how far it is ahead
// of the median of its peers; behind is negative.
type Clock struct {
	Health ClockHealth
	Ahead  time.Duration
}

// tripMax is how long an answer with a peer's time may take: half of it is the
// error of the comparison.
const tripMax = peerTimeout

// clock compares this keeper's clock with its peers'. The zero clock has heard
// nobody.
type clock struct {
	heard  map[abaton.KeeperIndex]compared
	health ClockHealth
	ahead  time.Duration
}

type compared struct {
	ahead time.Duration
	at    time.Time
}

// doubted reports whether what needs a good clock must wait.
func (c *clock) doubted() bool { return c.health == ClockDoubted || c.health == ClockWrong }

func (c *clock) reading() Clock { return Clock{Health: c.health, Ahead: c.ahead} }

// judge takes the median of what peers said within the lease.
func (c *clock) judge(now time.Time, needed int) {
	var all []time.Duration
	for _, s := range c.heard {
		if age := now.Sub(s.at); age >= 0 && age <= abaton.LeaseMax {
			all = append(all, s.ahead)
		}
	}
	if len(all) < max(needed, 1) {
		return // too few to judge by: what was found stands
	}
	c.ahead = median(all)
	switch off := c.ahead.Abs(); {
	case off > abaton.ClockSkewMax:
		c.health = ClockWrong
	case off > abaton.ClockDoubtMax:
		c.health = ClockDoubted
	default:
		c.health = ClockHealthy
	}
}

// median is the middle one; of the two middle ones the one nearer to zero, so
// that with two answers one liar cannot stop a keeper whose clock is right.
func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	low, high := all[(len(all)-1)/2], all[len(all)/2]
	if low.Abs() <= high.Abs() {
		return low
	}
	return high
}

// Timed says how far this keeper's clock is ahead of a peer's.
type Timed struct {
	Peer  abaton.KeeperIndex
	Ahead time.Duration
}

func (Timed) slot() string { return "clock" }

func (i Timed) decide(c *Core, t *tx) Output {
	if i.Peer == c.cfg.Index || c.cfg.Set.Keeper(i.Peer) == nil {
		return refused(abaton.ReasonPeer)
	}
	if c.clock.heard == nil {
		c.clock.heard = make(map[abaton.KeeperIndex]compared)
	}
	c.clock.heard[i.Peer] = compared{ahead: i.Ahead, at: t.now}
	before := c.clock.health
	c.clock.judge(t.now, min(peersNeeded, int(c.cfg.Set.N)-1))
	if c.clock.health > max(before, ClockHealthy) {
		c.find(t, abaton.ReasonClock)
	}
	return Output{}
}

// appends reports whether this keeper may add to its ledger: it is not behind,
// and knows the time that it would write.
func (c *Core) appends() bool { return c.mode == Serving && c.clock.health != ClockWrong }

// askTime asks a peer that found our clock too far from its own for its time.
func (k *Keeper) askTime(ctx context.Context, x abaton.KeeperIndex, p Peer) error {
	_, err := k.query(ctx, x, p, keeper.Query{Kind: keeper.QueryTime})
	return err
}

// compare notes a peer's signed time, which it read between sent and got. Whole
// seconds were cut, so half of one is added. Wall clocks are compared, not the
// monotonic reading.
func (k *Keeper) compare(ctx context.Context, x abaton.KeeperIndex, sent, got time.Time, theirs uint64) error {
	trip := got.Sub(sent)
	if trip < 0 || trip > tripMax || theirs > 1<<40 {
		return nil // says nothing of the clock
	}
	there := time.Unix(int64(theirs), 0).Add(time.Second / 2)
	ahead := sent.Round(0).Add(trip / 2).Sub(there)
	_, err := k.one(ctx, Timed{Peer: x, Ahead: ahead})
	return err
}

// Clock is what this keeper thinks of its own clock now.
func (k *Keeper) Clock() Clock {
	k.modeMu.Lock()
	defer k.modeMu.Unlock()
	return k.clock
}

func (k *Keeper) noteClock(now Clock) {
	k.modeMu.Lock()
	defer k.modeMu.Unlock()
	was := k.clock.Health
	k.clock = now
	if was == now.Health {
		return
	}
	level := slog.LevelInfo
	if now.Health != ClockHealthy {
		level = slog.LevelWarn
	}
	k.cfg.Log.Log(context.Background(), level, "keeper clock", "health", now.Health.String(), "ahead_seconds", int64(now.Ahead/time.Second))
}
