package seal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

// lies are what one dishonest keeper can do to its piece. named is the reason
// it is proven with, empty if it cannot be.
var lies = []struct {
	name  string
	named abaton.Reason
	tell  func(p *spread.Piece)
}{
	{"drop", "", func(p *spread.Piece) { *p = spread.Piece{} }},
	{"flip fragment", abaton.ReasonFragment, func(p *spread.Piece) { p.Rows[0].Fragment[3] ^= 1 }},
	{"claim another length", abaton.ReasonFragment, func(p *spread.Piece) {
		p.Rows[0].Length = uint32(spread.CodeWordBytes(1024))
		p.Rows[0].Fragment = make([]byte, spread.FragmentBytes(int(p.Rows[0].Length), 3))
	}},
	{"impossible length", abaton.ReasonMalformed, func(p *spread.Piece) { p.Rows[0].Length++ }},
	{"flip share", abaton.ReasonShare, func(p *spread.Piece) { p.Rows[0].Share[9] ^= 1 }},
	{"flip capsule", abaton.ReasonCapsule, func(p *spread.Piece) { p.Capsule[5] ^= 1 }},
	{"flip body leaf", abaton.ReasonBody, func(p *spread.Piece) {
		if len(p.Leaves) > 0 {
			p.Leaves[0][0] ^= 1
		} else {
			p.Rows[0].Path[0][0] ^= 1
		}
	}},
	{"flip head signature", abaton.ReasonSignature, func(p *spread.Piece) { p.Head.Sig[0] ^= 1 }},
	{"flip lock signature", abaton.ReasonSignature, func(p *spread.Piece) { p.Lock.Sig[0] ^= 1 }},
	{"another keeper's name", abaton.ReasonMalformed, func(p *spread.Piece) { p.X = p.X%5 + 1 }},
	{"unknown row state", abaton.ReasonMalformed, func(p *spread.Piece) { p.Rows[0].State = 0 }},
	{"false erasure", abaton.ReasonShare, func(p *spread.Piece) {
		p.Rows[0] = spread.PieceRow{State: spread.RowErased, Path: p.Rows[0].Path, SharePath: p.Rows[0].SharePath}
	}},
	{"bits beyond the batch", abaton.ReasonMalformed, func(p *spread.Piece) { p.Bitmap |= 1 << 60 }},
}

// TestOneLiar is T1: for every subset of answering keepers and every liar and
// lie, the records open exactly if three honest keepers answered, byte for
// byte, and nobody but the liar is named.
func TestOneLiar(t *testing.T) {
	w := newWorld()
	b := w.batch(3)
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	stored := w.stored(t, s)
	for _, rows := range []uint64{0b1111, 0b0010} {
		for _, lie := range lies {
			for liar := range 5 {
				for subset := range 32 {
					if subset>>liar&1 == 0 && lie.name != "drop" {
						continue // a liar that was not asked tells nothing
					}
					w.oneLiar(t, b, s, stored, rows, lie.name, lie.named, lie.tell, liar, subset)
				}
			}
		}
	}
}

func (w *world) oneLiar(t *testing.T, b Batch, s *Sealed, stored []*spread.Stored, rows uint64, name string, named abaton.Reason, tell func(*spread.Piece), liar, subset int) {
	g, honest := w.gather(t, s.Name, rows), 0
	for p := range 5 {
		if subset>>p&1 == 0 {
			continue
		}
		data := piece(t, stored[p], rows)
		if p != liar {
			honest++
		} else if data = retell(t, data, tell); data == nil {
			continue
		}
		if err := g.Add(w.shape.X[p], data); err != nil && p != liar {
			t.Fatalf("%s, liar %d, subset %b: honest piece refused: %v", name, liar, subset, err)
		}
	}
	found := g.Result()
	if got, want := found.Complete(), honest >= 3; got != want {
		t.Fatalf("%s, liar %d, subset %b, rows %b: opens got %v, want %v", name, liar, subset, rows, got, want)
	}
	if found.Complete() {
		w.mustOpen(t, b, s, found)
	}
	for _, f := range g.Faults() {
		if f.Party != spread.KeeperParty || f.Keeper != w.shape.X[liar] || f.Reason != named || f.Verify() != nil {
			t.Fatalf("%s, liar %d, subset %b: named party %d, keeper %d for %s", name, liar, subset, f.Party, f.Keeper, f.Reason)
		}
	}
	asked, told := subset>>liar&1 == 1, named != ""
	provable := named != abaton.ReasonFragment || honest >= 3
	if got, want := len(g.Faults()) > 0, asked && told && provable; got != want {
		t.Fatalf("%s, liar %d, subset %b: named got %v, want %v", name, liar, subset, got, want)
	}
}

// retell is the piece after a lie; nil if it was dropped.
func retell(t *testing.T, data []byte, tell func(*spread.Piece)) []byte {
	p, err := spread.ParsePiece(data)
	if err != nil {
		t.Fatal(err)
	}
	tell(p)
	if p.Version == 0 {
		return nil
	}
	return p.Bytes()
}

