package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// Published is what became of one event.
type Published struct {
	Event   actor.Hash
	Actor   abaton.ActorID
	At, Of  int  // "4 of 5" keepers apply it
	InForce bool // At has reached the quorum
	Err     error

	contested bool // a keeper gave its place to another or cannot place it
}

// ConflictError says that another event has the slot of the key log: fetch
// the log and sign anew after its head.
type ConflictError struct{ Other actor.Hash }

func (e *ConflictError) Error() string { return "another event has this slot of the key log" }

// Publish brings signed events (actor.SignedEvent bytes) into force: to all
// keepers, votes of four, the certificate to all, acknowledged by four. Events
// of one call travel together; where one continues another, publish them one
// after the other. What reaches only four goes on to the fifth in the
// background. Published has one entry for each event; the error is that of
// the first event that is not in force, ErrPending when it may still be.
func (n *Network) Publish(ctx context.Context, events ...[]byte) ([]Published, error) {
	tasks := make([]*publishing, len(events))
	out := make([]Published, len(events))
	for i, signed := range events {
		a, err := n.logs.authentic(signed, n.set.RelyingParty)
		if err != nil {
			return nil, fmt.Errorf("publish event: %w", err)
		}
		tasks[i] = n.newPublishing(a, signed)
	}
	for _, t := range tasks {
		t.begin()
	}
	var first error
	for i, t := range tasks {
		select {
		case <-t.ready:
		case <-ctx.Done():
		case <-n.ctx.Done():
		}
		out[i] = t.outcome()
		n.logs.forget(out[i].Actor)
		if first == nil && out[i].Err != nil {
			first = fmt.Errorf("publish event: %w", out[i].Err)
		}
	}
	return out, first
}

// contestedPatience is pendingPatience for an event that some keeper could not
// place.
const contestedPatience = pendingPatience / 10

// publishing is one event on its way.
type publishing struct {
	n      *Network
	event  *actor.Authentic
	signed []byte
	place  actor.Place

	mu          sync.Mutex
	step        *quorum.Publish
	votes       []actor.Vote
	certificate []byte
	ready       chan struct{} // closed when there is something to say
	said        bool
	patient     bool // patience with a missing quorum has begun
	contested   bool
}

func (n *Network) newPublishing(a *actor.Authentic, signed []byte) *publishing {
	return &publishing{
		n: n, event: a, signed: signed, ready: make(chan struct{}),
		place: actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()},
		step:  quorum.NewPublish(n.params, actor.Narrows(a.Kind())),
	}
}

func (t *publishing) begin() { t.feed(t.step.Start) }

// feed gives the step an event and does what it says.
func (t *publishing) feed(event func() []quorum.Effect) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range event() {
		switch e.Do {
		case quorum.Send:
			t.n.post(e.Keeper, letter{route: keeper.RouteEvents, body: t.signed, reply: t.voted(e.Keeper)})
		case quorum.Certify:
			t.n.post(e.Keeper, letter{route: keeper.RouteCertify, body: t.statement(), reply: t.acknowledged(e.Keeper)})
		case quorum.Wake:
			t.n.after(e.After, func() { t.feed(func() []quorum.Effect { return t.step.Timer(e.Keeper) }) })
		}
	}
	switch t.step.State() {
	case quorum.Durable, quorum.Settled, quorum.Refused, quorum.Conflict:
		t.say()
	case quorum.Pending:
		if !t.patient {
			t.patient = true
			t.n.after(t.patience(), t.giveUp)
		}
	}
}

// say lets whoever waits go on. Callers hold mu.
func (t *publishing) say() {
	if !t.said {
		t.said = true
		close(t.ready)
	}
}

// patience is short where whoever asked had better look at the log again.
func (t *publishing) patience() time.Duration {
	if t.contested {
		return contestedPatience
	}
	return pendingPatience
}

// giveUp stops the waiting; the event goes on in the background.
func (t *publishing) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say()
}

func (t *publishing) voted(x abaton.KeeperIndex) func([]byte, error) {
	return func(ok []byte, err error) {
		t.feed(func() []quorum.Effect {
			reason := reasonOf(err)
			t.contested = t.contested || reason == abaton.ReasonSlot || reason == abaton.ReasonParent
			switch {
			case reason == abaton.ReasonSlot:
				return t.step.Taken(x, actor.Hash{})
			case reason != "":
				return t.step.Refuse(x, reason)
			case err != nil || !t.takeVote(x, ok):
				return t.step.Lost(x)
			}
			return t.step.Vote(x)
		})
	}
}

// takeVote keeps a valid vote.
func (t *publishing) takeVote(x abaton.KeeperIndex, data []byte) bool {
	var v actor.Vote
	if wire.Unmarshal(data, &v) != nil || v.X != x || !t.n.set.VerifyVote(v, t.place) {
		return false
	}
	t.votes = append(t.votes, v)
	return true
}

func (t *publishing) acknowledged(x abaton.KeeperIndex) func([]byte, error) {
	return func(_ []byte, err error) {
		t.feed(func() []quorum.Effect {
			if reason := reasonOf(err); reason != "" {
				return t.step.Refuse(x, reason)
			}
			if err != nil {
				return t.step.Lost(x)
			}
			return t.step.Ack(x)
		})
	}
}

// statement is the event with its certificate, made once of the first W votes.
func (t *publishing) statement() []byte {
	if t.certificate == nil {
		t.certificate = actor.NewCertificate(t.place, t.votes).Marshal()
	}
	return wire.Marshal(keeper.Statement{Event: t.signed, Certificate: t.certificate})
}

func (t *publishing) outcome() Published {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := Published{Event: t.place.Hash, Actor: t.place.Actor, At: t.step.InForceAt().Len(), Of: t.n.params.N,
		InForce: inForce(t.step.State()), contested: t.contested}
	switch {
	case p.InForce:
	case t.step.State() == quorum.Conflict:
		p.Err = &ConflictError{Other: t.step.Other()}
	case t.step.State() == quorum.Refused:
		p.Err = abaton.Refuse(t.step.Reason())
	default:
		p.Err = abaton.ErrPending
	}
	return p
}
