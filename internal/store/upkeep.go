package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Flush writes the memtable to tables and starts a new write-ahead log.
func (p *Pebble) Flush() error {
	return p.maintain("flush store", p.db.Flush)
}

// Compact rewrites every table that touches lower <= key < upper and starts a
// new write-ahead log. When it returns, what was deleted or overwritten within
// the bounds before it was called is in no file. For that it waits for the
// scans that can still see the old files. The file system and the disk may
// hold freed blocks; nothing can promise more than that from here.
func (p *Pebble) Compact(lower, upper []byte) error {
	return p.maintain("compact store", func() error {
		stale, err := p.files(".log")
		if err != nil {
			return err
		}
		if err := p.db.Flush(); err != nil {
			return err
		}
		if err := p.db.Compact(context.Background(), lower, upper, false); err != nil {
			return err
		}
		return p.awaitDeletion(stale)
	})
}

// DiskBytes is the size of all files, the obsolete ones included.
func (p *Pebble) DiskBytes() (uint64, error) {
	var n uint64
	err := p.maintain("measure store", func() error {
		n = p.db.Metrics().DiskSpaceUsage()
		return nil
	})
	return n, err
}

func (p *Pebble) maintain(what string, work func() error) error {
	p.mu.RLock()
	err := p.refusal()
	if err == nil {
		p.running.Add(1)
	}
	p.mu.RUnlock()
	if err != nil {
		return err
	}
	defer p.running.Done()
	if err := p.poison.guard(what, work); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return p.poison.refusal()
}

// files lists the files with that ending.
func (p *Pebble) files(ending string) (map[string]bool, error) {
	names, err := p.disk.List(p.dir)
	if err != nil {
		return nil, err
	}
	found := make(map[string]bool)
	for _, name := range names {
		if strings.HasSuffix(name, ending) {
			found[name] = true
		}
	}
	return found, nil
}

// awaitDeletion waits until the given logs are gone, and with them every table
// that was on the disk at the beginning and is no longer part of the store.
// Pebble deletes them in its own time, once no reader and no compaction holds
// them.
func (p *Pebble) awaitDeletion(stale map[string]bool) error {
	tables, err := p.files(".sst")
	if err != nil {
		return err
	}
	for name := range tables {
		stale[name] = true
	}
	for {
		change := p.deletions.next()
		if err := p.strike(stale); err != nil || len(stale) == 0 {
			return err
		}
		select {
		case <-change:
		case <-p.poison.spread:
			return p.poison.refusal()
		}
	}
}

// strike takes from the list what is gone or in use.
func (p *Pebble) strike(stale map[string]bool) error {
	levels, err := p.db.SSTables()
	if err != nil {
		return err
	}
	for _, level := range levels {
		for _, table := range level {
			delete(stale, table.BackingSSTNum.String()+".sst")
		}
	}
	left, err := p.files("")
	if err != nil {
		return err
	}
	for name := range stale {
		if !left[name] {
			delete(stale, name)
		}
	}
	return nil
}

// deleted hears of each deletion. A keeper that cannot delete cannot erase.
func (p *Pebble) deleted(err error) {
	if err != nil {
		p.poison.with("delete file", err)
	}
	p.deletions.send()
}

// signal wakes whoever waits for the next event.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) start() { s.ch = make(chan struct{}) }

// next returns a channel that the first later send closes.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
