package custody

import (
	"context"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// sessionsMax bounds the sessions held; beyond it the one that ends first
// goes, and its reader posts the statement again.
const sessionsMax = 8192

// sessions are the statements verified and admitted here, with the channel
// each reply is sealed under. They live in memory only.
type sessions struct {
	mu   sync.RWMutex
	live map[abaton.SessionID]*open
	used map[key.Credential]use        // of passkeys that count
	told map[abaton.SessionID]struct{} // refused as cloned, and counted
}

// use is the newest statement of a passkey met here.
type use struct {
	session   abaton.SessionID
	notBefore int64
	count     uint32
}

type open struct {
	session *session.Session
	party   key.RelyingParty
	channel *session.Channel
	answer  []byte // what the keeper answered to the statement
	signed  []byte // the statement
}

func newSessions() sessions {
	return sessions{live: make(map[abaton.SessionID]*open), used: make(map[key.Credential]use), told: make(map[abaton.SessionID]struct{})}
}

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

// usedMax bounds the passkeys whose counters are remembered; they come from
// admitted sessions only.
const usedMax = 1 << 17

// counted reports whether the counter of the session's passkey has risen with
// time, as it does unless two devices hold the passkey. Sessions may be met in
// any order: readers ask keepers when they need them. What is remembered is in
// memory only.
func (s *sessions) counted(one *session.Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := one.Statement()
	now := use{session: one.ID(), notBefore: st.NotBefore, count: one.Count()}
	last, known := s.used[st.Credential]
	if known && last.session != now.session && !last.fits(now) {
		return false
	}
	if known && !last.before(now) || !known && now.count == 0 {
		return true
	}
	if len(s.used) >= usedMax {
		for c := range s.used { // any: another keeper remembers another
			delete(s.used, c)
			break
		}
	}
	s.used[st.Credential] = now
	return true
}

// copied counts a finding, once for each statement, and is the refusal.
func (k *Keeper) copied(ctx context.Context, id abaton.SessionID) error {
	if k.sessions.firstRefused(id) {
		if _, err := k.one(ctx, Found{Reason: abaton.ReasonCloned}); err != nil {
			return err
		}
	}
	return abaton.Refuse(abaton.ReasonCloned)
}

// firstRefused reports whether this statement is refused as cloned for the first
// time, so that the same bytes again count once.
func (s *sessions) firstRefused(id abaton.SessionID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.told[id]; known {
		return false
	}
	if len(s.told) >= sessionsMax {
		clear(s.told)
	}
	s.told[id] = struct{}{}
	return true
}

// fits reports whether two statements can be of one device: of two, the later
// one counted higher. Made in the same second, their counters differ.
func (u use) fits(o use) bool {
	switch {
	case u.count == 0 && o.count == 0:
		return true
	case u.notBefore < o.notBefore:
		return u.count < o.count
	case u.notBefore > o.notBefore:
		return u.count > o.count
	}
	return u.count != o.count
}

// before reports whether o is the newer use: of one second, the higher count.
func (u use) before(o use) bool {
	return u.notBefore < o.notBefore || u.notBefore == o.notBefore && u.count < o.count
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

// OpenSession verifies a session statement and answers with the encapsulation
// to its reply key. The same statement again gets the same answer.
func (k *Keeper) OpenSession(ctx context.Context, body []byte) ([]byte, error) {
	signed, err := session.ParseSigned(body)
	if err != nil {
		return nil, err
	}
	if o := k.sessions.find(session.Challenge(signed.Statement), k.cfg.Now()); o != nil {
		if _, err := k.one(ctx, Again{Session: o.session}); err != nil {
			return nil, err
		}
		return o.answer, nil
	}
	var st session.Statement
	if wire.Unmarshal(signed.Statement, &st) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	o := &open{signed: body}
	if _, err := k.one(ctx, Party{Organisation: st.Organisation, Into: &o.party}); err != nil {
		return nil, err
	}
	if o.session, err = session.Authenticate(signed, o.party); err != nil {
		return nil, err
	}
	if _, err := k.one(ctx, Admit{Session: o.session}); err != nil {
		return nil, err
	}
	if !k.sessions.counted(o.session) {
		return nil, k.copied(ctx, o.session.ID())
	}
	var enc []byte
	if o.channel, enc, err = session.OpenChannel(o.session, k.cfg.Index); err != nil {
		return nil, err
	}
	opened := keeper.Opened{V: wire.Version, Keeper: k.cfg.Index, Session: o.session.ID(), Enc: enc}
	o.answer = wire.Marshal(k.cfg.Key.Seal(wire.Answer, wire.Marshal(opened)))
	k.sessions.add(o, k.cfg.Now())
	return o.answer, nil
}
