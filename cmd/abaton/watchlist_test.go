package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
)

// toldWord is a keeper's telling of keeper x's verdict about a session.
func toldWord(x abaton.KeeperIndex, name byte, state keeper.WordState) keeper.Word {
	return keeper.Word{Keeper: x, Kind: uint8(contain.KindSession), Subject: [32]byte{9}, Level: uint8(detect.SuspendSession),
		Rules: uint32(detect.Of(detect.D1)), Time: 100, Until: 200, Name: [32]byte{name}, Entry: uint64(x) * 10, State: state}
}

// TestGatherSteered: one subject for what all keepers say of it, whose session
// it is by its own keeper's word, and numbers from that keeper alone.
func TestGatherSteered(t *testing.T) {
	who, liar := abaton.ActorID{1}, abaton.ActorID{2}
	own := toldWord(1, 1, keeper.WordStands)
	own.Who, own.Figures = who, []keeper.Figure{{Rule: uint8(detect.D1), Measure: uint8(detect.Opened), Count: 43, Limit: 21, Span: 600}}
	heard := toldWord(1, 1, keeper.WordStands)
	heard.Who, heard.Figures = liar, []keeper.Figure{{Count: 1}}
	held := keeper.Held{Kind: own.Kind, Subject: own.Subject, Level: own.Level, By: []abaton.KeeperIndex{1}}
	all := gatherSteered([]client.Steered{
		{Keeper: 1, Steer: keeper.Steer{Words: []keeper.Word{own}}, Held: []keeper.Held{held}},
		{Keeper: 2, Steer: keeper.Steer{Words: []keeper.Word{heard, toldWord(2, 2, keeper.WordEnded)}}},
	}, map[abaton.ActorID]string{who: "dr-anna"})
	if len(all) != 1 || len(all[0].Verdicts) != 2 {
		t.Fatalf("subjects: got %d, want one with two verdicts", len(all))
	}
	s := all[0]
	if s.State != stateHeld || s.Who != "dr-anna" || s.owner() != who || len(s.Keepers) != 1 {
		t.Errorf("got %s of %q at %d keepers, want held, dr-anna, 1", s.State, s.Who, len(s.Keepers))
	}
	i := slices.IndexFunc(s.Verdicts, func(v steeredVerdict) bool { return v.Keeper == 1 })
	v := s.Verdicts[i]
	if want := []string{"43 different patients within 10 minutes; the rule speaks above 21"}; !slices.Equal(v.Numbers, want) {
		t.Errorf("numbers: got %q, want %q", v.Numbers, want)
	}
	if want := []ledgerEntry{{1, 10}, {2, 10}}; !slices.Equal(v.Entries, want) {
		t.Errorf("entries: got %v, want %v", v.Entries, want)
	}
	if got := subjectOf(all, v.Verdict[:8]); got != s {
		t.Error("by the beginning of a verdict's name: not found")
	}
	if subjectOf(all, v.Verdict[:4]) != nil {
		t.Error("by too short a beginning: found")
	}
}

// TestMet: a read asks the three mildest keepers.
func TestMet(t *testing.T) {
	at := func(levels ...detect.Level) (held []heldKeeper) {
		for _, l := range levels {
			held = append(held, heldKeeper{level: l})
		}
		return held
	}
	for _, c := range []struct {
		held []heldKeeper
		want detect.Level
	}{
		{nil, 0},
		{at(detect.SuspendPerson, detect.SuspendPerson), 0},
		{at(detect.SuspendPerson, detect.SuspendPerson, detect.StepUp), detect.StepUp},
		{at(detect.SuspendPerson, detect.SuspendPerson, detect.SuspendPerson, detect.Throttle, detect.StepUp), detect.SuspendPerson},
	} {
		if got := met(c.held); got != c.want {
			t.Errorf("%d keepers: got %v, want %v", len(c.held), got, c.want)
		}
	}
}

func TestReached(t *testing.T) {
	of := func(a *client.Steered) uint64 { return a.InCare }
	answers := []client.Steered{{Steer: keeper.Steer{InCare: 3}}, {Steer: keeper.Steer{InCare: 900}}, {Steer: keeper.Steer{InCare: 5}}}
	if got := reached(answers, of); got != 5 {
		t.Errorf("with one that makes it up: got %d, want 5", got)
	}
	if got := reached(answers[:1], of); got != 0 {
		t.Errorf("by one alone: got %d, want 0", got)
	}
}

// TestMayStill: at every level something is said, and at none below a
// suspension that a second clinician is needed.
func TestMayStill(t *testing.T) {
	for level := range detect.Quarantine + 1 {
		can := mayStill(level, contain.KindPerson, detect.Of(detect.D2))
		second := strings.Contains(strings.Join(can, " "), "second clinician")
		if len(can) == 0 || second != (level >= detect.SuspendSession) {
			t.Errorf("%v: got %q", level, can)
		}
	}
	for seconds, want := range map[uint32]string{3600: "an hour", 600: "10 minutes", 604800: "a week", 120: "2 minutes", 7: "7 seconds", 28800: "8 hours"} {
		if got := spanOf(seconds); got != want {
			t.Errorf("%d s: got %q, want %q", seconds, got, want)
		}
	}
}