func (w *world) mustOpen(t *testing.T, b Batch, s *Sealed, found *spread.Gathered) {
	t.Helper()
	opened, err := Open(w.segment, found, w.authors)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range opened {
		if o.Err != nil {
			t.Fatalf("record %d: %v", o.Name.Index, o.Err)
		}
		if i := placeOf(s.Places, o.Name.Index); i >= 0 && !bytes.Equal(o.Record.Content, b.Records[i].Content) {
			t.Fatalf("record %d is not what was sealed", o.Name.Index)
		}
	}
}

// TestOtherBatch: a keeper that answers with another batch is named.
func TestOtherBatch(t *testing.T) {
	w := newWorld()
	one, two := w.seal(t, 2), w.seal(t, 2)
	g := w.gather(t, one.Name, all(3))
	if err := g.Add(1, piece(t, w.stored(t, two)[0], all(3))); err == nil {
		t.Fatal("piece of another batch: got no error")
	}
	if f := g.Faults(); len(f) != 1 || f[0].Keeper != 1 || f[0].Verify() != nil {
		t.Fatalf("faults: got %d, want the keeper's", len(f))
	}
}

// TestStaleKeeper: after a re-lock two keepers are behind. Their fragments
// still count, their shares do not, and nobody is blamed.
func TestStaleKeeper(t *testing.T) {
	w := newWorld()
	b := w.batch(3)
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	stored := w.stored(t, s)
	newer := w.relock(t, s, stored, 0)
	for subset := range 32 {
		g, fresh, stale := w.gather(t, s.Name, all(4)), 0, 0
		for p := range 5 {
			if subset>>p&1 == 0 {
				continue
			}
			from := newer
			if p < 2 {
				from, stale = stored, stale+1
			} else {
				fresh++
			}
			if err := g.Add(w.shape.X[p], piece(t, from[p], all(4))); err != nil {
				t.Fatal(err)
			}
		}
		found := g.Result()
		if got, want := found.Complete(), fresh >= 3; got != want {
			t.Errorf("%d new and %d stale: opens got %v, want %v", fresh, stale, got, want)
		}
		if found.Complete() {
			w.mustOpen(t, b, s, found)
			if n := found.Found[0].Capsule.Lock.Number; n != 2 {
				t.Errorf("opened under lock %d, want 2", n)
			}
		}
		if len(g.Faults()) != 0 {
			t.Errorf("%d new and %d stale: somebody was blamed", fresh, stale)
		}
	}
}

// TestHighestLockWins: with six keepers both the old and the new lock can have
// enough pieces; the new one counts, in whatever order answers come.
func TestHighestLockWins(t *testing.T) {
	w := newWorld()
	w.shape = spread.Shape{N: 6, K: 3, T: 3, X: []abaton.KeeperIndex{1, 2, 3, 4, 5, 6}}
	b := w.batch(1)
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	stored := w.stored(t, s)
	newer := w.relock(t, s, stored, 0)
	for split := range 2 {
		g := w.gather(t, s.Name, 1)
		for p := range 6 {
			from := stored
			if p%2 == split {
				from = newer
			}
			if err := g.Add(w.shape.X[p], piece(t, from[p], 1)); err != nil {
				t.Fatal(err)
			}
		}
		found := g.Result()
		w.mustOpen(t, b, s, found)
		if n := found.Found[0].Capsule.Lock.Number; n != 2 {
			t.Errorf("opened under lock %d, want 2", n)
		}
	}
}

