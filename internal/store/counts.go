package store

import (
	"fmt"
	"sync"
)

// Counts are for metrics: how much one keeper holds.
type Counts struct {
	// Batches held, fully erased ones included: their notices stay.
	Batches int64
	// Records that can still be read.
	Records int64
	// Bytes of their fragments.
	Bytes int64
}

func (c *Counts) add(d Counts) {
	c.Batches += d.Batches
	c.Records += d.Records
	c.Bytes += d.Bytes
}

// counts are read from the disk once, at the first question, and kept up from
// then on; keeping them in a row would make every deposit wait for the last.
type counts struct {
	mu    sync.Mutex
	known bool
	now   Counts
}

func (c *counts) add(d Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		c.now.add(d)
	}
}

// Counts returns what is held. The first call reads one short row a batch and
// holds up commits for that time; a keeper makes it before it serves.
func (s *Store) Counts() (Counts, error) {
	s.counts.mu.Lock()
	known, now := s.counts.known, s.counts.now
	s.counts.mu.Unlock()
	if known {
		return now, nil
	}
	s.erasing.Lock()
	defer s.erasing.Unlock()
	now, err := s.countAll()
	if err != nil {
		return Counts{}, fmt.Errorf("count: %w", err)
	}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	s.counts.known, s.counts.now = true, now
	return now, nil
}

func (s *Store) countAll() (total Counts, err error) {
	var bad error
	err = s.records.Scan([]byte{tableBatch}, after([]byte{tableBatch}), func(_, value []byte) bool {
		var sh shape
		if sh, bad = parseShape(value); bad != nil {
			return false
		}
		total.add(sh.counts())
		return true
	})
	if err == nil {
		err = bad
	}
	return total, err
}
