package custody

import (
	"context"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Bounds of one answer to a keeper that lost pieces.
const (
	repairBatchesMax = 1024
	repairBytesMax   = 16 << 20
	repairGoneMax    = 1024
)

// Aid asks whether another keeper may be given what it lost. The door has
// verified that the question comes from the key that the set has at its place,
// and it is answered for that place alone.
type Aid struct {
	Question *keeper.Repair
	Run      [32]byte
}

func (Aid) slot() string { return "" }

// decide ledgers what is handed out of records before anyone gets it.
func (a Aid) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if !c.fresh(t.now, abaton.LeaseMax) {
		return refused(abaton.ReasonLease)
	}
	q := a.Question
	if q.Kind != keeper.RepairPieces && q.Kind != keeper.RepairParts {
		return Output{}
	}
	entry := ledger.Entry{
		Request: a.Run, Op: ledger.OpRepair, Outcome: ledger.Permitted, Actor: c.cfg.Set.ID(), Patient: q.Patient,
	}
	for _, row := range q.Rows {
		if reason := c.holdsUnder(t, q.Patient, row); reason != "" {
			return refused(reason)
		}
		entry.Rows = append(entry.Rows, ledger.Row{Batch: row.Batch, Released: row.Bits})
	}
	ledger.SortRows(entry.Rows)
	t.enter(entry)
	return Output{}
}

// holdsUnder reports whether the records can be read here under that LOCK.
func (c *Core) holdsUnder(t *tx, patient abaton.ActorID, row keeper.RepairRow) abaton.Reason {
	n, err := c.store.Notice(patient, row.Batch)
	if err != nil {
		return abaton.ReasonNotFound // absent or erased; a broken store shows when it is written
	}
	erased, _, err := c.store.Erased(patient, row.Batch)
	if err != nil {
		t.err = err
		return abaton.ReasonStorage
	}
	if row.Bits&erased != 0 || row.Bits&^allOf(len(n.Leaves)) != 0 {
		return abaton.ReasonErased
	}
	if held, err := lockHash(n.Lock); err != nil || held != row.Lock {
		return abaton.ReasonNotFound
	}
	return ""
}

func lockHash(signed []byte) (spread.Hash32, error) {
	var s wire.Signed
	if err := wire.Unmarshal(signed, &s); err != nil {
		return spread.Hash32{}, err
	}
	return spread.LockHash(s.Body), nil
}

// repairRun is what the steps of one repair are bound to: parts of two repairs
// never meet in one sum.
type repairRun struct {
	Set     abaton.ActorID       `cbor:"1,keyasint"`
	Keeper  abaton.KeeperIndex   `cbor:"2,keyasint"`
	Key     abaton.KeyID         `cbor:"3,keyasint"`
	Patient abaton.ActorID       `cbor:"4,keyasint"`
	Rows    []keeper.RepairRow   `cbor:"5,keyasint"`
	From    []abaton.KeeperIndex `cbor:"6,keyasint"`
	Run     [16]byte             `cbor:"7,keyasint"`
}

func runOf(set abaton.ActorID, asker abaton.KeyID, q *keeper.Repair) [32]byte {
	return wire.Hash(wire.Peer, wire.Marshal(repairRun{
		Set: set, Keeper: q.Keeper, Key: asker, Patient: q.Patient, Rows: q.Rows, From: q.From, Run: q.Run,
	}))
}

// partContext binds a box to its repair, its sender and its receiver.
func partContext(run [32]byte, from, to abaton.KeeperIndex) []byte {
	return append(run[:len(run):len(run)], byte(from), byte(to))
}

