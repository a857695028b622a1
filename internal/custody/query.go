package custody

import (
	"context"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// Limits of one answer to a query: so many statements, so many bytes.
const (
	statementsMax     = 512
	statementBytesMax = 8 << 20
	patientsMax       = 1024
)

// mayAsk decides who may read key logs: a live key of an actor known here, or a
// keeper of the set.
type mayAsk struct {
	Query *keeper.Query
}

func (m mayAsk) slot() string {
	if m.Query.Look == nil {
		return ""
	}
	return "look/" + string(m.Query.Look.Name[:]) // one entry, however many pages ask at once
}

func (m mayAsk) decide(c *Core, t *tx) Output {
	peer := c.cfg.Set.KeeperOf(m.Query.Key)
	switch {
	case (m.Query.Kind == keeper.QueryFeed || m.Query.Kind == keeper.QueryTime) && peer == nil:
		return refused(abaton.ReasonPeer)
	case m.Query.Kind == keeper.QueryFeed:
		_, yours, _ := c.witness.Latest(peer.Origin)
		return Output{Bytes: yours}
	case peer != nil && (m.Query.Kind == keeper.QueryOpened || m.Query.Kind == keeper.QueryTouched || m.Query.Kind == keeper.QueryHeld):
		return refused(abaton.ReasonPeer)
	case peer != nil:
		return Output{}
	}
	owner, err := c.keyOwner(m.Query.Key)
	if err != nil {
		return t.fail(err)
	}
	if m.Query.Kind == keeper.QueryGranted { // who granted whom is the grantee's to ask
		if len(m.Query.Actors) != 1 {
			return refused(abaton.ReasonCredential)
		}
		if owner != m.Query.Actors[0] {
			mine, err := c.mayAskFor(owner, m.Query.Actors[0], t.now)
			if err != nil {
				return t.fail(err)
			}
			if !mine {
				owner = m.Query.Actors[0]
			}
		}
	}
	st, err := c.actors.get(owner)
	if err != nil {
		return t.fail(err)
	}
	if st == nil || st.KeyRights(m.Query.Key) == 0 {
		return refused(abaton.ReasonCredential)
	}
	switch m.Query.Kind {
	case keeper.QueryOpened:
		return c.tellOpenings(t, m.Query, st)
	case keeper.QueryTouched:
		return c.admitLook(t, m.Query, st)
	case keeper.QueryHeld:
		return c.tellHeld(t, m.Query, st)
	}
	return Output{}
}

// Tell answers a query for key logs or, from a peer, for the statement feed.
func (k *Keeper) Tell(ctx context.Context, body []byte) ([]byte, error) {
	var q keeper.Query
	signed, err := verified(body, wire.Query, func(b []byte) (abaton.KeyID, error) {
		if wire.Unmarshal(b, &q) != nil || q.V != wire.Version || len(q.Actors) > keeper.QueryActorsMax || !lookForm(&q) {
			return abaton.KeyID{}, abaton.Refuse(abaton.ReasonMalformed)
		}
		return q.Key, nil
	})
	if err != nil {
		return nil, err
	}
	now := k.cfg.Now()
	// Who asks for the time may have a wrong clock: that is why.
	if skew := now.Sub(time.Unix(int64(q.Time), 0)); q.Kind != keeper.QueryTime && (skew > abaton.ClockSkewMax || skew < -abaton.ClockSkewMax) {
		return nil, abaton.Refuse(abaton.ReasonTime)
	}
	out, err := k.one(ctx, mayAsk{Query: &q})
	if err != nil {
		return nil, err
	}
	_, point := k.core.log.Checkpoint()
	if q.Kind == keeper.QueryLog && len(q.Actors) == 0 {
		point = k.vouched.name(k.core.log, now)
	}
	a := keeper.Statements{
		V: wire.Version, Keeper: k.cfg.Index, Query: hashOf(signed), Head: k.store.FeedHead(),
		Time: uint64(now.Unix()), Checkpoint: point, Yours: out.Bytes,
	}
	switch q.Kind {
	case keeper.QueryTime:
	case keeper.QueryOpened:
		a.Openings = out.Openings
	case keeper.QueryTouched:
		err = k.touched(ctx, &a, &q, out.Entry)
	case keeper.QueryHeld:
		a.Held = out.Held
	case keeper.QueryLog:
		err = k.logs(&a, q.Actors, q.From)
	case keeper.QueryFeed:
		if a.Erased, err = countAt(k.store, goneHead); err == nil {
			err = k.feed(&a, q.From)
		}
	case keeper.QueryGranted:
		if len(q.Actors) != 1 {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
		a.Actors, a.Next, err = patientsOf(k.store, q.Actors[0], q.From, patientsMax)
	default:
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if err != nil {
		return nil, err
	}
	return wire.Marshal(k.cfg.Key.Seal(wire.Feed, wire.Marshal(a))), nil
}

// logs gathers key logs, one after the other. Next is where a long answer goes
// on: the log's place in the question, and how many of its statements were told.
// What a log gets in the meantime moves the rest back, so that something may be
// told twice and nothing is left out.
func (k *Keeper) logs(a *keeper.Statements, ids []abaton.ActorID, from uint64) error {
	size, skip := 0, from&toldMask
	for n := from >> toldBits; n < uint64(len(ids)) && a.Next == 0; n++ {
		told := uint64(0)
		err := k.store.Statements(ids[n], 0, func(s store.Statement) bool {
			if told++; told <= skip {
				return true
			}
			if size > 0 && size+len(s.Bytes) > k.pageMax {
				a.Next = n<<toldBits | (told - 1)
				return false
			}
			a.Statements = append(a.Statements, s.Bytes)
			size += len(s.Bytes)
			return true
		})
		if err != nil {
			return err
		}
		skip = 0
	}
	return nil
}

// Of a place in an answer to a question for key logs the lower bits count
// statements, the upper ones logs.
const (
	toldBits = 32
	toldMask = 1<<toldBits - 1
)

func (k *Keeper) feed(a *keeper.Statements, from uint64) error {
	size := 0
	a.Next = from
	return k.store.Feed(from, func(s store.Statement) bool {
		a.Statements = append(a.Statements, s.Bytes)
		size += len(s.Bytes)
		a.Next = s.Index + 1
		return size < statementBytesMax && len(a.Statements) < statementsMax
	})
}
