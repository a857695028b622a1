package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"golang.org/x/mod/sumdb/note"
)

// memory is a storage in memory. A batch becomes visible when committed.
type memory map[string][]byte

func (m memory) Get(k []byte) ([]byte, error) { return m[string(k)], nil }

type batch map[string][]byte

func (b batch) Put(k, v []byte)  { b[string(k)] = bytes.Clone(v) }
func (b batch) commit(m memory)  { maps.Copy(m, b) }
func (m memory) clone() memory   { return maps.Clone(m) }
func (m memory) keys() []string  { return slices.Sorted(maps.Keys(m)) }
func at(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 0) }

func testKey(name string) *key.Signing {
	return key.SigningFromSeed(key.Secret(sha256.Sum256([]byte("abaton-test-only " + name))))
}

func id(words ...string) [32]byte { return sha256.Sum256([]byte(strings.Join(words, "\x00"))) }

const origin = "keeper1.example/ledger"

// identity is a keeper's name, key and the verifiers of both.
type identity struct {
	signer *ledger.Signer
	own    *ledger.CosignatureSigner
}

func newIdentity(tb testing.TB, origin, name string) identity {
	tb.Helper()
	k := testKey(name)
	s, err := ledger.NewSigner(origin, k)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := ledger.NewSigner(name, k)
	if err != nil {
		tb.Fatal(err)
	}
	return identity{s, c.Cosigner()}
}

func config(tb testing.TB, origin, name string, x abaton.KeeperIndex) ledger.Config {
	i := newIdentity(tb, origin, name)
	return ledger.Config{Origin: origin, Keeper: x, Signer: i.signer, Verifier: i.signer.Verifier(), Cosigner: i.own, VerifyOwn: true}
}

func keeperOne(tb testing.TB) ledger.Config { return config(tb, origin, "keeper1.example", 1) }

// ledgerOf is a ledger with its storage.
type ledgerOf struct {
	*ledger.Log
	store memory
	cfg   ledger.Config
}

func newLedger(tb testing.TB, cfg ledger.Config) *ledgerOf {
	tb.Helper()
	m, b := memory{}, batch{}
	l, g, err := ledger.Create(cfg, m, b, at(0))
	if err != nil {
		tb.Fatal(err)
	}
	b.commit(m)
	g.Commit()
	return &ledgerOf{l, m, cfg}
}

func (l *ledgerOf) add(tb testing.TB, now time.Time, entries ...ledger.Entry) *ledger.Group {
	tb.Helper()
	b := batch{}
	g, err := l.Append(b, entries, now)
	if err != nil {
		tb.Fatal(err)
	}
	b.commit(l.store)
	g.Commit()
	return g
}

func release(request, actor, patient string, rows ...ledger.Row) ledger.Entry {
	e := ledger.Entry{
		Request: id("request", request), Op: ledger.OpRelease, Outcome: ledger.Permitted,
		Actor: id("actor", actor), Organisation: id("organisation"), Session: id("session", actor),
		Patient: id("patient", patient), Purpose: abaton.Treatment, Grant: id("grant"),
	}
	if len(rows) == 0 {
		rows = []ledger.Row{row("b1", 1, 0)}
	}
	ledger.SortRows(rows)
	e.Rows = rows
	return e
}

func row(batch string, released, refused uint64) ledger.Row {
	return ledger.Row{Batch: id("batch", batch), Released: released, Refused: refused}
}

// filled is a ledger of n entries about three patients, in groups of 1 to 9.
func filled(tb testing.TB, cfg ledger.Config, n int) *ledgerOf {
	l := newLedger(tb, cfg)
	for i := 0; i < n; {
		var es []ledger.Entry
		for len(es) <= i%9 && i < n {
			es = append(es, release(string(binary.BigEndian.AppendUint32(nil, uint32(i))), "doctor", string(rune('a'+i%3))))
			i++
		}
		l.add(tb, at(int64(i)), es...)
	}
	return l
}

func TestEmptyLedgerHasASignedCheckpoint(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	c, signed := l.Checkpoint()
	if c.Size != 0 || c.Origin != origin {
		t.Errorf("got %v, want size 0 of %s", c, origin)
	}
	if _, err := ledger.VerifyCheckpoint(signed, origin, l.cfg.Verifier); err != nil {
		t.Error(err)
	}
	_, when, err := ledger.CosignedAt(signed, newIdentity(t, origin, "keeper1.example").own.Verifier())
	if err != nil || !when.Equal(at(0)) {
		t.Errorf("got time %v, %v; want %v", when, err, at(0))
	}
	again, err := ledger.Open(l.cfg, l.store)
	if err != nil || again.Size() != 0 {
		t.Errorf("open empty ledger: %v", err)
	}
}

