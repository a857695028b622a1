package main

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/keeper"
)

// TestALyingKeeperLiftsNobody: it says that the verdicts about a thief are about
// an innocent, whom the officer then lets go.
func TestALyingKeeperLiftsNobody(t *testing.T) {
	anna, thief := [32]byte{1}, [32]byte{2}
	mistake, theft, fresh := [32]byte{11}, [32]byte{12}, [32]byte{13}
	says := func(x abaton.KeeperIndex, subject [32]byte, verdicts ...[32]byte) client.Held {
		return client.Held{Keeper: x, Held: keeper.Held{Kind: uint8(contain.KindPerson), Subject: subject, Level: 6, Verdicts: verdicts}}
	}
	held := gatherHeld([]client.Held{
		says(1, anna, mistake), says(1, thief, theft),
		says(2, anna, mistake), says(2, thief, theft, fresh), // fresh has not reached the others
		says(4, anna, mistake, theft, fresh), says(4, anna, theft), // keeper 4 lies, and repeats itself
	}, nil)
	got := func(subject [32]byte) [][32]byte {
		for i := range held {
			if held[i].Subject == hex.EncodeToString(subject[:]) {
				return held[i].names
			}
		}
		return nil
	}
	if names := got(anna); !slices.Equal(names, [][32]byte{mistake}) {
		t.Errorf("the innocent's lift: got %d verdicts, want the one about the innocent", len(names))
	}
	if names := got(thief); !slices.Equal(names, [][32]byte{theft}) {
		t.Errorf("the thief's lift: got %d verdicts, want the one that most keepers say is the thief's", len(names))
	}
}
