package actor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// arrival is an event or the certificate of one, as it may reach a copy.
type arrival struct {
	event *actor.Authentic
	cert  actor.Certified
}

// arrivals are a random life of a log, with merges of branches of which some
// are certified only after the merge.
func arrivals(w *world, l *log, r *rand.Rand) (all []arrival) {
	events, certs := history(w, l, r)
	st := joined(w.t, l.st, l.st)
	for _, a := range events {
		all = append(all, arrival{event: a})
		if err := st.Apply(a); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, c := range certs {
		all = append(all, arrival{cert: c})
		if err := st.Certify(c); err != nil {
			w.t.Fatal(err)
		}
	}
	for range 4 { // and some that come late
		c := certified(placeOf(events[r.IntN(len(events))]))
		if st.Certify(c) == nil {
			all = append(all, arrival{cert: c})
		}
	}
	return all
}

// hear is the copy that these arrivals make in a random order; what has no
// place yet comes again, and some come twice.
func hear(t testing.TB, start *actor.State, all []arrival, r *rand.Rand) *actor.State {
	t.Helper()
	st := joined(t, start, start)
	left := append(slices.Clone(all), all[:r.IntN(len(all))]...)
	for len(left) > 0 {
		r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		before := len(left)
		left = slices.DeleteFunc(left, func(a arrival) bool {
			if a.event != nil {
				return st.Apply(a.event) == nil
			}
			return st.Certify(a.cert) == nil
		})
		if len(left) == before {
			t.Fatalf("%d of %d arrivals are refused in every order", before, len(all))
		}
	}
	return st
}

// probes is what the copy would say to fresh events: who may speak on which
// branch, which epoch is next.
func probes(l *log, st *actor.State) string {
	var out []string
	at := &log{w: l.w, st: st}
	for _, head := range st.Heads() {
		for _, name := range []string{"ana", "phone", "second", "thief"} {
			for _, body := range []actor.Body{
				&actor.Bar{Actor: abaton.ActorID{9}}, at.epoch(2), at.epoch(3), at.epoch(4),
				&actor.KeyRemove{ID: signing("phone").ID()},
				&actor.KeyRemove{ID: signing("ana").ID()},
			} {
				se := actor.Signed(at.after(body, head), actor.Proof{Tag: 1, Body: proofBody(signing(name).ID())})
				a, err := actor.Reopen(se)
				if err != nil {
					l.w.t.Fatal(err)
				}
				out = append(out, fmt.Sprintf("%s on %d %x says %d: %s", name, head.Seq, head.Hash[:4], a.Kind(), reason(st.Admit(a, l.w.door(), l.w.now))))
			}
		}
	}
	return strings.Join(out, "\n")
}

// TestArrivalOrder: what a copy says, and whom it would let speak, depends on
// the set of events and certificates it holds and on nothing else.
func TestArrivalOrder(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	merged := 0
	for round := range uint64(40) {
		r := rand.New(rand.NewPCG(round, 2))
		all := arrivals(w, l, r)
		first := hear(t, l.st, all, r)
		for range 3 {
			other := hear(t, l.st, all, r)
			if got, want := summary(other), summary(first); got != want {
				t.Fatalf("round %d: two orders, two logs: got\n%s\nwant\n%s", round, got, want)
			}
			if got, want := probes(l, other), probes(l, first); got != want {
				t.Fatalf("round %d: two orders admit different events: got\n%s\nwant\n%s", round, got, want)
			}
		}
		if joint := joined(t, l.st, first); summary(joint) != summary(first) || probes(l, joint) != probes(l, first) {
			t.Fatalf("round %d: a copy by Join differs", round)
		}
		for _, a := range all {
			if a.event != nil && a.event.Kind() == actor.EventMerge && first.IsCertified(a.event.Hash()) {
				merged++
			}
		}
	}
	if merged < 5 {
		t.Errorf("%d certified merges: the test tells nothing", merged)
	}
}

// split is a log with two rival events in one place and the merge of both.
func split(t *testing.T, one, two func(*log) actor.Body) (l *log, rivals [2]*actor.Authentic, merge *actor.Authentic) {
	t.Helper()
	w := newWorld(t)
	l = w.patient("ana")
	base := l.st.Heads()[0]
	rivals[0] = w.authentic(l.after(one(l), base), byKey("ana"))
	rivals[1] = w.authentic(l.after(two(l), base), byKey("ana"))
	return l, rivals, w.authentic(l.after(&actor.Merge{}, placeOf(rivals[0]), placeOf(rivals[1])), byKey("ana"))
}

// bothOrders gives f the copies that the rivals make in either order, merged and
// certified.
func bothOrders(t *testing.T, l *log, rivals [2]*actor.Authentic, merge *actor.Authentic, f func(*log)) {
	t.Helper()
	for _, order := range [][]*actor.Authentic{{rivals[0], rivals[1], merge}, {rivals[1], rivals[0], merge}} {
		c := &log{w: l.w, st: joined(t, l.st, l.st)}
		for _, a := range order {
			if err := c.st.Apply(a); err != nil {
				t.Fatal(err)
			}
		}
		c.certify(merge)
		f(c)
	}
}

// TestLevelOfRivalEpochs: of two epochs with one number the higher level is the
// least that the next may have.
func TestLevelOfRivalEpochs(t *testing.T) {
	l, rivals, merge := split(t, func(l *log) actor.Body { return l.epoch(2) }, func(l *log) actor.Body {
		e := l.epoch(2)
		e.Level, e.Segment = 3, box("rival").Public().Bytes()
		return e
	})
	bothOrders(t, l, rivals, merge, func(c *log) {
		next := c.epoch(3)
		next.Level = 2
		if got := reason(admit(c, signed(c.event(next), byKey("ana")))); got != abaton.ReasonEpoch {
			t.Errorf("level 2 after a level 3 on one branch: got %q, want %q", got, abaton.ReasonEpoch)
		}
	})
}

// TestGivenTwice: a grant that two branches give opens with the wrap of the
// event that counts.
func TestGivenTwice(t *testing.T) {
	l, rivals, merge := split(t, func(l *log) actor.Body { return l.granted(abaton.ActorID{7}, 1) }, func(l *log) actor.Body {
		g := l.granted(abaton.ActorID{7}, 1)
		g.Wrap = []byte("sealed again")
		return g
	})
	id := grantID(l.granted(abaton.ActorID{7}, 1))
	for _, late := range rivals {
		want := string(late.Body().(*actor.Granted).Wrap)
		bothOrders(t, l, rivals, merge, func(c *log) {
			c.certify(late)
			if got, ok := c.st.Given(id); !ok || string(got.Wrap) != want {
				t.Errorf("wrap of a grant given twice: got %q %t, want %q", got.Wrap, ok, want)
			}
		})
	}
}

// TestLateContradiction: below a certified merge one branch may be certified
// late, not both.
func TestLateContradiction(t *testing.T) {
	bar := func(n byte) func(*log) actor.Body {
		return func(*log) actor.Body { return &actor.Bar{Actor: abaton.ActorID{n}} }
	}
	l, rivals, merge := split(t, bar(1), bar(2))
	bothOrders(t, l, rivals, merge, func(c *log) {
		c.certify(rivals[0])
		if got := reason(c.st.Certify(certified(placeOf(rivals[1])))); got != abaton.ReasonCertificate {
			t.Errorf("second certificate below a merge: got %q, want %q", got, abaton.ReasonCertificate)
		}
	})
}
