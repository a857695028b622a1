package emergency_test

import (
	"context"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/session"
)

func (w *night) seed(line abaton.Line, epoch uint32) (grant.Seed, bool) {
	if line != w.line {
		return grant.Seed{}, false
	}
	return grant.Seed{Line: line, Category: custodytest.EmergencySet, Level: 1, Epoch: epoch,
		Seed: w.ana.Root.SegmentSeed(custodytest.EmergencySet, epoch)}, true
}

// TestBurn: after an emergency the patient's device makes what the doctor holds
// worthless, and the next emergency finds a new set.
func TestBurn(t *testing.T) {
	w := newNight(t)
	r, s := w.signsIn(t, w.ben)
	if _, err := emergency.Open(t.Context(), w.net, r, w.opening(t, s), w.lenders); err != nil {
		t.Fatal(err)
	}
	before := w.setID
	burned, err := emergency.Burn(t.Context(), w.net, client.KeyHand(w.ana.ID, w.ana.Manage), w.setID, client.RelockConfig{
		Patient: w.ana.ID, Locker: w.ana.Manage, Seed: w.seed,
		SignIn: func(context.Context) (*client.Reader, error) { own, _ := w.signsIn(t, w.ana); return own, nil },
	})
	if err != nil || !burned.Locks.Complete() || burned.Locks.Of != 1 {
		t.Fatalf("burn: got %+v, %v, want one record locked anew", burned, err)
	}
	if _, err := r.Chart(t.Context(), (emergency.Opening{Patient: w.ana.ID, Escrow: before}).Ask(w.line)); err == nil {
		t.Error("the doctor reads on under the old set: got a chart, want refused")
	}
	// What keepers release now does not open with what the doctor's device kept.
	old, _ := w.signsIn(t, w.ana)
	first, _ := w.seed(w.line, 1)
	old.AddSeeds(session.Bundle{Patient: w.ana.ID, Seeds: []grant.Seed{first}})
	mine := client.Ask{Patient: w.ana.ID, Purpose: abaton.PatientAccess, Lines: []abaton.Line{w.line}}
	if chart, err := old.Chart(t.Context(), mine); err == nil && len(chart.Records) != 0 {
		t.Errorf("the doctor's seed: opened %d records, want none", len(chart.Records))
	}
	w.setID = burned.Escrow
	again, s := w.signsIn(t, w.ben)
	opened, err := emergency.Open(t.Context(), w.net, again, w.opening(t, s), w.lenders)
	if err != nil {
		t.Fatalf("the next emergency: %v", err)
	}
	chart, err := again.Chart(t.Context(), (emergency.Opening{Patient: w.ana.ID, Escrow: w.setID}).Ask(opened.Lines...))
	if err != nil || len(chart.Records) != 1 {
		t.Errorf("the next emergency: got %v, want one record", err)
	}
	if left := time.Until(opened.Until); left > abaton.EmergencyRight+time.Minute || left < abaton.EmergencyRight-time.Minute {
		t.Errorf("until: got %v from now, want four hours", left)
	}
}
