package custody

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// forgive: a lift has come into force. What was noted of the people whom its
// verdicts are about no longer counts, or the very next request would bring the
// same verdict again.
func (c *Core) forgive(t *tx, a *actor.Authentic) {
	b, ok := a.Body().(*actor.Lift)
	v := c.watching.vigils[a.Actor()]
	if !ok || v == nil || c.cfg.Mutation.skips("forgive") {
		return
	}
	var about []contain.Subject
	for _, name := range b.Verdicts {
		if s, known := c.watching.ladder.About(contain.Name(name)); known {
			about = append(about, s)
		}
	}
	t.after = append(t.after, func(*ledger.Group) {
		c.watching.tally.change(func(n *Tally) { n.Lifts += uint64(len(b.Verdicts)) })
		for _, s := range about {
			v.forgive(s)
		}
	})
}

// forgive forgets what was noted of whom a verdict is about. A device and an
// organisation have no memory of their own.
func (v *vigil) forgive(s contain.Subject) {
	switch s.Kind {
	case contain.KindPerson:
		v.watch.Forgive(s.ID)
	case contain.KindSession:
		v.watch.ForgiveSession(s.ID)
	}
}

// forgiving is what a keeper that reads its ledger again has met of verdicts.
type forgiving map[abaton.ActorID]map[contain.Name]contain.Subject // by organisation

// meet takes an entry of a verdict, or of a lift: what that one lifted is
// forgiven where it stands.
func (c *Core) meet(f forgiving, vigils map[abaton.ActorID]*vigil, e *ledger.Entry) error {
	switch e.Op {
	case ledger.OpContain:
		if f[e.Organisation] == nil {
			f[e.Organisation] = make(map[contain.Name]contain.Subject)
		}
		f[e.Organisation][contain.Name(e.Request)] = containedOf(e)
	case ledger.OpLift:
		v := vigils[e.Actor]
		org, err := c.actors.get(e.Actor)
		if err != nil || org == nil || v == nil {
			return err
		}
		for _, name := range org.LiftedBy(e.Request) {
			v.forgive(f[e.Actor][name])
		}
	}
	return nil
}

// containedOf is whom the entry of a verdict is about: the other end of
// containment.
func containedOf(e *ledger.Entry) contain.Subject {
	switch {
	case e.Session != (abaton.SessionID{}):
		return contain.Session(e.Session)
	case e.Device != (abaton.ActorID{}):
		return contain.Device(e.Device)
	case e.Actor != e.Organisation:
		return contain.Person(e.Actor)
	}
	return contain.Organisation(e.Organisation)
}

// tellHeld answers an organisation's managers and its security officers whom
// this keeper holds back, and ledgers that they asked: once an hour for the same
// answer to the same key, so that who asks every few seconds leaves a trace of what
// was learnt, not a heap.
func (c *Core) tellHeld(t *tx, q *keeper.Query, asker *actor.State) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if len(q.Actors) != 1 {
		return refused(abaton.ReasonMalformed)
	}
	organisation := q.Actors[0]
	own, may, err := c.oversees(asker, q.Key, abaton.ActorID{}, t.now)
	if err != nil {
		return t.fail(err)
	}
	if !may || own != organisation || !c.admitted[organisation] {
		return refused(abaton.ReasonCredential)
	}
	out := Output{Held: c.heldOf(organisation, t.now)}
	told := asked{hashOf(wire.Marshal(keeper.Statements{Actors: q.Actors, Held: out.Held})), q.Key}
	c.ledgerLook(t, told, ledger.Entry{Request: hashOf(wire.Marshal(q)), Op: ledger.OpLook, Outcome: ledger.Permitted,
		Actor: asker.Actor(), Organisation: organisation})
	return out
}

// heldOf is whom of an organisation this keeper holds back, those held furthest
// first.
func (c *Core) heldOf(organisation abaton.ActorID, now time.Time) (out []keeper.Held) {
	for _, h := range c.watching.ladder.List(organisation, now.Unix(), c.lifted) {
		if len(out) == keeper.HeldMax {
			break
		}
		one := keeper.Held{Kind: uint8(h.Subject.Kind), Subject: h.Subject.ID, Level: uint8(h.Level), Rules: uint32(h.Rules),
			By: h.By, Proof: h.Proof, Since: uint64(max(h.Since, 0)), Until: uint64(max(h.Until, 0))}
		for _, n := range h.Names {
			one.Verdicts = append(one.Verdicts, n)
		}
		out = append(out, one)
	}
	return out
}
