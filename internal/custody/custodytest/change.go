package custodytest

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
)

// Recover gives a keeper that lost the end of its ledger a new one: a change
// of the set, signed by four, then every keeper starts with the new set.
func (n *Network) Recover(t testing.TB, x abaton.KeeperIndex) {
	t.Helper()
	k := n.Keepers[x]
	n.change(t, x, Identity{Key: k.Identity.Key, Box: k.Identity.Box}, func() {})
}

// Replace puts an empty keeper with new keys in the place of another.
func (n *Network) Replace(t testing.TB, x abaton.KeeperIndex) {
	t.Helper()
	k := n.Keepers[x]
	n.change(t, x, Identity{Key: key.NewSigning(), Box: key.NewBox()}, func() {
		k.Records, k.Keys = store.NewMemory(), store.NewMemory()
	})
}

func (n *Network) change(t testing.TB, x abaton.KeeperIndex, id Identity, disk func()) {
	t.Helper()
	rand.Read(id.Incarnation[:])
	entry := *n.Set.Keeper(x)
	entry.Key, entry.Box, entry.Incarnation = id.Key.ID(), id.Box.Public().Bytes(), id.Incarnation
	entry.Origin = fmt.Sprintf("keeper%d.test/ledger/%x", x, id.Incarnation[:4])
	seq, head := n.Set.Head()
	event := actor.New(n.Set.ID(), seq+1, []actor.Hash{head}, time.Now().Unix(),
		&actor.SetChange{Keeper: entry, Last: n.lastKnown(t, x)})
	var proofs []actor.Proof
	for y, k := range n.Keepers {
		if y != x {
			proofs = append(proofs, actor.ByKey(k.Identity.Key, event))
		}
	}
	log := append(append([]actor.SignedEvent(nil), n.Keepers[x].Identity.log...), actor.Signed(event, proofs...))
	set, err := actor.ParseSet(actor.MarshalSet(log))
	if err != nil {
		t.Fatalf("change keeper set: %v", err)
	}
	id.log = log
	n.Set = set
	for y, k := range n.Keepers {
		n.Restart(t, y, func() {
			if y == x {
				disk()
				k.Identity = id
			} else {
				k.Identity.log = log
			}
		})
	}
	for y, k := range n.Keepers {
		if y != x {
			k.AwaitMode(t)
		}
	}
}

// lastKnown is the newest checkpoint of keeper x's ledger that another holds.
func (n *Network) lastKnown(t testing.TB, x abaton.KeeperIndex) []byte {
	t.Helper()
	entry := n.Set.Keeper(x)
	v, err := ledger.NewVerifier(entry.Origin, entry.Key)
	if err != nil {
		t.Fatal(err)
	}
	var last []byte
	var size uint64
	for y, k := range n.Keepers {
		if y == x {
			continue
		}
		note, err := k.table.Fetch(context.Background(), fmt.Sprintf("%s%d", keeper.RouteWitnessed, x))
		if err != nil {
			continue
		}
		c, err := ledger.VerifyCheckpoint(note, entry.Origin, v)
		if err != nil {
			t.Fatalf("keeper %d told a false checkpoint of keeper %d: %v", y, x, err)
		}
		if last == nil || c.Size > size {
			last, size = note, c.Size
		}
	}
	return last
}

// Repair has a keeper make what it lost from what the others hold.
func (n *Network) Repair(t testing.TB, x abaton.KeeperIndex) custody.Progress {
	t.Helper()
	k := n.Keepers[x]
	if err := k.Repair(context.Background(), n.peersOf(x)); err != nil {
		t.Fatalf("repair of keeper %d: %v", x, err)
	}
	return k.RepairProgress()
}
