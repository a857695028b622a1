package main

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/abaton-health/abaton/internal/store"
)

// held are the logical bytes of one keeper's store, keys and values, by what
// they are for.
type held struct {
	records int64 // heads, locks, leaves, fragments, shares, receipts and their keys
	ledger  int64
	logs    int64 // key logs, votes, the feed
	other   int64
	disk    uint64
}

// measure reads a stopped keeper's store through.
func measure(keeperDir string) (h held, err error) {
	for _, name := range []string{"records", "keys"} {
		e, err := store.OpenPebble(filepath.Join(keeperDir, name), store.PebbleOptions{})
		if err != nil {
			return h, fmt.Errorf("open %s: %w", name, err)
		}
		err = e.Scan(nil, nil, func(k, v []byte) bool {
			*h.bucket(k) += int64(len(k) + len(v))
			return true
		})
		if err == nil {
			err = e.Compact([]byte{0}, bytes.Repeat([]byte{0xff}, 8))
		}
		if n, e2 := e.DiskBytes(); e2 == nil {
			h.disk += n
		}
		if cerr := e.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return h, err
		}
	}
	return h, nil
}

// bucket tells by the table's tag what a row is for (internal/store/tables.go).
func (h *held) bucket(key []byte) *int64 {
	switch {
	case key[0] == 'r' && len(key) > 1 && key[1] == 'l':
		return &h.ledger
	case key[0] == 'a' || key[0] == 'g' || key[0] == 'v' || key[0] == 'x':
		return &h.logs
	case key[0] == 'b' || key[0] == 'n' || key[0] == 'f' || key[0] == 's' || key[0] == 'c' || key[0] == 'q' || key[0] == 't':
		return &h.records
	}
	return &h.other
}
