package custody

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/session"
)

// renewals are the records that each session has opened or been permitted
// here: a permit for these renews, and costs no quota (RULINGS 22). In memory
// only: after a restart the first permit counts again.
type renewals struct {
	of   map[abaton.SessionID]*renewable
	rows int
}

type renewable struct {
	ends int64 // unix seconds, of the session
	rows map[abaton.BatchName]uint64
}

// renewalsMax bounds the rows remembered, of all sessions.
const renewalsMax = 1 << 18

// renews is which records of a batch the session only renews.
func (n *renewals) renews(id abaton.SessionID, batch abaton.BatchName) uint64 {
	if s := n.of[id]; s != nil {
		return s.rows[batch]
	}
	return 0
}

// note remembers what a session was given.
func (n *renewals) note(s *session.Session, rows []Row, now time.Time) {
	if n.rows+len(rows) > renewalsMax {
		n.trim(now)
	}
	if n.of == nil {
		n.of = make(map[abaton.SessionID]*renewable)
	}
	held := n.of[s.ID()]
	if held == nil {
		held = &renewable{ends: s.Statement().Expires, rows: make(map[abaton.BatchName]uint64)}
		n.of[s.ID()] = held
	}
	for _, row := range rows {
		if held.rows[row.Batch] == 0 {
			n.rows++
		}
		held.rows[row.Batch] |= row.Records
	}
}

// trim forgets sessions that have ended, or else all: what is forgotten costs
// quota once more.
func (n *renewals) trim(now time.Time) {
	for id, s := range n.of {
		if now.Unix() >= s.ends {
			n.rows -= len(s.rows)
			delete(n.of, id)
		}
	}
	if n.rows > renewalsMax/2 {
		n.of, n.rows = nil, 0
	}
}
