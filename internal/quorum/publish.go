package quorum

import "github.com/abaton-health/abaton"

// Publish brings one key-log event into force: votes of W keepers make its
// certificate, the certificate goes to all, and W acknowledgements put it in
// force (docs/protocol/client.md#publish). An event that only narrows access is
// applied where it is received, so there a vote is the acknowledgement
// (RULINGS 17). No step ever votes for two events in one slot: that is the
// keepers' part.
type Publish struct {
	p         Params
	narrows   bool
	state     State
	votes     Keepers
	acks      Keepers
	inflight  Keepers // event or certificate sent, nothing heard yet
	conflicts Keepers
	other     [32]byte
	refused   refusals
	tries     [abaton.KeepersMax + 1]int
	certified bool
	out       effects
}

// NewPublish starts a new event; narrows says that it only takes access away.
func NewPublish(p Params, narrows bool) *Publish { return &Publish{p: p, narrows: narrows} }

// State is how far the event has come: Durable is "in force", Settled is
// acknowledged by all.
func (e *Publish) State() State { return e.state }

// Certified reports whether W votes are there.
func (e *Publish) Certified() bool { return e.certified }

// Votes is who voted for the event.
func (e *Publish) Votes() Keepers { return e.votes }

// InForceAt is who applies the event: "4 of 5". What narrows is applied also
// where its slot is taken: it gets no vote there, and holds all the same.
func (e *Publish) InForceAt() Keepers {
	if e.narrows {
		return e.votes | e.acks | e.conflicts
	}
	return e.acks
}

// Other is the event hash that has the slot, zero when keepers did not say.
func (e *Publish) Other() [32]byte { return e.other }

// Reason is why most keepers refused.
func (e *Publish) Reason() abaton.Reason { return e.refused.majority() }

// Start sends the event to all keepers.
func (e *Publish) Start() []Effect {
	e.out.reset()
	e.state = Working
	for x := range All(e.p.N).Each {
		e.send(x)
	}
	return e.out.list
}

// Vote: x voted for the event; the caller has verified the signature.
func (e *Publish) Vote(x abaton.KeeperIndex) []Effect {
	e.out.reset()
	if !All(e.p.N).Has(x) {
		return nil
	}
	e.inflight = e.inflight.Without(x)
	e.votes = e.votes.With(x)
	e.conflicts = e.conflicts.Without(x)
	e.refused.forget(x)
	if e.certified {
		e.send(x) // the certificate now, for it came late
	} else if e.votes.Len() >= e.p.W {
		e.certify()
	}
	e.judge()
	return e.out.list
}

// Ack: x has taken the certificate.
func (e *Publish) Ack(x abaton.KeeperIndex) []Effect {
	e.out.reset()
	if !e.certified || !All(e.p.N).Has(x) {
		return nil
	}
	e.inflight = e.inflight.Without(x)
	e.acks = e.acks.With(x)
	e.refused.forget(x)
	e.judge()
	return e.out.list
}

// Taken: x has voted for another event in this slot. An event that narrows is
// in force at x nevertheless.
func (e *Publish) Taken(x abaton.KeeperIndex, other [32]byte) []Effect {
	e.out.reset()
	if e.ignores(x) {
		return nil
	}
	e.inflight = e.inflight.Without(x)
	e.conflicts = e.conflicts.With(x)
	if e.other == ([32]byte{}) {
		e.other = other
	}
	e.judge()
	if e.certified {
		e.retry(x)
	}
	return e.out.list
}

// Refuse: x refused, for this reason.
func (e *Publish) Refuse(x abaton.KeeperIndex, reason abaton.Reason) []Effect {
	e.out.reset()
	if e.ignores(x) {
		return nil
	}
	e.inflight = e.inflight.Without(x)
	e.refused.note(x, reason)
	e.judge()
	e.retry(x)
	return e.out.list
}

// Lost: nothing came from x, or nothing that can be believed.
func (e *Publish) Lost(x abaton.KeeperIndex) []Effect {
	e.out.reset()
	if e.ignores(x) {
		return nil
	}
	e.inflight = e.inflight.Without(x)
	e.judge()
	e.retry(x)
	return e.out.list
}

// Timer: the pause for x is over.
func (e *Publish) Timer(x abaton.KeeperIndex) []Effect {
	e.out.reset()
	if e.ignores(x) || e.inflight.Has(x) || e.ended() {
		return nil
	}
	e.send(x)
	return e.out.list
}

func (e *Publish) ignores(x abaton.KeeperIndex) bool {
	return !All(e.p.N).Has(x) || e.acks.Has(x)
}

func (e *Publish) ended() bool { return e.state == Refused || e.state == Conflict }

// certify sends the certificate to all who have not taken it, each of those
// still busy with the event included: the certificate carries the event.
func (e *Publish) certify() {
	e.certified = true
	for x := range (All(e.p.N) &^ e.acks).Each {
		e.send(x)
	}
}

func (e *Publish) send(x abaton.KeeperIndex) {
	e.inflight = e.inflight.With(x)
	e.tries[x]++
	if e.certified {
		e.out.certify(x)
		return
	}
	e.out.send(x)
}

func (e *Publish) retry(x abaton.KeeperIndex) {
	if !e.ended() {
		e.out.wake(x, Backoff(e.tries[x]))
	}
}

func (e *Publish) judge() {
	was := e.state
	e.state = e.weigh()
	if e.state != was {
		e.out.changed()
	}
}

func (e *Publish) weigh() State {
	force := e.InForceAt().Len()
	switch {
	case e.ended():
		return e.state
	case e.acks == All(e.p.N):
		return Settled
	case force >= e.p.W:
		return Durable
	case e.certified:
		return e.weighPending(e.acks)
	case e.narrows && e.refused.who.Len() > e.p.N-e.p.W:
		return Refused
	case e.narrows:
		return e.weighPending(e.InForceAt())
	case e.conflicts.Len() > e.p.N-e.p.W:
		return Conflict
	case (e.refused.who | e.conflicts).Len() > e.p.N-e.p.W:
		return Refused
	}
	return e.weighPending(e.votes)
}

func (e *Publish) weighPending(have Keepers) State {
	if (have|e.inflight).Len() < e.p.W || e.state == Pending {
		return Pending
	}
	return Working
}
