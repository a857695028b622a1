package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// listPagesMax bounds the pages of one keeper's listing.
const listPagesMax = 4096

// Listing is the union of what at least R keepers listed.
type Listing struct {
	Batches  []Batch // in the order of names
	Rumours  int     // names that fewer than T keepers are known to hold; not shown
	Answered int
	Of       int
}

// Caveat is the sentence to show beside a listing, empty when there is
// nothing to say.
func (l *Listing) Caveat() string {
	if l.Rumours > 0 && l.Answered == l.Of {
		return fmt.Sprintf("incomplete: %d names that too few keepers hold", l.Rumours)
	}
	return ""
}

// Batch is one batch of a listing.
type Batch struct {
	Name     abaton.BatchName
	Patient  abaton.ActorID
	Line     abaton.Line
	Segment  abaton.SegmentID
	Records  int    // its index included, where it has one
	Gone     uint64 // erased records
	Hour     uint32
	Writer   abaton.KeyID
	Seq      uint64
	Receipts int  // keepers whose receipts are in hand
	Saved    bool // acknowledged; false is shown as "saving"
}

// Rows names the batch's records that are not erased, without its index.
func (b *Batch) Rows() Row {
	all := allRecords(b.Records) &^ b.Gone
	if b.Records > 1 {
		all &^= 1
	}
	return Row{Batch: b.Name, Records: all}
}

// listing is a List under way.
type listing struct {
	r     *Reader
	ask   Ask
	class spread.Class // what was asked for; a keeper that tells of others is not believed

	mu       sync.Mutex
	tally    *quorum.Tally
	batches  map[abaton.BatchName]*listed
	receipts map[string]abaton.KeeperIndex // verified, by bytes
}

// listed is what is known of one batch besides who holds it. While it is locked
// anew its keepers tell of two locks.
type listed struct {
	Batch
	head  []byte // as received
	locks map[[32]byte]*listedLock
}

// listedLock is one lock of a batch, and who is known to have it.
type listedLock struct {
	bytes    []byte // as received
	lock     *spread.Lock
	told     quorum.Keepers
	receipts map[abaton.KeeperIndex][]byte
}

// chosen is the lock to show: the one of the highest number that more than f
// keepers vouch for, so that nobody invents one.
func (b *listed) chosen(f int) (best *listedLock) {
	vouched := func(l *listedLock) bool {
		k := l.told
		for x := range l.receipts {
			k = k.With(x)
		}
		return k.Len() > f
	}
	for _, l := range b.locks {
		switch {
		case best == nil, vouched(l) && !vouched(best):
			best = l
		case vouched(l) == vouched(best) && l.lock.Number > best.lock.Number:
			best = l
		}
	}
	return best
}

// List names the batches in a.Lines, from at least R keepers' answers: every
// acknowledged batch is among them. Notices that keepers turn out to lack are
// written back to them in the background (RULINGS 19).
func (r *Reader) List(ctx context.Context, a Ask) (*Listing, error) {
	return r.listing(ctx, a, session.List)
}

// Parts lists the batches that are parts of large objects, which List leaves
// out: a chart is opened without them.
func (r *Reader) Parts(ctx context.Context, a Ask) (*Listing, error) {
	return r.listing(ctx, a, session.Parts)
}

func (r *Reader) listing(ctx context.Context, a Ask, mode session.Mode) (*Listing, error) {
	l := &listing{r: r, ask: a, class: spread.Ordinary, tally: quorum.NewTally(r.n.params),
		batches: make(map[abaton.BatchName]*listed), receipts: make(map[string]abaton.KeeperIndex)}
	if mode == session.Parts {
		l.class = spread.PartClass
	}
	step := quorum.NewCollect(r.n.params, r.n.params.R(), r.n.params.R())
	if err := r.collect(ctx, step, a, mode, l); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return l.finish(ctx, step.Answered()), nil
}

// union takes verified pages of several keepers. take is called from several
// goroutines; unclear says whether more answers are wanted than needed.
type union interface {
	take(x abaton.KeeperIndex, a *answered) error
	unclear() bool
}

// collect runs a step whose answers come in pages. The first page is one
// question, the same bytes to all; each keeper's cursor is its own.
func (r *Reader) collect(ctx context.Context, step *quorum.Collect, a Ask, mode session.Mode, into union) error {
	return r.collectFrom(ctx, step, a, mode, r.sign(a, mode, nil, 0), into)
}

// collectFrom is collect with the first question already signed.
func (r *Reader) collectFrom(ctx context.Context, step *quorum.Collect, a Ask, mode session.Mode, first question, into union) error {
	cursors, pages := make([]uint64, r.n.params.N+1), make([]int, r.n.params.N+1)
	err := drive(ctx, play{
		start: step.Start, timer: step.Timer,
		ended: func() bool { return step.State() != quorum.Working },
		ask: func(ctx context.Context, x abaton.KeeperIndex) func() []quorum.Effect {
			q := first
			if cursors[x] != 0 {
				q = r.sign(a, mode, nil, cursors[x])
			}
			reply, err := r.ask(ctx, x, q)
			if err == nil {
				err = into.take(x, reply)
			}
			return func() []quorum.Effect {
				if reason := reasonOf(err); reason != "" {
					return step.Refuse(x, reason)
				}
				pages[x]++
				if err != nil || pages[x] > listPagesMax || reply.Next != 0 && reply.Next <= cursors[x] {
					return step.Lost(x)
				}
				cursors[x] = reply.Next
				step.Hold(into.unclear())
				return step.Answer(x, reply.Next != 0)
			}
		},
	})
	if err != nil {
		return err
	}
	return step.Err()
}

