package ledger_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// sampleEntry is a complete entry of every field.
func sampleEntry() ledger.Entry {
	e := release("1", "doctor", "ana", row("b1", 1, 2), row("b2", 3, 0))
	e.Version, e.Keeper, e.Time = 1, 1, 1_700_000_000
	e.PatientSeq, e.Prev = 4, id("prev")
	e.Outcome, e.Reason = ledger.Partly, abaton.ReasonNotFound
	e.Lines = []abaton.Line{{1}, {2}}
	e.Device, e.Role, e.Behalf = id("device"), "physician", id("colleague")
	return e
}

// watchedEntry is one that a policy and the watch have judged.
func watchedEntry() ledger.Entry {
	e := sampleEntry()
	e.Policy, e.Watch = 7, ledger.Watch{Rules: 2, Level: ledger.LevelMax, Fired: 1 | 1<<14}
	return e
}

func TestEntryRoundTrip(t *testing.T) {
	permit := sampleEntry()
	permit.Op, permit.FoldsInto = ledger.OpPermit, ledger.Fold(0)
	admin := ledger.Entry{Version: 1, Keeper: 5, Time: 1, Request: id("r"), Op: ledger.OpAdmin, Outcome: ledger.Permitted, Actor: id("operator")}
	handed := sampleEntry()
	handed.Onward = abaton.Handed{From: id("giver"), ID: id("hand-on")}
	for _, e := range []ledger.Entry{sampleEntry(), permit, admin, handed, watchedEntry()} {
		b, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ledger.ParseEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if b2, _ := again.Marshal(); !bytes.Equal(b2, b) {
			t.Errorf("got %x, want %x", b2, b)
		}
	}
	if i, folds := permit.Folded(); !folds || i != 0 {
		t.Errorf("got fold %d, %v; want 0, true", i, folds)
	}
}

// spoiled are entries that break one rule each, by the check that finds it.
func spoiled() map[string][]func(*ledger.Entry) {
	return map[string][]func(*ledger.Entry){
		"entry.version": {func(e *ledger.Entry) { e.Version = 2 }},
		"entry.keeper":  {func(e *ledger.Entry) { e.Keeper = 0 }, func(e *ledger.Entry) { e.Keeper = 17 }},
		"entry.onward": {
			func(e *ledger.Entry) { e.Onward.From = id("giver") },
			func(e *ledger.Entry) { e.Onward.ID = id("hand-on") },
			func(e *ledger.Entry) {
				e.Grant, e.Onward = abaton.GrantID{}, abaton.Handed{From: id("giver"), ID: id("hand-on")}
			},
		},
		"entry.time":    {func(e *ledger.Entry) { e.Time = 0 }, func(e *ledger.Entry) { e.Time = -1 }},
		"entry.request": {func(e *ledger.Entry) { e.Request = [32]byte{} }},
		"entry.op":      {func(e *ledger.Entry) { e.Op = 0 }, func(e *ledger.Entry) { e.Op = 200 }},
		"entry.outcome": {func(e *ledger.Entry) { e.Outcome = 0 }, func(e *ledger.Entry) { e.Outcome = 4 }},
		"entry.reason": {
			func(e *ledger.Entry) { e.Reason = "" },
			func(e *ledger.Entry) { e.Reason = "curious about a neighbour" },
			func(e *ledger.Entry) { e.Outcome, e.Reason = ledger.Permitted, abaton.ReasonGrant },
		},
		"entry.actor":   {func(e *ledger.Entry) { e.Actor = abaton.ActorID{} }},
		"entry.patient": {func(e *ledger.Entry) { e.Patient = abaton.ActorID{} }},
		"entry.patient-seq": {
			func(e *ledger.Entry) { e.PatientSeq = 0 },
			func(e *ledger.Entry) { e.Prev = [32]byte{} },
			func(e *ledger.Entry) { e.Op, e.Patient = ledger.OpAdmin, abaton.ActorID{} },
			func(e *ledger.Entry) { e.PatientSeq = ledger.SizeMax + 1 },
		},
		"entry.rows": {
			func(e *ledger.Entry) { e.Rows = nil },
			func(e *ledger.Entry) { e.Rows = make([]ledger.Row, 65) },
		},
		"entry.row-order": {
			func(e *ledger.Entry) { e.Rows[0], e.Rows[1] = e.Rows[1], e.Rows[0] },
			func(e *ledger.Entry) { e.Rows[1].Batch = e.Rows[0].Batch },
		},
		"entry.row": {
			func(e *ledger.Entry) { e.Rows[0].Refused |= 1; e.Rows[0].Released |= 1 },
			func(e *ledger.Entry) { e.Rows[0].Refused, e.Rows[0].Released = 0, 0 },
			func(e *ledger.Entry) { e.Rows[0].Batch = abaton.BatchName{} },
		},
		"entry.row-outcome": {
			func(e *ledger.Entry) { e.Outcome, e.Reason = ledger.Permitted, "" },
			func(e *ledger.Entry) { e.Outcome = ledger.Refused },
			func(e *ledger.Entry) { e.Rows = []ledger.Row{row("b1", 1, 0)} },
		},
		"entry.purpose": {
			func(e *ledger.Entry) { e.Purpose = "" },
			func(e *ledger.Entry) { e.Purpose = "CURIOUS" },
			func(e *ledger.Entry) { e.Op, e.Purpose = ledger.OpDeposit, "treat" },
		},
		"entry.lines": {
			func(e *ledger.Entry) { e.Lines = make([]abaton.Line, 33) },
			func(e *ledger.Entry) { e.Lines[0] = abaton.Line{} },
		},
		"entry.role": {
			func(e *ledger.Entry) { e.Role = "a\nb" },
			func(e *ledger.Entry) { e.Role = "abcdefghijklmnopqrstuvwxyz-abcdefghij" },
		},
		"entry.policy": {func(e *ledger.Entry) { e.Organisation, e.Policy = abaton.ActorID{}, 1 }},
		"entry.watch": {
			func(e *ledger.Entry) { e.Watch = ledger.Watch{Rules: 1, Level: 8} },
			func(e *ledger.Entry) { e.Watch = ledger.Watch{Level: 1} },
			func(e *ledger.Entry) { e.Watch = ledger.Watch{Fired: 1} },
		},
		"entry.line-order": {func(e *ledger.Entry) { e.Lines[1] = e.Lines[0] }},
		"entry.folds-into": {
			func(e *ledger.Entry) { e.FoldsInto = 3 },
			func(e *ledger.Entry) { e.Op, e.FoldsInto = ledger.OpPermit, ledger.SizeMax+1 },
		},
	}
}

