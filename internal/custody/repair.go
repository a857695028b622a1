package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Progress is how far a repair is, or how the last one ended. Counts are of
// this pass; all of them name nobody.
type Progress struct {
	Running  bool   `json:"running"`
	Logs     int    `json:"logs"`     // key logs with records, in all
	Done     int    `json:"done"`     // of them
	Held     uint64 `json:"held"`     // records that were here
	Restored uint64 `json:"restored"` // records that were not, and are
	Missing  uint64 `json:"missing"`  // records that are not, for want of peers that answer well
	Passes   int    `json:"passes"`   // whole passes since this keeper started
	Failed   string `json:"failed"`   // why the last pass ended early
}

// repairs is the one repair that may run, and its progress.
type repairs struct {
	mu  sync.Mutex
	now Progress
}

func (r *repairs) edit(f func(p *Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.now)
}

// ErrRepairing says that a repair runs already.
var ErrRepairing = errors.New("a repair runs already")

// RepairProgress is how far the repair is.
func (k *Keeper) RepairProgress() Progress {
	k.repairs.mu.Lock()
	defer k.repairs.mu.Unlock()
	return k.repairs.now
}

// Repair looks for what this keeper should hold and does not, and makes it from
// what the peers hold (PROTOCOL.md#repair). It may be ended and begun again at
// any time: what is here is not fetched again. Nothing is kept that does not
// give the leaves the writer and the locker signed.
func (k *Keeper) Repair(ctx context.Context, peers map[abaton.KeeperIndex]Peer) error {
	k.repairs.mu.Lock()
	if k.repairs.now.Running {
		k.repairs.mu.Unlock()
		return ErrRepairing
	}
	k.repairs.now = Progress{Running: true, Passes: k.repairs.now.Passes}
	k.repairs.mu.Unlock()
	err := k.repairAll(ctx, peers)
	k.repairs.edit(func(p *Progress) {
		p.Running = false
		if err != nil {
			p.Failed = reasonText(err)
		} else {
			p.Passes++
		}
	})
	return err
}

// reasonText says why without naming anybody.
func reasonText(err error) string {
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return string(e.Reason)
	}
	if errors.Is(err, context.Canceled) {
		return "ended"
	}
	return "failed"
}

func (k *Keeper) repairAll(ctx context.Context, peers map[abaton.KeeperIndex]Peer) error {
	owners, err := k.owners()
	if err != nil {
		return err
	}
	k.repairs.edit(func(p *Progress) { p.Logs = len(owners) })
	for _, id := range owners {
		r := &repair{k: k, peers: peers, patient: id, pieces: make(map[abaton.BatchName]*gathered)}
		if err := r.run(ctx); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
		k.repairs.edit(func(p *Progress) { p.Done++ })
	}
	return nil
}

// owners are the actors that may have records.
func (k *Keeper) owners() (out []abaton.ActorID, err error) {
	var bad error
	seen := make(map[abaton.ActorID]bool)
	err = k.store.Feed(0, func(item store.Statement) bool {
		if item.Seq != 0 || seen[item.Actor] {
			return true
		}
		seen[item.Actor] = true
		var s keeper.Statement
		var e actor.Event
		var in actor.Inception
		var signed actor.SignedEvent
		if bad = wire.Unmarshal(item.Bytes, &s); bad == nil {
			signed, bad = actor.ParseSigned(s.Event)
		}
		if bad == nil {
			bad = errors.Join(wire.Unmarshal(signed.Event, &e), wire.Unmarshal(e.Body, &in))
		}
		if bad == nil && (in.Kind == actor.Patient || in.Kind == actor.Organisation) {
			out = append(out, item.Actor)
		}
		return bad == nil
	})
	return out, errors.Join(err, bad)
}

// repair is the repair of one patient's records.
type repair struct {
	k       *Keeper
	peers   map[abaton.KeeperIndex]Peer
	patient abaton.ActorID
	good    []abaton.KeeperIndex // t peers whose sums were right
	pieces  map[abaton.BatchName]*gathered
}

// wanted is a batch that is not here, and which peers hold it under one LOCK.
type wanted struct {
	row     keeper.RepairRow
	holders []abaton.KeeperIndex
}

// gathered is what came of one batch so far.
type gathered struct {
	from  map[abaton.KeeperIndex]keeper.RepairPiece
	check *spread.Checked
	rest  *spread.Restore
	gone  map[int]spread.Hash32
}

// chunkMax is how many batches are asked for together.
const chunkMax = 16

