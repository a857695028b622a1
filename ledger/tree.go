package ledger

import (
	"crypto/sha256"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// edge is the right edge of the tree: the roots of the complete subtrees that
// make up its size, largest first. With it an append reads nothing.
type edge struct {
	size  uint64
	roots []tlog.Hash
}

func (e *edge) clone() edge {
	return edge{size: e.size, roots: append(make([]tlog.Hash, 0, len(e.roots)+2), e.roots...)}
}

// push adds one leaf hash and appends to done the hashes of the subtrees that
// it completes, smallest first.
func (e *edge) push(h tlog.Hash, done []tlog.Hash) []tlog.Hash {
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.roots) - 1
		h = tlog.NodeHash(e.roots[last], h)
		e.roots = e.roots[:last]
		done = append(done, h)
	}
	e.roots = append(e.roots, h)
	e.size++
	return done
}

// root is the tree hash (RFC 6962, section 2.1).
func (e *edge) root() tlog.Hash {
	if len(e.roots) == 0 {
		return emptyRoot()
	}
	h := e.roots[len(e.roots)-1]
	for i := len(e.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.roots[i], h)
	}
	return h
}

// at is the hash of the n'th subtree at level, if the edge holds it.
func (e *edge) at(level int, n uint64) (tlog.Hash, bool) {
	var start uint64
	i := 0
	for b := bits.Len64(e.size) - 1; b >= 0; b-- {
		if e.size>>uint(b)&1 == 0 {
			continue
		}
		if b == level && start>>uint(b) == n {
			return e.roots[i], true
		}
		start += 1 << uint(b)
		i++
	}
	return tlog.Hash{}, false
}

func emptyRoot() tlog.Hash { return sha256.Sum256(nil) }

// completed is how many subtrees above leaf level the leaf at index completes.
func completed(index uint64) int { return bits.TrailingZeros64(index + 1) }

// hashAt finds the n'th subtree at level in leaf records: it is kept with the
// leaf that completed it.
func hashAt(level int, n uint64, record func(index uint64) ([]byte, error)) (tlog.Hash, error) {
	index := (n+1)<<uint(level) - 1
	rec, err := record(index)
	if err != nil {
		return tlog.Hash{}, err
	}
	if level == 0 {
		return Leaf(rec[:32]).Hash(), nil
	}
	return tlog.Hash(rec[32*level : 32*level+32]), nil
}

// hashes turns a source of leaf records into what package tlog reads.
func hashes(record func(index uint64) ([]byte, error)) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			level, n := tlog.SplitStoredHashIndex(x)
			h, err := hashAt(level, uint64(n), record)
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	}
}

// record reads and measures one leaf record.
func record(r Reader, index uint64) ([]byte, error) {
	v, err := r.Get(keyIndex(kindLeaf, index))
	if err != nil {
		return nil, err
	}
	if len(v) != 32*(1+completed(index)) {
		return nil, corrupt("leaf %d is missing or has the wrong length", index)
	}
	return v, nil
}

// readEdge reads the right edge of the tree of the given size.
func readEdge(r Reader, size uint64) (edge, error) {
	e := edge{size: size}
	var start uint64
	for b := bits.Len64(size) - 1; b >= 0; b-- {
		if size>>uint(b)&1 == 0 {
			continue
		}
		h, err := hashAt(b, start>>uint(b), func(i uint64) ([]byte, error) { return record(r, i) })
		if err != nil {
			return edge{}, err
		}
		e.roots = append(e.roots, h)
		start += 1 << uint(b)
	}
	return e, nil
}