// relock gives what keepers hold after a re-lock of everything, with their
// own checks done.
func (w *world) relock(t *testing.T, s *Sealed, stored []*spread.Stored, gone uint64) []*spread.Stored {
	t.Helper()
	m := len(stored[0].Rows)
	g := w.gather(t, s.Name, all(m)&^gone)
	for p := range 3 {
		if err := g.Add(w.shape.X[p], piece(t, stored[p], all(m)&^gone)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Relock(w.segment, g.Result(), w.authors, Relocking{
		Segment: w.segment.Public(), Set: w.set, Shape: w.shape, Locker: key.NewSigning(), Gone: gone,
	})
	if err != nil {
		t.Fatalf("Relock: %v", err)
	}
	out := make([]*spread.Stored, len(stored))
	for p, old := range stored {
		parsed, err := spread.ParseRekey(r.Rekeys[p].Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := spread.CheckRekey(parsed, old.Head, old.Lock, gone, w.shape, w.set, w.shape.X[p]); err != nil {
			t.Fatalf("CheckRekey: %v", err)
		}
		rows := append([]spread.StoredRow(nil), old.Rows...)
		for j := range rows {
			rows[j].Share, rows[j].ShareLeaf = parsed.Shares[j], spread.Hash32{}
			rows[j].Erased = gone>>j&1 == 1
		}
		out[p] = &spread.Stored{Head: old.Head, Lock: parsed.Lock, X: old.X, Capsule: parsed.Capsule, Leaves: old.Leaves, Rows: rows}
	}
	return out
}

// TestErase: what a keeper keeps after an erasure proves the other records,
// and with three keepers erased the record is gone for everybody.
func TestErase(t *testing.T) {
	w := newWorld()
	b := w.batch(3)
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	stored := w.stored(t, s)
	for erased := range 6 {
		g := w.gather(t, s.Name, all(4))
		for p := range 5 {
			held := *stored[p]
			held.Rows = append([]spread.StoredRow(nil), held.Rows...)
			if p < erased {
				held.Rows[2] = spread.StoredRow{Erased: true, ShareLeaf: held.Rows[2].ShareLeaf}
			}
			if err := g.Add(w.shape.X[p], piece(t, &held, all(4))); err != nil {
				t.Fatalf("%d erased: %v", erased, err)
			}
		}
		found := g.Result()
		if got, want := len(found.Missing), min(1, max(0, erased-2)); got != want {
			t.Errorf("%d erased: missing got %d, want %d", erased, got, want)
		}
		if len(found.Missing) > 0 && !errors.Is(found.Missing[0].Err(w.shape), abaton.ErrErased) {
			t.Errorf("%d erased: got %v, want ErrErased", erased, found.Missing[0].Err(w.shape))
		}
		w.mustOpen(t, b, s, found)
	}
	after := w.relock(t, s, stored, 1<<2)
	g := w.gather(t, s.Name, all(4))
	for p := range 3 {
		if err := g.Add(w.shape.X[p], piece(t, after[p], all(4))); err != nil {
			t.Fatal(err)
		}
	}
	found := g.Result()
	if len(found.Missing) != 1 || !found.Missing[0].Gone || !found.Settled() {
		t.Errorf("after a re-lock: got missing %v, want the erased record", found.Missing)
	}
	w.mustOpen(t, b, s, found)
}

func TestRelockRefuses(t *testing.T) {
	w := newWorld()
	s := w.seal(t, 3)
	stored := w.stored(t, s)
	g := w.gather(t, s.Name, 0b0111)
	for p := range 3 {
		if err := g.Add(w.shape.X[p], piece(t, stored[p], 0b0111)); err != nil {
			t.Fatal(err)
		}
	}
	r := Relocking{Segment: w.segment.Public(), Set: w.set, Shape: w.shape, Locker: w.writer}
	if _, err := Relock(w.segment, g.Result(), w.authors, r); !errors.Is(err, ErrIncomplete) {
		t.Errorf("a record missing: got %v, want ErrIncomplete", err)
	}
	if _, err := Relock(key.NewBox(), g.Result(), w.authors, r); !errors.Is(err, ErrSegment) {
		t.Errorf("another segment's key: got %v, want ErrSegment", err)
	}
}

func TestGatherRefuses(t *testing.T) {
	w := newWorld()
	s := w.seal(t, 2)
	for name, make := range map[string]func() error{
		"no rows":     func() error { _, err := spread.NewGather(s.Name, 0, w.shape, w.set, anybody); return err },
		"nobody asks": func() error { _, err := spread.NewGather(s.Name, 1, w.shape, w.set, nil); return err },
		"no set": func() error {
			_, err := spread.NewGather(s.Name, 1, w.shape, abaton.ActorID{}, anybody)
			return err
		},
		"no shape": func() error { _, err := spread.NewGather(s.Name, 1, spread.Shape{}, w.set, anybody); return err },
	} {
		if make() == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	stored := w.stored(t, s)
	refuse := func(*spread.Head, *spread.Lock) error { return fmt.Errorf("not entitled") }
	g, err := spread.NewGather(s.Name, all(3), w.shape, w.set, refuse)
	if err != nil {
		t.Fatal(err)
	}
	if g.Add(1, piece(t, stored[0], all(3))) == nil || len(g.Faults()) != 0 {
		t.Error("writer not entitled: got an answer or a fault, want an error only")
	}
	g = w.gather(t, s.Name, 1)
	if g.Add(1, piece(t, stored[0], all(3))) == nil {
		t.Error("more records than asked: got no error")
	}
	if err := g.Add(1, piece(t, stored[0], 1)); !errors.Is(err, spread.ErrHeard) {
		t.Errorf("second answer: got %v, want ErrHeard", err)
	}
	if g.Add(9, nil) == nil {
		t.Error("keeper outside the set: got no error")
	}
	found := g.Result()
	if _, err := Open(w.segment, found, w.authors); !errors.Is(err, abaton.ErrNotFound) {
		t.Errorf("nothing found: got %v, want ErrNotFound", err)
	}
	if len(found.Missing) != 1 || !errors.Is(found.Missing[0].Err(w.shape), abaton.ErrUnavailable) {
		t.Errorf("nothing found: got %v, want one missing as unavailable", found.Missing)
	}
}
