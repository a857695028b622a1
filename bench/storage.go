package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// storage imports the data and weighs what five keepers then hold. It is the
// part of network that the stored bytes come from, without the rest.
func storage(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "abaton-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up, err := b.up(ctx, filepath.Join(dir, "net"))
	if err != nil {
		return err
	}
	defer up.stop()
	if err := imports(ctx, b, up); err != nil {
		return err
	}
	if err := up.stop(); err != nil {
		return err
	}
	return stored(b, up)
}

// weight is the logical size of one table: rows, and the bytes of their keys
// and values.
type weight struct{ rows, keys, values int64 }

func (w *weight) add(o weight) {
	w.rows, w.keys, w.values = w.rows+o.rows, w.keys+o.keys, w.values+o.values
}

func (w *weight) bytes() int64 { return w.keys + w.values }

// held is what keepers hold, by table.
type held struct {
	tables map[string]*weight
	disk   int64 // files after a compaction
}

func (h *held) table(name string) *weight {
	if h.tables == nil {
		h.tables = make(map[string]*weight)
	}
	if h.tables[name] == nil {
		h.tables[name] = new(weight)
	}
	return h.tables[name]
}

func (h *held) add(o held) {
	for name, w := range o.tables {
		h.table(name).add(*w)
	}
	h.disk += o.disk
}

// sum adds up the tables of one purpose.
func (h *held) sum(purpose string) (n int64) {
	for name, w := range h.tables {
		if purposes[name] == purpose {
			n += w.bytes()
		}
	}
	return n
}

// Purposes of tables (internal/store/tables.go). What is not named is other.
const (
	forRecords = "records" // heads, locks, leaves, fragments, shares, receipts, notices and their keys
	forLedger  = "ledger"
	forLogs    = "logs" // key logs, votes, the feed
)

var purposes = map[string]string{
	"batches": forRecords, "notices": forRecords, "fragments": forRecords, "shares": forRecords,
	"certificates": forRecords, "receipts": forRecords, "share leaves": forRecords, "sequences": forRecords, "tombstones": forRecords, "row keys": forRecords,
	"ledger": forLedger, "statements": forLogs, "feed": forLogs, "votes": forLogs, "meta": forLogs,
}

var tableNames = map[byte]string{
	'b': "batches", 'n': "notices", 'f': "fragments", 's': "shares", 'c': "certificates", 'q': "sequences",
	't': "tombstones", 'w': "row keys", 'a': "statements", 'g': "feed", 'v': "votes", 'x': "meta",
	'd': "disclosures", 'o': "nonces", 'e': "expiries", 'y': "own",
}

// Spaces of internal/custody, under the tag r.
var spaceNames = map[byte]string{'l': "ledger", 'n': "receipts", 'o': "owed", 's': "share leaves"}

// tableOf tells by the tag what a row is for.
func tableOf(key []byte) string {
	if key[0] == 'r' && len(key) > 1 {
		return cmp.Or(spaceNames[key[1]], "other")
	}
	return cmp.Or(tableNames[key[0]], "other")
}

// measure reads a stopped keeper's store through.
func measure(keeperDir string) (h held, err error) {
	for _, name := range []string{"records", "keys"} {
		e, err := store.OpenPebble(filepath.Join(keeperDir, name), store.PebbleOptions{})
		if err != nil {
			return h, fmt.Errorf("open %s: %w", name, err)
		}
		err = e.Scan(nil, nil, func(k, v []byte) bool {
			h.table(tableOf(k)).add(weight{1, int64(len(k)), int64(len(v))})
			return true
		})
		if err == nil {
			err = e.Compact([]byte{0}, bytes.Repeat([]byte{0xff}, 8))
		}
		if cerr := e.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return h, err
		}
		size, err := folderBytes(filepath.Join(keeperDir, name))
		if err != nil {
			return h, err
		}
		h.disk += size
	}
	return h, nil
}

// folderBytes is the size of the files of a closed store.
func folderBytes(dir string) (n int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, nil
}

// stored compares what five stopped keepers hold with the plaintext.
func stored(b *bench, r *running) error {
	if r.plain == 0 {
		return nil
	}
	var all held
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		h, err := measure(r.KeeperDir(x))
		if err != nil {
			return err
		}
		all.add(h)
	}
	per := func(n int64) float64 { return float64(n) / float64(r.plain) }
	b.add(row{Name: "stored for records, five keepers ÷ minified JSON", Value: per(all.sum(forRecords)), Unit: "x", Budget: "≤ 1.0", Limit: 5.0 / 3, LimitName: "coding of uncompressed JSON"})
	b.add(row{Name: "ledgers, five keepers ÷ minified JSON", Value: per(all.sum(forLedger)), Unit: "x"})
	b.add(row{Name: "key logs, five keepers ÷ minified JSON", Value: per(all.sum(forLogs)), Unit: "x"})
	b.add(row{Name: "disk of all five stores ÷ minified JSON", Value: per(all.disk), Unit: "x", Detail: "compacted, everything included"})
	b.add(row{Name: "minified JSON", Value: float64(r.plain) / float64(r.count), Unit: "B/rec", Detail: fmt.Sprintf("%d resources", r.count)})
	names := make([]string, 0, len(all.tables))
	for name := range all.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w := all.tables[name]
		b.add(row{Name: "table " + name + ", five keepers, per resource", Value: float64(w.bytes()) / float64(r.count), Unit: "B",
			Detail: fmt.Sprintf("%d rows; %.0f B of keys, %.0f B of values", w.rows, float64(w.keys)/float64(r.count), float64(w.values)/float64(r.count))})
	}
	return nil
}
