package sim

import (
	"time"

	"github.com/abaton-health/abaton"
)

// Times of the network.
const (
	delayLeast  = time.Millisecond
	delayMost   = 25 * time.Millisecond
	lateMost    = 6 * time.Second
	callTimeout = 2 * time.Second // of a client's call
	peerTimeout = 4 * time.Second // of a keeper's call
)

// send carries a message: it may be lost, late, doubled, or overtaken by
// another one.
func (w *world) send(from, to place, deliver func()) {
	copies := 1
	if !w.calm {
		switch {
		case w.cut[from][to] > 0 || w.chance(w.plan.Drop):
			return
		case w.chance(w.plan.Twice):
			copies = 2
		}
	}
	for range copies {
		w.after(w.delay(), deliver)
	}
}

func (w *world) delay() time.Duration {
	if !w.calm && w.chance(w.plan.Late) {
		return w.between(delayMost, lateMost)
	}
	return w.between(delayLeast, delayMost)
}

// call asks a keeper. handle runs there, each time a copy arrives, and may
// reply; what it replies runs here, once. If nothing came in time, lost runs
// instead, and what comes later is not looked at.
func (w *world) call(from place, x abaton.KeeperIndex, timeout time.Duration, handle func(k *keeper, reply func(func())), lost func()) {
	done := false
	w.after(timeout, func() {
		if !done {
			done = true
			lost()
		}
	})
	w.send(from, place(x), func() {
		k := w.keepers[x]
		if !k.up {
			return
		}
		handle(k, func(deliver func()) {
			w.send(place(x), from, func() {
				if !done {
					done = true
					deliver()
				}
			})
		})
	})
}
