package seal

import (
	"errors"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

func TestSealRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		want   error
		change func(*Batch)
	}{
		"everything zero":    {spread.ErrShape, func(b *Batch) { *b = Batch{} }},
		"no patient":         {ErrBatch, func(b *Batch) { b.Patient = abaton.ActorID{} }},
		"no line":            {ErrBatch, func(b *Batch) { b.Line = abaton.Line{} }},
		"no segment":         {ErrBatch, func(b *Batch) { b.Segment = key.BoxPublic{} }},
		"no set":             {ErrBatch, func(b *Batch) { b.Set = abaton.ActorID{} }},
		"no writer":          {ErrBatch, func(b *Batch) { b.Writer = nil }},
		"no author":          {ErrBatch, func(b *Batch) { b.Author.Actor = abaton.ActorID{} }},
		"no author key":      {ErrBatch, func(b *Batch) { b.Author.Key = nil }},
		"no records":         {ErrBatch, func(b *Batch) { b.Records, b.Facts = nil, nil }},
		"too many":           {ErrBatch, func(b *Batch) { b.Records, b.Facts = slices.Repeat(b.Records, 32), nil }},
		"facts of one":       {ErrBatch, func(b *Batch) { b.Facts = b.Facts[:1] }},
		"facts too long":     {ErrBatch, func(b *Batch) { b.Facts[0].Codes = make([]string, 33) }},
		"another patient":    {ErrBatch, func(b *Batch) { b.Records[1].Envelope.Patient[0] ^= 1 }},
		"another line":       {ErrBatch, func(b *Batch) { b.Records[1].Envelope.Line[0] ^= 1 }},
		"an index":           {ErrBatch, func(b *Batch) { b.Records[1].Envelope.Kind = KindIndex }},
		"no kind":            {ErrBatch, func(b *Batch) { b.Records[1].Envelope.Kind = 0 }},
		"resource, no id":    {ErrBatch, func(b *Batch) { b.Records[1].Envelope.ID = "" }},
		"half a transaction": {ErrBatch, func(b *Batch) { b.Records[1].Envelope.Transaction = make([]byte, 8) }},
		"text not UTF-8":     {ErrBatch, func(b *Batch) { b.Records[1].Envelope.ID = "\xff" }},
		"a record too large": {ErrTooLarge, func(b *Batch) { b.Records[0].Content = make([]byte, abaton.RecordBytesMax) }},
		"a batch too large": {ErrTooLarge, func(b *Batch) {
			for i := range 40 {
				b.Records = append(b.Records, b.Records[0])
				b.Records[i].Content = make([]byte, 2<<20)
			}
			b.Facts = nil
		}},
	} {
		w := newWorld()
		b := w.batch(2)
		c.change(&b)
		if s, err := Seal(b); !errors.Is(err, c.want) || s != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestLargeRecord: the largest record goes through one deposit.
func TestLargeRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("16 MB")
	}
	w := newWorld()
	b := w.batch(1)
	content := make([]byte, abaton.RecordBytesMax-1024)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	b.Records[0].Content = content
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	w.mustOpen(t, b, s, w.gatherFrom(t, s, 1, 2, 4).Result())
}

func TestVersionID(t *testing.T) {
	base := VersionID(abaton.KeyID{1}, "a", []string{"p"}, [16]byte{2})
	if len(base) != 26 || VersionID(abaton.KeyID{1}, "a", []string{"p"}, [16]byte{2}) != base {
		t.Fatalf("got %q, want 26 characters, the same each time", base)
	}
	for name, other := range map[string]string{
		"writer": VersionID(abaton.KeyID{9}, "a", []string{"p"}, [16]byte{2}), "id": VersionID(abaton.KeyID{1}, "b", []string{"p"}, [16]byte{2}),
		"parents": VersionID(abaton.KeyID{1}, "a", []string{"q"}, [16]byte{2}), "no parents": VersionID(abaton.KeyID{1}, "a", nil, [16]byte{2}),
		"nonce": VersionID(abaton.KeyID{1}, "a", []string{"p"}, [16]byte{9}), "shifted": VersionID(abaton.KeyID{1}, "pa", nil, [16]byte{2}),
	} {
		if other == base {
			t.Errorf("another %s gives the same version", name)
		}
	}
}

func TestPermutation(t *testing.T) {
	moved := false
	for range 50 {
		order := permutation(63)
		sorted := slices.Sorted(slices.Values(order))
		for i := range sorted {
			if sorted[i] != i {
				t.Fatalf("got %v, not a permutation", order)
			}
		}
		moved = moved || !slices.IsSorted(order)
	}
	if !moved {
		t.Error("records are never shuffled: sizes in order are a fingerprint")
	}
}

func TestCommitRecord(t *testing.T) {
	c := Commit{Version: 1, Transaction: [16]byte{1}, Batches: []abaton.BatchName{{2}, {3}}}
	got, err := ParseCommit(c.Bytes())
	if err != nil || got.Transaction != c.Transaction || !slices.Equal(got.Batches, c.Batches) {
		t.Errorf("got %v and %v, want what was encoded", got, err)
	}
	for name, bad := range map[string]Commit{
		"no version": {Transaction: [16]byte{1}, Batches: c.Batches}, "no transaction": {Version: 1, Batches: c.Batches}, "no batches": {Version: 1, Transaction: [16]byte{1}},
	} {
		if _, err := ParseCommit(bad.Bytes()); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%s: got %v, want ErrEnvelope", name, err)
		}
	}
}
