package store_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

func erase(t *testing.T, s *store.Store, patient abaton.ActorID, rows ...store.Erasure) {
	t.Helper()
	if err := s.Erase(patient, rows, new(store.Change)); err != nil {
		t.Fatalf("Erase: got %v, want nil", err)
	}
}

func TestErase(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p, q := parcelOf(1, 64), parcelOf(2, 5)
		deposit(t, s, ana, p, q)
		deposit(t, s, ben, p)
		leaf := [32]byte{42}
		const gone = 1<<7 | 1<<63
		var c store.Change
		s.PutMeta(&c, "event", []byte("kept"))
		err := s.Erase(ana, []store.Erasure{{Batch: p.Batch, Records: gone, Leaves: [][32]byte{leaf, {43}}}}, &c)
		if err != nil {
			t.Fatalf("Erase: got %v, want nil", err)
		}
		wantRecords(t, s, ana, p, ^uint64(gone))
		wantRecords(t, s, ana, q, 31)
		wantRecords(t, s, ben, p, ^uint64(0))
		shares, err := s.Shares(ana, p.Batch)
		if err != nil || shares[7] != (store.Share{Erased: true, Bytes: leaf}) || shares[8].Bytes != p.Records[8].Share {
			t.Errorf("Shares: got %v, want the leaf at 7 and the share at 8", err)
		}
		if _, err := s.Meta("event"); err != nil {
			t.Errorf("what was committed with it: got %v, want nil", err)
		}
		if held, err := s.SharesHeld(ana, p.Batch); err != nil || held != ^uint64(gone) {
			t.Errorf("sealed shares on the disk: got %x, %v, want %x", held, err, ^uint64(gone))
		}
		if n, err := s.Notice(ana, p.Batch); err != nil || !sameNotice(n, p.Notice) {
			t.Errorf("Notice: got %v, want it kept", err)
		}
		want := store.Counts{Batches: 3, Records: 62 + 5 + 64, Bytes: 155 * (62 + 5 + 64)}
		if got, err := s.Counts(); err != nil || got != want {
			t.Errorf("Counts: got %+v, %v, want %+v", got, err, want)
		}
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 1 << 7}) // again, the leaf not known
		if shares, err := s.Shares(ana, p.Batch); err != nil || shares[7].Bytes != leaf {
			t.Errorf("leaf after a second erasure: got %v, want it kept", err)
		}
		if got, err := s.Counts(); err != nil || got != want {
			t.Errorf("Counts after a second erasure: got %+v, %v, want %+v", got, err, want)
		}
	})
}

// TestErasedStaysErased: retry, repair and a first deposit after the event.
func TestErasedStaysErased(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p, q, r := parcelOf(1, 8), parcelOf(2, 3), parcelOf(3, 2)
		deposit(t, s, ana, p)
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 4}, store.Erasure{Batch: q.Batch, Whole: true},
			store.Erasure{Batch: r.Batch, Records: 3})
		var c store.Change
		if skipped, err := s.PutParcel(&c, ana, p); err != nil || skipped != 4 {
			t.Errorf("retry: got %b, %v, want 100 left out", skipped, err)
		}
		for name, parcel := range map[string]store.Parcel{"whole": q, "each record": r} {
			if _, err := s.PutParcel(&c, ana, parcel); !errors.Is(err, store.ErrErased) {
				t.Errorf("%s: PutParcel: got %v, want ErrErased", name, err)
			}
		}
		commit(t, s, &c)
		wantRecords(t, s, ana, p, 0xfb)
		if _, err := s.Record(ana, q.Batch, 0); !errors.Is(err, store.ErrErased) {
			t.Errorf("batch erased whole: got %v, want ErrErased", err)
		}
		if erased, whole, err := s.Erased(ana, q.Batch); err != nil || erased != 0 || !whole {
			t.Errorf("Erased: got %b, %v, %v, want whole", erased, whole, err)
		}
		repaired := parcelOf(1, 8) // a helper has nothing for an erased record
		repaired.Records[2] = store.ParcelRecord{}
		deposit(t, s, ana, repaired)
		wantRecords(t, s, ana, p, 0xfb)
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Whole: true})
		wantRecords(t, s, ana, p, 0)
		if _, err := s.PutParcel(new(store.Change), ana, p); !errors.Is(err, store.ErrErased) {
			t.Errorf("PutParcel: got %v, want ErrErased", err)
		}
	})
}

