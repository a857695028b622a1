package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
)

// rowKey seals the shares of one patient. It lies in the engine of row keys
// and nowhere else.
type rowKey struct {
	generation uint32 // raised by every erasure
	secret     [32]byte
}

func newRowKey(generation uint32) rowKey {
	k := rowKey{generation: generation}
	_, _ = rand.Read(k.secret[:]) // never fails (crypto/rand)
	return k
}

func (k rowKey) marshal() []byte {
	return append(binary.BigEndian.AppendUint32(nil, k.generation), k.secret[:]...)
}

func parseRowKey(b []byte) (k rowKey, err error) {
	if len(b) != 4+len(k.secret) {
		return rowKey{}, ErrDamaged
	}
	k.generation = binary.BigEndian.Uint32(b)
	copy(k.secret[:], b[4:])
	return k, nil
}

func (s *Store) rowKey(p pseudonym) (rowKey, error) {
	b, err := s.keys.Get(patientKey(tableRowKey, p))
	if err != nil {
		return rowKey{}, err
	}
	return parseRowKey(b)
}

// EnsureRowKeys makes the row keys of those patients who have none, durably
// and in one fsync. PutParcel does it for one patient; an import of many calls
// this first.
func (s *Store) EnsureRowKeys(patients ...abaton.ActorID) error {
	list := make([]pseudonym, len(patients))
	for i, patient := range patients {
		list[i] = s.pseudonym(patient)
	}
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	return s.ensureRowKeys(list)
}

func (s *Store) ensureRowKeys(list []pseudonym) error {
	s.making.Lock()
	defer s.making.Unlock()
	var b Batch
	made := make(map[pseudonym]bool)
	for _, p := range list {
		_, err := s.rowKey(p)
		if errors.Is(err, ErrAbsent) && !made[p] {
			made[p] = true
			b.Put(patientKey(tableRowKey, p), newRowKey(1).marshal())
		} else if err != nil && !errors.Is(err, ErrAbsent) {
			return fmt.Errorf("read row key: %w", err)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if err := s.keys.Commit(&b); err != nil {
		return fmt.Errorf("make row keys: %w", err)
	}
	return nil
}

// firstRowKey returns the patient's row key, making it if it is missing.
// Callers hold erasing for reading.
func (s *Store) firstRowKey(p pseudonym) (rowKey, error) {
	k, err := s.rowKey(p)
	if !errors.Is(err, ErrAbsent) {
		return k, err
	}
	if err := s.ensureRowKeys([]pseudonym{p}); err != nil {
		return rowKey{}, err
	}
	return s.rowKey(p)
}

// rowSeal is a row key made ready: AES-256-GCM (NIST SP 800-38D) with random
// nonces, of which one patient's batches and erasures never use 2^32.
type rowSeal struct {
	generation uint32
	aead       cipher.AEAD
}

func (k rowKey) ready() rowSeal {
	block, err := aes.NewCipher(k.secret[:])
	if err != nil {
		panic("store: a row key has 32 bytes, so AES takes it")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("store: AES has the block size of GCM")
	}
	return rowSeal{generation: k.generation, aead: aead}
}

func (r rowSeal) nonce() []byte {
	var n [nonceBytes]byte
	_, _ = rand.Read(n[:]) // never fails (crypto/rand)
	return n[:]
}
