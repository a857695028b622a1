package custody

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/wire"
)

// heardName is where this keeper notes when it first heard of a recovery. It
// lies in the batch that stores the event: no restart makes a wait shorter.
func heardName(recover actor.Hash) string { return "heard/" + string(recover[:]) }

// hear notes the time of a recovery or an emergency role that is new here. Nobody else's time is
// asked for, least of all the event's own.
func (c *Core) hear(t *tx, a *actor.Authentic) {
	c.hearRole(t, a)
	if a.Kind() != actor.EventRecover {
		return
	}
	c.store.PutMeta(&t.change, heardName(a.Hash()), wire.U64(uint64(t.now.Unix())))
}

// firstHeard is when this keeper first heard of a recovery; false when it has not.
func (c *Core) firstHeard(t *tx, recover actor.Hash) (time.Time, bool) {
	b, err := c.store.Meta(heardName(recover))
	if errors.Is(err, store.ErrAbsent) {
		return time.Time{}, false
	}
	if err != nil || len(b) != 8 {
		t.err = errors.Join(err, errors.New("time of a recovery is damaged"))
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), true
}

// stateOf is an actor's log for a door; nil when it is unknown.
func (c *Core) stateOf(t *tx, id abaton.ActorID) *actor.State {
	st, err := c.actors.get(id)
	if err != nil {
		t.err = err
	}
	return st
}
