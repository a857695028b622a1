package store

import (
	"encoding/binary"
	"time"

	"github.com/abaton-health/abaton"
)

// formatByte is the version of this layout.
const formatByte = 2

// Tables. A key is its table's tag, then the patient's pseudonym where there
// is one, then the rest, numbers big-endian, so that one patient's rows lie
// together and a listing reads no fragment.
const (
	tableBatch      = 'b' // pseudonym, batch: line, shape
	tableNotice     = 'n' // pseudonym, line, batch: notice
	tableFragment   = 'f' // pseudonym, batch: small fragments; and pseudonym, batch, j: a large one
	tableShare      = 's' // pseudonym, batch: sealed shares
	tableBeside     = 'k' // pseudonym, batch, number: a lock prepared beside the one in force
	tableBesideRow  = 'j' // pseudonym, batch, number: its sealed shares
	tableTombstone  = 't' // pseudonym, batch: whole, bits, share leaves
	tableCertified  = 'c' // pseudonym, batch: certificate of receipts
	tableSequence   = 'q' // pseudonym, line, writer, seq: batch
	tableDisclosure = 'd' // pseudonym, number in the patient's chain: ledger index
	tableErasure    = 'z' // pseudonym: generation of an unfinished erasure
	tableNonce      = 'o' // hash: expiry, value
	tableExpiry     = 'e' // expiry, hash: nothing
	tableStatement  = 'a' // actor, seq, hash: feed index, bytes
	tableFeed       = 'g' // feed index: actor, seq, hash
	tableVote       = 'v' // actor, seq: vote
	tableMeta       = 'x' // name: value
	tableRaw        = 'r' // prefix, key: value
	tableOwn        = 'y' // name: what the Store itself remembers

	// In the engine of row keys.
	tableRowKey  = 'w' // pseudonym: generation, key
	tablePending = 'p' // pseudonym: generation, key of an unfinished erasure
)

// Single rows.
var (
	keyFormat   = []byte{tableOwn, 'f'}
	keyFeedHead = []byte{tableOwn, 'h'}
	keySecret   = []byte{tableOwn, 's'}
)

func patientKey(table byte, p pseudonym, rest ...[]byte) []byte {
	key := make([]byte, 0, 1+len(p)+80)
	key = append(append(key, table), p[:]...)
	for _, r := range rest {
		key = append(key, r...)
	}
	return key
}

func batchKey(table byte, p pseudonym, batch abaton.BatchName) []byte {
	return patientKey(table, p, batch[:])
}

func recordKey(table byte, p pseudonym, batch abaton.BatchName, j int) []byte {
	return patientKey(table, p, batch[:], []byte{byte(j)})
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// instant is whole seconds since 1970; earlier times count as 1970.
func instant(t time.Time) []byte { return number(uint64(max(t.Unix(), 0))) }

// after returns the smallest key above every key that begins with prefix; nil
// if there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// last returns the final 32 bytes of a key of this store.
func last(key []byte) (name [32]byte) {
	copy(name[:], key[len(key)-len(name):])
	return name
}
