package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// published is a keeper's evidence, changed on its way.
type published struct {
	table  *keeper.Table
	change func(path string, b []byte) []byte
}

func (p *published) Fetch(ctx context.Context, path string) ([]byte, error) {
	b, err := p.table.Fetch(ctx, path)
	if err == nil && p.change != nil {
		b = p.change(path, bytes.Clone(b))
	}
	return b, err
}

// ledgerWorld is a real keeper with some entries, cosigned by its peers.
func ledgerWorld(t *testing.T) (*ledgerNetwork, *ledgerSource, *published) {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	org := custodytest.NewOrganisation(t, set)
	n := &ledgerNetwork{Network: custodytest.Start(t, set, ids, org.ID), org: org}
	n.Publish(t, org.Inception)
	table, err := n.Keepers[1].Table()
	if err != nil {
		t.Fatal(err)
	}
	all, hangUp, err := setSources(n.Set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hangUp)
	p := &published{table: table}
	s := all[0]
	s.fetch = p
	return n, &s, p
}

// ledgerNetwork is a network with an organisation that can invite.
type ledgerNetwork struct {
	*custodytest.Network
	org *custodytest.Person
}

// grow adds entries to the keepers' ledgers: each event is one.
func grow(t *testing.T, n *ledgerNetwork, s *ledgerSource) {
	t.Helper()
	before := s.audit(t.Context(), "").Size
	for range 3 {
		n.Publish(t, custodytest.NewPatient(t, n.Set, n.org, 1).Inception)
	}
	if after := s.audit(t.Context(), "").Size; after <= before {
		t.Fatalf("the ledger did not grow: %d, then %d entries", before, after)
	}
}

func TestAudit(t *testing.T) {
	n, s, p := ledgerWorld(t)
	grow(t, n, s)
	n.AwaitCosigned(t, 1)
	seen := t.TempDir()
	if r := s.audit(t.Context(), seen); !r.OK || r.SeenSize != nil || len(r.Cosigned) < 3 || r.Size == 0 {
		t.Fatalf("first look: got %+v, want ok, nothing seen before, three cosigners", r)
	}
	grow(t, n, s)
	if r := s.audit(t.Context(), seen); !r.OK || r.SeenSize == nil || *r.SeenSize >= r.Size {
		t.Fatalf("second look: got %+v, want ok and a smaller one seen before", r)
	}
	n.AwaitCosigned(t, 1)
	for name, c := range map[string]struct {
		change  func(path string, b []byte) []byte
		problem string
	}{
		"an entry changed": {func(path string, b []byte) []byte {
			if strings.HasPrefix(path, "/tile/entries/") {
				b[5] ^= 1
			}
			return b
		}, "is not the one in its tile"},
		"an entry and its tile changed": {changedTogether, "do not give the root"},
		"a tile cut short": {func(path string, b []byte) []byte {
			if strings.HasPrefix(path, "/tile/0/") {
				return b[:len(b)-32]
			}
			return b
		}, "wrong length"},
		"a signature changed": {func(path string, b []byte) []byte {
			if path == keeper.RouteEvidence {
				return bytes.Replace(b, []byte("\n\n— "+s.origin+" "), []byte("\n\n— x"+s.origin+" "), 1)
			}
			return b
		}, "does not verify"},
		"a peer's cosignature forged": {func(path string, b []byte) []byte { return forgeCosignature(path, b, s.peers[0].origin) }, "the cosignature of keeper 2 does not verify"},
	} {
		p.change = c.change
		if r := s.audit(t.Context(), seen); r.OK || !strings.Contains(r.Problem, c.problem) {
			t.Errorf("%s: got %+v, want %q", name, r, c.problem)
		}
		p.change = nil
	}
}

// changedTogether changes the first leaf and the hash of it alike.
func changedTogether(path string, b []byte) []byte {
	leaf := sha256.Sum256([]byte("another entry"))
	switch {
	case strings.HasPrefix(path, "/tile/entries/"):
		copy(b[2:], leaf[:])
	case strings.HasPrefix(path, "/tile/0/"):
		hash := sha256.Sum256(append([]byte{0}, leaf[:]...))
		copy(b, hash[:])
	}
	return b
}

// forgeCosignature flips a bit in the signature of one peer.
func forgeCosignature(path string, b []byte, name string) []byte {
	if path != keeper.RouteEvidence {
		return b
	}
	lines := strings.SplitAfter(string(b), "\n")
	for i, line := range lines {
		text, ok := strings.CutPrefix(line, "— "+name+" ")
		if !ok {
			continue
		}
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		raw[len(raw)-1] ^= 1
		lines[i] = "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
	}
	return []byte(strings.Join(lines, ""))
}