// take adds one page. A notice that does not hold makes the whole page worth
// nothing: an honest keeper sends none.
func (l *listing) take(x abaton.KeeperIndex, a *answered) error {
	if len(a.Notices) > abaton.NoticesMax {
		return errAnswer
	}
	for i := range a.Notices {
		if err := l.notice(x, &a.Notices[i]); err != nil {
			return err
		}
	}
	return nil
}

// unclear: an acknowledged batch may look like a rumour where only one of the
// keepers that answered holds it.
func (l *listing) unclear() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally.Unclear()
}

func (l *listing) notice(x abaton.KeeperIndex, n *keeper.Notice) error {
	var head, lock wire.Signed
	if wire.Unmarshal(n.Head, &head) != nil || wire.Unmarshal(n.Lock, &lock) != nil {
		return errAnswer
	}
	lockHash := spread.LockHash(lock.Body)
	b, at, err := l.batch(x, head, lock, lockHash, n)
	if err != nil {
		return err
	}
	valid := quorum.Keepers(0)
	for i, signed := range n.Receipts {
		if i >= abaton.KeepersMax {
			return errAnswer
		}
		if y := l.receipt(signed, b.Name, lockHash); y != 0 {
			valid = valid.With(y)
			l.mu.Lock()
			at.receipts[y] = signed
			l.mu.Unlock()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.Add(x, b.Name, n.Held, valid)
	return nil
}

// batch is the entry of a notice's batch and of its lock, their signatures
// verified once.
func (l *listing) batch(x abaton.KeeperIndex, head, lock wire.Signed, lockHash [32]byte, n *keeper.Notice) (*listed, *listedLock, error) {
	known, err := l.r.n.proved.parse(head, lock)
	if err != nil {
		return nil, nil, errAnswer
	}
	h, k, name := known.head, known.lock, spread.NameOf(head.Body)
	f := fetching{ask: l.ask}
	if k.Batch != name || h.Class != l.class || f.entitled(h, k) != nil {
		return nil, nil, errAnswer
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.batches[name]
	if b == nil {
		b = &listed{locks: make(map[[32]byte]*listedLock), head: n.Head, Batch: Batch{Name: name, Patient: h.Patient,
			Line: h.Line, Records: int(h.Dims.M), Hour: h.Hour, Writer: h.Writer, Seq: h.Seq}}
		l.batches[name] = b
	}
	at := b.locks[lockHash]
	if at == nil {
		at = &listedLock{bytes: n.Lock, lock: k, receipts: make(map[abaton.KeeperIndex][]byte)}
		b.locks[lockHash] = at
	}
	if n.Held {
		at.told = at.told.With(x)
	}
	return b, at, nil
}

// receipt is whose valid receipt this is, zero for nobody's.
func (l *listing) receipt(signed []byte, batch abaton.BatchName, lock [32]byte) abaton.KeeperIndex {
	l.mu.Lock()
	x, ok := l.receipts[string(signed)]
	l.mu.Unlock()
	if ok {
		return x
	}
	x = l.r.n.proved.receipt(l.r.n.set, signed, batch, lock)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts[string(signed)] = x
	return x
}

// finish makes the listing and writes back what keepers lack.
func (l *listing) finish(ctx context.Context, answeredBy quorum.Keepers) *Listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &Listing{Answered: answeredBy.Len(), Of: l.r.n.params.N}
	state, err := l.r.n.Log(ctx, l.ask.Patient)
	for _, row := range l.tally.Rows() {
		b, standing := l.batches[row.Batch], row.Standing(l.r.n.params)
		lock := b.chosen(l.r.n.params.F)
		b.Segment, b.Gone = lock.lock.Segment, lock.lock.Gone
		l.writeBack(b, lock, row, answeredBy)
		if standing == quorum.Rumour {
			out.Rumours++
			continue
		}
		b.Receipts, b.Saved = row.Receipts.Len(), standing == quorum.Saved
		if err == nil {
			b.Gone |= state.Erased(b.Name)
		}
		out.Batches = append(out.Batches, b.Batch)
	}
	return out
}

// writeBack sends a batch's notice to keepers that lack it, rumours too: what
// f+1 keepers have given receipts for is no invention. Callers hold mu.
func (l *listing) writeBack(b *listed, lock *listedLock, row quorum.Row, answeredBy quorum.Keepers) {
	to := l.tally.WriteBack(row, answeredBy)
	if to == 0 || len(lock.receipts) <= l.r.n.params.F {
		return
	}
	notice := &keeper.Notice{Head: b.head, Lock: lock.bytes}
	for x := range quorum.All(l.r.n.params.N).Each {
		if r := lock.receipts[x]; r != nil {
			notice.Receipts = append(notice.Receipts, r)
		}
	}
	for x := range to.Each {
		l.r.n.post(x, letter{route: keeper.RouteNotices, patient: b.Patient, notice: notice, reply: func([]byte, error) {}})
	}
}

// Indexes opens the indexes of batches that have one, ledgered as index and
// not as the records (RULINGS 6).
func (r *Reader) Indexes(ctx context.Context, a Ask, batches []Batch) (*Got, error) {
	var rows []Row
	for i := range batches {
		if batches[i].Records > 1 && batches[i].Gone&1 == 0 {
			rows = append(rows, Row{Batch: batches[i].Name, Records: 1})
		}
	}
	return r.get(ctx, a, session.Index, rows)
}
