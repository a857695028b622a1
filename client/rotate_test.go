package client

import (
	"bytes"
	"testing"
)

// TestOutboxRotates: a full file is followed by another, and goes when all it
// holds is done; what is not done stays readable.
func TestOutboxRotates(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	dir := t.TempDir()
	o := open(t, dir)
	piece := bytes.Repeat([]byte("p"), outboxFileBytes/4)
	var all []*outgoing
	for range 10 {
		all = append(all, entry(t, o, 1, piece))
	}
	if got := len(files(t, dir)); got < 3 {
		t.Fatalf("files: got %d, want the first to be full", got)
	}
	for _, out := range all[:9] {
		if err := o.done(out.Batch); err != nil {
			t.Fatalf("done: %v", err)
		}
	}
	last := all[9].Batch
	for range 5 { // the next rotation sweeps
		if err := o.done(entry(t, o, 1, piece).Batch); err != nil {
			t.Fatalf("done: %v", err)
		}
	}
	if got := len(files(t, dir)); got > 3 {
		t.Errorf("files: got %d, want the done ones gone", got)
	}
	if _, err := o.load(last); err != nil {
		t.Errorf("load: %v", err)
	}
	o.Close()
	if got := names(open(t, dir)); len(got) != 1 || !got[last] {
		t.Errorf("reopened: got %d batches, want the one that is not done", len(got))
	}
}
