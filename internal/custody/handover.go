package custody

import (
	"context"
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// When a share is erased its leaf stays, and with it the paths of the batch's
// other records. The other keepers keep that leaf too: a keeper that loses its
// disk could not check the shares beside it otherwise, for nobody can compute a
// share that all have erased (PROTOCOL.md#erase).

const (
	ownGoneSpace  = 'h' // index: leaves of this keeper, in the order of erasing
	peerGoneSpace = 'H' // keeper, batch, record: leaf and path
)

const goneHead = "gone-leaves"

// handOver keeps the leaves of erased records of a batch for the peers to
// fetch. leaves are all of the batch's share leaves.
func (c *Core) handOver(t *tx, patient abaton.ActorID, batch abaton.BatchName, leaves [][32]byte, erased uint64) {
	n, err := countAt(c.store, goneHead)
	if err != nil {
		t.err = err
		return
	}
	n = max(n, t.gone)
	w := c.store.Raw(ownGoneSpace).Into(&t.change)
	for rest := erased & allOf(len(leaves)); rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		l := keeper.RepairedLeaf{Patient: patient, Batch: batch, Record: uint8(j), Leaf: leaves[j], Path: spread.Path(leaves, j)}
		w.Put(binary.BigEndian.AppendUint64(nil, n), wire.Marshal(l))
		n++
	}
	t.gone = n
	c.store.PutMeta(&t.change, goneHead, wire.U64(n))
}

// handOverErased is handOver for a batch that is held: of bitmap, what was not
// erased before.
func (c *Core) handOverErased(t *tx, patient abaton.ActorID, batch abaton.BatchName, bitmap uint64) error {
	n, err := c.store.Notice(patient, batch)
	if errors.Is(err, store.ErrAbsent) || errors.Is(err, store.ErrErased) {
		return nil
	}
	if err != nil {
		return err
	}
	before, _, err := c.store.Erased(patient, batch)
	if err != nil {
		return err
	}
	all := allOf(len(n.Leaves))
	leaves, err := c.shareLeaves(patient, batch, all)
	if err != nil {
		return err
	}
	for j := range leaves {
		if leaves[j], err = goneLeaf(c.store, batch, j, leaves[j]); err != nil {
			return err
		}
	}
	c.handOver(t, patient, batch, leaves, bitmap&all&^before)
	return nil
}

// aidGone tells leaves from an index on.
func (k *Keeper) aidGone(a *keeper.Repaired, from uint64) error {
	var bad error
	err := k.store.Raw(ownGoneSpace).Scan(binary.BigEndian.AppendUint64(nil, from), nil, func(_, value []byte) bool {
		if len(a.Gone) == repairGoneMax {
			a.More = true
			return false
		}
		var l keeper.RepairedLeaf
		bad = wire.Unmarshal(value, &l)
		a.Gone = append(a.Gone, l)
		return bad == nil
	})
	return errors.Join(err, bad)
}

// fetchGone reads what leaves a peer has handed over since at, and returns
// where to go on.
func (k *Keeper) fetchGone(ctx context.Context, x abaton.KeeperIndex, p Peer, at, head uint64) uint64 {
	for at < head {
		a, err := k.askRepair(ctx, p, keeper.Repair{Kind: keeper.RepairGone, Index: at})
		if err != nil || len(a.Gone) == 0 || len(a.Gone) > repairGoneMax {
			return at
		}
		if _, err := k.one(ctx, HandedOver{Peer: x, Leaves: a.Gone}); err != nil {
			return at
		}
		at += uint64(len(a.Gone))
	}
	return at
}

// HandedOver are leaves of a peer's erased shares.
type HandedOver struct {
	Peer   abaton.KeeperIndex
	Leaves []keeper.RepairedLeaf
}

func (HandedOver) slot() string { return "" }

// decide keeps those leaves that stand under a LOCK held here; others prove
// nothing and would only take room.
func (h HandedOver) decide(c *Core, t *tx) Output {
	for _, l := range h.Leaves {
		n, err := c.store.Notice(l.Patient, l.Batch)
		if err != nil || int(l.Record) >= len(n.Leaves) {
			continue
		}
		_, lock, err := decodeNotice(n)
		if err != nil {
			return t.fail(err)
		}
		if at := position(c.cfg.Set.Shape, h.Peer); at >= 0 && at < len(lock.Rho) &&
			spread.VerifyPath(l.Leaf, int(l.Record), len(n.Leaves), l.Path, lock.Rho[at]) {
			c.store.Raw(peerGoneSpace).Into(&t.change).Put(peerGoneKey(h.Peer, l.Batch, int(l.Record)), wire.Marshal(l))
		}
	}
	return Output{}
}

// position is a keeper's place in the set, -1 for none.
func position(shape func() (n, k, t uint8, x []uint8), x abaton.KeeperIndex) int {
	_, _, _, xs := shape()
	for i := range xs {
		if xs[i] == uint8(x) {
			return i
		}
	}
	return -1
}

func peerGoneKey(x abaton.KeeperIndex, batch abaton.BatchName, j int) []byte {
	return append(append([]byte{byte(x)}, batch[:]...), byte(j))
}

// handedOver are the leaves that keeper x handed over, of those records of a
// batch.
func (k *Keeper) handedOver(x abaton.KeeperIndex, patient abaton.ActorID, batch abaton.BatchName, records uint64) (out []keeper.RepairedLeaf, err error) {
	for rest := records; rest != 0; rest &= rest - 1 {
		b, err := k.store.Raw(peerGoneSpace).Get(peerGoneKey(x, batch, bits.TrailingZeros64(rest)))
		if err != nil {
			return nil, err
		}
		var l keeper.RepairedLeaf
		if b == nil || wire.Unmarshal(b, &l) != nil || l.Patient != patient {
			continue
		}
		out = append(out, l)
	}
	return out, nil
}
