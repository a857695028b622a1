package client_test

import (
	"runtime"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// haul is what somebody took from keepers of one batch: every fragment, the
// capsules under the locks seen, and the shares of each keeper by lock.
type haul struct {
	w       *world
	batch   abaton.BatchName
	gathers map[[32]byte]*spread.Gather
	shares  []spread.Share // of record 0, any lock
}

func (w *world) haul(batch abaton.BatchName) *haul {
	return &haul{w: w, batch: batch, gathers: make(map[[32]byte]*spread.Gather)}
}

// rob takes keeper x's pieces as its disk and keys give them. Without the
// shares only its fragments and capsule are of use.
func (h *haul) rob(x abaton.KeeperIndex, s *store.Store) {
	h.w.t.Helper()
	held, err := s.Whole(h.w.patient.id, h.batch, 1, true)
	if err != nil {
		h.w.t.Fatalf("rob keeper %d: %v", x, err)
	}
	stored := &spread.Stored{X: x, Capsule: held.Notice.Capsule, Leaves: nil, Rows: make([]spread.StoredRow, len(held.Notice.Leaves))}
	stored.Leaves = append(stored.Leaves, held.Notice.Leaves...)
	if wire.Unmarshal(held.Notice.Head, &stored.Head) != nil || wire.Unmarshal(held.Notice.Lock, &stored.Lock) != nil {
		h.w.t.Fatal("rob: notice does not decode")
	}
	for j, share := range held.Shares {
		stored.Rows[j].Share = share.Bytes
	}
	stored.Rows[0].Length, stored.Rows[0].Fragment = held.Kept[0].Length, held.Kept[0].Fragment
	h.take(x, stored)
	h.shares = append(h.shares, spread.Share{X: x, Y: held.Shares[0].Bytes})
	for _, b := range held.Beside {
		h.shares = append(h.shares, spread.Share{X: x, Y: b.Shares[0]})
	}
}

func (h *haul) take(x abaton.KeeperIndex, stored *spread.Stored) {
	h.w.t.Helper()
	piece, err := spread.MakePiece(stored, 1)
	if err != nil {
		h.w.t.Fatalf("make piece: %v", err)
	}
	hash := spread.LockHash(stored.Lock.Body)
	g := h.gathers[hash]
	if g == nil {
		n, k, th, xs := h.w.keepers.Set.Shape()
		shape := spread.Shape{N: n, K: k, T: th}
		for _, x := range xs {
			shape.X = append(shape.X, abaton.KeeperIndex(x))
		}
		if g, err = spread.NewGather(h.batch, 1, shape, h.w.keepers.Set.ID(), func(*spread.Head, *spread.Lock) error { return nil }); err != nil {
			h.w.t.Fatal(err)
		}
		h.gathers[hash] = g
	}
	if err := g.Add(x, piece.Bytes()); err != nil {
		h.w.t.Fatalf("add piece of keeper %d: %v", x, err)
	}
}

// opens tries every t shares in the haul behind every capsule and body that
// ever came together, with a segment's key.
func (h *haul) opens(known []*spread.Gathered, box *key.Box) bool {
	for _, g := range known {
		for a := range h.shares {
			for b := range a {
				for c := range b {
					secret, err := spread.Combine([]spread.Share{h.shares[a], h.shares[b], h.shares[c]})
					if err != nil {
						continue // two of one keeper
					}
					try := *g
					try.Found = append([]spread.Found(nil), g.Found...)
					try.Found[0].Masked = [][32]byte{secret}
					opened, err := seal.Open(box, &try, h.w.authorKeys)
					if err == nil && opened[0].Err == nil {
						return true
					}
				}
			}
		}
	}
	return false
}

// await waits until keeper x has its piece.
func (w *world) await(x abaton.KeeperIndex, batch abaton.BatchName) {
	w.t.Helper()
	for {
		if _, err := w.keepers.Keepers[x].Store.Notice(w.patient.id, batch); err == nil {
			return
		}
		if w.t.Context().Err() != nil {
			w.t.Fatalf("keeper %d does not get the batch", x)
		}
		runtime.Gosched()
	}
}

func (w *world) authorKeys(abaton.ActorID) []abaton.KeyID { return []abaton.KeyID{w.org.signing.ID()} }

// TestOldKeysOpenNothing: somebody who had a grant kept the segment's old seed,
// the capsule and every body, and later takes what t-1 keepers have, and a
// backup of a third one from before the re-lock with all its old shares. No
// record opens; with one more old share it would (the control).
func TestOldKeysOpenNothing(t *testing.T) {
	w := newWorld(t)
	out := w.put(w.writer(t.TempDir()), w.writes(general, "a", 3))
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		w.await(x, out.Batches[0]) // the fifth keeper gets it after the answer
	}
	h := w.haul(out.Batches[0])
	backup := make(map[abaton.KeeperIndex]*store.Store)
	for x, k := range w.keepers.Keepers {
		records, keys := store.NewMemory(), store.NewMemory()
		records.Restore(k.Records.Snapshot())
		keys.Restore(k.Keys.Snapshot())
		s, err := store.New(records, keys)
		if err != nil {
			t.Fatal(err)
		}
		backup[x] = s
	}
	old := w.root.Segment(general, 1)
	before := w.haul(out.Batches[0])
	for _, x := range []abaton.KeeperIndex{1, 2, 3} {
		before.rob(x, backup[x])
	}
	var known []*spread.Gathered
	for _, g := range before.gathers {
		known = append(known, g.Result())
	}
	if len(known) != 1 || !known[0].Complete() || !before.opens(known, old) {
		t.Fatal("control: three keepers before the re-lock do not open it")
	}
	if done := w.relock(w.grant); !done.Complete() {
		t.Fatalf("re-lock: got %+v, want complete", done)
	}
	h.rob(1, backup[1])
	for _, x := range []abaton.KeeperIndex{4, 5} {
		h.rob(x, w.keepers.Keepers[x].Store)
	}
	// The thief also has the new capsule, from all five keepers' fragments.
	after := w.haul(out.Batches[0])
	for x, k := range w.keepers.Keepers {
		after.rob(x, k.Store)
	}
	for _, g := range after.gathers {
		if r := g.Result(); r.Complete() { // one that was away may still hold the old lock alone
			known = append(known, r)
		}
	}
	if h.opens(known, old) {
		t.Error("the old seed, a backup of one keeper and two keepers open a record")
	}
	if !after.opens(known, w.root.Segment(general, 2)) {
		t.Error("control: five keepers and the new seed do not open it")
	}
	if after.opens(known, old) {
		t.Error("the old seed and all five keepers open a record after the re-lock")
	}
	h.rob(2, backup[2])
	h.rob(3, backup[3])
	if !h.opens(known, old) {
		t.Error("control: three backups from before the re-lock do not open it")
	}
}
