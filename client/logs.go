package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// logFresh is how long a key log is taken from memory. A writer with an older
// copy is told by the keepers (reason epoch) and asks again.
const logFresh = 20 * time.Second

// log is one actor's key log as a quorum of keepers tells it.
type log struct {
	view actor.View
	ever []abaton.KeyID // every signing key a counted event gave, removed ones too
	sure int            // how many keepers told the certificate of the highest certified event
	at   time.Time
}

// logCache holds logs and the events already authenticated. An event that was
// verified once needs no second signature check: its name is its hash.
type logCache struct {
	mu     sync.Mutex
	logs   map[abaton.ActorID]*log
	events map[[32]byte]*actor.Authentic
}

// cachedEventsMax bounds the memory for events; beyond it they are checked
// again.
const cachedEventsMax = 1 << 16

func newLogCache() *logCache {
	return &logCache{logs: make(map[abaton.ActorID]*log), events: make(map[[32]byte]*actor.Authentic)}
}

func (c *logCache) fresh(id abaton.ActorID, now time.Time) *log {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.logs[id]; l != nil && now.Sub(l.at) < logFresh {
		return l
	}
	return nil
}

func (c *logCache) keep(id abaton.ActorID, l *log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.logs) >= cachedEventsMax {
		clear(c.logs)
	}
	c.logs[id] = l
}

func (c *logCache) forget(id abaton.ActorID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.logs, id)
}

// authentic verifies a signed event, once for the same bytes.
func (c *logCache) authentic(signed []byte, rp key.RelyingParty) (*actor.Authentic, error) {
	sum := sha256.Sum256(signed)
	c.mu.Lock()
	a := c.events[sum]
	c.mu.Unlock()
	if a != nil {
		return a, nil
	}
	se, err := actor.ParseSigned(signed)
	if err != nil {
		return nil, err
	}
	if a, err = actor.Authenticate(se, rp); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) >= cachedEventsMax {
		clear(c.events)
	}
	c.events[sum] = a
	return a, nil
}

// Log is the actor's key log: the union of what at least R keepers tell, so
// that it holds every event in force. It is at most logFresh old and must not
// be changed. ErrNotFound if none of them knows the actor.
func (n *Network) Log(ctx context.Context, id abaton.ActorID) (*actor.State, error) {
	l, err := n.log1(ctx, id)
	if err != nil {
		return nil, err
	}
	return l.view.State, nil
}

// Refresh forgets the cached key logs of these actors.
func (n *Network) Refresh(ids ...abaton.ActorID) {
	for _, id := range ids {
		n.logs.forget(id)
	}
}

func (n *Network) log1(ctx context.Context, id abaton.ActorID) (*log, error) {
	found, err := n.fetchLogs(ctx, []abaton.ActorID{id})
	if err != nil {
		return nil, err
	}
	if found[id] == nil {
		return nil, abaton.ErrNotFound
	}
	return found[id], nil
}

// look is the actor's log as it is now; thorough waits for all keepers that
// answer within a second.
func (n *Network) look(ctx context.Context, id abaton.ActorID, thorough bool) (*log, error) {
	step := n.atLeastR()
	step.Hold(thorough)
	found, err := n.ask(ctx, step, []abaton.ActorID{id})
	if err != nil {
		return nil, err
	}
	if found[id] == nil {
		return nil, abaton.ErrNotFound
	}
	return found[id], nil
}

// ask fetches at most QueryActorsMax logs.
func (n *Network) ask(ctx context.Context, step *quorum.Collect, ids []abaton.ActorID) (map[abaton.ActorID]*log, error) {
	asked := n.now()
	statements, err := n.queryLogs(ctx, step, ids)
	if err != nil {
		return nil, fmt.Errorf("fetch key logs: %w", err)
	}
	found, err := n.reduce(ids, statements)
	if err != nil {
		return nil, fmt.Errorf("fetch key logs: %w", err)
	}
	for id, l := range found {
		l.at = asked
		n.logs.keep(id, l)
	}
	return found, nil
}

// Logs is Log for many actors in few messages; unknown actors are absent.
func (n *Network) Logs(ctx context.Context, ids ...abaton.ActorID) (map[abaton.ActorID]*actor.State, error) {
	found, err := n.fetchLogs(ctx, ids)
	if err != nil {
		return nil, err
	}
	states := make(map[abaton.ActorID]*actor.State, len(found))
	for id, l := range found {
		states[id] = l.view.State
	}
	return states, nil
}

