// Package keeper is the keeper protocol, both ends of the wire: the messages,
// the HTTP client, and the HTTP handler over a Service.
//
//	c, err := keeper.Dial(entry)          // one keeper of the signed set
//	receipt, err := c.Deposit(ctx, upload)
//
// It decides nothing: custody does. It protects no content either: what passes
// here is sealed. Messages are frozen with protocol version 1.
package keeper

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// Opened answers a session statement: the HPKE encapsulation to the
// statement's reply key from which both ends derive this session's reply key
// (PROTOCOL.md#session-open). Signed by the keeper under wire.Answer.
type Opened struct {
	V       uint8              `cbor:"1,keyasint"`
	Keeper  abaton.KeeperIndex `cbor:"2,keyasint"`
	Session abaton.SessionID   `cbor:"3,keyasint"`
	Enc     []byte             `cbor:"4,keyasint"` // 1,120 bytes
}

// Outcome of a request as the keeper's ledger holds it.
type Outcome uint8

// The zero Outcome is never sent.
const (
	Permitted Outcome = 1
	Partly    Outcome = 2 // some rows absent or not covered
	Refused   Outcome = 3
)

// Reply is what a keeper answers to a request, before it is sealed to the
// session (PROTOCOL.md#reply). The keeper signs it under wire.Reply, so a
// false reply is evidence.
type Reply struct {
	V           uint8              `cbor:"1,keyasint"`
	Keeper      abaton.KeeperIndex `cbor:"2,keyasint"`
	Request     [32]byte           `cbor:"3,keyasint"` // SHA-256 of the signed request body
	Outcome     Outcome            `cbor:"4,keyasint"`
	Reason      abaton.Reason      `cbor:"5,keyasint"` // empty when permitted
	Entry       uint64             `cbor:"6,keyasint"` // index in this keeper's ledger
	Checkpoint  []byte             `cbor:"7,keyasint"` // signed note that covers Entry
	Time        uint64             `cbor:"8,keyasint"` // keeper's clock, unix seconds
	Pieces      [][]byte           `cbor:"9,keyasint"` // spread.Piece, one per row released
	Notices     []Notice           `cbor:"10,keyasint"`
	Disclosures []Disclosure       `cbor:"11,keyasint"`
	Next        uint64             `cbor:"12,keyasint"` // cursor for more, 0 when done
	Total       uint64             `cbor:"13,keyasint"` // history: how many entries this ledger has about the patient
	Share       []byte             `cbor:"14,keyasint"` // this keeper's share of an escrow, 32 bytes
	Released    []byte             `cbor:"15,keyasint"` // Released, signed: beside a share of an emergency set
}

// Released is a keeper's signed word that it gave its share of an emergency
// set to this request, and ledgered it (PROTOCOL.md#released). It says nothing
// of the share: whoever keeps half A reads it, and opens nothing with it.
type Released struct {
	V       uint8              `cbor:"1,keyasint"`
	Keeper  abaton.KeeperIndex `cbor:"2,keyasint"`
	Request [32]byte           `cbor:"3,keyasint"` // SHA-256 of the signed request body
	Patient abaton.ActorID     `cbor:"4,keyasint"`
	Escrow  abaton.GrantID     `cbor:"5,keyasint"`
	Entry   uint64             `cbor:"6,keyasint"` // index in this keeper's ledger
	Time    uint64             `cbor:"7,keyasint"` // keeper's clock, unix seconds
}

// Notice tells that a batch exists: its signed HEAD and LOCK, which records
// were erased, and the receipts known for it. It holds no bytes of records.
type Notice struct {
	Head     []byte   `cbor:"1,keyasint"` // wire.Signed as received
	Lock     []byte   `cbor:"2,keyasint"`
	Gone     uint64   `cbor:"3,keyasint"` // erased records
	Held     bool     `cbor:"4,keyasint"` // this keeper holds its piece
	Receipts [][]byte `cbor:"5,keyasint"` // wire.Signed Receipts
}

// Disclosure is one ledger entry with the salt that opens its leaf and the
// path that leads from the leaf to the reply's checkpoint. Entry is empty
// after retention; the leaf stays.
type Disclosure struct {
	Index uint64     `cbor:"1,keyasint"`
	Seq   uint64     `cbor:"2,keyasint"` // counts the entries about this patient
	Leaf  [32]byte   `cbor:"3,keyasint"`
	Salt  [32]byte   `cbor:"4,keyasint"`
	Entry []byte     `cbor:"5,keyasint"`
	Path  [][32]byte `cbor:"6,keyasint"`
}

