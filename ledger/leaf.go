package ledger

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton/wire"
)

// SaltSize is the length of the salt of one entry, in bytes.
const SaltSize = 32

// Leaf is what the tree holds for one entry: a salted commitment. Without the
// salt it says nothing about the entry, so entry and salt can be erased and
// the tree stays whole.
type Leaf [32]byte

// NewLeaf is SHA-256("abaton/v1/ledger-leaf" || 0x00 || salt || entry), the
// bytes of the entry as ledgered (PROTOCOL.md#ledger-leaf).
func NewLeaf(salt [SaltSize]byte, entry []byte) Leaf {
	return Leaf(wire.Hash(wire.LedgerLeaf, salt[:], entry))
}

// Hash is the RFC 6962 leaf hash: SHA-256(0x00 || leaf).
func (l Leaf) Hash() tlog.Hash { return tlog.RecordHash(l[:]) }

// Tie is what the next entry about the same patient carries in Prev: the hash
// of this entry's leaf. It stays checkable when this entry is redacted.
func (l Leaf) Tie() [32]byte { return wire.Hash(wire.PatientTie, l[:]) }
