package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Change is everything one request, or one group of requests, writes. It takes
// effect whole, in Store.Commit or Store.Erase. The zero Change is empty and
// ready; it belongs to one goroutine and is used once.
type Change struct {
	batch      Batch
	claims     []claim
	claimAt    map[string]int // place in claims by key
	rows       []rowUse
	statements []statement
	counts     Counts
	used       bool
}

// claim is a slot as the Change found it. If it differs at the commit, the
// whole Change is refused.
type claim struct {
	key, value []byte // nil value: it was absent
	next       []byte // what this Change makes of it
}

// rowUse says under which generation of a patient's row key shares were
// sealed. An erasure raises the generation, so a deposit that was under way
// meanwhile is refused and meets the tombstone when it is tried again.
type rowUse struct {
	patient    pseudonym
	generation uint32
}

// Len is the number of rows to be written.
func (c *Change) Len() int { return c.batch.Len() + 3*len(c.statements) }

// Bytes is about the number of bytes to be written.
func (c *Change) Bytes() int {
	n := c.batch.Bytes()
	for _, st := range c.statements {
		n += len(st.bytes)
	}
	return n
}

// Append adds the writes of other, which must not be used afterwards. If both
// claim one slot, ErrConflict, and c is unchanged.
func (c *Change) Append(other *Change) error {
	for _, o := range other.claims {
		if c.claimed(o.key) != nil {
			return ErrConflict
		}
	}
	c.batch.writes = append(c.batch.writes, other.batch.writes...)
	c.batch.bytes += other.batch.bytes
	for _, o := range other.claims {
		c.addClaim(o)
	}
	c.rows = append(c.rows, other.rows...)
	c.statements = append(c.statements, other.statements...)
	c.counts.add(other.counts)
	other.used = true
	return nil
}

func (c *Change) claimed(key []byte) *claim {
	if i, ok := c.claimAt[string(key)]; ok {
		return &c.claims[i]
	}
	return nil
}

func (c *Change) addClaim(cl claim) {
	if c.claimAt == nil {
		c.claimAt = make(map[string]int)
	}
	c.claimAt[string(cl.key)] = len(c.claims)
	c.claims = append(c.claims, cl)
}

// replace claims key as it was found and sets it.
func (c *Change) replace(key, found, next []byte) error {
	if c.claimed(key) != nil {
		return ErrConflict
	}
	c.addClaim(claim{key: key, value: found, next: bytes.Clone(next)})
	c.batch.Put(key, next)
	return nil
}

// putOnce sets a key that may be set only once. The same value again is no
// error, another one is ErrConflict.
func (s *Store) putOnce(c *Change, key, value []byte) error {
	if mine := c.claimed(key); mine != nil {
		if bytes.Equal(mine.next, value) {
			return nil
		}
		return ErrConflict
	}
	found, err := getOrNil(s.records, key)
	switch {
	case err != nil:
		return err
	case found == nil:
		return c.replace(key, nil, value)
	case !bytes.Equal(found, value):
		return ErrConflict
	}
	return nil
}

// Commit makes the Change durable and returns nil, or writes nothing of it.
// ErrConflict if a slot was taken meanwhile: read again. Any other error means
// that the store has stopped (ErrPoisoned).
func (s *Store) Commit(c *Change) error {
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	return s.commit(c)
}

var errUsed = errors.New("change was committed before")

// commit is called with erasing held, for reading or writing.
func (s *Store) commit(c *Change) error {
	if c.used {
		return errUsed
	}
	c.used = true
	if err := s.checkRows(c.rows); err != nil {
		return err
	}
	if err := s.claims.take(c.claims); err != nil {
		return err
	}
	defer s.claims.drop(c.claims)
	if err := s.checkClaims(c.claims); err != nil {
		return err
	}
	if err := s.commitWithFeed(c); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.counts.add(c.counts)
	return nil
}

func (s *Store) checkRows(rows []rowUse) error {
	for i, r := range rows {
		if slices.Contains(rows[:i], r) {
			continue
		}
		row, err := s.rowKey(r.patient)
		if errors.Is(err, ErrAbsent) || err == nil && row.generation != r.generation {
			return ErrConflict
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) checkClaims(list []claim) error {
	for _, cl := range list {
		found, err := getOrNil(s.records, cl.key)
		if err != nil {
			return err
		}
		if (found == nil) != (cl.value == nil) || !bytes.Equal(found, cl.value) {
			return ErrConflict
		}
	}
	return nil
}

// claims are the slots of commits under way. Whoever comes second is refused
// rather than queued: it decided on what is no longer so.
type claims struct {
	mu    sync.Mutex
	taken map[string]struct{}
}

func (l *claims) take(list []claim) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cl := range list {
		if _, ok := l.taken[string(cl.key)]; ok {
			return ErrConflict
		}
	}
	if l.taken == nil {
		l.taken = make(map[string]struct{})
	}
	for _, cl := range list {
		l.taken[string(cl.key)] = struct{}{}
	}
	return nil
}

func (l *claims) drop(list []claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cl := range list {
		delete(l.taken, string(cl.key))
	}
}
