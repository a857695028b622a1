package relation_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is one input and what must come of it. Each negative one has a single
// defect, and expect names the reason.
type vector struct {
	Comment string            `json:"comment"`
	Source  string            `json:"source"`
	Input   map[string]string `json:"input"`
	Expect  string            `json:"expect"`
	Output  map[string]string `json:"output,omitempty"`
}

// TestVectors: signed statements that another implementation must read, or
// refuse, alike.
func TestVectors(t *testing.T) {
	var made []vector
	add := func(comment string, message []byte) {
		v := vector{Comment: comment, Source: "PROTOCOL.md#relations", Input: map[string]string{"message": hex.EncodeToString(message)}, Expect: "ok"}
		if r, err := relation.Parse(message); err != nil {
			v.Expect = string(reasonOf(err))
		} else {
			v.Output = map[string]string{"organisation": r.Organisation.String(), "key": r.Key.String()}
			if v.Output["needs"] = "Manage"; r.SaidBy(actor.Write) {
				v.Output["needs"] = "Write or Manage"
			}
		}
		made = append(made, v)
	}
	one := entry(relation.Order, nil)
	honey := entry(relation.Honey, nil)
	right := seal(statement(one), orgKey)
	with := func(e relation.Entry, change func(*relation.Entry)) []byte {
		change(&e)
		return seal(statement(e), orgKey)
	}
	add("an order", right)
	add("an admission taken back, and kin", seal(statement(entry(relation.Admission, func(e *relation.Entry) { e.Until = e.From }), entry(relation.Kin, nil)), orgKey))
	add("honey with its patient's word", seal(statement(honey), orgKey))
	add("a night on duty", seal(statement(entry(relation.Duty, func(e *relation.Entry) { e.Until = e.From + 8*3600 })), orgKey))
	add("signature bent", bend(right))
	add("cut short", right[:len(right)-1])
	add("a byte more", append(slices.Clone(right), 0))
	add("kind 0", with(one, func(e *relation.Entry) { e.Kind = 0 }))
	add("kind 12", with(one, func(e *relation.Entry) { e.Kind = 12 }))
	add("an order of more than 30 days", with(one, func(e *relation.Entry) { e.Until = e.From + 30*24*3600 + 1 }))
	add("an order for nobody", with(one, func(e *relation.Entry) { e.Whom = abaton.ActorID{} }))
	add("a duty for somebody else", with(entry(relation.Duty, nil), func(e *relation.Entry) { e.Whom = doctor }))
	add("no entries", seal(statement(), orgKey))
	add("one thing twice", seal(statement(one, one), orgKey))
	add("honey without a word", with(honey, func(e *relation.Entry) { e.Word = nil }))
	add("honey, word bent", with(honey, func(e *relation.Entry) { e.Word = bend(e.Word) }))
	add("honey, word under another label", with(honey, func(e *relation.Entry) {
		w := relation.HoneyWord{V: wire.Version, Patient: patient, Organisation: org, Key: ownKey.ID(), Until: e.Until}
		e.Word = wire.Marshal(ownKey.Seal(wire.Relations, wire.Marshal(w)))
	}))
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	path := filepath.Join("..", "..", "vectors", "relation", "statement.json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read vectors: %v", err)
	}
	if !bytes.Equal(committed, text) {
		t.Error("the committed vectors are not what this code makes (run with -update and look at the difference)")
	}
	for i, v := range made {
		if (v.Expect == "ok") != (i < 4) {
			t.Errorf("%s: got %q", v.Comment, v.Expect)
		}
	}
}
