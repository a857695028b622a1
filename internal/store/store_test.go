package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// overBoth runs a test over the engine of the simulation and over the disk.
func overBoth(t *testing.T, run func(t *testing.T, s *store.Store)) {
	t.Run("memory", func(t *testing.T) { run(t, newMemoryStore(t)) })
	t.Run("pebble", func(t *testing.T) {
		s, err := store.Open(t.TempDir(), store.Options{})
		if err != nil {
			t.Fatalf("Open: got %v, want nil", err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: got %v, want nil", err)
			}
		})
		run(t, s)
	})
}

func newMemoryStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.New(store.NewMemory(), store.NewMemory())
	if err != nil {
		t.Fatalf("New: got %v, want nil", err)
	}
	return s
}

var (
	ana  = abaton.ActorID{1}
	ben  = abaton.ActorID{2}
	line = abaton.Line{3}
)

// parcelOf makes a parcel of m records from a seed.
func parcelOf(seed uint64, m int) store.Parcel {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	random := rand.NewChaCha8(key)
	fill := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	p := store.Parcel{Notice: store.Notice{
		Line: line, Head: fill(300), Lock: fill(560), Capsule: fill(411), Receipt: fill(150),
	}}
	p.Batch = sha256.Sum256(p.Notice.Head)
	for range m {
		p.Notice.Leaves = append(p.Notice.Leaves, [32]byte(fill(32)))
		p.Records = append(p.Records, store.ParcelRecord{Fragment: fill(155), Length: 465, Share: [32]byte(fill(32))})
	}
	return p
}

func deposit(t testing.TB, s *store.Store, patient abaton.ActorID, parcels ...store.Parcel) {
	t.Helper()
	var c store.Change
	for _, p := range parcels {
		if _, err := s.PutParcel(&c, patient, p); err != nil {
			t.Fatalf("PutParcel: got %v, want nil", err)
		}
	}
	commit(t, s, &c)
}

func commit(t testing.TB, s *store.Store, c *store.Change) {
	t.Helper()
	if err := s.Commit(c); err != nil {
		t.Fatalf("Commit: got %v, want nil", err)
	}
}

// wantRecords checks that exactly the records of the bitmap can be read.
func wantRecords(t *testing.T, s *store.Store, patient abaton.ActorID, p store.Parcel, live uint64) {
	t.Helper()
	kept, erased, err := s.Records(patient, p.Batch, ^uint64(0))
	if err != nil {
		t.Fatalf("Records: got %v, want nil", err)
	}
	var got uint64
	for _, k := range kept {
		got |= 1 << k.Index
		want := p.Records[k.Index]
		if !bytes.Equal(k.Fragment, want.Fragment) || k.Length != want.Length || k.Share != want.Share {
			t.Errorf("record %d: got other bytes than deposited", k.Index)
		}
	}
	all := uint64(1)<<len(p.Records) - 1
	if got != live || erased != all&^live {
		t.Errorf("got live %x, erased %x, want %x, %x", got, erased, live, all&^live)
	}
	some, shares, err := s.Piece(patient, p.Batch, live)
	if err != nil || len(some) != len(kept) || len(shares) != len(p.Records) {
		t.Fatalf("Piece: got %d records, %d shares, %v, want %d, %d, nil", len(some), len(shares), err, len(kept), len(p.Records))
	}
	for i, k := range some {
		if k.Index != kept[i].Index || !bytes.Equal(k.Fragment, kept[i].Fragment) || shares[k.Index] != (store.Share{Bytes: k.Share}) {
			t.Errorf("Piece, record %d: got another than Records", k.Index)
		}
	}
	for j, want := range p.Records {
		one, err := s.Record(patient, p.Batch, j)
		if live&(1<<j) == 0 {
			if !errors.Is(err, store.ErrErased) {
				t.Errorf("Record %d: got %v, want ErrErased", j, err)
			}
		} else if err != nil || one.Share != want.Share || !bytes.Equal(one.Fragment, want.Fragment) {
			t.Errorf("Record %d: got other bytes or %v, want those deposited", j, err)
		}
	}
}

func sameNotice(a, b store.Notice) bool {
	return a.Line == b.Line && bytes.Equal(a.Head, b.Head) && bytes.Equal(a.Lock, b.Lock) &&
		bytes.Equal(a.Capsule, b.Capsule) && bytes.Equal(a.Receipt, b.Receipt) && slices.Equal(a.Leaves, b.Leaves)
}

