package custody

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// pastSpace holds every verdict that this keeper took, until pastLife after its
// end: when it ends and its name; then whose log may lift it, and a past.
const pastSpace = 'w'

// pastLife is how long people can still ask what a verdict was about.
const pastLife = 7 * 24 * time.Hour

// grounds are what this keeper's own verdict went by: who asked, and the
// numbers. Of another's it knows none.
type grounds struct {
	Who     abaton.ActorID  `cbor:"1,keyasint"`
	Figures []detect.Figure `cbor:"2,keyasint"`
}

// past is a verdict as it was taken.
type past struct {
	Said  []byte  `cbor:"1,keyasint"`
	Proof bool    `cbor:"2,keyasint"`
	Entry uint64  `cbor:"3,keyasint"` // in the ledger
	By    grounds `cbor:"4,keyasint"`
}

func pastKey(s *contain.Said) []byte {
	name := s.Name()
	return append(pastEnd(s.Until), name[:]...)
}

func pastEnd(until int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(max(until, 0))) }

// keepPast stores a verdict that the group's entry at place is about.
func (c *Core) keepPast(t *tx, s *contain.Said, proof bool, place int, by grounds) {
	p := past{Said: s.Marshal(), Proof: proof, Entry: c.log.Size() + uint64(place), By: by}
	c.store.Raw(pastSpace).Into(&t.change).Put(pastKey(s), append(s.Organisation[:], wire.Marshal(p)...))
}

// pastsOf are an organisation's verdicts, by when they end, at most most of
// them: those that end last.
func (c *Core) pastsOf(organisation abaton.ActorID, most int) (all []past, err error) {
	var raw [][]byte
	err = c.store.Raw(pastSpace).Scan(nil, nil, func(_, value []byte) bool {
		if len(value) >= 32 && abaton.ActorID(value[:32]) == organisation {
			raw = append(raw, slices.Clone(value[32:]))
		}
		if len(raw) >= 2*most { // a keeper that lies may have said very much
			raw = slices.Clone(raw[most:])
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read verdicts: %w", err)
	}
	for _, b := range raw[max(0, len(raw)-most):] {
		var p past
		if err := wire.Unmarshal(b, &p); err != nil {
			return nil, errors.New("a past verdict is damaged")
		}
		all = append(all, p)
	}
	return all, nil
}

// sweepPast removes verdicts that ended long ago.
func (c *Core) sweepPast(t *tx) error {
	space := c.store.Raw(pastSpace)
	return space.Scan(nil, pastEnd(t.now.Add(-pastLife).Unix()), func(key, _ []byte) bool {
		space.Into(&t.change).Delete(key)
		return true
	})
}

// word is a past verdict in the words of the protocol.
func (c *Core) word(p *past, organisation abaton.ActorID, standing map[contain.Name]bool, now int64) (keeper.Word, error) {
	s, err := contain.Parse(p.Said)
	if err != nil {
		return keeper.Word{}, errors.New("a past verdict is damaged")
	}
	w := keeper.Word{Keeper: s.Keeper, Kind: uint8(s.Subject.Kind), Subject: s.Subject.ID, Level: uint8(s.Level), Rules: uint32(s.Rules),
		Proof: p.Proof, Time: uint64(max(s.Time, 0)), Until: uint64(max(s.Until, 0)), Name: s.Name(), Entry: p.Entry,
		State: keeper.WordEnded, Who: p.By.Who, Figures: figuresOf(p.By.Figures)}
	switch {
	case c.lifted(organisation, s.Name()):
		w.State = keeper.WordLifted
	case standing[s.Name()]:
		w.State = keeper.WordStands
	case now < s.Until && !p.Proof && c.watching.ladder.Muted(s.Keeper, now) != 0:
		w.State = keeper.WordMuted
	}
	return w, nil
}

// figuresOf are figures in the words of the protocol.
func figuresOf(all []detect.Figure) (out []keeper.Figure) {
	for _, f := range all {
		out = append(out, keeper.Figure{Rule: uint8(f.Rule), Measure: uint8(f.Measure), Count: f.Count, Limit: f.Limit, Span: f.Span})
	}
	return out
}
