package seal

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Fact is what an index says of a record beyond its envelope: the clinical
// date as FHIR writes it, and the codes to list and filter by.
type Fact struct {
	Date  string
	Codes []string
}

// Entry is one record's line in an index.
type Entry struct {
	_           struct{} `cbor:",toarray"`
	Kind        Kind
	Type        string
	ID          string
	VersionID   string
	LastUpdated uint64 // milliseconds since 1970-01-01T00:00Z
	Parents     []string
	Transaction []byte
	Deleted     bool
	Date        string
	Codes       []string
}

// Index lists a batch of more than one record: Entries[i] is record i+1. It is
// record 0, so a cold listing opens indexes and nothing else
// (PROTOCOL.md#index).
type Index struct {
	Version uint64  `cbor:"1,keyasint"`
	Entries []Entry `cbor:"2,keyasint"`
}

// Limits of an index, so that it stays a small record.
const (
	factCodesMax = 32
	factBytesMax = 256
)

// Bytes is the canonical form, the content of a KindIndex record.
func (x *Index) Bytes() []byte { return wire.Marshal(x) }

// ParseIndex reads the canonical form; ErrEnvelope if it is none.
func ParseIndex(content []byte) (*Index, error) {
	x := new(Index)
	if wire.Unmarshal(content, x) != nil || x.Version != wire.Version ||
		len(x.Entries) < 2 || len(x.Entries) > BatchRecordsMax {
		return nil, fmt.Errorf("parse index: %w", ErrEnvelope)
	}
	for i := range x.Entries {
		if !x.Entries[i].valid() {
			return nil, fmt.Errorf("parse index: %w", ErrEnvelope)
		}
	}
	return x, nil
}

func (n *Entry) valid() bool {
	ok := n.Kind >= KindResource && n.Kind <= KindObject && n.Kind != KindIndex && n.Kind != KindPart &&
		isName(n.Type) && isName(n.ID) && isName(n.VersionID) &&
		len(n.Parents) <= ParentsMax && len(n.Transaction) <= TransactionBytes
	return ok && (&Fact{Date: n.Date, Codes: n.Codes}).valid()
}

func (f *Fact) valid() bool {
	if !isName(f.Date) || len(f.Codes) > factCodesMax {
		return false
	}
	for _, c := range f.Codes {
		if len(c) > factBytesMax || !utf8.ValidString(c) {
			return false
		}
	}
	return true
}

// agrees reports whether the entry says what the envelope says.
func (n *Entry) agrees(e *Envelope) bool {
	return n.Kind == e.Kind && n.Type == e.Type && n.ID == e.ID && n.VersionID == e.VersionID &&
		n.LastUpdated == e.LastUpdated && slices.Equal(n.Parents, e.Parents) &&
		slices.Equal(n.Transaction, e.Transaction) && n.Deleted == e.Deleted
}

func entryOf(e *Envelope, f Fact) Entry {
	return Entry{
		Kind: e.Kind, Type: e.Type, ID: e.ID, VersionID: e.VersionID, LastUpdated: e.LastUpdated,
		Parents: e.Parents, Transaction: e.Transaction, Deleted: e.Deleted, Date: f.Date, Codes: f.Codes,
	}
}

// index is record 0 for the records in that order.
func (b *Batch) index(order []int) Record {
	x := Index{Version: wire.Version}
	latest := uint64(0)
	for _, i := range order {
		fact := Fact{}
		if len(b.Facts) > 0 {
			fact = b.Facts[i]
		}
		e := &b.Records[i].Envelope
		latest = max(latest, e.LastUpdated)
		x.Entries = append(x.Entries, entryOf(e, fact))
	}
	return Record{
		Envelope: Envelope{Patient: b.Patient, Line: b.Line, Kind: KindIndex, LastUpdated: latest},
		Content:  x.Bytes(),
	}
}

// Commit is the content of a KindCommit record: the transaction and its
// batches in this line. A reader shows the line's part once it is there
// (PROTOCOL.md#commit-record).
type Commit struct {
	Version     uint64                 `cbor:"1,keyasint"`
	Transaction [TransactionBytes]byte `cbor:"2,keyasint"`
	Batches     []abaton.BatchName     `cbor:"3,keyasint"`
}

// commitBatchesMax bounds one line's part of a transaction.
const commitBatchesMax = 1024

// Bytes is the canonical form.
func (c *Commit) Bytes() []byte { return wire.Marshal(c) }

// ParseCommit reads the canonical form; ErrEnvelope if it is none.
func ParseCommit(content []byte) (*Commit, error) {
	c := new(Commit)
	if wire.Unmarshal(content, c) != nil || c.Version != wire.Version || c.Transaction == [TransactionBytes]byte{} ||
		len(c.Batches) < 1 || len(c.Batches) > commitBatchesMax {
		return nil, fmt.Errorf("parse commit: %w", ErrEnvelope)
	}
	return c, nil
}
