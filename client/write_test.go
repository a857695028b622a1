package client_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// settled waits until the writer's outbox is empty.
func settled(t *testing.T, wr *client.Writer) {
	t.Helper()
	for {
		below, incomplete, refused := wr.Backlog()
		if refused > 0 {
			t.Fatalf("backlog: %d refused", refused)
		}
		if below+incomplete == 0 {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the outbox does not empty")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestPendingWithTwoDown(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.put(wr, w.writes(general, "before", 1)) // the key log is known
	settled(t, wr)
	w.cut(4, 5)
	tx := w.writes(general, "a", 3)
	out, err := wr.Put(t.Context(), tx)
	if !errors.Is(err, abaton.ErrPending) || out == nil || out.At != 3 {
		t.Fatalf("put with two keepers down: got %v, %+v, want pending at 3 of 5", err, out)
	}
	w.mend(4, 5)
	settled(t, wr)
	r, _, ask := w.reader()
	w.cut(1, 2)
	c, err := r.Chart(t.Context(), ask)
	if err != nil {
		t.Fatalf("chart: %v", err)
	}
	tx.Writes = append(tx.Writes, w.writes(general, "before", 1).Writes...)
	w.check(c, tx)
}

func TestAcknowledgedAtFour(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.cut(3)
	tx := w.writes(general, "a", 2)
	if out := w.put(wr, tx); out.At != 4 {
		t.Fatalf("put with one keeper down: got at %d, want 4", out.At)
	}
	if _, incomplete, _ := wr.Backlog(); incomplete != 1 {
		t.Errorf("backlog: got %d incomplete, want 1: the outbox lives until all five have it", incomplete)
	}
	r, _, ask := w.reader()
	for x := abaton.KeeperIndex(1); x <= 5; x++ { // any one more lost
		w.cut(x)
		c, err := r.Chart(t.Context(), ask)
		if err != nil {
			t.Fatalf("keepers 3 and %d away: %v", x, err)
		}
		w.check(c, tx)
		if x != 3 {
			w.mend(x)
		}
	}
	w.mend(3)
	settled(t, wr)
}

// TestCrashAtEachMessage is T6 for the upload: the writer dies before, between
// and after any of its messages; what lies in the outbox is finished by the
// next process, once, with any one keeper lost.
func TestCrashAtEachMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	var all client.Transaction
	dir := t.TempDir()
	for dies := range 10 {
		n := w.network(w.org.signing)
		box, err := client.OpenOutbox(dir, key.Secret{1})
		if err != nil {
			t.Fatalf("open outbox: %v", err)
		}
		wr := w.writerOver(n, box)
		var sent atomic.Int64
		for x := range w.wires {
			w.wires[x].set(func(c *cable) {
				c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
					if route != keeper.RouteDeposit && route != keeper.RouteNotices {
						return next(body)
					}
					if sent.Add(1) > int64(dies/2) {
						return nil, errors.New("the writer is dead")
					}
					out, err := next(body)
					if dies%2 == 1 && sent.Load() == int64(dies/2) {
						return nil, errors.New("the writer died before the answer") // it was kept all the same
					}
					return out, err
				}
			})
		}
		tx := w.writes(general, "crash"+string(rune('a'+dies)), 70)
		ctx := t.Context()
		_, err = wr.Put(ctx, tx)
		if err != nil && !errors.Is(err, abaton.ErrPending) {
			t.Fatalf("death at message %d: %v", dies, err)
		}
		all.Writes = append(all.Writes, tx.Writes...)
		n.Close()
		box.Close()
		w.mend(1, 2, 3, 4, 5)
		lost := abaton.KeeperIndex(dies%5 + 1)
		w.cut(lost)
		if box, err = client.OpenOutbox(dir, key.Secret{1}); err != nil {
			t.Fatalf("death at message %d: open outbox again: %v", dies, err)
		}
		n = w.network(w.org.signing)
		wr = w.writerOver(n, box)
		for {
			if below, _, refused := wr.Backlog(); below == 0 && refused == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		r, _, ask := w.reader()
		c, err := r.Chart(ctx, ask)
		if err != nil {
			t.Fatalf("death at message %d, keeper %d lost: %v", dies, lost, err)
		}
		if c.Hidden != 0 {
			t.Errorf("death at message %d: %d records hidden, want the transaction committed", dies, c.Hidden)
		}
		w.check(c, all)
		w.mend(lost)
		settled(t, wr)
		n.Close()
		box.Close()
	}
}

// TestTransactionHiddenUntilCommitted: the parts of a transaction that is not
// acknowledged everywhere are not shown.
func TestTransactionHiddenUntilCommitted(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	r, _, ask := w.reader()
	own, ownAsk := w.own()
	w.cut(4, 5)
	tx := w.writes(general, "a", 70)
	tx.Writes = append(tx.Writes, w.writes(psychiatric, "p", 2).Writes...)
	if _, err := wr.Put(t.Context(), tx); !errors.Is(err, abaton.ErrPending) {
		t.Fatalf("put: got %v, want pending", err)
	}
	for hidden := 0; hidden != 70; { // three keepers get the batches, none the commit
		c, err := r.Chart(t.Context(), ask)
		if err != nil {
			t.Fatalf("chart: %v", err)
		}
		if len(c.Records) != 0 {
			t.Fatalf("before the commit: got %d records shown, want none", len(c.Records))
		}
		hidden = c.Hidden
	}
	w.mend(4)
	w.mend(5)
	settled(t, wr)
	c, err := own.Chart(t.Context(), ownAsk)
	if err != nil {
		t.Fatalf("chart: %v", err)
	}
	w.check(c, tx)
}

// TestNewEpoch: a writer with an old key log is told so and seals again.
func TestNewEpoch(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	first := w.writes(general, "a", 2)
	w.put(wr, first)
	patient := w.network(w.patient.signing)
	if _, err := patient.Announce(t.Context(), w.patient.hand(), w.seed(general, 2), true); err != nil {
		t.Fatalf("announce: %v", err)
	}
	second := w.writes(general, "b", 2)
	w.put(wr, second)
	settled(t, wr)
	r, _, ask := w.reader() // holds the first epoch's seed only
	c, err := r.Chart(t.Context(), ask)
	if err != nil {
		t.Fatalf("chart: %v", err)
	}
	if len(c.Records) != 2 || len(c.Missing) != 2 || !errors.Is(c.Missing[0].Err, client.ErrNoSeed) {
		t.Fatalf("with the old seed: got %d records, %d missing, want 2 and 2", len(c.Records), len(c.Missing))
	}
	r.AddSeeds(session.Bundle{Patient: w.patient.id, Grant: w.grant, Seeds: []grant.Seed{w.seed(general, 2)}})
	if c, err = r.Chart(t.Context(), ask); err != nil {
		t.Fatalf("chart: %v", err)
	}
	first.Writes = append(first.Writes, second.Writes...)
	w.check(c, first)
}

// TestOutboxHoldsNoShare is T12: neither text nor seed nor any share of what
// waits is in the outbox's files, in any encoding.
func TestOutboxHoldsNoShare(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	wr := w.writer(dir)
	w.net.Log(t.Context(), w.patient.id)
	w.cut(4, 5)
	out, err := wr.Put(t.Context(), w.writes(general, "a", 4))
	if !errors.Is(err, abaton.ErrPending) {
		t.Fatalf("put: got %v, want pending", err)
	}
	var disk []byte
	list, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("read outbox: %v", err)
		}
		disk = append(disk, b...)
	}
	if len(disk) < 5000 {
		t.Fatalf("outbox: got %d bytes, want a batch in it", len(disk))
	}
	w.mend(4, 5)
	settled(t, wr)
	seed := w.root.SegmentSeed(general, 1)
	secrets := map[string][]byte{"text": []byte("planted-plaintext"), "seed": seed[:], "patient": w.patient.id[:]}
	for x, k := range w.keepers.Keepers {
		shares, err := k.Store.Shares(w.patient.id, out.Batches[0])
		if err != nil || len(shares) == 0 {
			t.Fatalf("shares of keeper %d: %v", x, err)
		}
		for _, s := range shares {
			secrets["share "+string(rune('0'+x))] = s.Bytes[:]
			for name, secret := range secrets {
				for _, form := range [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret)),
					[]byte(base64.RawURLEncoding.EncodeToString(secret))} {
					if bytes.Contains(disk, form) {
						t.Fatalf("the outbox holds a %s", name)
					}
				}
			}
		}
	}
}

