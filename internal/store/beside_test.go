package store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// besideOf is another lock of p: its notice's fields and shares are q's.
func besideOf(p store.Parcel, number uint64) store.Beside {
	q := parcelOf(1000+number, len(p.Records))
	b := store.Beside{Number: number, Lock: q.Notice.Lock, Capsule: q.Notice.Capsule, Receipt: q.Notice.Receipt, Leaves: q.Notice.Leaves}
	for _, r := range q.Records {
		b.Shares = append(b.Shares, r.Share)
	}
	return b
}

// under is p as it is under another lock.
func under(p store.Parcel, b store.Beside) store.Parcel {
	out := p
	out.Notice.Lock, out.Notice.Capsule, out.Notice.Receipt = b.Lock, b.Capsule, b.Receipt
	out.Records = append([]store.ParcelRecord(nil), p.Records...)
	for j := range out.Records {
		out.Records[j].Share = b.Shares[j]
	}
	return out
}

func prepare(t *testing.T, s *store.Store, p store.Parcel, all ...store.Beside) {
	t.Helper()
	for _, b := range all {
		var c store.Change
		if err := s.PutBeside(&c, ana, p.Batch, b); err != nil {
			t.Fatalf("PutBeside: got %v, want nil", err)
		}
		commit(t, s, &c)
	}
}

func promote(t *testing.T, s *store.Store, p store.Parcel, number uint64) {
	t.Helper()
	if err := s.Promote(ana, []store.Promotion{{Batch: p.Batch, Number: number}}, new(store.Change)); err != nil {
		t.Fatalf("Promote: got %v, want nil", err)
	}
}

func wantBeside(t *testing.T, s *store.Store, p store.Parcel, numbers ...uint64) {
	t.Helper()
	w, err := s.Whole(ana, p.Batch, 0, true)
	if err != nil {
		t.Fatalf("Whole: got %v, want nil", err)
	}
	var got []uint64
	for _, b := range w.Beside {
		got = append(got, b.Number)
	}
	if len(got) != len(numbers) {
		t.Fatalf("beside: got %v, want %v", got, numbers)
	}
	for i := range got {
		if got[i] != numbers[i] {
			t.Errorf("beside: got %v, want %v", got, numbers)
		}
	}
	if n, err := s.BesideRows(ana, p.Batch); err != nil || n != 2*len(numbers) {
		t.Errorf("rows beside: got %d, %v, want %d", n, err, 2*len(numbers))
	}
}

// TestPromote: a prepared lock changes nothing until it is promoted; then it
// stands in the place of the old one, lower numbers are gone, higher ones stay.
func TestPromote(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p, q := parcelOf(1, 64), parcelOf(2, 3)
		deposit(t, s, ana, p, q)
		deposit(t, s, ben, p)
		b2, b3, b4 := besideOf(p, 2), besideOf(p, 3), besideOf(p, 4)
		prepare(t, s, p, b4, b2, b3)
		wantRecords(t, s, ana, p, ^uint64(0))
		wantBeside(t, s, p, 2, 3, 4)
		var c store.Change
		s.PutMeta(&c, "entry", []byte("kept"))
		if err := s.Promote(ana, []store.Promotion{{Batch: p.Batch, Number: 3}}, &c); err != nil {
			t.Fatalf("Promote: got %v, want nil", err)
		}
		next := under(p, b3)
		wantRecords(t, s, ana, next, ^uint64(0))
		wantRecords(t, s, ana, q, 7)
		wantRecords(t, s, ben, p, ^uint64(0))
		wantBeside(t, s, p, 4)
		if n, err := s.Notice(ana, p.Batch); err != nil || !sameNotice(n, next.Notice) {
			t.Errorf("notice: got %v, want that of the new lock", err)
		}
		if _, err := s.Meta("entry"); err != nil {
			t.Errorf("what was committed with it: got %v, want nil", err)
		}
		promote(t, s, p, 4)
		wantRecords(t, s, ana, under(p, b4), ^uint64(0))
		wantBeside(t, s, p)
		if err := s.Promote(ana, []store.Promotion{{Batch: p.Batch, Number: 5}}, new(store.Change)); !errors.Is(err, store.ErrAbsent) {
			t.Errorf("promote what is not there: got %v, want ErrAbsent", err)
		}
		wantRecords(t, s, ana, under(p, b4), ^uint64(0))
	})
}

// TestBesideErased: what is erased between the phases is in no lock, and its
// leaf is that of the lock in force.
func TestBesideErased(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p := parcelOf(1, 8)
		deposit(t, s, ana, p)
		b := besideOf(p, 2)
		prepare(t, s, p, b)
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 4, Leaves: [][32]byte{{42}}})
		w, err := s.Whole(ana, p.Batch, 0xff, true)
		if err != nil || w.Beside[0].Shares[2] != ([32]byte{}) || w.Beside[0].Shares[3] != b.Shares[3] || w.Shares[2].Bytes != ([32]byte{42}) {
			t.Errorf("after erasing: got %v, want no share of record 2 beside", err)
		}
		promote(t, s, p, 2)
		wantRecords(t, s, ana, under(p, b), 0xfb)
		if shares, err := s.Shares(ana, p.Batch); err != nil || shares[2] != (store.Share{Erased: true, Bytes: b.Leaves[2]}) {
			t.Errorf("leaf of the erased record: got %v, want that under the new lock", err)
		}
		prepare(t, s, p, besideOf(p, 3))
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Whole: true})
		wantBeside(t, s, p)
		if n, err := s.BesideRows(ana, p.Batch); err != nil || n != 0 {
			t.Errorf("rows beside a batch erased whole: got %d, %v, want 0", n, err)
		}
		if err := s.PutBeside(new(store.Change), ana, p.Batch, besideOf(p, 4)); !errors.Is(err, store.ErrErased) {
			t.Errorf("prepare what is erased: got %v, want ErrErased", err)
		}
	})
}

