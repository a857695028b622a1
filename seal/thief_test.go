package seal

import (
	"testing"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// thief has the segment's key, every fragment, and of every record t-1
// shares; of record 0 all of them.
type thief struct {
	k1     key.Secret
	head   *spread.Head
	words  [][]byte
	shares [][]spread.Share // record
}

func (w *world) thief(t *testing.T, s *Sealed) *thief {
	t.Helper()
	head, err := spread.ParseHead(s.Head)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := spread.ParseLock(s.Lock)
	if err != nil {
		t.Fatal(err)
	}
	code, err := spread.NewCode(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	u := s.Uploads
	capsule, _, err := code.Decode([][]byte{u[0].Capsule, u[1].Capsule, u[2].Capsule, nil, nil}, spread.CapsuleBytes)
	if err != nil {
		t.Fatal(err)
	}
	ctx := spread.Ctx(head.Line, lock)
	exporter, err := w.segment.Decapsulate(capsule[:key.EncBytes], ctx[:])
	if err != nil {
		t.Fatal(err)
	}
	out := &thief{k1: key.ExportSecret(exporter, wire.K1), head: head}
	for j := range u[0].Rows {
		word, _, err := code.Decode([][]byte{u[0].Rows[j].Fragment, u[1].Rows[j].Fragment, u[2].Rows[j].Fragment, nil, nil}, int(u[0].Rows[j].Length))
		if err != nil {
			t.Fatal(err)
		}
		out.words = append(out.words, word)
		var shares []spread.Share
		for p := range 5 {
			if p < 2 || j == 0 {
				shares = append(shares, spread.Share{X: u[p].X, Y: u[p].Rows[j].Share})
			}
		}
		out.shares = append(out.shares, shares)
	}
	return out
}

func (th *thief) opens(j int, dek [32]byte) bool {
	aad := bodyContext(th.head.Patient, th.head.Nonce, int(th.head.Dims.M), j)
	_, err := openBody(dek, th.words[j], aad, th.head.Dictionary)
	return err == nil
}

// TestThiefBelowTheThreshold is T4: what was opened once gives nothing about
// its neighbours, for every size of batch.
func TestThiefBelowTheThreshold(t *testing.T) {
	w := newWorld()
	for count := 1; count <= BatchRecordsMax; count++ {
		th := w.thief(t, w.seal(t, count))
		masked, err := spread.Combine(th.shares[0][:3])
		if err != nil {
			t.Fatal(err)
		}
		dek0 := xor(masked, maskOf(th.k1, 0))
		if !th.opens(0, dek0) {
			t.Fatalf("%d records: all shares of record 0 do not open it", count)
		}
		for j := 1; j < len(th.words); j++ {
			two, err := spread.Combine(th.shares[j])
			if err != nil {
				t.Fatal(err)
			}
			for name, guess := range map[string][32]byte{
				"record 0's key": dek0, "record 0's secret": xor(masked, maskOf(th.k1, j)),
				"two shares": xor(two, maskOf(th.k1, j)), "a share": xor(th.shares[j][0].Y, maskOf(th.k1, j)),
				"the mask": maskOf(th.k1, j), "no second lock": {}, "K1": th.k1,
				"record 0's third share": xor(third(t, th, j), maskOf(th.k1, j)),
			} {
				if th.opens(j, guess) {
					t.Errorf("%d records: %s opens record %d", count, name, j)
				}
			}
		}
	}
}

// third borrows record 0's third share for record j.
func third(t *testing.T, th *thief, j int) [32]byte {
	s, err := spread.Combine([]spread.Share{th.shares[j][0], th.shares[j][1], th.shares[0][2]})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSharesWithoutTheSegment: all five keepers together, without the
// segment's key, open nothing, and the code word does not hold the text.
func TestSharesWithoutTheSegment(t *testing.T) {
	w := newWorld()
	th := w.thief(t, w.seal(t, 3))
	for j := range th.words {
		masked, err := spread.Combine(th.shares[0])
		if err != nil {
			t.Fatal(err)
		}
		if th.opens(j, masked) {
			t.Errorf("shares alone open record %d", j)
		}
	}
}

// TestWrongSegment: another segment's key is refused by name, before any
// decapsulation.
func TestAuthors(t *testing.T) {
	w := newWorld()
	s := w.seal(t, 1)
	found := w.gatherFrom(t, s, 0, 1, 2).Result()
	for name, c := range map[string]struct {
		segment *key.Box
		author  key.Signing
		want    error
	}{"another segment": {segment: key.NewBox(), author: *w.author, want: ErrSegment}, "another author": {segment: w.segment, author: *key.NewSigning(), want: ErrAuthor}} {
		other := *w
		other.author = &c.author
		opened, err := Open(c.segment, found, other.authors)
		if err != nil || !isError(opened[0].Err, c.want) {
			t.Errorf("%s: got %v, want %v", name, opened, c.want)
		}
	}
	opened, err := Open(w.segment, found, nil)
	if err != nil || !isError(opened[0].Err, ErrAuthor) {
		t.Errorf("nobody to ask about authors: got %v, want ErrAuthor", opened)
	}
}