// Receipt says that a keeper holds its piece of a batch durably. Signed under
// wire.Receipt (PROTOCOL.md#receipt).
type Receipt struct {
	V      uint8              `cbor:"1,keyasint"`
	Keeper abaton.KeeperIndex `cbor:"2,keyasint"`
	Batch  abaton.BatchName   `cbor:"3,keyasint"`
	Lock   [32]byte           `cbor:"4,keyasint"` // SHA-256 of the signed LOCK's body
	Entry  uint64             `cbor:"5,keyasint"` // ledger index of the deposit
	Time   uint64             `cbor:"6,keyasint"`
}

// Deposits carries sealed uploads (spread.SealUpload) to one keeper.
type Deposits struct {
	V       uint8    `cbor:"1,keyasint"`
	Uploads [][]byte `cbor:"2,keyasint"`
}

// Prepares carries prepared locks to one keeper, each a Prepare boxed to it
// (spread.SealRekey).
type Prepares struct {
	V        uint8    `cbor:"1,keyasint"`
	Prepares [][]byte `cbor:"2,keyasint"`
}

// Prepare hands a keeper a new lock of a batch, to be kept beside the one in
// force (docs/protocol/record.md#re-lock).
type Prepare struct {
	V       uint8          `cbor:"1,keyasint"`
	Patient abaton.ActorID `cbor:"2,keyasint"`
	Rekey   []byte         `cbor:"3,keyasint"` // spread.Rekey
	// Base is the signed LOCK that the new one continues; empty where the
	// keeper holds it.
	Base []byte `cbor:"4,keyasint"`
}

// Commits puts prepared locks of one patient in force.
type Commits struct {
	V       uint8          `cbor:"1,keyasint"`
	Patient abaton.ActorID `cbor:"2,keyasint"`
	Locks   []Commit       `cbor:"3,keyasint"`
}

// Commit names a prepared lock by SHA-256 of its LOCK and brings the receipts
// of at least w keepers for it.
type Commit struct {
	Batch    abaton.BatchName `cbor:"1,keyasint"`
	Lock     [32]byte         `cbor:"2,keyasint"`
	Receipts [][]byte         `cbor:"3,keyasint"`
}

// Events carries signed key-log events.
type Events struct {
	V      uint8    `cbor:"1,keyasint"`
	Events [][]byte `cbor:"2,keyasint"`
}

// Certificates carries certificates for events the keeper has or gets here:
// each is an a Statement.
type Certificates struct {
	V          uint8    `cbor:"1,keyasint"`
	Statements [][]byte `cbor:"2,keyasint"`
}

// Notices is a write-back: notices a reader found below the write quorum.
type Notices struct {
	V       uint8          `cbor:"1,keyasint"`
	Patient abaton.ActorID `cbor:"2,keyasint"`
	Notices []Notice       `cbor:"3,keyasint"`
}

// Result answers one item of a message, in its order: bytes when accepted (a
// signed Receipt, a vote), or the reason of refusal.
type Result struct {
	OK     []byte        `cbor:"1,keyasint"`
	Reason abaton.Reason `cbor:"2,keyasint"`
}

// Results answers a message with several items.
type Results struct {
	V       uint8    `cbor:"1,keyasint"`
	Results []Result `cbor:"2,keyasint"`
}

// QueryKind is what a query asks for. The zero kind is refused.
type QueryKind uint8

// The queries: whole key logs; a peer's statement feed from an arrival number
// on; which patients' logs name the asking actor in a grant; a peer's clock;
// what was opened in emergencies, of patients or by clinicians.
const (
	QueryLog     QueryKind = 1
	QueryFeed    QueryKind = 2
	QueryGranted QueryKind = 3
	QueryTime    QueryKind = 4
	QueryOpened  QueryKind = 5
	QueryTouched QueryKind = 6 // an organisation's own ledger entries (ledger.Look)
	// QueryHeld asks who of the asker's organisation the watch holds back; it is
	// ledgered.
	QueryHeld QueryKind = 7
	// QuerySteer asks the same and what else an officer decides by, of all or of
	// one; it is ledgered.
	QuerySteer QueryKind = 8
)

// QueryActorsMax is how many key logs one query may name.
const QueryActorsMax = 64

