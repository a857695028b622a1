package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
)

// TestSettled: what was pending is told to be durable when the quorum has it,
// and not before.
func TestSettled(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.put(wr, w.writes(general, "before", 1))
	settled(t, wr)
	if durable, refused := wr.Settled(); !durable || refused != "" {
		t.Errorf("nothing: got %v, %q, want durable", durable, refused)
	}
	w.cut(4, 5)
	out, err := wr.Put(t.Context(), w.writes(general, "a", 3))
	if !errors.Is(err, abaton.ErrPending) {
		t.Fatalf("put: got %v, want pending", err)
	}
	if durable, refused := wr.Settled(out.Batches...); durable || refused != "" {
		t.Errorf("with two keepers away: got %v, %q, want not durable", durable, refused)
	}
	w.mend(4)
	for {
		if durable, refused := wr.Settled(out.Batches...); durable || refused != "" {
			if refused != "" {
				t.Errorf("with four keepers: refused %q", refused)
			}
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("it is never durable")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
