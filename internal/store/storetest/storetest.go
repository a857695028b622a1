// Package storetest is the conformance suite of store.Engine: what the first
// engine promises, every other one must keep.
//
//	storetest.Test(t, storetest.Case{Open: func(t *testing.T) store.Engine { ... }})
//
// It does not prove durability through a power cut; only an engine's own crash
// test can, because it needs to cut the power of that engine's disk.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/abaton-health/abaton/internal/store"
)

// Case is one engine under test.
type Case struct {
	// Open returns a new, empty engine. The suite closes it.
	Open func(t *testing.T) store.Engine
	// Reopen opens again what a closed engine held; nil if it cannot be.
	Reopen func(t *testing.T, closed store.Engine) store.Engine
	// Break makes the next Commit fail; nil if that cannot be done.
	Break func(t *testing.T, e store.Engine)
	// Seed of the randomised model check.
	Seed uint64
}

// Test runs the suite.
func Test(t *testing.T, c Case) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(*testing.T, Case)
	}{
		{"absent", testAbsent},
		{"owned bytes", testOwned},
		{"order and bounds", testOrder},
		{"stop", testStop},
		{"scan is one moment", testScanSnapshot},
		{"nested scan", testNestedScan},
		{"last write wins", testLastWins},
		{"atomic", testAtomic},
		{"large values", testLarge},
		{"empty batch", testEmpty},
		{"closed", testClosed},
		{"reopen", testReopen},
		{"poisoned", testPoisoned},
		{"concurrent", testConcurrent},
		{"model", testModel},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, c) })
	}
}

func open(t *testing.T, c Case) store.Engine {
	t.Helper()
	e := c.Open(t)
	t.Cleanup(func() {
		err := e.Close()
		if err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrPoisoned) {
			t.Errorf("Close: got %v, want nil", err)
		}
	})
	return e
}

