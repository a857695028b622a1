package ledger

import (
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Group is one group commit: entries and the checkpoint that covers them,
// written into the caller's batch but not yet durable. Until Commit nothing
// of it leaves the keeper.
type Group struct {
	log     *Log
	first   uint64
	entries []Entry
	records [][]byte // leaf records, as stored
	old     edge     // the right edge before the group
	next    head
	done    bool // committed; guarded by log.mu
}

// Append writes entries, their salts, their leaves and the checkpoint over
// all of them into w, in the order given: one signature for the group. It sets
// Version, Keeper, Time, PatientSeq and Prev of each entry in the group's own
// copy. The caller commits w in one fsync and then calls Commit; if the commit
// fails or its outcome is unknown, Abort.
//
// It returns ErrUnsettled while a group is open, ErrPoisoned after an Abort, a
// CheckError for an entry that breaks a rule, and ErrCorrupt when the index of
// a patient contradicts the tree. After any error w must be dropped.
func (l *Log) Append(w Writer, entries []Entry, now time.Time) (*Group, error) {
	if len(entries) == 0 || len(entries) > GroupMax {
		return nil, refuse("append", "group-size")
	}
	return l.settle(func() (*Group, error) { return l.group(w, entries, now) })
}

// Resign signs the newest tree again, so that the checkpoint's age is small
// while nothing happens (PROTOCOL.md#ledger-checkpoint). It works from size 0.
func (l *Log) Resign(w Writer, now time.Time) (*Group, error) {
	return l.settle(func() (*Group, error) {
		e := l.head.edge.clone()
		return l.stage(w, &e, now)
	})
}

// settle builds a group, if none is open. It builds outside the lock, so that
// readers do not wait for the signature: head does not change meanwhile,
// because only the commit of an open group changes it.
func (l *Log) settle(build func() (*Group, error)) (*Group, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	g, err := build()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.building, l.open = false, g
	return g, err
}

func (l *Log) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.poisoned:
		return ErrPoisoned
	case l.open != nil || l.building || !l.ready:
		return ErrUnsettled
	}
	l.building = true
	return nil
}

func (l *Log) group(w Writer, entries []Entry, now time.Time) (*Group, error) {
	e := l.head.edge.clone()
	if e.size+uint64(len(entries)) > SizeMax {
		return nil, refuse("append", "ledger-full")
	}
	own := make([]Entry, len(entries))
	records := make([][]byte, len(entries))
	salts := make([]byte, SaltSize*len(entries))
	rand.Read(salts)
	chains := make(chains)
	for i := range entries {
		own[i] = entries[i]
		rec, err := l.put(w, &e, chains, &own[i], [SaltSize]byte(salts[SaltSize*i:]), now)
		if err != nil {
			return nil, err
		}
		records[i] = rec
	}
	chains.write(w)
	g, err := l.stage(w, &e, now)
	if err != nil {
		return nil, err
	}
	g.entries, g.records = own, records
	return g, nil
}

// put writes one entry and its leaf, and moves the edge and the patient's
// chain on.
func (l *Log) put(w Writer, e *edge, cs chains, en *Entry, salt [SaltSize]byte, now time.Time) ([]byte, error) {
	en.Version, en.Keeper, en.Time = wire.Version, l.cfg.Keeper, now.Unix()
	en.PatientSeq, en.Prev = 0, [32]byte{}
	someone := en.Patient != abaton.ActorID{}
	var c *chain
	if someone {
		var err error
		if c, err = l.chain(cs, en.Patient); err != nil {
			return nil, err
		}
		en.PatientSeq, en.Prev = c.next, c.tie
	}
	b, err := en.Marshal()
	if err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	leaf, index := NewLeaf(salt, b), e.size
	rec := leafRecord(e, leaf)
	w.Put(keyIndex(kindLeaf, index), rec)
	w.Put(keyIndex(kindEntry, index), append(append(make([]byte, 0, SaltSize+len(b)), salt[:]...), b...))
	if someone {
		k := keySeq(en.Patient, c.next)
		w.Put(k, summed(k, wire.U64(index)))
		c.next, c.index, c.tie = c.next+1, index, leaf.Tie()
	}
	return rec, nil
}

