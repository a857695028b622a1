package store_test

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/internal/store"
)

// formats in a fixed order, so that a saved input keeps its meaning.
var formats = []string{"notice", "tombstone", "shape", "row key", "fragments", "large fragment"}

// FuzzRows: whatever parses marshals to the same bytes, and nothing panics.
func FuzzRows(f *testing.F) {
	examples := store.RowExamples()
	for i, format := range formats {
		f.Add(byte(i), examples[format])
	}
	f.Fuzz(func(t *testing.T, which byte, in []byte) {
		format := formats[int(which)%len(formats)]
		out, err := store.Reencode(format, in)
		if err == nil && !bytes.Equal(in, out) {
			t.Errorf("%s: got %x, want %x", format, out, in)
		}
	})
}

func TestRowsStrict(t *testing.T) {
	for format, example := range store.RowExamples() {
		out, err := store.Reencode(format, example)
		if err != nil || !bytes.Equal(out, example) {
			t.Errorf("%s: got %x, %v, want %x", format, out, err, example)
		}
		if _, err := store.Reencode(format, append(bytes.Clone(example), 0)); err == nil {
			t.Errorf("%s with a byte more: got nil, want an error", format)
		}
		if _, err := store.Reencode(format, nil); err == nil {
			t.Errorf("%s of nothing: got nil, want an error", format)
		}
	}
}
