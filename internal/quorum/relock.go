package quorum

import (
	"time"

	"github.com/abaton-health/abaton"
)

// RelockPatience is how long a re-lock waits, once it has W receipts, for the
// keepers that have not answered.
const RelockPatience = 2 * time.Second

// relockTries is how often a keeper that answers is sent a prepared lock or a
// commit; one that is away gets each once.
const relockTries = 4

// Relock brings a new lock of one batch into force in two phases
// (docs/protocol/client.md#relock): prepared at all keepers, read back, and
// only then committed, with the receipts of at least W. Before that every
// keeper still has what opens under the old lock; after it, those that gave
// receipts have what opens under the new one.
type Relock struct {
	p         Params
	alive     Keepers // answered just now
	state     State
	receipts  Keepers // prepared durably
	readable  Keepers // the new piece was read back from there
	committed Keepers
	inflight  Keepers
	phase     relockPhase
	waited    bool
	refused   refusals
	tries     [abaton.KeepersMax + 1]int
	out       effects
}

type relockPhase uint8

const (
	preparing relockPhase = iota
	checking
	committing
)

// NewRelock starts a new lock that nobody has yet. alive are the keepers that
// answered just now: the others are not waited for.
func NewRelock(p Params, alive Keepers) *Relock { return &Relock{p: p, alive: alive} }

// State is Working; Durable (in force at W); Settled (at all keepers); Refused
// or Unavailable. Unless Committing, nothing was destroyed anywhere.
func (r *Relock) State() State { return r.state }

// Receipts is who holds the new lock, prepared or in force.
func (r *Relock) Receipts() Keepers { return r.receipts }

// Committed is where it is in force.
func (r *Relock) Committed() Keepers { return r.committed }

// Committing reports whether the new lock was read back and may be put in
// force.
func (r *Relock) Committing() bool { return r.phase == committing }

// Reason is why most keepers refused.
func (r *Relock) Reason() abaton.Reason { return r.refused.majority() }

// Err is nil when in force.
func (r *Relock) Err() error {
	switch r.state {
	case Durable, Settled:
		return nil
	case Refused:
		return abaton.Refuse(r.Reason())
	}
	return &abaton.TooFewError{Have: r.receipts.Len(), Need: r.p.W}
}

// Start sends the prepared lock to all keepers.
func (r *Relock) Start() []Effect {
	r.out.reset()
	r.state = Working
	for x := range All(r.p.N).Each {
		r.send(x)
	}
	return r.out.list
}

// Receipt: x has prepared the lock; the caller has verified the signature.
func (r *Relock) Receipt(x abaton.KeeperIndex) []Effect {
	r.out.reset()
	if !All(r.p.N).Has(x) || r.over() {
		return nil
	}
	r.receipts = r.receipts.With(x)
	r.refused.forget(x)
	r.heard(x)
	if r.phase == committing { // it came late: it is read back no more, but four others were
		r.commit(x)
	}
	return r.out.list
}

// Refuse: x refused, for this reason.
func (r *Relock) Refuse(x abaton.KeeperIndex, reason abaton.Reason) []Effect {
	r.out.reset()
	if !r.inflight.Has(x) || r.over() {
		return nil
	}
	r.refused.note(x, reason)
	if Passing(reason) {
		r.retry(x)
	}
	r.heard(x)
	return r.out.list
}

// Lost: nothing came from x, or nothing that can be believed.
func (r *Relock) Lost(x abaton.KeeperIndex) []Effect {
	r.out.reset()
	if !r.inflight.Has(x) || r.over() {
		return nil
	}
	r.retry(x)
	r.heard(x)
	return r.out.list
}

// Timer: the pause for x is over; for keeper 0 the wait for late receipts.
func (r *Relock) Timer(x abaton.KeeperIndex) []Effect {
	r.out.reset()
	switch {
	case r.over():
	case x == 0:
		if r.phase == preparing && r.receipts.Len() >= r.p.W {
			r.check()
		}
	case r.phase == preparing && !r.receipts.Has(x) && !r.inflight.Has(x):
		r.send(x)
	case r.phase == committing && r.receipts.Has(x) && !r.committed.Has(x) && !r.inflight.Has(x):
		r.commit(x)
	}
	return r.out.list
}

// Checked: valid is from whom the new piece was read and opens. At least W
// that also gave receipts let the lock come into force; else nothing happens.
func (r *Relock) Checked(valid Keepers) []Effect {
	r.out.reset()
	if r.phase != checking || r.over() {
		return nil
	}
	r.readable = valid & r.receipts
	if r.readable.Len() < r.p.W {
		r.to(Unavailable)
		return r.out.list
	}
	r.phase, r.tries = committing, [abaton.KeepersMax + 1]int{}
	for x := range r.receipts.Each {
		r.commit(x)
	}
	return r.out.list
}

// InForce: x has put the lock in force.
func (r *Relock) InForce(x abaton.KeeperIndex) []Effect {
	r.out.reset()
	if r.phase != committing || !r.receipts.Has(x) {
		return nil
	}
	r.committed = r.committed.With(x)
	r.refused.forget(x)
	r.heard(x)
	return r.out.list
}

func (r *Relock) over() bool { return r.state != Working && r.state != Durable }

func (r *Relock) send(x abaton.KeeperIndex) {
	r.inflight = r.inflight.With(x)
	r.tries[x]++
	r.out.send(x)
}

func (r *Relock) commit(x abaton.KeeperIndex) {
	r.inflight = r.inflight.With(x)
	r.tries[x]++
	r.out.certify(x)
}

func (r *Relock) check() {
	r.phase, r.inflight = checking, 0
	r.out.list = append(r.out.list, Effect{Do: Check})
}

// retry tries a keeper again while it is worth it. A keeper that is away gets
// the lock with the next re-lock of its batch.
func (r *Relock) retry(x abaton.KeeperIndex) {
	if r.tries[x] < r.most(x) {
		r.out.wake(x, Backoff(r.tries[x]))
	}
}

func (r *Relock) most(x abaton.KeeperIndex) int {
	if r.alive.Has(x) {
		return relockTries
	}
	return 1
}

// heard moves on when nothing more is to come from x for now.
func (r *Relock) heard(x abaton.KeeperIndex) {
	r.inflight = r.inflight.Without(x)
	switch r.phase {
	case preparing:
		r.prepared()
	case committing:
		switch {
		case r.committed == All(r.p.N):
			r.to(Settled)
		case r.committed.Len() >= r.p.W:
			r.to(Durable)
		case !r.hopes(r.receipts &^ r.committed):
			r.to(Unavailable)
		}
	}
}

func (r *Relock) prepared() {
	have := r.receipts.Len()
	switch {
	case have == r.p.N:
		r.check()
	case have >= r.p.W && !r.waited:
		r.waited = true
		if !r.hopes(All(r.p.N) &^ r.receipts) {
			r.check()
			return
		}
		r.out.wake(0, RelockPatience)
	case have >= r.p.W:
		if !r.hopes(All(r.p.N) &^ r.receipts) {
			r.check()
		}
	case r.refused.who.Len() > r.p.N-r.p.W:
		r.to(Refused)
	case !r.hopes(All(r.p.N) &^ r.receipts):
		r.to(Unavailable)
	}
}

// hopes reports whether anything may still come of these keepers.
func (r *Relock) hopes(of Keepers) bool {
	for x := range of.Each {
		if r.inflight.Has(x) || !r.refused.who.Has(x) && r.tries[x] < r.most(x) {
			return true
		}
	}
	return false
}

func (r *Relock) to(s State) {
	if r.state != s {
		r.state = s
		r.out.changed()
	}
}
