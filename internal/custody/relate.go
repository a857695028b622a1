package custody

import (
	"context"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// Relate keeps what an organisation tells (PROTOCOL.md#relations). The door has
// verified the signatures.
type Relate struct {
	Told *relation.Relations
}

// slot: what is told and what is swept never meet in one group.
func (Relate) slot() string { return Tick{}.slot() }

// decide answers for the whole, or for each entry in Output.Each. The same
// statement again changes nothing; of two about one thing the newer holds, of
// two of one second the one that ends first.
func (r Relate) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if err := r.Told.InTime(t.now); err != nil {
		return refused(abaton.ReasonTime)
	}
	if !c.admitted[r.Told.Organisation] {
		return refused(abaton.ReasonActor)
	}
	org, err := c.actors.get(r.Told.Organisation)
	if err != nil {
		return t.fail(err)
	}
	if org == nil || org.Kind() != actor.Organisation {
		return refused(abaton.ReasonActor)
	}
	if !r.Told.SaidBy(org.KeyRights(r.Told.Key)) {
		return refused(abaton.ReasonCredential)
	}
	k := keeping{core: c, t: t, told: r.Told, fresh: make(map[abaton.ActorID]int)}
	if k.count, err = c.relationCount(t, r.Told.Organisation); err != nil {
		return t.fail(err)
	}
	out := Output{Each: make([]abaton.Reason, len(r.Told.Entries))}
	for i := range r.Told.Entries {
		if out.Each[i], err = k.keep(&r.Told.Entries[i]); err != nil {
			return t.fail(err)
		}
	}
	k.end()
	c.explain(t, r.Told)
	return out
}

// keeping is one statement on its way into the store.
type keeping struct {
	core  *Core
	t     *tx
	told  *relation.Relations
	count uint64                 // kept of the organisation, with this statement's
	fresh map[abaton.ActorID]int // new entries, by patient
	moved bool
}

func (k *keeping) keep(e *relation.Entry) (abaton.Reason, error) {
	if reason, err := k.about(e); reason != "" || err != nil {
		return reason, err
	}
	all, err := k.core.relationsOf(e.Patient, k.told.Organisation)
	if err != nil {
		return "", err
	}
	next := standingRelation{kind: e.Kind, whom: e.Whom, from: e.From, until: e.Until, told: k.told.Time, key: k.told.Key}
	for i := range all {
		if old := &all[i]; old.kind == next.kind && old.whom == next.whom && old.from == next.from {
			if next.told > old.told || next.told == old.told && next.until < old.until {
				k.put(e.Patient, &next)
			}
			return "", nil
		}
	}
	most, about := k.core.told.most, relation.PatientMax
	if !e.Kind.Expected() {
		most, about = most+relation.DelicateRoom, about+relation.DelicateMax
	}
	if k.count >= most || len(all)+k.fresh[e.Patient] >= about {
		return abaton.ReasonTooLarge, nil
	}
	k.count++
	k.fresh[e.Patient]++
	k.moved = true
	k.put(e.Patient, &next)
	return "", nil
}

// about: the patient is known here, and says itself that it is made up.
func (k *keeping) about(e *relation.Entry) (abaton.Reason, error) {
	if e.Kind == relation.Honey {
		st, err := k.core.actors.get(e.Patient)
		switch {
		case err != nil:
			return "", err
		case st == nil || st.Kind() != actor.Patient:
			return abaton.ReasonNotFound, nil
		case e.Until > e.From && st.KeyRights(e.WordKey())&actor.Manage == 0:
			return abaton.ReasonCredential, nil
		}
		return "", nil
	}
	known, err := k.core.actors.known(e.Patient)
	if err == nil && !known {
		return abaton.ReasonNotFound, nil
	}
	return "", err
}

func (k *keeping) put(patient abaton.ActorID, s *standingRelation) {
	k.core.store.Raw(relationSpace).Into(&k.t.change).Put(s.keyOf(patient, k.told.Organisation), s.value())
	k.core.told.forget(k.t, patient, k.told.Organisation)
}

func (k *keeping) end() {
	if k.moved {
		k.core.jot(k.t, relationsName(k.told.Organisation), wire.U64(k.count))
	}
}

// Relate answers an organisation's statement: each entry in its place.
func (k *Keeper) Relate(ctx context.Context, body []byte) ([]byte, error) {
	told, err := relation.Parse(body)
	if err != nil {
		return nil, err
	}
	out, err := k.one(ctx, Relate{Told: told})
	if err != nil {
		return nil, err
	}
	results := make([]keeper.Result, len(out.Each))
	for i, reason := range out.Each {
		results[i].Reason = reason
		if reason == "" {
			results[i].OK = []byte{}
		}
	}
	return wire.Marshal(keeper.Results{V: wire.Version, Results: results}), nil
}
