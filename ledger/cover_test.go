package ledger_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// TestCover: at every size, whichever entries are told, the cover proves these
// and nothing else, and gives each the path that the ledger itself gives.
func TestCover(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	r := rand.New(rand.NewPCG(1, 2))
	for size := uint64(1); size <= 70; size++ {
		l.add(t, at(int64(size)), release("r"+string(rune(size)), "actor", "patient"))
		for _, share := range []int{1, 2, 10, 100} {
			var which []uint64
			var leaves []ledger.Leaf
			for i := range size {
				if r.IntN(share) == 0 {
					rec, err := l.Extract(id("patient", "patient"), i, 1)
					if err != nil {
						t.Fatal(err)
					}
					which, leaves = append(which, i), append(leaves, rec.Disclosures[0].Leaf)
				}
			}
			cover, err := l.Cover(which)
			if err != nil {
				t.Fatal(err)
			}
			c, _ := l.Checkpoint()
			paths := make([][]tlog.Hash, len(which))
			if !ledger.Covers(c, which, leaves, cover, paths) {
				t.Fatalf("%d of %d: the cover does not hold", len(which), size)
			}
			for i := range which {
				if err := ledger.VerifyInclusion(c, which[i], leaves[i], paths[i]); err != nil {
					t.Fatalf("%d of %d: path of entry %d: %v", len(which), size, which[i], err)
				}
			}
			for name, bad := range spoiledCovers(c, which, leaves, cover) {
				if bad {
					t.Errorf("%d of %d, %s: holds", len(which), size, name)
				}
			}
		}
	}
}

// spoiledCovers are proofs that must not hold, by what is wrong with them.
func spoiledCovers(c ledger.Checkpoint, at []uint64, leaves []ledger.Leaf, cover []tlog.Hash) map[string]bool {
	out := map[string]bool{
		"a hash too many": ledger.Covers(c, at, leaves, append(slices.Clone(cover), tlog.Hash{}), nil),
	}
	if len(at) == 0 {
		return out
	}
	other := slices.Clone(leaves)
	other[len(other)/2][0] ^= 1
	out["another leaf"] = ledger.Covers(c, at, other, cover, nil)
	moved := slices.Clone(at)
	moved[len(moved)-1]++
	out["another place"] = ledger.Covers(c, moved, leaves, cover, nil)
	out["a place twice"] = ledger.Covers(c, append(slices.Clone(at), at[len(at)-1]), append(slices.Clone(leaves), leaves[len(leaves)-1]), cover, nil)
	out["a leaf left out"] = len(at) > 1 && ledger.Covers(c, at[1:], leaves[1:], cover, nil) // of one, nothing is left to prove
	past := c
	past.Root[0] ^= 1
	out["another root"] = ledger.Covers(past, at, leaves, cover, nil)
	if len(cover) > 0 {
		out["a hash too few"] = ledger.Covers(c, at, leaves, cover[1:], nil)
	}
	return out
}

// TestSelectFindsLoss: what a disk lost is said to be lost; it is never told as
// what does not verify.
func TestSelectFindsLoss(t *testing.T) {
	for name, spoil := range map[string]func(memory, []byte){
		"an entry gone":    func(m memory, k []byte) { delete(m, string(k)) },
		"an entry changed": func(m memory, k []byte) { m[string(k)][3] ^= 1 },
	} {
		l := filled(t, keeperOne(t), 9)
		q := question("organisation")
		if _, err := l.Select(&q, 0, 0, 100, 100); err != nil {
			t.Fatal(err)
		}
		spoil(l.store, append([]byte{'e'}, wire.U64(4)...))
		if f, err := l.Select(&q, 0, 0, 100, 100); err == nil {
			t.Errorf("%s: got %d entries and no error", name, len(f.Disclosures))
		}
	}
}

// FuzzCovers: hashes of a liar end, and prove nothing that is not there.
func FuzzCovers(f *testing.F) {
	l := filled(f, keeperOne(f), 11)
	c, _ := l.Checkpoint()
	f.Add(uint64(11), uint64(3), uint64(1), []byte{})
	f.Fuzz(func(t *testing.T, size, first, step uint64, hashes []byte) {
		var cover []tlog.Hash
		for ; len(hashes) >= tlog.HashSize; hashes = hashes[tlog.HashSize:] {
			cover = append(cover, tlog.Hash(hashes))
		}
		at, leaves := []uint64{first, first + step}, make([]ledger.Leaf, 2)
		lie := c
		lie.Size = size
		if ledger.Covers(lie, at, leaves, cover, make([][]tlog.Hash, 2)) {
			t.Error("zero leaves are in the tree")
		}
	})
}

// FuzzQuickEntry: what the quick reader accepts is canonical, and means the same.
func FuzzQuickEntry(f *testing.F) {
	for _, e := range quickSamples() {
		f.Add(wire.Marshal(e))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var quick, slow ledger.Entry
		if !ledger.QuickEntry(b, &quick) {
			return
		}
		if err := wire.Unmarshal(b, &slow); err != nil {
			t.Fatal("accepted, and not canonical")
		}
		if !reflect.DeepEqual(quick, slow) {
			t.Error("got another entry")
		}
	})
}

// TestQuickEntry: the forms that ledgers hold are read quickly.
func TestQuickEntry(t *testing.T) {
	for i, e := range quickSamples() {
		var quick, slow ledger.Entry
		b := wire.Marshal(e)
		if !ledger.QuickEntry(b, &quick) {
			t.Errorf("sample %d: not read", i)
		}
		if wire.Unmarshal(b, &slow) != nil || !reflect.DeepEqual(quick, slow) {
			t.Errorf("sample %d: got another entry", i)
		}
		for cut := range b {
			if ledger.QuickEntry(b[:cut], &quick) {
				t.Errorf("sample %d: %d bytes of %d are read", i, cut, len(b))
			}
		}
		if ledger.QuickEntry(append(b, 0), &quick) {
			t.Errorf("sample %d: read with a byte behind", i)
		}
	}
}

func quickSamples() []ledger.Entry {
	e := release("r", "actor", "patient")
	e.Version, e.Keeper, e.Time = 1, 3, 1_780_000_000
	urgent := e
	urgent.Op, urgent.Rows, urgent.Urgency, urgent.Loud, urgent.Words = ledger.OpEmergency, nil, 2, true, []byte("sealed")
	full := e
	full.Lines = []abaton.Line{{1}, {2}}
	full.FoldsInto, full.PatientSeq, full.Prev = 70_000, 5_000_000_000, id("tie")
	full.Onward = abaton.Handed{From: id("from"), ID: abaton.GrantID{1}}
	full.Policy, full.Watch, full.Basis = 300, ledger.Watch{Rules: 1, Level: 5, Fired: 1 << 12}, 3
	full.Word = 2
	return []ledger.Entry{e, urgent, full, {}}
}
