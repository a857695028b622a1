package custody

import (
	"crypto/sha256"
	"errors"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Prepare keeps a new lock of a batch beside the one in force
// (docs/protocol/record.md#re-lock). Output.Bytes is the signed receipt. The
// same lock again gets its old one. This keeper gives a receipt for one lock of
// a number and no other, and keeps what it gave a receipt for until a higher
// number is in force: so of two locks no commit can leave too few pieces.
type Prepare struct {
	Patient abaton.ActorID
	Rekey   *spread.Rekey
	Lock    *spread.Lock // decoded from Rekey; its signature is checked here
	// Base is the signed LOCK that the new one continues, verified; nil where
	// this keeper holds it.
	Base *wire.Signed
}

func (p Prepare) slot() string { return "lock/" + string(p.Lock.Batch[:]) }

func (p Prepare) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if !c.fresh(t.now, abaton.LeaseMax) {
		return refused(abaton.ReasonLease)
	}
	st, err := c.actors.get(p.Patient)
	if err != nil {
		return t.fail(err)
	}
	if st == nil || !st.Live() {
		return refused(abaton.ReasonActor)
	}
	b, err := c.locksOf(p.Patient, p.Lock.Batch)
	if err != nil {
		return c.lockFailed(t, err)
	}
	hash := spread.LockHash(p.Rekey.Lock.Body)
	if known := b.find(hash); known != nil {
		return Output{Bytes: known.receipt}
	}
	if reason := c.mayLock(st, b, p.Lock); reason != "" {
		return refused(reason)
	}
	receipt, err := c.prepare(t, p, b, hash)
	if err != nil {
		return c.lockFailed(t, err)
	}
	return c.lockEntered(t, p.Patient, hash, []ledger.Row{{Batch: p.Lock.Batch, Released: b.all()}}, receipt)
}

// mayLock says whether a lock may be prepared: by a key that the patient's log
// lets lock anew, to the line's newest epoch and no other, under a number of
// its own that is above the one in force.
func (c *Core) mayLock(st *actor.State, b *locks, l *spread.Lock) abaton.Reason {
	newest, ok := st.Newest(b.head.Line)
	switch {
	case st.KeyRights(l.Locker)&(actor.Relock|actor.Manage) == 0 || !ok:
		return abaton.ReasonWriter
	case newest.ID != l.Segment:
		return abaton.ReasonEpoch
	case l.Number <= b.inForce().lock.Number || b.numbered(l.Number):
		return abaton.ReasonSlot
	case len(b.held) > store.BesideMax:
		return abaton.ReasonTooLarge
	}
	return ""
}

// prepare checks the new lock whole and puts it beside the one in force.
func (c *Core) prepare(t *tx, p Prepare, b *locks, hash spread.Hash32) (receipt []byte, err error) {
	base, err := b.base(p.Lock, p.Base)
	if err != nil {
		return nil, err
	}
	erased, _, err := c.store.Erased(p.Patient, p.Lock.Batch)
	if err != nil {
		return nil, err
	}
	l, ctx, err := spread.CheckRekey(p.Rekey, b.headSigned, base, erased&b.all(), shapeOf(c.cfg.Set), c.cfg.Set.ID(), c.cfg.Index)
	if err != nil {
		return nil, err
	}
	receipt = c.cfg.Receipt(c.receiptBody(t, l.Batch, hash))
	row := store.Beside{Number: l.Number, Lock: wire.Marshal(p.Rekey.Lock), Capsule: p.Rekey.Capsule, Receipt: receipt, Shares: p.Rekey.Shares}
	for j, share := range p.Rekey.Shares {
		leaf := spread.GoneLeaf(ctx, c.cfg.Index, uint16(j))
		if l.Gone>>j&1 == 0 {
			leaf = spread.ShareLeaf(ctx, c.cfg.Index, uint16(j), share)
		}
		row.Leaves = append(row.Leaves, leaf)
	}
	return receipt, c.store.PutBeside(&t.change, p.Patient, l.Batch, row)
}

// Commit puts prepared locks of one patient in force: the shares under every
// lower number are destroyed. Each brings the receipts of w keepers, which the
// door has verified and counted. Output.Each has one reason for each lock,
// empty where it is in force.
type Commit struct {
	Patient abaton.ActorID
	Locks   []Certified
}

// Certified is a lock and how many different keepers gave a receipt for it.
type Certified struct {
	Batch    abaton.BatchName
	Lock     spread.Hash32 // SHA-256 of the LOCK's body
	Receipts [][]byte
	Keepers  int
}

func (Commit) slot() string { return "" }

func (m Commit) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	out := Output{Each: make([]abaton.Reason, len(m.Locks))}
	e := &erasure{patient: m.Patient}
	var rows []ledger.Row
	names := sha256.New()
	for i := range m.Locks {
		b, at, err := c.certified(m.Patient, &m.Locks[i])
		if err != nil {
			failed := c.lockFailed(t, err)
			if t.err != nil {
				return failed
			}
			out.Each[i] = failed.Reason
			continue
		}
		if at == b.inForce() {
			continue // done before
		}
		e.promote = append(e.promote, store.Promotion{Batch: m.Locks[i].Batch, Number: at.lock.Number})
		c.replaced(t, m.Patient, b, &m.Locks[i], at)
		rows = append(rows, ledger.Row{Batch: m.Locks[i].Batch, Released: b.all()})
		names.Write(m.Locks[i].Lock[:])
	}
	if len(rows) == 0 {
		return out
	}
	t.erasure = e
	ledger.SortRows(rows)
	c.lockEntered(t, m.Patient, [32]byte(names.Sum(nil)), rows, nil)
	return out
}

