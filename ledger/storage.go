package ledger

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/abaton-health/abaton"
)

// Reader reads what was committed. Get returns nil, nil for an absent key and
// is safe for concurrent use; the caller of Get does not change the result.
type Reader interface {
	Get(key []byte) ([]byte, error)
}

// Ranger is a Reader that reads a run of keys faster than one by one: every pair
// with lower <= key < upper, ascending, as they were at one moment, until yield
// says no. Key and value are valid during the yield only.
type Ranger interface {
	Reader
	Scan(lower, upper []byte, yield func(key, value []byte) bool) error
}

// Writer gathers one atomic batch. Put keeps neither slice after it returns
// unless it copies them; nothing is durable before the owner of the batch
// commits it. Keys are unique in the ledger's storage: its owner gives each
// ledger a keyspace of its own.
type Writer interface {
	Put(key, value []byte)
}

// Keys, by their first byte. Values are in brackets.
//
//	c                  [signed checkpoint]
//	k                  [newest checkpoint with cosignatures of peers]
//	l || u64 index     [leaf || hashes of the subtrees that this leaf completes]
//	e || u64 index     [salt || entry, or 0x00 when redacted]
//	p || patient       [u64 seq || u64 index of the newest entry || crc]
//	q || patient || u64 seq  [u64 index || crc]
//	w || SHA-256(origin)     [newest checkpoint cosigned as witness]
const (
	kindCheckpoint = 'c'
	kindCosigned   = 'k'
	kindLeaf       = 'l'
	kindEntry      = 'e'
	kindPatient    = 'p'
	kindSeq        = 'q'
	kindWitness    = 'w'
)

// redacted replaces salt and entry after retention.
const redacted = 0x00

func keyIndex(kind byte, n uint64) []byte {
	k := make([]byte, 9)
	k[0] = kind
	binary.BigEndian.PutUint64(k[1:], n)
	return k
}

func keyPatient(id abaton.ActorID) []byte { return append([]byte{kindPatient}, id[:]...) }

func keySeq(id abaton.ActorID, seq uint64) []byte {
	k := make([]byte, 0, 41)
	k = append(k, kindSeq)
	k = append(k, id[:]...)
	return binary.BigEndian.AppendUint64(k, seq)
}

// The two patient indexes lie outside the tree, so a checksum over key and
// value guards them against accidents; against a hostile keeper the patient's
// own check of the chain speaks.

func sum(key, value []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, t), t, value)
}

func summed(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, sum(key, value))
}

func unsum(key, value []byte, words int) ([]uint64, bool) {
	if len(value) != 8*words+4 {
		return nil, false
	}
	body := value[:8*words]
	if binary.BigEndian.Uint32(value[8*words:]) != sum(key, body) {
		return nil, false
	}
	out := make([]uint64, words)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(body[8*i:])
	}
	return out, true
}
