package spread

import (
	"math/bits"

	"github.com/abaton-health/abaton"
)

// Sizes of a code word, in bytes (PROTOCOL.md#buckets).
const (
	// CommitBytes is the commitment at the start of every code word.
	CommitBytes = 32
	// ChunkBytes is the plaintext of one STREAM chunk; each adds TagBytes.
	ChunkBytes = 64 << 10
	TagBytes   = 16
	// PlainHeaderBytes stand before the compressed text: codec, rawlen,
	// complen.
	PlainHeaderBytes = 9
	bucketMin        = 256
	bucketLadderMax  = 64 << 10
)

// Bucket is the padded size for n bytes: the next of 256, 384, 512, 768, ...
// up to 64 KiB, two an octave, and Padmé above (Nikitin et al., "Reducing
// Metadata Leakage from Encrypted Files", section 4).
func Bucket(n int) int {
	if n > bucketLadderMax {
		return padme(n)
	}
	for b := bucketMin; ; b *= 2 {
		if n <= b {
			return b
		}
		if n <= b+b/2 {
			return b + b/2
		}
	}
}

func padme(n int) int {
	e := bits.Len(uint(n)) - 1
	s := bits.Len(uint(e))
	mask := 1<<(e-s) - 1
	return (n + mask) &^ mask
}

// CodeWordBytes is the length of the code word of a bucket: the commitment,
// the bucket and one tag a chunk.
func CodeWordBytes(bucket int) int {
	return CommitBytes + bucket + TagBytes*((bucket+ChunkBytes-1)/ChunkBytes)
}

// CodeWordBytesMax is the longest code word: a stored record of
// RecordBytesMax. One stripe carries it; more stripes are reserved.
func CodeWordBytesMax() int {
	return CodeWordBytes(Bucket(abaton.RecordBytesMax + PlainHeaderBytes))
}

// ValidCodeWordBytes reports whether length is that of some bucket's code
// word and not above CodeWordBytesMax.
func ValidCodeWordBytes(length int) bool {
	if length < CodeWordBytes(bucketMin) || length > CodeWordBytesMax() {
		return false
	}
	body := length - CommitBytes
	chunks := (body + ChunkBytes + TagBytes - 1) / (ChunkBytes + TagBytes)
	bucket := body - chunks*TagBytes
	return bucket > 0 && Bucket(bucket) == bucket && CodeWordBytes(bucket) == length
}

// FragmentBytes is ceil(length / k).
func FragmentBytes(length int, k uint8) int { return (length + int(k) - 1) / int(k) }
