package custody

import (
	"errors"
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// erasure is what of one patient is on its way out of the store: erased
// records, or the shares that new locks replace.
type erasure struct {
	patient abaton.ActorID
	rows    []store.Erasure
	promote []store.Promotion
}

// row is what is erased of one batch, together with what other events of the
// group erase of it.
func (e *erasure) row(batch abaton.BatchName) *store.Erasure {
	for i := range e.rows {
		if e.rows[i].Batch == batch {
			return &e.rows[i]
		}
	}
	e.rows = append(e.rows, store.Erasure{Batch: batch})
	return &e.rows[len(e.rows)-1]
}

func (e *erasure) commit(s *store.Store, change *store.Change) error {
	if len(e.promote) > 0 {
		return s.Promote(e.patient, e.promote, change)
	}
	return s.Erase(e.patient, e.rows, change)
}

// isErasure: an erasure re-seals the patient's other shares and commits in a
// group of its own. A merge may bring one in.
func isErasure(in Input) bool {
	switch p := in.(type) {
	case Publish:
		return erases(p.Event)
	case Certify:
		return erases(p.Event)
	case Commit:
		return true
	}
	return false
}

func erases(a *actor.Authentic) bool {
	return a.Kind() == actor.EventErase || a.Kind() == actor.EventMerge
}

// erase replaces shares by their leaves and deletes the fragments
// (PROTOCOL.md#erase). Batches that never came leave a tombstone.
func (c *Core) erase(t *tx, a *actor.Authentic, b *actor.Erase) Output {
	patient := a.Actor()
	if t.erasure == nil {
		t.erasure = &erasure{patient: patient}
	}
	entry := ledger.Entry{Request: a.Hash(), Op: ledger.OpErase, Outcome: ledger.Permitted, Actor: patient, Patient: patient}
	for _, row := range b.Rows {
		e := t.erasure.row(row.Batch)
		e.Records |= row.Bits
		if err := c.handOverErased(t, patient, row.Batch, row.Bits); err != nil {
			return t.fail(err)
		}
		var err error
		if e.Leaves, err = c.shareLeaves(patient, row.Batch, e.Records); err != nil {
			return t.fail(err)
		}
		entry.Rows = append(entry.Rows, ledger.Row{Batch: row.Batch, Released: row.Bits})
	}
	ledger.SortRows(entry.Rows)
	c.record(t, entry)
	return Output{}
}

// shareLeaves are the leaves that stay when the shares go, one for each bit:
// zero for a bit beyond the batch. Nil when the batch is not held.
func (c *Core) shareLeaves(patient abaton.ActorID, batch abaton.BatchName, bitmap uint64) ([][32]byte, error) {
	n, err := c.store.Notice(patient, batch)
	if errors.Is(err, store.ErrAbsent) || errors.Is(err, store.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, lock, err := decodeNotice(n)
	if err != nil {
		return nil, err
	}
	shares, err := c.store.Shares(patient, batch)
	if err != nil {
		return nil, err
	}
	ctx := spread.Ctx(head.Line, lock)
	var leaves [][32]byte
	for rest := bitmap; rest != 0; rest &= rest - 1 {
		switch j := bits.TrailingZeros64(rest); {
		case j >= len(shares):
			leaves = append(leaves, [32]byte{})
		case shares[j].Erased:
			leaves = append(leaves, shares[j].Bytes)
		default:
			leaves = append(leaves, spread.ShareLeaf(ctx, c.cfg.Index, uint16(j), shares[j].Bytes))
		}
	}
	return leaves, nil
}

// decodeNotice reads the HEAD and LOCK of a stored notice.
func decodeNotice(n store.Notice) (*spread.Head, *spread.Lock, error) {
	var head, lock wire.Signed
	if err := errors.Join(wire.Unmarshal(n.Head, &head), wire.Unmarshal(n.Lock, &lock)); err != nil {
		return nil, nil, err
	}
	h, err := spread.DecodeHead(head.Body)
	if err != nil {
		return nil, nil, err
	}
	l, err := spread.DecodeLock(lock.Body)
	return h, l, err
}
