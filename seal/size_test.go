package seal

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton/spread"
)

// padded is count records of 300 bytes, the content random, so that compression
// does not bring them below a bucket of 384.
func (w *world) padded(count int) Batch {
	b := w.batch(count)
	b.Facts = nil
	for i := range b.Records {
		b.Records[i].Content = nil
		content := make([]byte, 300-len(b.Records[i].raw()))
		rand.Read(content)
		b.Records[i].Content = content
	}
	return b
}

// storedBytes is what five keepers keep of a batch.
func storedBytes(all []*spread.Stored) int {
	total := 0
	for _, s := range all {
		total += len(s.Head.Body) + len(s.Head.Sig) + len(s.Lock.Body) + len(s.Lock.Sig) + len(s.Capsule) + 32*len(s.Leaves)
		for _, r := range s.Rows {
			total += 4 + len(r.Fragment) + len(r.Share)
		}
	}
	return total
}

// TestSizes is T13: the bytes of a record at m = 1, 8 and 64 are pinned, so a
// change of layout is seen. Records are 300 bytes, in a bucket of 384; with
// m > 1 one of them is the index.
func TestSizes(t *testing.T) {
	for _, c := range []struct{ count, stored, upload, whole, single int }{
		{1, 7695, 1672, 1578, 1578},
		{7, 14905, 3877, 3084, 1783},
		{63, 74480, 21897, 15512, 1995},
	} {
		w := newWorld()
		s, err := Seal(w.padded(c.count))
		if err != nil {
			t.Fatal(err)
		}
		stored := w.stored(t, s)
		m := len(stored[0].Rows)
		got := fmt.Sprint(storedBytes(stored), len(s.Uploads[0].Bytes()), len(piece(t, stored[0], all(m))), len(piece(t, stored[0], 1<<(m-1))))
		want := fmt.Sprint(c.stored, c.upload, c.whole, c.single)
		if got != want {
			t.Errorf("m = %d: stored, upload, whole piece, piece of one: got %s, want %s", m, got, want)
		}
		t.Logf("m = %d: %d bytes a record over five keepers", m, storedBytes(stored)/m)
	}
}

// TestSizesTellBucketsOnly: two batches of the same buckets give the same
// traffic, whatever is in them.
func TestSizesTellBucketsOnly(t *testing.T) {
	w := newWorld()
	one, err := Seal(w.padded(5))
	if err != nil {
		t.Fatal(err)
	}
	b := w.padded(5)
	for i := range b.Records {
		b.Records[i].Content = append(b.Records[i].Content, make([]byte, 4*i)...)
	}
	two, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	for p := range one.Uploads {
		if got, want := len(two.Uploads[p].Bytes()), len(one.Uploads[p].Bytes()); got != want {
			t.Errorf("position %d: upload of %d bytes, want %d", p, got, want)
		}
	}
}

// TestGuessesChangeNothing: with all randomness fixed, a record's code word
// does not depend on what is sealed beside it.
func TestGuessesChangeNothing(t *testing.T) {
	w := newWorld()
	words := func(guess string) [][]byte {
		b := w.batch(3)
		b.Records[0].Content = []byte(guess)
		e := fresh(3)
		e.nonce, e.order = [16]byte{1}, []int{0, 1, 2}
		for j := range e.keys {
			e.keys[j] = [32]byte{byte(j + 1)}
		}
		raws, _, err := b.raws(e.order)
		if err != nil {
			t.Fatal(err)
		}
		code, err := spread.NewCode(5, 3)
		if err != nil {
			t.Fatal(err)
		}
		s := sealing{batch: &b, entropy: e, code: code, shape: b.Shape, m: len(raws)}
		if err := s.bodies(raws); err != nil {
			t.Fatal(err)
		}
		return [][]byte{s.word(1), s.word(2), s.word(3)}
	}
	secret := string(w.record(1).Content)
	right, wrong := words(secret), words("a guess that has nothing in common with it")
	if !bytes.Equal(right[1], wrong[1]) || !bytes.Equal(right[2], wrong[2]) {
		t.Error("a record beside changes a record's code word")
	}
	if bytes.Equal(right[0], wrong[0]) {
		t.Error("another text gives the same code word")
	}
}
