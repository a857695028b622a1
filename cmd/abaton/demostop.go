package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// stopMax is how long a stopped grant may go on being answered anywhere
// (the budget is p99 at most a second; a busy machine is slower).
const stopMax = 10 * time.Second

// accessStopped takes the grant back while ben's sessions are open at every
// keeper, and measures until each of them refuses.
func (d *demo) accessStopped(ctx context.Context) (result, error) {
	r := result{unit: "ms"}
	if d.grant == (abaton.GrantID{}) {
		return r, errBefore
	}
	row, err := d.rowOf()
	if err != nil {
		return r, err
	}
	all, err := d.openEverywhere(ctx, d.grant, row)
	if err != nil {
		return r, err
	}
	defer all.close()
	if n, err := all.permitted(ctx); err != nil || n != len(all.at) {
		return r, fmt.Errorf("before it is stopped %d of %d keepers answer: %w", n, len(all.at), err)
	}
	began := time.Now()
	p, err := d.patient.Stop(ctx, d.patient.net, d.grant, false)
	stopped := ms(began)
	if err != nil {
		return r, err
	}
	for {
		asked := time.Now()
		n, err := all.permitted(ctx)
		if err != nil {
			return r, err
		}
		if r.figure = float64(asked.Sub(began).Microseconds()) / 1000; n == 0 {
			break // what was asked at that moment was refused everywhere
		}
		if time.Since(began) > stopMax {
			return r, fmt.Errorf("%d keepers still answer", n)
		}
	}
	r.detail = fmt.Sprintf("until all five keepers refuse a session that was open; in force at %d of %d after %.1f ms", p.At, p.Of, stopped)
	s, err := d.signIn(ctx, d.ben)
	if err != nil {
		return r, err
	}
	if _, err := everything(ctx, s, d.own.patient); !refusedByGateway(err) {
		return r, fmt.Errorf("the gateway did not refuse: %v", err)
	}
	return r, nil
}

// everywhere is one session of ben's, open at each keeper.
type everywhere struct {
	login    client.Login
	question session.Request
	at       []*opened
}

type opened struct {
	ask     *asker
	wire    *keeper.Client
	channel *session.Channel
}

// openEverywhere opens one session of ben's at each keeper, to ask for one row
// under a grant.
func (d *demo) openEverywhere(ctx context.Context, id abaton.GrantID, row client.Row) (*everywhere, error) {
	l, err := d.n.People().Direct(ctx, d.ben.Person, d.ben.net)
	if err != nil {
		return nil, err
	}
	all := &everywhere{login: l, question: session.Request{V: wire.Version, Patient: d.patient.ID, Grant: id, Mode: session.Release,
		Purpose: abaton.Treatment, Rows: []session.Row{{Batch: row.Batch, Bits: row.Records}}}}
	for i := range d.n.Set().Keepers {
		o, err := openAt(ctx, &asker{entry: &d.n.Set().Keepers[i], login: l, patient: d.patient.ID})
		if err != nil {
			all.close()
			return nil, err
		}
		all.at = append(all.at, o)
	}
	all.question.Session, err = all.at[0].ask.session()
	return all, err
}

func openAt(ctx context.Context, a *asker) (*opened, error) {
	c, err := keeper.Dial(a.entry.URL, a.entry.SPKI)
	if err != nil {
		return nil, err
	}
	channel, err := a.open(ctx, c)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("open session at keeper %d: %w", a.entry.X, err)
	}
	return &opened{ask: a, wire: c, channel: channel}, nil
}

func (all *everywhere) close() {
	for _, o := range all.at {
		o.wire.Close()
	}
}

// ungranted are the reasons that say: not under this grant.
var ungranted = []abaton.Reason{abaton.ReasonGrant, abaton.ReasonRevoked, abaton.ReasonNotFound}

// permitted asks all keepers the same question at once and counts those that
// hand something out. Anything but a refusal for the grant is an error.
func (all *everywhere) permitted(ctx context.Context) (n int, err error) {
	q := all.question
	q.Time = time.Now().Unix()
	rand.Read(q.Nonce[:])
	bytes := q.Sign(all.login.Key)
	released := make([]bool, len(all.at))
	errs := make([]error, len(all.at))
	var wg sync.WaitGroup
	for i, o := range all.at {
		wg.Go(func() {
			reply, err := o.ask.send(ctx, o.wire, o.channel, bytes)
			if refused, ok := errors.AsType[*abaton.RefusedError](err); ok && slices.Contains(ungranted, refused.Reason) {
				return
			}
			released[i], errs[i] = err == nil && len(reply.Pieces) > 0, err
		})
	}
	wg.Wait()
	for _, yes := range released {
		if yes {
			n++
		}
	}
	return n, errors.Join(errs...)
}
