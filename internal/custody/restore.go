package custody

import (
	"context"
	"crypto/rand"
	"errors"
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// rebuild makes this keeper's part of a batch from the pieces that came, all
// but its shares. Nothing is set unless all of it holds.
func (g *gathered) rebuild(r *repair, row keeper.RepairRow) {
	k := r.k
	for _, item := range g.from {
		var head, lock wire.Signed
		if errors.Join(wire.Unmarshal(item.Head, &head), wire.Unmarshal(item.Lock, &lock)) != nil || spread.LockHash(lock.Body) != row.Lock {
			continue
		}
		rest, err := spread.NewRestore(row.Batch, head, lock, k.shape, k.cfg.Set.ID(), k.cfg.Index)
		if err != nil || rest.Head.Patient != r.patient || !rest.Leaves(item.Leaves) || row.Bits&^allOf(len(item.Leaves)) != 0 {
			continue
		}
		c := &spread.Checked{
			Name: row.Batch, Head: rest.Head, Lock: rest.Lock, HeadSigned: head, LockSigned: lock, LockHash: row.Lock,
			X: k.cfg.Index, Leaves: item.Leaves, Rows: make([]spread.CheckedRow, len(item.Leaves)),
		}
		g.rest = rest
		if g.fill(c, row.Bits) && g.goneLeaves(k, c, row.Bits) {
			g.check = c
			return
		}
	}
}

// fill makes capsule and fragments.
func (g *gathered) fill(c *spread.Checked, records uint64) bool {
	capsules := make(map[abaton.KeeperIndex][]byte)
	for x, item := range g.from {
		capsules[x] = item.Capsule
	}
	var err error
	if c.Capsule, err = g.rest.Capsule(capsules); err != nil {
		return false
	}
	for rest, n := records, 0; rest != 0; rest, n = rest&(rest-1), n+1 {
		j := bits.TrailingZeros64(rest)
		if !g.fragment(c, j, n) {
			return false
		}
	}
	return true
}

// fragment makes one, of the length that any of the peers states: which of
// them is right, the leaf says.
func (g *gathered) fragment(c *spread.Checked, j, n int) bool {
	have := make(map[abaton.KeeperIndex][]byte)
	lengths := make(map[uint32]bool)
	for x, item := range g.from {
		have[x] = item.Fragments[n].Bytes
		lengths[item.Fragments[n].Length] = true
	}
	for length := range lengths {
		own, err := g.rest.Fragment(uint16(j), c.Leaves[j], length, have)
		if err == nil {
			c.Rows[j].Fragment, c.Rows[j].Length = own, length
			return true
		}
	}
	return false
}

// goneLeaves finds the leaves of this keeper's erased shares, without which the
// others cannot be checked. A record that is erased at the peers and not yet
// here waits: its erasure is on the way.
func (g *gathered) goneLeaves(k *Keeper, c *spread.Checked, records uint64) bool {
	erased, _, err := k.store.Erased(c.Head.Patient, c.Name)
	if err != nil {
		return false
	}
	g.gone = make(map[int]spread.Hash32)
	for _, item := range g.from {
		for _, l := range item.Gone {
			if l.Batch == c.Name && int(l.Record) < len(c.Leaves) && g.rest.Gone(int(l.Record), l.Leaf, l.Path) {
				g.gone[int(l.Record)] = l.Leaf
			}
		}
	}
	for rest := allOf(len(c.Leaves)) &^ records; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		leaf, known := g.gone[j]
		if erased>>j&1 == 0 || !known && c.Lock.Gone>>j&1 == 0 {
			return false
		}
		c.Rows[j].ShareLeaf = leaf
	}
	return true
}

// accept takes the shares if they are the ones under rho.
func (g *gathered) accept(records uint64, shares [][32]byte) bool {
	mine := make(map[int][32]byte)
	for rest, n := records, 0; rest != 0; rest, n = rest&(rest-1), n+1 {
		mine[bits.TrailingZeros64(rest)] = shares[n]
	}
	if !g.rest.Shares(mine, g.gone) {
		return false
	}
	for j, share := range mine {
		g.check.Rows[j].Share, g.check.Rows[j].ShareLeaf = share, g.rest.ShareLeaf(j, share)
	}
	return true
}

// shares has t peers compute this keeper's shares of all records of the
// batches: each cuts its weighted share into parts, each adds the parts it gets,
// and the sums add to the share. No peer's share leaves it.
func (r *repair) shares(ctx context.Context, from []abaton.KeeperIndex, todo []wanted) ([][32]byte, error) {
	q := keeper.Repair{Kind: keeper.RepairParts, Patient: r.patient, Rows: rowsWanted(todo), From: from}
	rand.Read(q.Run[:])
	cut := make([][][]byte, len(from)) // by sender, by receiver
	for i, x := range from {
		a, err := r.k.askRepair(ctx, r.peers[x], q)
		if err != nil {
			return nil, err
		}
		if cut[i] = a.Boxes; len(cut[i]) != len(from) {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
	}
	n := 0
	for _, w := range todo {
		n += int(count(w.row.Bits))
	}
	q.Kind, q.Keeper = keeper.RepairSums, r.k.cfg.Index
	run := runOf(r.k.cfg.Set.ID(), r.k.cfg.Key.ID(), &q)
	columns := make([][][32]byte, n)
	for i, x := range from {
		q.Parts = nil
		for sender := range from {
			q.Parts = append(q.Parts, cut[sender][i])
		}
		a, err := r.k.askRepair(ctx, r.peers[x], q)
		if err != nil {
			return nil, err
		}
		if len(a.Boxes) != 1 {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
		plain, err := r.k.cfg.Box.OpenFrom(wire.RepairSum, partContext(run, x, r.k.cfg.Index), a.Boxes[0])
		if err != nil || len(plain) != 32*n {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
		for j := range columns {
			columns[j] = append(columns[j], [32]byte(plain[32*j:]))
		}
	}
	out := make([][32]byte, n)
	for j := range out {
		out[j] = spread.SumParts(columns[j])
	}
	return out, nil
}

// Restored keeps a batch that was made from the peers' pieces. The receipt is
// this keeper's own, over its ledger of now.
type Restored struct {
	Batch   *spread.Checked
	Records uint64
}

func (i Restored) slot() string { return Deposit{Upload: i.Batch}.slot() }

func (i Restored) decide(c *Core, t *tx) Output {
	u := i.Batch
	if out, closed := c.closed(); closed {
		return out
	}
	if !c.fresh(t.now, abaton.LeaseMax) {
		return refused(abaton.ReasonLease)
	}
	if out, known := c.known(u); known {
		return out
	}
	st, err := c.actors.get(u.Head.Patient)
	if err != nil {
		return t.fail(err)
	}
	if st == nil || !st.Live() {
		return refused(abaton.ReasonActor)
	}
	if _, announced := st.Newest(u.Head.Line); !announced {
		return refused(abaton.ReasonEpoch)
	}
	receipt := c.cfg.Receipt(c.receiptBody(t, u.Name, u.LockHash))
	if err := c.keep(t, u, receipt); err != nil {
		return c.depositFailed(t, err)
	}
	t.enter(ledger.Entry{
		Request: u.LockHash, Op: ledger.OpRepair, Outcome: ledger.Permitted, Actor: c.cfg.Set.ID(), Patient: u.Head.Patient, Lines: []abaton.Line{u.Head.Line},
		Rows: []ledger.Row{{Batch: u.Name, Released: i.Records}},
	})
	return Output{Bytes: receipt}
}
