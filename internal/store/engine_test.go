package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/internal/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, storetest.Case{
		Open: func(*testing.T) store.Engine { return store.NewMemory() },
		Reopen: func(_ *testing.T, e store.Engine) store.Engine {
			return e.(*store.Memory).Crash()
		},
		Break: func(_ *testing.T, e store.Engine) { e.(*store.Memory).Fail(syscall.ENOSPC) },
		Seed:  1,
	})
}

func TestMemoryCrash(t *testing.T) {
	for _, unsynced := range []bool{false, true} {
		m := store.NewMemory()
		m.Unsynced = unsynced
		put(t, m, "a", "1")
		m.Sync()
		put(t, m, "b", "2")
		after := m.Crash()
		if _, err := m.Get([]byte("a")); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Get after the crash: got %v, want ErrClosed", err)
		}
		if _, err := after.Get([]byte("a")); err != nil {
			t.Errorf("unsynced %v: synced key: got %v, want nil", unsynced, err)
		}
		if _, err := after.Get([]byte("b")); errors.Is(err, store.ErrAbsent) != unsynced {
			t.Errorf("unsynced %v: later key: got %v", unsynced, err)
		}
	}
}

func TestMemoryRestore(t *testing.T) {
	m := store.NewMemory()
	put(t, m, "a", "1")
	yesterday := m.Snapshot()
	put(t, m, "a", "2")
	other := store.NewMemory()
	other.Restore(yesterday)
	put(t, other, "a", "3")
	for e, want := range map[*store.Memory]string{m: "2", other: "3"} {
		if got, err := e.Get([]byte("a")); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	m.Restore(yesterday)
	if got, err := m.Crash().Get([]byte("a")); err != nil || string(got) != "1" {
		t.Errorf("restored: got %q, %v, want 1", got, err)
	}
}

func TestPebble(t *testing.T) {
	folders := map[store.Engine]string{}
	broken := map[store.Engine]*atomic.Bool{}
	storetest.Test(t, storetest.Case{
		Open: func(t *testing.T) store.Engine {
			full := new(atomic.Bool)
			dir := filepath.Join(t.TempDir(), "new", "folder")
			e := openPebble(t, dir, store.PebbleOptions{FS: fullDisk(vfs.Default, full)})
			folders[e], broken[e] = dir, full
			return e
		},
		Reopen: func(t *testing.T, e store.Engine) store.Engine {
			return openPebble(t, folders[e], store.PebbleOptions{})
		},
		Break: func(_ *testing.T, e store.Engine) { broken[e].Store(true) },
		Seed:  2,
	})
}

func openPebble(t *testing.T, dir string, o store.PebbleOptions) *store.Pebble {
	t.Helper()
	p, err := store.OpenPebble(dir, o)
	if err != nil {
		t.Fatalf("OpenPebble: got %v, want nil", err)
	}
	return p
}

func put(t *testing.T, e store.Engine, key, value string) {
	t.Helper()
	var b store.Batch
	b.Put([]byte(key), []byte(value))
	if err := e.Commit(&b); err != nil {
		t.Fatalf("Commit: got %v, want nil", err)
	}
}

// fullDisk fails every write that needs space while full is set.
func fullDisk(disk vfs.FS, full *atomic.Bool) vfs.FS {
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
}

func TestPebbleSecondOpener(t *testing.T) {
	dir := t.TempDir()
	first := openPebble(t, dir, store.PebbleOptions{})
	if _, err := store.OpenPebble(dir, store.PebbleOptions{}); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second opener: got %v, want ErrLocked", err)
	}
	put(t, first, "a", "1")
	if err := first.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
	second := openPebble(t, dir, store.PebbleOptions{})
	if got, err := second.Get([]byte("a")); err != nil || string(got) != "1" {
		t.Errorf("Get after reopening: got %q, %v, want 1", got, err)
	}
	if err := second.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
}

func TestPebbleFolderIsAFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.OpenPebble(dir, store.PebbleOptions{})
	if err == nil || errors.Is(err, store.ErrLocked) {
		t.Fatalf("folder is a file: got %v, want an error other than ErrLocked", err)
	}
}

