package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

func isError(err, target error) bool { return errors.Is(err, target) }

// frameOf compresses with other options than Seal does.
func frameOf(t testing.TB, raw []byte, options ...zstd.EOption) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithEncoderConcurrency(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(raw, nil)
}

// plainOf lays out a plaintext without any of pack's care.
func plainOf(codec byte, rawBytes, textBytes int, text []byte) []byte {
	plain := make([]byte, spread.Bucket(spread.PlainHeaderBytes+len(text)))
	plain[0] = codec
	binary.BigEndian.PutUint32(plain[1:], uint32(rawBytes))
	binary.BigEndian.PutUint32(plain[5:], uint32(textBytes))
	copy(plain[spread.PlainHeaderBytes:], text)
	return plain
}

// TestUnpackRefuses is T3: everything but the one frame that pack makes.
func TestUnpackRefuses(t *testing.T) {
	raw := bytes.Repeat([]byte(`{"code":"8480-6","value":120}`), 20)
	n, plainHash := len(raw), spread.Hash32{}
	newest := zstd.WithEncoderDict(dictionaries()[newestDictionary()])
	good := frameOf(t, raw, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	if got, err := unpack(plainOf(codecZstd, n, len(good), good), plainHash); err != nil || !bytes.Equal(got, raw) {
		t.Fatalf("the one good frame: got %v", err)
	}
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, "skip"...)
	badChecksum := flip(good, len(good)-1)
	zeros := make([]byte, 1<<20)
	bomb := frameOf(t, zeros, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	withDictionary := frameOf(t, raw, newest, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	cases := []struct {
		name       string
		plain      []byte
		dictionary spread.Hash32
	}{
		{"nothing", nil, plainHash},
		{"codec zero", plainOf(0, n, len(good), good), plainHash},
		{"codec of tomorrow", plainOf(3, n, len(good), good), plainHash},
		{"two frames", plainOf(codecZstd, n, 2*len(good), slices.Concat(good, good)), plainHash},
		{"two frames, both counted", plainOf(codecZstd, 2*n, 2*len(good), slices.Concat(good, good)), plainHash},
		{"skippable frame before", plainOf(codecZstd, n, len(good)+12, slices.Concat(skippable, good)), plainHash},
		{"skippable frame after", plainOf(codecZstd, n, len(good)+12, slices.Concat(good, skippable)), plainHash},
		{"trailing byte", plainOf(codecZstd, n, len(good)+1, append(slices.Clone(good), 0)), plainHash},
		{"cut short", plainOf(codecZstd, n, len(good)-1, good[:len(good)-1]), plainHash},
		{"rawlen one more", plainOf(codecZstd, n+1, len(good), good), plainHash},
		{"rawlen one less", plainOf(codecZstd, n-1, len(good), good), plainHash},
		{"complen beyond", plainOf(codecZstd, n, 1<<20, good), plainHash},
		{"padding not zero", append(plainOf(codecZstd, n, len(good), good)[:255], 1), plainHash},
		{"bucket too large", append(plainOf(codecZstd, n, len(good), good), make([]byte, 128)...), plainHash},
		{"checksum wrong", plainOf(codecZstd, n, len(good), badChecksum), plainHash},
		{"no checksum", plain(t, raw, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)), plainHash},
		{"no single segment", plain(t, bytes.Repeat(raw, 20), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(false), zstd.WithWindowSize(1024)), plainHash},
		{"a dictionary not named", plainOf(codecZstd, n, len(withDictionary), withDictionary), plainHash},
		{"no dictionary where one is named", plainOf(codecZstd, n, len(good), good), newestDictionary()},
		{"a dictionary nobody knows", plainOf(codecZstd, n, len(good), good), spread.Hash32{1}},
		{"bomb", plainOf(codecZstd, len(zeros), len(bomb), bomb), plainHash},
		{"above the limit", plainOf(codecStored, abaton.RecordBytesMax+1, n, raw), plainHash},
		{"stored, rawlen one more", plainOf(codecStored, n+1, n, raw), plainHash},
	}
	for _, c := range cases {
		if got, err := unpack(c.plain, c.dictionary); !errors.Is(err, errBody) || got != nil {
			t.Errorf("%s: got %d bytes and %v, want errBody", c.name, len(got), err)
		}
	}
}

func plain(t *testing.T, raw []byte, options ...zstd.EOption) []byte {
	frame := frameOf(t, raw, options...)
	return plainOf(codecZstd, len(raw), len(frame), frame)
}

// TestTwoDictionaries: one frame that reads differently under two dictionaries
// with the same id. HEAD names a dictionary by its hash and the commitment
// covers the text, so only the text that was committed to is ever shown.
func TestTwoDictionaries(t *testing.T) {
	d := slices.Clone(dictionaries()[newestDictionary()])
	at := bytes.Index(d, []byte(`"resourceType":"Observation"`))
	copy(d[at:], `"resourceType":"Immunizatio"`)
	raw := []byte(`{"resourceType":"Observation","id":"x"}`)
	k, aad := key.NewSecret(), bodyContext(abaton.ActorID{1}, [16]byte{2}, 1, 0)
	frame := frameOf(t, raw, zstd.WithEncoderDict(d), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	frame[4] |= 4 // claim a checksum, as a liar would who computes it for the other text
	for _, text := range [][]byte{raw, []byte(`{"resourceType":"Immunizatio","id":"x"}`)} {
		commit := commitment(k, text)
		word := append([]byte(nil), commit[:]...)
		word = sealStream(word, key.Expand(k[:], "abaton/v1/body-key"), plainOf(codecZstd, len(raw), len(frame), frame), aad)
		if got, err := openBody(k, word, aad, newestDictionary()); err == nil && !bytes.Equal(got, text) {
			t.Errorf("got a text that was not committed to")
		}
	}
}

func TestPackUnpack(t *testing.T) {
	random := make([]byte, 100_000)
	rand.Read(random)
	for name, raw := range map[string][]byte{
		"one byte": {7}, "random": random, "long and dull": bytes.Repeat([]byte("abaton "), 30_000),
		"expands too much": make([]byte, 4<<20), "exactly a chunk": random[:spread.ChunkBytes-spread.PlainHeaderBytes],
	} {
		plain, err := pack(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpack(plain, newestDictionary())
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: got other bytes or %v", name, err)
		}
	}
}

// TestStream covers chunk edges: truncation, reordering, doubling, and the
// last flag.
func TestStream(t *testing.T) {
	const chunk = spread.ChunkBytes
	k, aad := key.NewSecret(), []byte("context")
	for _, n := range []int{1, 256, chunk - 1, chunk, chunk + 1, 2 * chunk, 3*chunk + 5} {
		text := make([]byte, n)
		rand.Read(text)
		sealed := sealStream(nil, k, text, aad)
		if got, ok := openStream(k, sealed, aad); !ok || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes: do not open", n)
		}
		const size = chunk + spread.TagBytes
		bad := map[string][]byte{"empty": nil, "flipped": flip(sealed, n/2), "one byte less": sealed[:len(sealed)-1], "one byte more": append(slices.Clone(sealed), 0)}
		if n > chunk {
			bad["last chunk cut off"] = sealed[:size*((n-1)/chunk)]
			bad["first chunk cut off"] = sealed[size:]
			bad["first chunk doubled"] = slices.Concat(sealed[:size], sealed)
			bad["sealed twice over"] = slices.Concat(sealed, sealed)
		}
		if n == 3*chunk+5 {
			bad["chunks exchanged"] = slices.Concat(sealed[size:2*size], sealed[:size], sealed[2*size:])
		}
		for name, b := range bad {
			if _, ok := openStream(k, b, aad); ok {
				t.Errorf("%d bytes, %s: opens", n, name)
			}
		}
		if _, ok := openStream(k, sealed, []byte("another")); ok {
			t.Errorf("%d bytes: opens in another context", n)
		}
	}
	empty := gcm(key.Secret{1}).Seal(nil, append(make([]byte, 11), 1), nil, nil)
	if _, ok := openStream(key.Secret{1}, empty, nil); ok {
		t.Error("an empty chunk opens")
	}
}