func TestEraseRefused(t *testing.T) {
	s := newMemoryStore(t)
	p := parcelOf(1, 8)
	deposit(t, s, ana, p)
	for name, rows := range map[string][]store.Erasure{
		"leaves":      {{Batch: p.Batch, Records: 3, Leaves: make([][32]byte, 1)}},
		"named twice": {{Batch: p.Batch, Records: 1}, {Batch: p.Batch, Records: 2}},
	} {
		var c store.Change
		if err := s.Erase(ana, rows, &c); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
		if err := s.Commit(&c); err == nil {
			t.Errorf("%s: the half-planned change could be committed", name)
		}
	}
	var c store.Change
	if _, err := s.PutParcel(&c, ana, parcelOf(2, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(ana, []store.Erasure{{Batch: p.Batch, Records: 1}}, &c); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a deposit in the change: got %v, want ErrConflict", err)
	}
	wantRecords(t, s, ana, p, 0xff)
	if n, err := s.Unfinished(); err != nil || n != 0 {
		t.Errorf("unfinished: got %d, %v, want 0", n, err)
	}
}

// TestEraseMeetsDeposit: a deposit prepared before the erasure and committed
// after it must not bring anything back, nor be sealed under a dead key.
func TestEraseMeetsDeposit(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		for _, held := range []bool{false, true} {
			p, q := parcelOf(1, 8), parcelOf(2, 3)
			if held {
				deposit(t, s, ana, q)
			}
			var under store.Change
			if _, err := s.PutParcel(&under, ana, p); err != nil {
				t.Fatal(err)
			}
			erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 1})
			if err := s.Commit(&under); !errors.Is(err, store.ErrConflict) {
				t.Errorf("held %v: deposit under way: got %v, want ErrConflict", held, err)
			}
			deposit(t, s, ana, p)
			wantRecords(t, s, ana, p, 0xfe)
		}
	})
}

// TestEraseRace: deposits, readers and erasures at once. Nothing erased is
// ever read afterwards, and nothing deposited is lost.
func TestEraseRace(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		first := parcelOf(1, 64)
		deposit(t, s, ana, first)
		var wg sync.WaitGroup
		for w := range uint64(3) {
			wg.Go(func() {
				for i := range uint64(10) {
					p := parcelOf(100+10*w+i, 2)
					for done := false; !done; {
						var c store.Change
						_, err := s.PutParcel(&c, ana, p)
						if err == nil {
							err = s.Commit(&c)
						}
						if done = err == nil; err != nil && !errors.Is(err, store.ErrConflict) {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		for j := range 8 {
			erase(t, s, ana, store.Erasure{Batch: first.Batch, Records: 1 << j})
			kept, _, err := s.Records(ana, first.Batch, ^uint64(0))
			if err != nil || len(kept) != 63-j || kept[0].Index != j+1 {
				t.Errorf("after erasing %d: got %d records, %v", j, len(kept), err)
			}
		}
		wg.Wait()
		for i := range uint64(30) {
			wantRecords(t, s, ana, parcelOf(100+i, 2), 3)
		}
	})
}

// TestEraseMeetsReader: while row keys change, no reader sees a key and shares
// that do not belong together.
func TestEraseMeetsReader(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p := parcelOf(1, 8)
		deposit(t, s, ana, p)
		var wg sync.WaitGroup
		s.OnStep(func(string) error {
			wg.Go(func() {
				if _, _, err := s.Records(ana, p.Batch, 0xff); err != nil {
					t.Errorf("Records: got %v, want nil", err)
				}
				if _, err := s.Shares(ana, p.Batch); err != nil {
					t.Errorf("Shares: got %v, want nil", err)
				}
			})
			for range 1000 { // lets the reader run into the middle
				runtime.Gosched()
			}
			return nil
		})
		for j := range 8 {
			erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 1 << j})
		}
		wg.Wait()
	})
}

// TestEraseMeetsErase: the end of one erasure must not remove the mark of a
// later one that is still under way.
func TestEraseMeetsErase(t *testing.T) {
	s := newMemoryStore(t)
	p := parcelOf(1, 8)
	deposit(t, s, ana, p)
	second := false
	s.OnStep(func(step string) error {
		if second && step == "promoted" {
			return errPowerCut
		}
		if !second && step == "purged" {
			second = true
			err := s.Erase(ana, []store.Erasure{{Batch: p.Batch, Records: 2}}, new(store.Change))
			if !errors.Is(err, errPowerCut) {
				t.Errorf("second Erase: got %v, want the power cut", err)
			}
		}
		return nil
	})
	erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 1})
	if n, err := s.Unfinished(); err != nil || n != 1 {
		t.Errorf("unfinished: got %d, %v, want the second", n, err)
	}
	s.OnStep(nil)
	if err := s.ResumeErasures(); err != nil {
		t.Errorf("ResumeErasures: got %v, want nil", err)
	}
	if n, err := s.Unfinished(); err != nil || n != 0 {
		t.Errorf("unfinished: got %d, %v, want 0", n, err)
	}
	wantRecords(t, s, ana, p, 0xfc)
}

