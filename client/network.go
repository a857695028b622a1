// Package client is the reader's and the writer's side of the keeper
// protocol: it makes five keepers look like one that does not fail when one of
// them does.
//
//	n, err := client.New(client.Config{Set: set, Keepers: keepers, Asker: key})
//	defer n.Close()
//	w, err := n.NewWriter(client.WriterConfig{Outbox: box, Writer: key, Author: author})
//	written, err := w.Put(ctx, client.Transaction{Writes: writes}) // four hold it
//	r, err := n.NewReader(login)
//	chart, err := r.Chart(ctx, client.Ask{Patient: p, Grant: g, Purpose: abaton.Treatment, Lines: lines})
//
// It runs the steps of internal/quorum with real calls and timers, checks
// every signature, seal and piece before it counts, and keeps proofs against
// keepers that lie. It does not protect the machine it runs on: what a reader
// has opened lies in that process's memory. Nothing it starts outlives Close.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

// Keeper is one keeper on the wire; *keeper.Client is one. Call posts body to
// a route and returns the answer. A refusal by the keeper is an
// *abaton.RefusedError; any other error means that nothing is known. Call ends
// when ctx does, and is safe for concurrent use.
type Keeper interface {
	Call(ctx context.Context, route string, body []byte) ([]byte, error)
}

// callTimeout bounds one call: a full deposit over a slow line takes seconds,
// a keeper that is silent for longer counts as lost and is asked again.
const callTimeout = 20 * time.Second

// Config says which keepers and how.
type Config struct {
	// Set is the keeper set, verified and pinned by the caller.
	Set *actor.Set
	// Keepers has one entry for each keeper of Set.
	Keepers map[abaton.KeeperIndex]Keeper
	// Asker signs queries for key logs: a live key of any known actor. Nil
	// can publish but not fetch.
	Asker *key.Signing
	// Log takes what operators should know; nil discards.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Network is a keeper set as a client sees it. Safe for concurrent use.
type Network struct {
	set      *actor.Set
	params   quorum.Params
	shape    spread.Shape
	asker    *key.Signing
	log      *slog.Logger
	now      func() time.Time
	couriers []*courier // by keeper index; 0 is nil
	boxes    []key.BoxPublic
	logs     *logCache
	seals    sealKeys
	proved   proved
	partsIn  chan struct{} // one for each part of a large object that is being written
	partsOut chan struct{} // and read

	ctx    context.Context // ends with Close; only for work that outlives its caller
	cancel context.CancelFunc
	work   sync.WaitGroup
	mu     sync.Mutex
	closed bool
	timers map[*time.Timer]struct{}
}

// New checks the configuration and connects nothing yet.
func New(c Config) (*Network, error) {
	if c.Set == nil {
		return nil, errors.New("network: no keeper set")
	}
	n := &Network{
		set: c.Set, asker: c.Asker, log: c.Log, now: c.Now, logs: newLogCache(),
		params: quorum.Params{N: int(c.Set.N), K: int(c.Set.K), T: int(c.Set.T), W: int(c.Set.W), F: int(c.Set.F)},
		timers: make(map[*time.Timer]struct{}), partsIn: make(chan struct{}, partsAtOnce), partsOut: make(chan struct{}, partsAtOnce),
	}
	if err := n.params.Validate(); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	n.shape = shapeOf(c.Set)
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.couriers, n.boxes = make([]*courier, n.params.N+1), make([]key.BoxPublic, n.params.N+1)
	for x := range quorum.All(n.params.N).Each {
		k := c.Keepers[x]
		box, err := c.Set.BoxOf(x)
		if k == nil || err != nil {
			n.cancel()
			return nil, fmt.Errorf("network: keeper %d is missing", x)
		}
		n.couriers[x], n.boxes[x] = &courier{n: n, x: x, keeper: k}, box
	}
	return n, nil
}

func shapeOf(s *actor.Set) spread.Shape {
	n, k, t, xs := s.Shape()
	shape := spread.Shape{N: n, K: k, T: t}
	for _, x := range xs {
		shape.X = append(shape.X, abaton.KeeperIndex(x))
	}
	return shape
}

// Set is the keeper set.
func (n *Network) Set() *actor.Set { return n.set }

// Close ends all work that is under way and waits for it. What is in an
// outbox stays there.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	for t := range n.timers {
		if t.Stop() {
			n.work.Done()
		}
	}
	clear(n.timers)
	n.mu.Unlock()
	n.cancel()
	n.work.Wait()
}

// run does f in the background, joined by Close; after Close it does nothing.
func (n *Network) run(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.work.Go(f)
}

// after calls f once d has passed, unless the network is closed by then.
func (n *Network) after(d time.Duration, f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.work.Add(1)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer n.work.Done()
		n.mu.Lock()
		delete(n.timers, t)
		closed := n.closed
		n.mu.Unlock()
		if !closed {
			f()
		}
	})
	n.timers[t] = struct{}{}
}

// call asks one keeper once.
func (n *Network) call(ctx context.Context, x abaton.KeeperIndex, route string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return n.couriers[x].keeper.Call(ctx, route, body)
}

// reasonOf is the reason of a refusal, empty for every other error.
func reasonOf(err error) abaton.Reason {
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return refused.Reason
	}
	return ""
}
