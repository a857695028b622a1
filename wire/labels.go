package wire

// Label separates the uses of hashes, keys and signatures. No label serves
// two uses; a test checks that the registry has no duplicate and no label
// that is another's prefix followed by 0x00.
type Label string

// The registry of protocol version 1 (PROTOCOL.md#labels).
const (
	// Records.
	Head       Label = "abaton/v1/head"
	Lock       Label = "abaton/v1/lock"
	LockCtx    Label = "abaton/v1/lock-ctx"
	Shape      Label = "abaton/v1/shape"
	Body       Label = "abaton/v1/body"
	BodyKey    Label = "abaton/v1/body-key"
	BodyLeaf   Label = "abaton/v1/body-leaf"
	Commit     Label = "abaton/v1/commit"
	Fragment   Label = "abaton/v1/fragment"
	Capsule    Label = "abaton/v1/capsule"
	ShareLeaf  Label = "abaton/v1/share-leaf"
	ShareGone  Label = "abaton/v1/share-gone"
	K1         Label = "abaton/v1/k1"
	Mask       Label = "abaton/v1/mask"
	Author     Label = "abaton/v1/author"
	AuthorBox  Label = "abaton/v1/author-box"
	PieceBox   Label = "abaton/v1/piece-box"
	Receipt    Label = "abaton/v1/receipt"
	Envelope   Label = "abaton/v1/envelope"
	VersionRef Label = "abaton/v1/version"
	// Keys and actors.
	Root        Label = "abaton/v1/root"
	SegmentSeed Label = "abaton/v1/segment-seed"
	SegmentID   Label = "abaton/v1/segment-id"
	LineID      Label = "abaton/v1/line"
	CategoryID  Label = "abaton/v1/category"
	Actor       Label = "abaton/v1/actor"
	Event       Label = "abaton/v1/event"
	Vote        Label = "abaton/v1/vote"
	Invitation  Label = "abaton/v1/invitation"
	Grant       Label = "abaton/v1/grant"
	GrantWrap   Label = "abaton/v1/grant-wrap"
	EpochWrap   Label = "abaton/v1/epoch-wrap"
	// Sessions and requests.
	Session      Label = "abaton/v1/session"
	SessionSeeds Label = "abaton/v1/session-seeds"
	StepUp       Label = "abaton/v1/step-up"
	ReplyCtx     Label = "abaton/v1/reply-ctx"
	ReplyKey     Label = "abaton/v1/k2c"
	UploadKey    Label = "abaton/v1/c2k"
	Reply        Label = "abaton/v1/reply"
	Upload       Label = "abaton/v1/upload"
	Request      Label = "abaton/v1/request"
	Query        Label = "abaton/v1/query"
	Answer       Label = "abaton/v1/answer"
	Never        Label = "abaton/v1/never-had"
	// Keepers and ledgers.
	Peer        Label = "abaton/v1/peer"
	RepairPart  Label = "abaton/v1/repair-part"
	RepairSum   Label = "abaton/v1/repair-sum"
	Feed        Label = "abaton/v1/feed"
	LedgerLeaf  Label = "abaton/v1/ledger-leaf"
	PatientTie  Label = "abaton/v1/patient-chain"
	RowKey      Label = "abaton/v1/row-key"
	Outbox      Label = "abaton/v1/outbox"
	FHIRID      Label = "abaton/v1/fhir-id"
	GatewayUp   Label = "abaton/v1/gateway-upload"
	GatewayPass Label = "abaton/v1/gateway-access"
)
