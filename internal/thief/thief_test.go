package thief

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// resource is a record in which every kind of fact stands.
func resource(i int) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Observation","id":"abaton-test-only-%06d","status":"final",`+
		`"subject":{"reference":"Patient/085e81c0-test","display":"Sepulveda%d Quiñones"},"code":{"coding":[{"system":"http://loinc.org",`+
		`"code":"8302-2-%d","display":"Body Height of %d"}]},"note":[{"text":"%s"}]}`, i, i, i, i, strings.Repeat("grew by a hand. ", 20))
}

func facts(t *testing.T, n int) []Fact {
	t.Helper()
	var all []json.RawMessage
	for i := range n {
		all = append(all, resource(i))
	}
	f, err := FactsOf(all...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// keeperFolder is a keeper's folder as it lies on a disk: identity, entry,
// and a store with the given parcels.
func keeperFolder(t *testing.T, x int, parcels ...store.Parcel) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprintf("keeper%d", x))
	secret := key.NewSecret()
	files := map[string][]byte{
		"identity.key": wire.Marshal(map[int][]byte{2: secret[:]}),
		"entry.cbor":   wire.Marshal(map[int]int{1: x}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c store.Change
	for _, p := range parcels {
		if _, err := s.PutParcel(&c, abaton.ActorID{7}, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(&c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func steal(t *testing.T, dir string) *Loot {
	t.Helper()
	l, err := Steal(t.Context(), filepath.Join(t.TempDir(), "copy"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func open(t *testing.T, f []Fact, stolen ...*Loot) *Report {
	t.Helper()
	r, err := Open(t.Context(), f, stolen...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// parcel holds one record as it is given, whatever it is.
func parcel(fragments ...[]byte) store.Parcel {
	p := store.Parcel{Notice: store.Notice{Line: abaton.Line{4}, Head: []byte{1}, Lock: []byte{1}, Capsule: []byte{1}, Receipt: []byte{1}}}
	rand.Read(p.Batch[:])
	for _, f := range fragments {
		r := store.ParcelRecord{Fragment: f, Length: uint32(3 * len(f))}
		rand.Read(r.Share[:])
		p.Records = append(p.Records, r)
		p.Notice.Leaves = append(p.Notice.Leaves, [32]byte{1})
	}
	return p
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// disguises are the ways in which a record could lie on a disk badly sealed.
func disguises(t *testing.T) map[string]func([]byte) []byte {
	t.Helper()
	written := func(open func(io.Writer) io.WriteCloser) func([]byte) []byte {
		return func(plain []byte) []byte {
			var b bytes.Buffer
			w := open(&b)
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
	}
	dictionary, err := os.ReadFile("dictionary/r4-1.zdict")
	if err != nil {
		t.Fatal(err)
	}
	frame := func(options ...zstd.EOption) func(io.Writer) io.WriteCloser {
		return func(w io.Writer) io.WriteCloser {
			e, err := zstd.NewWriter(w, options...)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
	}
	squeeze := func(w io.Writer) io.WriteCloser {
		f, err := flate.NewWriter(w, 9)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	return map[string]func([]byte) []byte{
		"raw":    func(b []byte) []byte { return b },
		"hex":    func(b []byte) []byte { return []byte(hex.EncodeToString(b)) },
		"HEX":    func(b []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(b))) },
		"base64": func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) },
		"base64url, shifted": func(b []byte) []byte {
			return []byte(base64.URLEncoding.EncodeToString(append([]byte{0xFF}, b...)))
		},
		"UTF-16":            func(b []byte) []byte { return []byte(wide(string(b), binary.LittleEndian)) },
		"UTF-16BE":          func(b []byte) []byte { return []byte(wide(string(b), binary.BigEndian)) },
		"zstd":              written(frame()),
		"zstd, dictionary":  written(frame(zstd.WithEncoderDict(dictionary))),
		"zstd, cut off":     func(b []byte) []byte { return written(frame(zstd.WithEncoderDict(dictionary)))(b)[:24] },
		"gzip":              written(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"zlib":              written(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
		"deflate":           written(squeeze),
		"gzip in hex":       nil, // shows that a disguise the opener does not know stays hidden
		"JSON with escapes": func([]byte) []byte { return []byte(`{"a":"\u0053\u0065pulved\u00610 Qui\u00f1ones"}`) },
		"CBOR in CBOR":      func(b []byte) []byte { return wire.Marshal([][]byte{wire.Marshal(map[int]string{1: string(b)})}) },
	}
}

// TestDisguises plants each disguise behind random bytes, as a fragment, and
// sees it found; the same folder with random bytes has nothing.
func TestDisguises(t *testing.T) {
	f := facts(t, 3)
	for name, disguise := range disguises(t) {
		t.Run(name, func(t *testing.T) {
			hidden := noise(400)
			want := false
			if disguise != nil {
				before := noise(41) // a commitment and a header
				if strings.Contains(name, "JSON") || strings.Contains(name, "CBOR") {
					before = nil // parsed values stand alone
				}
				hidden, want = append(before, disguise(resource(0))...), true
			}
			dir := keeperFolder(t, 1, parcel(noise(500), hidden, noise(500)))
			if name == "JSON with escapes" || name == "CBOR in CBOR" {
				putRaw(t, dir, hidden)
			}
			r := open(t, f, steal(t, dir))
			if got := r.Found > 0; got != want {
				t.Errorf("found: got %v (%d), want %v", got, r.Found, want)
			}
			if r.Shares != 3 || r.Fragments != 3 || r.Sealed != 0 {
				t.Errorf("got %d shares and %d fragments, %d left sealed, want 3, 3, 0", r.Shares, r.Fragments, r.Sealed)
			}
		})
	}
}

// putRaw adds a value as another room would keep it.
func putRaw(t *testing.T, dir string, v []byte) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c store.Change
	s.Raw('l').Into(&c).Put([]byte("x"), v)
	if err := s.Commit(&c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// sealedFolders are five keepers' folders of records sealed by package seal:
// real ones, or those of the mutant build whose cipher is the identity.
func sealedFolders(t *testing.T, records int) []string {
	t.Helper()
	b := seal.Batch{
		Patient: abaton.ActorID{1}, Line: abaton.Line{4}, Segment: key.NewBox().Public(), Set: abaton.ActorID{2}, Shape: spread.FiveKeepers(),
		Writer: key.NewSigning(), Seq: 1, Hour: 480000, Author: seal.Author{Actor: abaton.ActorID{3}, Key: key.NewSigning()},
	}
	for i := range records {
		b.Records = append(b.Records, seal.Record{Content: resource(i), Envelope: seal.Envelope{
			Patient: b.Patient, Line: b.Line, Kind: seal.KindResource, Type: "Observation", ID: fmt.Sprint("o", i), VersionID: "v1", LastUpdated: 1_767_000_000_000,
		}})
	}
	s, err := seal.Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for i, u := range s.Uploads {
		p := store.Parcel{Batch: s.Name, Notice: store.Notice{Line: b.Line, Head: wire.Marshal(u.Head), Lock: wire.Marshal(u.Lock), Capsule: u.Capsule}}
		for _, row := range u.Rows {
			p.Records = append(p.Records, store.ParcelRecord{Fragment: row.Fragment, Length: row.Length, Share: row.Share})
			p.Notice.Leaves = append(p.Notice.Leaves, [32]byte{1})
		}
		dirs = append(dirs, keeperFolder(t, i+1, p))
	}
	return dirs
}

// TestSealedRecords is invariant 1, and its own control: in the build whose
// sealing is the identity (go test -tags mutant) every keeper's folder that
// holds a part of the text must be found readable.
func TestSealedRecords(t *testing.T) {
	const records = 60
	f := facts(t, records)
	var loot []*Loot
	for _, dir := range sealedFolders(t, records) {
		loot = append(loot, steal(t, dir))
	}
	for i, l := range loot {
		r := open(t, f, l)
		holdsText := i < 3 // the code is systematic
		if got := r.Found > 0; got && !seal.Identity || !got && seal.Identity && holdsText {
			t.Errorf("keeper %d: readable: got %v, identity build: %v; %s", i+1, got, seal.Identity, r.Readable())
		}
		if r.Shares != records+1 || r.Secrets == 0 || r.Trials == 0 {
			t.Errorf("keeper %d: %d shares unsealed, %d keys, %d trials; want %d shares and some of each", i+1, r.Shares, r.Secrets, r.Trials, records+1)
		}
	}
	for i := range loot {
		for j := i + 1; j < len(loot); j++ {
			r := open(t, f, loot[i], loot[j])
			if got := r.Found > 0; got != seal.Identity {
				t.Errorf("keepers %d and %d: readable: got %v, want %v; %s", i+1, j+1, got, seal.Identity, r.Readable())
			}
			if r.Assembled == 0 {
				t.Errorf("keepers %d and %d: no code word was assembled", i+1, j+1)
			}
		}
	}
}

// TestPlainSystematicCode: a record that is only cut, not sealed, is read from
// two folders, whichever two hold it, where no single fragment would do.
func TestPlainSystematicCode(t *testing.T) {
	code, err := spread.NewCode(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(resource(0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	word := append(b.Bytes(), make([]byte, b.Len())...) // padded to a bucket
	fragments := code.Encode(word)
	for _, pair := range [][2]int{{0, 1}, {0, 3}, {1, 4}, {3, 4}} {
		p := parcel(fragments[pair[0]])
		p.Records[0].Length = uint32(len(word))
		one := keeperFolder(t, pair[0]+1, p)
		p.Records[0].Fragment = fragments[pair[1]]
		two := keeperFolder(t, pair[1]+1, p)
		if r := open(t, facts(t, 1), steal(t, one), steal(t, two)); r.Found == 0 {
			t.Errorf("keepers %d and %d: a record without a seal was not assembled", pair[0]+1, pair[1]+1)
		}
	}
}

// TestKeyBesideRecord: a record whose key lies on the same disk, as a value or
// as its own share, is opened.
func TestKeyBesideRecord(t *testing.T) {
	dek := key.NewSecret()
	t.Run("the key itself", func(t *testing.T) { keyBesideRecord(t, dek, dek) })
	t.Run("the secret it is made from", func(t *testing.T) { keyBesideRecord(t, dek, key.Expand(dek[:], wire.BodyKey)) })
}

// keyBesideRecord seals under one key and lays another beside the record.
func keyBesideRecord(t *testing.T, dek, sealing key.Secret) {
	block, err := aes.NewCipher(sealing[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 12)
	nonce[11] = 1
	text := append([]byte{1, 0, 0, 3, 232, 0, 0, 3, 232}, resource(0)...)
	fragment := append(noise(spread.CommitBytes), aead.Seal(nil, nonce, text, nil)...)

	asShare := parcel(fragment)
	asShare.Records[0].Share = dek
	if r := open(t, facts(t, 1), steal(t, keeperFolder(t, 1, asShare))); r.Found == 0 {
		t.Error("a record under its own share was not opened")
	}
	dir := keeperFolder(t, 1, parcel(fragment))
	if r := open(t, facts(t, 1), steal(t, dir)); r.Found != 0 {
		t.Errorf("a record without its key was opened: %s", r.Readable())
	}
	putRaw(t, dir, dek[:])
	if r := open(t, facts(t, 1), steal(t, dir)); r.Found == 0 {
		t.Error("a record under a value of the same disk was not opened")
	}
}

// TestEveryFragmentIsTaken: small ones that lie together, and large ones that
// have a row of their own.
func TestEveryFragmentIsTaken(t *testing.T) {
	p := parcel(noise(500), noise(store.FragmentTogetherBytes+1), noise(1), noise(store.FragmentTogetherBytes))
	l := steal(t, keeperFolder(t, 1, p))
	for j, r := range p.Records {
		at := place{batch: p.Batch, j: byte(j)}
		if got := l.fragments[at]; !bytes.Equal(got.bytes, r.Fragment) || got.word != int(r.Length) || l.shares[at] != r.Share {
			t.Errorf("record %d: got %d bytes of a word of %d, want %d of %d and the share", j, len(got.bytes), got.word, len(r.Fragment), r.Length)
		}
	}
}

// TestForeignRowKeys: shares are not counted as unsealed when the row keys
// are another keeper's.
func TestForeignRowKeys(t *testing.T) {
	a, b := keeperFolder(t, 1, parcel(noise(500))), keeperFolder(t, 2, parcel(noise(500)))
	copied := filepath.Join(t.TempDir(), "keeper1")
	if err := copyTree(t.Context(), copied, a); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(copied, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(t.Context(), filepath.Join(copied, "keys"), filepath.Join(b, "keys")); err != nil {
		t.Fatal(err)
	}
	if r := open(t, facts(t, 1), steal(t, copied)); r.Shares != 0 || r.Sealed != 1 {
		t.Errorf("got %d unsealed and %d sealed, want 0 and 1", r.Shares, r.Sealed)
	}
}

// TestDictionariesAreAll: the thief knows every dictionary that records were
// ever compressed with.
func TestDictionariesAreAll(t *testing.T) {
	want, err := filepath.Glob("../../seal/dictionary/*.zdict")
	if err != nil || len(want) == 0 {
		t.Fatalf("no dictionaries: %v", err)
	}
	for _, name := range want {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := dictionaryFiles.ReadFile("dictionary/" + filepath.Base(name)); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: the thief has another or none: copy it to internal/thief/dictionary", filepath.Base(name))
		}
	}
}

// TestReportsNameNoText: what is found is named by kind and place only.
func TestReportsNameNoText(t *testing.T) {
	r := open(t, facts(t, 1), steal(t, keeperFolder(t, 1, parcel(resource(0)))))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b) + r.Readable(); r.Found == 0 || strings.Contains(text, "Sepulveda") || strings.Contains(text, "Quiñones") {
		t.Error("the report found nothing or tells what it found")
	}
}

func TestAlignedBase64(t *testing.T) {
	const text = "Sepulveda Quiñones"
	for before := range 4 {
		for after := range 4 {
			whole := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + text + strings.Repeat("y", after)))
			found := false
			for _, part := range aligned(text, base64.RawStdEncoding) {
				found = found || strings.Contains(whole, part)
			}
			if !found {
				t.Errorf("%d bytes before, %d after: not found", before, after)
			}
		}
	}
}

// TestControl: the opener finds every disguise that it lays out itself, and
// says so when there is nothing to look for.
func TestControl(t *testing.T) {
	f := facts(t, 3)
	found, kinds, err := Control(t.Context(), t.TempDir(), f)
	if err != nil || found != kinds || kinds < 6 {
		t.Errorf("got %d of %d found, %v, want all of 6 or more", found, kinds, err)
	}
	if found, kinds, err := Control(t.Context(), t.TempDir(), nil); err == nil || found >= kinds {
		t.Errorf("no facts: got %d of %d, %v, want an error", found, kinds, err)
	}
}

// TestReadable: a key is found right by what a plaintext begins with, never by
// four bytes alone, which some of the millions tried give by chance.
func TestReadable(t *testing.T) {
	stream := append([]byte{0x28, 0xB5, 0x2F, 0xFD}, noise(sampleBytes)...)
	stream[4] &^= 3 // names no dictionary
	for _, c := range []struct {
		name  string
		plain []byte
		want  bool
	}{
		{"noise", noise(sampleBytes), false},
		{"a zstd magic number and noise", stream[:sampleBytes], false},
		{"the same behind noise", append(append([]byte{7}, noise(8)...), stream...)[:sampleBytes], false},
		{"the same behind a body's header", append([]byte{2, 0, 1, 0, 0, 0, 0, 9, 0}, stream...)[:sampleBytes], true},
		{"a stored body", append([]byte{1, 0, 0, 3, 232, 0, 0, 3, 232}, noise(sampleBytes)...)[:sampleBytes], true},
		{"text", resource(0)[:sampleBytes], true},
	} {
		if got := readable(c.plain); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