func TestParcel(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		for m := range 65 {
			if m == 0 {
				continue
			}
			p := parcelOf(uint64(m), m)
			deposit(t, s, ana, p)
			wantRecords(t, s, ana, p, 1<<m-1)
			if n, err := s.Notice(ana, p.Batch); err != nil || !sameNotice(n, p.Notice) {
				t.Errorf("m=%d: Notice: got another or %v", m, err)
			}
			shares, err := s.Shares(ana, p.Batch)
			if err != nil || len(shares) != m {
				t.Fatalf("m=%d: Shares: got %d, %v", m, len(shares), err)
			}
			for j, sh := range shares {
				if sh.Erased || sh.Bytes != p.Records[j].Share {
					t.Errorf("m=%d: share %d differs", m, j)
				}
			}
			deposit(t, s, ana, p) // a retry
		}
		if c, err := s.Counts(); err != nil || c != (store.Counts{Batches: 64, Records: 64 * 65 / 2, Bytes: 155 * 64 * 65 / 2}) {
			t.Errorf("Counts: got %+v, %v", c, err)
		}
	})
}

// TestFirstDeposits: a new patient's row key is made once, however many
// deposits come first.
func TestFirstDeposits(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		for round := range byte(10) {
			patient := abaton.ActorID{9, round}
			var wg sync.WaitGroup
			for i := range uint64(6) {
				wg.Go(func() { deposit(t, s, patient, parcelOf(i, 2)) })
			}
			wg.Go(func() {
				if err := s.EnsureRowKeys(patient, patient, abaton.ActorID{10, round}); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			for i := range uint64(6) {
				wantRecords(t, s, patient, parcelOf(i, 2), 3)
			}
		}
	})
}

