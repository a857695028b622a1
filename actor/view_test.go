package actor_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// told is an event as one keeper tells it, without a certificate.
func told(a *actor.Authentic) actor.Told { return actor.Told{Event: a, By: 1} }

func sure(a *actor.Authentic) actor.Told {
	return actor.Told{Event: a, By: 3, Certified: certified(placeOf(a))}
}

func by(n int, a *actor.Authentic) actor.Told { return actor.Told{Event: a, By: n} }

func view(t testing.TB, w *world, all ...actor.Told) actor.View {
	t.Helper()
	v, err := actor.NewView(all, 1, w.now)
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	return v
}

// TestViewTakesUp: which claims of keepers a view takes up, in any order.
func TestViewTakesUp(t *testing.T) {
	s := newStolen(t)
	other := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{1}}, s.base), byKey("stranger"))
	widening := s.w.authentic(s.after(s.granted(abaton.ActorID{7}, 1), s.base), byKey("stranger"))
	late := *s.w
	late.now = s.w.now.Add(time.Hour)
	ahead := late.authentic((&log{w: &late, st: s.st}).after(s.granted(abaton.ActorID{7}, 2), s.base), byKey("ana"))
	old := s.w.authentic(s.after(&actor.CredentialRemove{Name: cachedCredential("ana")}, s.base), byKey("ana"))
	orphan := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{2}}, placeOf(ahead)), byKey("ana"))
	restamped := s.w.authentic(s.theft.Signed().Event, byKey("stranger"))
	for _, c := range []struct {
		name string
		told []actor.Told
		want map[*actor.Authentic]bool
	}{
		{"both sides of a split", []actor.Told{sure(s.first), told(s.theft), told(s.remove)}, map[*actor.Authentic]bool{s.theft: true, s.remove: true}},
		{"a stranger's events", []actor.Told{sure(s.first), told(other), by(5, widening)}, map[*actor.Authentic]bool{other: false, widening: false}},
		{"an event of the future", []actor.Told{sure(s.first), by(5, ahead)}, map[*actor.Authentic]bool{ahead: false}},
		{"an event without its parent", []actor.Told{sure(s.first), by(5, orphan)}, map[*actor.Authentic]bool{orphan: false}},
		{"what a removed key takes away, told by one", []actor.Told{sure(s.first), sure(s.remove), told(old)}, map[*actor.Authentic]bool{old: false}},
		{"what a removed key takes away, told by two", []actor.Told{sure(s.first), sure(s.remove), by(2, old)}, map[*actor.Authentic]bool{old: true}},
		{"removal and answer, best told first", []actor.Told{sure(s.first), told(old), by(2, s.remove)}, map[*actor.Authentic]bool{old: false, s.remove: true}},
		{"without its inception", []actor.Told{told(s.theft)}, map[*actor.Authentic]bool{s.theft: false}},
		{"inception that nobody certified", []actor.Told{by(5, s.first), told(s.theft)}, map[*actor.Authentic]bool{s.first: false, s.theft: false}},
		{"the owner's event as a stranger's", []actor.Told{sure(s.first), by(2, restamped), by(2, s.theft)}, map[*actor.Authentic]bool{s.theft: true}},
		{"only as a stranger's", []actor.Told{sure(s.first), by(2, restamped)}, map[*actor.Authentic]bool{s.theft: false}},
	} {
		for range 2 {
			v := view(t, s.w, c.told...)
			for a, want := range c.want {
				if got := v.State.Knows(a.Hash()); got != want {
					t.Errorf("%s: event of kind %d taken up: got %t, want %t", c.name, a.Kind(), got, want)
				}
			}
			for i, j := 0, len(c.told)-1; i < j; i, j = i+1, j-1 {
				c.told[i], c.told[j] = c.told[j], c.told[i]
			}
		}
	}
}

// TestViewOfMiddle: a certificate stands for what its event continues, whoever
// told that and whatever would be asked of it today.
func TestViewOfMiddle(t *testing.T) {
	s := newStolen(t)
	next := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{1}}, placeOf(s.theft)), byKey("thief"))
	v := view(t, s.w, sure(next), told(s.theft), told(s.first), told(s.remove))
	if got, _ := v.State.Certified(); got != placeOf(next) {
		t.Errorf("certified place: got %d, want %d", got.Seq, next.Event().Seq)
	}
	if v.State.KeyRights(signing("thief").ID()) != actor.Manage {
		t.Error("an event without a certificate of its own, continued by a certified one, does not count")
	}
	if len(v.Open) != 1 || v.Open[0] != s.remove {
		t.Errorf("open: got %d events, want the removal", len(v.Open))
	}
}

// TestViewKeepsProofs: the owner's event told with a stranger's proof in place
// of the owner's keeps its effect under a merge.
func TestViewKeepsProofs(t *testing.T) {
	s := newStolen(t)
	g := s.ownGift(t)
	bar := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{1}}, s.base), byPasskey(t, "ana"))
	merge := s.w.authentic(s.after(&actor.Merge{}, placeOf(g.giving), placeOf(bar)), byPasskey(t, "ana"))
	restamped := s.w.authentic(g.giving.Signed().Event, byKey("stranger"))
	remove := s.w.authentic(s.after(&actor.KeyRemove{ID: signing("stranger").ID()}, s.base), byPasskey(t, "ana"))
	for _, order := range [][]actor.Told{{told(restamped), told(g.giving)}, {told(g.giving), told(restamped)}} {
		v := view(t, s.w, append([]actor.Told{sure(s.first), told(bar), sure(merge), told(remove)}, order...)...)
		if len(v.State.Grants()) != 1 {
			t.Errorf("got %d grants, want 1", len(v.State.Grants()))
		}
	}
}