// TestPebbleDiskFull fills the disk at a random moment, and only for tables,
// so that the write-ahead log goes on for a while: no commit may hang and none
// may be acknowledged after the first refusal.
func TestPebbleDiskFull(t *testing.T) {
	full := new(atomic.Bool)
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	}))
	p := openPebble(t, "store", store.PebbleOptions{FS: disk, MemTableBytes: 1 << 18})
	defer full.Store(false) // lets Pebble's retries come to an end
	value := string(bytes.Repeat([]byte("v"), 1<<14))
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		if i == 10 {
			full.Store(true)
		}
		var b store.Batch
		b.Put(fmt.Append(nil, i), []byte(value))
		err = p.Commit(&b)
	}
	if !errors.Is(err, store.ErrPoisoned) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("disk full: got %v, want ErrPoisoned and ENOSPC", err)
	}
	if err := p.Commit(new(store.Batch)); !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("later Commit: got %v, want ErrPoisoned", err)
	}
	if err := p.Compact([]byte("0"), []byte("9")); !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("later Compact: got %v, want ErrPoisoned", err)
	}
	if err := p.Close(); !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("Close: got %v, want ErrPoisoned", err)
	}
}

// TestPebbleFullWhileWaiting: a commit that waits for the disk to take a
// memtable must not wait for ever when the disk turns out to be full.
func TestPebbleFullWhileWaiting(t *testing.T) {
	stalled := make(stallWatch)
	var full atomic.Bool
	full.Store(true)
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") && full.Load() {
			<-stalled
			return syscall.ENOSPC
		}
		return nil
	}))
	p := openPebble(t, "store", store.PebbleOptions{FS: disk, MemTableBytes: 1 << 18, Logger: slog.New(stalled)})
	defer full.Store(false) // lets Pebble's retries come to an end
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		var b store.Batch
		b.Put(fmt.Append(nil, i), bytes.Repeat([]byte("v"), 1<<14))
		err = p.Commit(&b)
	}
	if !errors.Is(err, store.ErrPoisoned) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("waiting Commit: got %v, want ErrPoisoned and ENOSPC", err)
	}
	if err := p.Close(); !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("Close: got %v, want ErrPoisoned", err)
	}
}

// stallWatch is a slog.Handler that closes itself when writes begin to wait.
type stallWatch chan struct{}

func (w stallWatch) Enabled(context.Context, slog.Level) bool { return true }
func (w stallWatch) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w stallWatch) WithGroup(string) slog.Handler            { return w }
func (w stallWatch) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "writes wait for the disk" {
		close(w)
	}
	return nil
}

// TestPebbleSyncFails: one failed fsync and the engine never acknowledges
// again, nor shows the write it could not vouch for. Several rounds, because
// two goroutines tell of the failure.
func TestPebbleSyncFails(t *testing.T) {
	for range 20 {
		syncFails(t)
	}
}

func syncFails(t *testing.T) {
	var failing atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isSync(op) && failing.CompareAndSwap(true, false) {
			return syscall.EIO
		}
		return nil
	}))
	p := openPebble(t, "store", store.PebbleOptions{FS: disk})
	put(t, p, "a", "1")
	failing.Store(true)
	var b store.Batch
	b.Put([]byte("b"), []byte("2"))
	if err := p.Commit(&b); !errors.Is(err, store.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("Commit: got %v, want ErrPoisoned and EIO", err)
	}
	if got, err := p.Get([]byte("b")); !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("Get of the unsure write: got %q, %v, want ErrPoisoned", got, err)
	}
	if err := p.Commit(&b); !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("second Commit: got %v, want ErrPoisoned", err)
	}
}

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

// TestPebbleShowsOnlyDurable reads while each commit is in its fsync: nobody
// may see, and give a receipt for, what a power cut could still take away.
func TestPebbleShowsOnlyDurable(t *testing.T) {
	var look atomic.Pointer[func()]
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if f := look.Load(); isSync(op) && f != nil {
			(*f)()
		}
		return nil
	}))
	p := openPebble(t, "store", store.PebbleOptions{FS: disk})
	looked := 0
	for i := range 50 {
		key := fmt.Append(nil, i)
		f := func() {
			looked++
			for range 1000 { // long enough for the memtable to have it
				if _, err := p.Get(key); !errors.Is(err, store.ErrAbsent) {
					t.Errorf("commit %d in its fsync: got %v, want ErrAbsent", i, err)
					return
				}
			}
		}
		look.Store(&f)
		put(t, p, string(key), "1")
		look.Store(nil)
		if _, err := p.Get(key); err != nil {
			t.Errorf("commit %d after it: got %v, want nil", i, err)
		}
	}
	if looked < 50 {
		t.Errorf("looked %d times, want 50: the test sees no fsync", looked)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
}