func (n *Network) fetchLogs(ctx context.Context, ids []abaton.ActorID) (map[abaton.ActorID]*log, error) {
	found := make(map[abaton.ActorID]*log, len(ids))
	var stale []abaton.ActorID
	for _, id := range ids {
		if l := n.logs.fresh(id, n.now()); l != nil {
			found[id] = l
		} else if !slices.Contains(stale, id) {
			stale = append(stale, id)
		}
	}
	for part := range slices.Chunk(stale, keeper.QueryActorsMax) {
		logs, err := n.ask(ctx, n.atLeastR(), part)
		if err != nil {
			return nil, err
		}
		maps.Copy(found, logs)
	}
	return found, nil
}

// told is one event of the answers: as it came, with one set of proofs or
// another, and which keepers told it and a certificate for it.
type told struct {
	forms       []*actor.Authentic
	by, sure    quorum.Keepers
	certified   actor.Certified
	certificate []byte // that was verified
}

// reduce makes the logs of ids from the answers of several keepers. What is
// not authentic is left out: one keeper's invention takes nothing from what
// the others told.
func (n *Network) reduce(ids []abaton.ActorID, statements []stated) (map[abaton.ActorID]*log, error) {
	byActor := make(map[abaton.ActorID]map[actor.Hash]*told)
	for i := range statements {
		a, err := n.logs.authentic(statements[i].Event, n.set.RelyingParty)
		if err != nil || !slices.Contains(ids, a.Actor()) {
			continue
		}
		events := byActor[a.Actor()]
		if events == nil {
			events = make(map[actor.Hash]*told)
			byActor[a.Actor()] = events
		}
		t := events[a.Hash()]
		if t == nil {
			t = new(told)
			events[a.Hash()] = t
		}
		if !slices.Contains(t.forms, a) { // the cache gives one for the same bytes
			t.forms = append(t.forms, a)
		}
		t.by = t.by.With(statements[i].by)
		n.certify(t, &statements[i])
	}
	logs := make(map[abaton.ActorID]*log, len(byActor))
	for id, events := range byActor {
		l, err := n.build(events)
		if err != nil {
			return nil, err
		}
		if l != nil {
			logs[id] = l
		}
	}
	return logs, nil
}

// certify verifies a certificate, once for the same bytes.
func (n *Network) certify(t *told, s *stated) {
	if len(s.Certificate) == 0 {
		return
	}
	if !bytes.Equal(s.Certificate, t.certificate) {
		c, err := actor.ParseCertificate(s.Certificate)
		if err != nil || c.Hash != t.forms[0].Hash() || c.Actor != t.forms[0].Actor() {
			return
		}
		certified, err := c.Verify(n.set)
		if err != nil {
			return
		}
		t.certified, t.certificate = certified, s.Certificate
	}
	t.sure = t.sure.With(s.by)
}

// build reduces one log. Nil when nothing of it counts.
func (n *Network) build(events map[actor.Hash]*told) (*log, error) {
	list := make([]actor.Told, 0, len(events))
	for _, t := range events {
		for _, a := range t.forms {
			list = append(list, actor.Told{Event: a, By: t.by.Len(), Certified: t.certified})
		}
	}
	slices.SortStableFunc(list, func(a, b actor.Told) int {
		ha, hb := a.Event.Hash(), b.Event.Hash()
		return bytes.Compare(ha[:], hb[:])
	})
	view, err := actor.NewView(list, n.params.F, n.now())
	if err != nil {
		return nil, err
	}
	tip, live := view.State.Certified()
	if !live {
		return nil, nil
	}
	l := &log{view: view}
	if t := events[tip.Hash]; t != nil {
		l.sure = t.sure.Len()
	}
	for hash, t := range events {
		if view.State.Counts(hash) {
			l.ever = append(l.ever, keysGiven(t.forms[0])...)
		}
	}
	return l, nil
}

// keysGiven are the signing keys an event gives.
func keysGiven(a *actor.Authentic) (ids []abaton.KeyID) {
	switch b := a.Body().(type) {
	case *actor.Inception:
		for _, k := range b.Keys {
			ids = append(ids, k.ID)
		}
	case *actor.KeyAdd:
		ids = append(ids, b.Key.ID)
	}
	return ids
}

// authors gives the keys an actor may have signed records with, for seal.Open.
// Keys removed since count: a record does not lose its author when a key is
// changed.
func (n *Network) authors(ctx context.Context) func(abaton.ActorID) []abaton.KeyID {
	return func(id abaton.ActorID) []abaton.KeyID {
		l, err := n.log1(ctx, id)
		if err != nil {
			return nil
		}
		return l.ever
	}
}
