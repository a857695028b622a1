package spread

import (
	"crypto/sha256"

	"github.com/abaton-health/abaton/wire"
)

// Trees have the shape of RFC 6962, section 2.1, for m leaves, 1 to 64. The
// root of one leaf is the leaf.

// leafHash is SHA-256(0x00 || label || 0x00 || fields).
func leafHash(label wire.Label, fields ...[]byte) (sum Hash32) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write([]byte(label))
	h.Write([]byte{0})
	for _, f := range fields {
		h.Write(f)
	}
	h.Sum(sum[:0])
	return sum
}

func interior(left, right Hash32) Hash32 {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// split is the largest power of two below m, for m >= 2.
func split(m int) int {
	s := 1
	for s*2 < m {
		s *= 2
	}
	return s
}

// Root is the tree hash of leaves. It panics without leaves: a batch has at
// least one record.
func Root(leaves []Hash32) Hash32 {
	switch len(leaves) {
	case 0:
		panic("spread: a tree has at least one leaf")
	case 1:
		return leaves[0]
	}
	s := split(len(leaves))
	return interior(Root(leaves[:s]), Root(leaves[s:]))
}

// Path is the audit path of leaf j, from the leaf upward (RFC 6962, section
// 2.1.1). It panics if j is no leaf.
func Path(leaves []Hash32, j int) []Hash32 {
	if j < 0 || j >= len(leaves) {
		panic("spread: path of a leaf that is not there")
	}
	if len(leaves) == 1 {
		return nil
	}
	s := split(len(leaves))
	if j < s {
		return append(Path(leaves[:s], j), Root(leaves[s:]))
	}
	return append(Path(leaves[s:], j-s), Root(leaves[:s]))
}

// VerifyPath reports whether path leads from leaf, at place j of m, to root.
func VerifyPath(leaf Hash32, j, m int, path []Hash32, root Hash32) bool {
	if j < 0 || j >= m || len(path) != pathLength(j, m) {
		return false
	}
	return climb(leaf, j, m, path) == root
}

func climb(leaf Hash32, j, m int, path []Hash32) Hash32 {
	if m == 1 {
		return leaf
	}
	top, rest := path[len(path)-1], path[:len(path)-1]
	if s := split(m); j < s {
		return interior(climb(leaf, j, s, rest), top)
	} else {
		return interior(top, climb(leaf, j-s, m-s, rest))
	}
}

// pathLength is the number of hashes on the path of leaf j of m.
func pathLength(j, m int) int {
	n := 0
	for m > 1 {
		if s := split(m); j < s {
			m = s
		} else {
			j, m = j-s, m-s
		}
		n++
	}
	return n
}