// TestWriteBack: a keeper that missed a write hears of it from a reader.
func TestWriteBack(t *testing.T) {
	w := newWorld(t)
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatalf("open outbox: %v", err)
	}
	defer box.Close()
	n := w.network(w.org.signing)
	w.cut(5)
	out := w.put(w.writerOver(n, box), w.writes(general, "a", 2))
	n.Close() // the writer is gone, its outbox with it
	w.mend(5)
	heard := make(chan struct{}, 8)
	w.wires[5].set(func(c *cable) {
		c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
			answer, err := next(body)
			if route == keeper.RouteNotices {
				heard <- struct{}{}
			}
			return answer, err
		}
	})
	r, _, ask := w.reader()
	w.cut(1, 2)
	if _, err := r.List(t.Context(), ask); err != nil {
		t.Fatalf("list: %v", err)
	}
	<-heard
	w.wires[5].set(func(c *cable) { c.tap = nil })
	w.mend(1, 2)
	w.cut(1, 2)
	list, err := r.List(t.Context(), ask)
	if err != nil || len(list.Batches)+list.Rumours != 1 {
		t.Errorf("list: got %+v, %v, want the batch %s", list, err, out.Batches[0])
	}
}

// TestUnclearListingWaits: of the three keepers that answer first only two
// hold an acknowledged batch, and its certificate is lost; the others are
// waited for.
func TestUnclearListingWaits(t *testing.T) {
	w := newWorld(t)
	for x := range w.wires {
		w.wires[x].set(func(c *cable) {
			c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				if route == keeper.RouteNotices {
					return nil, errors.New("lost on the way")
				}
				return next(body)
			}
		})
	}
	w.cut(5)
	w.net.Log(t.Context(), w.patient.id)
	out := w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	w.wires[5].set(func(c *cable) {
		c.cut = false
		c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
			if route == keeper.RouteDeposit {
				return nil, errors.New("lost on the way")
			}
			return next(body)
		}
	})
	r, _, ask := w.reader()
	for x := abaton.KeeperIndex(1); x <= 2; x++ {
		w.wires[x].set(func(c *cable) { c.delay = client.HedgeTest })
	}
	list, err := r.List(t.Context(), ask)
	if err != nil || len(list.Batches) != 1 || list.Batches[0].Name != out.Batches[0] {
		t.Errorf("list: got %+v, %v, want the acknowledged batch", list, err)
	}
}