// Query asks for key logs or feeds. It is signed under wire.Query by a live
// key of a known actor or (feeds, clocks) a keeper of the set.
type Query struct {
	V      uint8            `cbor:"1,keyasint"`
	Kind   QueryKind        `cbor:"2,keyasint"`
	Actors []abaton.ActorID `cbor:"3,keyasint"` // for QueryLog and QueryOpened at most QueryActorsMax; for QueryGranted the asker
	From   uint64           `cbor:"4,keyasint"`
	Time   uint64           `cbor:"5,keyasint"`
	Nonce  [16]byte         `cbor:"6,keyasint"`
	Key    abaton.KeyID     `cbor:"7,keyasint"`
	Look   *ledger.Look     `cbor:"8,keyasint,omitzero"` // for QueryTouched, and only there
}

// Statements answers a query. Head is the keeper's feed length; the whole is
// signed under wire.Feed with the keeper's time, so that a peer's silence and
// a peer's staleness are told apart.
type Statements struct {
	V          uint8              `cbor:"1,keyasint"`
	Keeper     abaton.KeeperIndex `cbor:"2,keyasint"`
	Query      [32]byte           `cbor:"3,keyasint"` // SHA-256 of the signed query body
	Statements [][]byte           `cbor:"4,keyasint"` // Statement bytes, in arrival order for feeds
	Next       uint64             `cbor:"5,keyasint"` // ask from here next
	Head       uint64             `cbor:"6,keyasint"`
	Time       uint64             `cbor:"7,keyasint"`
	Checkpoint []byte             `cbor:"8,keyasint"`  // the answering keeper's latest signed checkpoint
	Yours      []byte             `cbor:"9,keyasint"`  // feeds: the asker's own latest checkpoint that this keeper has cosigned
	Actors     []abaton.ActorID   `cbor:"10,keyasint"` // for QueryGranted
	Erased     uint64             `cbor:"11,keyasint"` // feeds: leaves of erased shares to fetch (RepairGone)
	Openings   []Opening          `cbor:"12,keyasint"` // for QueryOpened, at most OpeningsMax
	// For QueryTouched: entries without paths, at most abaton.DisclosuresMax; how
	// many were passed over as redacted; what proves all of them in the tree of
	// Checkpoint, 32 bytes a hash.
	Disclosures []Disclosure `cbor:"13,keyasint,omitzero"`
	Gone        uint64       `cbor:"14,keyasint,omitzero"`
	Held        []Held       `cbor:"15,keyasint,omitzero"` // for QueryHeld and QuerySteer, at most HeldMax, held furthest first
	Cover       []byte       `cbor:"16,keyasint,omitzero"`
	Steer       *Steer       `cbor:"17,keyasint,omitzero"` // for QuerySteer
	Found       []Found      `cbor:"18,keyasint,omitzero"` // for QueryHeld, at most FoundMax, by reason
}

// OpeningsMax is how many openings one answer tells; a question about more is
// refused, and to be asked in parts.
const OpeningsMax = 4096

// Opening is one emergency opening as a keeper remembers it: what its ledger
// entry says of it but the reason in own words, and what became of it.
type Opening struct {
	Request      [32]byte       `cbor:"1,keyasint"` // names it, for a second clinician's word
	Patient      abaton.ActorID `cbor:"2,keyasint"`
	Escrow       abaton.GrantID `cbor:"3,keyasint"`
	Opener       abaton.ActorID `cbor:"4,keyasint"`
	Organisation abaton.ActorID `cbor:"5,keyasint"`
	Device       abaton.ActorID `cbor:"6,keyasint"`
	Time         uint64         `cbor:"7,keyasint"`  // unix seconds, the keeper's clock
	Urgency      uint8          `cbor:"8,keyasint"`  // session.Urgency
	Loud         bool           `cbor:"9,keyasint"`  // a bar did not hold, because no other clinician was there
	Verdict      uint8          `cbor:"10,keyasint"` // session.Verdict of the second clinician; 0 while owed
	Second       abaton.ActorID `cbor:"11,keyasint"` // whose verdict it is; zero for none
}

// SealedReply is a signed Reply under the session's reply key. Salt is fresh
// for every reply, repeats included.
type SealedReply struct {
	V      uint8              `cbor:"1,keyasint"`
	Keeper abaton.KeeperIndex `cbor:"2,keyasint"`
	Salt   [16]byte           `cbor:"3,keyasint"`
	Sealed []byte             `cbor:"4,keyasint"`
}

// Signed is the envelope of every signed message.
type Signed = wire.Signed

// Statement is one key-log event as it travels and rests: the signed event
// (actor.SignedEvent) and its certificate (actor.Certificate), which is empty
// for events that only narrow and are not certified yet (RULINGS 17).
type Statement struct {
	Event       []byte `cbor:"1,keyasint"`
	Certificate []byte `cbor:"2,keyasint"`
}
