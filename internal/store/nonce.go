package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Nonce is the memory of one request.
type Nonce struct {
	// Expiry is when it may be forgotten, in whole seconds.
	Expiry time.Time
	// Value is what the keeper wants to know when the request comes again,
	// such as the index of its first ledger entry.
	Value []byte
}

var errNonce = errors.New("nonce value too long")

// PutNonce remembers a request by its hash. ErrConflict if it is remembered
// already with another expiry or value, or by a commit under way: the request
// is a repeat, read Nonce.
func (s *Store) PutNonce(c *Change, hash [32]byte, n Nonce) error {
	if len(n.Value) > NonceValueMax {
		return errNonce
	}
	expiry := instant(n.Expiry)
	if err := s.putOnce(c, nonceKey(hash[:]), append(expiry, n.Value...)); err != nil {
		return err
	}
	c.batch.Put(append(append([]byte{tableExpiry}, expiry...), hash[:]...), nil)
	return nil
}

func nonceKey(hash []byte) []byte { return append([]byte{tableNonce}, hash...) }

// Nonce returns what is remembered of a request, expired or not; ErrAbsent.
func (s *Store) Nonce(hash [32]byte) (Nonce, error) {
	b, err := s.records.Get(nonceKey(hash[:]))
	if err != nil {
		return Nonce{}, err
	}
	if len(b) < 8 {
		return Nonce{}, ErrDamaged
	}
	seconds := binary.BigEndian.Uint64(b)
	return Nonce{Expiry: time.Unix(int64(seconds), 0).UTC(), Value: b[8:]}, nil
}

// ExpireNonces forgets nonces that expired at or before now, at most
// NoncesExpiredMax of them, and returns how many.
func (s *Store) ExpireNonces(c *Change, now time.Time) (n int, err error) {
	lower := []byte{tableExpiry}
	upper := after(append([]byte{tableExpiry}, instant(now)...))
	err = s.records.Scan(lower, upper, func(key, _ []byte) bool {
		hash := last(key)
		c.batch.Delete(key)
		c.batch.Delete(nonceKey(hash[:]))
		n++
		return n < NoncesExpiredMax
	})
	if err != nil {
		return 0, fmt.Errorf("expire nonces: %w", err)
	}
	return n, nil
}
