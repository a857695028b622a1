//go:build mutant

package custody

import (
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/spread"
)

// Mutation makes this keeper a dishonest or a broken one, for drills and tests
// only: release packages are never built with the tag.
type Mutation struct {
	// Skip is the one thing that is switched off: a check of Request.decide,
	// "session" or "signature"; a rule, as in "rule/D2"; a rung of the ladder, as in
	// "rung/throttle"; a kind of subject that nothing is held against, as in
	// "kind/device"; a finding, as in "finding/peer"; a step of the ladder, as in
	// "ladder/two"; or one of the words that this package asks for.
	// TestEverySwitchHasAStory has the list, and for each the test that goes red.
	Skip  string
	Lie   string        // "fragment" or "share": what is falsified in every piece, or in every share of an escrow
	Ahead time.Duration // how far this keeper's clock is ahead
}

func (m Mutation) skips(check string) bool { return m.Skip == check }

// lie flips a bit of every fragment or share before the keeper signs it.
func (m Mutation) lie(p *spread.Piece) {
	for i := range p.Rows {
		row := &p.Rows[i]
		switch {
		case m.Lie == "fragment" && len(row.Fragment) > 0:
			row.Fragment = append([]byte(nil), row.Fragment...)
			row.Fragment[0] ^= 1
		case m.Lie == "share" && row.State == spread.RowReleased:
			row.Share[0] ^= 1
		}
	}
}

// lieShare does the same to a share of an escrow.
func (m Mutation) lieShare(share []byte) {
	if m.Lie == "share" {
		share[0] ^= 1
	}
}

// clock is the keeper's clock with its fault.
func (m Mutation) clock(now func() time.Time) func() time.Time {
	return func() time.Time { return now().Add(m.Ahead) }
}

// spoil falsifies the parts of a repair of whoever lies about shares.
func (m Mutation) spoil(parts [][32]byte) {
	if m.Lie == "share" {
		parts[0][0] ^= 1
	}
}

// overlooks: this keeper does not count such a finding.
func (m Mutation) overlooks(r abaton.Reason) bool { return m.Skip == "finding/"+string(r) }

// rules are the default thresholds, where one rule may be off.
func (m Mutation) rules(t detect.Thresholds) detect.Thresholds {
	for r := detect.D0; detect.AllRules.Has(r); r++ {
		if m.Skip == "rule/"+r.String() {
			return t.Without(r)
		}
	}
	return t
}

// rung is how far a request is held back by a ladder that lacks one rung.
func (m Mutation) rung(l detect.Level) detect.Level {
	if m.Skip == "rung/"+l.String() {
		return 0
	}
	return l
}

// subjects are those against whom verdicts count.
func (m Mutation) subjects(all []contain.Subject) []contain.Subject {
	return slices.DeleteFunc(all, func(s contain.Subject) bool { return m.Skip == "kind/"+s.Kind.String() })
}

// ladder is one that may lack a step.
func (m Mutation) ladder(own abaton.KeeperIndex) *contain.Ladder {
	step, _ := strings.CutPrefix(m.Skip, "ladder/")
	return contain.NewLadder(own).Mutate(contain.Mutation{Skip: step})
}