// certified finds the lock that a commit names, with receipts enough.
func (c *Core) certified(patient abaton.ActorID, m *Certified) (*locks, *heldLock, error) {
	if m.Keepers < int(c.cfg.Set.W) {
		return nil, nil, abaton.Refuse(abaton.ReasonCertificate)
	}
	b, err := c.locksOf(patient, m.Batch)
	if err != nil {
		return nil, nil, err
	}
	at := b.find(m.Lock)
	if at == nil {
		return nil, nil, abaton.Refuse(abaton.ReasonNotFound)
	}
	// Damaged shares must not replace good ones.
	if _, err := c.store.Whole(patient, m.Batch, 0, true); err != nil {
		return nil, nil, err
	}
	return b, at, nil
}

// replaced keeps of the old lock what a writer may still ask for, its receipt,
// and of the new one who else holds it.
func (c *Core) replaced(t *tx, patient abaton.ActorID, b *locks, m *Certified, at *heldLock) {
	if old := b.inForce(); old.lock.Number == 1 {
		first := firstLock{Lock: old.hash, Receipt: old.receipt}
		c.store.Raw(firstSpace).Into(&t.change).Put(m.Batch[:], wire.Marshal(first))
	}
	n := keeper.Notice{}
	for _, r := range m.Receipts {
		if string(r) != string(at.receipt) {
			n.Receipts = append(n.Receipts, r)
		}
	}
	c.store.Raw(spaceOf(b.head.Class)).Into(&t.change).Put(noticeKey(patient, b.head.Line, m.Batch), wire.Marshal(n))
}

// firstSpace holds the receipts of deposits whose batches were locked anew: a
// writer that lost the answer asks again.
const firstSpace = 'f'

type firstLock struct {
	Lock    spread.Hash32 `cbor:"1,keyasint"`
	Receipt []byte        `cbor:"2,keyasint"`
}

// firstReceipt is the receipt given for the first lock of a batch, nil when it
// is still in force or was another.
func (c *Core) firstReceipt(batch abaton.BatchName, lock spread.Hash32) []byte {
	b, err := c.store.Raw(firstSpace).Get(batch[:])
	var f firstLock
	if err != nil || len(b) == 0 || wire.Unmarshal(b, &f) != nil || f.Lock != lock {
		return nil
	}
	return f.Receipt
}

// locks are the locks that this keeper holds of one batch, the one in force
// first.
type locks struct {
	head       *spread.Head
	headSigned wire.Signed
	held       []heldLock
}

type heldLock struct {
	signed  wire.Signed
	lock    *spread.Lock
	hash    spread.Hash32
	receipt []byte
}

func (c *Core) locksOf(patient abaton.ActorID, batch abaton.BatchName) (*locks, error) {
	n, err := c.store.Notice(patient, batch)
	if err != nil {
		return nil, err
	}
	b := new(locks)
	if err := wire.Unmarshal(n.Head, &b.headSigned); err != nil {
		return nil, err
	}
	if b.head, err = spread.DecodeHead(b.headSigned.Body); err != nil {
		return nil, err
	}
	if err := b.add(n.Lock, n.Receipt); err != nil {
		return nil, err
	}
	beside, err := c.store.Beside(patient, batch)
	for i := 0; err == nil && i < len(beside); i++ {
		err = b.add(beside[i].Lock, beside[i].Receipt)
	}
	return b, err
}

func (b *locks) add(signed, receipt []byte) error {
	h := heldLock{receipt: receipt}
	if err := wire.Unmarshal(signed, &h.signed); err != nil {
		return err
	}
	var err error
	h.lock, err = spread.DecodeLock(h.signed.Body)
	h.hash = spread.LockHash(h.signed.Body)
	b.held = append(b.held, h)
	return err
}

func (b *locks) inForce() *heldLock { return &b.held[0] }

func (b *locks) all() uint64 { return allOf(int(b.head.Dims.M)) }

func (b *locks) find(hash spread.Hash32) *heldLock {
	for i := range b.held {
		if b.held[i].hash == hash {
			return &b.held[i]
		}
	}
	return nil
}

func (b *locks) numbered(n uint64) bool {
	for i := range b.held {
		if b.held[i].lock.Number == n {
			return true
		}
	}
	return false
}

// base is the LOCK that l continues: one held here, or one that came with it
// and is above the one in force, for a keeper that was away in between.
func (b *locks) base(l *spread.Lock, brought *wire.Signed) (wire.Signed, error) {
	if h := b.find(l.PrevLock); h != nil {
		return h.signed, nil
	}
	if brought == nil {
		return wire.Signed{}, abaton.Refuse(abaton.ReasonParent)
	}
	base, err := spread.DecodeLock(brought.Body)
	if err != nil || base.Batch != l.Batch || base.Number <= b.inForce().lock.Number {
		return wire.Signed{}, abaton.Refuse(abaton.ReasonParent)
	}
	return *brought, nil
}

// lockEntered ledgers a lock that was prepared, or locks that came into force,
// as deposits: the keeper took something in.
func (c *Core) lockEntered(t *tx, patient abaton.ActorID, name [32]byte, rows []ledger.Row, receipt []byte) Output {
	t.enter(ledger.Entry{
		Request: name, Op: ledger.OpDeposit, Outcome: ledger.Permitted, Actor: patient, Organisation: patient, Patient: patient, Rows: rows,
	})
	return Output{Bytes: receipt}
}

// lockFailed tells a refusal from a store that cannot be read. Damaged bytes
// of one batch refuse that batch alone.
func (c *Core) lockFailed(t *tx, err error) Output {
	switch {
	case errors.Is(err, store.ErrAbsent):
		return refused(abaton.ReasonNotFound)
	case errors.Is(err, store.ErrDamaged):
		return refused(abaton.ReasonStorage)
	}
	return c.depositFailed(t, err)
}
