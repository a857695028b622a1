package seal

import (
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

// world is one patient's line with its segment, a writer and an author.
type world struct {
	patient, set, org abaton.ActorID
	line              abaton.Line
	segment           *key.Box
	writer, author    *key.Signing
	shape             spread.Shape
}

func newWorld() *world {
	return &world{
		patient: abaton.ActorID{1}, set: abaton.ActorID{2}, org: abaton.ActorID{3}, line: abaton.Line{4},
		segment: key.NewBox(), writer: key.NewSigning(), author: key.NewSigning(), shape: spread.FiveKeepers(),
	}
}

func (w *world) authors(id abaton.ActorID) []abaton.KeyID {
	if id == w.org {
		return []abaton.KeyID{w.author.ID()}
	}
	return nil
}

func anybody(*spread.Head, *spread.Lock) error { return nil }

func (w *world) batch(records int) Batch {
	b := Batch{
		Patient: w.patient, Line: w.line, Segment: w.segment.Public(), Set: w.set, Shape: w.shape,
		Writer: w.writer, Seq: 1, Hour: 480000, Author: Author{Actor: w.org, Key: w.author},
	}
	for i := range records {
		b.Records = append(b.Records, w.record(i))
		b.Facts = append(b.Facts, Fact{Date: "2026-01-02", Codes: []string{"loinc|8480-6"}})
	}
	return b
}

func (w *world) record(i int) Record {
	return Record{
		Envelope: Envelope{
			Patient: w.patient, Line: w.line, Kind: KindResource, Type: "Observation",
			ID: fmt.Sprintf("obs-%d", i), VersionID: "v1", LastUpdated: 1_767_000_000_000,
		},
		Content: fmt.Appendf(nil, `{"resourceType":"Observation","id":"obs-%d","status":"final","valueQuantity":{"value":%d}}`, i, i*37),
	}
}

func (w *world) seal(t testing.TB, records int) *Sealed {
	t.Helper()
	s, err := Seal(w.batch(records))
	if err != nil {
		t.Fatalf("Seal of %d records: %v", records, err)
	}
	return s
}

// stored is what each keeper holds after its own check.
func (w *world) stored(t testing.TB, s *Sealed) []*spread.Stored {
	t.Helper()
	var out []*spread.Stored
	for p, u := range s.Uploads {
		parsed, err := spread.ParseUpload(u.Bytes())
		if err != nil {
			t.Fatalf("ParseUpload at %d: %v", p, err)
		}
		c, err := spread.Check(parsed, w.shape, w.set, w.shape.X[p])
		if err != nil {
			t.Fatalf("Check at %d: %v", p, err)
		}
		out = append(out, c.Stored())
	}
	return out
}

func piece(t testing.TB, s *spread.Stored, rows uint64) []byte {
	t.Helper()
	p, err := spread.MakePiece(s, rows)
	if err != nil {
		t.Fatalf("MakePiece: %v", err)
	}
	return p.Bytes()
}

func (w *world) gather(t testing.TB, name abaton.BatchName, rows uint64) *spread.Gather {
	t.Helper()
	g, err := spread.NewGather(name, rows, w.shape, w.set, anybody)
	if err != nil {
		t.Fatalf("NewGather: %v", err)
	}
	return g
}

func all(m int) uint64 { return 1<<m - 1 }