func TestAbsent(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p := parcelOf(1, 2)
		deposit(t, s, ana, p)
		for name, err := range map[string]error{
			"notice of another patient": second(s.Notice(ben, p.Batch)),
			"record of another patient": second(s.Record(ben, p.Batch, 0)),
			"another batch":             second(s.Record(ana, abaton.BatchName{}, 0)),
			"record beyond the batch":   second(s.Record(ana, p.Batch, 2)),
			"negative record":           second(s.Record(ana, p.Batch, -1)),
			"record 64":                 second(s.Record(ana, p.Batch, 64)),
			"shares":                    second(s.Shares(ben, p.Batch)),
			"certificate":               second(s.Certificate(ana, p.Batch)),
			"sequence":                  second(s.Sequence(store.Slot{})),
			"nonce":                     second(s.Nonce([32]byte{})),
			"vote":                      second(s.Vote(ana, 0)),
			"statement":                 second(s.Statement(ana, 0, [32]byte{})),
			"meta":                      second(s.Meta("nothing")),
		} {
			if !errors.Is(err, store.ErrAbsent) {
				t.Errorf("%s: got %v, want ErrAbsent", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestParcelRefused(t *testing.T) {
	s := newMemoryStore(t)
	for name, change := range map[string]func(*store.Parcel){
		"no record":        func(p *store.Parcel) { p.Records, p.Notice.Leaves = nil, nil },
		"65 records":       func(p *store.Parcel) { *p = parcelOf(1, 65) },
		"leaf missing":     func(p *store.Parcel) { p.Notice.Leaves = p.Notice.Leaves[1:] },
		"fragment missing": func(p *store.Parcel) { p.Records[1].Fragment = nil },
		"fragment large":   func(p *store.Parcel) { p.Records[1].Fragment = make([]byte, store.FragmentBytesMax+1) },
		"head large":       func(p *store.Parcel) { p.Notice.Head = make([]byte, store.NoticeBytesMax+1) },
	} {
		p := parcelOf(1, 3)
		change(&p)
		var c store.Change
		if _, err := s.PutParcel(&c, ana, p); err == nil || c.Len() != 0 {
			t.Errorf("%s: got %v and %d writes, want an error and none", name, err, c.Len())
		}
	}
}

func TestNotices(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		want := map[abaton.BatchName]store.Notice{}
		for i := range uint64(10) {
			p := parcelOf(i, 3)
			deposit(t, s, ana, p)
			want[p.Batch] = p.Notice
			p.Notice.Line = abaton.Line{9}
			p.Batch[0]++
			deposit(t, s, ana, p)
			deposit(t, s, ben, p)
		}
		n := 0
		var before abaton.BatchName
		err := s.Notices(ana, line, func(b abaton.BatchName, notice store.Notice) bool {
			if !sameNotice(notice, want[b]) || bytes.Compare(before[:], b[:]) >= 0 {
				t.Errorf("batch %d of the listing: got another notice or order", n)
			}
			before = b
			n++
			return true
		})
		if err != nil || n != len(want) {
			t.Errorf("Notices: got %d, %v, want %d", n, err, len(want))
		}
		n = 0
		if err := s.Notices(ana, line, func(abaton.BatchName, store.Notice) bool { n++; return n < 4 }); err != nil || n != 4 {
			t.Errorf("stopped Notices: got %d, %v, want 4", n, err)
		}
	})
}

// TestSharesAreBoundToTheirPlace: what somebody with write access makes of a
// sealed row opens nowhere.
func TestSharesAreBoundToTheirPlace(t *testing.T) {
	p, q := parcelOf(1, 3), parcelOf(2, 3)
	set := func(at int, v byte) func([]byte) []byte {
		return func(row []byte) []byte { row[at] = v; return row }
	}
	for name, forge := range map[string]func(s *store.Store) error{
		"another batch's":    func(s *store.Store) error { return s.MoveShares(ana, q.Batch, p.Batch) },
		"other records":      func(s *store.Store) error { return s.ForgeShares(ana, p.Batch, set(11, 0b1011)) },
		"another generation": func(s *store.Store) error { return s.ForgeShares(ana, p.Batch, set(3, 2)) },
		"shortened": func(s *store.Store) error {
			return s.ForgeShares(ana, p.Batch, func(row []byte) []byte { row[11] = 3; return append(row[:len(row)-48], row[len(row)-16:]...) })
		},
		"cut": func(s *store.Store) error {
			return s.ForgeShares(ana, p.Batch, func(row []byte) []byte { return row[:9] })
		},
		"empty": func(s *store.Store) error {
			return s.ForgeShares(ana, p.Batch, func([]byte) []byte { return []byte{} })
		},
	} {
		s := newMemoryStore(t)
		deposit(t, s, ana, p, q)
		if err := forge(s); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Record(ana, p.Batch, 0); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
		if _, err := s.Shares(ana, p.Batch); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: Shares: got %v, want ErrDamaged", name, err)
		}
		wantRecords(t, s, ana, q, 7)
	}
}

// TestFragmentsDamaged: a row that lacks a record, or does not parse, is
// damage, and nothing of it is handed out.
func TestFragmentsDamaged(t *testing.T) {
	for name, forge := range map[string]func(row []byte) []byte{
		"a record missing": func(row []byte) []byte { row[7] &^= 4; return row[:len(row)-155-4] },
		"cut":              func(row []byte) []byte { return row[:len(row)-1] },
		"longer":           func(row []byte) []byte { return append(row, 0) },
		"no bitmap":        func([]byte) []byte { return []byte{1} },
		"length too long":  func(row []byte) []byte { return append(row[:8], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) },
	} {
		s := newMemoryStore(t)
		p := parcelOf(1, 3)
		deposit(t, s, ana, p)
		if err := s.ForgeFragments(ana, p.Batch, forge); err != nil {
			t.Fatal(err)
		}
		if kept, _, err := s.Records(ana, p.Batch, 7); !errors.Is(err, store.ErrDamaged) || kept != nil {
			t.Errorf("%s: got %d records, %v, want ErrDamaged", name, len(kept), err)
		}
	}
}

func TestCertificateAndMeta(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		p := parcelOf(1, 1)
		for _, text := range []string{"one", "two"} {
			var c store.Change
			if err := s.PutCertificate(&c, ana, p.Batch, []byte(text)); err != nil {
				t.Fatal(err)
			}
			s.PutMeta(&c, "name", []byte(text))
			commit(t, s, &c)
			if got, err := s.Certificate(ana, p.Batch); err != nil || string(got) != text {
				t.Errorf("Certificate: got %q, %v, want %q", got, err, text)
			}
			if got, err := s.Meta("name"); err != nil || string(got) != text {
				t.Errorf("Meta: got %q, %v, want %q", got, err, text)
			}
		}
	})
}

func TestRaw(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		a, b := s.Raw('a'), s.Raw('b')
		var c store.Change
		a.Into(&c).Put([]byte("1"), []byte("one"))
		a.Into(&c).Put([]byte("2"), []byte("two"))
		b.Into(&c).Put([]byte("1"), []byte("other"))
		commit(t, s, &c)
		if got, err := a.Get([]byte("1")); err != nil || string(got) != "one" {
			t.Errorf("Get: got %q, %v, want one", got, err)
		}
		if got, err := a.Get([]byte("3")); err != nil || got != nil {
			t.Errorf("Get of nothing: got %q, %v, want nil, nil", got, err)
		}
		var got []string
		if err := a.Scan(nil, nil, func(k, v []byte) bool { got = append(got, string(k)+string(v)); return true }); err != nil {
			t.Fatal(err)
		}
		if want := []string{"1one", "2two"}; !slices.Equal(got, want) {
			t.Errorf("Scan: got %q, want %q", got, want)
		}
		var d store.Change
		a.Into(&d).Delete([]byte("1"))
		commit(t, s, &d)
		if got, err := a.Get([]byte("1")); err != nil || got != nil {
			t.Errorf("Get after Delete: got %q, %v, want nil, nil", got, err)
		}
	})
}

