package store

import "github.com/cockroachdb/pebble/v2"

// Limits of what one keeper stores.
const (
	// FragmentTogetherBytes is the size up to which a fragment lies in one row
	// with the others of its batch, so that row is at most 256 KiB. A larger
	// one has a row of its own, whose key is then little beside it, and is
	// never written again when another record is erased.
	FragmentTogetherBytes = 4 << 10
	// FragmentBytesMax is the largest fragment kept at all: the largest
	// record of the protocol over k = 2, with room for padding.
	FragmentBytesMax = 10 << 20
	// NoticeBytesMax bounds HEAD, LOCK, capsule fragment and receipt, each,
	// in bytes.
	NoticeBytesMax = 64 << 10
	// BesideMax is how many locks of one batch may lie beside the one in
	// force: each is a re-lock that somebody began and did not finish.
	BesideMax = 8
	// StatementBytesMax bounds one statement: a key-log event and its
	// certificate, with room.
	StatementBytesMax = 1 << 20
	// NonceValueMax bounds what is remembered beside a nonce, in bytes.
	NonceValueMax = 256
	// NoncesExpiredMax is how many nonces one ExpireNonces removes, so that
	// no commit waits long for it.
	NoncesExpiredMax = 4096
)

// Settings of the engines.
const (
	// memTableBytes is used twice, so that one can fill while the other is
	// flushed. With cacheBytes it leaves a small keeper room in 60 MB.
	memTableBytes = 8 << 20
	cacheBytes    = 16 << 20
	// Row keys are 5 MB for 100,000 patients.
	keysMemTableBytes = 1 << 20
	keysCacheBytes    = 4 << 20

	blockBytes = 8 << 10
	bloomBits  = 10
	// formatVersion pins Pebble's on-disk format: it only ratchets up, so
	// raising it is a decision. This one tells a torn log tail from damage.
	formatVersion = pebble.FormatTableFormatV6

	// One group shares an fsync: enough for every waiting request, small
	// enough that the first of them does not wait for a copy of megabytes.
	groupCommits = 256
	groupBytes   = 2 << 20
)
