//go:build mutant

package custody

import (
	"time"

	"github.com/abaton-health/abaton/spread"
)

// Mutation makes this keeper a dishonest or a broken one, for drills and tests
// only: release packages are never built with the tag.
type Mutation struct {
	// Skip is the check that is switched off: one of Request.decide, "session" or
	// "signature"; "tell": verdicts are not sent; "hear": nor heard.
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
