package client

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

// Settled tells how batches stand that an earlier Put of this writer left to
// the outbox (ErrPending): durable when each is at the write quorum, refused
// when one of them never will be. Batches that are not in the outbox any more
// are durable: they leave it when every keeper has them.
func (w *Writer) Settled(batches ...abaton.BatchName) (durable bool, refused abaton.Reason) {
	w.mu.Lock()
	waiting := make([]*sending, 0, len(batches))
	for _, name := range batches {
		if s := w.sends[name]; s != nil {
			waiting = append(waiting, s)
		}
	}
	w.mu.Unlock()
	durable = true
	for _, s := range waiting {
		switch s.state() {
		case quorum.Durable, quorum.Settled:
		case quorum.Refused:
			return false, s.reason()
		default:
			durable = false
		}
	}
	return durable, ""
}
