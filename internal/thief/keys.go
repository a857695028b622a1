package thief

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Bounds of guessing keys: so many values as keys, on so many fragments.
const (
	secretsMax = 2048
	targetsMax = 128
)

// unseal opens a row of shares with the row key that lies in the same folder.
func unseal(row [32]byte, batch abaton.BatchName, sealed []byte) (shares [][32]byte) {
	const generation, bitmap, nonce = 4, 8, 12
	if len(sealed) < generation+bitmap+nonce {
		return nil
	}
	context := append(batch[:len(batch):len(batch)], sealed[generation:generation+bitmap]...)
	at := sealed[generation+bitmap:]
	plain, err := gcm(row).Open(nil, at[:nonce], at[nonce:], context)
	if err != nil {
		return nil
	}
	for ; len(plain) >= 32; plain = plain[32:] {
		shares = append(shares, [32]byte(plain))
	}
	return shares
}

func gcm(k [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("thief: AES takes 32 bytes")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("thief: AES has the block size of GCM")
	}
	return aead
}

// tryKeys decrypts fragments under every value that could be a key: all
// secrets on some fragments, and on every fragment its own shares, alone and
// joined.
func (o *opener) tryKeys(ctx context.Context, stolen []*Loot) error {
	var targets []target
	for _, l := range stolen {
		own := l.targets()
		for i := range own {
			o.try(&own[i], guesses(own[i].place, stolen))
		}
		targets = append(targets, own[:min(len(own), targetsMax/len(stolen))]...)
	}
	for i, k := range distinctSecrets(stolen) {
		if i%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		o.report.Secrets++
		for n := range targets {
			o.try(&targets[n], [][32]byte{k})
		}
	}
	return nil
}

func distinctSecrets(stolen []*Loot) (out [][32]byte) {
	seen := make(map[[32]byte]bool)
	for _, l := range stolen {
		for _, s := range l.secrets {
			if !seen[s] && len(out) < secretsMax {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// guesses at the key of one record: each share, and what the shares give when
// they are joined as if they were enough.
func guesses(at place, stolen []*Loot) (out [][32]byte) {
	var shares []spread.Share
	for i, l := range stolen {
		y, ok := l.shares[at]
		if !ok {
			continue
		}
		x := l.index
		if x == 0 {
			x = abaton.KeeperIndex(i + 1)
		}
		out, shares = append(out, y), append(shares, spread.Share{X: x, Y: y})
	}
	if len(shares) > 1 {
		if joined, err := spread.Combine(shares); err == nil {
			out = append(out, joined)
		}
	}
	return out
}

// target is the beginning of a stream of ciphertext: the systematic part of a
// code word, after the commitment.
type target struct {
	place
	bytes []byte
	where string
}

// targets are this keeper's fragments that begin a code word. With another
// index they are tried all the same: the thief may have guessed wrong.
func (l *Loot) targets() (out []target) {
	for at, f := range l.fragments {
		if len(f.bytes) >= spread.CommitBytes+12+sampleBytes {
			out = append(out, target{place: at, bytes: f.bytes, where: l.name + " fragments"})
		}
	}
	return out
}

// sampleBytes is how much of a fragment is decrypted to judge a key.
const sampleBytes = 48

// try decrypts t under each key and under the body key made from it.
func (o *opener) try(t *target, keys [][32]byte) {
	for _, k := range keys {
		for _, derived := range [][32]byte{k, key.Expand(k[:], wire.BodyKey)} {
			block, err := aes.NewCipher(derived[:])
			if err != nil {
				panic("thief: AES takes 32 bytes")
			}
			o.report.Trials++
			if opens(block, t.bytes) {
				o.found("record", "decrypted with a value of the same disk", t.where)
			}
		}
	}
}

// opens tries the nonces of a stream's first chunk (PROTOCOL.md#stream), and
// the first bytes as a nonce, at the places where a ciphertext can begin.
func opens(block cipher.Block, b []byte) bool {
	var first, last [12]byte
	last[11] = 1
	for _, from := range []int{0, spread.CommitBytes} {
		if opensUnder(block, first, b[from:]) || opensUnder(block, last, b[from:]) ||
			opensUnder(block, [12]byte(b[from:]), b[from+12:]) {
			return true
		}
	}
	return false
}

// opensUnder undoes GCM's counter mode without its tag, of which a fragment
// holds none (NIST SP 800-38D, section 7.1: the text begins at counter 2). One
// block tells nearly always; the rest is decrypted only to be sure.
func opensUnder(block cipher.Block, nonce [12]byte, b []byte) bool {
	var out [sampleBytes]byte
	var counter [aes.BlockSize]byte
	if len(b) < len(out) {
		return false
	}
	copy(counter[:], nonce[:])
	for i := 0; i < len(out); i += len(counter) {
		binary.BigEndian.PutUint32(counter[12:], uint32(2+i/len(counter)))
		block.Encrypt(out[i:], counter[:])
		subtle.XORBytes(out[i:], out[i:i+len(counter)], b[i:])
		if i == 0 && !readable(out[:len(counter)]) {
			return false
		}
	}
	return readable(out[:])
}

// readable judges the first bytes of a plaintext: the header of a body, a zstd
// frame with one of our dictionaries, or text. Each is of 6 bytes or more: of
// the millions of keys tried on one disk, some give any 4.
func readable(p []byte) bool {
	const header = 9 // codec 1, raw length 4, text length 4
	short := p[1] == 0 && p[5] == 0
	switch {
	case p[0] == 1 && short && bytes.Equal(p[1:5], p[5:9]):
		return true
	case p[0] == 2 && short && bytes.HasPrefix(p[header:], magicZstd), lettered(p):
		return true
	}
	printable := 0
	for _, c := range p {
		if c >= 0x20 && c < 0x7F {
			printable++
		}
	}
	return printable >= len(p)-2
}

// lettered reports whether p begins a zstd frame that names one of our
// dictionaries.
func lettered(p []byte) bool {
	u, err := unzstds()
	if err != nil {
		panic("thief: the dictionaries are embedded and whole")
	}
	var h zstd.Header
	return bytes.HasPrefix(p, magicZstd) && h.Decode(p) == nil && u.lettered[h.DictionaryID] != nil
}