func commit(t *testing.T, e store.Engine, pairs ...string) {
	t.Helper()
	var b store.Batch
	for i := 0; i < len(pairs); i += 2 {
		b.Put([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	if err := e.Commit(&b); err != nil {
		t.Fatalf("Commit: got %v, want nil", err)
	}
}

func want(t *testing.T, e store.Engine, key, value string) {
	t.Helper()
	if got, err := e.Get([]byte(key)); err != nil || string(got) != value {
		t.Fatalf("Get(%q): got %q, %v, want %q", key, got, err, value)
	}
}

func wantAbsent(t *testing.T, e store.Engine, key string) {
	t.Helper()
	if got, err := e.Get([]byte(key)); !errors.Is(err, store.ErrAbsent) {
		t.Fatalf("Get(%q): got %q, %v, want ErrAbsent", key, got, err)
	}
}

// keys lists lower <= key < upper; "" is an open bound.
func keys(t *testing.T, e store.Engine, lower, upper string) []string {
	t.Helper()
	var list []string
	err := e.Scan(bound(lower), bound(upper), func(key, _ []byte) bool {
		list = append(list, string(key))
		return true
	})
	if err != nil {
		t.Fatalf("Scan(%q, %q): got %v, want nil", lower, upper, err)
	}
	return list
}

func bound(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func testAbsent(t *testing.T, c Case) {
	e := open(t, c)
	wantAbsent(t, e, "a")
	commit(t, e, "a", "1", "b", "")
	want(t, e, "a", "1")
	want(t, e, "b", "")
	wantAbsent(t, e, "aa")
	var b store.Batch
	b.Delete([]byte("a"))
	b.Delete([]byte("never there"))
	if err := e.Commit(&b); err != nil {
		t.Fatalf("Commit of deletes: got %v, want nil", err)
	}
	wantAbsent(t, e, "a")
}

func testOwned(t *testing.T, c Case) {
	e := open(t, c)
	key, value := []byte("key"), []byte("value")
	var b store.Batch
	b.Put(key, value)
	key[0], value[0] = 'x', 'x'
	if err := e.Commit(&b); err != nil {
		t.Fatalf("Commit: got %v, want nil", err)
	}
	got, err := e.Get([]byte("key"))
	if err != nil || string(got) != "value" {
		t.Fatalf("Get: got %q, %v, want value", got, err)
	}
	got[0] = 'x'
	want(t, e, "key", "value")
}

func testOrder(t *testing.T, c Case) {
	e := open(t, c)
	commit(t, e, "b", "2", "a\x00", "3", "\xff", "4", "a", "1", "\x00", "0", "ab", "5")
	for _, q := range []struct {
		lower, upper string
		want         []string
	}{
		{"", "", []string{"\x00", "a", "a\x00", "ab", "b", "\xff"}},
		{"a", "b", []string{"a", "a\x00", "ab"}},
		{"a\x00", "", []string{"a\x00", "ab", "b", "\xff"}},
		{"", "a", []string{"\x00"}},
		{"c", "d", nil},
		{"b", "a", nil},
		{"a", "a", nil},
	} {
		if got := keys(t, e, q.lower, q.upper); !slices.Equal(got, q.want) {
			t.Errorf("Scan(%q, %q): got %q, want %q", q.lower, q.upper, got, q.want)
		}
	}
}

func testStop(t *testing.T, c Case) {
	e := open(t, c)
	commit(t, e, "a", "1", "b", "2", "c", "3")
	n := 0
	if err := e.Scan(nil, nil, func(_, _ []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Fatalf("stopped Scan: got %d yields, %v, want 2, nil", n, err)
	}
}

func testScanSnapshot(t *testing.T, c Case) {
	e := open(t, c)
	commit(t, e, "a", "1", "b", "1", "c", "1")
	var got []string
	err := e.Scan(nil, nil, func(key, value []byte) bool {
		if len(got) == 0 {
			var b store.Batch
			b.Put([]byte("b"), []byte("2"))
			b.Put([]byte("bb"), []byte("2"))
			b.Delete([]byte("c"))
			if err := e.Commit(&b); err != nil {
				t.Errorf("Commit in a Scan: got %v, want nil", err)
			}
		}
		got = append(got, string(key)+string(value))
		return true
	})
	if w := []string{"a1", "b1", "c1"}; err != nil || !slices.Equal(got, w) {
		t.Fatalf("Scan over a Commit: got %q, %v, want %q", got, err, w)
	}
	want(t, e, "b", "2")
	wantAbsent(t, e, "c")
}

func testNestedScan(t *testing.T, c Case) {
	e := open(t, c)
	commit(t, e, "a", "1", "b", "2")
	n := 0
	err := e.Scan(nil, nil, func(key, _ []byte) bool {
		want(t, e, "a", "1")
		n += len(keys(t, e, "", ""))
		return true
	})
	if err != nil || n != 4 {
		t.Fatalf("nested Scan: got %d, %v, want 4", n, err)
	}
}

func testLastWins(t *testing.T, c Case) {
	e := open(t, c)
	var b store.Batch
	b.Put([]byte("a"), []byte("1"))
	b.Put([]byte("a"), []byte("2"))
	b.Put([]byte("b"), []byte("1"))
	b.Delete([]byte("b"))
	b.Delete([]byte("c"))
	b.Put([]byte("c"), []byte("3"))
	if got, w := b.Len(), 6; got != w {
		t.Fatalf("Len: got %d, want %d", got, w)
	}
	if got, w := b.Bytes(), 10; got != w {
		t.Fatalf("Bytes: got %d, want %d", got, w)
	}
	if err := e.Commit(&b); err != nil {
		t.Fatalf("Commit: got %v, want nil", err)
	}
	want(t, e, "a", "2")
	wantAbsent(t, e, "b")
	want(t, e, "c", "3")
}

// testAtomic has readers that look for a half-applied batch.
func testAtomic(t *testing.T, c Case) {
	e := open(t, c)
	commit(t, e, "l", "0", "m", "0", "r", "0")
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 2 {
		wg.Go(func() {
			for range 200 {
				seen := map[string]bool{}
				if err := e.Scan(nil, nil, func(_, v []byte) bool { seen[string(v)] = true; return true }); err != nil {
					t.Errorf("Scan: got %v, want nil", err)
				}
				if len(seen) != 1 {
					t.Errorf("Scan saw %d states at once, want 1", len(seen))
				}
			}
		})
	}
	for i := range 100 {
		v := fmt.Sprint(i)
		commit(t, e, "l", v, "m", v, "r", v)
	}
}

func testLarge(t *testing.T, c Case) {
	e := open(t, c)
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1 << 16, 1 << 20, 12 << 20} {
		value := make([]byte, size)
		_, _ = random.Read(value)
		var b store.Batch
		b.Put([]byte("large"), value)
		if err := e.Commit(&b); err != nil {
			t.Fatalf("Commit of %d bytes: got %v, want nil", size, err)
		}
		if got, err := e.Get([]byte("large")); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("Get of %d bytes: got %d bytes, %v, want the same", size, len(got), err)
		}
	}
}

func testEmpty(t *testing.T, c Case) {
	e := open(t, c)
	if err := e.Commit(new(store.Batch)); err != nil {
		t.Fatalf("Commit of nothing: got %v, want nil", err)
	}
	if got := keys(t, e, "", ""); len(got) != 0 {
		t.Fatalf("keys: got %q, want none", got)
	}
}

func testClosed(t *testing.T, c Case) {
	e := open(t, c)
	commit(t, e, "a", "1")
	if err := e.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
	wantRefusal(t, e, store.ErrClosed)
}

func wantRefusal(t *testing.T, e store.Engine, sentinel error) {
	t.Helper()
	var b store.Batch
	b.Put([]byte("a"), []byte("2"))
	if err := e.Commit(&b); !errors.Is(err, sentinel) {
		t.Errorf("Commit: got %v, want %v", err, sentinel)
	}
	if _, err := e.Get([]byte("a")); !errors.Is(err, sentinel) {
		t.Errorf("Get: got %v, want %v", err, sentinel)
	}
	err := e.Scan(nil, nil, func(_, _ []byte) bool { t.Error("Scan yielded"); return false })
	if !errors.Is(err, sentinel) {
		t.Errorf("Scan: got %v, want %v", err, sentinel)
	}
}

func testReopen(t *testing.T, c Case) {
	if c.Reopen == nil {
		t.Skip("engine cannot be reopened")
	}
	e := c.Open(t)
	commit(t, e, "a", "1", "b", "2")
	var b store.Batch
	b.Delete([]byte("a"))
	b.Put([]byte("c"), []byte("3"))
	if err := e.Commit(&b); err != nil {
		t.Fatalf("Commit: got %v, want nil", err)
	}
	if err := e.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
	e = c.Reopen(t, e)
	defer func() { _ = e.Close() }()
	wantAbsent(t, e, "a")
	want(t, e, "b", "2")
	want(t, e, "c", "3")
}

func testPoisoned(t *testing.T, c Case) {
	if c.Break == nil {
		t.Skip("engine cannot be broken")
	}
	e := open(t, c)
	commit(t, e, "a", "1")
	c.Break(t, e)
	var b store.Batch
	b.Put([]byte("a"), []byte("2"))
	if err := e.Commit(&b); !errors.Is(err, store.ErrPoisoned) {
		t.Fatalf("failing Commit: got %v, want ErrPoisoned", err)
	}
	wantRefusal(t, e, store.ErrPoisoned)
}

func testConcurrent(t *testing.T, c Case) {
	e := open(t, c)
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Appendf(nil, "%d/%03d", w, i)
				var b store.Batch
				b.Put(key, key)
				if err := e.Commit(&b); err != nil {
					t.Errorf("Commit: got %v, want nil", err)
				}
				if got, err := e.Get(key); err != nil || !bytes.Equal(got, key) {
					t.Errorf("Get of one's own write: got %q, %v, want %q", got, err, key)
				}
			}
		})
	}
	wg.Wait()
	if got := len(keys(t, e, "", "")); got != writers*each {
		t.Fatalf("keys: got %d, want %d", got, writers*each)
	}
}

