package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton/internal/gateway/login"
)

// accesses are the live sessions by the hash of their access value: the value
// itself is nowhere, so a look into this memory gives no one a way in by it.
type accesses struct {
	mu sync.Mutex
	by map[[32]byte]*person
}

// admit gives out a new access value for a session.
func (a *accesses) admit(p *person) (string, error) {
	var value [accessBytes]byte
	rand.Read(value[:])
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.by) >= sessionsMax {
		return "", refusal(http.StatusServiceUnavailable, "throttled", "too many people are signed in here; try again later")
	}
	a.by[sha256.Sum256(value[:])] = p
	return login.Encode(value[:]), nil
}

// unauthorized is the one answer to a missing, foreign or expired value.
func unauthorized() error {
	return refusal(http.StatusUnauthorized, "login", "sign in first: run abaton login and send the value it gives as Authorization: Bearer")
}

// find is the session of a request.
func (a *accesses) find(r *http.Request, now time.Time) (*person, [32]byte, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return nil, [32]byte{}, unauthorized()
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	value, err := login.Decode(text)
	if !strings.EqualFold(scheme, "Bearer") || err != nil || len(value) != accessBytes {
		return nil, [32]byte{}, unauthorized()
	}
	name := sha256.Sum256(value)
	a.mu.Lock()
	p := a.by[name]
	a.mu.Unlock()
	if p == nil || !now.Before(p.expires) {
		return nil, name, unauthorized()
	}
	return p, name, nil
}

// end drops one session.
func (a *accesses) end(name [32]byte) {
	a.mu.Lock()
	p := a.by[name]
	delete(a.by, name)
	a.mu.Unlock()
	if p != nil {
		p.close()
	}
}

// sweep drops the sessions that have ended by now; all of them if all.
func (a *accesses) sweep(now time.Time, all bool) {
	var ended []*person
	a.mu.Lock()
	for name, p := range a.by {
		if all || !now.Before(p.expires) {
			ended = append(ended, p)
			delete(a.by, name)
		}
	}
	a.mu.Unlock()
	for _, p := range ended {
		p.close()
	}
}

// each calls f for every live session.
func (a *accesses) each(f func(*person)) {
	a.mu.Lock()
	live := make([]*person, 0, len(a.by))
	for _, p := range a.by {
		live = append(live, p)
	}
	a.mu.Unlock()
	for _, p := range live {
		f(p)
	}
}

func (a *accesses) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.by)
}
