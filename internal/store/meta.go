package store

import "errors"

// PutMeta sets a named value of another room; the last one wins.
func (s *Store) PutMeta(c *Change, name string, value []byte) {
	c.batch.Put(metaKey(name), value)
}

// Meta returns a named value; ErrAbsent.
func (s *Store) Meta(name string) ([]byte, error) { return s.records.Get(metaKey(name)) }

func metaKey(name string) []byte { return append([]byte{tableMeta}, name...) }

// Raw is a key space of its own for another room, such as the ledger.
type Raw struct {
	s      *Store
	prefix byte
}

// Raw returns the key space of the prefix. Two rooms must not use the same.
func (s *Store) Raw(prefix byte) Raw { return Raw{s: s, prefix: prefix} }

func (r Raw) key(key []byte) []byte { return append([]byte{tableRaw, r.prefix}, key...) }

// Get returns the value, or nil and no error if there is none.
func (r Raw) Get(key []byte) ([]byte, error) {
	value, err := r.s.records.Get(r.key(key))
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	return value, err
}

// Scan is Engine.Scan within the key space; a nil bound is its end.
func (r Raw) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	end := after(r.key(nil))
	if upper != nil {
		end = r.key(upper)
	}
	return r.s.records.Scan(r.key(lower), end, func(key, value []byte) bool {
		return yield(key[2:], value)
	})
}

// Into returns a writer that adds to the change.
func (r Raw) Into(c *Change) RawWriter { return RawWriter{raw: r, c: c} }

// RawWriter writes into one key space of one change.
type RawWriter struct {
	raw Raw
	c   *Change
}

// Put sets key to value; both are copied.
func (w RawWriter) Put(key, value []byte) { w.c.batch.Put(w.raw.key(key), value) }

// Delete removes key.
func (w RawWriter) Delete(key []byte) { w.c.batch.Delete(w.raw.key(key)) }
