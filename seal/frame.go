package seal

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/spread"
)

// A compressed record is exactly one zstd frame (RFC 8878, section 3.1.1) with
// content size and checksum, made with a dictionary that HEAD names by its
// SHA-256. No record shares a window with another: the size of one would tell
// guesses about the other (PROTOCOL.md#frame).

var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	options := []zstd.EOption{
		zstd.WithEncoderLevel(compressionLevel), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithLowerEncoderMem(true),
	}
	if d := dictionaries()[newestDictionary()]; len(d) > 0 {
		options = append(options, zstd.WithEncoderDict(d))
	}
	return zstd.NewWriter(nil, options...)
})

// compressionLevel: with the dictionary the slower levels give the same
// buckets at two to three times the work (seal/dictionary/README.md).
const compressionLevel = zstd.SpeedFastest

func compress(raw []byte) ([]byte, error) {
	e, err := encoder()
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return e.EncodeAll(raw, make([]byte, 0, len(raw)/2+64)), nil
}

// sampleBytes is how much of a long text is tried before all of it is.
const sampleBytes = 64 << 10

// worthwhile reports whether a text looks as if a frame were shorter: pictures
// and films are compressed already, and to try costs as much as to encrypt.
// What it says shows in nothing but the bucket.
func worthwhile(raw []byte) (bool, error) {
	if len(raw) <= 4*sampleBytes {
		return true, nil
	}
	at := (len(raw) - sampleBytes) / 2
	frame, err := compress(raw[at : at+sampleBytes])
	return len(frame) < sampleBytes-sampleBytes/32, err
}

// decoders holds one decoder for each dictionary, made at first use.
var decoders = sync.OnceValue(func() map[spread.Hash32]func() (*zstd.Decoder, error) {
	all := make(map[spread.Hash32]func() (*zstd.Decoder, error))
	for hash, d := range dictionaries() {
		all[hash] = sync.OnceValues(func() (*zstd.Decoder, error) {
			options := []zstd.DOption{
				zstd.WithDecoderMaxMemory(abaton.RecordBytesMax), zstd.WithDecoderMaxWindow(abaton.RecordBytesMax),
				zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)),
			}
			if len(d) > 0 {
				options = append(options, zstd.WithDecoderDicts(d))
			}
			return zstd.NewReader(nil, options...)
		})
	}
	return all
})

// decompress is the text of frame, which must be one whole frame, made with
// this very dictionary, of exactly rawBytes.
func decompress(frame []byte, rawBytes int, dictionary spread.Hash32) ([]byte, error) {
	open := decoders()[dictionary]
	if open == nil {
		return nil, fmt.Errorf("dictionary: %w", errBody)
	}
	if !oneFrame(frame, rawBytes, dictionaryID(dictionary)) {
		return nil, fmt.Errorf("frame: %w", errBody)
	}
	d, err := open()
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	raw, err := d.DecodeAll(frame, make([]byte, 0, rawBytes))
	if err != nil || len(raw) != rawBytes {
		return nil, fmt.Errorf("frame content: %w", errBody)
	}
	return raw, nil
}

// oneFrame walks the blocks: decoders differ in what they accept around and
// after a frame, so nothing is left to them.
func oneFrame(frame []byte, rawBytes int, dictionaryID uint32) bool {
	var h zstd.Header
	if h.Decode(frame) != nil || h.Skippable || !h.HasFCS || !h.HasCheckSum || !h.SingleSegment ||
		h.FrameContentSize != uint64(rawBytes) || h.DictionaryID != dictionaryID {
		return false
	}
	const blockHeader, checksum = 3, 4
	rest := frame[min(h.HeaderSize, len(frame)):]
	for {
		if len(rest) < blockHeader {
			return false
		}
		bits := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		last, kind, size := bits&1 == 1, bits>>1&3, bits>>3
		switch kind {
		case 1: // one byte, repeated
			size = 1
		case 3: // reserved
			return false
		}
		rest = rest[blockHeader:]
		if size > len(rest) {
			return false
		}
		rest = rest[size:]
		if last {
			return len(rest) == checksum
		}
	}
}
