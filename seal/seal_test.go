package seal

import (
	"bytes"
	"testing"
)

func TestSealOpen(t *testing.T) {
	for _, count := range []int{1, 2, 7, 63} {
		w := newWorld()
		b := w.batch(count)
		s, err := Seal(b)
		if err != nil {
			t.Fatalf("Seal of %d: %v", count, err)
		}
		m := count
		if count > 1 {
			m++
		}
		stored := w.stored(t, s)
		for _, rows := range []uint64{all(m), 1, 1 << (m - 1)} {
			g := w.gather(t, s.Name, rows)
			for _, p := range []int{1, 3, 4} {
				if err := g.Add(w.shape.X[p], piece(t, stored[p], rows)); err != nil {
					t.Fatalf("Add: %v", err)
				}
			}
			found := g.Result()
			if !found.Complete() {
				t.Fatalf("m=%d rows=%x: got missing %v, want complete", m, rows, found.Missing)
			}
			opened, err := Open(w.segment, found, w.authors)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			for _, o := range opened {
				if o.Err != nil {
					t.Fatalf("record %d of %d: %v", o.Name.Index, m, o.Err)
				}
				if o.Author != w.org {
					t.Errorf("author got %v, want the organisation", o.Author)
				}
				if o.Record.Envelope.Kind == KindIndex {
					x, err := ParseIndex(o.Record.Content)
					if err != nil || len(x.Entries) != count {
						t.Errorf("index: got %v, %v, want %d entries", x, err, count)
					}
					continue
				}
				i := placeOf(s.Places, o.Name.Index)
				if !bytes.Equal(o.Record.Content, b.Records[i].Content) {
					t.Errorf("record %d differs from what was sealed", o.Name.Index)
				}
			}
		}
	}
}

func placeOf(places []uint16, j uint16) int {
	for i, at := range places {
		if at == j {
			return i
		}
	}
	return -1
}
