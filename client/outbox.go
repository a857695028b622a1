package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Sizes of the outbox's files, in bytes. A file goes when all it holds is at
// all keepers, so many middling files free their space sooner than one large
// one.
const (
	outboxFileBytes = 64 << 20
	outboxLazyMax   = 1024 // receipts and ends noted before they are written without a batch
)

// Outbox keeps every sealed batch from before its first byte goes out until
// all keepers have it, and the writer's sequence numbers. What it holds is
// sealed twice: each piece to its keeper, every entry under the outbox key. It
// survives a crash at any byte. One process at a time; safe for concurrent
// use there.
type Outbox struct {
	dir  string
	box  frameBox
	lock *os.File

	mu     sync.Mutex
	turn   *sync.Cond
	broken error // the first failed write ends it: what is durable is unknown then
	next   *group
	busy   bool // a leader is writing
	lazy   []note
	items  map[abaton.BatchName]*item
	marks  *marks
	files  []*outFile // ascending; the last one is written to
	group  uint64
	held   int64          // bytes of items
	seals  [64]sync.Mutex // one batch of a (patient, line) is sealed at a time
	closed bool
}

// item is one batch in the outbox.
type item struct {
	name     abaton.BatchName
	file     *outFile
	at       int64
	size     int
	receipts map[abaton.KeeperIndex][]byte
	tx       [16]byte
	commit   bool
}

// outgoing is a sealed batch as it rests in the outbox.
type outgoing struct {
	V           uint64           `cbor:"1,keyasint"`
	Batch       abaton.BatchName `cbor:"2,keyasint"`
	Patient     abaton.ActorID   `cbor:"3,keyasint"`
	Line        abaton.Line      `cbor:"4,keyasint"`
	Seq         uint64           `cbor:"5,keyasint"`
	Head        []byte           `cbor:"6,keyasint"` // wire.Signed
	Lock        []byte           `cbor:"7,keyasint"` // wire.Signed
	Pieces      [][]byte         `cbor:"8,keyasint"` // sealed uploads, keeper 1 first
	Transaction [16]byte         `cbor:"9,keyasint"` // zero: none
	Commit      bool             `cbor:"10,keyasint"`
}

// receiptNote is a receipt as it rests in the outbox.
type receiptNote struct {
	Batch   abaton.BatchName   `cbor:"1,keyasint"`
	Keeper  abaton.KeeperIndex `cbor:"2,keyasint"`
	Receipt []byte             `cbor:"3,keyasint"`
}

// doneNote ends a batch.
type doneNote struct {
	Batch abaton.BatchName `cbor:"1,keyasint"`
}

// note is a frame to be written.
type note struct {
	kind frameKind
	body []byte
	item *item // for a batch: learns its place
}

// group is what one fsync makes durable.
type group struct {
	notes []note
	done  bool
	err   error
}

// ErrOutboxBusy means that another process has the outbox open.
var ErrOutboxBusy = errors.New("another process has this outbox open")

// OpenOutbox opens or makes the outbox in dir. ErrOutbox if it is damaged or
// k is not its key, ErrOutboxBusy if it is in use.
func OpenOutbox(dir string, k key.Secret) (*Outbox, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("open outbox: %w", key.ErrKey)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	o := &Outbox{dir: dir, box: newFrameBox(k), lock: lock, next: &group{},
		items: make(map[abaton.BatchName]*item), marks: newMarks()}
	o.turn = sync.NewCond(&o.mu)
	if err := o.recover(); err != nil {
		o.closeFiles()
		lock.Close()
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	return o, nil
}

// Close writes what is noted and releases the folder.
func (o *Outbox) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.closed = true
	o.mu.Unlock()
	err := o.commit()
	o.closeFiles()
	return errors.Join(err, o.lock.Close())
}

func (o *Outbox) closeFiles() {
	for _, f := range o.files {
		f.Close()
	}
}

// Len is how many batches are not yet at all keepers.
func (o *Outbox) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items)
}

// numbered calls make with the next sequence number of a (patient, line) and
// the previous batch there, and reserves it for the batch that make returns.
// The batch's own frame is what makes the number durable: nothing with it has
// left before.
func (o *Outbox) numbered(patient abaton.ActorID, line abaton.Line, make func(seq uint64, prev [32]byte) (*outgoing, error)) (*outgoing, error) {
	k := markOf(patient, line)
	stripe := &o.seals[k[0]%64]
	stripe.Lock()
	defer stripe.Unlock()
	o.mu.Lock()
	seq, prev := o.marks.next(k)
	o.mu.Unlock()
	out, err := make(seq, prev)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.marks.note(k, seq, out.Batch)
	return out, nil
}