func TestReopenedStore(t *testing.T) {
	dir := t.TempDir()
	p := parcelOf(1, 5)
	for round := range 3 {
		s, err := store.Open(dir, store.Options{})
		if err != nil {
			t.Fatalf("Open: got %v, want nil", err)
		}
		if round > 0 {
			wantRecords(t, s, ana, p, 31)
		} else {
			deposit(t, s, ana, p)
		}
		var c store.Change
		if err := s.PutStatement(&c, ana, uint64(round), [32]byte{}, []byte("x")); err != nil {
			t.Fatal(err)
		}
		commit(t, s, &c)
		if s.FeedHead() != uint64(round+1) {
			t.Errorf("FeedHead: got %d, want %d", s.FeedHead(), round+1)
		}
		if got, err := s.Counts(); err != nil || got.Records != 5 || got.Batches != 1 {
			t.Errorf("Counts: got %+v, %v", got, err)
		}
		if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrLocked) {
			t.Errorf("second Open: got %v, want ErrLocked", err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close: got %v, want nil", err)
		}
	}
}

func TestMismatchedEngines(t *testing.T) {
	records, keys := store.NewMemory(), store.NewMemory()
	s, err := store.New(records, keys)
	if err != nil {
		t.Fatal(err)
	}
	deposit(t, s, ana, parcelOf(1, 1))
	otherRecords, otherKeys := store.NewMemory(), store.NewMemory()
	if _, err := store.New(otherRecords, otherKeys); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]*store.Memory{
		"keys lost":    {records, store.NewMemory()},
		"keys of else": {records, otherKeys},
	} {
		if _, err := store.New(pair[0], pair[1]); !errors.Is(err, store.ErrMismatch) {
			t.Errorf("%s: got %v, want ErrMismatch", name, err)
		}
	}
	short := store.NewMemory()
	put(t, short, string(store.KeySecret()), "short")
	if _, err := store.New(store.NewMemory(), short); !errors.Is(err, store.ErrMismatch) {
		t.Errorf("short secret: got %v, want ErrMismatch", err)
	}
	// Records lost and keys kept is a keeper that lost its records: it may
	// start again, and repair fills it.
	if _, err := store.New(store.NewMemory(), keys); err != nil {
		t.Errorf("records lost: got %v, want nil", err)
	}
}

// TestOtherFormat: a folder that another version made is refused and left as
// it was.
func TestOtherFormat(t *testing.T) {
	records, keys := store.NewMemory(), store.NewMemory()
	s, err := store.New(records, keys)
	if err != nil {
		t.Fatal(err)
	}
	deposit(t, s, ana, parcelOf(1, 1))
	for _, version := range []byte{1, 3, 0} {
		if err := s.SetFormat(version); err != nil {
			t.Fatal(err)
		}
		if _, err := store.New(records, keys); !errors.Is(err, store.ErrFormat) {
			t.Errorf("format %d: got %v, want ErrFormat", version, err)
		}
	}
	if err := s.SetFormat(2); err != nil {
		t.Fatal(err)
	}
	if s, err = store.New(records, keys); err != nil {
		t.Fatalf("format of this version: got %v, want nil", err)
	}
	wantRecords(t, s, ana, parcelOf(1, 1), 1)
}

// TestNoNamesInKeys: no patient name is in a key, and two keepers keep one
// patient under different names.
func TestNoNamesInKeys(t *testing.T) {
	var seen [2]string
	for i := range seen {
		records := store.NewMemory()
		s, err := store.New(records, store.NewMemory())
		if err != nil {
			t.Fatal(err)
		}
		patient := abaton.ActorID([]byte("abcdefghijklmnopqrstuvwxyz012345"))
		p := parcelOf(1, 2)
		deposit(t, s, patient, p)
		err = records.Scan(nil, nil, func(key, value []byte) bool {
			if bytes.Contains(key, patient[:16]) || bytes.Contains(value, patient[:16]) {
				t.Error("a row names the patient")
			}
			if bytes.Contains(value, p.Records[0].Share[:]) {
				t.Error("a row holds a share in the clear")
			}
			if strings.HasPrefix(string(key), "b") {
				seen[i] = string(key)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen[0] == seen[1] || seen[0] == "" {
		t.Error("two keepers use one pseudonym")
	}
}
