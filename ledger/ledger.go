// Package ledger is a keeper's tamper-evident ledger: a Merkle tree over
// salted commitments to disclosures, in the C2SP transparency log formats.
//
//	group, err := log.Append(batch, entries, now) // writes into the caller's batch
//	err = batch.Commit()                          // one fsync
//	group.Commit()                                // only now may anything be released
//	proof, err := group.Proof(0)                  // the receipt of the first entry
//
// It makes what a keeper wrote impossible to change or take back unnoticed by
// whoever holds a checkpoint, a receipt or a cosignature. It does not make a
// keeper write: that every opening is ledgered follows from needing three
// keepers and asking four (Merge). It does not hide who reads from the keeper
// that is asked; entries and salts at rest are as secret as the storage.
//
// Formats are frozen with protocol version 1 (PROTOCOL.md#ledger); the Go
// names may still change.
package ledger

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
)

// Config says whose ledger it is. Every field without "may" is needed.
type Config struct {
	Origin   string             // names this ledger for ever; also the name of Signer
	Keeper   abaton.KeeperIndex // goes into every entry
	Signer   note.Signer        // signs checkpoints; its name is Origin
	Verifier note.Verifier      // verifies what Signer signed
	Cosigner Cosigner           // dates checkpoints: the keeper's cosignature over its own
	// Quick may be set to check only the right edge and the newest
	// QuickEntries entries at Open; call Audit in the background then.
	Quick bool
	// VerifyOwn may be set to verify each checkpoint after signing it, at the
	// price of one verification a group.
	VerifyOwn bool
}

func (c *Config) check() error {
	switch {
	case !validOrigin(c.Origin):
		return refuse("config", "origin")
	case c.Keeper == 0 || c.Keeper > abaton.KeepersMax:
		return refuse("config", "keeper")
	case c.Signer == nil || c.Signer.Name() != c.Origin:
		return refuse("config", "signer")
	case c.Verifier == nil || c.Verifier.Name() != c.Origin || c.Verifier.KeyHash() != c.Signer.KeyHash():
		return refuse("config", "verifier")
	case c.Cosigner == nil:
		return refuse("config", "cosigner")
	}
	return nil
}

// Log is one keeper's ledger over its storage. Reading methods are safe for
// concurrent use, also beside an Append; appends come one after the other.
type Log struct {
	cfg Config
	r   Reader

	mu       sync.RWMutex // guards what follows
	head     head         // what is committed
	ready    bool         // false until the first group is committed
	open     *Group       // the group that is not settled, if any
	building bool         // a group is being built
	poisoned bool
}

// head is one committed state; it is replaced, never changed.
type head struct {
	edge       edge
	checkpoint Checkpoint
	signed     []byte // note with the ledger's signature and its own cosignature
}

// Create begins a ledger in an empty storage: it writes the signed checkpoint
// of size 0 into w. The Log answers nothing before the group is committed.
func Create(cfg Config, r Reader, w Writer, now time.Time) (*Log, *Group, error) {
	if err := cfg.check(); err != nil {
		return nil, nil, err
	}
	l := &Log{cfg: cfg, r: r}
	if err := l.checkEmpty(); err != nil {
		return nil, nil, err
	}
	g, err := l.stage(w, &edge{}, now)
	if err != nil {
		return nil, nil, err
	}
	l.open = g
	return l, g, nil
}

// checkEmpty refuses to begin again over what is left of another ledger.
func (l *Log) checkEmpty() error {
	for _, k := range [][]byte{{kindCheckpoint}, {kindCosigned}, keyIndex(kindLeaf, 0), keyIndex(kindEntry, 0)} {
		v, err := l.r.Get(k)
		if err != nil {
			return fmt.Errorf("look for an older ledger: %w", err)
		}
		if v != nil {
			return corrupt("storage for a new ledger is not empty")
		}
	}
	return nil
}

// Open reads a ledger and checks it against its signed checkpoint. ErrAbsent
// if there is none, ErrCorrupt (with what is wrong) if anything contradicts
// anything. It never repairs and never makes the ledger shorter.
func Open(cfg Config, r Reader) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, r: r}
	signed, err := r.Get([]byte{kindCheckpoint})
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if signed == nil {
		if err := l.checkEmpty(); err != nil {
			return nil, err
		}
		return nil, ErrAbsent
	}
	c, err := VerifyCheckpoint(signed, cfg.Origin, cfg.Verifier)
	if err != nil {
		return nil, corrupt("stored checkpoint is not valid (%v)", err)
	}
	l.head = head{checkpoint: c, signed: append([]byte(nil), signed...)}
	from := uint64(0)
	if cfg.Quick && c.Size > QuickEntries {
		from = c.Size - QuickEntries
	}
	if l.head.edge, err = l.verify(from); err != nil {
		return nil, err
	}
	if err := l.checkCosigned(); err != nil {
		return nil, err
	}
	l.ready = true
	return l, nil
}

// Audit checks the whole ledger as Open does without Quick. It may run beside
// appends and covers what was committed when it began.
func (l *Log) Audit() error {
	h, err := l.committed()
	if err != nil {
		return err
	}
	old := &Log{cfg: l.cfg, r: l.r, head: h}
	_, err = old.verifyRange(0)
	return err
}

// Size is the number of committed entries.
func (l *Log) Size() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head.checkpoint.Size
}

// Origin is the name of the ledger.
func (l *Log) Origin() string { return l.cfg.Origin }

// Checkpoint is the newest committed checkpoint and its signed note. Before
// the first commit both are empty, and no verifier accepts them.
func (l *Log) Checkpoint() (Checkpoint, []byte) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head.checkpoint, l.head.signed
}

func (l *Log) committed() (head, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !l.ready {
		return head{}, ErrUnsettled
	}
	return l.head, nil
}
