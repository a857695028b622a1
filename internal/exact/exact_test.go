package exact_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/exact"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

type memory map[string][]byte

func (m memory) Get(k []byte) ([]byte, error) { return m[string(k)], nil }

type batch map[string][]byte

func (b batch) Put(k, v []byte) { b[string(k)] = bytes.Clone(v) }

func id(words ...any) [32]byte { return sha256.Sum256([]byte(fmt.Sprint(words...))) }

const start = 1_780_000_000 // 28 May 2026

// world is five keepers' ledgers with a theft in them, and the question about it.
type world struct {
	logs  map[abaton.KeeperIndex]*ledger.Log
	store map[abaton.KeeperIndex]memory
	own   map[abaton.KeeperIndex]uint64
	trust *report.Trust
	asked report.Asked
	now   int64
}

func newWorld(t testing.TB, patients int) *world {
	t.Helper()
	w := &world{logs: make(map[abaton.KeeperIndex]*ledger.Log), store: make(map[abaton.KeeperIndex]memory), own: make(map[abaton.KeeperIndex]uint64), now: start,
		trust: &report.Trust{Keepers: make(map[abaton.KeeperIndex]report.Keeper), Shape: ledger.Shape{Keepers: 5, Threshold: 3, Faulty: 1}}}
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		k := key.SigningFromSeed(key.Secret(id("abaton-test-only keeper", x)))
		origin := fmt.Sprintf("keeper%d.example/ledger", x)
		s, err := ledger.NewSigner(origin, k)
		if err != nil {
			t.Fatal(err)
		}
		w.store[x] = memory{}
		l, g, err := ledger.Create(ledger.Config{Origin: origin, Keeper: x, Signer: s, Verifier: s.Verifier(), Cosigner: s.Cosigner()}, w.store[x], batch(w.store[x]), time.Unix(w.now, 0))
		if err != nil {
			t.Fatal(err)
		}
		g.Commit()
		w.logs[x] = l
		w.trust.Keepers[x] = report.Keeper{Origin: origin, Key: k.ID()}
	}
	w.theft(t, patients)
	w.asked = report.Ask(key.SigningFromSeed(key.Secret(id("abaton-test-only manager"))).ID(),
		ledger.Look{Organisation: id("org"), Session: stolen(), Since: start - 60, Until: w.now + 3600})
	for x := range w.logs {
		w.own[x] = w.logs[x].Size()
		w.enter(t, w.asked.Look.Entry(id("org")), x)
	}
	return w
}

// stolen is the session.
func stolen() abaton.SessionID { return abaton.SessionID(id("session")) }

// enter adds one entry at some keepers.
func (w *world) enter(t testing.TB, e ledger.Entry, at ...abaton.KeeperIndex) {
	t.Helper()
	w.now++
	for _, x := range at {
		b := batch{}
		g, err := w.logs[x].Append(b, []ledger.Entry{e}, time.Unix(w.now, 0))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(w.store[x], b)
		g.Commit()
	}
}

// theft opens most patients' records at three keepers, some at two, and renews one
// of seven in the same session; others read between.
func (w *world) theft(t testing.TB, patients int) {
	for n := range patients {
		e := ledger.Entry{Request: id("request", n), Op: ledger.OpRelease, Outcome: ledger.Permitted, Actor: id("nurse"), Organisation: id("org"), Role: "nurse",
			Session: stolen(), Patient: id("patient", n), Purpose: abaton.Treatment, Grant: abaton.GrantID(id("grant", n)),
			Rows: []ledger.Row{{Batch: abaton.BatchName(id("batch", n)), Released: 7}}}
		other := e
		other.Request, other.Session = id("other", n), abaton.SessionID(id("other session"))
		first := abaton.KeeperIndex(1 + n%5)
		w.enter(t, other, first)
		at := []abaton.KeeperIndex{first, 1 + (first % 5), 1 + ((first + 1) % 5)}
		if n%4 == 0 {
			at = at[:2]
		}
		w.enter(t, e, at...)
		if n%7 == 0 {
			e.Request, e.Op = id("renewal", n), ledger.OpPermit
			for _, x := range at {
				e.FoldsInto = ledger.Fold(w.logs[x].Size() - 1)
				w.enter(t, e, x)
			}
		}
	}
}

