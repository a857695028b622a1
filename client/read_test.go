package client_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/key"
)

// check compares a chart with what was written.
func (w *world) check(c *client.Chart, want client.Transaction) {
	w.t.Helper()
	if len(c.Missing) != 0 {
		w.t.Errorf("missing: got %d records (%v), want none", len(c.Missing), c.Missing[0].Err)
	}
	if len(c.Records) != len(want.Writes) {
		w.t.Errorf("records: got %d, want %d", len(c.Records), len(want.Writes))
	}
	by := make(map[string][]byte)
	for _, r := range c.Records {
		by[r.Envelope.ID] = r.Content
	}
	for i := range want.Writes {
		if r := &want.Writes[i].Record; !bytes.Equal(by[r.Envelope.ID], r.Content) {
			w.t.Errorf("record %d: content differs from what was written", i)
		}
	}
}

func TestPutAndChart(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	tx := w.writes(general, "a", 70) // two batches and their commit
	out := w.put(wr, tx)
	if out.At < 4 || out.Of != 5 || len(out.Names) != 70 {
		t.Fatalf("written: got at %d of %d, %d names; want 4 of 5 or more, 70 names", out.At, out.Of, len(out.Names))
	}
	r, _, ask := w.reader()
	c, err := r.Chart(t.Context(), ask)
	if err != nil {
		t.Fatalf("chart: %v", err)
	}
	w.check(c, tx)
	if len(c.Faults) != 0 {
		t.Errorf("faults: got %d, want none", len(c.Faults))
	}
	for _, rec := range c.Records {
		if rec.Author != w.org.id || rec.Writer != w.org.signing.ID() {
			t.Fatal("a record lost its author or its writer")
		}
	}
}

func TestNamesOfPut(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "n", 5)
	out := w.put(w.writer(t.TempDir()), tx)
	r, _, ask := w.reader()
	for i, name := range out.Names {
		got, err := r.Get(t.Context(), ask, client.Row{Batch: name.Batch, Records: 1 << name.Index})
		if err != nil || len(got.Records) != 1 {
			t.Fatalf("get record %d: %d records, %v", i, len(got.Records), err)
		}
		if got.Records[0].Envelope.ID != tx.Writes[i].Record.Envelope.ID {
			t.Errorf("record %d: its name leads to another", i)
		}
	}
}

// TestTwoDead is T1 without a liar: any two keepers away, and every record
// opens.
func TestTwoDead(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "a", 9)
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	w.put(w.writerOver(w.net, box), tx)
	for box.Len() > 0 { // two may be away once all five have it
		runtime.Gosched()
	}
	r, _, ask := w.reader()
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		for y := x + 1; y <= 5; y++ {
			w.cut(x, y)
			c, err := r.Chart(t.Context(), ask)
			if err != nil {
				t.Fatalf("keepers %d and %d away: %v", x, y, err)
			}
			w.check(c, tx)
			w.mend(x, y)
		}
	}
	w.cut(1, 2, 3)
	_, err = r.Chart(t.Context(), ask)
	if !errors.Is(err, abaton.ErrUnavailable) {
		t.Errorf("three keepers away: got %v, want too few keepers", err)
	}
}

func TestRefusedWithoutGrant(t *testing.T) {
	w := newWorld(t)
	out := w.put(w.writer(t.TempDir()), w.writes(psychiatric, "p", 2))
	r, _, ask := w.reader()
	ask.Lines = nil
	_, err := r.Get(t.Context(), ask, client.Row{Batch: out.Batches[0], Records: 2})
	refused, ok := errors.AsType[*abaton.RefusedError](err)
	if !ok {
		t.Fatalf("get outside the grant: got %v, want a refusal", err)
	}
	ask.Lines = []abaton.Line{w.root.Line(psychiatric)}
	if _, err := r.List(t.Context(), ask); err == nil {
		t.Error("list outside the grant: got an answer, want a refusal")
	}
	ask = w.ask()
	_, err = r.Get(t.Context(), ask, client.Row{Batch: abaton.BatchName{9}, Records: 1})
	none, _ := errors.AsType[*abaton.RefusedError](err)
	if none == nil || none.Reason != refused.Reason {
		t.Errorf("not here: got %v, want the same as not yours (%v)", err, refused)
	}
}

func TestPermit(t *testing.T) {
	w := newWorld(t)
	out := w.put(w.writer(t.TempDir()), w.writes(general, "a", 3))
	r, _, ask := w.reader()
	row := client.Row{Batch: out.Batches[0], Records: 0b110}
	if err := r.Permit(t.Context(), ask, row); err != nil {
		t.Errorf("permit: %v", err)
	}
	if _, err := w.net.Revoke(t.Context(), w.patient.hand(), w.grant, false); err != nil {
		t.Fatalf("revoke: %v", err)
	}
	err := r.Permit(t.Context(), ask, row)
	if refused, ok := errors.AsType[*abaton.RefusedError](err); !ok || refused.Reason != abaton.ReasonRevoked {
		t.Errorf("permit after revoke: got %v, want refused: %s", err, abaton.ReasonRevoked)
	}
}

// TestOtherLineNotAccepted: what a keeper releases from a line that was not
// asked about is not opened, entitled or not.
func TestOtherLineNotAccepted(t *testing.T) {
	w := newWorld(t)
	out := w.put(w.writer(t.TempDir()), w.writes(psychiatric, "p", 2))
	own, ask := w.own()
	ask.Lines = []abaton.Line{w.root.Line(general)}
	got, err := own.Get(t.Context(), ask, client.Row{Batch: out.Batches[0], Records: 2})
	if err == nil && len(got.Records) != 0 {
		t.Errorf("got %d records of another line, want none", len(got.Records))
	}
}
