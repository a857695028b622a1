package custody

import (
	"cmp"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// tellSteer answers an organisation's managers and its security officers what
// they decide by: verdicts with their grounds, and of one who is named what
// counts now. It is ledgered that they asked, and about whom.
func (c *Core) tellSteer(t *tx, q *keeper.Query, asker *actor.State) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if len(q.Actors) < 1 || len(q.Actors) > 2 {
		return refused(abaton.ReasonMalformed)
	}
	if !c.fresh(t.now, abaton.LeaseMax) { // it could not tell an officer who is one no longer
		return refused(abaton.ReasonLease)
	}
	organisation, who := q.Actors[0], abaton.ActorID{}
	if len(q.Actors) == 2 {
		who = q.Actors[1]
	}
	own, may, err := c.oversees(asker, q.Key, abaton.ActorID{}, t.now)
	switch {
	case err != nil:
		return t.fail(err)
	case !may, own != organisation, !c.admitted[organisation], asker.KeyRights(q.Key)&actor.Manage == 0:
		return refused(abaton.ReasonCredential)
	}
	t.enter(ledger.Entry{Request: hashOf(wire.Marshal(q)), Op: ledger.OpLook, Outcome: ledger.Permitted,
		Actor: asker.Actor(), Organisation: organisation, Behalf: who})
	out := Output{Held: c.heldOf(organisation, t.now), Steer: new(keeper.Steer)}
	if out.Steer.Words, err = c.wordsOf(organisation, t.now); err != nil {
		return t.fail(err)
	}
	if who == (abaton.ActorID{}) {
		return out
	}
	m, err := c.vigil(organisation, t.now)
	if err != nil {
		return t.fail(err)
	}
	figures, care := m.watch.Counted(who, t.now.Unix())
	out.Steer.Counted, out.Steer.InCare = figuresOf(figures), uint64(care)
	return out
}

// wordsOf are the verdicts about an organisation's people that stand or ended
// lately.
func (c *Core) wordsOf(organisation abaton.ActorID, now time.Time) (out []keeper.Word, err error) {
	standing := make(map[contain.Name]bool)
	for _, h := range c.watching.ladder.List(organisation, now.Unix(), c.lifted) {
		for _, n := range h.Names {
			standing[n] = true
		}
	}
	all, err := c.pastsOf(organisation, keeper.WordsMax)
	if err != nil {
		return nil, err
	}
	for i := range all {
		w, err := c.word(&all[i], organisation, standing, now.Unix())
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// steer adds what the shell knows: who is signed in, and how many patients gave
// something to the one who is named.
func (k *Keeper) steer(a *keeper.Statements, q *keeper.Query, out Output) (err error) {
	a.Held, a.Steer = out.Held, out.Steer
	a.Steer.SignedIn = k.sessions.of(q.Actors[0], k.cfg.Now())
	if len(q.Actors) < 2 {
		return nil
	}
	total, err := countAt(k.store, granteeCount(q.Actors[1]))
	a.Steer.Granted = min(total, keeper.GrantedMax)
	return err
}

// of are an organisation's sessions that have not ended, those that end last
// first.
func (s *sessions) of(organisation abaton.ActorID, now time.Time) (all []keeper.SignedIn) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, o := range s.live {
		st := o.session.Statement()
		if st.Organisation != organisation || now.Unix() >= st.Expires {
			continue
		}
		all = append(all, keeper.SignedIn{Session: id, Actor: st.Actor, Device: st.Device, Role: st.Role, Behalf: st.Behalf, Expires: uint64(st.Expires)})
	}
	slices.SortFunc(all, func(a, b keeper.SignedIn) int {
		return cmp.Or(cmp.Compare(b.Expires, a.Expires), slices.Compare(a.Session[:], b.Session[:]))
	})
	return all[:min(len(all), keeper.SignedInMax)]
}
