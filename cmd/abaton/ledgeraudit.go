package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
)

// ledgerReport is what was found out about one ledger.
type ledgerReport struct {
	Keeper   string   `json:"keeper"`
	Origin   string   `json:"origin"`
	OK       bool     `json:"ok"`
	Problem  string   `json:"problem,omitempty"`
	Size     uint64   `json:"size"`
	Root     string   `json:"root,omitempty"` // base64
	SeenSize *uint64  `json:"seen_size"`      // of the checkpoint seen last; null for none
	Cosigned []string `json:"cosigned_by"`    // other keepers whose cosignature it carries
	Signed   string   `json:"signed,omitempty"`
}

// verifyLedgers audits every source and remembers what it saw.
func (e *env) verifyLedgers(ctx context.Context, f *ledgerFlags, asJSON bool) error {
	all, seen, hangUp, err := e.sources(f)
	if err != nil {
		return err
	}
	defer hangUp()
	reports := auditAll(ctx, all, seen)
	bad := 0
	for i := range reports {
		if !reports[i].OK {
			bad++
		}
	}
	if asJSON {
		err = e.json(map[string]any{"ledgers": reports})
	} else {
		e.printLedgers(reports)
	}
	if err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d ledgers do not verify", bad, len(reports))
	}
	return nil
}

func (e *env) printLedgers(reports []ledgerReport) {
	for _, r := range reports {
		if !r.OK {
			e.print("%s  BAD  %s\n", r.Keeper, r.Problem)
			continue
		}
		before := "not seen before"
		if r.SeenSize != nil {
			before = fmt.Sprintf("contains the %d seen before", *r.SeenSize)
		}
		e.print("%s  ok   %d entries, root %s, %s, cosigned by %d others\n", r.Keeper, r.Size, r.Root[:12], before, len(r.Cosigned))
	}
}

// auditAll audits the ledgers beside each other, each by itself.
func auditAll(ctx context.Context, all []ledgerSource, seen string) []ledgerReport {
	reports := make([]ledgerReport, len(all))
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { reports[i] = all[i].audit(ctx, seen) })
	}
	wg.Wait()
	return reports
}

// audit reads the whole ledger and judges it. seen is the folder of remembered
// checkpoints; empty remembers nothing.
func (s *ledgerSource) audit(ctx context.Context, seen string) ledgerReport {
	r := ledgerReport{Keeper: s.name, Origin: s.origin, Cosigned: []string{}}
	signed, c, err := s.checkpoint(ctx)
	if err == nil {
		r.Size, r.Root = c.Size, base64.StdEncoding.EncodeToString(c.Root[:])
		err = s.judge(ctx, &r, signed, c, seen)
	}
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.OK = true
	return r
}

func (s *ledgerSource) judge(ctx context.Context, r *ledgerReport, signed []byte, c ledger.Checkpoint, seen string) error {
	var err error
	if r.Cosigned, r.Signed, err = s.cosigners(signed); err != nil {
		return err
	}
	before, err := s.remembered(seen)
	if err != nil {
		return err
	}
	old := ledger.Checkpoint{}
	if before != nil {
		old, r.SeenSize = *before, &before.Size
	}
	if old.Size > c.Size {
		return errors.Join(fmt.Errorf("it has %d entries, and had %d before: its end was taken back", c.Size, old.Size), s.accuse(seen, signed))
	}
	root, rootThen, err := s.recompute(ctx, c.Size, old.Size)
	switch {
	case err != nil:
		return err
	case root != c.Root:
		return errors.New("its published entries do not give the root it signed")
	case before != nil && rootThen != old.Root:
		return errors.Join(errors.New("it does not contain what it had signed before: its past was changed"), s.accuse(seen, signed))
	}
	return s.remember(seen, signed)
}

// checkpoint is the newest checkpoint, its ledger's signature verified.
func (s *ledgerSource) checkpoint(ctx context.Context) ([]byte, ledger.Checkpoint, error) {
	signed, err := s.fetch.Fetch(ctx, keeper.RouteEvidence)
	if err != nil {
		return nil, ledger.Checkpoint{}, err
	}
	c, err := ledger.VerifyCheckpoint(signed, s.origin, s.signer)
	if err != nil {
		return nil, c, fmt.Errorf("its checkpoint does not verify: %w", err)
	}
	return signed, c, nil
}

// cosigners are the other keepers whose cosignature the checkpoint carries,
// and when the keeper itself dated it. A known keeper's line that does not
// verify is a fault; none at all is not: the tree may be seconds old.
func (s *ledgerSource) cosigners(signed []byte) (names []string, at string, err error) {
	names = []string{}
	for _, p := range s.peers {
		_, found, err := ledger.Cosigners(signed, p.dated)
		if err != nil && !hasLineOf(signed, p.dated) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("the cosignature of %s does not verify", p.name)
		}
		if len(found) > 0 {
			names = append(names, p.name)
		}
	}
	if s.own != nil {
		if _, t, err := ledger.CosignedAt(signed, s.own); err == nil {
			at = t.UTC().Format(time.RFC3339)
		}
	}
	return names, at, nil
}