// TestEverythingListed is T11 for listings: acknowledged at any four, asked at
// any three, every batch is named.
func TestEverythingListed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	wrote, dir := 0, t.TempDir()
	for absent := abaton.KeeperIndex(1); absent <= 5; absent++ {
		n := w.network(w.org.signing)
		box, err := client.OpenOutbox(dir, key.Secret{1})
		if err != nil {
			t.Fatalf("open outbox: %v", err)
		}
		wr := w.writerOver(n, box)
		settled(t, wr)
		w.cut(absent)
		w.put(wr, w.writes(general, "w"+string(rune('0'+absent)), 2))
		n.Close()
		box.Close()
		w.mend(absent)
		wrote++
		for x := abaton.KeeperIndex(1); x <= 5; x++ {
			for y := x + 1; y <= 5; y++ {
				w.cut(x, y)
				r, _, ask := w.reader()
				list, err := r.List(t.Context(), ask)
				w.mend(x, y)
				if err != nil {
					t.Fatalf("list with %d and %d away: %v", x, y, err)
				}
				if len(list.Batches)+list.Rumours != wrote {
					t.Fatalf("list with %d and %d away: got %d batches and %d rumours, want %d", x, y, len(list.Batches), list.Rumours, wrote)
				}
			}
		}
	}
}

func TestEraseAndHistory(t *testing.T) {
	w := newWorld(t)
	out := w.put(w.writer(t.TempDir()), w.writes(general, "a", 5))
	r, _, ask := w.reader()
	gone := out.Names[2]
	if _, err := w.net.Erase(t.Context(), w.patient.hand(), client.Row{Batch: gone.Batch, Records: 1 << gone.Index}); err != nil {
		t.Fatalf("erase: %v", err)
	}
	w.net.Refresh(w.patient.id)
	c, err := r.Chart(t.Context(), ask)
	if err != nil {
		t.Fatalf("chart: %v", err)
	}
	if len(c.Records) != 4 || len(c.Missing) != 0 {
		t.Errorf("after the erasure: got %d records and %d missing, want its 4 neighbours", len(c.Records), len(c.Missing))
	}
	got, err := r.Get(t.Context(), ask, client.Row{Batch: gone.Batch, Records: 1 << gone.Index})
	if err == nil && (len(got.Records) != 0 || len(got.Missing) != 1 || !errors.Is(got.Missing[0].Err, abaton.ErrErased)) {
		t.Errorf("the erased record: got %+v, want erased", got)
	}

	own, _ := w.own()
	h, err := own.History(t.Context(), w.patient.id)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	if h.Verdict != ledger.Complete {
		t.Errorf("history of %d: got %q, want complete", h.Answered, h)
	}
	opened := uint64(0)
	for _, l := range h.Lines {
		for _, row := range l.Rows {
			if l.Op == ledger.OpRelease && l.Actor == w.doctor.id && row.Batch == gone.Batch {
				opened |= row.Released
			}
		}
	}
	if opened&^1 == 0 {
		t.Error("history: the doctor's opening is not in it")
	}
	w.cut(1, 2)
	if h, err = own.History(t.Context(), w.patient.id); err != nil || h.Verdict != ledger.CompleteUnless {
		t.Errorf("history from three: got %v, %v, want complete unless one of these lies", h, err)
	}
	w.cut(3)
	if h, err = own.History(t.Context(), w.patient.id); err != nil || h.Verdict != ledger.Incomplete {
		t.Errorf("history from two: got %v, %v, want incomplete", h, err)
	}
}

