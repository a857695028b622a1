package store_test

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/internal/store"
)

// formats in a fixed order, so that a saved input keeps its meaning.
var formats = []string{"notice", "tombstone", "shape", "row key", "fragments", "large fragment", "beside"}

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

// TestFragmentRowsOneForm: what could be written in two ways is refused in all
// but one.
func TestFragmentRowsOneForm(t *testing.T) {
	row := func(rest ...byte) []byte { return append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, rest...) }
	if _, err := store.Reencode("fragments", row(4, 1, 'a')); err != nil {
		t.Fatalf("a row of one: got %v, want nil", err)
	}
	for name, bad := range map[string][]byte{
		"nothing held":              make([]byte, 8),
		"long form of length":       row(0x84, 0, 1, 'a'),
		"long form of size":         row(4, 0x81, 0, 'a'),
		"no fragment":               row(4, 0),
		"size above the rest":       row(4, 2, 'a'),
		"length above 32 bit":       row(0x80, 0x80, 0x80, 0x80, 0x10, 1, 'a'),
		"too large to lie together": row(append([]byte{4, 0x81, 0x20}, make([]byte, store.FragmentTogetherBytes+1)...)...),
	} {
		if _, err := store.Reencode("fragments", bad); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	if _, err := store.Reencode("large fragment", []byte{4, 1, 'a'}); err == nil {
		t.Error("small fragment alone: got nil, want an error")
	}
}

// FuzzSealedShares: what opens is what was sealed, and nothing panics.
func FuzzSealedShares(f *testing.F) {
	sealed := store.SealedExample()
	f.Add(sealed)
	f.Add(sealed[:24])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		held, err := store.OpenExample(in)
		if err == nil && held != 5 {
			t.Errorf("opened as records %x, want 5 or nothing", held)
		}
	})
}
