package ledger

import "golang.org/x/mod/sumdb/tlog"

// SignatureLine is open to tests that play a witness by hand.
func SignatureLine(name string, hash uint32, sig []byte) []byte {
	return signatureLine(name, hash, sig)
}

// KnownReason is open to the test that compares it with the registry.
var KnownReason = knownReason

// QuickEntry, Cover and Covers are open to the tests that hold them against the
// slow ways.
var (
	QuickEntry = quickEntry
	Covers     = covers
)

// Cover is open to tests.
func (l *Log) Cover(at []uint64) ([]tlog.Hash, error) { return l.cover(at, l.Size()) }