// TestViewOfTwoTruths: certificates that exclude each other end the belief.
func TestViewOfTwoTruths(t *testing.T) {
	s := newStolen(t)
	v, err := actor.NewView([]actor.Told{sure(s.first), sure(s.remove), sure(s.theft)}, 1, s.w.now)
	if !errors.Is(err, actor.ErrSplit) {
		t.Errorf("got %v, want %v", err, actor.ErrSplit)
	}
	if v.State.Live() {
		t.Error("a log with two truths is live")
	}
}

// TestNext: what the next event stands on.
func TestNext(t *testing.T) {
	s := newStolen(t)
	w, first := s.w, s.first
	whole := view(t, w, sure(first), sure(s.theft))
	half := view(t, w, sure(first), told(s.theft))
	split := view(t, w, sure(first), told(s.theft), told(s.remove))
	for _, c := range []struct {
		name           string
		v              actor.View
		narrows, again bool
		want           []*actor.Authentic
		merge          bool
	}{
		{"nothing known", view(t, w), false, false, nil, false},
		{"certified head", whole, false, false, []*actor.Authentic{s.theft}, false},
		{"certified head, again", whole, false, true, []*actor.Authentic{s.theft}, false},
		{"certified head, narrowing", whole, true, false, []*actor.Authentic{s.theft}, false},
		{"open head", half, false, false, []*actor.Authentic{s.theft}, false},
		{"open head that others refuse", half, false, true, []*actor.Authentic{first}, false},
		{"open head, narrowing", half, true, false, []*actor.Authentic{first}, false},
		{"split", split, false, false, []*actor.Authentic{s.theft, s.remove}, true},
		{"split, narrowing", split, true, false, []*actor.Authentic{first}, false},
	} {
		step := c.v.Next(c.narrows, c.again)
		if step.Merge != c.merge || len(step.Parents) != len(c.want) {
			t.Errorf("%s: got %d parents, merge %t; want %d, %t", c.name, len(step.Parents), step.Merge, len(c.want), c.merge)
			continue
		}
		for _, a := range c.want {
			found := false
			for _, p := range step.Parents {
				found = found || p == placeOf(a)
			}
			if !found {
				t.Errorf("%s: a parent is missing", c.name)
			}
		}
	}
}

// TestSameMerge: two devices whose clocks differ make one merge.
func TestSameMerge(t *testing.T) {
	s := newStolen(t)
	one := view(t, s.w, sure(s.first), told(s.theft), told(s.remove))
	two := view(t, s.w, told(s.remove), told(s.theft), sure(s.first))
	a := one.Next(false, false).Event(s.w.now, &actor.Merge{})
	b := two.Next(false, true).Event(s.w.now.Add(time.Minute), &actor.Merge{})
	if actor.HashOf(a) != actor.HashOf(b) {
		t.Error("two devices make two merges of one split")
	}
	slow := one.Next(true, false).Event(time.Unix(1, 0), &actor.Bar{Actor: abaton.ActorID{1}})
	if _, err := actor.Authenticate(signed(slow, byKey("ana")), party); err != nil {
		t.Fatal(err)
	}
	if got := reason(s.st.Admit(s.w.authentic(slow, byPasskey(t, "ana")), s.w.door(), s.w.now)); got != "" {
		t.Errorf("an event by a slow clock: got %q, want admitted", got)
	}
}

// TestMergeOfMany: more heads than a merge may name are closed by several, the
// certified branch always among them.
func TestMergeOfMany(t *testing.T) {
	s := newStolen(t)
	all := []actor.Told{sure(s.first)}
	for i := range 40 {
		all = append(all, told(s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{1, byte(i)}}, s.base), byKey("ana"))))
	}
	tip := s.w.authentic(s.after(&actor.Bar{Actor: abaton.ActorID{2}}, s.base), byKey("ana"))
	all = append(all, sure(tip))
	for merges := 1; ; merges++ {
		v := view(t, s.w, all...)
		step := v.Next(false, false)
		if !step.Merge {
			if merges < 3 {
				t.Errorf("41 heads: closed by %d merges, want more: one names at most %d", merges-1, actor.ParentsMax)
			}
			if len(v.Open) != 0 {
				t.Errorf("got %d open events after the last merge, want 0", len(v.Open))
			}
			return
		}
		if at, _ := v.State.Certified(); !slices.Contains(step.Parents, at) {
			t.Error("the merge leaves the certified branch")
		}
		if merges > 5 {
			t.Fatal("merges do not end")
		}
		if len(step.Parents) > actor.ParentsMax {
			t.Fatalf("a merge of %d", len(step.Parents))
		}
		a := s.w.authentic(step.Event(s.w.now, &actor.Merge{}), byKey("ana"))
		all = append(all, sure(a))
	}
}
