package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// sending is one batch on its way from the outbox to all keepers.
type sending struct {
	w        *Writer
	name     abaton.BatchName
	patient  abaton.ActorID
	lockHash [32]byte
	size     int // of the longest piece, in bytes
	head     []byte
	lock     []byte
	tx       *transaction
	commit   bool

	mu       sync.Mutex
	step     *quorum.Write
	pieces   [][]byte // nil once acknowledged: read back from the outbox
	receipts map[abaton.KeeperIndex][]byte
	watched  bool // a Put waits and will be told of a refusal
}

// transaction is the batches of one Put.
type transaction struct {
	w       *Writer
	id      [16]byte // zero when there is only one batch
	outs    []*outgoing
	names   []abaton.RecordName
	changed chan struct{}

	mu       sync.Mutex
	parts    []*sending
	commits  []*sending
	released bool
}

func (t *transaction) transactionBytes() []byte {
	if t.id == ([16]byte{}) {
		return nil
	}
	return t.id[:]
}

// box makes the outbox's form of a sealed batch.
func (w *Writer) box(s *seal.Sealed, p *part, seq uint64, tx [16]byte) (*outgoing, error) {
	out := &outgoing{V: wire.Version, Batch: s.Name, Patient: p.patient, Line: p.line, Seq: seq,
		Head: wire.Marshal(s.Head), Lock: wire.Marshal(s.Lock), Transaction: tx}
	for i, u := range s.Uploads {
		sealed, err := spread.SealUpload(u, w.n.set.ID(), w.n.boxes[i+1])
		if err != nil {
			return nil, fmt.Errorf("box upload: %w", err)
		}
		out.Pieces = append(out.Pieces, sealed)
	}
	return out, nil
}

func (w *Writer) newSending(out *outgoing, tx *transaction) (*sending, error) {
	var lock wire.Signed
	if wire.Unmarshal(out.Lock, &lock) != nil || len(out.Pieces) != w.n.params.N {
		return nil, ErrOutbox
	}
	size := 0
	for _, p := range out.Pieces {
		size = max(size, len(p))
	}
	return &sending{w: w, name: out.Batch, size: size, patient: out.Patient, lockHash: sha256.Sum256(lock.Body), head: out.Head,
		lock: out.Lock, tx: tx, commit: out.Commit, pieces: out.Pieces, step: quorum.NewWrite(w.n.params, 0),
		receipts: make(map[abaton.KeeperIndex][]byte)}, nil
}

// begin starts the batches of a fresh transaction.
func (w *Writer) begin(t *transaction) {
	for _, out := range t.outs {
		s, err := w.newSending(out, t)
		if err != nil {
			panic("client: a batch sealed here has a lock and all pieces")
		}
		s.watched = true
		t.take(s)
	}
	t.outs = nil
	t.start()
}

// take adds a batch to the transaction.
func (t *transaction) take(s *sending) {
	if s.commit {
		t.commits = append(t.commits, s)
	} else {
		t.parts = append(t.parts, s)
	}
	t.w.mu.Lock()
	t.w.sends[s.name] = s
	t.w.mu.Unlock()
}

func (t *transaction) start() {
	for _, s := range t.parts {
		s.feed(s.step.Start)
	}
	t.advance()
}

