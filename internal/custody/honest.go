//go:build !mutant

package custody

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/spread"
)

// Mutation is nothing in a keeper that ships. The mutant build of drills and
// tests (RULINGS 25) can switch one check off or make the keeper lie.
type Mutation struct{}

func (Mutation) skips(string) bool { return false }
func (Mutation) lie(*spread.Piece) {}
func (Mutation) lieShare([]byte)   {}

func (Mutation) spoil([][32]byte) {}

func (Mutation) clock(now func() time.Time) func() time.Time { return now }

func (Mutation) overlooks(abaton.Reason) bool                     { return false }
func (Mutation) rules(t detect.Thresholds) detect.Thresholds      { return t }
func (Mutation) rung(l detect.Level) detect.Level                 { return l }
func (Mutation) subjects(all []contain.Subject) []contain.Subject { return all }
func (Mutation) ladder(own abaton.KeeperIndex) *contain.Ladder    { return contain.NewLadder(own) }
