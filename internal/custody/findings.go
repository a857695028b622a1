package custody

import (
	"maps"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// A finding is something that somebody must look at: wrong with this keeper
// itself, or a sign of attack that only who holds a key can give, so that noise
// makes none. Counts are durable: a restart does not hide them.

// findable are the reasons a keeper finds.
func findable() []abaton.Reason {
	return []abaton.Reason{
		abaton.ReasonClock,        // its own clock is off
		abaton.ReasonQuarantine,   // it lost the end of its ledger, or a vote
		abaton.ReasonCloned,       // two devices hold one passkey
		abaton.ReasonEquivocation, // a writer, a locker, a peer's ledger or four keepers said two things in one place
		abaton.ReasonTime,         // somebody dates back who works where
		abaton.ReasonPeer,         // a peer says nothing for a lease
		abaton.ReasonBudget,       // a peer says of too many that they are to be held back
	}
}

func findingName(r abaton.Reason) string { return "finding/" + string(r) }

// find counts a finding, once in a group.
func (c *Core) find(t *tx, r abaton.Reason) {
	if c.cfg.Mutation.overlooks(r) {
		return
	}
	n, err := countAt(c.store, findingName(r))
	if err != nil {
		t.err = err
		return
	}
	c.store.PutMeta(&t.change, findingName(r), wire.U64(n+1))
}

// foundOf counts a refusal that is a finding, and passes it on.
func (c *Core) foundOf(t *tx, out Output) Output {
	if out.Reason == abaton.ReasonEquivocation || out.Reason == abaton.ReasonCloned {
		c.find(t, out.Reason)
	}
	return out
}

// Found counts what the shell found.
type Found struct {
	Reason abaton.Reason
}

func (f Found) slot() string { return findingName(f.Reason) }

func (f Found) decide(c *Core, t *tx) Output {
	c.find(t, f.Reason)
	return Output{}
}

// backdatedAfter is how old what an organisation says of its people may be when
// it is first told: a device that signed it may have been without a network.
const backdatedAfter = time.Hour

// backdated reports whether an event that is told now says who works where, or
// who stands in for whom, as of an earlier time. It gives nothing for that
// time: keepers judge by their own clocks. But nobody should say later that it
// did.
func backdated(a *actor.Authentic, now time.Time) bool {
	from := a.Event().Time
	switch b := a.Body().(type) {
	case *actor.Member:
		from = min(from, b.NotBefore)
	case *actor.Duty:
		from = min(from, b.From)
	case *actor.Team, *actor.Policy:
	default:
		return false
	}
	return from < now.Add(-backdatedAfter).Unix()
}

// Findings are how often this keeper found what, ever.
func (k *Keeper) Findings() (map[abaton.Reason]uint64, error) {
	out := make(map[abaton.Reason]uint64)
	for _, r := range findable() {
		n, err := countAt(k.store, findingName(r))
		if err != nil {
			return nil, err
		}
		out[r] = n
	}
	return out, nil
}

// foundCounts are the findings as keepers tell them, by reason.
func (k *Keeper) foundCounts() (out []keeper.Found, err error) {
	counts, err := k.Findings()
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		if counts[r] > 0 {
			out = append(out, keeper.Found{Reason: r, Count: counts[r]})
		}
	}
	return out, err
}

// copied counts a finding if the passkey that touched is held twice.
func (v *verdict) copied(r abaton.Reason) abaton.Reason {
	if r == abaton.ReasonCloned {
		v.core.find(v.t, r)
	}
	return r
}
