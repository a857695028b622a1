package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

const (
	origin  = "keeper1.example/ledger"
	name    = "keeper1.example"
	entries = 1037
)

type memory map[string][]byte

func (m memory) Get(k []byte) ([]byte, error) { return m[string(k)], nil }
func (m memory) Put(k, v []byte)              { m[string(k)] = bytes.Clone(v) }

// ledgerOf1037 has four full tiles and a partial one, and two levels.
func ledgerOf1037(t *testing.T) (*ledger.Log, *ledger.Signer, map[uint64][]byte) {
	t.Helper()
	k := key.SigningFromSeed(key.Secret{1})
	s, err := ledger.NewSigner(origin, k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ledger.NewSigner(name, k)
	if err != nil {
		t.Fatal(err)
	}
	cfg := ledger.Config{Origin: origin, Keeper: 1, Signer: s, Verifier: s.Verifier(), Cosigner: c.Cosigner()}
	m := memory{}
	now := time.Unix(1_700_000_000, 0)
	l, g, err := ledger.Create(cfg, m, m, now)
	if err != nil {
		t.Fatal(err)
	}
	g.Commit()
	notes := make(map[uint64][]byte)
	for n := 0; n < entries; {
		group := make([]ledger.Entry, min(61, entries-n))
		for i := range group {
			group[i] = disclosure(n)
			n++
		}
		g, err := l.Append(m, group, now)
		if err != nil {
			t.Fatal(err)
		}
		g.Commit()
		_, signed := l.Checkpoint()
		notes[uint64(n)] = signed
	}
	return l, s, notes
}

func disclosure(n int) ledger.Entry {
	var who [32]byte
	binary.BigEndian.PutUint32(who[:], uint32(n+1))
	return ledger.Entry{
		Request: who, Op: ledger.OpRelease, Outcome: ledger.Permitted, Actor: who, Patient: who,
		Purpose: abaton.Treatment, Rows: []ledger.Row{{Batch: who, Released: 1}},
	}
}

// serve is the read API of c2sp.org/tlog-tiles.
func serve(t *testing.T, l *ledger.Log) *client.HTTPFetcher {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/")
		if path == "checkpoint" {
			_, signed := l.Checkpoint()
			_, _ = w.Write(signed)
			return
		}
		b, err := l.Tile(path)
		if errors.Is(err, abaton.ErrNotFound) {
			http.NotFound(w, r)
			return
		}
		if err != nil {
			http.Error(w, "bad path", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(b)
	})
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	f, err := client.NewHTTPFetcher(u, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTesseraReadsTheLedger(t *testing.T) {
	l, s, notes := ledgerOf1037(t)
	f := serve(t, l)
	ctx := t.Context()
	cp, _, _, err := client.FetchCheckpoint(ctx, f.ReadCheckpoint, s.Verifier(), origin)
	if err != nil {
		t.Fatal(err)
	}
	if cp.Size != entries {
		t.Fatalf("got size %d, want %d", cp.Size, entries)
	}
	pb, err := client.NewProofBuilder(ctx, cp.Size, f.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(0); i < cp.Size; i += 13 {
		bundle, err := client.GetEntryBundle(ctx, f.ReadEntryBundle, i/256, cp.Size)
		if err != nil {
			t.Fatal(err)
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(bundle.Entries[i%256])
		theirs, err := pb.InclusionProof(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, i, cp.Size, leaf, theirs, cp.Hash); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		ours, err := l.Inclusion(i, cp.Size)
		if err != nil || len(ours) != len(theirs) {
			t.Fatalf("entry %d: got %d hashes, want %d (%v)", i, len(ours), len(theirs), err)
		}
		for j := range ours {
			if !bytes.Equal(ours[j][:], theirs[j]) {
				t.Fatalf("entry %d: hash %d differs", i, j)
			}
		}
	}
	for size, signed := range maps.All(notes) {
		old, err := ledger.VerifyCheckpoint(signed, origin, s.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		p, err := pb.ConsistencyProof(ctx, size, cp.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, cp.Size, p, old.Root[:], cp.Hash); err != nil {
			t.Fatalf("from %d: %v", size, err)
		}
	}
}

func TestTesseraTrackerFollows(t *testing.T) {
	l, s, notes := ledgerOf1037(t)
	f := serve(t, l)
	for size, signed := range notes {
		lst, err := client.NewLogStateTracker(t.Context(), f.ReadTile, signed, s.Verifier(), origin, client.UnilateralConsensus(f.ReadCheckpoint))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := lst.Update(t.Context()); err != nil || lst.Latest().Size != entries {
			t.Fatalf("from %d: got %d, %v", size, lst.Latest().Size, err)
		}
	}
}

func TestTesseraFsck(t *testing.T) {
	l, s, _ := ledgerOf1037(t)
	hasher := func(b []byte) ([][]byte, error) {
		var bundle api.EntryBundle
		if err := bundle.UnmarshalText(b); err != nil {
			return nil, err
		}
		var out [][]byte
		for _, e := range bundle.Entries {
			out = append(out, rfc6962.DefaultHasher.HashLeaf(e))
		}
		return out, nil
	}
	if err := fsck.New(origin, s.Verifier(), serve(t, l), hasher, fsck.Opts{N: 2}).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestFormatsReadsTheCosignature: the dated line verifies with another C2SP
// library, made from the vkey of the same key.
func TestFormatsReadsTheCosignature(t *testing.T) {
	l, _, _ := ledgerOf1037(t)
	_, signed := l.Checkpoint()
	own, err := ledger.NewSigner(name, key.SigningFromSeed(key.Secret{1}))
	if err != nil {
		t.Fatal(err)
	}
	text, err := fnote.VKeyToCosignatureV1(own.VerifierKey())
	if err != nil || text != own.Cosigner().VerifierKey() {
		t.Fatalf("got %q, %v; want %q", own.Cosigner().VerifierKey(), err, text)
	}
	v, err := fnote.NewVerifierForCosignatureV1(text)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	when, err := fnote.CoSigV1Timestamp(n.Sigs[0])
	if err != nil || when.Unix() != 1_700_000_000 {
		t.Errorf("got %v, %v", when, err)
	}
}
