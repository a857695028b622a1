package store

import (
	"encoding/binary"

	"github.com/abaton-health/abaton"
)

// Notice is what a keeper knows of a batch besides its records: all of it
// signed, or hashed in what is signed, and none of it secret.
type Notice struct {
	// Line of the batch.
	Line abaton.Line
	// Head and Lock are the signed bytes as received (PROTOCOL.md#head,
	// PROTOCOL.md#lock).
	Head, Lock []byte
	// Capsule is this keeper's capsule fragment.
	Capsule []byte
	// Receipt is the receipt this keeper gave.
	Receipt []byte
	// Leaves are the body leaves, one a record: 1 to 64.
	Leaves [][32]byte
}

// fields are in the order of their encoding.
func (n *Notice) fields() [4]*[]byte {
	return [4]*[]byte{&n.Head, &n.Lock, &n.Capsule, &n.Receipt}
}

// marshal writes version, line, number of leaves, leaves, then each field with
// a 32-bit length.
func (n *Notice) marshal() []byte {
	size := 2 + len(n.Line) + 32*len(n.Leaves)
	for _, f := range n.fields() {
		size += 4 + len(*f)
	}
	out := make([]byte, 0, size)
	out = append(out, formatByte)
	out = append(out, n.Line[:]...)
	out = append(out, byte(len(n.Leaves)))
	for i := range n.Leaves {
		out = append(out, n.Leaves[i][:]...)
	}
	for _, f := range n.fields() {
		out = binary.BigEndian.AppendUint32(out, uint32(len(*f)))
		out = append(out, *f...)
	}
	return out
}

// parseNotice is strict: one notice has one encoding. The result shares no
// memory with b. ErrDamaged.
func parseNotice(b []byte) (n Notice, err error) {
	fixed := 2 + len(n.Line)
	if len(b) < fixed || b[0] != formatByte {
		return Notice{}, ErrDamaged
	}
	copy(n.Line[:], b[1:])
	m := int(b[fixed-1])
	b = b[fixed:]
	if m < 1 || m > abaton.BatchRecordsMax || len(b) < 32*m {
		return Notice{}, ErrDamaged
	}
	n.Leaves = make([][32]byte, m)
	for i := range n.Leaves {
		copy(n.Leaves[i][:], b[32*i:])
	}
	b = b[32*m:]
	for _, f := range n.fields() {
		if len(b) < 4 {
			return Notice{}, ErrDamaged
		}
		size := binary.BigEndian.Uint32(b)
		if size > NoticeBytesMax || int(size) > len(b)-4 {
			return Notice{}, ErrDamaged
		}
		*f = append([]byte{}, b[4:4+size]...)
		b = b[4+size:]
	}
	if len(b) != 0 {
		return Notice{}, ErrDamaged
	}
	return n, nil
}
