package store

import "bytes"

// twig is a place in a persistent treap: a search tree by key and a heap by
// rank. The rank is a hash of the key, so the shape depends on the keys alone
// and one seed of the simulation gives one life.
type twig struct {
	key, value  []byte
	rank        uint64
	left, right *twig
	// owner is the edit that made this copy. Only that edit may change it
	// in place; to everybody else it is immutable.
	owner *edit
}

// edit is the identity of one commit. It must not have size zero: two
// zero-size values may share an address.
type edit struct{ _ byte }

func find(n *twig, key []byte) (*twig, bool) {
	for n != nil {
		c := bytes.Compare(key, n.key)
		if c == 0 {
			return n, true
		}
		if c < 0 {
			n = n.left
		} else {
			n = n.right
		}
	}
	return nil, false
}

// each walks lower <= key < upper in order; false once yield refused.
func each(n *twig, lower, upper []byte, yield func(key, value []byte) bool) bool {
	if n == nil {
		return true
	}
	aboveLower := lower == nil || bytes.Compare(n.key, lower) >= 0
	belowUpper := upper == nil || bytes.Compare(n.key, upper) < 0
	if aboveLower && !each(n.left, lower, upper, yield) {
		return false
	}
	if aboveLower && belowUpper && !yield(n.key, n.value) {
		return false
	}
	return !belowUpper || each(n.right, lower, upper, yield)
}

// own returns a node that this edit may change.
func (e *edit) own(n *twig) *twig {
	if n.owner == e {
		return n
	}
	c := *n
	c.owner = e
	return &c
}

func (e *edit) put(n *twig, key, value []byte) *twig {
	if n == nil {
		return &twig{key: key, value: value, rank: rank(key), owner: e}
	}
	n = e.own(n)
	switch c := bytes.Compare(key, n.key); {
	case c == 0:
		n.value = value
	case c < 0:
		n.left = e.put(n.left, key, value)
		if n.left.rank > n.rank {
			l := n.left
			n.left, l.right = l.right, n
			return l
		}
	default:
		n.right = e.put(n.right, key, value)
		if n.right.rank > n.rank {
			r := n.right
			n.right, r.left = r.left, n
			return r
		}
	}
	return n
}

// remove expects that key is there.
func (e *edit) remove(n *twig, key []byte) *twig {
	c := bytes.Compare(key, n.key)
	if c == 0 {
		return e.join(n.left, n.right)
	}
	n = e.own(n)
	if c < 0 {
		n.left = e.remove(n.left, key)
	} else {
		n.right = e.remove(n.right, key)
	}
	return n
}

// join merges two trees of which every key of l is below every key of r.
func (e *edit) join(l, r *twig) *twig {
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	case l.rank > r.rank:
		l = e.own(l)
		l.right = e.join(l.right, r)
		return l
	default:
		r = e.own(r)
		r.left = e.join(l, r.left)
		return r
	}
}

// rank is FNV-1a with the finisher of splitmix64: cheap, and the same in every
// process.
func rank(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range key {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
