package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// sessionProbes need a live session at this keeper: a sample patient's own.
func sessionProbes() []probe {
	skip := func(p *prober) string {
		if p.network == nil {
			return "needs a session: not a keeper of the network in --dir"
		}
		return ""
	}
	return []probe{
		{name: "live session, another's signature", want: refusedWith(401, abaton.ReasonSignature), skip: skip, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.asPatient(ctx, func(q *session.Request, _ *key.Signing) []byte { return q.Sign(key.NewSigning()) })
		}},
		{name: "live session, an hour old", want: refusedWith(401, abaton.ReasonTime), skip: skip, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.asPatient(ctx, func(q *session.Request, k *key.Signing) []byte {
				q.Time = time.Now().Add(-time.Hour).Unix()
				return q.Sign(k)
			})
		}},
		{name: "live session, own question sent twice", want: expect{{reason: oneEntry}}, skip: skip, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.twice(ctx)
		}},
	}
}

// oneEntry is what a repeated request must come to: no second effect.
const oneEntry = "one ledger entry"

// patient opens a session at this keeper as some patient of the network.
func (p *prober) patient(ctx context.Context) (*asker, error) {
	all, err := p.network.People().All(actor.Patient)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("the network has no patient yet")
	}
	d, err := newDevice(p.network, all[0])
	if err != nil {
		return nil, err
	}
	defer d.hangUp()
	login, err := p.network.People().Direct(ctx, d.Person, d.net)
	if err != nil {
		return nil, err
	}
	a := &asker{entry: p.entry, login: login, patient: d.ID}
	a.verifier, err = ledger.NewVerifier(p.entry.Origin, p.entry.Key)
	return a, err
}

// asPatient sends a request under a live session that make has spoiled.
func (p *prober) asPatient(ctx context.Context, spoil func(*session.Request, *key.Signing) []byte) (answer, error) {
	a, err := p.patient(ctx)
	if err != nil {
		return answer{}, err
	}
	c, err := keeper.Dial(p.base, p.entry.SPKI)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	if _, err := a.open(ctx, c); err != nil {
		return answer{}, fmt.Errorf("begin session: %w", err)
	}
	id, err := a.session()
	if err != nil {
		return answer{}, err
	}
	return p.post(ctx, keeper.RouteRequest, keeper.ContentCBOR, spoil(newRequest(id, a.patient), a.login.Key))
}

// twice sends one request two times and compares the ledger entries named.
func (p *prober) twice(ctx context.Context) (answer, error) {
	a, err := p.patient(ctx)
	if err != nil {
		return answer{}, err
	}
	c, err := keeper.Dial(p.base, p.entry.SPKI)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	channel, err := a.open(ctx, c)
	if err != nil {
		return answer{}, fmt.Errorf("begin session: %w", err)
	}
	id, err := a.session()
	if err != nil {
		return answer{}, err
	}
	bytes := newRequest(id, a.patient).Sign(a.login.Key)
	first, err := a.send(ctx, c, channel, bytes)
	if err != nil {
		return answer{}, err
	}
	second, err := a.send(ctx, c, channel, bytes)
	if err != nil {
		return answer{}, err
	}
	if first.Entry != second.Entry {
		return answer{reason: "two ledger entries"}, nil
	}
	return answer{reason: oneEntry}, nil
}
