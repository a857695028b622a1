package client_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/abaton-health/abaton/client"
)

// chart1000 is a thousand records of 1.8 KB.
func (w *world) chart1000() client.Transaction {
	tx := w.writes(general, "bench", 1000)
	for i := range tx.Writes {
		r := &tx.Writes[i].Record
		r.Content = append(r.Content, strings.Repeat(fmt.Sprintf(`{"code":"%d","display":"value %d"}`, i*7919, i), 40)...)
	}
	return tx
}

// BenchmarkChart is a patient's chart of a thousand records, cold: list, open,
// decode, over real keepers in this process.
func BenchmarkChart(b *testing.B) {
	w := newWorld(b)
	w.put(w.writer(b.TempDir()), w.chart1000())
	l := w.login(w.doctor, w.bundle())
	for b.Loop() {
		c, err := w.readerOf(l).Chart(b.Context(), w.ask())
		if err != nil || len(c.Records) != 1000 {
			b.Fatalf("chart: %d records, %v", len(c.Records), err)
		}
	}
}

// BenchmarkPut is a transaction of a thousand records to five keepers in this
// process: sealed, in the outbox, acknowledged and committed.
func BenchmarkPut(b *testing.B) {
	w := newWorld(b)
	wr := w.writer(b.TempDir())
	tx := w.chart1000()
	var n atomic.Int64
	for b.Loop() {
		w.put(wr, tx)
		n.Add(1000)
	}
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkObject writes and reads a large object over five keepers in this
// process.
func BenchmarkObject(b *testing.B) {
	w := newWorld(b)
	wr := w.writer(b.TempDir())
	content := randomBytes(16 << 20)
	b.Run("in", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for i := range b.N {
			e := w.scan(fmt.Sprint("in-", i))
			u := wr.NewUpload(e.Patient, e.Line, e.Type, e.ID, w.doctor.id, 1<<30)
			if err := wr.PutParts(b.Context(), u, bytes.NewReader(content), true, nothing); err != nil {
				b.Fatal(err)
			}
		}
	})
	u := wr.NewUpload(w.patient.id, w.root.Line(general), "Binary", "out", w.doctor.id, 1<<30)
	if err := wr.PutParts(b.Context(), u, bytes.NewReader(content), true, nothing); err != nil {
		b.Fatal(err)
	}
	w.putManifest(wr, u)
	opened, _ := w.open("out")
	b.Run("out", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for range b.N {
			if _, err := opened.Copy(b.Context(), io.Discard, 0, opened.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkListBesideParts lists a chart of three records in a line that holds
// two thousand parts.
func BenchmarkListBesideParts(b *testing.B) {
	w := newWorld(b)
	wr := w.writer(b.TempDir())
	if _, err := wr.Put(b.Context(), w.writes(general, "a", 3)); err != nil {
		b.Fatal(err)
	}
	r, _, ask := w.reader()
	list := func(b *testing.B) {
		for range b.N {
			if _, err := r.List(b.Context(), ask); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("none", list)
	u := w.upload(wr, "scan")
	u.PartBytes = 64
	if err := wr.PutParts(b.Context(), u, bytes.NewReader(randomBytes(64*2000)), true, nothing); err != nil {
		b.Fatal(err)
	}
	b.Run("2000", list)
}
