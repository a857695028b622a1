package custody_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/session"
)

// TestRestartForgetsNoPartialAnswer: a thief who asks for one record more than
// there is gets the others, and these count after a restart as before it.
func TestRestartForgetsNoPartialAnswer(t *testing.T) {
	w := newClinic(t, 8)
	s := w.SignIn(t, w.thief)
	partly := func(c *chart) session.Request {
		q := c.release()
		q.Rows[0].Bits = 3 // the batch has one record
		return q
	}
	for i := range 5 {
		r, err := w.Ask(t.Context(), s, 1, partly(&w.charts[i]))
		if err != nil || len(r.Pieces) != 1 || r.Reason != abaton.ReasonNotFound {
			t.Fatalf("patient %d: got %v, want one piece, and the other not found", i, err)
		}
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := w.asks(t, s, 1, partly(&w.charts[5])); got != abaton.ReasonStepUp {
		t.Errorf("the sixth patient after a restart: got %q, want %q", got, abaton.ReasonStepUp)
	}
}