// testModel compares a random life with a map.
func testModel(t *testing.T, c Case) {
	e := open(t, c)
	random := rand.New(rand.NewPCG(c.Seed, 1))
	model := map[string]string{}
	name := func() string { return fmt.Sprintf("%02x", random.IntN(60)) }
	for round := range 300 {
		var b store.Batch
		for range random.IntN(6) {
			key, value := name(), fmt.Sprint(random.Uint32())
			if random.IntN(3) == 0 {
				b.Delete([]byte(key))
				delete(model, key)
			} else {
				b.Put([]byte(key), []byte(value))
				model[key] = value
			}
		}
		if err := e.Commit(&b); err != nil {
			t.Fatalf("seed %d, round %d: Commit: got %v, want nil", c.Seed, round, err)
		}
		lower, upper := name(), name()
		var expected []string
		for key := range model {
			if lower <= key && key < upper {
				expected = append(expected, key)
			}
		}
		slices.Sort(expected)
		if got := keys(t, e, lower, upper); !slices.Equal(got, expected) {
			t.Fatalf("seed %d, round %d: Scan(%s, %s): got %q, want %q", c.Seed, round, lower, upper, got, expected)
		}
		if key := name(); model[key] != "" {
			want(t, e, key, model[key])
		} else {
			wantAbsent(t, e, key)
		}
	}
}
