package custody

import (
	"bytes"
	"errors"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// noticeSpace holds notices of batches this keeper has no piece of, and the
// others' receipts of those it has.
const noticeSpace = 'n'

// partSpace holds the same of parts of large objects, so that a list of a chart
// does not read them.
const partSpace = 'm'

// spaceOf is where notices of a class lie.
func spaceOf(class spread.Class) byte {
	if class == spread.PartClass {
		return partSpace
	}
	return noticeSpace
}

// WriteBack tells this keeper of a batch that a reader found below the write
// quorum (RULINGS 19). The door has verified HEAD, LOCK and receipts.
type WriteBack struct {
	Notice  keeper.Notice
	Head    *spread.Head
	Batch   abaton.BatchName
	Keepers int // different keepers whose receipts verified
}

func (w WriteBack) slot() string { return "notice/" + string(w.Batch[:]) }

func (w WriteBack) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	st, err := c.actors.get(w.Head.Patient)
	if err != nil {
		return t.fail(err)
	}
	if st == nil || !st.Live() {
		return refused(abaton.ReasonActor)
	}
	if _, known := st.Newest(w.Head.Line); !known || w.Keepers <= int(c.cfg.Set.F) {
		// f receipts may all be a liar's: nobody may fill the list.
		return refused(abaton.ReasonCertificate)
	}
	at := noticeKey(w.Head.Patient, w.Head.Line, w.Batch)
	space := spaceOf(w.Head.Class)
	have, err := c.store.Raw(space).Get(at)
	if err != nil {
		return t.fail(err)
	}
	held, err := c.store.Notice(w.Head.Patient, w.Batch)
	if err != nil && !errors.Is(err, store.ErrAbsent) && !errors.Is(err, store.ErrErased) {
		return t.fail(err)
	}
	if newer, err := w.passed(held.Lock); err != nil || newer {
		return broken(t, err) // what is in force here is newer: nothing to note
	}
	if err := w.join(have, held.Lock); err != nil {
		return refusedBy(err)
	}
	w.trim(held)
	if next := wire.Marshal(w.Notice); !bytes.Equal(next, have) {
		c.store.Raw(space).Into(&t.change).Put(at, next)
	}
	return Output{}
}

// passed reports whether the LOCK held is of a higher number than the notice's.
func (w *WriteBack) passed(held []byte) (bool, error) {
	if len(held) == 0 || bytes.Equal(held, w.Notice.Lock) {
		return false, nil
	}
	mine, err := numberOf(held)
	if err != nil {
		return false, err
	}
	told, err := numberOf(w.Notice.Lock)
	return mine > told, err
}

// numberOf is the number of a signed LOCK that was verified when it came.
func numberOf(signed []byte) (uint64, error) {
	var s wire.Signed
	if err := wire.Unmarshal(signed, &s); err != nil {
		return 0, err
	}
	l, err := spread.DecodeLock(s.Body)
	if err != nil {
		return 0, err
	}
	return l.Number, nil
}

// broken is the answer to an input when what is stored cannot be read; with a
// nil error it is an empty one.
func broken(t *tx, err error) Output {
	if err != nil {
		return t.fail(err)
	}
	return Output{}
}

// join adds the receipts that were written back before, so that nobody makes
// this keeper forget one. Of what is not signed nothing is kept. What was
// trimmed is about the LOCK that is held.
func (w *WriteBack) join(stored, held []byte) error {
	w.Notice.Held, w.Notice.Gone = false, 0
	var have keeper.Notice
	if len(stored) > 0 {
		if err := wire.Unmarshal(stored, &have); err != nil {
			return err
		}
		if len(have.Lock) == 0 {
			have.Lock = held
		}
		if !bytes.Equal(have.Lock, w.Notice.Lock) {
			before, err := numberOf(have.Lock)
			told, err2 := numberOf(w.Notice.Lock)
			if err != nil || err2 != nil || told == before {
				return abaton.Refuse(abaton.ReasonEquivocation)
			}
			if told < before {
				w.Notice = have // what was told before is newer
				return nil
			}
			have.Receipts = nil // of a lock that has been replaced
		}
	}
	all := append(have.Receipts, w.Notice.Receipts...)
	slices.SortFunc(all, bytes.Compare)
	w.Notice.Receipts = slices.CompactFunc(all, bytes.Equal)
	if len(w.Notice.Receipts) > abaton.KeepersMax {
		w.Notice.Receipts = have.Receipts // a keeper gave more than one: enough is enough
	}
	return nil
}

// trim leaves out what the store holds beside the batch itself: HEAD, LOCK and
// this keeper's own receipt, two thirds of a notice. The store never lets go
// of them, not even when all records are erased.
func (w *WriteBack) trim(held store.Notice) {
	if len(held.Lock) == 0 || !bytes.Equal(held.Lock, w.Notice.Lock) {
		return
	}
	w.Notice.Head, w.Notice.Lock = nil, nil
	w.Notice.Receipts = slices.DeleteFunc(w.Notice.Receipts, func(r []byte) bool { return bytes.Equal(r, held.Receipt) })
}

func noticeKey(patient abaton.ActorID, line abaton.Line, batch abaton.BatchName) []byte {
	return append(append(append([]byte(nil), patient[:]...), line[:]...), batch[:]...)
}