// checkRepair is the form of a question.
func (k *Keeper) checkRepair(q *keeper.Repair) bool {
	rows := q.Kind >= keeper.RepairPieces && q.Kind <= keeper.RepairSums
	shares := q.Kind == keeper.RepairParts || q.Kind == keeper.RepairSums
	switch {
	case q.V != wire.Version, q.Kind < keeper.RepairBatches || q.Kind > keeper.RepairGone,
		rows != (len(q.Rows) > 0), len(q.Rows) > abaton.RequestRowsMax,
		shares != (len(q.From) > 0), (q.Kind == keeper.RepairSums) != (len(q.Parts) > 0),
		(q.Kind != keeper.RepairGone) != (q.Patient != abaton.ActorID{}):
		return false
	}
	seen := make(map[abaton.BatchName]bool)
	for _, row := range q.Rows {
		if row.Bits == 0 || row.Batch == (abaton.BatchName{}) || seen[row.Batch] {
			return false
		}
		seen[row.Batch] = true
	}
	return !shares || k.mayShare(q)
}

// mayShare: t keepers of the set, each once, all but the one that asks; this
// one among them.
func (k *Keeper) mayShare(q *keeper.Repair) bool {
	for i, x := range q.From {
		if k.cfg.Set.Keeper(x) == nil || x == q.Keeper || i > 0 && q.From[i-1] >= x {
			return false
		}
	}
	return len(q.From) == int(k.cfg.Set.T) && slices.Contains(q.From, k.cfg.Index) &&
		(q.Kind == keeper.RepairParts || len(q.Parts) == len(q.From))
}

// Aid answers a keeper of the set that lost pieces (PROTOCOL.md#repair).
func (k *Keeper) Aid(ctx context.Context, body []byte) ([]byte, error) {
	var q keeper.Repair
	var asker *abaton.KeyID
	_, err := verified(body, wire.Peer, func(b []byte) (abaton.KeyID, error) {
		if wire.Unmarshal(b, &q) != nil || !k.checkRepair(&q) {
			return abaton.KeyID{}, abaton.Refuse(abaton.ReasonMalformed)
		}
		e := k.cfg.Set.Keeper(q.Keeper)
		if e == nil || q.Keeper == k.cfg.Index {
			return abaton.KeyID{}, abaton.Refuse(abaton.ReasonPeer)
		}
		asker = &e.Key
		return e.Key, nil
	})
	if err != nil {
		return nil, err
	}
	if skew := k.cfg.Now().Sub(time.Unix(int64(q.Time), 0)); skew.Abs() > abaton.ClockSkewMax {
		return nil, abaton.Refuse(abaton.ReasonTime)
	}
	run := runOf(k.cfg.Set.ID(), *asker, &q)
	if _, err := k.one(ctx, Aid{Question: &q, Run: run}); err != nil {
		return nil, err
	}
	a := keeper.Repaired{V: wire.Version}
	switch q.Kind {
	case keeper.RepairBatches:
		err = k.aidBatches(&a, &q)
	case keeper.RepairPieces:
		err = k.aidPieces(&a, &q)
	case keeper.RepairParts:
		err = k.aidParts(&a, &q, run)
	case keeper.RepairSums:
		err = k.aidSums(&a, &q, run)
	case keeper.RepairGone:
		err = k.aidGone(&a, q.Index)
	}
	if err != nil {
		return nil, err
	}
	return wire.Marshal(a), nil
}

func (k *Keeper) aidBatches(a *keeper.Repaired, q *keeper.Repair) error {
	var bad error
	err := k.store.Batches(q.Patient, q.After, func(batch abaton.BatchName, live uint64) bool {
		if len(a.Rows) == repairBatchesMax {
			a.More = true
			return false
		}
		var n store.Notice
		if n, bad = k.store.Notice(q.Patient, batch); bad != nil {
			return false
		}
		row := keeper.RepairRow{Batch: batch, Bits: live}
		if row.Lock, bad = lockHash(n.Lock); bad != nil {
			return false
		}
		a.Rows = append(a.Rows, row)
		return true
	})
	if err == nil {
		err = bad
	}
	return err
}

