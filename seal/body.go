package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Codecs of a plaintext. Zero is none.
const (
	codecStored = 1
	codecZstd   = 2
)

var errBody = errors.New("body does not hold")

// bodyContext is the associated data of record j's body.
func bodyContext(patient abaton.ActorID, nonce [16]byte, m, j int) []byte {
	sum := wire.Hash(wire.Body, patient[:], nonce[:], wire.U16(uint16(m)), wire.U16(uint16(j)))
	return sum[:]
}

// commitment binds the record key and the text: an AEAD alone would open under
// a second key, and a frame alone would read differently under a second
// dictionary.
func commitment(dek key.Secret, raw []byte) key.Secret {
	sum := sha256.Sum256(raw)
	return key.Expand(dek[:], wire.Commit, sum[:])
}

// sealBody makes the code word of raw.
func sealBody(dek key.Secret, raw, aad []byte) ([]byte, error) {
	plain, err := pack(raw)
	if err != nil {
		return nil, err
	}
	commit := commitment(dek, raw)
	word := make([]byte, 0, spread.CodeWordBytes(len(plain)))
	word = append(word, commit[:]...)
	return sealStream(word, key.Expand(dek[:], wire.BodyKey), plain, aad), nil
}

// openBody is the text of a code word, or errBody: nothing is returned before
// the commitment has been checked over the decompressed text.
func openBody(dek key.Secret, word, aad []byte, dictionary spread.Hash32) ([]byte, error) {
	if !spread.ValidCodeWordBytes(len(word)) {
		return nil, fmt.Errorf("length: %w", errBody)
	}
	plain, ok := openStream(key.Expand(dek[:], wire.BodyKey), word[spread.CommitBytes:], aad)
	if !ok {
		return nil, fmt.Errorf("cipher: %w", errBody)
	}
	raw, err := unpack(plain, dictionary)
	if err != nil {
		return nil, err
	}
	commit := commitment(dek, raw)
	if subtle.ConstantTimeCompare(commit[:], word[:spread.CommitBytes]) != 1 {
		return nil, fmt.Errorf("commitment: %w", errBody)
	}
	return raw, nil
}

// pack is codec || rawlen || complen || text || zeros to the bucket.
func pack(raw []byte) ([]byte, error) {
	codec, text := byte(codecStored), raw
	try, err := worthwhile(raw)
	if err != nil {
		return nil, err
	}
	if try && !Identity {
		frame, err := compress(raw)
		if err != nil {
			return nil, err
		}
		if len(frame) < len(raw) && len(raw) <= len(frame)*abaton.ExpansionMax {
			codec, text = codecZstd, frame
		}
	}
	plain := make([]byte, spread.Bucket(spread.PlainHeaderBytes+len(text)))
	plain[0] = codec
	binary.BigEndian.PutUint32(plain[1:], uint32(len(raw)))
	binary.BigEndian.PutUint32(plain[5:], uint32(len(text)))
	copy(plain[spread.PlainHeaderBytes:], text)
	return plain, nil
}

// unpack refuses every plaintext that pack would not have laid out.
func unpack(plain []byte, dictionary spread.Hash32) ([]byte, error) {
	if len(plain) < spread.PlainHeaderBytes {
		return nil, fmt.Errorf("plaintext header: %w", errBody)
	}
	rawBytes, textBytes := int64(binary.BigEndian.Uint32(plain[1:])), int64(binary.BigEndian.Uint32(plain[5:]))
	rest := plain[spread.PlainHeaderBytes:]
	if rawBytes > abaton.RecordBytesMax || textBytes > int64(len(rest)) || rawBytes > textBytes*abaton.ExpansionMax ||
		spread.Bucket(spread.PlainHeaderBytes+int(textBytes)) != len(plain) {
		return nil, fmt.Errorf("plaintext lengths: %w", errBody)
	}
	text, padding := rest[:textBytes], rest[textBytes:]
	for _, b := range padding {
		if b != 0 {
			return nil, fmt.Errorf("padding: %w", errBody)
		}
	}
	switch plain[0] {
	case codecStored:
		if rawBytes != textBytes {
			return nil, fmt.Errorf("stored length: %w", errBody)
		}
		return text, nil
	case codecZstd:
		return decompress(text, int(rawBytes), dictionary)
	}
	return nil, fmt.Errorf("codec: %w", errBody)
}
