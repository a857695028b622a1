package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// Bounds of bringing one event into a log that others write to as well.
const (
	// appendAttempts is how often the log is looked at anew.
	appendAttempts = 10
	// appendPending is how often one that keepers are silent about, or cannot
	// place, is waited for.
	appendPending = 3
	// appendRest is the longest first pause before an attempt; it doubles.
	appendRest = 50 * time.Millisecond
)

// Append signs one event after the log's head and publishes it. Where another
// event took the place, what others left half way is finished, a split is
// closed by a merge, and the event is signed anew. A grant is not: its first
// attempt may still come to count; ReasonReplay (see Share). An event that only
// narrows waits for no merge. ErrPending when it may still come into force.
func (n *Network) Append(ctx context.Context, h Hand, body actor.Body) (Published, error) {
	return (&appending{n: n, hand: h, body: body}).run(ctx)
}

// AddKey adds a signing key to a log. The key proves the event as well: nobody
// adds a key that another holds.
func (n *Network) AddKey(ctx context.Context, h Hand, k *key.Signing, rights actor.Rights) (Published, error) {
	body := &actor.KeyAdd{Key: actor.Key{ID: k.ID(), Rights: rights}}
	return (&appending{n: n, hand: h, body: body, added: k}).run(ctx)
}

// appending is one event on its way into a log.
type appending struct {
	n    *Network
	hand Hand
	body actor.Body
	// renew changes a grant that was signed before and is in nobody's log, so
	// that the new one is no replay.
	renew  func() error
	added  *key.Signing // the key that the event adds, nil when it adds none
	signed actor.Hash   // the newest attempt; zero before the first
	again  bool         // an attempt was refused
}

// What an attempt found instead of an end.
var (
	errAgain = errors.New("the log has changed")
	errWait  = errors.New("the event waits for its certificate")
)

func (a *appending) run(ctx context.Context) (last Published, err error) {
	rest, pending := appendRest, 0
	for range appendAttempts {
		last, err = a.attempt(ctx)
		if errors.Is(err, errAgain) {
			continue
		}
		if errors.Is(err, abaton.ErrPending) || errors.Is(err, errWait) {
			pending++
		}
		if !a.passedBy(last, err) || pending == appendPending {
			break
		}
		a.again = true
		if !pause(ctx, someOf(rest)) {
			return last, context.Cause(ctx)
		}
		rest = min(2*rest, time.Second)
	}
	if errors.Is(err, errAgain) || errors.Is(err, errWait) {
		err = fmt.Errorf("append event: %w", abaton.ErrPending)
		last.Err = err
	}
	return last, err
}

// someOf is a random part of a pause, so that two devices do not stay in step.
func someOf(d time.Duration) time.Duration {
	var b [1]byte
	rand.Read(b[:])
	return d * time.Duration(b[0]) / 256
}

// passedBy reports whether the event may come into force at a later attempt:
// another got there first, or it waits. With one keeper silent and one that
// cannot place the event a split looks like a missing quorum.
func (a *appending) passedBy(p Published, err error) bool {
	_, conflict := errors.AsType[*ConflictError](err)
	return conflict || reasonOf(err) == abaton.ReasonParent || errors.Is(err, errWait) ||
		errors.Is(err, abaton.ErrPending) && p.contested
}

func (a *appending) narrows() bool { return actor.Narrows(a.body.EventKind()) }

func (a *appending) attempt(ctx context.Context) (Published, error) {
	l, err := a.n.look(ctx, a.hand.Actor, a.again)
	if err != nil {
		return Published{}, fmt.Errorf("append event: %w", err)
	}
	if p, counts := a.counts(l); counts {
		if !p.InForce {
			return p, errWait // certificates travel from keeper to keeper as well
		}
		return p, nil
	}
	next := l.view.Next(a.narrows(), a.again)
	if a.again || next.Merge {
		a.n.finish(ctx, l)
	}
	if next.Merge {
		return a.merge(ctx, next)
	}
	if err := a.refresh(ctx, l, next); err != nil {
		return Published{}, err
	}
	event := next.Event(a.n.now(), a.body)
	a.signed = actor.HashOf(event)
	return a.n.signAndPublish(ctx, a.hand, event, a.added)
}

// counts reports whether an earlier attempt has come into force by now: others
// finish what they find half way, and merges cover it.
func (a *appending) counts(l *log) (p Published, ok bool) {
	if a.signed == (actor.Hash{}) || a.narrows() || !l.view.State.Counts(a.signed) {
		return p, false
	}
	return Published{Event: a.signed, Actor: a.hand.Actor, At: l.sure, Of: a.n.params.N, InForce: l.sure >= a.n.params.W}, true
}

// merge closes a split.
func (a *appending) merge(ctx context.Context, next actor.Step) (Published, error) {
	a.again = false // what the merge stands on is new
	p, err := a.n.signAndPublish(ctx, a.hand, next.Event(a.n.now(), new(actor.Merge)), nil)
	if err == nil {
		err = errAgain
	}
	return p, err
}

// refresh makes the body such that it may be signed once more. What the log
// already holds of it waits for its certificate instead.
func (a *appending) refresh(ctx context.Context, l *log, next actor.Step) error {
	if a.signed == (actor.Hash{}) || a.narrows() {
		return nil
	}
	if l.view.State.Knows(a.signed) {
		return errWait
	}
	g, ok := a.body.(*actor.Granted)
	if !ok {
		return nil
	}
	if a.renew == nil {
		return abaton.Refuse(abaton.ReasonReplay)
	}
	return a.replace(ctx, g, next)
}

// replace takes the lost grant back for ever, so that no merge brings it in
// beside its successor, and makes that.
func (a *appending) replace(ctx context.Context, g *actor.Granted, next actor.Step) error {
	revoke := next.Event(a.n.now(), &actor.Revoke{Grant: grant.IDOf(g.Grant)})
	if _, err := a.n.signAndPublish(ctx, a.hand, revoke, nil); err != nil {
		return err
	}
	a.signed, a.again = actor.Hash{}, false
	if err := a.renew(); err != nil {
		return err
	}
	return errAgain
}

// finish publishes what others left half way in this log: an event that some
// keepers voted for holds its place until it is certified, and a merge may name
// only what every keeper has met. What comes of each shows when the log is
// looked at again.
func (n *Network) finish(ctx context.Context, l *log) {
	events := make([][]byte, len(l.view.Open))
	for i, a := range l.view.Open {
		events[i] = a.Signed().Marshal()
	}
	_, _ = n.Publish(ctx, events...)
}

// signAndPublish proves an event by the hand, and by the key that it adds.
func (n *Network) signAndPublish(ctx context.Context, h Hand, event []byte, added *key.Signing) (Published, error) {
	proofs, err := h.proofs(event)
	if err != nil {
		return Published{}, fmt.Errorf("sign event: %w", err)
	}
	if added != nil {
		proofs = append(proofs, actor.ByKey(added, event))
	}
	all, err := n.Publish(ctx, actor.Signed(event, proofs...).Marshal())
	if len(all) == 0 {
		return Published{}, err
	}
	return all[0], err
}