// advance lets the commit records go once every batch is acknowledged, and
// wakes whoever waits.
func (t *transaction) advance() {
	t.mu.Lock()
	release := !t.released && all(t.parts, (*sending).durable)
	t.released = t.released || release
	t.mu.Unlock()
	if release {
		for _, s := range t.commits {
			s.feed(s.step.Start)
		}
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func all(list []*sending, holds func(*sending) bool) bool {
	for _, s := range list {
		if !holds(s) {
			return false
		}
	}
	return true
}

// wait returns nil when everything is acknowledged, the refusal when part of
// it never can be, and ErrPending when the quorum has been missing for
// patience or ctx ends.
func (t *transaction) wait(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	timer.Stop()
	running := false
	for {
		state, err := t.state()
		switch {
		case err != nil || state == quorum.Durable:
			return err
		case state == quorum.Pending && !running:
			timer.Reset(patience)
			running = true
		case state == quorum.Working && running:
			timer.Stop()
			running = false
		}
		select {
		case <-t.changed:
		case <-timer.C:
			return t.pending()
		case <-ctx.Done():
			return t.pending()
		case <-t.w.n.ctx.Done():
			return t.pending()
		}
	}
}

// pending leaves the transaction to the outbox: nobody is told of a refusal
// any more, so a refused batch is kept.
func (t *transaction) pending() error {
	for _, s := range t.everything() {
		s.mu.Lock()
		s.watched = false
		s.mu.Unlock()
	}
	return abaton.ErrPending
}

func (t *transaction) everything() []*sending {
	return append(t.parts[:len(t.parts):len(t.parts)], t.commits...)
}

// state is Durable when all batches and commits are, Pending when one of them
// is, and the refusal of one as an error.
func (t *transaction) state() (quorum.State, error) {
	least := quorum.Durable
	for _, s := range t.everything() {
		switch state := s.state(); state {
		case quorum.Refused:
			return state, abaton.Refuse(s.reason())
		case quorum.Pending:
			least = quorum.Pending
		case quorum.Durable, quorum.Settled:
		default:
			if least == quorum.Durable {
				least = quorum.Working
			}
		}
	}
	return least, nil
}

func (t *transaction) written() *Written {
	wr := &Written{Names: t.names, At: t.w.n.params.N, Of: t.w.n.params.N}
	for _, s := range t.everything() {
		wr.Batches = append(wr.Batches, s.name)
		s.mu.Lock()
		wr.At = min(wr.At, s.step.Receipts().Len())
		s.mu.Unlock()
	}
	return wr
}

// abandon ends a refused transaction whose caller has been told: what keepers
// took of it stays without a commit and is never shown.
func (w *Writer) abandon(t *transaction) {
	for _, s := range t.everything() {
		w.end(s.name)
	}
}

// end takes a batch out of the outbox.
func (w *Writer) end(name abaton.BatchName) {
	w.mu.Lock()
	delete(w.sends, name)
	w.mu.Unlock()
	if err := w.c.Outbox.done(name); err != nil {
		w.n.log.WarnContext(w.n.ctx, "outbox entry not ended", "error", err.Error())
	}
}

func (s *sending) state() quorum.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.step.State()
}

func (s *sending) reason() abaton.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.step.Reason()
}

func (s *sending) durable() bool { return inForce(s.state()) }

// feed gives the step an event and does what it says.
func (s *sending) feed(event func() []quorum.Effect) {
	s.mu.Lock()
	changed := false
	for _, e := range event() {
		switch e.Do {
		case quorum.Send:
			s.send(e.Keeper)
		case quorum.Certify:
			s.certify(e.Keeper)
		case quorum.Wake:
			s.w.n.after(e.After, func() { s.feed(func() []quorum.Effect { return s.step.Timer(e.Keeper) }) })
		case quorum.Changed:
			changed = true
		}
	}
	state, watched := s.step.State(), s.watched
	if inForce(state) {
		s.pieces = nil
	}
	s.mu.Unlock()
	if changed {
		s.turned(state, watched)
	}
}

func (s *sending) turned(state quorum.State, watched bool) {
	switch {
	case state == quorum.Settled:
		s.w.end(s.name)
	case state == quorum.Refused && !watched:
		s.w.n.log.WarnContext(s.w.n.ctx, "batch in the outbox is refused and stays there", "reason", string(s.reason()))
	}
	s.tx.advance()
}

// send posts the keeper's piece. Callers hold mu.
func (s *sending) send(x abaton.KeeperIndex) {
	s.w.n.post(x, letter{route: keeper.RouteDeposit, upload: func() []byte { return s.piece(x) }, bytes: s.size, reply: s.replied(x)})
}

// piece is the keeper's piece: still in memory until the batch is
// acknowledged, then from the outbox; nil if it is not there.
func (s *sending) piece(x abaton.KeeperIndex) []byte {
	s.mu.Lock()
	pieces := s.pieces
	s.mu.Unlock()
	if pieces == nil {
		out, err := s.w.c.Outbox.load(s.name)
		if err != nil || len(out.Pieces) != s.w.n.params.N {
			return nil
		}
		pieces = out.Pieces
	}
	return pieces[x-1]
}

