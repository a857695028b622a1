package custody

import (
	"cmp"
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/wire"
)

// Budget bounds how many different patients one actor may open here, whatever
// it is granted and whatever its organisation's policy says. The zero Budget
// refuses everything.
type Budget struct {
	PatientsPerHour int
	PatientsPerDay  int
}

// Spans of the windows, in seconds.
const (
	hourSpan = int64(time.Hour / time.Second)
	daySpan  = 24 * hourSpan
	// keepEvery is how often the time of a patient's newest opening is written
	// again; a restart takes it to be this much later, never earlier.
	keepEvery = int64(time.Minute / time.Second)
)

// windowSpace holds when each actor last opened each patient: actor, patient,
// then unix seconds as u64. It is what lets a budget outlive a restart.
const windowSpace = 'b'

// windowsMax bounds the windows held in memory; others are read again.
const windowsMax = 4096

// windows are the patients each actor opened here in the last day.
type windows map[abaton.ActorID]*window

// window is one actor's, counted as time goes on, so that a question costs the
// same however many there are.
type window struct {
	at     map[abaton.ActorID]*list.Element // of *opening
	order  *list.List                       // by last, the oldest first
	recent *list.Element                    // the oldest of the last hour; nil: none
	hour   int                              // how many from recent on
}

// opening is when a patient was last opened and when that was last written, in
// unix seconds.
type opening struct {
	patient    abaton.ActorID
	last, kept int64
	recent     bool // counted in hour
}

func newWindow() *window {
	return &window{at: make(map[abaton.ActorID]*list.Element), order: list.New()}
}

func openingOf(e *list.Element) *opening { return e.Value.(*opening) }

// settle lets what is older than the spans fall out, and names who is gone.
func (w *window) settle(now int64) (gone []abaton.ActorID) {
	for w.recent != nil && now-openingOf(w.recent).last >= hourSpan {
		openingOf(w.recent).recent = false
		w.recent, w.hour = w.recent.Next(), w.hour-1
	}
	for e := w.order.Front(); e != nil && e != w.recent && now-openingOf(e).last >= daySpan; e = w.order.Front() {
		gone = append(gone, openingOf(e).patient)
		delete(w.at, openingOf(e).patient)
		w.order.Remove(e)
	}
	return gone
}

// count is how many patients the window holds for an hour and for a day, with
// this one. Settle it first.
func (w *window) count(patient abaton.ActorID) (hour, day int64) {
	hour, day = int64(w.hour), int64(len(w.at))
	e := w.at[patient]
	if e == nil {
		day++
	}
	if e == nil || !openingOf(e).recent {
		hour++
	}
	return hour, day
}

// open notes an opening now, and says whether it is to be written. Settle it
// first.
func (w *window) open(patient abaton.ActorID, now int64) (o *opening, write bool) {
	e := w.at[patient]
	switch {
	case e == nil:
		e = w.order.PushBack(&opening{patient: patient, last: now})
		w.at[patient] = e
	case e == w.recent && e.Next() != nil:
		w.recent = e.Next()
	}
	w.order.MoveToBack(e)
	if w.recent == nil {
		w.recent = e
	}
	o = openingOf(e)
	if !o.recent {
		o.recent, w.hour = true, w.hour+1
	}
	o.last = max(o.last, now)
	if before := e.Prev(); before != nil {
		o.last = max(o.last, openingOf(before).last) // the clock was set back: the order holds
	}
	write = o.kept == 0 || now-o.kept >= keepEvery
	if write {
		o.kept = now
	}
	return o, write
}

// trim is called between groups, so that no window with undurable openings is
// dropped.
func (w windows) trim() {
	for id := range w {
		if len(w) <= windowsMax {
			return
		}
		delete(w, id)
	}
}

func openingKey(actor, patient abaton.ActorID) []byte {
	return append(append(make([]byte, 0, 2*len(actor)), actor[:]...), patient[:]...)
}

// window is the actor's, read from the store where memory does not hold it.
func (c *Core) window(actor abaton.ActorID) (*window, error) {
	if w := c.windows[actor]; w != nil {
		return w, nil
	}
	var read []*opening
	var bad error
	err := c.store.Raw(windowSpace).Scan(actor[:], prefixEnd(actor), func(key, value []byte) bool {
		patient, at, err := readOpening(key, value)
		read = append(read, &opening{patient: patient, last: at + keepEvery, kept: at, recent: true})
		bad = err
		return err == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read window: %w", err)
	}
	slices.SortFunc(read, func(a, b *opening) int { return cmp.Compare(a.last, b.last) })
	w := newWindow()
	for _, o := range read {
		w.at[o.patient] = w.order.PushBack(o)
	}
	w.recent, w.hour = w.order.Front(), w.order.Len()
	c.windows[actor] = w
	return w, nil
}

// prefixEnd is the first key that does not begin with the actor's name; nil
// where there is none.
func prefixEnd(actor abaton.ActorID) []byte {
	end := append([]byte(nil), actor[:]...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func readOpening(key, value []byte) (patient abaton.ActorID, at int64, err error) {
	if len(key) != 2*len(patient) || len(value) != 8 {
		return patient, 0, errors.New("opening is damaged")
	}
	copy(patient[:], key[len(patient):])
	return patient, int64(binary.BigEndian.Uint64(value)), nil
}

// opened is how many different patients the actor has opened here in an hour
// and in a day, counting this one.
func (c *Core) opened(t *tx, actor, patient abaton.ActorID) (hour, day int64, err error) {
	w, err := c.window(actor)
	if err != nil {
		return 0, 0, err
	}
	now := t.now.Unix()
	for _, gone := range w.settle(now) {
		c.store.Raw(windowSpace).Into(&t.change).Delete(openingKey(actor, gone))
	}
	hour, day = w.count(patient)
	return hour, day, nil
}

// opens counts an opening, with the group.
func (c *Core) opens(t *tx, actor, patient abaton.ActorID) error {
	if actor == patient {
		return nil // the own record has no budget
	}
	if _, _, err := c.opened(t, actor, patient); err != nil { // settles the window
		return err
	}
	w := c.windows[actor]
	if o, write := w.open(patient, t.now.Unix()); write {
		c.store.Raw(windowSpace).Into(&t.change).Put(openingKey(actor, patient), wire.U64(uint64(o.kept)))
	}
	return nil
}

// sweepMax bounds one commit of the sweep.
const sweepMax = 4096

// sweepWindows forgets what is older than a day, once at start: whoever never
// comes back leaves nothing.
func (c *Core) sweepWindows(now time.Time) error {
	for {
		var change store.Change
		space, n := c.store.Raw(windowSpace), 0
		var bad error
		err := space.Scan(nil, nil, func(key, value []byte) bool {
			_, at, err := readOpening(key, value)
			if bad = err; err == nil && now.Unix()-at >= daySpan+keepEvery {
				space.Into(&change).Delete(key)
				n++
			}
			return bad == nil && n < sweepMax
		})
		if err = errors.Join(err, bad); err != nil {
			return fmt.Errorf("sweep windows: %w", err)
		}
		if n == 0 {
			return nil
		}
		if err := c.store.Commit(&change); err != nil {
			return fmt.Errorf("sweep windows: %w", err)
		}
		if n < sweepMax {
			return nil
		}
	}
}
