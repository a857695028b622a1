package actor

import (
	"time"

	"github.com/abaton-health/abaton"
)

// Bars are whom this log bars now, each until when in unix seconds; for ever is
// the largest time.
func (s *State) Bars(now time.Time) map[abaton.ActorID]int64 {
	all := make(map[abaton.ActorID]int64)
	for id, until := range s.bars {
		if now.Unix() < until {
			all[id] = until
		}
	}
	return all
}
