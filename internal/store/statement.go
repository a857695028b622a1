package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/abaton-health/abaton"
)

// statement is one signed statement of an actor's key log on its way in.
type statement struct {
	key   []byte
	bytes []byte
}

// Statement is one kept statement, opaque to the store.
type Statement struct {
	// Index is its place in the feed, from 0.
	Index uint64
	Actor abaton.ActorID
	// Seq is the slot in the actor's key log. Several statements may stand
	// in one slot: a fork, and its certificates.
	Seq   uint64
	Hash  [32]byte
	Bytes []byte
}

// feed is the order of arrival. It is fixed at the commit, so that a peer that
// has read up to the head has missed nothing.
type feed struct {
	mu   sync.Mutex // held across the commits that add to the feed
	head uint64
	seen sync.RWMutex // guards head for readers, who must not wait for an fsync
}

const statementKeyBytes = 1 + 32 + 8 + 32

var errStatement = errors.New("statement out of bounds")

// PutStatement adds a statement to the change. One that is kept already, by
// actor, slot and hash, keeps its place and its bytes.
func (s *Store) PutStatement(c *Change, actor abaton.ActorID, seq uint64, hash [32]byte, b []byte) error {
	if len(b) == 0 || len(b) > StatementBytesMax {
		return errStatement
	}
	c.statements = append(c.statements, statement{
		key:   statementKey(actor, seq, hash),
		bytes: append([]byte(nil), b...),
	})
	return nil
}

func statementKey(actor abaton.ActorID, seq uint64, hash [32]byte) []byte {
	key := make([]byte, 0, statementKeyBytes)
	key = append(append(key, tableStatement), actor[:]...)
	return append(append(key, number(seq)...), hash[:]...)
}

// commitWithFeed gives the statements their places and commits.
func (s *Store) commitWithFeed(c *Change) error {
	if len(c.statements) == 0 {
		return s.records.Commit(&c.batch)
	}
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	head := s.FeedHead()
	mine := make(map[string]bool, len(c.statements))
	for _, st := range c.statements {
		held, err := getOrNil(s.records, st.key)
		if err != nil {
			return err
		}
		if held != nil || mine[string(st.key)] {
			continue
		}
		mine[string(st.key)] = true
		c.batch.Put(st.key, append(number(head), st.bytes...))
		c.batch.Put(append([]byte{tableFeed}, number(head)...), st.key[1:])
		head++
	}
	c.batch.Put(keyFeedHead, number(head))
	if err := s.records.Commit(&c.batch); err != nil {
		return err
	}
	s.feed.seen.Lock()
	defer s.feed.seen.Unlock()
	s.feed.head = head
	return nil
}

func (s *Store) loadFeed() error {
	b, err := getOrNil(s.records, keyFeedHead)
	if err != nil || b == nil {
		return err
	}
	if len(b) != 8 {
		return ErrDamaged
	}
	s.feed.head = binary.BigEndian.Uint64(b)
	return nil
}

// FeedHead is the number of statements in the feed, all of them durable.
func (s *Store) FeedHead() uint64 {
	s.feed.seen.RLock()
	defer s.feed.seen.RUnlock()
	return s.feed.head
}

// Feed yields the statements from the index on, in order of arrival.
func (s *Store) Feed(from uint64, yield func(Statement) bool) error {
	var bad error
	lower := append([]byte{tableFeed}, number(from)...)
	err := s.records.Scan(lower, []byte{tableFeed + 1}, func(_, name []byte) bool {
		key := append([]byte{tableStatement}, name...)
		value, err := s.records.Get(key)
		if err != nil {
			bad = lost(err)
			return false
		}
		var st Statement
		if st, bad = parseStatement(key, value); bad != nil {
			return false
		}
		return yield(st)
	})
	return errors.Join(err, bad)
}

// Statements yields an actor's statements from the slot on, by slot and hash.
func (s *Store) Statements(actor abaton.ActorID, fromSeq uint64, yield func(Statement) bool) error {
	lower := statementKey(actor, fromSeq, [32]byte{})
	upper := after(lower[:1+len(actor)])
	var bad error
	err := s.records.Scan(lower, upper, func(key, value []byte) bool {
		var st Statement
		if st, bad = parseStatement(key, value); bad != nil {
			return false
		}
		return yield(st)
	})
	return errors.Join(err, bad)
}

// Statement returns one statement; ErrAbsent.
func (s *Store) Statement(actor abaton.ActorID, seq uint64, hash [32]byte) (Statement, error) {
	key := statementKey(actor, seq, hash)
	value, err := s.records.Get(key)
	if err != nil {
		return Statement{}, err
	}
	return parseStatement(key, value)
}

// parseStatement copies what it is given.
func parseStatement(key, value []byte) (st Statement, err error) {
	if len(key) != statementKeyBytes || len(value) < 9 {
		return Statement{}, ErrDamaged
	}
	copy(st.Actor[:], key[1:])
	st.Seq = binary.BigEndian.Uint64(key[33:])
	st.Hash = last(key)
	st.Index = binary.BigEndian.Uint64(value)
	st.Bytes = append([]byte{}, value[8:]...)
	return st, nil
}

// PutVote keeps what this keeper voted for in a slot: it must never vote twice.
// ErrConflict if it voted otherwise before; the same vote again is no error.
func (s *Store) PutVote(c *Change, actor abaton.ActorID, seq uint64, vote []byte) error {
	if len(vote) == 0 || len(vote) > NoticeBytesMax {
		return fmt.Errorf("%w: vote", errStatement)
	}
	return s.putOnce(c, voteKey(actor, seq), vote)
}

// Vote returns this keeper's vote for a slot; ErrAbsent.
func (s *Store) Vote(actor abaton.ActorID, seq uint64) ([]byte, error) {
	return s.records.Get(voteKey(actor, seq))
}

func voteKey(actor abaton.ActorID, seq uint64) []byte {
	return append(append([]byte{tableVote}, actor[:]...), number(seq)...)
}
