package custody

import (
	"errors"
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Deposit keeps one batch whose content spread.Check has found sound
// (PROTOCOL.md#ingest). Output.Bytes is the signed receipt. The same batch
// again gets its old one.
type Deposit struct {
	Upload *spread.Checked
}

func (d Deposit) slot() string {
	h := d.Upload.Head
	return "deposit/" + string(h.Writer[:]) + string(h.Line[:]) + string(wire.U64(h.Seq))
}

func (d Deposit) decide(c *Core, t *tx) Output {
	u := d.Upload
	patient := u.Head.Patient
	if out, closed := c.closed(); closed {
		return out
	}
	if out, known := c.known(u); known {
		return c.foundOf(t, out)
	}
	if !c.fresh(t.now, abaton.LeaseMax) {
		return refused(abaton.ReasonLease)
	}
	st, err := c.actors.get(patient)
	if err != nil {
		return t.fail(err)
	}
	if st == nil || !st.Live() {
		return refused(abaton.ReasonActor)
	}
	writer, err := c.entitled(t, st, u)
	if err == nil {
		err = c.waysBack(st)
	}
	if err != nil {
		return c.depositFailed(t, err)
	}
	receipt := c.cfg.Receipt(c.receiptBody(t, u.Name, u.LockHash))
	if err := c.keep(t, u, receipt); err != nil {
		return c.depositFailed(t, err)
	}
	if writer.grant != (abaton.GrantID{}) {
		c.use(t, writer.grant, writer.used)
	}
	return c.entered(t, u, writer.actor, receipt)
}

// known answers a batch that this keeper holds already.
func (c *Core) known(u *spread.Checked) (Output, bool) {
	n, err := c.store.Notice(u.Head.Patient, u.Name)
	switch {
	case errors.Is(err, store.ErrErased):
		return refused(abaton.ReasonErased), true
	case err != nil:
		return Output{}, false // absent; a broken store shows when it is written
	case string(n.Lock) != string(wire.Marshal(u.LockSigned)):
		if first := c.firstReceipt(u.Name, u.LockHash); first != nil {
			return Output{Bytes: first}, true // locked anew since
		}
		// A second LOCK of one number: both together are the proof.
		return refused(abaton.ReasonEquivocation), true
	}
	return Output{Bytes: n.Receipt}, true
}

// depositor is who writes, and what that leaves of the grant used.
type depositor struct {
	actor abaton.ActorID
	grant abaton.GrantID // zero for the patient
	used  uint64         // of the grant, with this deposit
}

// entitled says who writes and whether they may: the line is the patient's,
// the segment its newest, the writer's key live, and the patient lets its
// owner deposit there.
func (c *Core) entitled(t *tx, st *actor.State, u *spread.Checked) (who depositor, err error) {
	h := u.Head
	if err := st.AcceptsLock(h.Line, u.Lock.Segment, t.now); err != nil {
		return who, err
	}
	owner, err := c.keyOwner(h.Writer)
	if err != nil {
		return who, err
	}
	owns, err := c.writes(owner, h.Writer)
	if err != nil {
		return who, err
	}
	if owns && owner == h.Patient {
		return depositor{actor: owner}, nil
	}
	who, why := c.mayDeposit(t, st, h, func(id abaton.ActorID) bool { return id == owner })
	if _, ok := errors.AsType[*abaton.RefusedError](why); !ok {
		return who, why
	}
	// Another log may have announced the key first: the patient's own and the
	// grantees' say whose word counts.
	if st.KeyRights(h.Writer)&actor.Write != 0 {
		return depositor{actor: h.Patient}, nil
	}
	who, err = c.mayDeposit(t, st, h, func(id abaton.ActorID) bool { return id != owner })
	if refusedBy(err).Reason == abaton.ReasonWriter {
		return who, why
	}
	return who, err
}

// writes reports whether an actor's log gives the key the right to deposit.
func (c *Core) writes(id abaton.ActorID, writer abaton.KeyID) (bool, error) {
	st, err := c.actors.get(id)
	return st != nil && st.KeyRights(writer)&actor.Write != 0, err
}

// mayDeposit looks for any grant of the patient that lets one of the grantees
// deposit with its own key.
func (c *Core) mayDeposit(t *tx, st *actor.State, h *spread.Head, among func(abaton.ActorID) bool) (best depositor, err error) {
	access := grant.Access{Patient: h.Patient, Action: grant.Deposit, Line: h.Line, Records: uint64(h.Dims.M)}
	reason := abaton.ReasonWriter
	for id, g := range st.Grants() {
		if g.Actions&grant.Deposit == 0 || !among(g.Grantee) {
			continue
		}
		owns, err := c.writes(g.Grantee, h.Writer)
		if err != nil {
			return best, err
		}
		if !owns {
			continue
		}
		used, err := c.used(id)
		if err != nil {
			return best, err
		}
		access.Actor, access.Purpose = g.Grantee, g.Purposes[0] // a deposit states no purpose
		d := grant.Decide(st.Facts(actor.Asker{Actor: g.Grantee, Organisation: g.Grantee}, id, h.Line, used, t.now), access, t.now)
		switch {
		case !d.Permit:
			reason = d.Reason
		case best.grant == (abaton.GrantID{}) || string(id[:]) < string(best.grant[:]): // the same choice every time
			best = depositor{actor: g.Grantee, grant: id, used: used + access.Records}
		}
	}
	if best.grant == (abaton.GrantID{}) {
		return best, abaton.Refuse(reason)
	}
	return best, nil
}

// keep writes the parcel and takes the writer's sequence number.
func (c *Core) keep(t *tx, u *spread.Checked, receipt []byte) error {
	h := u.Head
	at := store.Slot{Writer: h.Writer, Patient: h.Patient, Line: h.Line, Seq: h.Seq}
	held, err := c.store.Sequence(at)
	if err == nil && held != u.Name {
		return store.ErrConflict
	}
	if err != nil && !errors.Is(err, store.ErrAbsent) {
		return err
	}
	if err := c.store.PutSequence(&t.change, at, u.Name); err != nil {
		return err
	}
	parcel := store.Parcel{Batch: u.Name, Notice: store.Notice{
		Line: h.Line, Head: wire.Marshal(u.HeadSigned), Lock: wire.Marshal(u.LockSigned),
		Capsule: u.Capsule, Receipt: receipt, Leaves: u.Leaves,
	}}
	for _, r := range u.Rows {
		parcel.Records = append(parcel.Records, store.ParcelRecord{Fragment: r.Fragment, Length: r.Length, Share: r.Share})
	}
	erased, err := c.store.PutParcel(&t.change, h.Patient, parcel)
	if err != nil {
		return err
	}
	if erased != 0 { // it came after its erasure: the peers need the leaves all the same
		leaves := make([][32]byte, len(u.Rows))
		for j := range u.Rows {
			leaves[j] = u.Rows[j].ShareLeaf
		}
		c.handOver(t, h.Patient, u.Name, leaves, erased)
	}
	for rest := erased; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		c.store.Raw(leafSpace).Into(&t.change).Put(leafKey(u.Name, j), u.Rows[j].ShareLeaf[:])
	}
	return nil
}

