package blast

import (
	"cmp"
	"slices"

	"github.com/abaton-health/abaton"
)

// Second is another thing with which a thief reaches what neither opens alone.
type Second struct {
	Kind     Kind
	Patients int // that open at once with the best of that kind: at once counts before later
	Records  int
	Later    int // patients that open in the ways of More
	Things   int // how many of that kind would do, of those looked at
	lines    int
}

// SecondsMax is how many other things are tried.
const SecondsMax = 512

// Seconds tries each of the others beside what was stolen, at most SecondsMax of them,
// and says which kinds open more together than the two do apart.
func (w *World) Seconds(others []Thing, stolen ...Thing) (all []Second) {
	alone := w.Reach(stolen...).second("")
	best := make(map[Kind]*Second)
	for _, other := range others[:min(len(others), SecondsMax)] {
		if slices.ContainsFunc(stolen, func(t Thing) bool { return other.same(&t) }) {
			continue
		}
		theirs, both := w.Reach(other).second(other.Kind), w.Reach(append(slices.Clone(stolen), other)...).second(other.Kind)
		if !both.exceeds(&alone, &theirs) {
			continue
		}
		s := best[other.Kind]
		if s == nil {
			s = new(Second)
			best[other.Kind] = s
		}
		both.Things = s.Things
		if cmp.Or(cmp.Compare(both.Patients, s.Patients), cmp.Compare(both.Records, s.Records), cmp.Compare(both.Later, s.Later)) > 0 {
			*s = both
		}
		s.Things++
	}
	for _, s := range best {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Second) int { return cmp.Compare(a.Kind, b.Kind) })
	return all
}

// exceeds: the two open more together than apart.
func (s *Second) exceeds(a, b *Second) bool {
	return s.Records > a.Records+b.Records || s.Patients > a.Patients+b.Patients || s.Later > a.Later+b.Later || s.lines > a.lines+b.lines
}

func (r *Reach) second(k Kind) Second {
	s := Second{Kind: k, Patients: r.Patients, Records: r.Records}
	for _, o := range r.Opens {
		s.lines += len(o.Lines)
	}
	s.Later = r.later
	return s
}

// same: one managing key of an organisation is not the other.
func (t *Thing) same(o *Thing) bool {
	return t.Kind == o.Kind && t.Kind != ManageKey && t.Actor == o.Actor && t.Team == o.Team && t.Keeper == o.Keeper && slices.Equal(t.Held, o.Held)
}

// Cut is what shrinks a reach most: taking back what one grantee was given.
type Cut struct {
	Grantee  abaton.ActorID // a person, a program or a team
	Patients int            // left within reach
	Records  int
}

// BiggestCut is the grantee whose grants, taken back, leave the least; false
// where nothing was granted that could be.
func (w *World) BiggestCut(stolen ...Thing) (best Cut, ok bool) {
	now := w.Reach(stolen...)
	var grantees []abaton.ActorID
	for _, o := range now.Opens {
		if o.Grant != (abaton.GrantID{}) {
			grantees = append(grantees, o.Grantee)
		}
	}
	slices.SortFunc(grantees, compare)
	h := w.holding(stolen...)
	for _, g := range slices.Compact(grantees) {
		left := w.reach(h, stolen, func(id abaton.ActorID) bool { return id == g })
		if !ok || left.Patients < best.Patients || left.Patients == best.Patients && left.Records < best.Records {
			best, ok = Cut{Grantee: g, Patients: left.Patients, Records: left.Records}, true
		}
	}
	return best, ok
}
