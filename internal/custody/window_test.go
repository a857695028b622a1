package custody

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// model counts openings the slow way.
type model map[abaton.ActorID]int64

func (m model) count(patient abaton.ActorID, now int64) (hour, day int64) {
	hour, day = 1, 1
	for p, last := range m {
		if p == patient {
			continue
		}
		if now-last < hourSpan {
			hour++
		}
		if now-last < daySpan {
			day++
		}
	}
	return hour, day
}

// TestWindowCounts: a window counts what a plain list of all openings would,
// over days of random openings.
func TestWindowCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	c := newWindowCore(t)
	who, m, now := abaton.ActorID{1}, make(model), int64(1_800_000_000)
	for range 5000 {
		now += int64(r.IntN(900))
		patient := abaton.ActorID{2, byte(r.IntN(200))}
		tx := &tx{now: time.Unix(now, 0)}
		hour, day, err := c.opened(tx, who, patient)
		if err != nil {
			t.Fatal(err)
		}
		if h, d := m.count(patient, now); hour != h || day != d {
			t.Fatalf("got %d an hour, %d a day; want %d, %d", hour, day, h, d)
		}
		if r.IntN(3) > 0 {
			if err := c.opens(tx, who, patient); err != nil {
				t.Fatal(err)
			}
			m[patient] = now
		}
		kept(t, c, tx)
	}
	if n := len(c.windows[who].at); n != c.windows[who].order.Len() || n > 200 {
		t.Errorf("got %d openings and %d in order", n, c.windows[who].order.Len())
	}
}

// TestWindowOutlivesARestart: what is read again counts no less, and no more
// than a minute longer.
func TestWindowOutlivesARestart(t *testing.T) {
	c := newWindowCore(t)
	who, start := abaton.ActorID{0xff, 1}, time.Unix(1_800_000_000, 0)
	for i := range 30 {
		tx := &tx{now: start.Add(time.Duration(i) * time.Minute)}
		if err := c.opens(tx, who, abaton.ActorID{3, byte(i % 20)}); err != nil {
			t.Fatal(err)
		}
		kept(t, c, tx)
	}
	other := &tx{now: start}
	if err := c.opens(other, abaton.ActorID{0xff, 2}, abaton.ActorID{9}); err != nil {
		t.Fatal(err)
	}
	kept(t, c, other)
	for _, after := range []time.Duration{30 * time.Minute, 70 * time.Minute, 75 * time.Minute, 23 * time.Hour} {
		again := &Core{store: c.store, windows: make(windows)}
		at := start.Add(after)
		got, _, err := again.opened(&tx{now: at}, who, abaton.ActorID{4})
		if err != nil {
			t.Fatal(err)
		}
		running, day, _ := c.opened(&tx{now: at}, who, abaton.ActorID{4})
		late, _, _ := c.opened(&tx{now: at.Add(-time.Minute)}, who, abaton.ActorID{4})
		if got < running || got > late+1 {
			t.Errorf("after %v: a restarted keeper counts %d an hour, a running one %d", after, got, running)
		}
		if _, d, _ := again.opened(&tx{now: at}, who, abaton.ActorID{4}); d != 21 || day != 21 {
			t.Errorf("after %v: got %d and %d a day, want 21", after, d, day)
		}
	}
}

// TestWindowClockSetBack: the counts stay what they can be.
func TestWindowClockSetBack(t *testing.T) {
	c := newWindowCore(t)
	who, now := abaton.ActorID{1}, int64(1_800_000_000)
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		now += int64(r.IntN(4000)) - 1500
		tx := &tx{now: time.Unix(now, 0)}
		if err := c.opens(tx, who, abaton.ActorID{2, byte(r.IntN(50))}); err != nil {
			t.Fatal(err)
		}
		kept(t, c, tx)
		w, recent := c.windows[who], 0
		for e := w.order.Front(); e != nil; e = e.Next() {
			if openingOf(e).recent {
				recent++
			}
			if next := e.Next(); next != nil && openingOf(next).last < openingOf(e).last {
				t.Fatal("the openings are out of order")
			}
		}
		if w.hour != recent || w.hour < 1 || len(w.at) != w.order.Len() {
			t.Fatalf("got %d in the hour, want %d of %d", w.hour, recent, len(w.at))
		}
	}
}

// TestSweep: at start what is older than a day goes, the rest stays.
func TestSweep(t *testing.T) {
	c := newWindowCore(t)
	start := time.Unix(1_800_000_000, 0)
	for i := range sweepMax + 10 {
		tx := &tx{now: start}
		if i%2 == 0 {
			tx.now = start.Add(23 * time.Hour)
		}
		if err := c.opens(tx, abaton.ActorID{byte(i), byte(i >> 8), 1}, abaton.ActorID{5}); err != nil {
			t.Fatal(err)
		}
		kept(t, c, tx)
	}
	if err := c.sweepWindows(start.Add(25 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	left := 0
	if err := c.store.Raw(windowSpace).Scan(nil, nil, func(_, _ []byte) bool { left++; return true }); err != nil {
		t.Fatal(err)
	}
	if want := (sweepMax + 10) / 2; left != want {
		t.Errorf("got %d openings after the sweep, want %d", left, want)
	}
}

func newWindowCore(t *testing.T) *Core {
	t.Helper()
	s, err := store.New(store.NewMemory(), store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	return &Core{store: s, windows: make(windows)}
}

// kept makes what a group changed durable.
func kept(t *testing.T, c *Core, tx *tx) {
	t.Helper()
	if tx.change.Len() == 0 {
		return
	}
	if err := c.store.Commit(&tx.change); err != nil {
		t.Fatal(err)
	}
}