func TestBesideRefused(t *testing.T) {
	s := newMemoryStore(t)
	p := parcelOf(1, 8)
	deposit(t, s, ana, p)
	prepare(t, s, p, besideOf(p, 2))
	short := besideOf(p, 3)
	short.Shares = short.Shares[1:]
	for name, one := range map[string]struct {
		batch abaton.BatchName
		b     store.Beside
		want  error
	}{
		"another lock of the number": {p.Batch, besideOf(parcelOf(9, 8), 2), store.ErrConflict},
		"a batch not held":           {abaton.BatchName{7}, besideOf(p, 3), store.ErrAbsent},
		"a share missing":            {p.Batch, short, nil},
		"number 0":                   {p.Batch, store.Beside{Leaves: short.Leaves, Shares: besideOf(p, 3).Shares}, nil},
	} {
		err := s.PutBeside(new(store.Change), ana, one.batch, one.b)
		if err == nil || one.want != nil && !errors.Is(err, one.want) {
			t.Errorf("%s: got %v, want %v", name, err, one.want)
		}
	}
	prepare(t, s, p, besideOf(p, 3))
	if err := s.MoveBeside(ana, p.Batch, 2, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(ana, []store.Promotion{{Batch: p.Batch, Number: 3}}, new(store.Change)); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("shares moved on the disk: got %v, want ErrDamaged", err)
	}
	wantRecords(t, s, ana, p, 0xff)
}

// TestPromoteCrash: cut anywhere, the old lock or the new one is there whole.
func TestPromoteCrash(t *testing.T) {
	for _, step := range store.EraseSteps {
		for _, h := range hands() {
			t.Run(step+"/"+h.name, func(t *testing.T) { promoteCrash(t, h, step) })
		}
	}
}

func promoteCrash(t *testing.T, h *hand, step string) {
	p, q := parcelOf(1, 64), parcelOf(2, 3)
	s := h.open(t)
	deposit(t, s, ana, p, q)
	b := besideOf(p, 2)
	prepare(t, s, p, b)
	h.crash(t)
	s = h.open(t)
	wantBeside(t, s, p, 2)
	s.OnStep(func(at string) error {
		if at == step {
			return errPowerCut
		}
		return nil
	})
	if err := s.Promote(ana, []store.Promotion{{Batch: p.Batch, Number: 2}}, new(store.Change)); !errors.Is(err, errPowerCut) {
		t.Fatalf("Promote: got %v, want the power cut", err)
	}
	h.crash(t)
	s = h.open(t)
	if n, err := s.Unfinished(); err != nil || n != 0 {
		t.Errorf("unfinished after opening: got %d, %v, want 0", n, err)
	}
	if step == "pending" {
		wantRecords(t, s, ana, p, ^uint64(0))
		wantBeside(t, s, p, 2)
		promote(t, s, p, 2)
	}
	wantRecords(t, s, ana, under(p, b), ^uint64(0))
	wantRecords(t, s, ana, q, 7)
	wantBeside(t, s, p)
}

// TestPromotedBytesAreGone: after a promotion the old shares are in no file in
// any form: their sealed row is not there, and neither is the key it was sealed
// under (T7 for re-locks).
func TestPromotedBytesAreGone(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := parcelOf(1, 64)
	deposit(t, s, ana, p)
	for i := range uint64(50) {
		deposit(t, s, abaton.ActorID{byte(i), 9}, parcelOf(10+i, 4))
	}
	var gone [][]byte
	for number := uint64(2); number < 5; number++ {
		sealed, err := s.SealedShares(ana, p.Batch)
		if err != nil {
			t.Fatal(err)
		}
		oldKey, err := s.RowKey(ana)
		if err != nil {
			t.Fatal(err)
		}
		needles := [][]byte{bytes.Clone(oldKey), sealed[len(sealed)-256:]}
		for _, needle := range needles { // the control
			if !inFiles(t, dir, needle) {
				t.Fatalf("lock %d: not found before the promotion: the search finds nothing", number)
			}
		}
		prepare(t, s, p, besideOf(p, number))
		promote(t, s, p, number)
		gone = append(gone, needles...)
		for i, needle := range gone {
			if inFiles(t, dir, needle) {
				t.Errorf("lock %d: old bytes %d are in a file", number, i)
			}
		}
	}
	for _, r := range p.Records {
		if inFiles(t, dir, r.Share[:]) {
			t.Error("a share is in a file in the clear")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, needle := range gone {
		if inFiles(t, dir, needle) {
			t.Errorf("after closing: old bytes %d are in a file", i)
		}
	}
}
