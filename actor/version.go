package actor

import "github.com/abaton-health/abaton"

// versioned is the body of an event that gives a version of something: of which the
// newest that has begun holds.
type versioned interface {
	version() (n uint64, notBefore int64)
}

// follows: versions rise by one along a branch, so that a stolen key cannot use
// them up.
func follows[B versioned](s *State, all []gift[B], b B, parents []*knot) error {
	newest := uint64(0)
	for _, g := range all {
		if n, _ := g.value.version(); s.within(g.by, parents) {
			newest = max(newest, n)
		}
	}
	switch n, _ := b.version(); {
	case n <= newest:
		return abaton.Refuse(abaton.ReasonReplay)
	case n > newest+1:
		return abaton.Refuse(abaton.ReasonParent)
	}
	return nil
}

// inForce is the newest version that counts and has begun by now, in unix seconds;
// nil when there is none.
func inForce[B versioned](all []gift[B], now int64) (newest B) {
	var by *knot
	var best uint64
	for _, g := range all {
		n, notBefore := g.value.version()
		if !g.by.effective() || now < notBefore {
			continue
		}
		if by == nil || n > best || n == best && g.by.precedes(by) {
			newest, best, by = g.value, n, g.by
		}
	}
	return newest
}
