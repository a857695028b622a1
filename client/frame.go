package client

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// A frame is one entry of the outbox's files: a header in the clear, then the
// body sealed under the outbox key.
//
//	magic u32 | crc u32 | group u64 | length u32 | kind u8 || nonce 12 || sealed
//
// crc is CRC-32C over all that follows it. The group number grows with each
// fsync, so a later group proves that an earlier one was durable: damage
// before it is corruption, damage after it a torn end.
const (
	frameMagic       = 0xab0740b1
	frameHeaderBytes = 21
	frameBodyMax     = 128 << 20 // five uploads of the largest size, sealed
)

// frameKind says what a frame holds. The zero kind is refused.
type frameKind uint8

const (
	frameMarks   frameKind = 1 // sequence marks at the start of a file
	frameBatch   frameKind = 2 // a sealed batch, before its first byte goes out
	frameReceipt frameKind = 3 // a keeper's receipt
	frameDone    frameKind = 4 // all keepers have it, or it was refused
)

// ErrOutbox means that the outbox's files are damaged where they were durable
// once, or that the key is not theirs. Nothing is cut off; a person decides.
var ErrOutbox = errors.New("outbox is corrupt or its key is another")

var errTorn = errors.New("frame is torn")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameBox seals and opens frame bodies. AES-256-GCM with random nonces; an
// outbox key sees far fewer than 2^32 frames.
type frameBox struct{ aead cipher.AEAD }

func newFrameBox(k key.Secret) frameBox {
	derived := key.Expand(k[:], wire.Outbox)
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		panic("client: 32 bytes are an AES key")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("client: AES has the block size of GCM")
	}
	return frameBox{aead: aead}
}

// append writes a frame behind dst.
func (b frameBox) append(dst []byte, group uint64, kind frameKind, body []byte) []byte {
	start := len(dst)
	length := b.aead.NonceSize() + len(body) + b.aead.Overhead()
	dst = binary.BigEndian.AppendUint32(dst, frameMagic)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, group)
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	dst = append(dst, byte(kind))
	var nonce [12]byte
	rand.Read(nonce[:])
	dst = append(dst, nonce[:]...)
	dst = b.aead.Seal(dst, nonce[:], body, dst[start+8:start+frameHeaderBytes])
	binary.BigEndian.PutUint32(dst[start+4:], crc32.Checksum(dst[start+8:], castagnoli))
	return dst
}

// frame is one frame as read.
type frame struct {
	kind  frameKind
	group uint64
	size  int // bytes in the file
	body  []byte
}

// read opens the frame at the start of data: errTorn when its bytes are not
// all there or damaged, ErrOutbox when they are whole and do not open.
func (b frameBox) read(data []byte) (frame, error) {
	f, err := frameAt(data)
	if err != nil {
		return f, err
	}
	sealed := data[frameHeaderBytes:f.size]
	nonce := sealed[:b.aead.NonceSize()]
	f.body, err = b.aead.Open(nil, nonce, sealed[len(nonce):], data[8:frameHeaderBytes])
	if err != nil {
		return f, ErrOutbox
	}
	return f, nil
}

// frameAt checks the frame at the start of data without opening it.
func frameAt(data []byte) (f frame, err error) {
	if len(data) < frameHeaderBytes || binary.BigEndian.Uint32(data) != frameMagic {
		return f, errTorn
	}
	length := binary.BigEndian.Uint32(data[16:])
	if length < 28 || length > frameBodyMax || int(length) > len(data)-frameHeaderBytes {
		return f, errTorn
	}
	f.size = frameHeaderBytes + int(length)
	if crc32.Checksum(data[8:f.size], castagnoli) != binary.BigEndian.Uint32(data[4:]) {
		return f, errTorn
	}
	f.group = binary.BigEndian.Uint64(data[8:])
	f.kind = frameKind(data[20])
	return f, nil
}

// laterGroup reports whether data holds, anywhere, a whole frame of a group
// above after.
func laterGroup(data []byte, after uint64) bool {
	for at := 0; at+frameHeaderBytes <= len(data); at++ {
		if data[at] != frameMagic>>24 {
			continue
		}
		if f, err := frameAt(data[at:]); err == nil && f.group > after {
			return true
		}
	}
	return false
}
