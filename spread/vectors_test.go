package spread

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write vectors/spread/*.json anew")

// vector is one case that another implementation must decide alike. Byte
// strings are hexadecimal. Expect is "ok" or what must refuse it.
type vector struct {
	Comment string `json:"comment"`
	Source  string `json:"source"`
	Input   input  `json:"input"`
	Expect  string `json:"expect"`
}

// input holds what a case needs; which fields, the file decides.
type input struct {
	N            uint8       `json:"n,omitempty"`
	K            uint8       `json:"k,omitempty"`
	T            uint8       `json:"t,omitempty"`
	X            []int       `json:"x,omitempty"`
	Hash         string      `json:"hash,omitempty"`
	Secret       string      `json:"secret,omitempty"`
	Coefficients []string    `json:"coefficients,omitempty"`
	Shares       []shareText `json:"shares,omitempty"`
	Leaves       []string    `json:"leaves,omitempty"`
	Index        int         `json:"index,omitempty"`
	Path         []string    `json:"path,omitempty"`
	Root         string      `json:"root,omitempty"`
	Word         string      `json:"word,omitempty"`
	Fragments    []string    `json:"fragments,omitempty"`
	Bytes        int         `json:"bytes,omitempty"`
	Bucket       int         `json:"bucket,omitempty"`
	CodeWord     int         `json:"code_word,omitempty"`
	Keeper       int         `json:"keeper,omitempty"`
	Set          string      `json:"set,omitempty"`
	Upload       string      `json:"upload,omitempty"`
	Name         string      `json:"name,omitempty"`
	Rows         uint64      `json:"rows,omitempty"`
	Pieces       []pieceText `json:"pieces,omitempty"`
	Found        []foundText `json:"found,omitempty"`
	Faults       []faultText `json:"faults,omitempty"`
	Fault        string      `json:"fault,omitempty"`
	Rekey        string      `json:"rekey,omitempty"`
	Head         *signedText `json:"head,omitempty"`
	Lock         *signedText `json:"lock,omitempty"`
	Ctx          string      `json:"ctx,omitempty"`
	Erased       uint64      `json:"erased,omitempty"`
}

type shareText struct {
	X int    `json:"x"`
	Y string `json:"y"`
}

type pieceText struct {
	Keeper int    `json:"keeper"`
	Piece  string `json:"piece"`
}

type foundText struct {
	Index  uint16   `json:"index"`
	Word   string   `json:"word"`
	Masked []string `json:"masked"`
}

type faultText struct {
	Party  int    `json:"party"`
	Keeper int    `json:"keeper,omitempty"`
	Reason string `json:"reason"`
}

type signedText struct {
	Body string `json:"body"`
	Sig  string `json:"sig"`
}

func hexes[T ~[32]byte](all []T) (out []string) {
	for i := range all {
		b := [32]byte(all[i])
		out = append(out, hex.EncodeToString(b[:]))
	}
	return out
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

func unhexes(all []string) (out []Hash32) {
	for _, s := range all {
		out = append(out, unhex32(s))
	}
	return out
}

func textOf(s wire.Signed) *signedText {
	return &signedText{hex.EncodeToString(s.Body), hex.EncodeToString(s.Sig)}
}

func (s *signedText) signed() wire.Signed { return wire.Signed{Body: unhex(s.Body), Sig: unhex(s.Sig)} }

// TestVectors makes every file anew, compares, and decides each case as the
// file says.
func TestVectors(t *testing.T) {
	for _, s := range []struct {
		file   string
		build  func(t *testing.T) []vector
		decide func(in input) string
	}{
		{"shape.json", shapeVectors, decideShape},
		{"shamir.json", shamirVectors, decideShamir},
		{"tree.json", treeVectors, decideTree},
		{"code.json", codeVectors, decideCode},
		{"bucket.json", bucketVectors, decideBucket},
		{"signed.json", signedVectors, decideSigned},
		{"upload.json", uploadVectors, decideUpload},
		{"gather.json", gatherVectors, decideGather},
		{"fault.json", faultVectors, decideFault},
		{"rekey.json", rekeyVectors, decideRekey},
	} {
		t.Run(s.file, func(t *testing.T) {
			file := filepath.Join("..", "vectors", "spread", s.file)
			made, err := json.MarshalIndent(s.build(t), "", "  ")
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
			}
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
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

func verdict(err error) string {
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return string(refused.Reason)
	}
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrShape):
		return "shape"
	case errors.Is(err, ErrShares):
		return "shares"
	case errors.Is(err, ErrFragments):
		return "fragments"
	case errors.Is(err, ErrFault):
		return "not proven"
	}
	return err.Error()
}

func (in *input) shape() Shape {
	s := Shape{N: in.N, K: in.K, T: in.T}
	for _, x := range in.X {
		s.X = append(s.X, abaton.KeeperIndex(x))
	}
	return s
}

func shapeVectors(*testing.T) (out []vector) {
	add := func(comment, expect string, n, k, t uint8, x ...int) {
		in := input{N: n, K: k, T: t, X: x}
		if expect == "ok" {
			sum := in.shape().Hash()
			in.Hash = hex.EncodeToString(sum[:])
		}
		out = append(out, vector{comment, "PROTOCOL.md#shape", in, expect})
	}
	add("five keepers, three and three", "ok", 5, 3, 3, 1, 2, 3, 4, 5)
	add("coordinates with a gap", "ok", 4, 2, 3, 1, 2, 4, 9)
	add("no keepers", "shape", 0, 0, 0)
	add("one fragment is the body", "shape", 5, 1, 3, 1, 2, 3, 4, 5)
	add("one share is the key", "shape", 5, 3, 1, 1, 2, 3, 4, 5)
	add("more fragments needed than there are", "shape", 5, 6, 3, 1, 2, 3, 4, 5)
	add("more shares needed than there are", "shape", 5, 3, 6, 1, 2, 3, 4, 5)
	add("x of zero", "shape", 5, 3, 3, 0, 2, 3, 4, 5)
	add("the same x twice", "shape", 5, 3, 3, 1, 2, 2, 4, 5)
	add("x not ascending", "shape", 5, 3, 3, 1, 3, 2, 4, 5)
	add("a coordinate missing", "shape", 5, 3, 3, 1, 2, 3, 4)
	add("seventeen keepers", "shape", 17, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
	return out
}

func decideShape(in input) string {
	s := in.shape()
	if err := s.Validate(); err != nil {
		return verdict(err)
	}
	if s.Hash() != unhex32(in.Hash) {
		return "differs"
	}
	return "ok"
}

func shamirVectors(*testing.T) (out []vector) {
	secret, coefficients := fill32("secret"), [][32]byte{fill32("c1"), fill32("c2")}
	shares := Evaluate(secret, coefficients, FiveKeepers().X)
	text := func(pick ...int) (all []shareText) {
		for _, p := range pick {
			all = append(all, shareText{int(shares[p].X), hex.EncodeToString(shares[p].Y[:])})
		}
		return all
	}
	add := func(comment, expect string, all []shareText) {
		in := input{Secret: hex.EncodeToString(secret[:]), Shares: all}
		if expect == "ok" {
			in.Coefficients = hexes(coefficients)
		}
		out = append(out, vector{comment, "PROTOCOL.md#shares", in, expect})
	}
	add("keepers 1, 2, 3", "ok", text(0, 1, 2))
	add("keepers 5, 1, 3, in that order", "ok", text(4, 0, 2))
	add("keepers 2, 4, 5", "ok", text(1, 3, 4))
	add("two of three", "differs", text(0, 1))
	add("one", "shares", text(0))
	add("none", "shares", nil)
	add("one keeper twice", "shares", text(0, 1, 1))
	zero := text(0, 1, 2)
	zero[2].X = 0
	add("a share at x = 0", "shares", zero)
	swapped := text(0, 1, 3)
	swapped[0].X, swapped[1].X = 2, 1
	add("two shares exchanged", "differs", swapped)
	return out
}

func decideShamir(in input) string {
	var shares []Share
	for _, s := range in.Shares {
		shares = append(shares, Share{X: abaton.KeeperIndex(s.X), Y: unhex32(s.Y)})
	}
	secret, err := Combine(shares)
	if err != nil {
		return verdict(err)
	}
	if secret != unhex32(in.Secret) {
		return "differs"
	}
	var coefficients [][32]byte
	for _, c := range in.Coefficients {
		coefficients = append(coefficients, unhex32(c))
	}
	for _, s := range shares {
		if len(coefficients) > 0 && Evaluate(secret, coefficients, []abaton.KeeperIndex{s.X})[0] != s {
			return "differs"
		}
	}
	return "ok"
}

func treeVectors(*testing.T) (out []vector) {
	add := func(comment, expect string, m, j int, change func(*input)) {
		leaves := make([]Hash32, m)
		for i := range leaves {
			leaves[i] = fill32(fmt.Sprint("leaf ", i))
		}
		root := Root(leaves)
		in := input{Leaves: hexes(leaves), Index: j, Path: hexes(Path(leaves, min(j, m-1))), Root: hex.EncodeToString(root[:])}
		if change != nil {
			change(&in)
		}
		out = append(out, vector{comment, "PROTOCOL.md#trees", in, expect})
	}
	for _, m := range []int{1, 2, 3, 5, 8, 13} {
		add(fmt.Sprintf("last of %d", m), "ok", m, m-1, nil)
	}
	add("third of seven", "ok", 7, 2, nil)
	add("one leaf with a path", "path", 1, 0, func(in *input) { in.Path = []string{in.Root} })
	add("index beyond the tree", "path", 3, 3, nil)
	add("path one short", "path", 7, 2, func(in *input) { in.Path = in.Path[1:] })
	add("path one long", "path", 7, 2, func(in *input) { in.Path = append(in.Path, in.Root) })
	add("path turned round", "path", 7, 2, func(in *input) { slices.Reverse(in.Path) })
	add("path of another leaf", "path", 7, 2, func(in *input) { in.Path = hexes(Path(unhexes(in.Leaves), 3)) })
	add("another root", "path", 7, 2, func(in *input) { in.Root = in.Leaves[0] })
	return out
}

func decideTree(in input) string {
	leaves := unhexes(in.Leaves)
	if in.Index >= len(leaves) || !VerifyPath(leaves[in.Index], in.Index, len(leaves), unhexes(in.Path), unhex32(in.Root)) {
		return "path"
	}
	if Root(leaves) != unhex32(in.Root) {
		return "differs"
	}
	return "ok"
}

func codeVectors(t *testing.T) (out []vector) {
	add := func(comment, expect string, n, k uint8, length int, keep []int, change func([]string)) {
		code, err := NewCode(n, k)
		if err != nil {
			t.Fatal(err)
		}
		word := fill("word", length)
		in := input{N: n, K: k, Word: hex.EncodeToString(word), Fragments: make([]string, n)}
		for p, f := range code.Encode(word) {
			if slices.Contains(keep, p) {
				in.Fragments[p] = hex.EncodeToString(f)
			}
		}
		if change != nil {
			change(in.Fragments)
		}
		out = append(out, vector{comment, "PROTOCOL.md#code", in, expect})
	}
	add("the first three", "ok", 5, 3, 30, []int{0, 1, 2}, nil)
	add("the last three, padded by one", "ok", 5, 3, 29, []int{2, 3, 4}, nil)
	add("padded by two", "ok", 5, 3, 28, []int{0, 3, 4}, nil)
	add("one byte", "ok", 5, 3, 1, []int{1, 2, 4}, nil)
	add("two of four", "ok", 4, 2, 17, []int{2, 3}, nil)
	add("eight of sixteen", "ok", 16, 8, 100, []int{1, 3, 5, 7, 9, 11, 13, 15}, nil)
	add("two are too few", "fragments", 5, 3, 30, []int{0, 1}, nil)
	add("none", "fragments", 5, 3, 30, nil, nil)
	add("a fragment too short", "fragments", 5, 3, 30, []int{0, 1, 2}, func(f []string) { f[2] = f[2][2:] })
	add("a bit wrong", "differs", 5, 3, 30, []int{0, 1, 4}, func(f []string) { f[4] = "00" + f[4][2:] })
	add("two exchanged", "differs", 5, 3, 30, []int{0, 1, 2}, func(f []string) { f[0], f[1] = f[1], f[0] })
	return out
}

func decideCode(in input) string {
	code, err := NewCode(in.N, in.K)
	if err != nil {
		return verdict(err)
	}
	word, places := unhex(in.Word), make([][]byte, in.N)
	for p, f := range in.Fragments {
		if f != "" {
			places[p] = unhex(f)
		}
	}
	got, all, err := code.Decode(places, len(word))
	if err != nil {
		return verdict(err)
	}
	if !bytes.Equal(got, word) {
		return "differs"
	}
	for p := range all {
		if places[p] != nil && !bytes.Equal(all[p], places[p]) {
			return "differs"
		}
	}
	return "ok"
}

func bucketVectors(*testing.T) (out []vector) {
	for _, n := range []int{1, 256, 257, 385, 700, 1025, 49153, 65536, 65537, 100000, 1 << 20, 1<<20 + 1, 16 << 20} {
		in := input{Bytes: n, Bucket: Bucket(n), CodeWord: CodeWordBytes(Bucket(n))}
		out = append(out, vector{fmt.Sprintf("%d bytes", n), "PROTOCOL.md#buckets", in, "ok"})
	}
	for comment, length := range map[string]int{
		"below the smallest": 303, "between two": 305, "no tag": 416, "a second tag too many": 448,
		"one chunk's tag missing": CodeWordBytes(1<<20) - 16, "above the largest": CodeWordBytesMax() + 1,
	} {
		out = append(out, vector{"code word " + comment, "PROTOCOL.md#buckets", input{CodeWord: length}, "length"})
	}
	slices.SortStableFunc(out[13:], func(a, b vector) int { return a.Input.CodeWord - b.Input.CodeWord })
	return out
}

func decideBucket(in input) string {
	switch {
	case !ValidCodeWordBytes(in.CodeWord):
		return "length"
	case Bucket(in.Bytes) != in.Bucket || CodeWordBytes(in.Bucket) != in.CodeWord:
		return "differs"
	}
	return "ok"
}

func signedVectors(t *testing.T) (out []vector) {
	d := deal(t, 3)
	add := func(comment, expect string, change func(*Head, *Lock)) {
		head, _ := DecodeHead(d.uploads[0].Head.Body)
		lock, _ := DecodeLock(d.uploads[0].Lock.Body)
		change(head, lock)
		in := input{Head: textOf(d.writer.Seal(wire.Head, head.Bytes())), Lock: textOf(d.writer.Seal(wire.Lock, lock.Bytes()))}
		if expect == "ok" {
			ctx := Ctx(head.Line, lock)
			in.Name, in.Ctx = hex.EncodeToString(lock.Batch[:]), hex.EncodeToString(ctx[:])
		}
		out = append(out, vector{comment, "PROTOCOL.md#head", in, expect})
	}
	add("the batch of the other files, of three records", "ok", func(*Head, *Lock) {})
	add("a second lock, with an erased record", "ok", func(_ *Head, l *Lock) { l.Number, l.PrevLock, l.Gone = 2, fill32("lock"), 4 })
	add("a part of a large object", "ok", func(h *Head, l *Lock) {
		h.Class, h.Dims.M = PartClass, 1
		l.Batch = NameOf(h.Bytes())
	})
	for comment, change := range map[string]func(*Head, *Lock){
		"head of an unknown class":               func(h *Head, _ *Lock) { h.Class = 2 },
		"a part of three records":                func(h *Head, _ *Lock) { h.Class = PartClass },
		"head of version 2":                      func(h *Head, _ *Lock) { h.Version = 2 },
		"head of no records":                     func(h *Head, _ *Lock) { h.Dims.M = 0 },
		"head of 65 records":                     func(h *Head, _ *Lock) { h.Dims.M = 65 },
		"head with k of 1":                       func(h *Head, _ *Lock) { h.Dims.K = 1 },
		"head with k above n":                    func(h *Head, _ *Lock) { h.Dims.K = 6 },
		"head with 17 fragments":                 func(h *Head, _ *Lock) { h.Dims.N = 17 },
		"head of nobody":                         func(h *Head, _ *Lock) { h.Patient = abaton.ActorID{} },
		"head of no line":                        func(h *Head, _ *Lock) { h.Line = abaton.Line{} },
		"lock of version 2":                      func(_ *Head, l *Lock) { l.Version = 2 },
		"lock with number 0":                     func(_ *Head, l *Lock) { l.Number = 0 },
		"first lock with one before it":          func(_ *Head, l *Lock) { l.PrevLock = fill32("lock") },
		"first lock with an erased record":       func(_ *Head, l *Lock) { l.Gone = 1 },
		"second lock with none before it":        func(_ *Head, l *Lock) { l.Number = 2 },
		"lock of no segment":                     func(_ *Head, l *Lock) { l.Segment = abaton.SegmentID{} },
		"lock of no set":                         func(_ *Head, l *Lock) { l.Set.Set = abaton.ActorID{} },
		"lock with more capsule than share hash": func(_ *Head, l *Lock) { l.Rho = l.Rho[1:] },
		"lock of one keeper":                     func(_ *Head, l *Lock) { l.Kappa, l.Rho = l.Kappa[:1], l.Rho[:1] },
		"lock of four keepers, head of five":     func(_ *Head, l *Lock) { l.Kappa, l.Rho = l.Kappa[:4], l.Rho[:4] },
		"lock of another batch":                  func(_ *Head, l *Lock) { l.Batch = fill32("another") },
		"a gone bit beyond the batch":            func(_ *Head, l *Lock) { l.Number, l.PrevLock, l.Gone = 2, fill32("lock"), 8 },
	} {
		add(comment, "malformed", change)
	}
	slices.SortFunc(out[3:], func(a, b vector) int { return bytes.Compare([]byte(a.Comment), []byte(b.Comment)) })
	base := out[0].Input
	raw := func(comment, expect string, change func(head, lock *signedText)) {
		head, lock := *base.Head, *base.Lock
		change(&head, &lock)
		out = append(out, vector{comment, "PROTOCOL.md#head", input{Head: &head, Lock: &lock}, expect})
	}
	raw("signature of HEAD on LOCK", "signature", func(h, l *signedText) { l.Sig = h.Sig })
	raw("no signature on HEAD", "signature", func(h, _ *signedText) { h.Sig = "" })
	raw("a byte after HEAD", "malformed", func(h, _ *signedText) { h.Body += "00" })
	raw("HEAD cut short", "malformed", func(h, _ *signedText) { h.Body = h.Body[:len(h.Body)-2] })
	raw("HEAD that writes out the ordinary class", "malformed", func(h, _ *signedText) { h.Body = "ac" + h.Body[2:] + "0c00" })
	raw("HEAD with a long integer", "malformed", func(h, _ *signedText) { h.Body = h.Body[:4] + "1801" + h.Body[6:] })
	return out
}

func decideSigned(in input) string {
	head, err := ParseHead(in.Head.signed())
	if err != nil {
		return verdict(err)
	}
	lock, err := ParseLock(in.Lock.signed())
	if err != nil {
		return verdict(err)
	}
	name := NameOf(unhex(in.Head.Body))
	if !lock.matches(name, head) {
		return "malformed"
	}
	if name != unhex32(in.Name) || Ctx(head.Line, lock) != unhex32(in.Ctx) {
		return "differs"
	}
	return "ok"
}

func (d *dealt) input() input {
	return input{N: 5, K: 3, T: 3, X: []int{1, 2, 3, 4, 5}, Set: hex.EncodeToString(d.set[:])}
}

func uploadVectors(t *testing.T) (out []vector) {
	d := deal(t, 3)
	add := func(comment, expect string, keeper int, change func(u *Upload)) {
		u, err := ParseUpload(d.uploads[keeper-1].Bytes())
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		in := d.input()
		in.Keeper, in.Upload = keeper, hex.EncodeToString(u.Bytes())
		out = append(out, vector{comment, "PROTOCOL.md#ingest", in, expect})
	}
	add("keeper 1", "ok", 1, func(*Upload) {})
	add("keeper 5", "ok", 5, func(*Upload) {})
	add("version 2", "malformed", 2, func(u *Upload) { u.Version = 2 })
	add("another keeper's upload", "keeper-set", 2, func(u *Upload) { u.X = 3 })
	add("HEAD's signature altered", "signature", 2, func(u *Upload) { u.Head.Sig[9] ^= 1 })
	add("LOCK's signature altered", "signature", 2, func(u *Upload) { u.Lock.Sig[9] ^= 1 })
	add("capsule fragment altered", "capsule", 2, func(u *Upload) { u.Capsule[9] ^= 1 })
	add("capsule fragment too short", "malformed", 2, func(u *Upload) { u.Capsule = u.Capsule[1:] })
	add("fragment altered", "body-root", 2, func(u *Upload) { u.Rows[2].Fragment[9] ^= 1 })
	add("fragment too long", "malformed", 2, func(u *Upload) { u.Rows[2].Fragment = append(u.Rows[2].Fragment, 0) })
	add("length of another bucket", "malformed", 2, func(u *Upload) { u.Rows[2].Length = 432 })
	add("length of no bucket", "malformed", 2, func(u *Upload) { u.Rows[2].Length++ })
	add("length above the limit", "too-large", 2, func(u *Upload) { u.Rows[2].Length = 1 << 30 })
	add("another keeper's hash altered", "body-root", 2, func(u *Upload) { u.Rows[2].Others[0][0] ^= 1 })
	add("a hash missing", "malformed", 2, func(u *Upload) { u.Rows[2].Others = u.Rows[2].Others[1:] })
	add("share altered", "share", 2, func(u *Upload) { u.Rows[2].Share[0] ^= 1 })
	add("two shares exchanged", "share", 2, func(u *Upload) { u.Rows[0].Share, u.Rows[1].Share = u.Rows[1].Share, u.Rows[0].Share })
	add("two records exchanged", "body-root", 2, func(u *Upload) { u.Rows[0], u.Rows[1] = u.Rows[1], u.Rows[0] })
	add("a record left out", "malformed", 2, func(u *Upload) { u.Rows = u.Rows[1:] })
	add("first lock by somebody else", "writer", 2, func(u *Upload) {
		l, _ := ParseLock(u.Lock)
		thief := key.SigningFromSeed(fill32("thief"))
		l.Locker = thief.ID()
		u.Lock = thief.Seal(wire.Lock, l.Bytes())
	})
	add("lock for another shape", "keeper-set", 2, func(u *Upload) {
		l, _ := ParseLock(u.Lock)
		l.Set.Shape[0] ^= 1
		u.Lock = d.writer.Seal(wire.Lock, l.Bytes())
	})
	add("lock for another segment", "capsule", 2, func(u *Upload) {
		l, _ := ParseLock(u.Lock)
		l.Segment[0] ^= 1
		u.Lock = d.writer.Seal(wire.Lock, l.Bytes())
	})
	in := out[0].Input
	in.Upload += "00"
	out = append(out, vector{"a byte after the upload", "PROTOCOL.md#upload", in, "malformed"})
	return out
}

func decideUpload(in input) string {
	u, err := ParseUpload(unhex(in.Upload))
	if err != nil {
		return verdict(err)
	}
	_, err = Check(u, in.shape(), unhex32(in.Set), abaton.KeeperIndex(in.Keeper))
	return verdict(err)
}

func gatherVectors(t *testing.T) (out []vector) {
	d := deal(t, 5)
	add := func(comment, expect string, rows uint64, keepers []int, change func(keeper int, p *Piece), faults ...faultText) {
		in := d.input()
		in.Name, in.Rows, in.Faults = hex.EncodeToString(d.name[:]), rows, faults
		for _, x := range keepers {
			p, err := ParsePiece(d.piece(t, x-1, rows).Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if change != nil {
				change(x, p)
			}
			in.Pieces = append(in.Pieces, pieceText{x, hex.EncodeToString(p.Bytes())})
		}
		for j := range d.words {
			if rows>>j&1 == 1 && expect == "ok" {
				in.Found = append(in.Found, foundText{uint16(j), hex.EncodeToString(d.words[j]), []string{hex.EncodeToString(d.secrets[j][:])}})
			}
		}
		out = append(out, vector{comment, "PROTOCOL.md#gathering", in, expect})
	}
	liar := func(change func(*Piece)) func(int, *Piece) {
		return func(keeper int, p *Piece) {
			if keeper == 2 {
				change(p)
			}
		}
	}
	two := func(reason abaton.Reason) faultText { return faultText{1, 2, string(reason)} }
	add("the whole batch from three", "ok", 0b11111, []int{1, 2, 3}, nil)
	add("one record from three, with paths", "ok", 0b00100, []int{5, 3, 1}, nil)
	add("two records from all", "ok", 0b10010, []int{1, 2, 3, 4, 5}, nil)
	add("two keepers are too few", "too few", 0b00100, []int{1, 2}, nil)
	add("a fragment altered, and enough others", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Rows[0].Fragment[0] ^= 1 }), two(abaton.ReasonFragment))
	add("a fragment altered, and too few others: nobody is named", "too few", 0b00100, []int{1, 2, 3}, liar(func(p *Piece) { p.Rows[0].Fragment[0] ^= 1 }))
	add("a share altered", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Rows[0].Share[0] ^= 1 }), two(abaton.ReasonShare))
	add("a capsule fragment altered", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Capsule[0] ^= 1 }), two(abaton.ReasonCapsule))
	add("a body leaf altered", "ok", 0b11111, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Leaves[1][0] ^= 1 }), two(abaton.ReasonBody))
	add("a share leaf altered", "ok", 0b11110, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.ShareLeaves[0][0] ^= 1 }), two(abaton.ReasonShare))
	add("HEAD's signature altered", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Head.Sig[0] ^= 1 }), two(abaton.ReasonSignature))
	add("another keeper's name", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.X = 5 }), two(abaton.ReasonMalformed))
	add("paths where leaves must be", "ok", 0b11111, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Leaves = nil }), two(abaton.ReasonMalformed))
	add("a row state of tomorrow", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Rows[0].State = 3 }), two(abaton.ReasonMalformed))
	add("a path too long", "ok", 0b00100, []int{1, 2, 3, 4}, liar(func(p *Piece) { p.Rows[0].Path = append(p.Rows[0].Path, Hash32{}) }), two(abaton.ReasonMalformed))
	add("erased at three keepers", "erased", 0b00100, []int{1, 2, 3, 4}, func(x int, p *Piece) {
		if x == 4 {
			return
		}
		row, l := &p.Rows[0], d.uploads[0].Lock
		lock, _ := DecodeLock(l.Body)
		head, _ := DecodeHead(d.uploads[0].Head.Body)
		row.State, row.Length, row.Fragment = RowErased, 0, nil
		row.Share = ShareLeaf(Ctx(head.Line, lock), p.X, 2, row.Share)
	})
	return out
}

func decideGather(in input) string {
	g, err := NewGather(unhex32(in.Name), in.Rows, in.shape(), unhex32(in.Set), anybody)
	if err != nil {
		return verdict(err)
	}
	for _, p := range in.Pieces {
		_ = g.Add(abaton.KeeperIndex(p.Keeper), unhex(p.Piece)) // what is refused shows in Faults and Missing
	}
	result := g.Result()
	var faults []faultText
	for _, f := range g.Faults() {
		faults = append(faults, faultText{int(f.Party), int(f.Keeper), string(f.Reason)})
	}
	if !slices.Equal(faults, in.Faults) {
		return "other faults"
	}
	if len(result.Missing) > 0 {
		if errors.Is(result.Missing[0].Err(in.shape()), abaton.ErrErased) {
			return "erased"
		}
		return "too few"
	}
	var found []foundText
	for _, f := range result.Found {
		found = append(found, foundText{f.Index, hex.EncodeToString(f.CodeWord), hexes(f.Masked)})
	}
	if !slices.EqualFunc(found, in.Found, func(a, b foundText) bool {
		return a.Index == b.Index && a.Word == b.Word && slices.Equal(a.Masked, b.Masked)
	}) {
		return "differs"
	}
	return "ok"
}

func faultVectors(t *testing.T) (out []vector) {
	d := deal(t, 1)
	add := func(comment, expect string, change func(*Fault)) {
		f := d.fault(t)
		change(&f)
		out = append(out, vector{comment, "PROTOCOL.md#faults", input{Fault: hex.EncodeToString(f.Bytes())}, expect})
	}
	add("keeper 1 altered its capsule fragment", "ok", func(*Fault) {})
	add("against nobody", "not proven", func(f *Fault) { f.Party = 0 })
	add("against keeper 2", "not proven", func(f *Fault) { f.Keeper = 2 })
	add("against the writer", "not proven", func(f *Fault) { f.Party = WriterParty })
	add("against the locker", "not proven", func(f *Fault) { f.Party = LockerParty })
	add("for another reason", "not proven", func(f *Fault) { f.Reason = abaton.ReasonShare })
	add("of an honest piece", "not proven", func(f *Fault) { f.Piece = d.piece(t, 0, 1).Bytes() })
	add("by another keeper set's rules", "not proven", func(f *Fault) { f.Set[0] ^= 1 })
	add("another set, said openly: still no fault", "not proven", func(f *Fault) { f.Set[0] ^= 1; f.Reason = abaton.ReasonKeeperSet })
	in := out[0].Input
	in.Fault += "00"
	return append(out, vector{"a byte after the fault", "PROTOCOL.md#faults", in, "malformed"})
}

func decideFault(in input) string {
	f, err := ParseFault(unhex(in.Fault))
	if err != nil {
		return verdict(err)
	}
	return verdict(f.Verify())
}

// second is the lock after d's first, for keeper 1, with record 1 erased.
func (d *dealt) second(t *testing.T) *Rekey {
	t.Helper()
	head, _ := DecodeHead(d.uploads[0].Head.Body)
	lock, _ := DecodeLock(d.uploads[0].Lock.Body)
	lock.Number, lock.PrevLock, lock.Gone = 2, LockHash(d.uploads[0].Lock.Body), 0b10
	r := &Rekey{Version: wire.Version, X: 1, Capsule: fill("second capsule", FragmentBytes(CapsuleBytes, 3)), Shares: [][32]byte{fill32("s0"), {}, fill32("s2")}}
	ctx := Ctx(head.Line, lock)
	lock.Kappa[0] = CapsuleHash(ctx, 1, r.Capsule)
	lock.Rho[0] = Root([]Hash32{ShareLeaf(ctx, 1, 0, r.Shares[0]), GoneLeaf(ctx, 1, 1), ShareLeaf(ctx, 1, 2, r.Shares[2])})
	r.Lock = d.writer.Seal(wire.Lock, lock.Bytes())
	return r
}

func rekeyVectors(t *testing.T) (out []vector) {
	d := deal(t, 3)
	add := func(comment, expect string, change func(*Rekey, *input)) {
		r, in := d.second(t), d.input()
		in.Keeper, in.Head, in.Lock, in.Erased = 1, textOf(d.uploads[0].Head), textOf(d.uploads[0].Lock), 0b10
		change(r, &in)
		in.Rekey = hex.EncodeToString(r.Bytes())
		out = append(out, vector{comment, "PROTOCOL.md#re-lock", in, expect})
	}
	resign := func(change func(*Lock)) func(*Rekey, *input) {
		return func(r *Rekey, _ *input) {
			l, _ := ParseLock(r.Lock)
			change(l)
			r.Lock = d.writer.Seal(wire.Lock, l.Bytes())
		}
	}
	add("the second lock, one record erased", "ok", func(*Rekey, *input) {})
	add("another keeper's", "keeper-set", func(r *Rekey, _ *input) { r.X = 2 })
	add("signature altered", "signature", func(r *Rekey, _ *input) { r.Lock.Sig[0] ^= 1 })
	add("the first lock again", "malformed", func(r *Rekey, in *input) { r.Lock = d.uploads[0].Lock })
	add("a number left out", "malformed", resign(func(l *Lock) { l.Number = 3 }))
	add("another lock before it", "malformed", resign(func(l *Lock) { l.PrevLock[0] ^= 1 }))
	add("for another shape", "keeper-set", resign(func(l *Lock) { l.Set.Shape[0] ^= 1 }))
	add("brings back an erased record", "erased", func(_ *Rekey, in *input) { in.Erased = 0b110 })
	add("erases a record by itself", "erased", func(_ *Rekey, in *input) { in.Erased = 0 })
	add("a share for an erased record", "share", func(r *Rekey, _ *input) { r.Shares[1][0] = 1 })
	add("share altered", "share", func(r *Rekey, _ *input) { r.Shares[0][0] ^= 1 })
	add("a share left out", "malformed", func(r *Rekey, _ *input) { r.Shares = r.Shares[1:] })
	add("capsule fragment altered", "capsule", func(r *Rekey, _ *input) { r.Capsule[0] ^= 1 })
	add("capsule fragment too long", "malformed", func(r *Rekey, _ *input) { r.Capsule = append(r.Capsule, 0) })
	return out
}

func decideRekey(in input) string {
	r, err := ParseRekey(unhex(in.Rekey))
	if err != nil {
		return verdict(err)
	}
	_, _, err = CheckRekey(r, in.Head.signed(), in.Lock.signed(), in.Erased, in.shape(), unhex32(in.Set), abaton.KeeperIndex(in.Keeper))
	return verdict(err)
}

// TestChapterExample: the HEAD shown in the chapter is that of the vectors.
func TestChapterExample(t *testing.T) {
	chapter, err := os.ReadFile(filepath.Join("..", "docs", "protocol", "record.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(chapter, []byte("<!-- example: head -->\n```\n"))
	shown, _, ok := bytes.Cut(rest, []byte("```\n"))
	if !ok {
		t.Fatal("the chapter shows no HEAD")
	}
	d := deal(t, 3)
	head := hex.EncodeToString(d.uploads[0].Head.Body)
	for _, line := range bytes.Split(bytes.TrimSpace(shown), []byte("\n")) {
		// Columns: bytes in hex, two or more spaces, what they are; ".." is
		// left out.
		columns := bytes.SplitN(bytes.TrimSpace(line), []byte("  "), 2)
		for _, part := range bytes.Split(bytes.ReplaceAll(columns[0], []byte(" "), nil), []byte("..")) {
			_, after, ok := bytes.Cut([]byte(head), part)
			if !ok {
				t.Fatalf("the example shows %s, which is not in HEAD at that place", part)
			}
			head = string(after)
		}
	}
	if head != "" {
		t.Errorf("the example leaves out %s at the end", head)
	}
	if !bytes.Contains(chapter, []byte(hex.EncodeToString(d.name[:]))) {
		t.Error("the chapter does not name its batch")
	}
}