func (s *sending) replied(x abaton.KeeperIndex) func([]byte, error) {
	return func(receipt []byte, err error) {
		if err == nil {
			err = s.check(x, receipt)
		}
		s.feed(func() []quorum.Effect {
			if reason := reasonOf(err); reason != "" {
				return s.step.Refuse(x, reason)
			}
			if err != nil {
				return s.step.Lost(x)
			}
			s.receipts[x] = receipt
			return s.step.Receipt(x)
		})
	}
}

// check verifies a receipt and notes it. A receipt that does not hold is no
// refusal: nothing is known then.
func (s *sending) check(x abaton.KeeperIndex, receipt []byte) error {
	r, err := VerifyReceipt(s.w.n.set, receipt, s.name, s.lockHash)
	if err != nil || r.Keeper != x {
		return errAnswer
	}
	return s.w.c.Outbox.receipt(s.name, x, receipt)
}

// certify tells keeper x of all receipts. Callers hold mu. Lost, it is the
// readers' write-back that brings it there.
func (s *sending) certify(x abaton.KeeperIndex) {
	notice := &keeper.Notice{Head: s.head, Lock: s.lock}
	for y := range s.step.Receipts().Each {
		if r := s.receipts[y]; r != nil {
			notice.Receipts = append(notice.Receipts, r)
		}
	}
	s.w.n.post(x, letter{route: keeper.RouteNotices, patient: s.patient, notice: notice, reply: func([]byte, error) {}})
}

// resume goes on with what the outbox holds. Commit records wait for the
// batches of their transaction that are still there; those that are not were
// at all keepers.
func (w *Writer) resume() error {
	txs := make(map[[16]byte]*transaction)
	var order []*transaction
	for _, it := range w.c.Outbox.waiting() {
		t := txs[it.tx]
		if t == nil || it.tx == ([16]byte{}) {
			t = &transaction{w: w, id: it.tx, changed: make(chan struct{}, 1)}
			txs[it.tx], order = t, append(order, t)
		}
		if err := w.resumeOne(t, it); err != nil {
			return fmt.Errorf("resume outbox: %w", err)
		}
	}
	for _, t := range order {
		t.start()
	}
	return nil
}

func (w *Writer) resumeOne(t *transaction, it *item) error {
	out, err := w.c.Outbox.load(it.name)
	if err != nil {
		return err
	}
	s, err := w.newSending(out, t)
	if err != nil {
		return err
	}
	s.pieces = nil
	have := quorum.Keepers(0)
	for x := range quorum.All(w.n.params.N).Each {
		r, err := VerifyReceipt(w.n.set, it.receipts[x], s.name, s.lockHash)
		if err == nil && r.Keeper == x {
			have, s.receipts[x] = have.With(x), it.receipts[x]
		}
	}
	s.step = quorum.NewWrite(w.n.params, have)
	t.take(s)
	return nil
}

// Backlog counts what is in the outbox: batches below the write quorum,
// acknowledged ones not yet at all keepers, and refused ones that nobody was
// there to be told of.
func (w *Writer) Backlog() (below, incomplete, refused int) {
	w.mu.Lock()
	list := make([]*sending, 0, len(w.sends))
	for _, s := range w.sends {
		list = append(list, s)
	}
	w.mu.Unlock()
	for _, s := range list {
		switch s.state() {
		case quorum.Durable:
			incomplete++
		case quorum.Settled:
		case quorum.Refused:
			refused++
		default:
			below++
		}
	}
	return below, incomplete, refused
}

// sealKeys keeps parsed segment keys: parsing costs as much as sealing a
// small record.
type sealKeys struct {
	mu   sync.Mutex
	keys map[abaton.SegmentID]key.BoxPublic
}

const sealKeysMax = 4096

func (s *sealKeys) parse(id abaton.SegmentID, public []byte) (key.BoxPublic, error) {
	s.mu.Lock()
	p, ok := s.keys[id]
	s.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := key.ParseBoxPublic(public)
	if err != nil {
		return p, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil || len(s.keys) >= sealKeysMax {
		s.keys = make(map[abaton.SegmentID]key.BoxPublic)
	}
	s.keys[id] = p
	return p, nil
}
