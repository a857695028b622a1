package store

// Batch is a list of writes that an Engine commits together. The zero Batch is
// empty and ready. It is not safe for concurrent use.
type Batch struct {
	writes []write
	bytes  int
}

type write struct {
	key, value []byte
	deletes    bool
}

// Put sets key to value. Both are copied. The last write to a key wins.
func (b *Batch) Put(key, value []byte) {
	both := make([]byte, len(key)+len(value))
	n := copy(both, key)
	copy(both[n:], value)
	b.add(write{key: both[:n:n], value: both[n:]})
}

// Delete removes key; removing what is absent is no error. The key is copied.
func (b *Batch) Delete(key []byte) {
	b.add(write{key: append([]byte(nil), key...), deletes: true})
}

func (b *Batch) add(w write) {
	b.writes = append(b.writes, w)
	b.bytes += len(w.key) + len(w.value)
}

// Each yields the writes in order until yield returns false. It is how an
// engine reads a batch; the slices must not be changed and may be kept.
func (b *Batch) Each(yield func(key, value []byte, deletes bool) bool) {
	for _, w := range b.writes {
		if !yield(w.key, w.value, w.deletes) {
			return
		}
	}
}

// Len is the number of writes.
func (b *Batch) Len() int { return len(b.writes) }

// Bytes is the number of bytes in all keys and values.
func (b *Batch) Bytes() int { return b.bytes }