func TestOpenNeverBegins(t *testing.T) {
	if _, err := ledger.Open(keeperOne(t), memory{}); !errors.Is(err, ledger.ErrAbsent) {
		t.Errorf("got %v, want ErrAbsent", err)
	}
	l := filled(t, keeperOne(t), 3)
	delete(l.store, "c")
	if _, err := ledger.Open(l.cfg, l.store); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("checkpoint lost: got %v, want ErrCorrupt", err)
	}
	if _, _, err := ledger.Create(l.cfg, l.store, batch{}, at(0)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("create over the rest: got %v, want ErrCorrupt", err)
	}
}

func TestReceiptsAndProofs(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	n := 0
	for _, size := range []int{1, 1, 2, 64, 3, 1, 200, 7} {
		var es []ledger.Entry
		for range size {
			es = append(es, release(string(binary.BigEndian.AppendUint32(nil, uint32(n))), "doctor", "ana"))
			n++
		}
		g := l.add(t, at(int64(n)), es...)
		for i := range size {
			p, err := g.Proof(i)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Verify(g.Leaf(i), origin, l.cfg.Verifier); err != nil {
				t.Fatalf("receipt %d of %d: %v", i, size, err)
			}
			if _, err := p.Verify(ledger.Leaf(id("other")), origin, l.cfg.Verifier); ledger.CheckID(err) != "inclusion.path" {
				t.Fatalf("another leaf: got %v", err)
			}
			q, err := l.Proof(p.Index)
			if err != nil || !slices.Equal(q.Path, p.Path) {
				t.Fatalf("proof from storage differs at %d: %v", p.Index, err)
			}
		}
	}
	c, _ := l.Checkpoint()
	for from := uint64(0); from <= c.Size; from++ {
		root, err := l.RootAt(from)
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Consistency(from, c.Size)
		if err != nil {
			t.Fatal(err)
		}
		old := ledger.Checkpoint{Origin: origin, Size: from, Root: root}
		if err := ledger.VerifyConsistency(old, c, p); err != nil {
			t.Fatalf("consistency %d: %v", from, err)
		}
		old.Root[0] ^= 1
		if err := ledger.VerifyConsistency(old, c, p); err == nil {
			t.Fatalf("consistency %d accepts another root", from)
		}
	}
	if _, err := l.Inclusion(0, c.Size+1); !errors.Is(err, abaton.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestReopenGoesOn(t *testing.T) {
	l := filled(t, keeperOne(t), 100)
	c, _ := l.Checkpoint()
	for _, quick := range []bool{false, true} {
		cfg := l.cfg
		cfg.Quick = quick
		again, err := ledger.Open(cfg, l.store)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := again.Checkpoint(); got != c {
			t.Errorf("got %v, want %v", got, c)
		}
	}
	again, err := ledger.Open(l.cfg, l.store)
	if err != nil {
		t.Fatal(err)
	}
	re := &ledgerOf{again, l.store, l.cfg}
	g := re.add(t, at(1000), release("next", "doctor", "a"))
	if e := g.Entry(0); g.First() != 100 || e.PatientSeq != 34 {
		t.Errorf("got index %d, seq %d; want 100, 34", g.First(), e.PatientSeq)
	}
	if err := re.Audit(); err != nil {
		t.Error(err)
	}
}

func TestNothingLeavesBeforeCommit(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	b := batch{}
	g, err := l.Append(b, []ledger.Entry{release("1", "doctor", "ana")}, at(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Proof(0); !errors.Is(err, ledger.ErrUnsettled) {
		t.Errorf("receipt before commit: got %v, want ErrUnsettled", err)
	}
	if l.Size() != 0 {
		t.Errorf("size before commit: got %d, want 0", l.Size())
	}
	if _, err := l.Append(batch{}, []ledger.Entry{release("2", "doctor", "ana")}, at(1)); !errors.Is(err, ledger.ErrUnsettled) {
		t.Errorf("second group: got %v, want ErrUnsettled", err)
	}
	g.Abort()
	g.Commit()
	if _, err := g.Proof(0); err == nil {
		t.Error("receipt after abort: got one, want none")
	}
	for _, err := range []error{
		second(l.Append(batch{}, []ledger.Entry{release("2", "doctor", "ana")}, at(1))),
		second(l.Resign(batch{}, at(1))),
	} {
		if !errors.Is(err, ledger.ErrPoisoned) {
			t.Errorf("after abort: got %v, want ErrPoisoned", err)
		}
	}
	// The write may have reached the disk all the same: both are good starts.
	for _, reached := range []bool{false, true} {
		m := l.store.clone()
		if reached {
			b.commit(m)
		}
		again, err := ledger.Open(l.cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Size() == 1; got != reached {
			t.Errorf("got size %d, reached %v", again.Size(), reached)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestFailedAppendLeavesTheLedgerUsable(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	bad := release("1", "doctor", "ana")
	bad.Purpose = "CURIOUS"
	if _, err := l.Append(batch{}, []ledger.Entry{release("0", "doctor", "ana"), bad}, at(1)); ledger.CheckID(err) != "entry.purpose" {
		t.Errorf("got %v, want entry.purpose", err)
	}
	if _, err := l.Append(batch{}, nil, at(1)); ledger.CheckID(err) != "append.group-size" {
		t.Errorf("got %v, want append.group-size", err)
	}
	if g := l.add(t, at(2), release("2", "doctor", "ana")); g.Entry(0).PatientSeq != 0 {
		t.Errorf("got seq %d, want 0", g.Entry(0).PatientSeq)
	}
}

func TestResign(t *testing.T) {
	l := filled(t, keeperOne(t), 5)
	before, _ := l.Checkpoint()
	b := batch{}
	g, err := l.Resign(b, at(600))
	if err != nil {
		t.Fatal(err)
	}
	b.commit(l.store)
	g.Commit()
	after, signed := l.Checkpoint()
	if after != before {
		t.Errorf("got %v, want %v", after, before)
	}
	_, when, err := ledger.CosignedAt(signed, newIdentity(t, origin, "keeper1.example").own.Verifier())
	if err != nil || !when.Equal(at(600)) {
		t.Errorf("got %v, %v; want %v", when, err, at(600))
	}
	if _, err := ledger.Open(l.cfg, l.store); err != nil {
		t.Error(err)
	}
}

func TestRedactedEntryKeepsTreeAndChain(t *testing.T) {
	l := filled(t, keeperOne(t), 12)
	b := batch{}
	if err := l.Redact(b, 12); !errors.Is(err, abaton.ErrNotFound) || len(b) != 0 {
		t.Errorf("past the end: got %v, want ErrNotFound", err)
	}
	if err := l.Redact(b, 0); err != nil {
		t.Fatal(err)
	}
	b.commit(l.store)
	again, err := ledger.Open(l.cfg, l.store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Entry(0); !errors.Is(err, ledger.ErrRedacted) {
		t.Errorf("got %v, want ErrRedacted", err)
	}
	x, err := again.Extract(id("patient", "a"), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(origin, l.cfg.Verifier); err != nil {
		t.Error(err)
	}
	c, err := ledger.CheckChain(1, id("patient", "a"), x.Disclosures)
	if err != nil || c.Redacted != 1 || len(c.Entries) != 3 {
		t.Errorf("got %d redacted, %d entries, %v; want 1, 3", c.Redacted, len(c.Entries), err)
	}
}

func TestExtractPages(t *testing.T) {
	l := filled(t, keeperOne(t), 40)
	var all []ledger.Disclosure
	for {
		x, err := l.Extract(id("patient", "b"), uint64(len(all)), 4)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Verify(origin, l.cfg.Verifier); err != nil {
			t.Fatal(err)
		}
		all = append(all, x.Disclosures...)
		if uint64(len(all)) == x.Total {
			break
		}
	}
	c, err := ledger.CheckChain(1, id("patient", "b"), all)
	if err != nil || len(c.Entries) != 13 {
		t.Errorf("got %d entries, %v; want 13", len(c.Entries), err)
	}
	if n, err := l.PatientCount(id("patient", "b")); err != nil || n != 13 {
		t.Errorf("got %d, %v; want 13", n, err)
	}
	x, err := l.Extract(id("patient", "nobody"), 0, 4)
	if err != nil || x.Total != 0 || len(x.Disclosures) != 0 {
		t.Errorf("unknown patient: got %d of %d, %v", len(x.Disclosures), x.Total, err)
	}
}

func TestExtractIsVerified(t *testing.T) {
	l := filled(t, keeperOne(t), 12)
	for check, spoil := range map[string]func(*ledger.Extract){
		"inclusion.path":         func(x *ledger.Extract) { x.Disclosures[1].Path[0][0] ^= 1 },
		"inclusion.index":        func(x *ledger.Extract) { x.Disclosures[1].Path = make([]hash, 64) },
		"disclosure.leaf":        func(x *ledger.Extract) { x.Disclosures[1].Salt[0] ^= 1 },
		"checkpoint.signature":   func(x *ledger.Extract) { x.Checkpoint = spoilSignature(x.Checkpoint) },
		"ok":                     func(*ledger.Extract) {},
		"checkpoint.note":        func(x *ledger.Extract) { x.Checkpoint = nil },
		"inclusion.path, index":  func(x *ledger.Extract) { x.Disclosures[1].Index++ },
		"inclusion.index, large": func(x *ledger.Extract) { x.Disclosures[1].Index = 1 << 63 },
	} {
		x, err := l.Extract(id("patient", "a"), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&x)
		want, _, _ := strings.Cut(check, ",")
		if err := x.Verify(origin, l.cfg.Verifier); ledger.CheckID(err) != want {
			t.Errorf("got %v, want %s", err, check)
		}
	}
	d, err := ledger.NewDisclosure(0, [32]byte{}, []byte{1})
	if ledger.CheckID(err) != "entry.form" || d.Entry != nil {
		t.Errorf("got %v, want entry.form", err)
	}
}

func TestConsistencyIsOfOneLedger(t *testing.T) {
	l := filled(t, keeperOne(t), 12)
	c, _ := l.Checkpoint()
	other := c
	other.Origin = "keeper2.example/ledger"
	if err := ledger.VerifyConsistency(other, c, nil); ledger.CheckID(err) != "consistency.origin" {
		t.Errorf("got %v, want consistency.origin", err)
	}
	huge := ledger.Checkpoint{Origin: origin, Size: 1 << 62, Root: c.Root}
	if err := ledger.VerifyConsistency(c, huge, nil); ledger.CheckID(err) != "consistency.size" {
		t.Errorf("got %v, want consistency.size", err)
	}
	if err := ledger.VerifyInclusion(huge, 1, ledger.Leaf{}, nil); ledger.CheckID(err) != "inclusion.index" {
		t.Errorf("got %v, want inclusion.index", err)
	}
}

func TestConfigIsWhole(t *testing.T) {
	good := keeperOne(t)
	for check, spoil := range map[string]func(*ledger.Config){
		"config.origin":   func(c *ledger.Config) { c.Origin = "cosignature/v1" },
		"config.keeper":   func(c *ledger.Config) { c.Keeper = 0 },
		"config.signer":   func(c *ledger.Config) { c.Signer = config(t, "other/ledger", "x", 1).Signer },
		"config.verifier": func(c *ledger.Config) { c.Verifier = config(t, origin, "x", 1).Verifier },
		"config.cosigner": func(c *ledger.Config) { c.Cosigner = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := ledger.Open(cfg, memory{}); ledger.CheckID(err) != check {
			t.Errorf("got %v, want %s", err, check)
		}
	}
}

// wrongKey signs with another key than it names.
type wrongKey struct{ *key.Signing }

func (wrongKey) SignRaw(m []byte) []byte { return testKey("another").SignRaw(m) }

func TestVerifyOwnFindsABrokenKey(t *testing.T) {
	cfg := keeperOne(t)
	s, err := ledger.NewSigner(origin, wrongKey{testKey("keeper1.example")})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Signer = s
	if _, _, err := ledger.Create(cfg, memory{}, batch{}, at(0)); ledger.CheckID(err) != "checkpoint.own-signature" {
		t.Errorf("got %v, want checkpoint.own-signature", err)
	}
}

func TestConcurrentReaders(t *testing.T) {
	l := filled(t, keeperOne(t), 20)
	store := l.store.clone()
	m := &guarded{m: store}
	log, err := ledger.Open(l.cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for range 50 {
			p, err := log.Proof(7)
			if err == nil {
				_, err = ledger.VerifyCheckpoint(p.Checkpoint, origin, l.cfg.Verifier)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 50 {
		b := batch{}
		g, err := log.Append(b, []ledger.Entry{release(string(rune(i+1)), "doctor", "ana")}, at(int64(i)))
		if err != nil {
			t.Fatal(err)
		}
		m.commit(b)
		g.Commit()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

var _ note.Signer = (*ledger.Signer)(nil)

// guarded is a memory that may be read while a batch is committed.
type guarded struct {
	mu sync.RWMutex
	m  memory
}

func (g *guarded) Get(k []byte) ([]byte, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.m.Get(k)
}

func (g *guarded) commit(b batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b.commit(g.m)
}