// page is a page as keeper x tells it.
func (w *world) page(t testing.TB, x abaton.KeeperIndex, from uint64) *ledger.Found {
	t.Helper()
	f, err := w.logs[x].Select(&w.asked.Look, w.own[x], from, 7, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// ask brings answers of some keepers into the spool, at most pages of each.
func (w *world) ask(t testing.TB, s *exact.Spool, pages int, keepers ...abaton.KeeperIndex) {
	t.Helper()
	for _, x := range keepers {
		for range pages {
			from, told := s.From(x)
			if told {
				break
			}
			if err := s.Take(x, w.page(t, x, from)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// want is the list that the same answers give in memory.
func (w *world) want(t testing.TB, keepers ...abaton.KeeperIndex) *ledger.Touched {
	t.Helper()
	v := ledger.NewSurvey(w.asked.Look, w.trust.Shape)
	for _, x := range keepers {
		for from := uint64(0); ; {
			f := w.page(t, x, from)
			if err := v.Take(x, f); err != nil {
				t.Fatal(err)
			}
			if from = f.Next; from == 0 {
				break
			}
		}
		v.Done(x, 0)
	}
	return v.Touched()
}

func merged(t testing.TB, s *exact.Spool) *ledger.Touched {
	t.Helper()
	var patients []ledger.TouchedPatient
	got, err := s.Merge(t.Context(), func(_ []ledger.Placed, p *ledger.TouchedPatient) error {
		patients = append(patients, *p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got.Patients = patients
	return got
}

func begin(t testing.TB, w *world) (*exact.Spool, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "answers")
	s, err := exact.Begin(dir, w.asked, w.trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

var all = []abaton.KeeperIndex{1, 2, 3, 4, 5}

// TestMerge: the list made on disk is the list made in memory, whoever answers and
// however small the shelves are; nothing of the merging stays behind.
func TestMerge(t *testing.T) {
	w := newWorld(t, 60)
	for _, c := range []struct {
		keepers []abaton.KeeperIndex
		shelf   int64
	}{{all, 1 << 20}, {all, 2000}, {all[1:], 1 << 20}, {all[:3], 1 << 20}, {nil, 1 << 20}} {
		s, dir := begin(t, w)
		s.SetShelf(c.shelf)
		w.ask(t, s, 1<<20, c.keepers...)
		want := w.want(t, c.keepers...)
		for range 2 { // a list may be made again
			if got := merged(t, s); !reflect.DeepEqual(got, want) {
				t.Errorf("%d keepers: got %s, %d patients; want %s, %d", len(c.keepers), got.String(), len(got.Patients), want.String(), len(want.Patients))
			}
		}
		if left, err := filepath.Glob(filepath.Join(dir, "merging-*")); err != nil || len(left) != 0 {
			t.Errorf("left behind: %d folders, %v", len(left), err)
		}
	}
}

// TestResume: an asking that broke off anywhere, also in the middle of a page, goes
// on where it was and gives the same list.
func TestResume(t *testing.T) {
	w := newWorld(t, 40)
	want := w.want(t, all...)
	for cut := range 4 {
		s, dir := begin(t, w)
		w.ask(t, s, 3, all...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "k2.pages")
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()-int64(cut*100)); err != nil {
			t.Fatal(err)
		}
		again, err := exact.Resume(dir, w.trust)
		if err != nil {
			t.Fatal(err)
		}
		if from, told := again.From(1); from == 0 || told || again.Asked() != w.asked {
			t.Errorf("resumed: got from %d, told %v; want to go on", from, told)
		}
		w.ask(t, again, 1<<20, all...)
		if got := merged(t, again); !reflect.DeepEqual(got, want) {
			t.Errorf("cut %d: got %s, %d patients; want %s, %d", cut, got.String(), len(got.Patients), want.String(), len(want.Patients))
		}
		again.Close()
	}
	_, dir := begin(t, w)
	if _, err := exact.Begin(dir, w.asked, w.trust); err == nil {
		t.Error("a folder with another question: got no error")
	}
	if _, err := exact.Resume(t.TempDir(), w.trust); err == nil {
		t.Error("a folder without a question: got no error")
	}
}

// TestFaultIsNamed: whatever somebody changes in a folder, or a keeper keeps back,
// a keeper's answer stops counting and is named; the list does not change silently.
func TestFaultIsNamed(t *testing.T) {
	w := newWorld(t, 30)
	want := w.want(t, all...)
	for _, c := range []struct {
		name, check string
		do          func(t *testing.T, s *exact.Spool, dir string)
	}{
		{"a page changed", "no answer", func(t *testing.T, _ *exact.Spool, dir string) { flip(t, filepath.Join(dir, "k3.pages"), 700) }},
		{"a page changed, and its checksum", "proof", func(t *testing.T, _ *exact.Spool, dir string) { forge(t, filepath.Join(dir, "k3.pages")) }},
		{"the answer cut", "no answer", func(t *testing.T, _ *exact.Spool, dir string) {
			if err := os.Truncate(filepath.Join(dir, "k3.pages"), 1000); err != nil {
				t.Fatal(err)
			}
		}},
		{"refused", "refused: lease", func(_ *testing.T, s *exact.Spool, _ string) { s.Fault(3, "refused: lease", 0) }},
	} {
		s, dir := begin(t, w)
		w.ask(t, s, 1<<20, all...)
		c.do(t, s, dir)
		got := merged(t, s)
		if len(got.Faults) != 1 || got.Verdict != ledger.Complete || len(got.Patients) != len(want.Patients) {
			t.Errorf("%s: got %v, %s, %d patients; want one fault, complete, all %d", c.name, got.Faults, got.String(), len(got.Patients), len(want.Patients))
			continue
		}
		if e, is := errors.AsType[*ledger.WithheldError](got.Faults[0]); !is || e.Keeper != 3 || e.Check != c.check {
			t.Errorf("%s: got %v, want keeper 3 named for %q", c.name, got.Faults[0], c.check)
		}
	}
}

// TestOpeningKeptBack: an entry that another one shows missing is found when the
// list is made, and its keeper does not count.
func TestOpeningKeptBack(t *testing.T) {
	w := newWorld(t, 30)
	s, _ := begin(t, w)
	w.ask(t, s, 1<<20, 1, 2, 4, 5)
	for {
		from, told := s.From(3)
		if told {
			break
		}
		f, err := w.logs[3].Select(&w.asked.Look, w.own[3], from, 1, 64) // one a page
		if err != nil {
			t.Fatal(err)
		}
		if from != 0 && len(f.Disclosures) == 1 {
			if e, err := ledger.ParseEntry(f.Disclosures[0].Entry); err == nil && e.Op == ledger.OpRelease && renewed(&e) {
				f.Disclosures, f.Cover = nil, nil
			}
		}
		if err := s.Take(3, &f); err != nil {
			t.Fatal(err)
		}
	}
	got := merged(t, s)
	if e, is := errors.AsType[*ledger.WithheldError](slices.Concat(got.Faults, []error{nil})[0]); !is || e.Keeper != 3 || e.Check != "withheld" {
		t.Errorf("got %v, want keeper 3 named for withholding", got.Faults)
	}
}

func renewed(e *ledger.Entry) bool {
	for n := 0; n < 30; n += 7 {
		if e.Request == id("request", n) {
			return true
		}
	}
	return false
}

func flip(t *testing.T, file string, at int64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// forge changes the first page of a book and makes its checksum anew.
func forge(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	length := binary.BigEndian.Uint32(b)
	body := b[20 : 20+length]
	body[len(body)-30] ^= 1
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestList: a list is verified by making it again; a changed line, number or page
// does not hold.
func TestList(t *testing.T) {
	w := newWorld(t, 30)
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"":                  func(*testing.T, string) {},
		"a patient's line":  func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "patients.jsonl"), 300) },
		"a line taken away": func(t *testing.T, dir string) { cutLine(t, filepath.Join(dir, "patients.jsonl")) },
		"a number":          func(t *testing.T, dir string) { swap(t, filepath.Join(dir, "list.json"), `"opened": 2`, `"opened": 1`) },
		"a page":            func(t *testing.T, dir string) { forge(t, filepath.Join(dir, "k2.pages")) },
		"an answer":         func(t *testing.T, dir string) { cutLine(t, filepath.Join(dir, "k2.pages")) },
	} {
		s, dir := begin(t, w)
		w.ask(t, s, 1<<20, all...)
		made, err := s.Write(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if made.People.Opened != 22 || made.People.Close != 8 || made.Complete != "complete" || !slices.Equal(made.Vouched, []uint8{1, 2, 3, 4, 5}) {
			t.Errorf("got %+v; want 22 opened, 8 close", made)
		}
		s.Close()
		spoil(t, dir)
		again, err := exact.Resume(dir, w.trust)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Verify(t.Context()); (err == nil) != (name == "") || err != nil && !errors.Is(err, exact.ErrNotSo) {
			t.Errorf("%q changed: got %v", name, err)
		}
		again.Close()
	}
}

func cutLine(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b[bytes.IndexByte(b, '\n')+1:], 0o600); err != nil {
		t.Fatal(err)
	}
}

func swap(t *testing.T, file, was, is string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(b, []byte(was)) {
		t.Fatalf("%v, or nothing to change", err)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte(was), []byte(is), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEndsWhenTold: a merge that nobody waits for ends.
func TestEndsWhenTold(t *testing.T) {
	w := newWorld(t, 5)
	s, _ := begin(t, w)
	w.ask(t, s, 1<<20, all...)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.Merge(ctx, func([]ledger.Placed, *ledger.TouchedPatient) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it ended", err)
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add([]byte{0x84, 0x40, 0x40, 0, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := exact.ParsePage(b, 0); err == nil && len(p.Disclosures) > abaton.DisclosuresMax {
			t.Error("more entries than a page holds")
		}
	})
}

func FuzzParseQuestion(f *testing.F) {
	f.Add(wire.Marshal(map[int]int{1: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := exact.ParseQuestion(b); err == nil && !a.Look.Valid() {
			t.Error("a question that may not be asked")
		}
	})
}