// hasLineOf reports whether the note has a signature line that names this key.
func hasLineOf(signed []byte, v note.Verifier) bool {
	_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	for line := range bytes.Lines(lines) {
		name, text, _ := bytes.Cut(bytes.TrimPrefix(bytes.TrimSpace(line), []byte("— ")), []byte{' '})
		raw, err := base64.StdEncoding.DecodeString(string(text))
		if err == nil && len(raw) > 4 && string(name) == v.Name() && binary.BigEndian.Uint32(raw) == v.KeyHash() {
			return true
		}
	}
	return false
}

// recompute reads every leaf and every hash of the lowest level, compares the
// two, and gives the root of size, and of then on the way.
func (s *ledgerSource) recompute(ctx context.Context, size, then uint64) (root, rootThen tlog.Hash, err error) {
	tree := merkle{}
	rootThen = tree.root()
	for n := uint64(0); n*bundleLeaves < size; n++ {
		width := min(size-n*bundleLeaves, bundleLeaves)
		leaves, err := s.leaves(ctx, n, int(width))
		if err != nil {
			return root, rootThen, err
		}
		for _, leaf := range leaves {
			tree.add(leaf)
			if tree.size == then {
				rootThen = tree.root()
			}
		}
	}
	return tree.root(), rootThen, nil
}

// bundleLeaves is how many leaves a full bundle has (c2sp.org/tlog-tiles).
const bundleLeaves = 256

// leaves are the leaf hashes of one bundle, computed here from its entries
// and compared with the tile that the keeper publishes beside it.
func (s *ledgerSource) leaves(ctx context.Context, n uint64, width int) ([]tlog.Hash, error) {
	bundle, err := s.fetch.Fetch(ctx, "/"+ledger.TilePath{Level: -1, N: n, Width: width}.String())
	if err != nil {
		return nil, err
	}
	tile, err := s.fetch.Fetch(ctx, "/"+ledger.TilePath{Level: 0, N: n, Width: width}.String())
	if err != nil {
		return nil, err
	}
	const entry = 2 + 32 // length, leaf
	if len(bundle) != width*entry || len(tile) != width*tlog.HashSize {
		return nil, errors.New("a bundle or tile of it has the wrong length")
	}
	out := make([]tlog.Hash, width)
	for i := range out {
		at := bundle[i*entry : (i+1)*entry]
		if binary.BigEndian.Uint16(at) != 32 {
			return nil, errors.New("an entry of it is not a leaf of 32 bytes")
		}
		out[i] = sha256.Sum256(append([]byte{0}, at[2:]...)) // RFC 6962, section 2.1
		if !bytes.Equal(out[i][:], tile[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			return nil, fmt.Errorf("entry %d is not the one in its tile", n*bundleLeaves+uint64(i))
		}
	}
	return out, nil
}

// merkle is the tree of RFC 6962, section 2.1, as its right edge: the roots of
// complete subtrees, largest first. It is written here once more so that the
// ledger's own arithmetic is not what checks it.
type merkle struct {
	size  uint64
	roots []tlog.Hash
}

func (m *merkle) add(leaf tlog.Hash) {
	m.roots = append(m.roots, leaf)
	m.size++
	for n := m.size; n%2 == 0; n /= 2 {
		last := len(m.roots) - 2
		m.roots = append(m.roots[:last], pairHash(m.roots[last], m.roots[last+1]))
	}
}

func (m *merkle) root() tlog.Hash {
	if len(m.roots) == 0 {
		return sha256.Sum256(nil)
	}
	h := m.roots[len(m.roots)-1]
	for i := len(m.roots) - 2; i >= 0; i-- {
		h = pairHash(m.roots[i], h)
	}
	return h
}

func pairHash(left, right tlog.Hash) tlog.Hash {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// seenFile is where the newest checkpoint of this ledger is remembered.
func (s *ledgerSource) seenFile(dir string) string {
	name := sha256.Sum256([]byte(s.origin))
	return filepath.Join(dir, hex.EncodeToString(name[:8])+".checkpoint")
}

// remembered is the checkpoint seen last; nil for none. One that no longer
// verifies is a fault of this folder, and said.
func (s *ledgerSource) remembered(dir string) (*ledger.Checkpoint, error) {
	if dir == "" {
		return nil, nil
	}
	signed, err := os.ReadFile(s.seenFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint seen last: %w", err)
	}
	c, err := ledger.VerifyCheckpoint(signed, s.origin, s.signer)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint seen last, %s, does not verify: %w", filepath.Base(s.seenFile(dir)), err)
	}
	return &c, nil
}

func (s *ledgerSource) remember(dir string, signed []byte) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	return durable.WriteFile(s.seenFile(dir), signed, 0o644)
}

// accuse keeps the checkpoint that contradicts the one seen last, beside it:
// two signatures of one key are the evidence.
func (s *ledgerSource) accuse(dir string, signed []byte) error {
	if dir == "" {
		return nil
	}
	file := s.seenFile(dir) + ".contradicts"
	if err := durable.WriteFile(file, signed, 0o644); err != nil {
		return err
	}
	return fmt.Errorf("both signed checkpoints are kept as %s and %s", filepath.Base(s.seenFile(dir)), filepath.Base(file))
}