// TestAuditRemembers: what was seen once must be contained in what comes.
func TestAuditRemembers(t *testing.T) {
	n, s, p := ledgerWorld(t)
	grow(t, n, s)
	old, err := p.table.Fetch(t.Context(), keeper.RouteEvidence)
	if err != nil {
		t.Fatal(err)
	}
	grow(t, n, s)
	seen := t.TempDir()
	if r := s.audit(t.Context(), seen); !r.OK {
		t.Fatalf("look: got %+v, want ok", r)
	}
	p.change = func(path string, b []byte) []byte {
		if path == keeper.RouteEvidence {
			return old
		}
		return b
	}
	if r := s.audit(t.Context(), seen); r.OK || !strings.Contains(r.Problem, "its end was taken back") {
		t.Errorf("a shorter ledger: got %+v, want that its end was taken back", r)
	}
	if _, err := os.Stat(s.seenFile(seen) + ".contradicts"); err != nil {
		t.Errorf("the contradicting checkpoint was not kept: %v", err)
	}
	p.change = nil

	// The same key once signed another tree of the same size as the old one.
	signer, err := ledger.NewSigner(s.origin, n.Keepers[1].Identity.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ledger.VerifyCheckpoint(old, s.origin, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	c.Root[0] ^= 1
	forked, err := note.Sign(&note.Note{Text: string(c.Text())}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.seenFile(seen), forked, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.audit(t.Context(), seen); r.OK || !strings.Contains(r.Problem, "its past was changed") {
		t.Errorf("another past: got %+v, want that its past was changed", r)
	}
	if err := os.WriteFile(s.seenFile(seen), []byte("not a checkpoint"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.audit(t.Context(), seen); r.OK || !strings.Contains(r.Problem, "seen last") {
		t.Errorf("a damaged memory: got %+v, want a fault", r)
	}
}

// TestMerkle compares the tree written here with that of x/mod.
func TestMerkle(t *testing.T) {
	m, want := merkle{}, []tlog.Hash{}
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, want[i])
		}
		return out, nil
	})
	for size := range int64(300) {
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			t.Fatal(err)
		}
		if size > 0 && m.root() != root {
			t.Fatalf("size %d: got %v, want %v", size, m.root(), root)
		}
		leaf := []byte{byte(size), byte(size >> 8)}
		hashes, err := tlog.StoredHashes(size, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, hashes...)
		m.add(tlog.RecordHash(leaf))
	}
	if empty := (&merkle{}).root(); empty != tlog.Hash(sha256.Sum256(nil)) {
		t.Errorf("empty tree: got %v, want SHA-256 of nothing", empty)
	}
}

// TestProofs: a receipt holds for the ledger, entry and key it was made for,
// and for nothing else.
func TestProofs(t *testing.T) {
	n, s, _ := ledgerWorld(t)
	k := n.Keepers[1].Identity.Key
	signer, err := ledger.NewSigner(s.origin, k)
	if err != nil {
		t.Fatal(err)
	}
	entry := ledger.Entry{Version: wire.Version, Keeper: 1, Time: time.Now().Unix(), Request: [32]byte{1}, Op: ledger.OpHistory, Outcome: ledger.Permitted,
		Actor: abaton.ActorID{2}, Patient: abaton.ActorID{2}}
	body, err := entry.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	o := opening{Salt: [32]byte{9}, Entry: body}
	leaf := ledger.NewLeaf(o.Salt, o.Entry)
	c := ledger.Checkpoint{Origin: s.origin, Size: 1, Root: leaf.Hash()}
	signed, err := note.Sign(&note.Note{Text: string(c.Text())}, signer)
	if err != nil {
		t.Fatal(err)
	}
	p := ledger.Proof{Index: 0, Checkpoint: signed, Extra: wire.Marshal(o)}
	said, err := checkProof(p.Marshal(), s.origin, s.signer)
	if err != nil || said.Op != "history" || said.Outcome != "permitted" || said.Patient != (abaton.ActorID{2}).String() {
		t.Fatalf("got %+v, %v, want a permitted history", said, err)
	}
	other, err := ledger.NewVerifier(s.origin, n.Keepers[2].Identity.Key.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkProof(p.Marshal(), s.origin, other); err == nil {
		t.Error("a proof held under another key")
	}
	if _, err := checkProof(p.Marshal(), "another/ledger", s.signer); err == nil {
		t.Error("a proof held for another ledger")
	}
	lie := p
	o.Salt[0] ^= 1
	lie.Extra = wire.Marshal(o)
	if _, err := checkProof(lie.Marshal(), s.origin, s.signer); err == nil {
		t.Error("a proof held for another entry")
	}
	lie.Extra = nil
	if _, err := checkProof(lie.Marshal(), s.origin, s.signer); err == nil {
		t.Error("a proof without its entry held")
	}
}