func (r *repair) run(ctx context.Context) error {
	todo, err := r.look(ctx)
	if err != nil {
		return err
	}
	groups := make(map[string][]wanted)
	var order []string
	for _, w := range todo { // all of one question are held by the same peers
		name := fmt.Sprint(w.holders)
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], w)
	}
	for _, name := range order {
		for chunk := range slices.Chunk(groups[name], chunkMax) {
			if err := r.chunk(ctx, chunk); err != nil {
				return err
			}
			clear(r.pieces)
		}
	}
	return nil
}

// look asks every peer which batches it holds and sorts out what is missing
// here. A batch counts if more peers hold it under one LOCK than may lie, and
// enough of them to make a piece.
func (r *repair) look(ctx context.Context) ([]wanted, error) {
	told := make(map[keeper.RepairRow][]abaton.KeeperIndex)
	for _, x := range r.order() {
		rows, err := r.list(ctx, x)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue // one that is away now may be there in the next pass
		}
		for _, row := range rows {
			told[row] = append(told[row], x)
		}
	}
	best := make(map[abaton.BatchName]wanted)
	for row, holders := range told {
		if have := best[row.Batch]; len(holders) > len(have.holders) {
			best[row.Batch] = wanted{row: row, holders: holders}
		}
	}
	var todo []wanted
	for batch, w := range best {
		missing, err := r.missing(batch, &w)
		if err != nil {
			return nil, err
		}
		if missing {
			todo = append(todo, w)
		}
	}
	slices.SortFunc(todo, func(a, b wanted) int { return bytes.Compare(a.row.Batch[:], b.row.Batch[:]) })
	return todo, nil
}

// missing reports whether a batch is to be restored, and counts it.
func (r *repair) missing(batch abaton.BatchName, w *wanted) (bool, error) {
	erased, whole, err := r.k.store.Erased(r.patient, batch)
	if err != nil {
		return false, err
	}
	w.row.Bits &^= erased // what was erased stays erased
	records := count(w.row.Bits)
	if whole || records == 0 {
		return false, nil
	}
	switch _, err := r.k.store.Notice(r.patient, batch); {
	case err == nil:
		r.k.repairs.edit(func(p *Progress) { p.Held += records })
		return false, nil
	case !errors.Is(err, store.ErrAbsent):
		return false, err
	}
	r.k.repairs.edit(func(p *Progress) { p.Missing += records })
	set := r.k.cfg.Set
	return len(w.holders) >= int(max(set.K, set.T, set.F+1)), nil
}

// order is the peers by index, so that passes are alike.
func (r *repair) order() []abaton.KeeperIndex {
	var xs []abaton.KeeperIndex
	for x := range r.peers {
		xs = append(xs, x)
	}
	slices.Sort(xs)
	return xs
}

func (r *repair) list(ctx context.Context, x abaton.KeeperIndex) (rows []keeper.RepairRow, err error) {
	q := keeper.Repair{Kind: keeper.RepairBatches, Patient: r.patient}
	for {
		a, err := r.k.askRepair(ctx, r.peers[x], q)
		if err != nil {
			return nil, err
		}
		for _, row := range a.Rows {
			if bytes.Compare(row.Batch[:], q.After[:]) <= 0 {
				return nil, abaton.Refuse(abaton.ReasonMalformed)
			}
			q.After = row.Batch
		}
		if rows = append(rows, a.Rows...); !a.More || len(a.Rows) == 0 {
			return rows, nil
		}
	}
}

// askRepair signs a question and reads the answer.
func (k *Keeper) askRepair(ctx context.Context, p Peer, q keeper.Repair) (*keeper.Repaired, error) {
	q.V, q.Keeper, q.Time = wire.Version, k.cfg.Index, uint64(k.cfg.Now().Unix())
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	answer, err := p.Call(ctx, keeper.RouteRepair, wire.Marshal(k.cfg.Key.Seal(wire.Peer, wire.Marshal(q))))
	if err != nil {
		return nil, err
	}
	a := new(keeper.Repaired)
	if wire.Unmarshal(answer, a) != nil || a.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return a, nil
}

// repairTimeout bounds one question of a repair: its answer may be large.
const repairTimeout = time.Minute

