package custody

import (
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// sessionsMax bounds the sessions held; beyond it the one that ends first
// goes, and its reader posts the statement again.
const sessionsMax = 8192

// sessions are the statements verified and admitted here, with the channel
// each reply is sealed under. They live in memory only.
type sessions struct {
	mu   sync.RWMutex
	live map[abaton.SessionID]*open
}

type open struct {
	session *session.Session
	party   key.RelyingParty
	channel *session.Channel
	answer  []byte // what the keeper answered to the statement
}

func newSessions() sessions { return sessions{live: make(map[abaton.SessionID]*open)} }

func (s *sessions) find(id abaton.SessionID, now time.Time) *open {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.live[id]
	if o == nil || now.Unix() >= o.session.Statement().Expires {
		return nil
	}
	return o
}

func (s *sessions) add(o *open, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) >= sessionsMax {
		s.drop(now)
	}
	s.live[o.session.ID()] = o
}

// drop removes what has ended, or else what ends first.
func (s *sessions) drop(now time.Time) {
	var first abaton.SessionID
	ends := int64(0)
	for id, o := range s.live {
		at := o.session.Statement().Expires
		if now.Unix() >= at {
			delete(s.live, id)
			continue
		}
		if ends == 0 || at < ends {
			first, ends = id, at
		}
	}
	if len(s.live) >= sessionsMax {
		delete(s.live, first)
	}
}
