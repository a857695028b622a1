package custody

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/abaton-health/abaton/internal/store"
)

// noted is a durable note as of this group; empty when there is none.
func (c *Core) noted(t *tx, name string) ([]byte, error) {
	if b, ok := t.notes[name]; ok {
		return b, nil
	}
	b, err := c.store.Meta(name)
	if errors.Is(err, store.ErrAbsent) {
		return nil, nil
	}
	return b, err
}

// jot writes a note with the group; what is decided after sees it.
func (c *Core) jot(t *tx, name string, value []byte) {
	t.notes[name] = value
	c.store.PutMeta(&t.change, name, value)
}

// budgetSpan is over how long durable budgets count.
const budgetSpan = 24 * time.Hour

// hasRoom reports whether fewer than max things were counted under a name in the
// last 24 hours. Each is a time, so that no edge of a day lets twice as many.
func (c *Core) hasRoom(t *tx, name string, max int, now time.Time) (bool, error) {
	times, err := c.recent(t, name, now)
	return len(times)/8 < max, err
}

// spend counts one more, now.
func (c *Core) spend(t *tx, name string, now time.Time) {
	times, err := c.recent(t, name, now)
	if err != nil {
		t.err = err
		return
	}
	c.jot(t, name, binary.BigEndian.AppendUint64(times, uint64(now.Unix())))
}

// recent are the times under a name that still count. One from the future
// counts too: a clock that was set back gives no room.
func (c *Core) recent(t *tx, name string, now time.Time) ([]byte, error) {
	b, err := c.noted(t, name)
	if err != nil || len(b)%8 != 0 {
		return nil, errors.Join(err, errDamaged(len(b)%8 != 0))
	}
	first := uint64(max(now.Add(-budgetSpan).Unix(), 0))
	var keep []byte
	for ; len(b) > 0; b = b[8:] {
		if binary.BigEndian.Uint64(b) > first {
			keep = append(keep, b[:8]...)
		}
	}
	return keep, nil
}

func errDamaged(is bool) error {
	if is {
		return errors.New("counts are damaged")
	}
	return nil
}