// leafRecord pushes the leaf and gives the stored form: the leaf and the
// hashes of the subtrees it completes.
func leafRecord(e *edge, leaf Leaf) []byte {
	rec := append(make([]byte, 0, 32*(1+completed(e.size))), leaf[:]...)
	var room [8]tlog.Hash
	for _, h := range e.push(leaf.Hash(), room[:0]) {
		rec = append(rec, h[:]...)
	}
	return rec
}

// stage signs the tree of edge e and writes the checkpoint.
func (l *Log) stage(w Writer, e *edge, now time.Time) (*Group, error) {
	c := Checkpoint{Origin: l.cfg.Origin, Size: e.size, Root: e.root()}
	signed, err := l.sign(c, now)
	if err != nil {
		return nil, err
	}
	w.Put([]byte{kindCheckpoint}, signed)
	return &Group{
		log: l, first: l.head.edge.size, old: l.head.edge,
		next: head{edge: *e, checkpoint: c, signed: signed},
	}, nil
}

func (l *Log) sign(c Checkpoint, now time.Time) ([]byte, error) {
	text := c.Text()
	signed, err := note.Sign(&note.Note{Text: string(text)}, l.cfg.Signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	dated, err := l.cfg.Cosigner.SignAt(text, now)
	if err != nil {
		return nil, fmt.Errorf("date checkpoint: %w", err)
	}
	signed = append(signed, signatureLine(l.cfg.Cosigner.Name(), l.cfg.Cosigner.KeyHash(), dated)...)
	if !l.cfg.VerifyOwn {
		return signed, nil
	}
	if again, err := VerifyCheckpoint(signed, c.Origin, l.cfg.Verifier); err != nil || again != c {
		return nil, refuse("checkpoint", "own-signature")
	}
	return signed, nil
}

// First is the index of the first entry of the group; the others follow.
func (g *Group) First() uint64 { return g.first }

// Len is the number of entries of the group.
func (g *Group) Len() int { return len(g.entries) }

// Entry is the i'th entry as it was ledgered.
func (g *Group) Entry(i int) Entry { return g.entries[i] }

// Checkpoint is the signed checkpoint that covers the group.
func (g *Group) Checkpoint() (Checkpoint, []byte) { return g.next.checkpoint, g.next.signed }

// Commit says that the batch is durable: the ledger has moved on and receipts
// may leave. Only the first Commit or Abort has an effect.
func (g *Group) Commit() {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	if g.log.open != g {
		return
	}
	g.log.open, g.log.head, g.log.ready, g.done = nil, g.next, true, true
}

// Abort says that the batch is not durable, or may not be. The ledger refuses
// further appends until it is opened again: what lies on disk is unknown, and
// signing a second tree over it could contradict the first.
func (g *Group) Abort() {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	if g.log.open != g {
		return
	}
	g.log.open, g.log.poisoned = nil, true
}

// Proof is the receipt of the i'th entry against the group's checkpoint. It
// needs no storage besides what the ledger already held. ErrUnsettled until
// the group is committed.
func (g *Group) Proof(i int) (Proof, error) {
	g.log.mu.RLock()
	done := g.done
	g.log.mu.RUnlock()
	if !done {
		return Proof{}, ErrUnsettled
	}
	if i < 0 || i >= len(g.entries) {
		return Proof{}, abaton.ErrNotFound
	}
	index := g.first + uint64(i)
	path, err := tlog.ProveRecord(int64(g.next.edge.size), int64(index), tlog.HashReaderFunc(g.readHashes))
	if err != nil {
		return Proof{}, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return Proof{Index: index, Path: path, Checkpoint: g.next.signed}, nil
}

// readHashes answers from the group's own leaves and the edge before it; a
// path to a new leaf touches nothing else.
func (g *Group) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		if h, found := g.old.at(level, uint64(n)); found {
			out[i] = h
			continue
		}
		h, err := hashAt(level, uint64(n), g.record)
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

func (g *Group) record(index uint64) ([]byte, error) {
	if index >= g.first && index-g.first < uint64(len(g.records)) {
		return g.records[index-g.first], nil
	}
	return record(g.log.r, index)
}

// Leaf is the leaf of the i'th entry.
func (g *Group) Leaf(i int) Leaf { return Leaf(g.records[i][:32]) }
