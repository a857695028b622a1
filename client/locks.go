package client

import (
	"context"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// locksPerKeeper bounds the locks of one batch that a keeper is believed to
// hold: one in force and those that somebody prepared and did not finish.
const locksPerKeeper = 16

// splitTries is how often a reader that meets a re-lock half way asks for
// every lock.
const splitTries = 3

// lockedRow is what keepers told of one batch, by lock: while a batch is locked
// anew, some keepers serve the old lock and some the new one, and those with
// the old have the new one beside it (docs/protocol/record.md#re-lock).
type lockedRow struct {
	Row
	mu    sync.Mutex
	locks map[[32]byte]*toldLock
}

// toldLock is one lock and the pieces under it.
type toldLock struct {
	lock   *spread.Lock
	signed wire.Signed
	hash   [32]byte
	gather *spread.Gather
	from   quorum.Keepers // whose piece counts
}

// everyLock asks for rows under every lock held. It waits for need keepers and
// for all others that answer within a second; who says whether a LOCK may
// count at all.
func (r *Reader) everyLock(ctx context.Context, a Ask, rows []Row, need int, who func(*spread.Head, *spread.Lock) error) (map[abaton.BatchName]*lockedRow, quorum.Keepers, error) {
	told := make(map[abaton.BatchName]*lockedRow, len(rows))
	for _, row := range rows {
		told[row.Batch] = &lockedRow{Row: row, locks: make(map[[32]byte]*toldLock)}
	}
	q := r.sign(a, session.Locks, sessionRows(rows), 0)
	step := quorum.NewCollect(r.n.params, need, need)
	step.Hold(true)
	err := drive(ctx, play{
		start: step.Start, timer: step.Timer,
		ended: func() bool { return step.State() != quorum.Working },
		ask: func(ctx context.Context, x abaton.KeeperIndex) func() []quorum.Effect {
			reply, err := r.ask(ctx, x, q)
			if err == nil {
				r.takeLocks(told, x, reply.Pieces, who)
			}
			return func() []quorum.Effect {
				if reason := reasonOf(err); reason != "" {
					return step.Refuse(x, reason)
				}
				if err != nil {
					return step.Lost(x)
				}
				return step.Answer(x, false)
			}
		},
	})
	if err == nil {
		err = step.Err()
	}
	return told, step.Answered(), err
}

// takeLocks sorts one keeper's pieces by batch and lock. A piece that does not
// hold is left out.
func (r *Reader) takeLocks(told map[abaton.BatchName]*lockedRow, x abaton.KeeperIndex, pieces [][]byte, who func(*spread.Head, *spread.Lock) error) {
	count := make(map[*lockedRow]int)
	for _, data := range pieces {
		p, err := spread.ParsePiece(data)
		if err != nil {
			continue
		}
		row := told[spread.NameOf(p.Head.Body)]
		if row == nil || count[row] == locksPerKeeper {
			continue
		}
		count[row]++
		row.add(r.n, x, p, data, who)
	}
}

func (row *lockedRow) add(n *Network, x abaton.KeeperIndex, p *spread.Piece, data []byte, who func(*spread.Head, *spread.Lock) error) {
	row.mu.Lock()
	defer row.mu.Unlock()
	hash := spread.LockHash(p.Lock.Body)
	t := row.locks[hash]
	if t == nil {
		lock, err := spread.DecodeLock(p.Lock.Body)
		if err != nil {
			return
		}
		g, err := spread.NewGather(row.Batch, row.Records, n.shape, n.set.ID(), who)
		if err != nil {
			return
		}
		t = &toldLock{lock: lock, signed: p.Lock, hash: hash, gather: g}
	}
	if t.gather.Add(x, data) == nil {
		t.from = t.from.With(x)
		row.locks[hash] = t
	}
}

// best is what opens under the highest number of which enough pieces are
// there; nil when there is none.
func (row *lockedRow) best() (*toldLock, *spread.Gathered) {
	for _, t := range row.ordered() {
		if g := t.gather.Result(); g.Settled() && len(g.Found) > 0 {
			return t, g
		}
	}
	return nil, nil
}

// ordered are the locks told, highest number first.
func (row *lockedRow) ordered() []*toldLock {
	row.mu.Lock()
	defer row.mu.Unlock()
	var all []*toldLock
	for _, t := range row.locks {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *toldLock) int {
		if a.lock.Number != b.lock.Number {
			return int(min(b.lock.Number, 1<<31)) - int(min(a.lock.Number, 1<<31))
		}
		return slices.Compare(a.hash[:], b.hash[:])
	})
	return all
}

// heal asks once more for rows that did not come together though keepers have
// them: they are being locked anew. Under every lock held, one has enough
// pieces.
func (f *fetching) heal(ctx context.Context) {
	for range splitTries {
		var rows []Row
		for _, row := range f.rows {
			if row.split() {
				rows = append(rows, row.Row)
			}
		}
		if len(rows) == 0 {
			return
		}
		told, _, err := f.r.everyLock(ctx, f.ask, rows, f.r.n.params.T, f.entitled)
		if err != nil {
			return
		}
		for batch, row := range told {
			if _, g := row.best(); g != nil {
				f.by[batch].take(g)
			}
		}
	}
}

// split reports whether pieces of the row came and do not open together.
func (row *gatheredRow) split() bool {
	row.mu.Lock()
	defer row.mu.Unlock()
	if row.result == nil || !row.result.Settled() {
		row.result = row.gather.Result()
	}
	return row.pieces > 0 && !row.result.Settled()
}

func (row *gatheredRow) take(g *spread.Gathered) {
	row.mu.Lock()
	defer row.mu.Unlock()
	row.result = g
}