// chunk restores what it can of some batches that the same peers hold.
func (r *repair) chunk(ctx context.Context, todo []wanted) error {
	holders := todo[0].holders
	for i, x := range r.preferred(holders) {
		if i >= int(r.k.cfg.Set.K) && r.rebuilt(todo) {
			break // a further peer is asked only where one gave bad pieces
		}
		if err := r.fetch(ctx, x, todo); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.rebuilt(todo)
	left := slices.DeleteFunc(todo, func(w wanted) bool { return r.pieces[w.row.Batch] == nil || r.pieces[w.row.Batch].check == nil })
	for _, from := range r.choices(holders) {
		if len(left) == 0 {
			return nil
		}
		shares, err := r.shares(ctx, from, left)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		if left, err = r.keep(ctx, left, shares); err != nil {
			return err
		}
		if len(left) == 0 {
			r.good = from
		}
	}
	return nil
}

// preferred are the holders, those that did well first.
func (r *repair) preferred(holders []abaton.KeeperIndex) []abaton.KeeperIndex {
	out := slices.Clone(holders)
	slices.SortStableFunc(out, func(a, b abaton.KeeperIndex) int {
		return boolRank(slices.Contains(r.good, b)) - boolRank(slices.Contains(r.good, a))
	})
	return out
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// choices are the sets of t holders, the one that did well first.
func (r *repair) choices(holders []abaton.KeeperIndex) (out [][]abaton.KeeperIndex) {
	t := int(r.k.cfg.Set.T)
	for subset := range 1 << len(holders) {
		if bits.OnesCount(uint(subset)) != t {
			continue
		}
		var from []abaton.KeeperIndex
		for i, x := range holders {
			if subset>>i&1 == 1 {
				from = append(from, x)
			}
		}
		slices.Sort(from)
		if slices.Equal(from, r.good) {
			out = slices.Insert(out, 0, from)
			continue
		}
		out = append(out, from)
	}
	return out
}

func rowsWanted(todo []wanted) []keeper.RepairRow {
	rows := make([]keeper.RepairRow, len(todo))
	for i := range todo {
		rows[i] = todo[i].row
	}
	return rows
}

// fetch takes one peer's pieces of all of them.
func (r *repair) fetch(ctx context.Context, x abaton.KeeperIndex, todo []wanted) error {
	q := keeper.Repair{Kind: keeper.RepairPieces, Patient: r.patient}
	rand.Read(q.Run[:])
	for rest := rowsWanted(todo); len(rest) > 0; {
		q.Rows = rest
		a, err := r.k.askRepair(ctx, r.peers[x], q)
		if err != nil {
			return err
		}
		if len(a.Items) == 0 || len(a.Items) > len(rest) {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
		for i, item := range a.Items {
			if len(item.Fragments) != int(count(rest[i].Bits)) {
				return abaton.Refuse(abaton.ReasonMalformed)
			}
			g := r.pieces[rest[i].Batch]
			if g == nil {
				g = &gathered{from: make(map[abaton.KeeperIndex]keeper.RepairPiece)}
				r.pieces[rest[i].Batch] = g
			}
			g.from[x] = item
		}
		rest = rest[len(a.Items):]
	}
	return nil
}

// rebuilt makes this keeper's fragments from what came, and reports whether
// all of them are there.
func (r *repair) rebuilt(todo []wanted) bool {
	all := true
	for _, w := range todo {
		g := r.pieces[w.row.Batch]
		if g == nil {
			return false
		}
		if g.check == nil {
			g.rebuild(r, w.row)
		}
		all = all && g.check != nil
	}
	return all
}

// keep stores the batches whose shares give rho and returns the others.
func (r *repair) keep(ctx context.Context, todo []wanted, shares [][32]byte) (left []wanted, err error) {
	var inputs []Input
	var stored []wanted
	for _, w := range todo {
		g := r.pieces[w.row.Batch]
		n := int(count(w.row.Bits))
		if g.accept(w.row.Bits, shares[:n]) {
			inputs, stored = append(inputs, Restored{Batch: g.check, Records: w.row.Bits}), append(stored, w)
		} else {
			left = append(left, w)
		}
		shares = shares[n:]
	}
	out, err := r.k.submit(ctx, inputs...)
	if err != nil {
		return nil, err
	}
	for i, o := range out {
		if o.Err != nil {
			if o.Reason != abaton.ReasonErased && o.Reason != abaton.ReasonEquivocation {
				return nil, o.Err
			}
			continue // it went meanwhile, or its writer used the number twice
		}
		n := count(stored[i].row.Bits)
		r.k.repairs.edit(func(p *Progress) { p.Restored, p.Missing = p.Restored+n, p.Missing-n })
	}
	return left, nil
}