// add makes batches durable, all or nothing to the caller: when it returns
// nil they survive a crash.
func (o *Outbox) add(outs ...*outgoing) error {
	notes := make([]note, len(outs))
	for i, out := range outs {
		notes[i] = note{kind: frameBatch, body: wire.Marshal(out), item: newItem(out)}
	}
	return o.commit(notes...)
}

func newItem(out *outgoing) *item {
	return &item{name: out.Batch, tx: out.Transaction, commit: out.Commit,
		receipts: make(map[abaton.KeeperIndex][]byte)}
}

// receipt notes that a keeper has its piece. It is written with the next
// batch: lost in a crash, the keeper gives the same receipt again.
func (o *Outbox) receipt(batch abaton.BatchName, x abaton.KeeperIndex, signed []byte) error {
	return o.noteLazily(frameReceipt, receiptNote{Batch: batch, Keeper: x, Receipt: signed}, func() {
		if it := o.items[batch]; it != nil {
			it.receipts[x] = signed
		}
	})
}

// done ends a batch: all keepers have it, or it was refused for good.
func (o *Outbox) done(batch abaton.BatchName) error {
	return o.noteLazily(frameDone, doneNote{Batch: batch}, func() { o.drop(batch) })
}

func (o *Outbox) noteLazily(kind frameKind, body any, apply func()) error {
	o.mu.Lock()
	apply()
	o.lazy = append(o.lazy, note{kind: kind, body: wire.Marshal(body)})
	full := len(o.lazy) > outboxLazyMax
	o.mu.Unlock()
	if full {
		return o.commit()
	}
	return nil
}

// drop forgets an item. Callers hold mu.
func (o *Outbox) drop(batch abaton.BatchName) {
	if it := o.items[batch]; it != nil {
		it.file.live--
		o.held -= int64(it.size)
		delete(o.items, batch)
	}
}

// load reads a batch back.
func (o *Outbox) load(batch abaton.BatchName) (*outgoing, error) {
	o.mu.Lock()
	it := o.items[batch]
	o.mu.Unlock()
	if it == nil {
		return nil, abaton.ErrNotFound
	}
	data := make([]byte, it.size)
	if _, err := it.file.ReadAt(data, it.at); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	f, err := o.box.read(data)
	if err != nil || f.kind != frameBatch {
		return nil, fmt.Errorf("read outbox: %w", ErrOutbox)
	}
	out := new(outgoing)
	if wire.Unmarshal(f.body, out) != nil || out.Batch != batch {
		return nil, fmt.Errorf("read outbox: %w", ErrOutbox)
	}
	return out, nil
}

// Held is how many bytes of sealed batches wait for a keeper.
func (o *Outbox) Held() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held
}

// waiting lists what is in the outbox, in the order of arrival.
func (o *Outbox) waiting() []*item {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]*item, 0, len(o.items))
	for _, it := range o.items {
		list = append(list, it)
	}
	slices.SortFunc(list, func(a, b *item) int {
		if a.file != b.file {
			return int(a.file.number) - int(b.file.number)
		}
		return int(a.at - b.at)
	})
	return list
}

// commit makes notes durable together with whatever else waits: the first
// caller to find nobody writing writes for all.
func (o *Outbox) commit(notes ...note) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed && len(notes) > 0 {
		return fmt.Errorf("write outbox: %w", os.ErrClosed)
	}
	g := o.next
	g.notes = append(g.notes, notes...)
	for o.busy && !g.done {
		o.turn.Wait()
	}
	if g.done {
		return g.err
	}
	if o.broken != nil {
		return o.broken
	}
	o.busy, o.next = true, &group{}
	g.notes = append(g.notes, o.lazy...)
	o.lazy = nil
	o.group++
	number := o.group
	o.mu.Unlock()
	err := o.write(g, number)
	o.mu.Lock()
	o.settle(g, err)
	return err
}

// settle ends a group: its batches are in the outbox, or nothing is any more.
func (o *Outbox) settle(g *group, err error) {
	if err != nil {
		o.broken = fmt.Errorf("outbox stopped: %w", err)
		err = o.broken
	}
	for _, n := range g.notes {
		if n.item != nil && err == nil {
			o.items[n.item.name] = n.item
			n.item.file.live++
			o.held += int64(n.item.size)
		}
	}
	g.done, g.err = true, err
	o.busy = false
	o.turn.Broadcast()
}

func (o *Outbox) path(number uint64) string {
	return filepath.Join(o.dir, fmt.Sprintf("%016x.out", number))
}
