package actor

import "github.com/abaton-health/abaton"

// Ballot is how one keeper has voted in one log. The zero Ballot has not
// voted. It keeps two promises, which together make two certificates for one
// slot impossible while no more than F keepers lie (PROTOCOL.md#ballot):
//
//   - one hash per slot, for ever;
//   - a vote never turns its back on an earlier one: it is for an event that
//     continues the highest vote, or that the highest vote continues, or that
//     stands on a certified event which rules the highest vote out.
type Ballot struct {
	cast map[uint64]Hash
	seq  uint64
	top  Hash
	any  bool
}

// Cast notes a vote for a known event, or refuses with ReasonParent (not
// known here), ReasonCredential (vetoed) or ReasonSlot. The caller makes the
// vote durable before it signs, and signs what Cast allowed. Voting the same
// again is allowed.
func (b *Ballot) Cast(s *State, h Hash) error {
	n := s.knots[h]
	if n == nil {
		return abaton.Refuse(abaton.ReasonParent)
	}
	if have, voted := b.cast[n.seq()]; voted {
		if have != h {
			return abaton.Refuse(abaton.ReasonSlot)
		}
		return nil
	}
	if n.vetoed && !n.certified {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	if !b.faithful(s, n) {
		return abaton.Refuse(abaton.ReasonSlot)
	}
	b.Restore(n.seq(), h)
	return nil
}

// Restore notes a vote that was stored before a restart.
func (b *Ballot) Restore(seq uint64, h Hash) {
	if b.cast == nil {
		b.cast = make(map[uint64]Hash)
	}
	b.cast[seq] = h
	if !b.any || seq > b.seq {
		b.seq, b.top, b.any = seq, h, true
	}
}

// At is the vote in one slot; false when there is none.
func (b *Ballot) At(seq uint64) (Hash, bool) {
	h, voted := b.cast[seq]
	return h, voted
}

func (b *Ballot) faithful(s *State, n *knot) bool {
	if !b.any {
		return s.tip == nil || n.certified || s.within(s.tip, n.parents)
	}
	top := s.knots[b.top]
	if top == nil {
		return false // the log copy is behind the votes: catch up first
	}
	if s.within(top, n.parents) || s.within(n, top.parents) {
		return true
	}
	return s.tip != nil && s.tip.seq() >= top.seq() && (s.tip == n || s.within(s.tip, n.parents))
}
