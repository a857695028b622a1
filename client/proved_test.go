package client_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// What has been verified is remembered for these very bytes only: another
// batch, LOCK or signature is verified like a new one.
func TestProvedReceiptCountsForItsOwnBytesOnly(t *testing.T) {
	w := newWorld(t)
	set, batch, lock := w.keepers.Set, abaton.BatchName{1}, [32]byte{2}
	good := wire.Marshal(w.wires[3].keeper.Identity.Key.Seal(wire.Receipt,
		wire.Marshal(keeper.Receipt{V: wire.Version, Keeper: 3, Batch: batch, Lock: lock})))
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	whose := client.ProvedReceipts(set)
	for range 2 { // the second time from memory
		if got := whose(good, batch, lock); got != 3 {
			t.Errorf("good: got keeper %d, want 3", got)
		}
		if got := whose(forged, batch, lock); got != 0 {
			t.Errorf("forged: got keeper %d, want nobody's", got)
		}
		if got := whose(good, abaton.BatchName{9}, lock); got != 0 {
			t.Errorf("another batch: got keeper %d, want nobody's", got)
		}
		if got := whose(good, batch, [32]byte{9}); got != 0 {
			t.Errorf("another LOCK: got keeper %d, want nobody's", got)
		}
	}
}
