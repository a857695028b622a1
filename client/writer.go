package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
)

// Bounds of a writer.
const (
	// pendingPatience is how long a write whose quorum is not there is
	// waited for before the caller is told that it lies in the outbox.
	pendingPatience = 2 * time.Second
	// GatherMost is the longest that an interactive write may be held to be
	// sealed together with others (RULINGS 10).
	GatherMost = 20 * time.Millisecond
	// batchBytesMax bounds the text of one batch, so that a message to a
	// keeper stays of middling size.
	batchBytesMax = 8 << 20
	// commitBatchesMax is how many batches of one line a commit record names.
	commitBatchesMax = 1024
	// sealAttempts: once, and once more with the keepers' newer key log.
	sealAttempts = 2
)

// WriterConfig says who writes.
type WriterConfig struct {
	// Outbox is this process's outbox; the writer resumes what it holds.
	Outbox *Outbox
	// Writer signs HEADs and first LOCKs: a live key of the organisation or
	// device with the right to write. One writer key, one outbox.
	Writer *key.Signing
	// Author signs, inside the seal, for the organisation or device.
	Author seal.Author
	// Gather holds single writes this long, to be sealed with others of the
	// same patient and line; at most GatherMost. Zero does not wait.
	Gather time.Duration
	// Backlog is how many bytes may lie in the outbox, for a keeper that is
	// away, before large objects are refused; zero is BacklogBytesMax.
	Backlog int64
	// Wait bounds how long Put waits when the quorum is not there; zero is
	// two seconds.
	Wait time.Duration
}

// Writer seals records and brings them to all keepers. Safe for concurrent
// use.
type Writer struct {
	n *Network
	c WriterConfig

	mu        sync.Mutex
	sends     map[abaton.BatchName]*sending
	gathering map[markKey]*gathering
}

// Transaction is what is written together: all of it becomes visible, or
// nothing.
type Transaction struct{ Writes []Write }

// Write is one record for one line.
type Write struct {
	Patient abaton.ActorID
	Line    abaton.Line
	Record  seal.Record // the envelope's patient, line and transaction are filled in
	Fact    seal.Fact   // for the index of its batch
}

// Written says where the records of a Put lie.
type Written struct {
	Names   []abaton.RecordName // for each Write, in order
	Batches []abaton.BatchName
	At, Of  int // the least number of keepers that hold any one of the batches
}

// NewWriter starts a writer and goes on with what its outbox holds.
func (n *Network) NewWriter(c WriterConfig) (*Writer, error) {
	switch {
	case c.Outbox == nil:
		return nil, errors.New("writer: no outbox")
	case c.Writer == nil || c.Author.Key == nil || c.Author.Actor == (abaton.ActorID{}):
		return nil, errors.New("writer: no key")
	case c.Gather < 0 || c.Gather > GatherMost:
		return nil, errors.New("writer: gathers for at most 20 ms")
	}
	if c.Wait == 0 {
		c.Wait = pendingPatience
	}
	if c.Backlog == 0 {
		c.Backlog = BacklogBytesMax
	}
	w := &Writer{n: n, c: c, sends: make(map[abaton.BatchName]*sending), gathering: make(map[markKey]*gathering)}
	return w, w.resume()
}

// Put seals t, stores it in the outbox and sends it. Nil: at least four
// keepers hold every part of it. ErrPending: it is safe in the outbox and
// goes on by itself (tell the caller "accepted, not yet durable"). A
// RefusedError or seal.ErrTooLarge: nothing of it will ever be visible.
func (w *Writer) Put(ctx context.Context, t Transaction) (*Written, error) {
	if len(t.Writes) == 0 {
		return &Written{At: w.n.params.N, Of: w.n.params.N}, nil
	}
	if len(t.Writes) == 1 && w.c.Gather > 0 {
		return w.gather(ctx, t.Writes[0])
	}
	return w.put(ctx, t.Writes)
}

func (w *Writer) put(ctx context.Context, writes []Write) (*Written, error) {
	return w.putWithin(ctx, writes, w.c.Wait)
}

// putWithin is put with another patience for a quorum that is not there.
func (w *Writer) putWithin(ctx context.Context, writes []Write, patience time.Duration) (*Written, error) {
	var err error
	for range sealAttempts {
		var plan *transaction
		if plan, err = w.plan(ctx, writes); err != nil {
			return nil, fmt.Errorf("put: %w", err)
		}
		if err = w.c.Outbox.add(plan.outs...); err != nil {
			return nil, fmt.Errorf("put: %w", err)
		}
		w.begin(plan)
		err = plan.wait(ctx, patience)
		if err == nil || errors.Is(err, abaton.ErrPending) {
			return plan.written(), err
		}
		w.abandon(plan)
		if reasonOf(err) != abaton.ReasonEpoch {
			break
		}
		for i := range writes {
			w.n.Refresh(writes[i].Patient)
		}
	}
	return nil, fmt.Errorf("put: %w", err)
}

// part is the writes that are sealed together.
type part struct {
	patient abaton.ActorID
	line    abaton.Line
	index   []int // into the transaction's writes
}