func TestEntryRules(t *testing.T) {
	for check, cases := range spoiled() {
		for i, spoil := range cases {
			e := sampleEntry()
			spoil(&e)
			if _, err := e.Marshal(); ledger.CheckID(err) != check {
				t.Errorf("marshal %s %d: got %v", check, i, err)
			}
			if _, err := ledger.ParseEntry(wire.Marshal(e)); ledger.CheckID(err) != check {
				t.Errorf("parse %s %d: got %v", check, i, err)
			}
		}
	}
	b, _ := wellFormed(sampleEntry()).Marshal()
	for name, bad := range map[string][]byte{
		"trailing byte":    append(bytes.Clone(b), 0),
		"missing field":    append([]byte{b[0] - 1}, b[1:len(b)-2]...),
		"long form of key": append([]byte{b[0], 0x18, 0x01}, b[2:]...),
		"empty":            {},
	} {
		if _, err := ledger.ParseEntry(bad); ledger.CheckID(err) != "entry.form" {
			t.Errorf("%s: got %v, want entry.form", name, err)
		}
	}
	if _, err := ledger.ParseEntry(make([]byte, ledger.EntryBytesMax+1)); ledger.CheckID(err) != "entry.length" {
		t.Errorf("got %v, want entry.length", err)
	}
}

func wellFormed(e ledger.Entry) *ledger.Entry { return &e }

// TestLargestEntryFits keeps EntryBytesMax honest.
func TestLargestEntryFits(t *testing.T) {
	e := sampleEntry()
	e.Rows, e.Lines = nil, nil
	for i := range abaton.RequestRowsMax {
		e.Rows = append(e.Rows, row(strconv.Itoa(i), 1<<63, 1<<62))
	}
	ledger.SortRows(e.Rows)
	for i := range abaton.LinesMax {
		e.Lines = append(e.Lines, abaton.Line{byte(i + 1), 0xff})
	}
	ledger.SortLines(e.Lines)
	e.Time, e.PatientSeq = 1<<40, ledger.SizeMax
	e.Policy, e.Watch = 1<<63, ledger.Watch{Rules: 1 << 31, Level: ledger.LevelMax, Fired: 1 << 31}
	b, err := e.Marshal()
	if err != nil || len(b) > ledger.EntryBytesMax/3*2 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

// TestReasonRegistryIsWhole compares the reasons with those the root package
// declares.
func TestReasonRegistryIsWhole(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(x ast.Node) bool {
		if lit, ok := x.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil || !ledger.KnownReason(abaton.Reason(s)) {
				t.Errorf("reason %q is not known to the ledger", s)
			}
			n++
		}
		return true
	})
	if n < 30 || ledger.KnownReason("") || ledger.KnownReason("free text") {
		t.Errorf("got %d reasons, or a free one is known", n)
	}
}

func TestLeafHidesTheEntry(t *testing.T) {
	b, _ := wellFormed(sampleEntry()).Marshal()
	one, two := ledger.NewLeaf([32]byte{1}, b), ledger.NewLeaf([32]byte{2}, b)
	if one == two {
		t.Error("two salts give one leaf")
	}
	if one.Tie() == two.Tie() || one.Tie() == [32]byte(one) {
		t.Error("ties do not follow leaves")
	}
	l := newLedger(t, keeperOne(t))
	g := l.add(t, at(1), release("r", "doctor", "ana"), release("r", "doctor", "ana"))
	var salts [][]byte
	for i := range 2 {
		k := append([]byte{'e'}, wire.U64(uint64(i))...)
		salts = append(salts, l.store[string(k)][:32])
	}
	if bytes.Equal(salts[0], salts[1]) || bytes.Equal(salts[0], make([]byte, 32)) {
		t.Error("salts are not fresh")
	}
	if g.Entry(1).Prev != g.Leaf(0).Tie() || g.Entry(1).PatientSeq != 1 {
		t.Error("second entry does not tie the first")
	}
}

func FuzzEntry(f *testing.F) {
	e := sampleEntry()
	b, err := e.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(wire.Marshal(watchedEntry()))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return
		}
		if again, err := e.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("got %x, %v; want %x", again, err, b)
		}
	})
}
