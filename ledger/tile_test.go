package ledger_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"golang.org/x/mod/sumdb/tlog"
)

type hash = tlog.Hash

func TestTiles(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	for i := range 11 {
		es := make([]ledger.Entry, 64)
		for j := range es {
			es[j] = release(string(rune(1+64*i+j)), "doctor", "ana")
		}
		l.add(t, at(int64(i)), es...)
	}
	// 704 entries: two full tiles and one of 192, and two hashes above.
	for path, want := range map[string]int{
		"tile/0/000": 8192, "tile/0/001": 8192, "tile/0/002.p/192": 192 * 32, "tile/0/002.p/64": 64 * 32,
		"tile/1/000.p/2": 64, "tile/1/000.p/1": 32, "tile/0/000.p/255": 255 * 32,
		"tile/entries/000": 256 * 34, "tile/entries/002.p/192": 192 * 34,
		"tile/0/002": -1, "tile/0/002.p/193": -1, "tile/1/000.p/3": -1, "tile/1/000": -1, "tile/2/000.p/1": -1,
		"tile/0/003.p/1": -1, "tile/63/000.p/1": -1, "tile/0/x999/x999/999": -1, "tile/entries/003.p/1": -1,
	} {
		b, err := l.Tile(path)
		if want < 0 {
			if !errors.Is(err, abaton.ErrNotFound) {
				t.Errorf("%s: got %d bytes, %v; want ErrNotFound", path, len(b), err)
			}
			continue
		}
		if err != nil || len(b) != want {
			t.Errorf("%s: got %d bytes, %v; want %d", path, len(b), err, want)
		}
	}
	tile, _ := l.Tile("tile/0/000")
	upper, _ := l.Tile("tile/1/000.p/1")
	if got := rootOf(tile); !bytes.Equal(got[:], upper) {
		t.Errorf("tile 0 hashes to %x, tile above says %x", got, upper)
	}
	entries, _ := l.Tile("tile/entries/000")
	if h := ledger.Leaf(entries[2:34]).Hash(); !bytes.Equal(h[:], tile[:32]) {
		t.Error("first entry does not hash to the first hash")
	}
}

// rootOf hashes a full tile.
func rootOf(b []byte) (h hash) {
	if len(b) == 32 {
		return hash(b)
	}
	return tlog.NodeHash(rootOf(b[:len(b)/2]), rootOf(b[len(b)/2:]))
}

func badTilePaths() map[string]string {
	return map[string]string{
		"tile/0": "tile-path.form", "checkpoint": "tile-path.form", "": "tile-path.form",
		"tile/00/000": "tile-path.level", "tile/64/000": "tile-path.level", "tile/-1/000": "tile-path.level", "tile/data/000": "tile-path.level",
		"tile/0/000.p/0": "tile-path.width", "tile/0/000.p/256": "tile-path.width", "tile/0/000.p/07": "tile-path.width",
		"tile/0/1": "tile-path.number", "tile/0/1000": "tile-path.number", "tile/0/x000/0000": "tile-path.number",
		"tile/0/-01": "tile-path.number", "tile/0/": "tile-path.number", "tile/0/000/": "tile-path.number",
		"tile/0/x000/000": "tile-path.form", "tile/0/x001": "tile-path.form", "tile/0/001/000": "tile-path.form",
		"tile/8/0/000": "tile-path.number", "tile/0/x001/x001/x001/x001/x001/x001/x001/x001/001": "tile-path.number",
		"tile/0/000000000000000000000000000000000000000000000000000000000000000000": "tile-path.length",
	}
}

func TestTilePaths(t *testing.T) {
	for path, check := range badTilePaths() {
		if _, err := ledger.ParseTilePath(path); ledger.CheckID(err) != check {
			t.Errorf("%q: got %v, want %s", path, err, check)
		}
	}
	p, err := ledger.ParseTilePath("tile/3/x001/x234/067.p/8")
	if err != nil || p != (ledger.TilePath{Level: 3, N: 1234067, Width: 8}) {
		t.Errorf("got %+v, %v", p, err)
	}
}

func FuzzTilePath(f *testing.F) {
	f.Add("tile/0/000")
	f.Add("tile/entries/x001/x234/067.p/8")
	for p := range badTilePaths() {
		f.Add(p)
	}
	l := filled(f, keeperOne(f), 30)
	f.Fuzz(func(t *testing.T, path string) {
		p, err := ledger.ParseTilePath(path)
		if err != nil {
			return
		}
		if p.String() != path {
			t.Errorf("got %q, want %q", p.String(), path)
		}
		if _, err := l.Tile(path); err != nil && !errors.Is(err, abaton.ErrNotFound) {
			t.Errorf("%q: %v", path, err)
		}
	})
}
