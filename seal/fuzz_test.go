package seal

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
)

// Every decoder: what it accepts has one encoding, and nothing panics.

func FuzzRecord(f *testing.F) {
	w := &world{patient: [32]byte{1}, line: [16]byte{2}}
	r := w.record(1)
	f.Add(r.raw())
	r.Envelope.Parents, r.Envelope.Transaction, r.Content = []string{"v0"}, make([]byte, 16), nil
	f.Add(r.raw())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := parseRecord(raw); err == nil && !bytes.Equal(r.raw(), raw) {
			t.Error("accepted record has two encodings")
		}
	})
}

func FuzzIndex(f *testing.F) {
	w := &world{patient: [32]byte{1}, line: [16]byte{2}}
	b := Batch{Patient: w.patient, Line: w.line, Records: []Record{w.record(0), w.record(1)}}
	index := b.index([]int{1, 0})
	f.Add(index.Content)
	f.Fuzz(func(t *testing.T, content []byte) {
		if x, err := ParseIndex(content); err == nil && !bytes.Equal(x.Bytes(), content) {
			t.Error("accepted index has two encodings")
		}
	})
}

func FuzzCommit(f *testing.F) {
	f.Add((&Commit{Version: 1, Transaction: [16]byte{1}, Batches: []abaton.BatchName{{2}}}).Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		if c, err := ParseCommit(content); err == nil && !bytes.Equal(c.Bytes(), content) {
			t.Error("accepted commit has two encodings")
		}
	})
}

// FuzzUnpack feeds plaintexts: a writer's, so hostile.
func FuzzUnpack(f *testing.F) {
	raw := bytes.Repeat([]byte(`{"code":"8480-6"}`), 20)
	packed, err := pack(raw)
	if err != nil {
		f.Fatal(err)
	}
	frame := frameOf(f, raw, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	f.Add(packed)
	f.Add(plainOf(codecStored, len(raw), len(raw), raw))
	f.Add(plainOf(codecZstd, len(raw), len(frame), frame))
	f.Fuzz(func(t *testing.T, plain []byte) {
		for hash := range dictionaries() {
			raw, err := unpack(plain, hash)
			if err != nil {
				continue
			}
			packed, err := pack(raw)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := unpack(packed, newestDictionary()); err != nil || !bytes.Equal(again, raw) {
				t.Error("an accepted text does not survive packing")
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	k, aad := key.Secret{1}, []byte("context")
	f.Add(sealStream(nil, k, []byte("text"), aad))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if plain, ok := openStream(k, sealed, aad); ok && !bytes.Equal(sealStream(nil, k, plain, aad), sealed) {
			t.Error("an accepted stream has two encodings")
		}
	})
}

func FuzzCodeWord(f *testing.F) {
	k, aad := key.Secret{1}, []byte("context")
	word, err := sealBody(k, []byte("text"), aad)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(word)
	f.Fuzz(func(t *testing.T, other []byte) {
		if _, err := openBody(k, other, aad, newestDictionary()); err == nil && !bytes.Equal(other, word) {
			t.Error("a second code word opens")
		}
		if _, err := openBody(k, other, aad, spread.Hash32{}); err == nil && !bytes.Equal(other, word) {
			t.Error("a second code word opens")
		}
	})
}
