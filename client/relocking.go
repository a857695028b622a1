package client

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// relocking is one batch on its way under a new lock.
type relocking struct {
	n       *Network
	patient abaton.ActorID
	batch   *surveyed
	segment actor.Segment // the newest of its line
	hash    [32]byte      // of the new LOCK
	boxed   [][]byte      // by keeper index: the prepared lock, boxed
	failed  error         // before anything was sent

	mu       sync.Mutex
	step     *quorum.Relock
	receipts map[abaton.KeeperIndex][]byte
	ready    chan struct{} // closed when it can be read back, or has ended
	said     bool
	commits  quorum.Keepers // to be sent the commit
	wakes    quorum.Keepers // to be tried again in the next round
}

// prepareAll makes and prepares new locks of a few batches and reads them
// back. It returns one relocking for each; its error is ctx's alone.
func (r *Relocker) prepareAll(ctx context.Context, reader *Reader, segments map[abaton.Line]actor.Segment, chunk []*surveyed) ([]*relocking, error) {
	var rows []Row
	var lines []abaton.Line
	for _, b := range chunk {
		rows = append(rows, b.row())
		lines = append(lines, b.line)
	}
	a := r.ask(lines...)
	told, alive, err := reader.everyLock(ctx, a, rows, r.n.params.W, r.mayCount)
	if reasonOf(err) == abaton.ReasonTooLarge && len(chunk) > 1 {
		half := len(chunk) / 2
		first, err := r.prepareAll(ctx, reader, segments, chunk[:half])
		if err != nil {
			return nil, err
		}
		second, err := r.prepareAll(ctx, reader, segments, chunk[half:])
		return append(first, second...), err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	all := make([]*relocking, len(chunk))
	for i, b := range chunk {
		all[i] = &relocking{n: r.n, patient: r.c.Patient, batch: b, segment: segments[b.line], failed: err,
			step: quorum.NewRelock(r.n.params, alive), receipts: make(map[abaton.KeeperIndex][]byte), ready: make(chan struct{})}
	}
	if err != nil {
		return all, nil
	}
	r.lockAll(ctx, reader, told, all)
	for _, t := range all {
		if t.failed == nil {
			t.feed(t.step.Start)
		}
	}
	for _, t := range all {
		if t.failed == nil && !t.wait(ctx) {
			return nil, context.Cause(ctx)
		}
	}
	return all, r.checkAll(ctx, reader, a, all)
}

// lockAll makes the new locks.
func (r *Relocker) lockAll(ctx context.Context, reader *Reader, told map[abaton.BatchName]*lockedRow, all []*relocking) {
	authors := r.n.authors(ctx)
	g := new(errgroup.Group)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, t := range all {
		g.Go(func() error {
			t.failed = r.lock(t, reader, told[t.batch.name], authors)
			return nil
		})
	}
	g.Wait() // no part returns an error
}

// lock opens a batch whole under the highest lock that opens and makes one of
// the next number. The next is above every number that a keeper has ever been
// seen with, so two lockers that do not know of each other end with one lock.
func (r *Relocker) lock(t *relocking, reader *Reader, row *lockedRow, authors func(abaton.ActorID) []abaton.KeyID) error {
	best, g := row.best()
	if best == nil {
		return &abaton.TooFewError{Have: 0, Need: r.n.params.T}
	}
	gone := r.state.Erased(t.batch.name)
	for _, m := range g.Missing {
		gone |= 1 << m.Index
	}
	gone &= allRecords(t.batch.records)
	box := reader.segment(r.c.Patient, t.batch.line, best.lock.Segment)
	if box == nil {
		return ErrNoSeed
	}
	segment, err := r.n.seals.parse(t.segment.ID, t.segment.Public)
	if err != nil {
		return err
	}
	top := row.ordered()[0]
	made, err := seal.Relock(box, g, authors, seal.Relocking{
		Segment: segment, Set: r.n.set.ID(), Shape: r.n.shape, Locker: r.c.Locker, Gone: gone, Continues: top.lock,
	})
	if err != nil {
		return err
	}
	t.hash = spread.LockHash(made.Lock.Body)
	return t.box(made, top)
}

// box boxes each keeper's part to that keeper. A keeper that does not have the
// LOCK that the new one continues gets it too.
func (t *relocking) box(made *seal.Relocked, top *toldLock) error {
	t.boxed = make([][]byte, t.n.params.N+1)
	for _, rekey := range made.Rekeys {
		m := keeper.Prepare{V: wire.Version, Patient: t.patient, Rekey: rekey.Bytes()}
		if !top.from.Has(rekey.X) {
			m.Base = wire.Marshal(top.signed)
		}
		sealed, err := spread.SealRekey(wire.Marshal(m), t.n.set.ID(), rekey.X, t.n.boxes[rekey.X])
		if err != nil {
			return fmt.Errorf("box lock: %w", err)
		}
		t.boxed[rekey.X] = sealed
	}
	return nil
}

// feed gives the step an event and does what it says.
func (t *relocking) feed(event func() []quorum.Effect) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range event() {
		switch e.Do {
		case quorum.Send:
			t.n.post(e.Keeper, letter{route: keeper.RoutePrepare, body: t.boxed[e.Keeper], reply: t.prepared(e.Keeper)})
		case quorum.Wake:
			if t.step.Committing() {
				t.wakes = t.wakes.With(e.Keeper)
				continue
			}
			t.n.after(e.After, func() { t.feed(func() []quorum.Effect { return t.step.Timer(e.Keeper) }) })
		case quorum.Certify:
			t.commits = t.commits.With(e.Keeper)
		case quorum.Check:
			t.say()
		}
	}
	if t.step.State() != quorum.Working {
		t.say()
	}
}

