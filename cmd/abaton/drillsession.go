package main

import (
	"context"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// lent is a session of p as its own device begins and lends it: what a gateway
// holds in memory. Its keys are made outside of any gateway.
func lent(ctx context.Context, n *local.Network, p *people.Person) (client.Login, error) {
	d, err := newDevice(n, p)
	if err != nil {
		return client.Login{}, err
	}
	defer d.hangUp()
	bundles, err := d.lendable(ctx)
	if err != nil {
		return client.Login{}, err
	}
	return n.People().Direct(ctx, p, d.net, bundles...)
}

// begun makes a session out of what a thief has. Nothing is asked before the
// keepers get it: they judge. gateway is the organisation whose gateway d
// pretends to sign in at.
func begun(ctx context.Context, net *client.Network, gateway abaton.ActorID, d login.Device, bundles ...session.Bundle) (client.Login, error) {
	checks, err := net.Checkpoints(ctx)
	if err != nil {
		return client.Login{}, err
	}
	d.Set, d.Gateway = net.Set().ID(), gateway
	nonce := key.NewSecret()
	l := client.Login{Key: key.NewSigning(), Reply: key.NewBox(), Bundles: bundles}
	o := login.Offer{Session: l.Key.ID().String(), Reply: login.Encode(l.Reply.Public().Bytes()), Set: d.Set.String(),
		Organisation: d.Gateway.String(), Nonce: login.Encode(nonce[:grant.NonceBytes])}
	for _, c := range checks {
		o.Checkpoints = append(o.Checkpoints, string(c))
	}
	done, err := login.Answer(o, d, nil, time.Now())
	if err != nil {
		return l, err
	}
	l.Signed, err = login.Decode(done.Statement)
	return l, err
}

// sorted has the lines of a question in the order that keepers want.
func sorted(ask client.Ask) client.Ask {
	slices.SortFunc(ask.Lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	return ask
}

// bars has a patient shut somebody out.
func (g *ground) bars(ctx context.Context, patient, who *people.Person) error {
	_, err := g.org.net.Append(ctx, patient.Hand(), &actor.Bar{Actor: who.ID})
	return err
}
