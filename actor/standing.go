package actor

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
)

// ordered is knots by place, so that parents come before children.
func ordered(knots []*knot) []*knot {
	sorted := slices.Clone(knots)
	slices.SortFunc(sorted, func(a, b *knot) int {
		switch {
		case a.before(b):
			return -1
		case b.before(a):
			return 1
		}
		return 0
	})
	return sorted
}

// standingOn is who may speak after parents: what their branch was given, less
// every removal known on any branch.
func (s *State) standingOn(parents []*knot) standing {
	return s.standing(parents, func(*knot) bool { return true })
}

// standingAt is who could speak when n was made: what its branch was given,
// less the removals that n did not know.
func (s *State) standingAt(n *knot) standing {
	return s.standing(n.parents, func(r *knot) bool { return s.concurrent(n, r) })
}

func (s *State) standing(parents []*knot, counts func(removal *knot) bool) standing {
	return standing{
		rights: func(id abaton.KeyID) Rights {
			rights, _ := onBranch(s, s.keys[id], parents, counts)
			return rights
		},
		class: func(c key.Credential) Class {
			class, _ := onBranch(s, s.credentials[c], parents, counts)
			return class
		},
	}
}

// onBranch is an entry's value after parents. Where two events of the branch
// give it, the one that counts in the whole log does.
func onBranch[T any](s *State, e *entry[T], parents []*knot, counts func(*knot) bool) (value T, ok bool) {
	if e == nil {
		return value, false
	}
	if slices.ContainsFunc(e.removed, counts) {
		return value, false
	}
	var best *knot
	for _, g := range e.given {
		if g.by.a.returns() && !g.by.certified {
			continue // a recovery counts by its own certificate only
		}
		if !g.by.vetoed && (best == nil || g.by.precedes(best)) && s.within(g.by, parents) {
			best, value = g.by, g.value
		}
	}
	return value, best != nil
}

// lastProof reports whether removing one key or passkey would leave the
// branch without anyone who may manage the log.
func (s *State) lastProof(parents []*knot, dropKey abaton.KeyID, dropCredential key.Credential) bool {
	all := s.standingOn(parents)
	left := standing{
		rights: func(id abaton.KeyID) Rights {
			if id == dropKey {
				return 0
			}
			return all.rights(id)
		},
		class: func(c key.Credential) Class {
			if c == dropCredential {
				return 0
			}
			return all.class(c)
		},
	}
	var everyone provers
	for id := range s.keys {
		everyone.keys = append(everyone.keys, id)
	}
	for c := range s.credentials {
		everyone.credentials = append(everyone.credentials, claim{name: c, class: left.class(c)})
	}
	return !entitled(s.Kind(), EventKeyAdd, everyone, left)
}