// say lets whoever waits go on. Callers hold mu.
func (t *relocking) say() {
	if !t.said {
		t.said = true
		close(t.ready)
	}
}

func (t *relocking) wait(ctx context.Context) bool {
	select {
	case <-t.ready:
		return true
	case <-ctx.Done():
	case <-t.n.ctx.Done():
	}
	return false
}

func (t *relocking) prepared(x abaton.KeeperIndex) func([]byte, error) {
	return func(ok []byte, err error) {
		t.feed(func() []quorum.Effect {
			if reason := reasonOf(err); reason != "" {
				return t.step.Refuse(x, reason)
			}
			if err != nil {
				return t.step.Lost(x)
			}
			r, err := VerifyReceipt(t.n.set, ok, t.batch.name, t.hash)
			if err != nil || r.Keeper != x {
				return t.step.Lost(x)
			}
			t.receipts[x] = ok
			return t.step.Receipt(x)
		})
	}
}

// awaitsCheck reports whether the step has asked for the lock to be read back.
func (t *relocking) awaitsCheck() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed == nil && t.step.State() == quorum.Working && t.said
}

// checkAll reads the new locks back and opens from them.
func (r *Relocker) checkAll(ctx context.Context, reader *Reader, a Ask, all []*relocking) error {
	var rows []Row
	for _, t := range all {
		if t.awaitsCheck() {
			rows = append(rows, t.batch.row())
		}
	}
	if len(rows) == 0 {
		return nil
	}
	told, _, err := reader.everyLock(ctx, a, rows, r.n.params.W, r.mayCount)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	authors := r.n.authors(ctx)
	for _, t := range all {
		if !t.awaitsCheck() {
			continue
		}
		valid := quorum.Keepers(0)
		if err == nil {
			valid = t.opens(reader, told[t.batch.name], authors)
		}
		t.feed(func() []quorum.Effect { return t.step.Checked(valid) })
	}
	return nil
}

// opens is from whom the new lock's piece was read, if every record opens from
// those pieces; else nobody.
func (t *relocking) opens(reader *Reader, row *lockedRow, authors func(abaton.ActorID) []abaton.KeyID) quorum.Keepers {
	row.mu.Lock()
	told := row.locks[t.hash]
	row.mu.Unlock()
	if told == nil {
		return 0
	}
	g := told.gather.Result()
	if !g.Settled() {
		return 0
	}
	opened, err := openWith(reader.segment(t.patient, t.batch.line, t.segment.ID), g, authors)
	if err != nil {
		return 0
	}
	for i := range opened {
		if opened[i].Err != nil {
			return 0
		}
	}
	return told.from
}

// commitAll puts what was read back in force, in one message to each keeper.
func (r *Relocker) commitAll(ctx context.Context, all []*relocking) error {
	for try := 1; ; try++ {
		pending := make(map[abaton.KeeperIndex][]*relocking)
		for _, t := range all {
			for x := range t.takeCommits().Each {
				pending[x] = append(pending[x], t)
			}
		}
		if len(pending) == 0 {
			return nil
		}
		g := new(errgroup.Group)
		for x, list := range pending {
			g.Go(func() error {
				r.commit(ctx, x, list)
				return nil
			})
		}
		g.Wait() // no part returns an error
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !r.wakeAll(ctx, all, try) {
			return nil
		}
	}
}

// wakeAll lets the keepers that are to be tried again be tried, after a pause;
// false when there are none.
func (r *Relocker) wakeAll(ctx context.Context, all []*relocking, try int) bool {
	wakes := make([]quorum.Keepers, len(all))
	any := quorum.Keepers(0)
	for i, t := range all {
		t.mu.Lock()
		wakes[i], t.wakes = t.wakes, 0
		t.mu.Unlock()
		any |= wakes[i]
	}
	if any == 0 || !pause(ctx, quorum.Backoff(try)) {
		return false
	}
	for i, t := range all {
		for x := range wakes[i].Each {
			t.feed(func() []quorum.Effect { return t.step.Timer(x) })
		}
	}
	return true
}

func (t *relocking) takeCommits() quorum.Keepers {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.commits
	t.commits = 0
	return k
}

// commit asks one keeper to put a list of locks in force.
func (r *Relocker) commit(ctx context.Context, x abaton.KeeperIndex, list []*relocking) {
	m := keeper.Commits{V: wire.Version, Patient: r.c.Patient}
	for _, t := range list {
		m.Locks = append(m.Locks, t.certificate())
	}
	body, err := r.n.call(ctx, x, keeper.RouteCommit, wire.Marshal(m))
	var results keeper.Results
	if err == nil && (wire.Unmarshal(body, &results) != nil || results.V != wire.Version || len(results.Results) != len(list)) {
		err = errAnswer
	}
	for i, t := range list {
		t.feed(func() []quorum.Effect {
			switch {
			case reasonOf(err) != "":
				return t.step.Refuse(x, reasonOf(err))
			case err != nil:
				return t.step.Lost(x)
			case results.Results[i].Reason != "":
				return t.step.Refuse(x, results.Results[i].Reason)
			}
			return t.step.InForce(x)
		})
	}
}

// certificate is the receipts of all who prepared the lock.
func (t *relocking) certificate() keeper.Commit {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := keeper.Commit{Batch: t.batch.name, Lock: t.hash}
	for x := range quorum.All(t.n.params.N).Each {
		if r := t.receipts[x]; r != nil {
			c.Receipts = append(c.Receipts, r)
		}
	}
	return c
}

// outcome is nil when the new lock is in force at w keepers.
func (t *relocking) outcome() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return t.failed
	}
	if err := t.step.Err(); err != nil {
		return errors.Join(err, abaton.ErrPending)
	}
	return nil
}