// TestHistoryWithASilentLedger: a keeper that hides the end of its ledger does
// not hide a disclosure (A19).
func TestHistoryWithASilentLedger(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	r, _, ask := w.reader()
	if _, err := r.Chart(t.Context(), ask); err != nil {
		t.Fatalf("chart: %v", err)
	}
	l := w.login(w.patient, session.Bundle{Patient: w.patient.id})
	own := w.readerOf(l)
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		w.lie(x, l, func(r *keeper.Reply) { r.Disclosures, r.Total = nil, 0 })
		h, err := own.History(t.Context(), w.patient.id)
		if err != nil {
			t.Fatalf("history: %v", err)
		}
		seen := false
		for _, line := range h.Lines {
			seen = seen || line.Op == ledger.OpRelease && line.Actor == w.doctor.id
		}
		if !seen {
			t.Errorf("keeper %d silent: the opening is not in the history (%s)", x, h)
		}
		w.mend(x)
	}
}

// TestNothingLeftBehind: no goroutine outlives Close, with keepers hanging,
// dead and fine.
func TestNothingLeftBehind(t *testing.T) {
	w := newWorld(t)
	w.net.Log(t.Context(), w.patient.id)
	before, dir := runtime.NumGoroutine(), t.TempDir()
	for range 3 {
		n := w.network(w.org.signing)
		box, err := client.OpenOutbox(dir, key.Secret{1})
		if err != nil {
			t.Fatalf("open outbox: %v", err)
		}
		w.wires[1].set(func(c *cable) { c.delay = time.Hour })
		w.cut(2)
		wr := w.writerOver(n, box)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = wr.Put(ctx, w.writes(general, "b", 2))
		cancel()
		// On a slow machine the time may be over before the batch is sealed.
		if err != nil && !errors.Is(err, abaton.ErrPending) && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("put: %v", err)
		}
		r, _, ask := w.reader()
		if _, err := r.Chart(t.Context(), ask); err != nil {
			t.Fatalf("chart: %v", err)
		}
		n.Close()
		n.Close() // twice is fine
		box.Close()
		w.mend(1, 2)
	}
	w.net.Close()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("goroutines: got %d, want at most %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// TestForgedHistory: entries that are not in the keeper's signed ledger, or
// fewer than it says it has, do not count as an answer.
func TestForgedHistory(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	forgeries := map[string]func(*keeper.Reply){
		"entry":  func(r *keeper.Reply) { r.Disclosures[0].Entry[len(r.Disclosures[0].Entry)-1] ^= 1 },
		"salt":   func(r *keeper.Reply) { r.Disclosures[0].Salt[0] ^= 1 },
		"leaf":   func(r *keeper.Reply) { r.Disclosures[0].Leaf[0] ^= 1 },
		"place":  func(r *keeper.Reply) { r.Disclosures[0].Index += 1 },
		"ending": func(r *keeper.Reply) { r.Disclosures = r.Disclosures[:len(r.Disclosures)-1] },
	}
	for name, forge := range forgeries {
		l := w.login(w.patient, session.Bundle{Patient: w.patient.id})
		own := w.readerOf(l)
		for x := abaton.KeeperIndex(1); x <= 2; x++ {
			w.lie(x, l, forge)
		}
		h, err := own.History(t.Context(), w.patient.id)
		if err != nil || h.Answered != 3 || h.Verdict != ledger.CompleteUnless {
			t.Errorf("forged %s at two keepers: got %d answers, %v, want 3", name, h.Answered, err)
		}
		w.mend(1, 2)
	}
}

// TestReplayedLogs: an older answer, however well signed, is no answer: a
// revoked grant does not come back by it (A17).
func TestReplayedLogs(t *testing.T) {
	w := newWorld(t)
	for x := abaton.KeeperIndex(1); x <= 3; x++ {
		var mu sync.Mutex
		var old []byte
		w.wires[x].set(func(c *cable) {
			c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				out, err := next(body)
				if route != keeper.RouteQuery || err != nil {
					return out, err
				}
				mu.Lock()
				defer mu.Unlock()
				if old == nil {
					old = out
				}
				return old, nil
			}
		})
	}
	w.net.Refresh(w.patient.id)
	w.cut(4, 5) // so that the three are heard
	if st, err := w.net.Log(t.Context(), w.patient.id); err != nil || len(st.Grants()) != 2 {
		t.Fatalf("log: %v", err)
	}
	w.mend(4, 5)
	other := w.network(w.org.signing) // asks again, another question
	if _, err := other.Log(t.Context(), w.patient.id); !errors.Is(err, abaton.ErrUnavailable) {
		t.Errorf("log from two answers and three replays: got %v, want too few keepers", err)
	}
}

