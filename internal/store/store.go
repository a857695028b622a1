// Package store keeps on one keeper's disk what that keeper was handed: its
// fragments, sealed shares, notices, statements, nonces and ledger leaves.
//
//	s, err := store.Open(dir, store.Options{})
//	var c store.Change
//	erased, err := s.PutParcel(&c, patient, parcel)
//	s.Raw('l').Into(&c).Put(leafKey, leaf)
//	err = s.Commit(&c) // one fsync; nil means durable
//
// Everything one request writes goes into one Change, so a receipt never
// stands without its ledger leaf. Shares lie sealed under a row key of their
// patient, and the row keys in a second small engine, so that erasing destroys
// a key instead of hunting for copies.
//
// It does not protect against whoever holds both engines: they are a keeper,
// and a keeper's shares alone open nothing. It does not decide who may read,
// it checks no signature, and it cannot make a disk forget blocks that the
// file system has already freed.
package store

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/abaton-health/abaton"
)

// Errors of a Store that a caller branches on; ErrAbsent, ErrLocked,
// ErrPoisoned and ErrClosed are the engine's.
var (
	// ErrErased says that the patient had it erased. It never comes back.
	ErrErased = abaton.ErrErased
	// ErrConflict says that another Change took the same slot first, or that
	// the patient's row key changed meanwhile. Nothing was written: read
	// again and decide anew.
	ErrConflict = errors.New("slot taken by another change")
	// ErrMismatch says that the two engines do not belong together: one was
	// lost, or restored alone.
	ErrMismatch = errors.New("records and row keys do not belong together")
	// ErrFormat says that another version of this program made the folder.
	// Nothing was changed in it.
	ErrFormat = errors.New("store was made by another version: open it with that one, or start with an empty folder and let the other keepers repair it")
	// ErrDamaged says that what is kept does not decode or does not
	// authenticate.
	ErrDamaged = errors.New("stored bytes are damaged")
)

// Options are the settings of Open. The zero Options are right for a small
// keeper.
type Options struct {
	// MemTableBytes and CacheBytes are the sizes for the records; 8 MiB and
	// 16 MiB.
	MemTableBytes int
	CacheBytes    int64
	// FS is where the files are; nil is the disk. For tests.
	FS vfs.FS
	// Logger hears of what went wrong; nil discards.
	Logger *slog.Logger
}

// Store is a keeper's store over two engines. Its methods are safe for
// concurrent use; a Change is not.
type Store struct {
	records, keys Engine
	secret        []byte // of the pseudonyms; 32 bytes, this keeper's alone

	// erasing is held for writing while a patient's row key changes, and for
	// reading by whoever needs a row key and the shares under it to agree.
	erasing sync.RWMutex
	making  sync.Mutex // serialises the making of first row keys
	claims  claims
	feed    feed
	counts  counts

	// reached is called between the steps of an erasure; an error stops it
	// there, as a crash does. For tests; nil in life.
	reached func(step string) error
}

// Open opens the keeper's folder, making it if it is missing, and finishes an
// erasure that a crash interrupted. ErrLocked, ErrMismatch, ErrFormat.
func Open(dir string, o Options) (*Store, error) {
	records, err := OpenPebble(filepath.Join(dir, "records"), PebbleOptions{
		MemTableBytes: o.MemTableBytes, CacheBytes: o.CacheBytes, FS: o.FS, Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("open records: %w", err)
	}
	keys, err := OpenPebble(filepath.Join(dir, "keys"), PebbleOptions{
		MemTableBytes: keysMemTableBytes, CacheBytes: keysCacheBytes, FS: o.FS, Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("open row keys: %w", errors.Join(err, records.Close()))
	}
	s, err := New(records, keys)
	if err != nil {
		return nil, errors.Join(err, records.Close(), keys.Close())
	}
	return s, nil
}

// New makes a Store over two engines, which it closes in Close; if New fails
// they stay the caller's. It finishes an erasure that a crash interrupted.
// ErrMismatch if the engines do not belong together, ErrFormat if another
// version made them.
func New(records, keys Engine) (*Store, error) {
	s := &Store{records: records, keys: keys}
	if err := s.pair(); err != nil {
		return nil, fmt.Errorf("pair records and row keys: %w", err)
	}
	if err := s.loadFeed(); err != nil {
		return nil, fmt.Errorf("load feed head: %w", err)
	}
	if err := s.ResumeErasures(); err != nil {
		return nil, fmt.Errorf("finish erasure: %w", err)
	}
	return s, nil
}

// Close closes both engines.
func (s *Store) Close() error {
	return errors.Join(s.records.Close(), s.keys.Close())
}

// pair loads the keeper's secret, or makes it at first open. The records keep
// a check value of it: a new secret over old records would silently orphan
// every one of them.
func (s *Store) pair() error {
	check, err := getOrNil(s.records, keyFormat)
	if err != nil {
		return err
	}
	if err := checkFormat(check); err != nil {
		return err
	}
	s.secret, err = getOrNil(s.keys, keySecret)
	switch {
	case err != nil:
		return err
	case check == nil && s.secret == nil:
		if err := s.makeSecret(); err != nil {
			return err
		}
	case len(s.secret) != secretBytes: // lost, or not ours
		return ErrMismatch
	}
	if check != nil {
		if !hmac.Equal(check, s.checkValue()) {
			return ErrMismatch
		}
		return nil
	}
	var b Batch
	b.Put(keyFormat, s.checkValue())
	return s.records.Commit(&b)
}

// checkFormat compares the version of the layout, the first byte of the check
// value; nil is a new store.
func checkFormat(check []byte) error {
	if len(check) > 0 && check[0] != formatByte {
		return fmt.Errorf("%w (its format is %d, this one's %d)", ErrFormat, check[0], formatByte)
	}
	return nil
}

func (s *Store) makeSecret() error {
	s.secret = make([]byte, secretBytes)
	_, _ = rand.Read(s.secret) // never fails (crypto/rand)
	var b Batch
	b.Put(keySecret, s.secret)
	return s.keys.Commit(&b)
}

const secretBytes = 32

func (s *Store) checkValue() []byte { return append([]byte{formatByte}, s.mac("store-format")...) }

// mac is HMAC-SHA256 under the keeper's secret (RFC 2104), over the text or a
// 32-byte patient name; no text here is 32 bytes long.
func (s *Store) mac(text string) []byte {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// pseudonym stands for a patient in every key. Two keepers' are different, so
// their stolen disks cannot be joined.
type pseudonym [16]byte

func (s *Store) pseudonym(patient abaton.ActorID) (p pseudonym) {
	copy(p[:], s.mac(string(patient[:])))
	return p
}

func getOrNil(e Engine, key []byte) ([]byte, error) {
	value, err := e.Get(key)
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	return value, err
}