// leafSpace holds the share leaves of records that were erased before their
// batch came: the paths of the others need them.
const leafSpace = 's'

func leafKey(batch abaton.BatchName, j int) []byte {
	return append(batch[:len(batch):len(batch)], byte(j))
}

// depositFailed tells a refusal from a store that cannot be read.
func (c *Core) depositFailed(t *tx, err error) Output {
	switch {
	case errors.Is(err, store.ErrConflict):
		return c.foundOf(t, refused(abaton.ReasonEquivocation))
	case errors.Is(err, store.ErrErased):
		return refused(abaton.ReasonErased)
	}
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return refused(e.Reason)
	}
	return t.fail(err)
}

// receiptBody names the ledger entry that a deposit is about to get: this
// goroutine is the only one that appends.
func (c *Core) receiptBody(t *tx, batch abaton.BatchName, lock spread.Hash32) []byte {
	return wire.Marshal(keeper.Receipt{
		V: wire.Version, Keeper: c.cfg.Index, Batch: batch, Lock: lock,
		Entry: c.log.Size() + uint64(len(t.entries)), Time: uint64(t.now.Unix()),
	})
}

// entered ledgers the deposit under the index its receipt names.
func (c *Core) entered(t *tx, u *spread.Checked, writer abaton.ActorID, receipt []byte) Output {
	t.enter(ledger.Entry{
		Request: u.LockHash, Op: ledger.OpDeposit, Outcome: ledger.Permitted, Actor: writer,
		Organisation: writer, Patient: u.Head.Patient, Lines: []abaton.Line{u.Head.Line},
		Rows: []ledger.Row{{Batch: u.Name, Released: allOf(int(u.Head.Dims.M))}},
	})
	return Output{Bytes: receipt}
}

// allOf is the bitmap of the first m records.
func allOf(m int) uint64 {
	if m >= abaton.BatchRecordsMax {
		return ^uint64(0)
	}
	return 1<<m - 1
}

func count(bitmap uint64) uint64 { return uint64(bits.OnesCount64(bitmap)) }