func TestReceipts(t *testing.T) {
	w := newWorld(t)
	set, batch, lock := w.keepers.Set, abaton.BatchName{1}, [32]byte{2}
	receipt := func(x abaton.KeeperIndex, change func(*keeper.Receipt)) []byte {
		r := keeper.Receipt{V: wire.Version, Keeper: x, Batch: batch, Lock: lock}
		change(&r)
		return wire.Marshal(w.wires[x].keeper.Identity.Key.Seal(wire.Receipt, wire.Marshal(r)))
	}
	same := func(*keeper.Receipt) {}
	tests := []struct {
		name string
		data []byte
		want abaton.Reason
	}{
		{"good", receipt(1, same), ""},
		{"version", receipt(1, func(r *keeper.Receipt) { r.V = 2 }), abaton.ReasonMalformed},
		{"no bytes", nil, abaton.ReasonMalformed},
		{"other keeper's name", receipt(1, func(r *keeper.Receipt) { r.Keeper = 2 }), abaton.ReasonSignature},
		{"no such keeper", receipt(1, func(r *keeper.Receipt) { r.Keeper = 6 }), abaton.ReasonKeeperSet},
		{"other batch", receipt(1, func(r *keeper.Receipt) { r.Batch[0]++ }), abaton.ReasonSignature},
		{"other lock", receipt(1, func(r *keeper.Receipt) { r.Lock[0]++ }), abaton.ReasonSignature},
	}
	for _, test := range tests {
		_, err := client.VerifyReceipt(set, test.data, batch, lock)
		refused, _ := errors.AsType[*abaton.RefusedError](err)
		if (err == nil) != (test.want == "") || refused != nil && refused.Reason != test.want {
			t.Errorf("%s: got %v, want reason %q", test.name, err, test.want)
		}
	}
	one, two, three, four := receipt(1, same), receipt(2, same), receipt(3, same), receipt(4, same)
	if err := client.VerifyCertificate(set, [][]byte{one, two, three, four}, batch, lock); err != nil {
		t.Errorf("four receipts: got %v, want a certificate", err)
	}
	if err := client.VerifyCertificate(set, [][]byte{one, two, three, three}, batch, lock); err == nil {
		t.Error("three receipts, one twice: got a certificate, want none")
	}
}

// TestGather: single writes that come together for one patient and line are
// sealed together, and each learns its own place.
func TestGather(t *testing.T) {
	w := newWorld(t)
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatalf("open outbox: %v", err)
	}
	defer box.Close()
	n := w.network(w.org.signing)
	defer n.Close()
	wr, err := n.NewWriter(client.WriterConfig{Outbox: box, Writer: w.org.signing, Gather: client.GatherMost,
		Author: seal.Author{Actor: w.org.id, Key: w.org.signing}})
	if err != nil {
		t.Fatalf("new writer: %v", err)
	}
	tx := w.writes(general, "g", 80)
	names := make([]abaton.RecordName, len(tx.Writes))
	var all sync.WaitGroup
	for i := range tx.Writes {
		all.Go(func() {
			out, err := wr.Put(t.Context(), client.Transaction{Writes: tx.Writes[i : i+1]})
			if err != nil || len(out.Names) != 1 {
				t.Errorf("put: %v", err)
				return
			}
			names[i] = out.Names[0]
		})
	}
	all.Wait()
	batches := make(map[abaton.BatchName]bool)
	for _, name := range names {
		batches[name.Batch] = true
	}
	if len(batches) >= 40 {
		t.Errorf("80 writes at once: got %d batches, want far fewer", len(batches))
	}
	r, _, ask := w.reader()
	got, err := r.Get(t.Context(), ask, client.Row{Batch: names[7].Batch, Records: 1 << names[7].Index})
	if err != nil || len(got.Records) != 1 || got.Records[0].Envelope.ID != "g-7" {
		t.Errorf("write 7: its name leads elsewhere: %v", err)
	}
}
