package client

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// channel is a session at one keeper.
type channel struct {
	opening sync.Mutex // one statement at a time; the others wait for it

	mu     sync.Mutex
	open   *session.Channel
	missed bool // the last request brought no answer
}

func (c *channel) failing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.missed
}

func (c *channel) heard(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed = err != nil && (reasonOf(err) == "" || ownTrouble(err))
}

func (c *channel) get() *session.Channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// replace sets the channel that follows old; a newer one stays.
func (c *channel) replace(old, next *session.Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == old {
		c.open = next
	}
}

// ownTrouble reports whether a keeper refused for want of its own.
func ownTrouble(err error) bool {
	switch reasonOf(err) {
	case abaton.ReasonLease, abaton.ReasonQuarantine, abaton.ReasonStorage, abaton.ReasonClock:
		return true
	}
	return false
}

// answered is a keeper's reply with the signed bytes that prove it.
type answered struct {
	keeper.Reply
	signed []byte
}

// whole reports whether nothing of what was asked was left out.
func (a *answered) whole() bool { return a.Outcome == keeper.Permitted }

// ask puts a question to one keeper and verifies its answer: sealed to this
// session, signed by the keeper, about this request, ledgered under a
// checkpoint of its own. A refusal is an *abaton.RefusedError.
func (r *Reader) ask(ctx context.Context, x abaton.KeeperIndex, q question) (*answered, error) {
	reply, err := r.askOnce(ctx, x, q)
	r.channels[x].heard(err)
	return reply, err
}

func (r *Reader) askOnce(ctx context.Context, x abaton.KeeperIndex, q question) (*answered, error) {
	var reply *answered
	var err error
	for try := range 2 {
		var c *session.Channel
		if c, err = r.channel(ctx, x); err != nil {
			return nil, err
		}
		var sealed []byte
		sealed, err = r.n.call(ctx, x, keeper.RouteRequest, q.bytes)
		if err == nil {
			reply, err = r.read(x, c, q, sealed)
		}
		// A keeper that has started anew does not know the session, or has
		// another channel for it; the statement goes there once more.
		again := reasonOf(err) == abaton.ReasonNoSession || err == session.ErrSealed
		if !again || try > 0 {
			break
		}
		r.channels[x].replace(c, nil)
	}
	if err == session.ErrSealed {
		err = errAnswer
	}
	return reply, err
}

// channel opens the session at x unless it is open.
func (r *Reader) channel(ctx context.Context, x abaton.KeeperIndex) (*session.Channel, error) {
	c := r.channels[x]
	if open := c.get(); open != nil {
		return open, nil
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	if open := c.get(); open != nil {
		return open, nil
	}
	open, err := r.openAt(ctx, x)
	if err != nil {
		return nil, err
	}
	c.replace(nil, open)
	return open, nil
}

func (r *Reader) openAt(ctx context.Context, x abaton.KeeperIndex) (*session.Channel, error) {
	body, err := r.n.call(ctx, x, keeper.RouteSession, r.login.Signed)
	if err != nil {
		return nil, err
	}
	var signed keeper.Signed
	var opened keeper.Opened
	if wire.Unmarshal(body, &signed) != nil || wire.Unmarshal(signed.Body, &opened) != nil {
		return nil, errAnswer
	}
	if opened.V != wire.Version || opened.Keeper != x || opened.Session != r.id ||
		!key.Verify(r.n.set.Keeper(x).Key, wire.Answer, signed.Body, signed.Sig) {
		return nil, errAnswer
	}
	open, err := session.AcceptChannel(r.login.Reply, r.id, x, opened.Enc)
	if err != nil {
		return nil, errAnswer
	}
	return open, nil
}

// read opens and verifies one reply.
func (r *Reader) read(x abaton.KeeperIndex, c *session.Channel, q question, data []byte) (*answered, error) {
	var sealed keeper.SealedReply
	if wire.Unmarshal(data, &sealed) != nil || sealed.V != wire.Version || sealed.Keeper != x {
		return nil, errAnswer
	}
	plain, err := c.OpenReply(q.hash, session.Sealed{Salt: sealed.Salt, Ciphertext: sealed.Sealed})
	if err != nil {
		return nil, session.ErrSealed
	}
	var signed keeper.Signed
	a := &answered{signed: plain}
	if wire.Unmarshal(plain, &signed) != nil || wire.Unmarshal(signed.Body, &a.Reply) != nil {
		return nil, errAnswer
	}
	entry := r.n.set.Keeper(x)
	if a.V != wire.Version || a.Keeper != x || a.Request != q.hash ||
		!key.Verify(entry.Key, wire.Reply, signed.Body, signed.Sig) {
		return nil, errAnswer
	}
	if err := r.n.ledgered(x, a); err != nil {
		return nil, err
	}
	switch {
	case a.Outcome == keeper.Refused && a.Reason != "":
		return nil, abaton.Refuse(a.Reason)
	case a.Outcome != keeper.Permitted && a.Outcome != keeper.Partly:
		return nil, errAnswer
	}
	return a, nil
}

// ledgered checks that the keeper's own signed checkpoint covers the entry it
// says it wrote: no answer counts that is not in a ledger.
func (n *Network) ledgered(x abaton.KeeperIndex, a *answered) error {
	entry := n.set.Keeper(x)
	verifier, err := ledger.NewVerifier(entry.Origin, entry.Key)
	if err != nil {
		return errAnswer
	}
	c, err := ledger.VerifyCheckpoint(a.Checkpoint, entry.Origin, verifier)
	if err != nil || c.Size <= a.Entry {
		return errAnswer
	}
	return nil
}

func sha(b []byte) [32]byte { return sha256.Sum256(b) }
