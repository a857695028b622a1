package ledger

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// HTTP statuses of add-checkpoint (c2sp.org/tlog-witness).
const (
	StatusBadRequest    = 400
	StatusForbidden     = 403
	StatusUnknown       = 404
	StatusConflict      = 409
	StatusUnprocessable = 422
	StatusBusy          = 503 // another request for this origin is being stored
)

// WitnessError is a refused add-checkpoint request.
type WitnessError struct {
	Status int
	Size   uint64        // with StatusConflict: the size last cosigned, for FormatSize
	Proof  *Equivocation // with StatusUnprocessable: two signed trees of one size, if it came to that
	err    error
}

func (e *WitnessError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("add-checkpoint: status %d", e.Status)
	}
	return fmt.Sprintf("add-checkpoint: status %d: %v", e.Status, e.err)
}

// Unwrap is the check that refused.
func (e *WitnessError) Unwrap() error { return e.err }

// WitnessConfig says who cosigns for whom. Every field but Former is needed.
type WitnessConfig struct {
	Cosigner Cosigner
	Own      note.Verifier            // verifies what Cosigner signed
	Former   []note.Verifier          // may be empty: what this witness signed as before
	Origins  map[string]note.Verifier // the peers' ledgers: origin to key
}

// Witness cosigns the checkpoints of the other keepers: for each origin only
// ever larger trees that contain all it cosigned before. It is safe for
// concurrent use.
type Witness struct {
	cfg     WitnessConfig
	mu      sync.Mutex // guards the states
	origins map[string]*witnessed
}

// witnessed is what the witness knows of one origin.
type witnessed struct {
	verifier note.Verifier
	last     Checkpoint // size 0 with the empty root before the first
	signed   []byte     // last, with the ledger's signature and our cosignature
	seen     []Checkpoint
	busy     bool
	broken   bool
}

// OpenWitness reads what was cosigned before. ErrCorrupt if a stored
// checkpoint is not one that this witness cosigned.
func OpenWitness(cfg WitnessConfig, r Reader) (*Witness, error) {
	if cfg.Cosigner == nil || cfg.Own == nil || cfg.Own.KeyHash() != cfg.Cosigner.KeyHash() {
		return nil, refuse("config", "cosigner")
	}
	w := &Witness{cfg: cfg, origins: make(map[string]*witnessed)}
	for origin, v := range cfg.Origins {
		if !validOrigin(origin) || v == nil {
			return nil, refuse("config", "origin")
		}
		s, err := w.read(r, origin, v)
		if err != nil {
			return nil, err
		}
		w.origins[origin] = s
	}
	return w, nil
}

func (w *Witness) read(r Reader, origin string, v note.Verifier) (*witnessed, error) {
	s := &witnessed{verifier: v, last: Checkpoint{Origin: origin, Root: emptyRoot()}}
	signed, err := r.Get(keyWitness(origin))
	if err != nil {
		return nil, fmt.Errorf("read witnessed checkpoint: %w", err)
	}
	if signed == nil {
		return s, nil
	}
	c, err := VerifyCheckpoint(signed, origin, v)
	if err == nil {
		err = w.signedOnce(signed, origin)
	}
	if err != nil {
		return nil, corrupt("checkpoint witnessed for a peer is not valid (%v)", err)
	}
	s.last, s.signed, s.seen = c, append([]byte(nil), signed...), []Checkpoint{c}
	return s, nil
}

// signedOnce checks that this witness cosigned, under its name of now or one
// that it had: what it promised under another name binds it as well.
func (w *Witness) signedOnce(signed []byte, origin string) error {
	_, err := VerifyCheckpoint(signed, origin, w.cfg.Own)
	for _, v := range w.cfg.Former {
		if err == nil {
			break
		}
		_, err = VerifyCheckpoint(signed, origin, v)
	}
	return err
}

func keyWitness(origin string) []byte {
	h := sha256.Sum256([]byte(origin))
	return append([]byte{kindWitness}, h[:]...)
}

// Cosigning is a cosignature that is not yet durable.
type Cosigning struct {
	w    *Witness
	s    *witnessed
	next Checkpoint
	note []byte
	line []byte
}