// checkNotice verifies a notice's HEAD, LOCK and receipts: all the
// cryptography of a write-back.
func checkNotice(n keeper.Notice, set *actor.Set) (WriteBack, error) {
	var head, lock wire.Signed
	if wire.Unmarshal(n.Head, &head) != nil || wire.Unmarshal(n.Lock, &lock) != nil || len(n.Receipts) > abaton.KeepersMax {
		return WriteBack{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	h, err := spread.ParseHead(head)
	if err != nil {
		return WriteBack{}, err
	}
	l, err := spread.ParseLock(lock)
	if err != nil {
		return WriteBack{}, err
	}
	w := WriteBack{Notice: n, Head: h, Batch: spread.NameOf(head.Body)}
	if l.Batch != w.Batch {
		return WriteBack{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	seen := make(map[abaton.KeeperIndex]bool)
	for _, r := range n.Receipts {
		x, err := keeperOfReceipt(r, set, w.Batch, spread.LockHash(lock.Body))
		if err != nil {
			return WriteBack{}, err
		}
		seen[x] = true
	}
	w.Keepers = len(seen)
	return w, nil
}

// keeperOfReceipt verifies a signed receipt for one lock of one batch.
func keeperOfReceipt(data []byte, set *actor.Set, batch abaton.BatchName, lock spread.Hash32) (abaton.KeeperIndex, error) {
	var signed wire.Signed
	var r keeper.Receipt
	if wire.Unmarshal(data, &signed) != nil || wire.Unmarshal(signed.Body, &r) != nil {
		return 0, abaton.Refuse(abaton.ReasonMalformed)
	}
	k := set.Keeper(r.Keeper)
	if k == nil || r.Batch != batch || r.Lock != lock || !key.Verify(k.Key, wire.Receipt, signed.Body, signed.Sig) {
		return 0, abaton.Refuse(abaton.ReasonCertificate)
	}
	return r.Keeper, nil
}

// listing gathers the notices of one class in lines, from the skip'th on, at
// most NoticesMax, and where to go on (0: done). Receipts are this keeper's own
// and those written back. Safe for concurrent use.
func (k *Keeper) listing(patient abaton.ActorID, lines []abaton.Line, class spread.Class, skip uint64) (out []keeper.Notice, next uint64, err error) {
	n := uint64(0)
	full := false
	add := func(make func() keeper.Notice) bool {
		if n++; n <= skip {
			return true
		}
		if len(out) == abaton.NoticesMax {
			full = true
			return false
		}
		out = append(out, make())
		return true
	}
	for _, line := range lines {
		if err := k.listLine(patient, line, class, add); err != nil || full {
			return out, n - 1, err
		}
	}
	return out, 0, nil
}

func (k *Keeper) listLine(patient abaton.ActorID, line abaton.Line, class spread.Class, add func(func() keeper.Notice) bool) error {
	told, order, err := k.told(patient, line, class)
	if err != nil {
		return err
	}
	var bad error
	wanted := func(head []byte) bool {
		held, err := classOf(head)
		bad = errors.Join(bad, err)
		return err == nil && held == class
	}
	err = k.store.NoticesOf(patient, line, wanted, func(b abaton.BatchName, n store.Notice) bool {
		also := told[b]
		delete(told, b)
		return add(func() keeper.Notice { return k.notice(patient, b, n, also) })
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	for _, b := range order {
		n, only := told[b]
		if !only {
			continue
		}
		if n.Gone, _, err = k.store.Erased(patient, b); err != nil {
			return err
		}
		if !add(func() keeper.Notice { return n }) {
			return nil
		}
	}
	return nil
}

// classOf is the class of a signed HEAD that was verified when it came.
func classOf(signed []byte) (spread.Class, error) {
	class, ok := spread.ClassOf(signed)
	if !ok {
		return 0, store.ErrDamaged
	}
	return class, nil
}

// notice tells of a batch held here.
func (k *Keeper) notice(patient abaton.ActorID, b abaton.BatchName, n store.Notice, also keeper.Notice) keeper.Notice {
	gone, _, err := k.store.Erased(patient, b)
	if err != nil {
		gone = 0 // the reader learns it from the pieces
	}
	out := keeper.Notice{Head: n.Head, Lock: n.Lock, Gone: gone & allOf(len(n.Leaves)), Held: true}
	out.Receipts = append(out.Receipts, n.Receipt)
	for _, r := range also.Receipts {
		if string(r) != string(n.Receipt) {
			out.Receipts = append(out.Receipts, r)
		}
	}
	return out
}

// told are the notices of one class that readers and writers wrote back for a
// line, and their order.
func (k *Keeper) told(patient abaton.ActorID, line abaton.Line, class spread.Class) (map[abaton.BatchName]keeper.Notice, []abaton.BatchName, error) {
	prefix := noticeKey(patient, line, abaton.BatchName{})[:48]
	upper := append(append([]byte(nil), prefix...), bytes.Repeat([]byte{0xff}, 33)...) // above every batch
	told := make(map[abaton.BatchName]keeper.Notice)
	var order []abaton.BatchName
	var bad error
	err := k.store.Raw(spaceOf(class)).Scan(prefix, upper, func(key, value []byte) bool {
		var n keeper.Notice
		if bad = wire.Unmarshal(value, &n); bad != nil || len(key) != 80 {
			return false
		}
		b := abaton.BatchName(key[48:])
		told[b] = n
		order = append(order, b)
		return true
	})
	return told, order, errors.Join(err, bad)
}
