package ledger_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// opened is an emergency opening as a keeper enters it; confirmed a second
// clinician's word about it.
func opened() ledger.Entry {
	e := sampleEntry()
	e.Op, e.Outcome, e.Reason, e.Rows, e.Lines, e.Purpose = ledger.OpEmergency, ledger.Permitted, "", nil, nil, abaton.Emergency
	e.Urgency, e.Loud, e.Words, e.Second = 4, true, []byte{1}, id("eve")
	return e
}

func confirmed() ledger.Entry {
	e := opened()
	e.Op, e.Urgency, e.Loud, e.Words, e.Second, e.Opening = ledger.OpConfirm, 2, false, nil, id("ben"), id("opening")
	return e
}

// spoiledEmergencies are entries that say of an emergency what they must not.
func spoiledEmergencies() map[string][]ledger.Entry {
	make := func(from ledger.Entry, spoil func(*ledger.Entry)) ledger.Entry { spoil(&from); return from }
	return map[string][]ledger.Entry{
		"entry.urgency": {
			make(opened(), func(e *ledger.Entry) { e.Urgency = 0 }),
			make(opened(), func(e *ledger.Entry) { e.Urgency = 5 }),
			make(confirmed(), func(e *ledger.Entry) { e.Urgency = 3 }),
			make(sampleEntry(), func(e *ledger.Entry) { e.Urgency = 1 }),
		},
		"entry.loud": {
			make(confirmed(), func(e *ledger.Entry) { e.Loud = true }),
			make(sampleEntry(), func(e *ledger.Entry) { e.Loud = true }),
			make(opened(), func(e *ledger.Entry) { e.Outcome, e.Reason = ledger.Refused, abaton.ReasonBarred }),
		},
		"entry.words": {
			make(opened(), func(e *ledger.Entry) { e.Words = append(e.Words, bytes.Repeat([]byte{1}, 2<<10)...) }),
			make(sampleEntry(), func(e *ledger.Entry) { e.Words = []byte{1} }),
		},
		"entry.second": {
			make(opened(), func(e *ledger.Entry) { e.Opening = id("opening") }),
			make(confirmed(), func(e *ledger.Entry) { e.Opening = [32]byte{} }),
			make(sampleEntry(), func(e *ledger.Entry) { e.Second = id("eve") }),
		},
	}
}

func emergencyVectors() (vs []vector) {
	const src = "PROTOCOL.md#ledger-entry"
	for name, e := range map[string]ledger.Entry{"an emergency opening": opened(), "a second clinician's word": confirmed()} {
		vs = append(vs, vector{name, src, input{Entry: hex.EncodeToString(wire.Marshal(e))}, "ok"})
	}
	for check, cases := range spoiledEmergencies() {
		for i, e := range cases {
			vs = append(vs, vector{fmt.Sprintf("%s, case %d", check, i+1), src, input{Entry: hex.EncodeToString(wire.Marshal(e))}, check})
		}
	}
	return vs
}

func TestEmergencyEntries(t *testing.T) {
	for _, e := range []ledger.Entry{opened(), confirmed()} {
		b, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ledger.ParseEntry(b)
		if err != nil || again.Urgency != e.Urgency || again.Second != e.Second || again.Opening != e.Opening || again.Loud != e.Loud {
			t.Errorf("%v: got %v, want the same entry", e.Op, err)
		}
	}
	for check, cases := range spoiledEmergencies() {
		for i, e := range cases {
			_, err := e.Marshal()
			if got, ok := errors.AsType[*ledger.CheckError](err); !ok || got.Object+"."+got.Check != check {
				t.Errorf("%s, case %d: got %v", check, i+1, err)
			}
		}
	}
	if !ledger.OpEmergency.Opens() || ledger.OpConfirm.Opens() {
		t.Error("an emergency opens, a second clinician's word does not")
	}
}
