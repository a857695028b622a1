package ledger_test

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
	"strings"
	"testing"

	"github.com/abaton-health/abaton/ledger"
	"golang.org/x/mod/sumdb/tlog"
)

var update = flag.Bool("update", false, "write vectors/ledger/*.json anew")

// vector is one case that another implementation must decide alike. Expect is
// "ok" or the check that must refuse it.
type vector struct {
	Comment string `json:"comment"`
	Source  string `json:"source"`
	Input   input  `json:"input"`
	Expect  string `json:"expect"`
}

// input holds what a case needs; which fields, the file decides. Byte strings
// are hexadecimal.
type input struct {
	Entry       string       `json:"entry,omitempty"`
	Salt        string       `json:"salt,omitempty"`
	Leaf        string       `json:"leaf,omitempty"`
	Tie         string       `json:"tie,omitempty"`
	Note        string       `json:"note,omitempty"`
	Origin      string       `json:"origin,omitempty"`
	VKey        string       `json:"vkey,omitempty"`
	Unix        int64        `json:"unix,omitempty"`
	Proof       string       `json:"proof,omitempty"`
	Before      []string     `json:"before,omitempty"`
	Body        string       `json:"body,omitempty"`
	Path        string       `json:"path,omitempty"`
	CBOR        string       `json:"cbor,omitempty"`
	Patient     string       `json:"patient,omitempty"`
	Keeper      uint8        `json:"keeper,omitempty"`
	Disclosures []disclosed  `json:"disclosures,omitempty"`
	Answers     []answerText `json:"answers,omitempty"`
	Lines       int          `json:"lines,omitempty"`
	Verdict     string       `json:"verdict,omitempty"`
}

type disclosed struct {
	Index uint64 `json:"index"`
	Seq   uint64 `json:"seq"`
	Leaf  string `json:"leaf"`
	Salt  string `json:"salt"`
	Entry string `json:"entry"`
}

type answerText struct {
	Keeper      uint8       `json:"keeper"`
	Disclosures []disclosed `json:"disclosures"`
}

// suite is one file: how its cases are made and how they are decided.
type suite struct {
	file   string
	build  func(t *testing.T) []vector
	decide func(in input) error
}

func suites() []suite {
	return []suite{
		{"entry.json", entryVectors, func(in input) error { return second(ledger.ParseEntry(unhex(in.Entry))) }},
		{"leaf.json", leafVectors, decideLeaf},
		{"checkpoint.json", checkpointVectors, decideCheckpoint},
		{"cosignature.json", cosignatureVectors, decideCosignature},
		{"proof.json", proofVectors, decideProof},
		{"add-checkpoint.json", addVectors, decideAdd},
		{"tile-path.json", tilePathVectors, func(in input) error { return second(ledger.ParseTilePath(in.Path)) }},
		{"equivocation.json", equivocationVectors, decideEquivocation},
		{"chain.json", chainVectors, decideChain},
		{"history.json", historyVectors, decideHistory},
	}
}

func TestVectors(t *testing.T) {
	for _, s := range suites() {
		t.Run(s.file, func(t *testing.T) {
			path := filepath.Join("..", "vectors", "ledger", s.file)
			made, err := json.MarshalIndent(s.build(t), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, '\n')
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, made, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			kept, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(kept, made) {
				t.Error("the generator makes other vectors than are kept; run with -update and read the difference")
			}
			decideAll(t, s, kept)
		})
	}
}

func decideAll(t *testing.T, s suite, kept []byte) {
	var vs []vector
	if err := json.Unmarshal(kept, &vs); err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		if got := checkName(s.decide(v.Input)); got != v.Expect {
			t.Errorf("%s: got %q, want %q", v.Comment, got, v.Expect)
		}
	}
}

// checkName is the name of the check in vectors.
func checkName(err error) string {
	if g, ok := errors.AsType[*ledger.GapError](err); ok {
		return fmt.Sprintf("chain.%s at %d", g.Check, g.Seq)
	}
	if w, ok := errors.AsType[*ledger.WitnessError](err); ok {
		return fmt.Sprintf("%d %s", w.Status, ledger.CheckID(err))
	}
	if name := ledger.CheckID(err); name != "" {
		return name
	}
	return err.Error()
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// fixed is a tree over given leaves, made without a Log, whose salts differ
// from run to run.
type fixed struct {
	leaves []ledger.Leaf
	stored []tlog.Hash
}

func (f *fixed) add(l ledger.Leaf) {
	hs, err := tlog.StoredHashes(int64(len(f.leaves)), l[:], f.reader())
	if err != nil {
		panic("the tree in memory is whole")
	}
	f.leaves = append(f.leaves, l)
	f.stored = append(f.stored, hs...)
}

func (f *fixed) reader() tlog.HashReaderFunc {
	return func(xs []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(xs))
		for i, x := range xs {
			out[i] = f.stored[x]
		}
		return out, nil
	}
}

func (f *fixed) checkpoint(size int) ledger.Checkpoint {
	root, err := tlog.TreeHash(int64(size), f.reader())
	if err != nil {
		panic("the tree in memory is whole")
	}
	return ledger.Checkpoint{Origin: origin, Size: uint64(size), Root: root}
}

// fixedTree has n leaves; trees of one word begin alike.
func fixedTree(word string, n int) *fixed {
	f := &fixed{}
	for i := range n {
		f.add(ledger.NewLeaf(id("salt", word, fmt.Sprint(i)), []byte(word)))
	}
	return f
}

func (f *fixed) proof(t *testing.T, me identity, index, size int) ledger.Proof {
	p, err := tlog.ProveRecord(int64(size), int64(index), f.reader())
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Proof{Index: uint64(index), Path: p, Checkpoint: signedNote(t, me, f.checkpoint(size), at(size64(size)))}
}

func size64(n int) int64 { return int64(n) }

func (f *fixed) request(t *testing.T, me identity, old, size int) ledger.AddCheckpoint {
	a := ledger.AddCheckpoint{Old: uint64(old), Checkpoint: signedNote(t, me, f.checkpoint(size), at(size64(size)))}
	if old > 0 {
		p, err := tlog.ProveTree(int64(size), int64(old), f.reader())
		if err != nil {
			t.Fatal(err)
		}
		a.Proof = p
	}
	return a
}

func one(t *testing.T) identity { return newIdentity(t, origin, "keeper1.example") }

func sortVectors(vs []vector) {
	slices.SortFunc(vs, func(a, b vector) int { return strings.Compare(a.Comment, b.Comment) })
}
