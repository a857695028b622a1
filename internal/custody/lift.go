package custody

import (
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
	if !ok || v == nil {
		return
	}
	var people []contain.Subject
	for _, name := range b.Verdicts {
		if s, known := c.watching.ladder.About(contain.Name(name)); known && s.Kind == contain.KindPerson {
			people = append(people, s)
		}
	}
	t.after = append(t.after, func(*ledger.Group) {
		c.watching.tally.change(func(n *Tally) { n.Lifts += uint64(len(b.Verdicts)) })
		for _, s := range people {
			v.watch.Forgive(s.ID)
		}
	})
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
	var out Output
	for _, h := range c.watching.ladder.List(organisation, t.now.Unix(), c.lifted) {
		if len(out.Held) == keeper.HeldMax {
			break
		}
		one := keeper.Held{Kind: uint8(h.Subject.Kind), Subject: h.Subject.ID, Level: uint8(h.Level), Rules: uint32(h.Rules),
			By: h.By, Proof: h.Proof, Since: uint64(max(h.Since, 0)), Until: uint64(max(h.Until, 0))}
		for _, n := range h.Names {
			one.Verdicts = append(one.Verdicts, n)
		}
		out.Held = append(out.Held, one)
	}
	told := asked{hashOf(wire.Marshal(keeper.Statements{Actors: q.Actors, Held: out.Held})), q.Key}
	c.ledgerLook(t, told, ledger.Entry{Request: hashOf(wire.Marshal(q)), Op: ledger.OpLook, Outcome: ledger.Permitted,
		Actor: asker.Actor(), Organisation: organisation})
	return out
}
