package custody

import (
	"errors"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// erasure is one patient's erased records on their way out of the store.
type erasure struct {
	patient abaton.ActorID
	rows    []store.Erasure
}

func (e *erasure) commit(s *store.Store, change *store.Change) error {
	return s.Erase(e.patient, e.rows, change)
}

// isErasure: an erasure re-seals the patient's other shares and commits in a
// group of its own.
func isErasure(in Input) bool {
	switch p := in.(type) {
	case Publish:
		return p.Event.Kind() == actor.EventErase
	case Certify:
		return p.Event.Kind() == actor.EventErase
	}
	return false
}

// erase replaces shares by their leaves and deletes the fragments
// (PROTOCOL.md#erase). Batches that never came leave a tombstone.
func (c *Core) erase(t *tx, a *actor.Authentic, b *actor.Erase) Output {
	patient := a.Actor()
	e := &erasure{patient: patient}
	entry := ledger.Entry{Request: a.Hash(), Op: ledger.OpErase, Outcome: ledger.Permitted, Actor: patient, Patient: patient}
	for _, row := range b.Rows {
		leaves, err := c.shareLeaves(patient, row)
		if err != nil {
			return t.fail(err)
		}
		e.rows = append(e.rows, store.Erasure{Batch: row.Batch, Records: row.Bits, Leaves: leaves})
		entry.Rows = append(entry.Rows, ledger.Row{Batch: row.Batch, Released: row.Bits})
	}
	ledger.SortRows(entry.Rows)
	t.enter(entry)
	t.erasure = e
	return Output{}
}

// shareLeaves are the leaves that stay when the shares go; nil when the batch
// is not held.
func (c *Core) shareLeaves(patient abaton.ActorID, row actor.Row) ([][32]byte, error) {
	n, err := c.store.Notice(patient, row.Batch)
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
	shares, err := c.store.Shares(patient, row.Batch)
	if err != nil {
		return nil, err
	}
	ctx := spread.Ctx(head.Line, lock)
	var leaves [][32]byte
	for j := range shares {
		switch {
		case row.Bits>>j&1 == 0:
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