// Add checks an add-checkpoint request and writes the new state into wr. The
// caller makes wr durable, calls Commit, and only then sends Line. The error
// is a *WitnessError, whose Status is the answer.
func (w *Witness) Add(wr Writer, body []byte, now time.Time) (*Cosigning, error) {
	a, err := ParseAddCheckpoint(body)
	if err != nil {
		return nil, &WitnessError{Status: StatusBadRequest, err: err}
	}
	claimed, err := peek(a.Checkpoint)
	if err != nil {
		return nil, &WitnessError{Status: StatusBadRequest, err: err}
	}
	s, known := w.origins[claimed.Origin]
	if !known {
		return nil, &WitnessError{Status: StatusUnknown, err: refuse("witness", "origin")}
	}
	c, n, err := openNote(a.Checkpoint, s.verifier)
	if err != nil {
		return nil, &WitnessError{Status: StatusForbidden, err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := s.check(a, c); err != nil {
		return nil, err
	}
	return w.cosign(wr, s, c, n, now)
}

// check compares a verified checkpoint with the last one cosigned.
func (s *witnessed) check(a AddCheckpoint, c Checkpoint) error {
	switch {
	case s.busy || s.broken:
		return &WitnessError{Status: StatusBusy, err: refuse("witness", "busy")}
	case a.Old > c.Size:
		return &WitnessError{Status: StatusBadRequest, err: refuse("witness", "old-size")}
	case a.Old != s.last.Size:
		return &WitnessError{Status: StatusConflict, Size: s.last.Size, err: refuse("witness", "conflict")}
	}
	if err := VerifyConsistency(s.last, c, a.Proof); err != nil {
		return &WitnessError{Status: StatusUnprocessable, Proof: s.evidence(a, c), err: err}
	}
	return nil
}

// evidence is two signed trees of one size, if that is what we have.
func (s *witnessed) evidence(a AddCheckpoint, c Checkpoint) *Equivocation {
	if s.signed == nil || c.Size != s.last.Size || c.Root == s.last.Root {
		return nil
	}
	return &Equivocation{A: s.signed, B: a.Checkpoint}
}

func (w *Witness) cosign(wr Writer, s *witnessed, c Checkpoint, n *note.Note, now time.Time) (*Cosigning, error) {
	sig, err := w.cfg.Cosigner.SignAt(c.Text(), now)
	if err != nil {
		return nil, &WitnessError{Status: StatusBusy, err: err}
	}
	line := signatureLine(w.cfg.Cosigner.Name(), w.cfg.Cosigner.KeyHash(), sig)
	stored := append(c.Text(), '\n')
	for _, sig := range n.Sigs {
		stored = append(stored, "— "+sig.Name+" "+sig.Base64+"\n"...)
	}
	stored = append(stored, line...)
	wr.Put(keyWitness(c.Origin), stored)
	s.busy = true
	return &Cosigning{w: w, s: s, next: c, note: stored, line: line}, nil
}

// Commit says that the new state is durable. Only the first Commit or Abort
// has an effect.
func (c *Cosigning) Commit() {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.s == nil {
		return
	}
	s := c.s
	s.busy, s.last, s.signed = false, c.next, c.note
	if n := len(s.seen); n == 0 || s.seen[n-1] != c.next {
		s.seen = append(s.seen, c.next)
	}
	if over := len(s.seen) - RememberedMax; over > 0 {
		s.seen = append([]Checkpoint(nil), s.seen[over:]...)
	}
	c.s = nil
}

// Abort says that the new state may not be durable. The witness cosigns
// nothing more for this origin until it is opened again.
func (c *Cosigning) Abort() {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.s == nil {
		return
	}
	c.s.busy, c.s.broken, c.s, c.line = false, true, nil, nil
}

// Line is the answer to the request; nil before Commit.
func (c *Cosigning) Line() []byte {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.s != nil {
		return nil
	}
	return c.line
}

// Latest is the newest checkpoint cosigned for origin, with the ledger's
// signature and this witness's; false if there is none.
func (w *Witness) Latest(origin string) (Checkpoint, []byte, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, known := w.origins[origin]
	if !known || s.signed == nil {
		return Checkpoint{}, nil, false
	}
	return s.last, s.signed, true
}

// LatestByHash serves GET <origin hash>/checkpoint of c2sp.org/tlog-witness;
// the hash is SHA-256 of the origin.
func (w *Witness) LatestByHash(hash [32]byte) ([]byte, bool) {
	for origin := range w.cfg.Origins {
		if sha256.Sum256([]byte(origin)) == hash {
			_, signed, found := w.Latest(origin)
			return signed, found
		}
	}
	return nil, false
}

// Vouches reports whether c is consistent with what this witness has cosigned
// by now: it is one of the last RememberedMax checkpoints it cosigned, or the
// proof leads from it to the newest (PROTOCOL.md#ledger-witness). Its age is read with
// CosignedAt.
func (w *Witness) Vouches(c Checkpoint, proof []tlog.Hash) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, known := w.origins[c.Origin]
	if !known || s.signed == nil {
		return false
	}
	for i := len(s.seen) - 1; i >= 0; i-- {
		if s.seen[i] == c {
			return true
		}
	}
	return c.Size > 0 && c.Size < s.last.Size && VerifyConsistency(c, s.last, proof) == nil
}
