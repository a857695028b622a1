package ledger

import (
	"math/bits"
	"sort"

	"golang.org/x/mod/sumdb/tlog"
)

// A cover proves many entries of one tree at once (PROTOCOL.md#ledger-cover): the
// hashes of the largest whole subtrees without any of them, from left to right.
// Together with the leaves they make the root, in two hashes an entry, where a
// path for each takes one for each level.

// half is the largest power of two below n: where RFC 6962, section 2.1, splits n
// leaves. n is at least 2.
func half(n uint64) uint64 { return 1 << uint(bits.Len64(n-1)-1) }

func whole(n uint64) bool { return n&(n-1) == 0 }

// split finds the first of the ascending indexes that is not before cut.
func split(at []uint64, cut uint64) int {
	return sort.Search(len(at), func(i int) bool { return at[i] >= cut })
}

// cover is the cover of ascending indexes in the tree of the given size; empty
// for none.
func (l *Log) cover(at []uint64, size uint64) ([]tlog.Hash, error) {
	if len(at) == 0 {
		return nil, nil
	}
	var out []tlog.Hash
	var descend func(lo, n uint64, at []uint64) error
	descend = func(lo, n uint64, at []uint64) error {
		switch {
		case len(at) == 0 && whole(n):
			level := bits.TrailingZeros64(n)
			h, err := hashAt(level, lo>>uint(level), l.record)
			out = append(out, h)
			return err
		case n == 1:
			return nil
		}
		k := half(n)
		i := split(at, lo+k)
		if err := descend(lo, k, at[:i]); err != nil {
			return err
		}
		return descend(lo+k, n-k, at[i:])
	}
	return out, descend(0, size, at)
}

// climb makes a root of leaves and their cover, and the path of each leaf if
// paths is as long as they are.
type climb struct {
	leaves []Leaf
	rest   []tlog.Hash // of the cover
	paths  [][]tlog.Hash
}

// up is the hash of the n leaves from lo on; from is the place of the first of at
// among the leaves. ok is false for a cover that is too short.
func (c *climb) up(lo, n uint64, at []uint64, from int) (h tlog.Hash, ok bool) {
	switch {
	case len(at) == 0 && whole(n):
		if len(c.rest) == 0 {
			return h, false
		}
		h, c.rest = c.rest[0], c.rest[1:]
		return h, true
	case n == 1:
		return c.leaves[from].Hash(), true
	}
	k := half(n)
	i := split(at, lo+k)
	left, ok := c.up(lo, k, at[:i], from)
	if !ok {
		return h, false
	}
	right, ok := c.up(lo+k, n-k, at[i:], from+i)
	if !ok {
		return h, false
	}
	for j := range c.paths[min(from, len(c.paths)):min(from+len(at), len(c.paths))] {
		sibling := right
		if j >= i {
			sibling = left
		}
		c.paths[from+j] = append(c.paths[from+j], sibling)
	}
	return tlog.NodeHash(left, right), true
}

// covers reports whether leaves at ascending indexes, with their cover, make the
// tree of c. Paths may be nil.
func covers(c Checkpoint, at []uint64, leaves []Leaf, cover []tlog.Hash, paths [][]tlog.Hash) bool {
	if len(at) == 0 {
		return len(cover) == 0
	}
	if len(at) != len(leaves) || c.Size > SizeMax || at[len(at)-1] >= c.Size {
		return false
	}
	for i := 1; i < len(at); i++ {
		if at[i] <= at[i-1] {
			return false
		}
	}
	up := climb{leaves: leaves, rest: cover, paths: paths}
	root, ok := up.up(0, c.Size, at, 0)
	return ok && len(up.rest) == 0 && root == c.Root
}
