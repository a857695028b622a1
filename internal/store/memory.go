package store

import (
	"fmt"
	"sync"
)

// Memory is an Engine without a disk, for the simulation and for tests. It is
// deterministic, and it can lose power, run out of space and be restored from
// an old copy on request.
type Memory struct {
	// Unsynced, if set, lets Commit return before the batch is durable, as a
	// database with lazy fsync does: Crash loses all since the last Sync.
	// Set it before the engine is used.
	Unsynced bool

	mu     sync.Mutex
	root   *twig
	synced *twig
	fail   error // what the next Commit runs into
	ended  error // nil while it works
}

// NewMemory returns an empty engine.
func NewMemory() *Memory { return &Memory{} }

// Fail makes the next Commit run into err, after which the engine is poisoned;
// nil takes it back.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Get implements Engine.
func (m *Memory) Get(key []byte) ([]byte, error) {
	root, err := m.view()
	if err != nil {
		return nil, err
	}
	n, ok := find(root, key)
	if !ok {
		return nil, ErrAbsent
	}
	return append([]byte{}, n.value...), nil
}

// Scan implements Engine.
func (m *Memory) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	root, err := m.view()
	if err != nil {
		return err
	}
	each(root, lower, upper, yield)
	return nil
}

func (m *Memory) view() (*twig, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.root, m.ended
}

// Commit implements Engine.
func (m *Memory) Commit(b *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended != nil {
		return m.ended
	}
	if m.fail != nil {
		m.ended = fmt.Errorf("%w: %w", ErrPoisoned, m.fail)
		return m.ended
	}
	root, e := m.root, &edit{}
	b.Each(func(key, value []byte, deletes bool) bool {
		if !deletes {
			root = e.put(root, key, value)
		} else if _, ok := find(root, key); ok {
			root = e.remove(root, key)
		}
		return true
	})
	m.root = root
	if !m.Unsynced {
		m.synced = root
	}
	return nil
}

// Close implements Engine. What an orderly end leaves is durable.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended != nil {
		return m.ended
	}
	m.synced = m.root
	m.ended = ErrClosed
	return nil
}

// Sync makes everything committed durable. It matters only with Unsynced.
func (m *Memory) Sync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.synced = m.root
}

// Crash cuts the power: it returns a working engine that holds what was
// durable, and this one answers nothing more. After Close it is a reopening.
func (m *Memory) Crash() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended = ErrClosed
	}
	return &Memory{Unsynced: m.Unsynced, root: m.synced, synced: m.synced}
}

// Image is what a Memory held at one moment: a backup.
type Image struct{ root *twig }

// Snapshot returns a copy of everything committed. It costs nothing.
func (m *Memory) Snapshot() Image {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Image{root: m.root}
}

// Restore puts the engine back to the image, durably, as an operator does who
// restores yesterday's copy.
func (m *Memory) Restore(i Image) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.root, m.synced = i.root, i.root
}
