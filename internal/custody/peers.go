package custody

import (
	"errors"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
)

// peersNeeded is how many other keepers must have been heard lately: of any
// two others of an unaware keeper one is honest and aware (RULINGS 13).
const peersNeeded = 2

// strictLease is the lease for lines of assurance level 3.
const strictLease = 20 * time.Second

// Heard says that a peer's statement feed was read up to its signed head, and
// which checkpoint of ours the peer has cosigned.
type Heard struct {
	Peer  abaton.KeeperIndex
	Yours []byte // empty when the peer has none
}

func (h Heard) slot() string { return "" }

func (h Heard) decide(c *Core, t *tx) Output {
	if h.Peer == c.cfg.Index || c.cfg.Set.Keeper(h.Peer) == nil {
		return refused(abaton.ReasonPeer)
	}
	if len(h.Yours) > 0 && !c.cfg.Mutation.skips("longer") {
		if err := c.log.CheckClaim(h.Yours); err != nil {
			// It carries our own signature: we have lost the end of our
			// ledger, and appending would fork it.
			c.mode = Quarantined
			c.find(t, abaton.ReasonQuarantine)
			return refused(abaton.ReasonQuarantine)
		}
	}
	c.heard[h.Peer] = t.now
	if c.mode == Starting && c.heardOf(t.now, abaton.LeaseMax) >= c.needed() {
		c.mode = Serving
	}
	return Output{}
}

// fresh is the lease: this keeper knows what two others know. It also tells a
// wrong clock: peers refuse a question whose time is more than ClockSkewMax
// from theirs, so a keeper with a wrong clock is not heard, and refuses.
func (c *Core) fresh(now time.Time, lease time.Duration) bool {
	return c.heardOf(now, lease) >= min(peersNeeded, int(c.cfg.Set.N)-1)
}

// heardOf is how many peers were heard within a lease.
func (c *Core) heardOf(now time.Time, lease time.Duration) (n int) {
	for _, at := range c.heard {
		if age := now.Sub(at); age >= 0 && age <= lease {
			n++
		}
	}
	return n
}

// closed refuses everything that would append while this keeper must not.
func (c *Core) closed() (Output, bool) {
	switch {
	case c.mode == Quarantined:
		return refused(abaton.ReasonQuarantine), true
	case c.mode != Stopped && c.clock.health == ClockWrong:
		return refused(abaton.ReasonClock), true
	case c.mode == Serving && !c.recovering:
		return Output{}, false
	case c.mode == Starting, c.mode == Serving:
		return refused(abaton.ReasonLease), true
	}
	return refused(abaton.ReasonStorage), true
}

// Mode is what this keeper does now.
func (c *Core) Mode() Mode { return c.mode }

// Cosign is an add-checkpoint request of a peer (c2sp.org/tlog-witness).
// Output.Bytes is the cosignature line; Err may be a keeper.StatusError.
type Cosign struct {
	Body []byte
}

func (s Cosign) slot() string { return "witness" }

func (s Cosign) decide(c *Core, t *tx) Output {
	cosigning, err := c.witness.Add(c.store.Raw(ledgerSpace).Into(&t.change), s.Body, t.now)
	if e, ok := errors.AsType[*ledger.WitnessError](err); ok {
		out := Output{Err: &keeper.StatusError{Status: e.Status, Content: keeper.ContentText}}
		if e.Proof != nil { // the peer signed two trees of one size
			c.find(t, abaton.ReasonEquivocation)
		}
		if e.Status == ledger.StatusConflict {
			out.Err = &keeper.StatusError{Status: e.Status, Content: keeper.ContentTreeSize, Body: ledger.FormatSize(e.Size)}
		}
		return out
	}
	if err != nil {
		return t.fail(err)
	}
	t.after = append(t.after, func(*ledger.Group) { cosigning.Commit() })
	return Output{finish: func(o *Output) { o.Bytes = cosigning.Line() }}
}

// Cosigned keeps our newest checkpoint with peers' cosignatures: what this
// keeper itself remembers it must never fall behind.
type Cosigned struct {
	Signed    []byte
	Verifiers []note.Verifier
}

func (s Cosigned) slot() string { return "cosigned" }

func (s Cosigned) decide(c *Core, t *tx) Output {
	if err := c.log.KeepCosigned(c.room.into(&t.change), s.Signed, s.Verifiers...); err != nil {
		return refused(abaton.ReasonMalformed)
	}
	return Output{}
}

// Tick lets time pass: expired nonces go, and the checkpoint is signed anew
// each minute.
type Tick struct{}

func (Tick) slot() string { return "tick" }

func (Tick) decide(c *Core, t *tx) Output {
	if _, err := c.store.ExpireNonces(&t.change, t.now); err != nil {
		return t.fail(err)
	}
	if err := c.sweepRelations(t); err != nil {
		return t.fail(err)
	}
	if err := c.settleWatch(t); err != nil {
		return t.fail(err)
	}
	return Output{}
}
