package ledger_test

import (
	"encoding/hex"
	"testing"

	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// judgments are the entries of the watch: a read with a finding, one under a
// policy alone, and the three operations about nobody's record.
func judgments() map[string]ledger.Entry {
	watched := watchedEntry()
	policy := watched
	policy.Watch = ledger.Watch{}
	act := func(op ledger.Op) ledger.Entry {
		e := ledger.Entry{Version: 1, Keeper: 1, Time: 1_700_000_000, Request: id("verdict"), Op: op, Outcome: ledger.Permitted, Actor: id("doctor")}
		return e
	}
	contain := act(ledger.OpContain)
	contain.Organisation, contain.Watch = id("hospital"), ledger.Watch{Rules: 1, Level: 5, Fired: 1 << 1}
	return map[string]ledger.Entry{"judged by a policy and the watch": watched, "judged by a policy alone": policy,
		"somebody held back": contain, "let go again": act(ledger.OpLift), "an officer's question": act(ledger.OpLook)}
}

func watchVectors() (vs []vector) {
	const src = "PROTOCOL.md#ledger-entry"
	for name, e := range judgments() {
		vs = append(vs, vector{name, src, input{Entry: hex.EncodeToString(wire.Marshal(e))}, "ok"})
	}
	said := hex.EncodeToString(spelledOut())
	return append(vs, vector{"a watch that says nothing, spelled out", src, input{Entry: said}, "entry.form"})
}

// spelledOut is an entry whose field 29 is there and zero.
func spelledOut() []byte {
	b := wire.Marshal(sampleEntry())
	b[1]++ // one field more: 26 to 27 in the byte after the map's head
	return append(b, 0x18, 29, 0xa3, 1, 0, 2, 0, 3, 0)
}

func TestWatchIsAbsentWhenItSaysNothing(t *testing.T) {
	if _, err := ledger.ParseEntry(spelledOut()); ledger.CheckID(err) != "entry.form" {
		t.Errorf("a zero watch spelled out: got %v, want entry.form", err)
	}
	for name, e := range judgments() {
		b, err := e.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := ledger.ParseEntry(b)
		if err != nil || again.Watch != e.Watch || again.Policy != e.Policy {
			t.Errorf("%s: got %+v and policy %d, %v", name, again.Watch, again.Policy, err)
		}
	}
}