// aidPieces gives what is signed, and fragments: ciphertext. Shares go another
// way.
func (k *Keeper) aidPieces(a *keeper.Repaired, q *keeper.Repair) error {
	size := 0
	for _, row := range q.Rows {
		if size >= repairBytesMax {
			a.More = true
			return nil
		}
		n, err := k.store.Notice(q.Patient, row.Batch)
		if err != nil {
			return err
		}
		kept, _, err := k.store.Records(q.Patient, row.Batch, row.Bits)
		if err != nil {
			return err
		}
		p := keeper.RepairPiece{Head: n.Head, Lock: n.Lock, Capsule: n.Capsule, Leaves: n.Leaves}
		if len(kept) != int(count(row.Bits)) {
			return abaton.Refuse(abaton.ReasonErased) // erased since it was decided
		}
		for _, r := range kept {
			p.Fragments = append(p.Fragments, keeper.RepairFragment{Length: r.Length, Bytes: r.Fragment})
			size += len(r.Fragment)
		}
		if p.Gone, err = k.handedOver(q.Keeper, q.Patient, row.Batch, allOf(len(n.Leaves))&^row.Bits); err != nil {
			return err
		}
		size += len(p.Head) + len(p.Lock) + len(p.Capsule) + 32*len(p.Leaves)
		a.Items = append(a.Items, p)
	}
	return nil
}

// ownShares are this keeper's shares of the rows, in their order.
func (k *Keeper) ownShares(q *keeper.Repair) (out []spread.Share, err error) {
	for _, row := range q.Rows {
		kept, _, err := k.store.Records(q.Patient, row.Batch, row.Bits)
		if err != nil {
			return nil, err
		}
		if len(kept) != int(count(row.Bits)) {
			return nil, abaton.Refuse(abaton.ReasonErased)
		}
		for _, r := range kept {
			out = append(out, spread.Share{X: k.cfg.Index, Y: r.Share})
		}
	}
	return out, nil
}

// aidParts cuts each weighted share into a part for each of the t, boxed to
// them: the keeper that asks carries the boxes and can open none.
func (k *Keeper) aidParts(a *keeper.Repaired, q *keeper.Repair, run [32]byte) error {
	shares, err := k.ownShares(q)
	if err != nil {
		return err
	}
	plain := make([][]byte, len(q.From))
	for _, s := range shares {
		parts, err := spread.RepairParts(s, q.From, q.Keeper)
		if err != nil {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
		k.cfg.Mutation.spoil(parts)
		for i := range parts {
			plain[i] = append(plain[i], parts[i][:]...)
		}
	}
	for i, x := range q.From {
		to, err := k.cfg.Set.BoxOf(x)
		if err != nil {
			return err
		}
		box, err := to.SealTo(wire.RepairPart, partContext(run, k.cfg.Index, x), plain[i])
		if err != nil {
			return err
		}
		a.Boxes = append(a.Boxes, box)
	}
	return nil
}

// aidSums adds the parts that each of the t cut for this keeper.
func (k *Keeper) aidSums(a *keeper.Repaired, q *keeper.Repair, run [32]byte) error {
	n := 0
	for _, row := range q.Rows {
		n += int(count(row.Bits))
	}
	columns := make([][][32]byte, n)
	for i, x := range q.From {
		plain, err := k.cfg.Box.OpenFrom(wire.RepairPart, partContext(run, x, k.cfg.Index), q.Parts[i])
		if err != nil || len(plain) != 32*n {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
		for j := range columns {
			columns[j] = append(columns[j], [32]byte(plain[32*j:]))
		}
	}
	var sums []byte
	for _, parts := range columns {
		sum := spread.SumParts(parts)
		sums = append(sums, sum[:]...)
	}
	asker, err := k.cfg.Set.BoxOf(q.Keeper)
	if err != nil {
		return err
	}
	box, err := asker.SealTo(wire.RepairSum, partContext(run, k.cfg.Index, q.Keeper), sums)
	if err != nil {
		return err
	}
	a.Boxes = [][]byte{box}
	return nil
}
