package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

// Given is a grant's own bytes and its wrap, as the event that counts carries
// them, whether or not the grant still holds. A grantee opens the wrap with them.
// The slices are not to be changed.
func (s *State) Given(id abaton.GrantID) (Granted, bool) {
	e := s.grants[id]
	if e == nil {
		return Granted{}, false
	}
	var best *knot
	for _, given := range e.given {
		if given.by.effective() && (best == nil || given.by.precedes(best)) {
			best = given.by
		}
	}
	if best == nil {
		return Granted{}, false
	}
	for _, g := range grantsIn(best.a.body) {
		if grant.IDOf(g.Grant) == id {
			return g, true
		}
	}
	return Granted{}, false
}

func grantsIn(body Body) []Granted {
	switch b := body.(type) {
	case *Inception:
		return b.Grants
	case *Granted:
		return []Granted{*b}
	}
	return nil
}