// hand is a pair of engines that can be crashed.
type hand struct {
	name  string
	open  func(t *testing.T) *store.Store
	crash func(t *testing.T)
}

func hands() []*hand {
	return []*hand{memoryHand(), diskHand()}
}

func memoryHand() *hand {
	records, keys := store.NewMemory(), store.NewMemory()
	return &hand{
		name: "memory",
		open: func(t *testing.T) *store.Store {
			t.Helper()
			s, err := store.New(records, keys)
			if err != nil {
				t.Fatalf("New: got %v, want nil", err)
			}
			return s
		},
		crash: func(*testing.T) { records, keys = records.Crash(), keys.Crash() },
	}
}

func diskHand() *hand {
	disk := vfs.NewCrashableMem()
	return &hand{
		name: "pebble",
		open: func(t *testing.T) *store.Store {
			t.Helper()
			s, err := store.Open("keeper", store.Options{FS: disk})
			if err != nil {
				t.Fatalf("Open: got %v, want nil", err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		},
		crash: func(*testing.T) { disk = disk.CrashClone(vfs.CrashCloneCfg{}) },
	}
}

var errPowerCut = errors.New("power cut")

func TestEraseCrash(t *testing.T) {
	for _, step := range store.EraseSteps {
		for _, h := range hands() {
			t.Run(step+"/"+h.name, func(t *testing.T) { eraseCrash(t, h, step) })
		}
	}
}

func eraseCrash(t *testing.T, h *hand, step string) {
	p, q := parcelOf(1, 64), parcelOf(2, 3)
	s := h.open(t)
	deposit(t, s, ana, p, q)
	oldKey, err := s.RowKey(ana)
	if err != nil {
		t.Fatal(err)
	}
	s.OnStep(func(at string) error {
		if at == step {
			return errPowerCut
		}
		return nil
	})
	rows := []store.Erasure{{Batch: p.Batch, Records: 2}}
	var c store.Change
	s.PutMeta(&c, "event", []byte("1"))
	if err := s.Erase(ana, rows, &c); !errors.Is(err, errPowerCut) {
		t.Fatalf("Erase: got %v, want the power cut", err)
	}
	h.crash(t)
	s = h.open(t)
	if n, err := s.Unfinished(); err != nil || n != 0 {
		t.Errorf("unfinished after opening: got %d, %v, want 0", n, err)
	}
	done := step != "pending"
	if _, err := s.Meta("event"); (err == nil) != done {
		t.Errorf("event: got %v, want it kept: %v", err, done)
	}
	newKey, err := s.RowKey(ana)
	if err != nil || bytes.Equal(oldKey, newKey) == done {
		t.Errorf("row key: changed %v, %v, want %v", !bytes.Equal(oldKey, newKey), err, done)
	}
	live := ^uint64(0)
	if done {
		live = ^uint64(2)
	}
	wantRecords(t, s, ana, p, live)
	wantRecords(t, s, ana, q, 7)
	erase(t, s, ana, rows...)
	wantRecords(t, s, ana, p, ^uint64(2))
	wantRecords(t, s, ana, q, 7)
	h.crash(t)
	s = h.open(t)
	wantRecords(t, s, ana, p, ^uint64(2))
}

// TestEraseDamaged: what does not open or parse any more must not stand in the
// way, and may not stay if it could hold what is erased.
func TestEraseDamaged(t *testing.T) {
	flip := func(row []byte) []byte { row[len(row)-1] ^= 1; return row }
	cut := func(row []byte) []byte { return row[:len(row)-1] }
	for name, damage := range map[string]func(*store.Store, abaton.BatchName) error{
		"shares":    func(s *store.Store, b abaton.BatchName) error { return s.ForgeShares(ana, b, flip) },
		"fragments": func(s *store.Store, b abaton.BatchName) error { return s.ForgeFragments(ana, b, cut) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newMemoryStore(t)
			p, q, whole := parcelOf(1, 8), parcelOf(2, 8), parcelOf(3, 8)
			deposit(t, s, ana, p, q, whole)
			if err := errors.Join(damage(s, p.Batch), damage(s, q.Batch)); err != nil {
				t.Fatal(err)
			}
			erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 2})
			if _, err := s.Record(ana, p.Batch, 1); !errors.Is(err, store.ErrErased) {
				t.Errorf("erased: got %v, want ErrErased", err)
			}
			for _, b := range []abaton.BatchName{p.Batch, q.Batch} {
				if _, err := s.Record(ana, b, 0); !errors.Is(err, store.ErrDamaged) {
					t.Errorf("damaged: got %v, want ErrDamaged", err)
				}
			}
			wantRecords(t, s, ana, whole, 255)
			held, err := s.SharesHeld(ana, p.Batch)
			if err != nil || held&2 != 0 {
				t.Errorf("shares left of the damaged batch: got %x, %v, want none of the erased", held, err)
			}
			if rows, err := s.FragmentRows(ana, p.Batch); name == "fragments" && (err != nil || rows != 0) {
				t.Errorf("rows of fragments that do not parse: got %d, %v, want 0", rows, err)
			}
			deposit(t, s, ana, p) // repair
			wantRecords(t, s, ana, p, 255&^2)
		})
	}
}

