package store

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton"
)

// TestHeadOf: the short way sees what the parser sees, and refuses what is cut.
func TestHeadOf(t *testing.T) {
	n := Notice{Line: abaton.Line{1}, Head: []byte("head"), Lock: []byte("lock"), Capsule: []byte("c"), Receipt: []byte("r"), Leaves: make([][32]byte, 3)}
	b := n.marshal()
	if got, err := headOf(b); err != nil || !bytes.Equal(got, n.Head) {
		t.Fatalf("got %q, %v, want the head", got, err)
	}
	whole := 2 + 16 + 3*32 + 4 + len(n.Head)
	for cut := range whole {
		if got, err := headOf(b[:cut]); err == nil {
			t.Errorf("cut at %d: got %q, want ErrDamaged", cut, got)
		}
	}
}
