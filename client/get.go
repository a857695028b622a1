package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
)

// requestsAtOnce is how many requests of one Get are under way together.
const requestsAtOnce = 4

// Got is what came of a Get.
type Got struct {
	Records []Record
	Missing []Missing
	Faults  []Fault
}

// Record is one opened record.
type Record struct {
	Name     abaton.RecordName
	Line     abaton.Line
	Hour     uint32         // when it was sealed, hours since 1970-01-01T00:00Z
	Writer   abaton.KeyID   // who deposited it
	Author   abaton.ActorID // whose signature is inside
	Envelope seal.Envelope
	Content  []byte // the client's exact bytes
}

// Missing is a record that was asked for and not opened. Err is ErrErased,
// ErrNotFound (not here or not yours), a *TooFewError, ErrNoSeed, or an error
// of seal for a record that nobody can open.
type Missing struct {
	Name abaton.RecordName
	Err  error
}

// Get opens records. It asks T keepers and the others only when needed; what
// could not be opened is in Missing. An error means that nothing was opened:
// a refusal, or too few keepers.
func (r *Reader) Get(ctx context.Context, a Ask, rows ...Row) (*Got, error) {
	return r.get(ctx, a, session.Release, rows)
}

func (r *Reader) get(ctx context.Context, a Ask, mode session.Mode, rows []Row) (*Got, error) {
	chunks := chunkRows(rows)
	parts := make([]*Got, len(chunks))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(requestsAtOnce)
	for i, chunk := range chunks {
		g.Go(func() (err error) {
			parts[i], err = r.fetch(ctx, a, mode, chunk)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("get records: %w", err)
	}
	all := new(Got)
	for _, p := range parts {
		all.Records = append(all.Records, p.Records...)
		all.Missing = append(all.Missing, p.Missing...)
		all.Faults = append(all.Faults, p.Faults...)
	}
	return all, nil
}

// chunkRows cuts rows into requests. More than a few batches make at least
// two, so that opening one overlaps with waiting for the other.
func chunkRows(rows []Row) [][]Row {
	size := abaton.RequestRowsMax
	if len(rows) > 8 && len(rows) <= 2*size {
		size = min(size, (len(rows)+1)/2)
	}
	return slices.Collect(slices.Chunk(rows, size))
}

// fetching is one request's rows being gathered.
type fetching struct {
	r    *Reader
	ask  Ask
	rows []*gatheredRow
	by   map[abaton.BatchName]*gatheredRow
}

// gatheredRow is one row; its mu lets different keepers' pieces of different
// rows be checked at the same time.
type gatheredRow struct {
	Row
	mu      sync.Mutex
	gather  *spread.Gather
	replies map[abaton.KeeperIndex][]byte
	pieces  int
	none    quorum.Keepers // who answered without this row
	result  *spread.Gathered
}

func (r *Reader) fetch(ctx context.Context, a Ask, mode session.Mode, rows []Row) (*Got, error) {
	f := &fetching{r: r, ask: a, by: make(map[abaton.BatchName]*gatheredRow)}
	for _, row := range rows {
		g, err := spread.NewGather(row.Batch, row.Records, r.n.shape, r.n.set.ID(), f.entitled)
		if err != nil {
			return nil, err
		}
		gr := &gatheredRow{Row: row, gather: g, replies: make(map[abaton.KeeperIndex][]byte)}
		f.rows, f.by[row.Batch] = append(f.rows, gr), gr
	}
	q := r.sign(a, mode, sessionRows(rows), 0)
	step := quorum.NewRead(r.n.params, r.prefer(), false)
	if a.hedge > 0 {
		step.Hedge = a.hedge
	}
	err := drive(ctx, play{
		start: step.Start, timer: step.Timer,
		ended: func() bool { return step.State() != quorum.Working },
		ask: func(ctx context.Context, x abaton.KeeperIndex) func() []quorum.Effect {
			reply, err := r.ask(ctx, x, q)
			helps, enough := false, false
			if err == nil {
				helps, enough = f.take(x, reply)
			}
			return func() []quorum.Effect {
				if reason := reasonOf(err); reason != "" {
					return step.Refuse(x, reason)
				}
				if err != nil {
					return step.Lost(x)
				}
				return step.Answer(x, helps, enough)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if step.Answered() == 0 || step.State() == quorum.Refused {
		return nil, step.Err()
	}
	if step.State() == quorum.Unavailable {
		f.heal(ctx)
	}
	return f.open(ctx)
}

// entitled accepts a HEAD about this patient and one of these lines. That its
// writer was entitled is what the keepers' own check at ingest says: a record
// opens with T pieces only, so at least T-f honest keepers have asked.
func (f *fetching) entitled(h *spread.Head, _ *spread.Lock) error {
	if h.Patient != f.ask.Patient || len(f.ask.Lines) > 0 && !slices.Contains(f.ask.Lines, h.Line) {
		return abaton.Refuse(abaton.ReasonNotFound)
	}
	return nil
}

// take adds one keeper's pieces. helps: every row got a piece that counts;
// enough: nothing is left to wait for.
func (f *fetching) take(x abaton.KeeperIndex, a *answered) (helps, enough bool) {
	got := make(map[*gatheredRow]bool, len(a.Pieces))
	for i, piece := range a.Pieces {
		row := f.rowOf(piece, i, len(a.Pieces))
		if row == nil || got[row] {
			continue
		}
		got[row] = f.add(row, x, piece, a.signed)
	}
	helps, enough = true, true
	for _, row := range f.rows {
		helps = helps && got[row]
		enough = row.settle(x, got[row], f.r.n.params.T) && enough
	}
	return helps, enough
}

// rowOf finds the row of a piece by its HEAD; a piece that hides its HEAD is
// taken by its place, so that the row's Gather can prove it wrong.
func (f *fetching) rowOf(piece []byte, i, count int) *gatheredRow {
	if head, ok := headOf(piece); ok {
		if row := f.by[spread.NameOf(head)]; row != nil {
			return row
		}
	}
	if count == len(f.rows) {
		return f.rows[i]
	}
	return nil
}

// headOf is the HEAD body of a piece in canonical form, without reading the
// rest: map of 9, 1: 1, 2: [bytes, ...].
func headOf(piece []byte) ([]byte, bool) {
	if len(piece) < 8 || [5]byte(piece[:5]) != [5]byte{0xa9, 1, 1, 2, 0x82} {
		return nil, false
	}
	rest, n := piece[5:], 0
	switch {
	case rest[0] == 0x58:
		n, rest = int(rest[1]), rest[2:]
	case rest[0] == 0x59:
		n, rest = int(binary.BigEndian.Uint16(rest[1:])), rest[3:]
	default:
		return nil, false
	}
	if n > len(rest) {
		return nil, false
	}
	return rest[:n], true
}

func (f *fetching) add(row *gatheredRow, x abaton.KeeperIndex, piece, reply []byte) bool {
	row.mu.Lock()
	defer row.mu.Unlock()
	row.replies[x] = reply
	err := row.gather.Add(x, piece)
	if err == nil {
		row.pieces++
	}
	return err == nil
}

// settle notes x's answer and works the row out once it may open. True when
// nothing is left to wait for.
func (row *gatheredRow) settle(x abaton.KeeperIndex, got bool, t int) bool {
	row.mu.Lock()
	defer row.mu.Unlock()
	if !got {
		row.none = row.none.With(x)
	}
	if row.result != nil && row.result.Settled() {
		return true
	}
	if row.pieces < t {
		return false
	}
	row.result = row.gather.Result()
	return row.result.Settled()
}

// open opens what was gathered, rows in parallel.
func (f *fetching) open(ctx context.Context) (*Got, error) {
	parts := make([]*Got, len(f.rows))
	g := new(errgroup.Group)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, row := range f.rows {
		g.Go(func() error {
			parts[i] = f.openRow(ctx, row)
			return nil
		})
	}
	g.Wait() // no part returns an error
	all := new(Got)
	for _, p := range parts {
		all.Records = append(all.Records, p.Records...)
		all.Missing = append(all.Missing, p.Missing...)
		all.Faults = append(all.Faults, p.Faults...)
	}
	return all, nil
}

func (f *fetching) openRow(ctx context.Context, row *gatheredRow) *Got {
	row.mu.Lock()
	defer row.mu.Unlock()
	got := new(Got)
	if row.result == nil || !row.result.Settled() {
		row.result = row.gather.Result()
	}
	for i := range row.result.Missing {
		m := &row.result.Missing[i]
		got.Missing = append(got.Missing, Missing{Name: abaton.RecordName{Batch: row.Batch, Index: m.Index}, Err: f.missing(row, m)})
	}
	for _, part := range byLock(row.result) {
		f.openPart(ctx, part, got)
	}
	got.Faults = row.faults()
	return got
}

// missing says why a record could not be gathered. More than N-T keepers that
// do not have it leave fewer than T that could: it is not here, or not yours.
func (f *fetching) missing(row *gatheredRow, m *spread.Missing) error {
	if row.pieces == 0 && row.none.Len() > f.r.n.params.N-f.r.n.params.T {
		return abaton.ErrNotFound
	}
	return m.Err(f.r.n.shape)
}

// byLock splits what was found by LOCK: while a batch is being locked anew its
// records may stand under two.
func byLock(g *spread.Gathered) (parts []*spread.Gathered) {
	by := make(map[[32]byte]*spread.Gathered)
	for _, found := range g.Found {
		part := by[found.Capsule.Ctx]
		if part == nil {
			part = &spread.Gathered{Name: g.Name, Head: g.Head, HeadSigned: g.HeadSigned}
			by[found.Capsule.Ctx], parts = part, append(parts, part)
		}
		part.Found = append(part.Found, found)
	}
	return parts
}

func (f *fetching) openPart(ctx context.Context, part *spread.Gathered, got *Got) {
	head := part.Head
	box := f.r.segment(head.Patient, head.Line, part.Found[0].Capsule.Lock.Segment)
	opened, err := openWith(box, part, f.r.n.authors(ctx))
	for i := range opened {
		o := &opened[i]
		if o.Err != nil {
			got.Missing = append(got.Missing, Missing{Name: o.Name, Err: o.Err})
			continue
		}
		got.Records = append(got.Records, Record{Name: o.Name, Line: head.Line, Hour: head.Hour, Writer: head.Writer,
			Author: o.Author, Envelope: o.Record.Envelope, Content: o.Record.Content})
	}
	if err != nil {
		for i := range part.Found {
			got.Missing = append(got.Missing, Missing{Name: abaton.RecordName{Batch: part.Name, Index: part.Found[i].Index}, Err: err})
		}
	}
}

func openWith(box *key.Box, part *spread.Gathered, authors func(abaton.ActorID) []abaton.KeyID) ([]seal.Opened, error) {
	if box == nil {
		return nil, ErrNoSeed
	}
	return seal.Open(box, part, authors)
}

// faults are the proofs that the row's Gather has. Callers hold mu.
func (row *gatheredRow) faults() (all []Fault) {
	for _, p := range row.gather.Faults() {
		f := Fault{Keeper: p.Keeper, Key: p.Key, Party: p.Party, Reason: p.Reason, Batch: row.Batch, Proof: p.Bytes()}
		if p.Party == spread.KeeperParty {
			f.Reply = row.replies[p.Keeper]
		}
		all = append(all, f)
	}
	return all
}

// allRecords is the bitmap of the first m records.
func allRecords(m int) uint64 {
	if m >= 64 {
		return ^uint64(0)
	}
	return 1<<m - 1
}

// Count is how many records the row names.
func (row Row) Count() int { return bits.OnesCount64(row.Records) }