// TestErasedShareIsNoShare: a share that the row does not hold is damage, never
// a share of zeros.
func TestErasedShareIsNoShare(t *testing.T) {
	s := newMemoryStore(t)
	p := parcelOf(1, 8)
	deposit(t, s, ana, p)
	erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 2})
	if err := s.ForgeLive(ana, p.Batch, 255); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Shares(ana, p.Batch); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Shares: got %v, want ErrDamaged", err)
	}
	if _, err := s.Record(ana, p.Batch, 1); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Record: got %v, want ErrDamaged", err)
	}
}

// TestLargeFragments: a large fragment has a row of its own, so that erasing
// its neighbour does not write it again, and none is left behind.
func TestLargeFragments(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p := parcelOf(1, 8)
		const small = store.FragmentTogetherBytes
		for j, n := range map[int]int{0: small, 2: small + 1, 5: 1 << 20} {
			p.Records[j].Fragment = bytes.Repeat([]byte{byte(j)}, n)
		}
		deposit(t, s, ana, p)
		wantRecords(t, s, ana, p, 255)
		wantRows(t, s, p, 3)
		var c store.Change
		if err := s.Erase(ana, []store.Erasure{{Batch: p.Batch, Records: 1<<1 | 1<<2}}, &c); err != nil {
			t.Fatalf("Erase: got %v, want nil", err)
		}
		if n := c.Writes()['f']; n > 8*small {
			t.Errorf("fragments written by an erasure: got %d bytes, want the small ones only", n)
		}
		wantRecords(t, s, ana, p, 255&^6)
		wantRows(t, s, p, 2)
		want := store.Counts{Batches: 1, Records: 6, Bytes: small + 1<<20 + 4*155}
		if got, err := s.Counts(); err != nil || got != want {
			t.Errorf("Counts: got %+v, %v, want %+v", got, err, want)
		}
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 255 &^ 32})
		wantRecords(t, s, ana, p, 32)
		wantRows(t, s, p, 1)
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Whole: true})
		wantRecords(t, s, ana, p, 0)
		wantRows(t, s, p, 0)
		if held, err := s.SharesHeld(ana, p.Batch); err != nil || held != 0 {
			t.Errorf("shares left: got %x, %v, want none", held, err)
		}
	})
}

func wantRows(t *testing.T, s *store.Store, p store.Parcel, want int) {
	t.Helper()
	if got, err := s.FragmentRows(ana, p.Batch); err != nil || got != want {
		t.Errorf("rows of fragments: got %d, %v, want %d", got, err, want)
	}
}

// TestRepairedSmaller: a fragment that lay alone and comes again small leaves
// nothing behind.
func TestRepairedSmaller(t *testing.T) {
	s := newMemoryStore(t)
	p := parcelOf(1, 3)
	small := p.Records[1].Fragment
	p.Records[1].Fragment = make([]byte, store.FragmentTogetherBytes+1)
	deposit(t, s, ana, p)
	p.Records[1].Fragment = small
	deposit(t, s, ana, p)
	wantRecords(t, s, ana, p, 7)
	wantRows(t, s, p, 1)
}

// TestStorePowerCut cuts the power at random moments of a life with deposits
// and erasures: what was acknowledged is there, what was erased is not.
func TestStorePowerCut(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 3))
		h := diskHand()
		s := h.open(t)
		live := map[uint64]uint64{}
		for range 1 + random.IntN(12) {
			if n := random.Uint64N(6); random.IntN(3) > 0 {
				deposit(t, s, ana, parcelOf(n, 8))
				if _, ok := live[n]; !ok {
					live[n] = 0xff
				}
			} else if live[n] > 1 {
				erase(t, s, ana, store.Erasure{Batch: parcelOf(n, 8).Batch, Records: live[n] &^ (live[n] - 1)})
				live[n] &= live[n] - 1
			}
		}
		h.crash(t)
		s = h.open(t)
		for n, bitmap := range live {
			wantRecords(t, s, ana, parcelOf(n, 8), bitmap)
		}
	}
}
