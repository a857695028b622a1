package gateway

import (
	"context"
	"errors"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/session"
)

// standing is the key logs by which a keeper would judge a session, as the
// keepers tell them. With anew none is taken from memory: who was taken on or
// enrolled a moment ago can sign in.
func (g *Gateway) standing(ctx context.Context, st *session.Statement, anew bool) (session.Check, error) {
	check := session.Check{Set: g.set.ID(), Now: g.now()}
	var bad error
	get := func(id abaton.ActorID) *actor.State {
		if id == (abaton.ActorID{}) || bad != nil {
			return nil
		}
		if anew {
			g.network.Refresh(id)
		}
		log, err := g.network.Log(ctx, id)
		if err != nil && !errors.Is(err, abaton.ErrNotFound) {
			bad = err
		}
		return log
	}
	check.Actor, check.Organisation, check.Device = get(st.Actor), get(st.Organisation), get(st.Device)
	if check.Actor != nil && check.Actor.Organisation() != st.Organisation {
		check.Home = get(check.Actor.Organisation())
	}
	if check.Organisation != nil {
		if m := check.Organisation.Member(st.Actor, check.Now); m != nil {
			check.Sponsor = get(m.Sponsor)
		}
	}
	return check, bad
}

// admits judges a session as a keeper would.
func (g *Gateway) admits(ctx context.Context, s *session.Session, one *offered) error {
	st := s.Statement()
	for _, anew := range []bool{false, true} {
		check, err := g.standing(ctx, &st, anew)
		if err != nil {
			return err
		}
		check.Fresh = one.names
		if s.Admit(check) == nil {
			return nil
		}
	}
	return notSigned()
}
