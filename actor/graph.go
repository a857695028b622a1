package actor

import "bytes"

// knot is one known event in the graph of a log.
type knot struct {
	a       *Authentic
	parents []*knot
	// certified: a certificate stands for this event or for one that
	// continues it without a merge between, which no keeper that voted
	// otherwise would have signed.
	certified bool
	// covered: a certified merge has this event among its ancestors.
	covered bool
	// vetoed: not certified, and its provers were removed on another branch
	// (deny wins).
	vetoed bool
}

func (n *knot) seq() uint64  { return n.a.event.Seq }
func (n *knot) place() Place { return Place{Actor: n.a.actor, Seq: n.seq(), Hash: n.a.hash} }

// effective reports whether what the event gives counts.
func (n *knot) effective() bool { return n.certified || n.covered && !n.vetoed }

// before orders knots independently of arrival: by place, then certified
// before not, then by hash.
func (n *knot) before(o *knot) bool {
	if n.seq() != o.seq() {
		return n.seq() < o.seq()
	}
	if n.certified != o.certified {
		return n.certified
	}
	return bytes.Compare(n.a.hash[:], o.a.hash[:]) < 0
}

// precedes says which of two events that give the same thing counts: the
// certified one, else the earlier.
func (n *knot) precedes(o *knot) bool {
	if n.certified != o.certified {
		return n.certified
	}
	return n.before(o)
}

// within reports whether a is among parents or their ancestors.
func (s *State) within(a *knot, parents []*knot) bool {
	if !s.forked {
		for _, p := range parents {
			if a.seq() <= p.seq() {
				return true
			}
		}
		return false
	}
	seen := make(map[*knot]struct{})
	queue := append([]*knot(nil), parents...)
	for len(queue) > 0 {
		n := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if n == a {
			return true
		}
		if n.seq() <= a.seq() {
			continue
		}
		if n.certified && a.certified {
			return true // certified events are one chain: see Certify
		}
		if _, twice := seen[n]; !twice {
			seen[n] = struct{}{}
			queue = append(queue, n.parents...)
		}
	}
	return false
}

// concurrent reports whether neither event knew the other.
func (s *State) concurrent(a, b *knot) bool {
	return a != b && !s.within(a, b.parents) && !s.within(b, a.parents)
}

// link adds an event whose parents are known.
func (s *State) link(a *Authentic, parents []*knot) *knot {
	n := &knot{a: a, parents: parents}
	if s.knots == nil {
		s.knots, s.slots = make(map[Hash]*knot), make(map[uint64]*knot)
	}
	s.knots[a.hash] = n
	if s.slots[n.seq()] != nil || len(parents) > 1 {
		s.forked = true
	} else {
		s.slots[n.seq()] = n
	}
	s.open = append(s.open, n)
	heads := s.heads[:0]
	for _, h := range s.heads {
		if !contains(parents, h) {
			heads = append(heads, h)
		}
	}
	s.heads = append(heads, n)
	return n
}

func contains(knots []*knot, n *knot) bool {
	for _, have := range knots {
		if have == n {
			return true
		}
	}
	return false
}

// parentsOf finds the knots an event names; nil when one is not known.
func (s *State) parentsOf(a *Authentic) []*knot {
	parents := make([]*knot, len(a.event.Prev))
	for i, h := range a.event.Prev {
		if parents[i] = s.knots[h]; parents[i] == nil {
			return nil
		}
	}
	return parents
}

// follows reports whether the event takes the place after its parents, and
// whether a merge names heads of which none continues another.
func (s *State) follows(a *Authentic, parents []*knot) bool {
	var highest uint64
	for _, p := range parents {
		highest = max(highest, p.seq())
		if len(parents) > 1 && s.continuedBy(p, parents) {
			return false
		}
	}
	return a.event.Seq == highest+1
}

func (s *State) continuedBy(p *knot, others []*knot) bool {
	for _, o := range others {
		if o != p && s.within(p, o.parents) {
			return true
		}
	}
	return false
}

// certify marks n and what it continues. A merge covers its parents: they
// were known to the voters, but did not count by themselves.
func (s *State) certify(n *knot) {
	for n != nil && !n.certified {
		n.certified, n.vetoed = true, false
		s.slots[n.seq()] = n
		if s.tip == nil || s.tip.seq() < n.seq() {
			s.tip = n
		}
		if len(n.parents) != 1 {
			cover(n.parents)
			break
		}
		n = n.parents[0]
	}
	open := s.open[:0]
	for _, o := range s.open {
		if !o.certified {
			open = append(open, o)
		}
	}
	s.open = open
}

func (s *State) certifiedAt(seq uint64) *knot {
	if n := s.slots[seq]; n != nil && n.certified {
		return n
	}
	return nil
}

// nextCertified is the certified event above a place, nil above the highest.
// Only merges leave places between.
func (s *State) nextCertified(seq uint64) *knot {
	if seq >= s.tip.seq() {
		return nil
	}
	for {
		seq++
		if n := s.certifiedAt(seq); n != nil {
			return n
		}
	}
}

// lastCertified is the certified event below a place, nil below the lowest.
func (s *State) lastCertified(seq uint64) *knot {
	seq = min(seq, s.tip.seq()+1)
	for seq > 0 {
		seq--
		if n := s.certifiedAt(seq); n != nil {
			return n
		}
	}
	return nil
}

func cover(knots []*knot) {
	for len(knots) > 0 {
		n := knots[len(knots)-1]
		knots = knots[:len(knots)-1]
		if n.certified || n.covered {
			continue
		}
		n.covered = true
		knots = append(knots[:len(knots):len(knots)], n.parents...)
	}
}

// veto decides anew which uncertified events have lost their provers to a
// removal on another branch. Only a split log has any.
func (s *State) veto() {
	if !s.forked {
		return
	}
	for _, n := range ordered(s.open) {
		if n.seq() > 0 {
			n.vetoed = s.proves(n.a.event.Kind, n.a.by, s.standingAt(n)) != nil
		}
	}
}
