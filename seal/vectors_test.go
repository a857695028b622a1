package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write vectors/seal/*.json anew")

// vector is one case that another implementation must decide alike. Byte
// strings are hexadecimal. Expect is "ok" or the step that must refuse it.
type vector struct {
	Comment string `json:"comment"`
	Source  string `json:"source"`
	Input   input  `json:"input"`
	Expect  string `json:"expect"`
}

// input holds what a case needs; which fields, the file decides.
type input struct {
	Key         string       `json:"key,omitempty"`
	Patient     string       `json:"patient,omitempty"`
	Line        string       `json:"line,omitempty"`
	Nonce       string       `json:"nonce,omitempty"`
	M           int          `json:"m,omitempty"`
	J           int          `json:"j,omitempty"`
	Aad         string       `json:"aad,omitempty"`
	Dictionary  string       `json:"dictionary,omitempty"`
	Text        string       `json:"text,omitempty"`
	Plain       string       `json:"plain,omitempty"`
	Word        string       `json:"word,omitempty"`
	Raw         string       `json:"raw,omitempty"`
	Content     string       `json:"content,omitempty"`
	Writer      string       `json:"writer,omitempty"`
	ID          string       `json:"id,omitempty"`
	Parents     []string     `json:"parents,omitempty"`
	VersionID   string       `json:"version_id,omitempty"`
	SegmentSeed string       `json:"segment_seed,omitempty"`
	Set         string       `json:"set,omitempty"`
	Name        string       `json:"name,omitempty"`
	Rows        uint64       `json:"rows,omitempty"`
	Authors     []string     `json:"authors,omitempty"`
	Pieces      []pieceText  `json:"pieces,omitempty"`
	Records     []recordText `json:"records,omitempty"`
}

type pieceText struct {
	Keeper int    `json:"keeper"`
	Piece  string `json:"piece"`
}

type recordText struct {
	Index uint16 `json:"index"`
	Raw   string `json:"raw"`
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("vectors are hexadecimal: " + err.Error())
	}
	return b
}

func unhex32(s string) (b [32]byte) {
	copy(b[:], unhex(s))
	return b
}

func fill32(label string) [32]byte { return sha256.Sum256([]byte("abaton-test-only " + label)) }

// TestVectors decides each case as the files say. What is deterministic is
// made anew and compared.
func TestVectors(t *testing.T) {
	for _, s := range []struct {
		file   string
		build  func(t *testing.T, old []vector) []vector
		decide func(in input) string
	}{
		{"stream.json", streamVectors, decideStream},
		{"plain.json", plainVectors, decidePlain},
		{"body.json", bodyVectors, decideBody},
		{"record.json", recordVectors, decideRecord},
		{"index.json", indexVectors, decideIndex},
		{"version.json", versionVectors, decideVersion},
		{"object.json", objectVectors, decideObject},
		{"open.json", openVectors, decideOpen},
	} {
		t.Run(s.file, func(t *testing.T) {
			file := filepath.Join("..", "vectors", "seal", s.file)
			var old []vector
			have, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(have, &old)
			}
			if err != nil && !*update {
				t.Fatal(err)
			}
			made, err := json.MarshalIndent(s.build(t, old), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, '\n')
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, made, 0o644); err != nil {
					t.Fatal(err)
				}
				have = made
			}
			if !bytes.Equal(have, made) {
				t.Errorf("%s is not what the code makes; if that is meant, run with -update", s.file)
			}
			var vectors []vector
			if err := json.Unmarshal(have, &vectors); err != nil {
				t.Fatal(err)
			}
			for _, v := range vectors {
				if got := s.decide(v.Input); got != v.Expect {
					t.Errorf("%s: got %s, want %s", v.Comment, got, v.Expect)
				}
			}
		})
	}
}

// step is the word before the sentinel.
func step(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrSegment):
		return "segment"
	case errors.Is(err, ErrLocker):
		return "locker"
	case errors.Is(err, ErrAuthor):
		return "author"
	case errors.Is(err, ErrFaulty):
		return "faulty"
	case errors.Is(err, ErrEnvelope):
		return "envelope"
	}
	return strings.TrimSuffix(err.Error(), ": "+errBody.Error())
}

func streamVectors(*testing.T, []vector) (out []vector) {
	k, aad := fill32("stream key"), fill32("aad")
	add := func(comment, expect string, length int, change func([]byte) []byte) {
		text := bytes.Repeat([]byte{0x61}, length)
		sealed := sealStream(nil, k, text, aad[:])
		if change != nil {
			sealed = change(sealed)
		}
		in := input{Key: hex.EncodeToString(k[:]), Aad: hex.EncodeToString(aad[:]), Word: hex.EncodeToString(sealed)}
		if expect == "ok" {
			in.Text = hex.EncodeToString(text)
		}
		out = append(out, vector{comment, "PROTOCOL.md#stream", in, expect})
	}
	const size = spread.ChunkBytes + spread.TagBytes
	add("one byte", "ok", 1, nil)
	add("256 bytes", "ok", 256, nil)
	add("one chunk and a byte", "ok", spread.ChunkBytes+1, nil)
	add("no chunk", "cipher", 1, func([]byte) []byte { return nil })
	add("a tag alone", "cipher", 1, func(b []byte) []byte { return b[1:] })
	add("a bit flipped", "cipher", 256, func(b []byte) []byte { return flip(b, 100) })
	add("tag flipped", "cipher", 256, func(b []byte) []byte { return flip(b, len(b)-1) })
	add("last chunk cut off", "cipher", spread.ChunkBytes+1, func(b []byte) []byte { return b[:size] })
	add("first chunk cut off", "cipher", spread.ChunkBytes+1, func(b []byte) []byte { return b[size:] })
	return out
}

func decideStream(in input) string {
	got, ok := openStream(unhex32(in.Key), unhex(in.Word), unhex(in.Aad))
	if !ok {
		return "cipher"
	}
	if !bytes.Equal(got, unhex(in.Text)) {
		return "differs"
	}
	return "ok"
}

func plainVectors(t *testing.T, _ []vector) (out []vector) {
	raw := bytes.Repeat([]byte(`{"code":"8480-6","value":120}`), 20)
	n, none, newest := len(raw), spread.Hash32{}, newestDictionary()
	good := frameOf(t, raw, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, "skip"...)
	add := func(comment, expect string, plain []byte, dictionary spread.Hash32) {
		in := input{Plain: hex.EncodeToString(plain), Dictionary: hex.EncodeToString(dictionary[:])}
		if expect == "ok" {
			in.Raw = hex.EncodeToString(raw)
		}
		out = append(out, vector{comment, "PROTOCOL.md#frame", in, expect})
	}
	packed, err := pack(raw)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	bomb := frameOf(t, zeros, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	add("newest dictionary", "ok", packed, newest)
	add("no dictionary", "ok", plainOf(codecZstd, n, len(good), good), none)
	add("stored", "ok", plainOf(codecStored, n, n, raw), newest)
	add("another dictionary than named", "frame", packed, none)
	add("an unknown dictionary", "dictionary", packed, fill32("dictionary"))
	add("codec 0", "codec", plainOf(0, n, n, raw), none)
	add("codec 3", "codec", plainOf(3, n, n, raw), none)
	add("two frames", "frame", plainOf(codecZstd, 2*n, 2*len(good), slices.Concat(good, good)), none)
	add("a skippable frame before", "frame", plainOf(codecZstd, n, len(good)+12, slices.Concat(skippable, good)), none)
	add("a skippable frame after", "frame", plainOf(codecZstd, n, len(good)+12, slices.Concat(good, skippable)), none)
	add("a byte after the frame", "frame", plainOf(codecZstd, n, len(good)+1, append(slices.Clone(good), 0)), none)
	add("frame cut short", "frame", plainOf(codecZstd, n, len(good)-1, good[:len(good)-1]), none)
	add("checksum altered", "frame content", plainOf(codecZstd, n, len(good), flip(good, len(good)-1)), none)
	add("no checksum", "frame", plain(t, raw, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)), none)
	unchecked := append(frameOf(t, raw, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)), 0, 0, 0, 0)
	add("no checksum, and four bytes more", "frame", plainOf(codecZstd, n, len(unchecked), unchecked), none)
	add("rawlen one more", "frame", plainOf(codecZstd, n+1, len(good), good), none)
	add("rawlen one less", "frame", plainOf(codecZstd, n-1, len(good), good), none)
	add("stored, rawlen one less", "stored length", plainOf(codecStored, n-1, n, raw), none)
	add("complen beyond the bucket", "plaintext lengths", plainOf(codecZstd, n, 1<<20, good), none)
	add("1 MiB from a few bytes", "plaintext lengths", plainOf(codecZstd, len(zeros), len(bomb), bomb), none)
	add("rawlen above the limit", "plaintext lengths", plainOf(codecStored, abaton.RecordBytesMax+1, n, raw), none)
	add("a bucket too large", "plaintext lengths", append(plainOf(codecZstd, n, len(good), good), make([]byte, 128)...), none)
	add("no bucket", "plaintext lengths", plainOf(codecZstd, n, len(good), good)[:200], none)
	add("padding not zero", "padding", flip(plainOf(codecZstd, n, len(good), good), 255), none)
	add("nothing", "plaintext header", nil, none)
	return out
}

func decidePlain(in input) string {
	raw, err := unpack(unhex(in.Plain), unhex32(in.Dictionary))
	if err != nil {
		return step(err)
	}
	if !bytes.Equal(raw, unhex(in.Raw)) {
		return "differs"
	}
	return "ok"
}

func bodyVectors(t *testing.T, _ []vector) (out []vector) {
	dek, patient, nonce := key.Secret(fill32("record key")), fill32("patient"), [16]byte(unhex("000102030405060708090a0b0c0d0e0f"))
	raw := []byte("abaton-test-only text")
	word, err := sealBody(dek, raw, bodyContext(patient, nonce, 3, 1))
	if err != nil {
		t.Fatal(err)
	}
	newest := newestDictionary()
	base := input{
		Key: hex.EncodeToString(dek[:]), Patient: hex.EncodeToString(patient[:]), Nonce: hex.EncodeToString(nonce[:]),
		M: 3, J: 1, Dictionary: hex.EncodeToString(newest[:]), Word: hex.EncodeToString(word),
	}
	add := func(comment, expect string, change func(*input)) {
		in := base
		change(&in)
		out = append(out, vector{comment, "PROTOCOL.md#body", in, expect})
	}
	add("record 1 of 3", "ok", func(in *input) { in.Raw = hex.EncodeToString(raw) })
	add("as record 2", "cipher", func(in *input) { in.J = 2 })
	add("of a batch of 4", "cipher", func(in *input) { in.M = 4 })
	add("of another patient", "cipher", func(in *input) { in.Patient = hex.EncodeToString(flip(patient[:], 0)) })
	add("of another batch", "cipher", func(in *input) { in.Nonce = hex.EncodeToString(flip(nonce[:], 0)) })
	add("with another key", "cipher", func(in *input) { in.Key = in.Patient })
	add("ciphertext altered", "cipher", func(in *input) { in.Word = hex.EncodeToString(flip(word, 40)) })
	add("commitment altered", "commitment", func(in *input) { in.Word = hex.EncodeToString(flip(word, 0)) })
	other := commitment(dek, append(slices.Clone(raw), ' '))
	add("commitment to another text", "commitment", func(in *input) { in.Word = hex.EncodeToString(append(other[:], word[32:]...)) })
	key2 := commitment(key.Secret(patient), raw)
	add("commitment to another key", "commitment", func(in *input) { in.Word = hex.EncodeToString(append(key2[:], word[32:]...)) })
	add("a byte short", "length", func(in *input) { in.Word = in.Word[:len(in.Word)-2] })
	add("a byte more", "length", func(in *input) { in.Word += "00" })
	add("the commitment alone", "length", func(in *input) { in.Word = in.Word[:64] })
	return out
}

func decideBody(in input) string {
	aad := bodyContext(unhex32(in.Patient), [16]byte(unhex(in.Nonce)), in.M, in.J)
	raw, err := openBody(unhex32(in.Key), unhex(in.Word), aad, unhex32(in.Dictionary))
	if err != nil {
		return step(err)
	}
	if !bytes.Equal(raw, unhex(in.Raw)) {
		return "differs"
	}
	return "ok"
}

// sample is the record of the vectors.
func sample() Record {
	return Record{
		Envelope: Envelope{
			Patient: fill32("patient"), Line: [16]byte(unhex("000102030405060708090a0b0c0d0e0f")), Kind: KindResource,
			Type: "Observation", ID: "bp-1", VersionID: "aaaqeayeaudaocajbifqydiob4", LastUpdated: 1_767_225_600_000,
			Parents: []string{"p5xw4y3boruw63tpnzzxe33uea"}, Person: fill32("person"), Transaction: []byte("0123456789abcdef"),
		},
		Content: []byte(`{"resourceType":"Observation","id":"bp-1","status":"final"}`),
	}
}

func recordVectors(*testing.T, []vector) (out []vector) {
	add := func(comment, expect string, change func(*Record)) {
		r := sample()
		change(&r)
		in := input{Raw: hex.EncodeToString(r.raw())}
		if expect == "ok" {
			in.Content = hex.EncodeToString(r.Content)
		}
		out = append(out, vector{comment, "PROTOCOL.md#envelope", in, expect})
	}
	add("an observation", "ok", func(*Record) {})
	add("a part", "ok", func(r *Record) { r.Envelope.Kind, r.Envelope.Type, r.Content = KindPart, "Binary", []byte{0, 1, 2} })
	add("a deletion, without content", "ok", func(r *Record) { r.Envelope.Deleted, r.Content = true, nil })
	for _, c := range []struct {
		comment string
		change  func(*Envelope)
	}{
		{"no patient", func(e *Envelope) { e.Patient = abaton.ActorID{} }},
		{"no line", func(e *Envelope) { e.Line = abaton.Line{} }},
		{"kind 0", func(e *Envelope) { e.Kind = 0 }},
		{"kind 7", func(e *Envelope) { e.Kind = 7 }},
		{"part without version", func(e *Envelope) { e.Kind, e.VersionID = KindPart, "" }},
		{"object without id", func(e *Envelope) { e.Kind, e.ID = KindObject, "" }},
		{"resource of no type", func(e *Envelope) { e.Type = "" }},
		{"resource without id", func(e *Envelope) { e.ID = "" }},
		{"id of 65 characters", func(e *Envelope) { e.ID = strings.Repeat("x", 65) }},
		{"resource without version", func(e *Envelope) { e.VersionID = "" }},
		{"an empty parent", func(e *Envelope) { e.Parents = []string{""} }},
		{"65 parents", func(e *Envelope) { e.Parents = slices.Repeat(e.Parents, 65) }},
		{"transaction of 8 bytes", func(e *Envelope) { e.Transaction = e.Transaction[:8] }},
		{"source of 16 bytes", func(e *Envelope) { e.Source = make([]byte, 16) }},
	} {
		add(c.comment, "envelope", func(r *Record) { c.change(&r.Envelope) })
	}
	good := sample()
	raw := good.raw()
	for _, c := range []struct {
		comment string
		raw     []byte
	}{
		{"nothing", nil}, {"content alone", good.Content}, {"envelope cut short", raw[:100]},
		{"a field more", append([]byte{raw[0] + 1}, append(slices.Clone(raw[1:len(raw)-len(good.Content)]), 13, 0)...)},
		{"a field less", append([]byte{raw[0] - 1}, raw[1:]...)},
		{"a tag before", append([]byte{0xc0}, raw...)},
		{"indefinite length", append([]byte{0xbf}, raw[1:]...)},
	} {
		out = append(out, vector{c.comment, "PROTOCOL.md#envelope", input{Raw: hex.EncodeToString(c.raw)}, "envelope"})
	}
	return out
}

func decideRecord(in input) string {
	r, err := parseRecord(unhex(in.Raw))
	if err != nil {
		return step(err)
	}
	if !bytes.Equal(r.Content, unhex(in.Content)) {
		return "differs"
	}
	return "ok"
}

func indexVectors(*testing.T, []vector) (out []vector) {
	add := func(comment, expect string, change func(*Index)) {
		e := sample().Envelope
		x := Index{Version: wire.Version, Entries: []Entry{entryOf(&e, Fact{Date: "2026-01-01", Codes: []string{"http://loinc.org|85354-9"}}), entryOf(&e, Fact{})}}
		change(&x)
		out = append(out, vector{comment, "PROTOCOL.md#index", input{Content: hex.EncodeToString(x.Bytes())}, expect})
	}
	add("two records", "ok", func(*Index) {})
	add("version 2", "envelope", func(x *Index) { x.Version = 2 })
	add("one record needs no index", "envelope", func(x *Index) { x.Entries = x.Entries[:1] })
	add("64 records and the index", "envelope", func(x *Index) { x.Entries = slices.Repeat(x.Entries, 32) })
	add("an index in an index", "envelope", func(x *Index) { x.Entries[0].Kind = KindIndex })
	add("a part beside others", "envelope", func(x *Index) { x.Entries[0].Kind = KindPart })
	add("33 codes", "envelope", func(x *Index) { x.Entries[0].Codes = make([]string, 33) })
	add("a code of 257 characters", "envelope", func(x *Index) { x.Entries[0].Codes = []string{strings.Repeat("x", 257)} })
	return out
}

func decideIndex(in input) string {
	_, err := ParseIndex(unhex(in.Content))
	return step(err)
}

func versionVectors(*testing.T, []vector) (out []vector) {
	writer := fill32("writer")
	add := func(comment, id string, parents ...string) {
		nonce := [16]byte(unhex("000102030405060708090a0b0c0d0e0f"))
		out = append(out, vector{comment, "PROTOCOL.md#version", input{
			Writer: hex.EncodeToString(writer[:]), Nonce: hex.EncodeToString(nonce[:]), ID: id, Parents: parents,
			VersionID: VersionID(writer, id, parents, nonce),
		}, "ok"})
	}
	add("the first version", "bp-1")
	add("after one", "bp-1", "p5xw4y3boruw63tpnzzxe33uea")
	add("a merge", "bp-1", "p5xw4y3boruw63tpnzzxe33uea", "aaaqeayeaudaocajbifqydiob4")
	in := out[0].Input
	in.ID = "bp-2"
	return append(out, vector{"another resource", "PROTOCOL.md#version", in, "differs"})
}

func decideVersion(in input) string {
	if VersionID(unhex32(in.Writer), in.ID, in.Parents, [16]byte(unhex(in.Nonce))) != in.VersionID {
		return "differs"
	}
	return "ok"
}

// openVectors seals two batches with fixed keys. Go cannot fix the randomness
// of an encapsulation, so a new file gets a fresh one and an old file keeps
// its own: the KEM's output does not depend on ctx, and the private key turns
// it into the same secrets again.
func openVectors(t *testing.T, old []vector) (out []vector) {
	seed := key.Secret(fill32("segment"))
	segment, writer, author := key.BoxFromSeed(seed), key.SigningFromSeed(fill32("writer")), key.SigningFromSeed(fill32("author"))
	enc, err := oldEnc(old)
	if err != nil || *update && enc == nil {
		if enc, _, err = segment.Public().Encapsulate(nil); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{
		patient: sample().Envelope.Patient, line: sample().Envelope.Line, set: fill32("set"), org: fill32("organisation"),
		segment: segment, writer: writer, author: author, shape: spread.FiveKeepers(),
	}
	build := func(count int) *Sealed {
		b := w.batch(count)
		e := &entropy{nonce: [16]byte(unhex("000102030405060708090a0b0c0d0e0f"))}
		for i := range count {
			e.order = append(e.order, count-1-i)
		}
		for j := range batchSize(count) {
			e.keys = append(e.keys, fill32("record key "+string(rune('a'+j))))
		}
		e.coefficients = func(j int) [][32]byte {
			return [][32]byte{fill32("c1" + string(rune('a'+j))), fill32("c2" + string(rune('a'+j)))}
		}
		e.encapsulate = func(info []byte) ([]byte, key.Exporter, error) {
			x, err := segment.Decapsulate(enc, info)
			return slices.Clone(enc), x, err
		}
		s, err := sealWith(b, e)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	add := func(comment, expect string, count int, rows uint64, keepers []int, change func(*input)) {
		s := build(count)
		in := input{
			SegmentSeed: hex.EncodeToString(seed[:]), Set: hex.EncodeToString(w.set[:]), Name: hex.EncodeToString(s.Name[:]), Rows: rows,
		}
		id := author.ID()
		in.Authors = []string{hex.EncodeToString(id[:])}
		stored := w.stored(t, s)
		for _, x := range keepers {
			in.Pieces = append(in.Pieces, pieceText{x, hex.EncodeToString(piece(t, stored[x-1], rows))})
		}
		if expect == "ok" {
			in.Records = openAll(t, &in)
		}
		if change != nil {
			change(&in)
		}
		out = append(out, vector{comment, "PROTOCOL.md#opening", in, expect})
	}
	add("one record", "ok", 1, 1, []int{1, 2, 3}, nil)
	add("two records and their index", "ok", 2, 0b111, []int{5, 4, 2}, nil)
	add("the index alone", "ok", 2, 0b001, []int{1, 3, 5}, nil)
	add("with another segment's key", "segment", 1, 1, []int{1, 2, 3}, func(in *input) { in.SegmentSeed = in.Set })
	add("by an author nobody knows", "author", 1, 1, []int{1, 2, 3}, func(in *input) { in.Authors = nil })
	add("signed with another author's key", "author", 1, 1, []int{1, 2, 3}, func(in *input) { in.Authors = []string{in.Set} })
	add("two keepers", "too few", 1, 1, []int{1, 2}, nil)
	return out
}

// oldEnc is the encapsulation in the first vector of a file.
func oldEnc(old []vector) ([]byte, error) {
	if len(old) == 0 {
		return nil, ErrEnvelope
	}
	var capsule []byte
	for _, p := range old[0].Input.Pieces {
		piece, err := spread.ParsePiece(unhex(p.Piece))
		if err != nil {
			return nil, err
		}
		capsule = append(capsule, piece.Capsule...)
	}
	if len(capsule) < key.EncBytes {
		return nil, ErrEnvelope
	}
	return capsule[:key.EncBytes], nil
}

func opened(in *input) ([]Opened, string) {
	g, err := spread.NewGather(unhex32(in.Name), in.Rows, spread.FiveKeepers(), unhex32(in.Set), anybody)
	if err != nil {
		return nil, err.Error()
	}
	for _, p := range in.Pieces {
		if err := g.Add(abaton.KeeperIndex(p.Keeper), unhex(p.Piece)); err != nil {
			return nil, err.Error()
		}
	}
	result := g.Result()
	if !result.Complete() {
		return nil, "too few"
	}
	all, err := Open(key.BoxFromSeed(unhex32(in.SegmentSeed)), result, func(abaton.ActorID) (ids []abaton.KeyID) {
		for _, a := range in.Authors {
			ids = append(ids, unhex32(a))
		}
		return ids
	})
	if err != nil {
		return nil, err.Error()
	}
	for _, o := range all {
		if o.Err != nil {
			return nil, step(o.Err)
		}
	}
	return all, "ok"
}

func openAll(t *testing.T, in *input) (out []recordText) {
	t.Helper()
	all, verdict := opened(in)
	if verdict != "ok" {
		t.Fatalf("the batch of the vectors: %s", verdict)
	}
	for _, o := range all {
		out = append(out, recordText{o.Name.Index, hex.EncodeToString(o.Record.raw())})
	}
	return out
}

func decideOpen(in input) string {
	all, verdict := opened(&in)
	if verdict != "ok" {
		return verdict
	}
	for i, o := range all {
		if len(all) != len(in.Records) || in.Records[i].Index != o.Name.Index || in.Records[i].Raw != hex.EncodeToString(o.Record.raw()) {
			return "differs"
		}
	}
	return "ok"
}
