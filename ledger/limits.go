package ledger

import "github.com/abaton-health/abaton"

const (
	// SizeMax bounds the number of entries of one ledger. Far above any real
	// ledger (a thousand entries a second for two thousand years), and below
	// the sizes at which the tree arithmetic of x/mod/sumdb/tlog no longer
	// ends.
	SizeMax = 1 << 56
	// EntryBytesMax bounds one encoded entry, in bytes: 64 rows of 53 bytes,
	// 32 lines of 17 and 400 for the rest, with room to spare.
	EntryBytesMax = 8 << 10
	// GroupMax bounds the entries of one group commit.
	GroupMax = 4096
	// NoteBytesMax bounds a signed checkpoint, in bytes: text and 100
	// signature lines.
	NoteBytesMax = 16 << 10
	// OriginBytesMax bounds the origin line, in bytes
	// (c2sp.org/tlog-cosignature allows 255).
	OriginBytesMax = 255
	// ProofLinesMax bounds the hashes of one proof (c2sp.org/tlog-witness).
	ProofLinesMax = 63
	// ExtraBytesMax bounds the extra line of a proof file, in bytes before
	// base64.
	ExtraBytesMax = 4 << 10
	// RememberedMax is how many cosigned checkpoints a Witness remembers for
	// each origin: one a second for the ten minutes in which a session may
	// name one (abaton.CheckpointAgeMax), and as many again.
	RememberedMax = 1200
	// QuickEntries is how many of the newest entries Open checks when
	// Config.Quick is set.
	QuickEntries = 1024
)

// linesMax is how many lines one entry may name.
const linesMax = abaton.LinesMax
