package actor

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Segment is one announced epoch of a line.
type Segment struct {
	Line   abaton.Line
	Level  uint8 // assurance level, 1 to 3
	Epoch  uint32
	ID     abaton.SegmentID
	Public []byte // box public key; not to be changed
	Urgent bool
	At     time.Time // when it was announced, by the signer's clock
}

type announced struct {
	Segment
	wraps []SeedWrap
	by    *knot
}

type lineEntry struct {
	epochs []announced
}

func announcement(e *Epoch, by *knot) announced {
	return announced{by: by, wraps: e.Wraps, Segment: Segment{Line: e.Line, Level: e.Level, Epoch: e.Epoch,
		ID: wire.Hash(wire.SegmentID, e.Segment), Public: e.Segment, Urgent: e.Urgent, At: unix(by.a.event.Time)}}
}

func (s *State) announce(e *Epoch, by *knot) {
	if s.lines == nil {
		s.lines = make(map[abaton.Line]*lineEntry)
	}
	l := s.lines[e.Line]
	if l == nil {
		l = new(lineEntry)
		s.lines[e.Line] = l
	}
	l.epochs = append(l.epochs, announcement(e, by))
}

// at is the announcement of one epoch that counts. When a merge covers two,
// the certified one does, else the one with the smaller place and hash.
func (l *lineEntry) at(epoch uint32) *announced {
	var best *announced
	for i := range l.epochs {
		e := &l.epochs[i]
		if e.Epoch != epoch || !e.by.effective() {
			continue
		}
		if best == nil || e.by.precedes(best.by) {
			best = e
		}
	}
	return best
}

func (l *lineEntry) newest() *announced {
	var best *announced
	for i := range l.epochs {
		if e := &l.epochs[i]; e.by.effective() && (best == nil || e.Epoch > best.Epoch) {
			best = e
		}
	}
	if best == nil {
		return nil
	}
	return l.at(best.Epoch)
}

// epochOn is the highest epoch announced up to parents, and the highest level:
// a level never falls, whichever of two branches raised it.
func (s *State) epochOn(line abaton.Line, parents []*knot) (epoch uint32, level uint8) {
	l := s.lines[line]
	if l == nil {
		return 0, 0
	}
	for i := range l.epochs {
		e := &l.epochs[i]
		if !e.by.vetoed && (e.Epoch > epoch || e.Level > level) && s.within(e.by, parents) {
			epoch, level = max(epoch, e.Epoch), max(level, e.Level)
		}
	}
	return epoch, level
}

// Newest is a line's newest segment: the only one writers seal to. False when
// the log has no such line.
func (s *State) Newest(line abaton.Line) (Segment, bool) {
	l := s.lines[line]
	if l == nil {
		return Segment{}, false
	}
	e := l.newest()
	if e == nil {
		return Segment{}, false
	}
	return e.Segment, true
}

// Level is a line's assurance level: the highest that any epoch in force had.
// Zero when the log has no such line.
func (s *State) Level(line abaton.Line) (level uint8) {
	l := s.lines[line]
	if l == nil {
		return 0
	}
	for i := range l.epochs {
		if e := &l.epochs[i]; e.by.effective() {
			level = max(level, e.Level)
		}
	}
	return level
}

// Previous is the segment before the newest; false when there is none.
func (s *State) Previous(line abaton.Line) (Segment, bool) {
	newest, ok := s.Newest(line)
	if !ok || newest.Epoch < 2 {
		return Segment{}, false
	}
	e := s.lines[line].at(newest.Epoch - 1)
	if e == nil {
		return Segment{}, false
	}
	return e.Segment, true
}

// Lines are the newest segments of all lines, sorted by line.
func (s *State) Lines() []Segment {
	var all []Segment
	for line := range s.lines {
		if seg, ok := s.Newest(line); ok {
			all = append(all, seg)
		}
	}
	slices.SortFunc(all, func(a, b Segment) int { return slices.Compare(a.Line[:], b.Line[:]) })
	return all
}

// Wrap is the seed of a line's epoch as wrapped to one grantee by the
// announcing event; nil when it was not.
func (s *State) Wrap(line abaton.Line, epoch uint32, grantee abaton.ActorID) []byte {
	l := s.lines[line]
	if l == nil {
		return nil
	}
	e := l.at(epoch)
	if e == nil {
		return nil
	}
	for _, w := range e.wraps {
		if w.Grantee == grantee {
			return w.Sealed
		}
	}
	return nil
}

// AcceptsLock refuses a lock to any but the newest segment of its line, or
// the previous one for EpochGrace after a new one that was not urgent
// (RULINGS 18); ReasonWriter for an unknown line, ReasonEpoch.
func (s *State) AcceptsLock(line abaton.Line, segment abaton.SegmentID, now time.Time) error {
	newest, ok := s.Newest(line)
	if !ok {
		return abaton.Refuse(abaton.ReasonWriter)
	}
	if segment == newest.ID {
		return nil
	}
	previous, ok := s.Previous(line)
	if !ok || segment != previous.ID || newest.Urgent || s.urgentSince(line, previous) ||
		now.Sub(newest.At) >= abaton.EpochGrace {
		return abaton.Refuse(abaton.ReasonEpoch)
	}
	return nil
}

// urgentSince reports whether an urgent revocation of a grant over the line
// came after segment was announced.
func (s *State) urgentSince(line abaton.Line, segment Segment) bool {
	from := s.lines[line].at(segment.Epoch).by
	for _, u := range s.urgent {
		if s.within(u.by, from.parents) || u.by == from {
			continue
		}
		e := s.grants[u.grant]
		if e == nil || len(e.given) == 0 || slices.ContainsFunc(e.given, func(g gift[*grantOf]) bool { return g.value.Covers(line) }) {
			return true
		}
	}
	return false
}