// TestPebblePowerCut cuts the power after random commits; everything
// acknowledged must be there. The control acknowledges without fsync and must
// lose something.
func TestPebblePowerCut(t *testing.T) {
	lost := 0
	for seed := range uint64(20) {
		if n := powerCut(t, store.PebbleOptions{MemTableBytes: 1 << 16}, seed); n != 0 {
			t.Errorf("seed %d: %d acknowledged writes lost, want 0", seed, n)
		}
		lost += powerCut(t, store.PebbleOptions{MemTableBytes: 1 << 16}.WithoutSync(), seed)
	}
	if lost == 0 {
		t.Error("control without fsync: 0 lost, want some: the test cannot fail")
	}
}

func powerCut(t *testing.T, o store.PebbleOptions, seed uint64) (lost int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	disk := vfs.NewCrashableMem()
	o.FS = disk
	p := openPebble(t, "deep/store", o)
	n := 1 + random.IntN(200)
	for i := range n {
		put(t, p, fmt.Sprintf("%04d", i), strings.Repeat("v", random.IntN(2000)))
	}
	// How much of what was never synced survives is up to the disk.
	cut := vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(60), RNG: random}
	after := disk.CrashClone(cut)
	if err := p.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
	o.FS = after
	p, err := store.OpenPebble("deep/store", o)
	if err != nil {
		return n // the control may have lost the folder itself
	}
	defer func() { _ = p.Close() }()
	for i := range n {
		if _, err := p.Get(fmt.Appendf(nil, "%04d", i)); err != nil {
			lost++
		}
	}
	return lost
}

// TestPebbleDamage flips one byte of a table. Reading what lies there must
// fail; nothing may come back changed.
func TestPebbleDamage(t *testing.T) {
	dir := t.TempDir()
	p := openPebble(t, dir, store.PebbleOptions{})
	for i := range 100 {
		put(t, p, fmt.Sprintf("%03d", i), strings.Repeat(fmt.Sprint(i%10), 500))
	}
	if err := errors.Join(p.Flush(), p.Compact([]byte("0"), []byte("9")), p.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables: got %d, %v, want some", len(tables), err)
	}
	for _, table := range tables {
		content, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)/3] ^= 1
		if err := os.WriteFile(table, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = openPebble(t, dir, store.PebbleOptions{})
	defer func() { _ = p.Close() }()
	damaged := 0
	for i := range 100 {
		got, err := p.Get(fmt.Appendf(nil, "%03d", i))
		switch {
		case errors.Is(err, store.ErrAbsent):
			t.Errorf("key %03d: got ErrAbsent, want the value or damage", i)
		case err != nil:
			damaged++
		case string(got) != strings.Repeat(fmt.Sprint(i%10), 500):
			t.Errorf("key %03d: silently changed", i)
		}
	}
	if damaged == 0 {
		t.Error("damaged reads: got 0, want some")
	}
	if err := p.Scan(nil, nil, func(_, _ []byte) bool { return true }); err == nil {
		t.Error("Scan over damage: got nil, want an error")
	}
}

func TestPebbleDiskBytes(t *testing.T) {
	p := openPebble(t, t.TempDir(), store.PebbleOptions{})
	defer func() { _ = p.Close() }()
	put(t, p, "a", strings.Repeat("v", 1<<20))
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, err := p.DiskBytes(); err != nil || n < 1<<20 {
		t.Errorf("DiskBytes: got %d, %v, want at least 1 MiB", n, err)
	}
}

func BenchmarkMemory(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		m := store.NewMemory()
		for i := range size {
			var batch store.Batch
			batch.Put(fmt.Append(nil, i), []byte("value"))
			_ = m.Commit(&batch)
		}
		b.Run(fmt.Sprintf("put/%d", size), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				var batch store.Batch
				batch.Put(fmt.Append(nil, i%size), []byte("value"))
				_ = m.Commit(&batch)
			}
		})
		b.Run(fmt.Sprintf("get/%d", size), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				_, _ = m.Get(fmt.Append(nil, i%size))
			}
		})
	}
}

func BenchmarkPebbleCommit(b *testing.B) {
	p, err := store.OpenPebble(b.TempDir(), store.PebbleOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	value := bytes.Repeat([]byte("v"), 1024)
	var n atomic.Uint64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var batch store.Batch
			batch.Put(fmt.Append(nil, n.Add(1)), value)
			if err := p.Commit(&batch); err != nil {
				b.Error(err)
			}
		}
	})
}
