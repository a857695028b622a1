package custody

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/wire"
)

// held is since when this keeper has known, without a gap, that an actor has
// the emergency role of an organisation.
type held struct {
	Since int64 `cbor:"1,keyasint"` // unix seconds, this keeper's clock
	Until int64 `cbor:"2,keyasint"` // when the membership ends
}

func roleName(organisation, who abaton.ActorID) string {
	return "role/" + string(organisation[:]) + string(who[:])
}

// hearRole notes when this keeper first heard of an emergency role. Nobody
// else's time is asked for: an organisation in a thief's hands that writes
// itself emergency doctors waits, and its people see the events meanwhile. A
// gap begins the count anew: another role, a bar, a membership that ran out.
func (c *Core) hearRole(t *tx, a *actor.Authentic) {
	switch b := a.Body().(type) {
	case *actor.Bar:
		c.lapse(t, roleName(a.Actor(), b.Actor))
	case *actor.Member:
		c.hearMember(t, roleName(a.Actor(), b.Actor), b)
	}
}

func (c *Core) hearMember(t *tx, name string, b *actor.Member) {
	if !b.Holds(abaton.RoleEmergency) {
		c.lapse(t, name)
		return
	}
	h, ok, err := c.held(t, name)
	if err != nil {
		t.err = err
		return
	}
	now := t.now.Unix()
	if !ok || now >= h.Until {
		h.Since = now
	}
	h.Until = b.Expires
	c.jot(t, name, wire.Marshal(h))
}

// lapse ends a count that was begun.
func (c *Core) lapse(t *tx, name string) {
	if _, ok, err := c.held(t, name); err != nil {
		t.err = err
	} else if ok {
		c.jot(t, name, nil)
	}
}

func (c *Core) held(t *tx, name string) (h held, ok bool, err error) {
	b, err := c.noted(t, name)
	if err != nil || len(b) == 0 {
		return held{}, false, err
	}
	return h, true, wire.Unmarshal(b, &h)
}

// roleAged: this keeper has known for long enough that the asker has the
// emergency role. That the role is live now is session.Live's question.
func (v *verdict) roleAged() abaton.Reason {
	st := v.r.Session.Statement()
	h, ok, err := v.core.held(v.t, roleName(st.Organisation, st.Actor))
	if err != nil {
		return v.broken(err)
	}
	if !ok || v.t.now.Sub(time.Unix(h.Since, 0)) < v.core.cfg.Set.RecoveryWait() || v.t.now.Unix() >= h.Until {
		return abaton.ReasonNewRole
	}
	return ""
}
