package escrow_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// TestBrowserHelpers opens what the pages' TypeScript made for helpers
// (web/test/makehelpers.ts): the escrow, two parts that helpers sealed to a new
// device, and a third that is false and named.
func TestBrowserHelpers(t *testing.T) {
	var made struct {
		Log, Root, Box, Body, Recover, Device string
		Helpers, Parts                        []string
	}
	data, err := os.ReadFile("testdata/browserhelpers.json")
	if err == nil {
		err = json.Unmarshal(data, &made)
	}
	if err != nil {
		t.Fatal(err)
	}
	log, event := abaton.ActorID(unhex(t, made.Log)), actor.Hash(unhex(t, made.Recover))
	if log != patient {
		t.Fatalf("log: got another one than the tests' patient")
	}
	var e actor.Escrow
	if err := wire.Unmarshal(unhex(t, made.Body), &e); err != nil {
		t.Fatal(err)
	}
	if e.Kind != actor.EscrowTrustees || e.Need != 2 || len(e.Wraps) != 3 || len(made.Parts) != 3 {
		t.Fatalf("terms: got kind %d, %d of %d, want helpers, 2 of 3", e.Kind, e.Need, len(e.Wraps))
	}
	for i, w := range e.Wraps {
		if w.Holder != abaton.ActorID(unhex(t, made.Helpers[i])) || e.Provers[i].Actor != w.Holder {
			t.Errorf("helper %d: got another holder or prover", i+1)
		}
		if _, err := e.OpenWrap(log, w, key.BoxFromSeed(secret(byte(0x50+i)))); err != nil {
			t.Errorf("helper %d: %v", i+1, err)
		}
	}
	var parts []escrow.Part
	for _, text := range made.Parts {
		p, err := escrow.ParsePart(unhex(t, text))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	a, liars, err := escrow.HalfOf(log, &e, event, key.BoxFromSeed(key.Secret(unhex(t, made.Device))), parts)
	if err != nil || len(liars) != 1 || liars[0] != e.Wraps[1].Holder {
		t.Fatalf("half A: got %d liars, %v, want it from the first and the third and the second named", len(liars), err)
	}
	var boxes []*key.Box
	for x := 1; x <= 5; x++ {
		boxes = append(boxes, key.BoxFromSeed(secret(byte(x))))
	}
	p, err := escrow.Open(log, &e, a, half(t, shares(t, &e, boxes, 1, 4, 5)))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(p.Root[:]) != made.Root || hex.EncodeToString(p.Box[:]) != made.Box {
		t.Error("payload: got another root or box seed than the browser sealed")
	}
}
