package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// logFresh is how long a key log is taken from memory. A writer with an older
// copy is told by the keepers (reason epoch) and asks again.
const logFresh = 20 * time.Second

// log is one actor's key log as a quorum of keepers tells it.
type log struct {
	state *actor.State
	ever  []abaton.KeyID // every signing key a counted event gave, removed ones too
	open  [][]byte       // signed events that no certificate stands for yet and that give
	at    time.Time
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
	return l.state, nil
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

// Logs is Log for many actors in few messages; unknown actors are absent.
func (n *Network) Logs(ctx context.Context, ids ...abaton.ActorID) (map[abaton.ActorID]*actor.State, error) {
	found, err := n.fetchLogs(ctx, ids)
	if err != nil {
		return nil, err
	}
	states := make(map[abaton.ActorID]*actor.State, len(found))
	for id, l := range found {
		states[id] = l.state
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
		asked := n.now()
		statements, err := n.queryLogs(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("fetch key logs: %w", err)
		}
		for id, l := range n.reduce(part, statements) {
			l.at = asked
			n.logs.keep(id, l)
			found[id] = l
		}
	}
	return found, nil
}

// known is one event of the answers and whether a certificate came with it.
type known struct {
	event     *actor.Authentic
	certified []actor.Certified
}

// reduce makes the logs of ids from statements of several keepers. What is
// not authentic is left out: one keeper's invention takes nothing from what
// the others told.
func (n *Network) reduce(ids []abaton.ActorID, statements []keeper.Statement) map[abaton.ActorID]*log {
	byActor := make(map[abaton.ActorID]map[actor.Hash]*known)
	for i := range statements {
		a, err := n.logs.authentic(statements[i].Event, n.set.RelyingParty)
		if err != nil || !slices.Contains(ids, a.Actor()) {
			continue
		}
		events := byActor[a.Actor()]
		if events == nil {
			events = make(map[actor.Hash]*known)
			byActor[a.Actor()] = events
		}
		k := events[a.Hash()]
		if k == nil {
			k = &known{event: a}
			events[a.Hash()] = k
		}
		n.certify(k, statements[i].Certificate)
	}
	logs := make(map[abaton.ActorID]*log, len(byActor))
	for id, events := range byActor {
		if l := n.build(events); l != nil {
			logs[id] = l
		}
	}
	return logs
}

func (n *Network) certify(k *known, certificate []byte) {
	if len(certificate) == 0 || len(k.certified) > 0 {
		return
	}
	c, err := actor.ParseCertificate(certificate)
	if err != nil || c.Hash != k.event.Hash() || c.Actor != k.event.Actor() {
		return
	}
	if certified, err := c.Verify(n.set); err == nil {
		k.certified = append(k.certified, certified)
	}
}

// build reduces one log: certified events as they are, others only if they
// would be admitted. Nil when nothing of it counts.
func (n *Network) build(events map[actor.Hash]*known) *log {
	list := make([]*known, 0, len(events))
	for _, k := range events {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *known) int {
		ea, eb := a.event.Event(), b.event.Event()
		if ea.Seq != eb.Seq {
			return int(int64(ea.Seq) - int64(eb.Seq))
		}
		ha, hb := a.event.Hash(), b.event.Hash()
		return slices.Compare(ha[:], hb[:])
	})
	l := &log{state: new(actor.State)}
	for _, k := range list {
		if len(k.certified) == 0 && !n.holds(l, k.event) {
			continue
		}
		if l.state.Apply(k.event) != nil {
			continue
		}
		for _, c := range k.certified {
			if l.state.Certify(c) == nil {
				l.ever = append(l.ever, keysGiven(k.event)...)
			}
		}
	}
	if !l.state.Live() {
		return nil
	}
	return l
}

// holds reports whether an event counts without a certificate: it only takes
// away, and its signer may. Others are remembered as open.
func (n *Network) holds(l *log, a *actor.Authentic) bool {
	if !actor.Narrows(a.Kind()) {
		l.open = append(l.open, a.Signed().Marshal())
		return false
	}
	return l.state.Admit(a, actor.Door{}, n.now()) == nil
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
