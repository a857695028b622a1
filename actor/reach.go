package actor

import (
	"bytes"
	"slices"

	"github.com/abaton-health/abaton"
)

// Segments are all epochs of a line that count, the first first. What a seed
// of each opens is for who computes reach; writers ask Newest.
func (s *State) Segments(line abaton.Line) (all []Segment) {
	newest, ok := s.Newest(line)
	for e := uint32(1); ok && e <= newest.Epoch; e++ {
		if a := s.lines[line].at(e); a != nil {
			all = append(all, a.Segment)
		}
	}
	return all
}

// EpochsGiven are the epochs of a line whose seeds a grant can have brought its
// grantee: those announced when it was given, and those wrapped to the grantee
// since. Which of them its giver wrapped is sealed; this is the most it can be.
func (s *State) EpochsGiven(id abaton.GrantID, line abaton.Line) (epochs []uint32) {
	e := s.grants[id]
	if e == nil {
		return nil
	}
	g, _ := e.first()
	by := e.firstKnot()
	if by == nil || !g.Covers(line) {
		return nil
	}
	for _, seg := range s.Segments(line) {
		a := s.lines[line].at(seg.Epoch)
		if s.within(a.by, []*knot{by}) || s.Wrap(line, seg.Epoch, g.Grantee) != nil {
			epochs = append(epochs, seg.Epoch)
		}
	}
	return slices.Clip(epochs)
}

// EverHandedOn are all hand-ons of this log that count, taken back or run out
// too: a wrap that was published opens whoever it was for, whatever ended since.
func (s *State) EverHandedOn() (all []HandedOn) {
	for id, e := range s.onwards {
		if b, ok := e.first(); ok {
			all = append(all, HandedOn{ID: id, Parent: b.Parent, Terms: b.terms(), Wrap: b.Wrap})
		}
	}
	slices.SortFunc(all, func(a, b HandedOn) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}
