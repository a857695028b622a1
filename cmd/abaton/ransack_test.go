package main

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

func (v *victims) robber() *robber { return &robber{net: v.net, patients: v.patients, staff: v.staff} }

// ransack tries everything that a session may be let do.
func (v *victims) ransack(l client.Login, touch *key.Passkey) *haul {
	v.t.Helper()
	h, err := v.robber().ransack(v.t.Context(), l, touch)
	v.check(err)
	return h
}

// opensKept opens what a care team keeps, as one of it, and tries every line.
func (v *victims) opensKept(w *people.World, member *people.Person) *haul {
	v.t.Helper()
	h := newHaul()
	b, err := w.OpenKept(v.t.Context(), v.net, member, v.kept.ID)
	if err != nil {
		return h
	}
	l, err := w.Direct(v.t.Context(), member, v.net, b)
	v.check(err)
	reader, err := v.net.NewReader(l)
	v.check(err)
	defer reader.Close()
	log, err := v.net.Log(v.t.Context(), v.kept.ID)
	v.check(err)
	v.check(v.robber().tryGrant(v.t.Context(), h, reader, member.Passkey, log, client.Ask{Grant: b.Grant}, []abaton.Purpose{abaton.Treatment, abaton.Operations}))
	return h
}

// session is a session of p as its own device begins and lends it: what a
// gateway holds in memory. Direct makes its keys outside of any gateway.
func (v *victims) session(p *people.Person) client.Login {
	v.t.Helper()
	l, err := lent(v.t.Context(), v.n, p)
	v.check(err)
	return l
}
