package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// TestErasedBytesAreGone is T7 of the batch construction, on one keeper: after
// an erasure neither the old row key nor the erased fragment is in any file,
// and no share ever was.
func TestErasedBytesAreGone(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := parcelOf(1, 64)
	const gone = 7
	p.Records[gone+1].Fragment = bytes.Repeat(parcelOf(2, 1).Records[0].Fragment, 1+store.FragmentTogetherBytes/155) // in a row of its own
	deposit(t, s, ana, p)
	for i := range uint64(50) { // others, before and after in the tables
		deposit(t, s, abaton.ActorID{byte(i), 9}, parcelOf(10+i, 4))
	}
	var oldKeys [][]byte
	for round := range 3 {
		oldKey, err := s.RowKey(ana)
		if err != nil {
			t.Fatal(err)
		}
		oldKeys = append(oldKeys, bytes.Clone(oldKey))
		// The control: what must vanish can be found before.
		if !inFiles(t, dir, oldKey) {
			t.Fatalf("round %d: row key not found before erasing: the search finds nothing", round)
		}
		if !inFiles(t, dir, p.Records[gone+round].Fragment[:155]) {
			t.Fatalf("round %d: fragment not found before erasing: the search finds nothing", round)
		}
		erase(t, s, ana, store.Erasure{Batch: p.Batch, Records: 1 << (gone + round), Leaves: make([][32]byte, 1)})
		wantNowhere(t, dir, oldKeys, p, gone+round)
	}
	wantRecords(t, s, ana, p, ^uint64(7<<gone))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantNowhere(t, dir, oldKeys, p, gone)
	if s, err = store.Open(dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	wantNowhere(t, dir, oldKeys, p, gone)
	wantRecords(t, s, ana, p, ^uint64(7<<gone))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantNowhere(t *testing.T, dir string, oldKeys [][]byte, p store.Parcel, gone int) {
	t.Helper()
	for i, k := range oldKeys {
		if inFiles(t, dir, k) {
			t.Errorf("old row key %d is in a file", i)
		}
	}
	if inFiles(t, dir, p.Records[gone].Fragment[:155]) {
		t.Error("erased fragment is in a file")
	}
	for j := range p.Records {
		if inFiles(t, dir, p.Records[j].Share[:]) {
			t.Errorf("share %d is in a file in the clear", j)
		}
	}
	if !inFiles(t, dir, p.Records[gone+20].Fragment) {
		t.Error("a kept fragment is in no file: the search finds nothing")
	}
}

func inFiles(t *testing.T, dir string, needle []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted while we looked
		}
		found = found || bytes.Contains(content, needle)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPurgeWaitsForScans: a scan pins files, so the purge must outlast it.
func TestPurgeWaitsForScans(t *testing.T) {
	dir := t.TempDir()
	p := openPebble(t, dir, store.PebbleOptions{})
	defer func() { _ = p.Close() }()
	secret := bytes.Repeat([]byte("secret"), 20)
	put(t, p, "a", string(secret))
	put(t, p, "b", "1")
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	scanning, checked := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { scanUntilAwaited(t, p, scanning, checked) })
	<-scanning
	var b store.Batch
	b.Delete([]byte("a"))
	if err := errors.Join(p.Commit(&b), p.Compact([]byte("a"), []byte("b"))); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, secret) {
		t.Error("deleted value is in a file after Compact")
	}
	close(checked)
	wg.Wait()
}

// scanUntilAwaited holds a scan open until it pins replaced files, and a while
// longer, in which a Compact that does not wait would return.
func scanUntilAwaited(t *testing.T, p *store.Pebble, scanning, checked chan struct{}) {
	err := p.Scan(nil, nil, func(_, _ []byte) bool {
		close(scanning)
		for turns := 0; turns < 20000; {
			select {
			case <-checked:
				return false
			default:
				runtime.Gosched()
			}
			if turns > 0 || store.Pinned(p) > 0 {
				turns++
			}
		}
		return false
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCloseWaitsForScans: a scan under way ends before its files are closed.
func TestCloseWaitsForScans(t *testing.T) {
	p := openPebble(t, t.TempDir(), store.PebbleOptions{})
	put(t, p, "a", "1")
	scanning, closed := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := p.Scan(nil, nil, func(_, _ []byte) bool {
			close(scanning)
			for turns := 0; turns < 300_000; turns++ { // longer than a Close takes
				select {
				case <-closed:
					t.Error("Close returned during a scan")
					return false
				default:
					runtime.Gosched()
				}
			}
			return true
		})
		if err != nil {
			t.Errorf("Scan over Close: got %v, want nil", err)
		}
	})
	<-scanning
	if err := p.Close(); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
	close(closed)
	wg.Wait()
}
