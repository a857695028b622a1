package ledger

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
)

// tileWidth is the number of hashes in a full tile (c2sp.org/tlog-tiles).
const tileWidth = 256

// entriesLevel is the Level of a bundle of entries.
const entriesLevel = -1

// TilePath names a static resource of the read API: "tile/<L>/<N>[.p/<W>]" or
// "tile/entries/<N>[.p/<W>]".
type TilePath struct {
	Level int    // 0 to 7; -1 for entries
	N     uint64 // which tile of the level
	Width int    // 1 to 256 hashes
}

// String is the one spelling of the path.
func (t TilePath) String() string {
	n := fmt.Sprintf("%03d", t.N%1000)
	for rest := t.N / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	level := "entries"
	if t.Level != entriesLevel {
		level = strconv.Itoa(t.Level)
	}
	if t.Width != tileWidth {
		n += ".p/" + strconv.Itoa(t.Width)
	}
	return "tile/" + level + "/" + n
}

// ParseTilePath reads the one spelling of a path.
func ParseTilePath(path string) (TilePath, error) {
	if len(path) > 64 {
		return TilePath{}, refuse("tile-path", "length")
	}
	rest, ok := strings.CutPrefix(path, "tile/")
	level, rest, cut := strings.Cut(rest, "/")
	if !ok || !cut {
		return TilePath{}, refuse("tile-path", "form")
	}
	t := TilePath{Level: entriesLevel, Width: tileWidth}
	if level != "entries" {
		l, ok := parseSize(level)
		if !ok || l > 63 {
			return TilePath{}, refuse("tile-path", "level")
		}
		t.Level = int(l)
	}
	if number, width, partial := strings.Cut(rest, ".p/"); partial {
		w, ok := parseSize(width)
		if !ok || w == 0 || w >= tileWidth {
			return TilePath{}, refuse("tile-path", "width")
		}
		t.Width, rest = int(w), number
	}
	for part := range strings.SplitSeq(rest, "/") {
		digits := strings.TrimPrefix(part, "x")
		n, err := strconv.ParseUint(digits, 10, 10)
		if err != nil || n > 999 || len(digits) != 3 || t.N > SizeMax/1000 {
			return TilePath{}, refuse("tile-path", "number")
		}
		t.N = t.N*1000 + n
	}
	if t.String() != path {
		return TilePath{}, refuse("tile-path", "form")
	}
	return t, nil
}

// Tile is the resource at path: a tile of hashes, or a bundle of entries,
// which are the 32-byte leaves, not what they commit to. Partial tiles of
// every width up to the newest are served. abaton.ErrNotFound for what the
// tree does not have, a CheckError for what is no path.
func (l *Log) Tile(path string) ([]byte, error) {
	t, err := ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	h, err := l.committed()
	if err != nil {
		return nil, err
	}
	have := h.edge.size >> uint(8*max(t.Level, 0))
	if t.N >= have/tileWidth+1 || t.N*tileWidth+uint64(t.Width) > have {
		return nil, abaton.ErrNotFound
	}
	if t.Level == entriesLevel {
		return l.bundle(t)
	}
	return l.tile(t)
}

func (l *Log) tile(t TilePath) ([]byte, error) {
	out := make([]byte, 0, 32*t.Width)
	for i := range t.Width {
		h, err := hashAt(8*t.Level, t.N*tileWidth+uint64(i), l.record)
		if err != nil {
			return nil, err
		}
		out = append(out, h[:]...)
	}
	return out, nil
}

func (l *Log) bundle(t TilePath) ([]byte, error) {
	out := make([]byte, 0, 34*t.Width)
	for i := range t.Width {
		rec, err := l.record(t.N*tileWidth + uint64(i))
		if err != nil {
			return nil, err
		}
		out = binary.BigEndian.AppendUint16(out, 32)
		out = append(out, rec[:32]...)
	}
	return out, nil
}
