package custody_test

import (
	"testing"

	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// FuzzRelockDoor: what comes in a box or as a commit never panics, and what is
// taken has one form.
func FuzzRelockDoor(f *testing.F) {
	set, _ := custodytest.NewSet(f, 5)
	f.Add(wire.Marshal(keeper.Prepare{V: 1, Rekey: []byte{1}, Base: []byte{2}}))
	f.Add(wire.Marshal(keeper.Commits{V: 1, Locks: []keeper.Commit{{Receipts: [][]byte{{1}}}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := custody.ReadPrepare(data); err == nil {
			var m keeper.Prepare
			if wire.Unmarshal(data, &m) != nil || string(wire.Marshal(m)) != string(data) {
				t.Error("a prepare of another form was taken")
			}
		}
		if locks, err := custody.ReadCommit(data, set); err == nil && (locks < 1 || locks > 64) {
			t.Errorf("a commit of %d locks was taken", locks)
		}
	})
}
