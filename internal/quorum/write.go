package quorum

import (
	"time"

	"github.com/abaton-health/abaton"
)

// Times between two tries at one keeper: the first, doubled each time up to
// the last. A keeper that is down for a day costs an outbox one message a
// minute.
const (
	RetryFirst = 200 * time.Millisecond
	RetryMost  = time.Minute
)

// Backoff is the pause after the given number of tries, from 1.
func Backoff(tries int) time.Duration {
	d := RetryFirst
	for i := 1; i < tries && d < RetryMost; i++ {
		d *= 2
	}
	return min(d, RetryMost)
}

// Write brings one sealed batch to all keepers: the same bytes, sent again
// until each has given its receipt. It is Durable at W receipts and Settled
// at N (docs/protocol/client.md#write).
type Write struct {
	p         Params
	state     State
	receipts  Keepers // valid receipts came
	inflight  Keepers // sent, nothing heard yet
	told      Keepers // has been sent the certificate
	moot      Keepers // says the patient had it erased: nothing left to hold
	refused   refusals
	tries     [abaton.KeepersMax + 1]int
	announced bool
	out       effects
}

// NewWrite starts from the receipts already in hand, none for a new batch.
func NewWrite(p Params, have Keepers) *Write { return &Write{p: p, receipts: have & All(p.N)} }

// State is how far the write has come.
func (w *Write) State() State { return w.state }

// Receipts is who holds the batch.
func (w *Write) Receipts() Keepers { return w.receipts }

// Reason is why it was refused, by most keepers.
func (w *Write) Reason() abaton.Reason { return w.refused.majority() }

// Start sends to every keeper without a receipt.
func (w *Write) Start() []Effect {
	w.out.reset()
	w.state = Working
	for x := range All(w.p.N).Each {
		if !w.receipts.Has(x) {
			w.send(x)
		}
	}
	w.judge()
	return w.out.list
}

// Receipt: x holds the batch; the caller has verified the signature.
func (w *Write) Receipt(x abaton.KeeperIndex) []Effect {
	w.out.reset()
	if !All(w.p.N).Has(x) {
		return nil
	}
	w.inflight = w.inflight.Without(x)
	w.receipts = w.receipts.With(x)
	w.refused.forget(x)
	w.judge()
	if w.announced && !w.told.Has(x) {
		w.tell(x)
	}
	return w.out.list
}

// Refuse: x refused, for this reason.
func (w *Write) Refuse(x abaton.KeeperIndex, reason abaton.Reason) []Effect {
	w.out.reset()
	if w.ignores(x) {
		return nil
	}
	w.inflight = w.inflight.Without(x)
	w.refused.note(x, reason)
	if reason == abaton.ReasonErased && w.receipts.Len() >= w.p.W {
		w.moot = w.moot.With(x)
	}
	w.judge()
	w.retry(x)
	return w.out.list
}

// Lost: nothing came from x, or nothing that can be believed.
func (w *Write) Lost(x abaton.KeeperIndex) []Effect {
	w.out.reset()
	if w.ignores(x) {
		return nil
	}
	w.inflight = w.inflight.Without(x)
	w.judge()
	w.retry(x)
	return w.out.list
}

// Timer: the pause for x is over.
func (w *Write) Timer(x abaton.KeeperIndex) []Effect {
	w.out.reset()
	if w.ignores(x) || w.inflight.Has(x) || w.done(x) || w.state == Refused {
		return nil
	}
	// A keeper takes a lock to an older epoch once four receipts come with
	// it (RULINGS 18), so those go first.
	if w.receipts.Len() >= w.p.W && w.refused.reasons[x] == abaton.ReasonEpoch {
		w.tell(x)
	}
	w.send(x)
	return w.out.list
}

func (w *Write) ignores(x abaton.KeeperIndex) bool {
	return !All(w.p.N).Has(x) || w.receipts.Has(x)
}

func (w *Write) done(x abaton.KeeperIndex) bool { return w.receipts.Has(x) || w.moot.Has(x) }

func (w *Write) send(x abaton.KeeperIndex) {
	w.inflight = w.inflight.With(x)
	w.tries[x]++
	w.out.send(x)
}

func (w *Write) retry(x abaton.KeeperIndex) {
	if w.state != Refused && !w.done(x) {
		w.out.wake(x, Backoff(w.tries[x]))
	}
}

func (w *Write) tell(x abaton.KeeperIndex) {
	w.told = w.told.With(x)
	w.out.certify(x)
}

// judge settles the state after any event.
func (w *Write) judge() {
	was := w.state
	w.state = w.weigh()
	if w.state != was {
		w.out.changed()
	}
	if w.state >= Durable && w.state <= Settled && w.inflight == 0 && !w.announced {
		w.announced = true
		for x := range w.receipts.Each {
			w.tell(x)
		}
	}
}

func (w *Write) weigh() State {
	have := w.receipts.Len()
	switch {
	case w.state == Refused:
		return Refused
	case have >= w.p.W && (w.receipts|w.moot) == All(w.p.N):
		return Settled
	case have >= w.p.W:
		return Durable
	case w.refused.who.Len() > w.p.N-w.p.W:
		// More than n-w lasting refusals: w can never be met, and with
		// n-w >= f an honest keeper is among those who refused.
		return Refused
	case have+w.inflight.Len() < w.p.W:
		return Pending
	case w.state == Pending:
		return Pending // until the quorum is really there
	}
	return Working
}