// parts sorts writes by patient and line, in the order of appearance, and cuts
// them into batches.
func parts(writes []Write) []*part {
	var all []*part
	open := make(map[markKey]*part)
	bytes := make(map[*part]int)
	for i := range writes {
		wr := &writes[i]
		k := markOf(wr.Patient, wr.Line)
		p, size := open[k], len(wr.Record.Content)+512
		if p == nil || len(p.index) == seal.BatchRecordsMax || bytes[p]+size > batchBytesMax {
			p = &part{patient: wr.Patient, line: wr.Line}
			open[k], all = p, append(all, p)
		}
		p.index = append(p.index, i)
		bytes[p] += size
	}
	return all
}

// plan seals all batches of a transaction, and the commit records where there
// is more than one. Nothing has left yet.
func (w *Writer) plan(ctx context.Context, writes []Write) (*transaction, error) {
	ps := parts(writes)
	t := &transaction{w: w, names: make([]abaton.RecordName, len(writes)), changed: make(chan struct{}, 1)}
	if len(ps) > 1 {
		rand.Read(t.id[:])
	}
	segments, err := w.segments(ctx, ps)
	if err != nil {
		return nil, err
	}
	t.outs = make([]*outgoing, len(ps))
	g := new(errgroup.Group)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range ps {
		g.Go(func() (err error) {
			t.outs[i], err = w.sealPart(t, writes, p, segments[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(ps) > 1 {
		commits, err := w.commits(t, ps, segments)
		if err != nil {
			return nil, err
		}
		t.outs = append(t.outs, commits...)
	}
	return t, nil
}

// segments are the newest segment keys for each part, from the patients' key
// logs.
func (w *Writer) segments(ctx context.Context, ps []*part) ([]key.BoxPublic, error) {
	var ids []abaton.ActorID
	for _, p := range ps {
		ids = append(ids, p.patient)
	}
	logs, err := w.n.Logs(ctx, ids...)
	if err != nil {
		return nil, err
	}
	segments := make([]key.BoxPublic, len(ps))
	for i, p := range ps {
		state := logs[p.patient]
		if state == nil {
			return nil, abaton.Refuse(abaton.ReasonActor)
		}
		segment, ok := state.Newest(p.line)
		if !ok {
			return nil, abaton.Refuse(abaton.ReasonWriter)
		}
		if segments[i], err = w.n.seals.parse(segment.ID, segment.Public); err != nil {
			return nil, err
		}
	}
	return segments, nil
}

func (w *Writer) sealPart(t *transaction, writes []Write, p *part, segment key.BoxPublic) (*outgoing, error) {
	records, facts := make([]seal.Record, len(p.index)), make([]seal.Fact, len(p.index))
	for k, i := range p.index {
		records[k], facts[k] = writes[i].Record, writes[i].Fact
		e := &records[k].Envelope
		e.Patient, e.Line, e.Transaction = p.patient, p.line, t.transactionBytes()
	}
	out, places, err := w.sealBatch(t, p, segment, records, facts)
	if err != nil {
		return nil, err
	}
	for k, i := range p.index {
		t.names[i] = abaton.RecordName{Batch: out.Batch, Index: places[k]}
	}
	return out, nil
}

// commits seals one commit record for each line that the transaction touches
// (RULINGS 9). They lie in the outbox with the rest and leave only when every
// batch is acknowledged, so no key is needed then.
func (w *Writer) commits(t *transaction, ps []*part, segments []key.BoxPublic) ([]*outgoing, error) {
	batches := make(map[markKey][]abaton.BatchName)
	for i, p := range ps {
		k := markOf(p.patient, p.line)
		batches[k] = append(batches[k], t.outs[i].Batch)
	}
	var outs []*outgoing
	for i, p := range ps {
		k := markOf(p.patient, p.line)
		if batches[k] == nil {
			continue
		}
		if len(batches[k]) > commitBatchesMax {
			return nil, seal.ErrTooLarge
		}
		commit := seal.Commit{Version: 1, Transaction: t.id, Batches: batches[k]}
		delete(batches, k)
		record := seal.Record{
			Envelope: seal.Envelope{Patient: p.patient, Line: p.line, Kind: seal.KindCommit,
				LastUpdated: uint64(w.n.now().UnixMilli()), Transaction: t.transactionBytes()},
			Content: commit.Bytes(),
		}
		out, _, err := w.sealBatch(t, p, segments[i], []seal.Record{record}, nil)
		if err != nil {
			return nil, err
		}
		out.Commit = true
		outs = append(outs, out)
	}
	return outs, nil
}

// sealBatch seals one batch under the next sequence number and boxes each
// piece to its keeper.
func (w *Writer) sealBatch(t *transaction, p *part, segment key.BoxPublic, records []seal.Record, facts []seal.Fact) (*outgoing, []uint16, error) {
	var places []uint16
	out, err := w.c.Outbox.numbered(p.patient, p.line, func(seq uint64, prev [32]byte) (*outgoing, error) {
		sealed, err := seal.Seal(seal.Batch{
			Patient: p.patient, Line: p.line, Segment: segment, Set: w.n.set.ID(), Shape: w.n.shape,
			Writer: w.c.Writer, Seq: seq, PrevHead: prev, Hour: uint32(w.n.now().Unix() / 3600),
			Author: w.c.Author, Records: records, Facts: facts,
		})
		if err != nil {
			return nil, err
		}
		places = sealed.Places
		return w.box(sealed, p, seq, t.id)
	})
	return out, places, err
}
