package custody_test

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// gathered is a batch as a reader of all of it has it.
func (w *world) gathered(t *testing.T, s *seal.Sealed) *spread.Gathered {
	t.Helper()
	m := len(s.Uploads[0].Rows)
	g, err := spread.NewGather(s.Name, 1<<m-1, spread.FiveKeepers(), w.Set.ID(), func(*spread.Head, *spread.Lock) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range s.Uploads[:3] {
		c, err := spread.Check(u, spread.FiveKeepers(), w.Set.ID(), abaton.KeeperIndex(i+1))
		if err != nil {
			t.Fatal(err)
		}
		p, err := spread.MakePiece(c.Stored(), 1<<m-1)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Add(abaton.KeeperIndex(i+1), p.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	return g.Result()
}

// newLock locks a batch anew to an epoch of its line.
func (w *world) newLock(t *testing.T, s *seal.Sealed, epoch uint32, change func(*seal.Relocking)) *seal.Relocked {
	t.Helper()
	r := seal.Relocking{Segment: w.ana.Root.Segment(custodytest.General, epoch).Public(), Set: w.Set.ID(), Shape: spread.FiveKeepers(), Locker: w.ana.Manage}
	if change != nil {
		change(&r)
	}
	authors := func(abaton.ActorID) []abaton.KeyID { return []abaton.KeyID{w.org.Writer.ID()} }
	made, err := seal.Relock(w.ana.Root.Segment(custodytest.General, 1), w.gathered(t, s), authors, r)
	if err != nil {
		t.Fatalf("re-lock: %v", err)
	}
	return made
}

// announces opens the second epoch of the patient's line.
func (w *world) announces(t *testing.T, epoch uint32) {
	t.Helper()
	segment := w.ana.Root.Segment(custodytest.General, epoch).Public().Bytes()
	w.Publish(t, w.ana.Event(&actor.Epoch{Line: w.ana.Root.Line(custodytest.General), Level: 1, Epoch: epoch, Segment: segment}))
}

// prepares hands keeper x its part of a new lock.
func (w *world) prepares(t *testing.T, x abaton.KeeperIndex, made *seal.Relocked, change func(*keeper.Prepare)) keeper.Result {
	t.Helper()
	m := keeper.Prepare{V: 1, Patient: w.ana.ID, Rekey: made.Rekeys[x-1].Bytes()}
	if change != nil {
		change(&m)
	}
	box, err := w.Set.BoxOf(x)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := spread.SealRekey(wire.Marshal(m), w.Set.ID(), x, box)
	if err != nil {
		t.Fatal(err)
	}
	return w.single(t, x, keeper.RoutePrepare, wire.Marshal(keeper.Prepares{V: 1, Prepares: [][]byte{sealed}}))
}

// commits asks keeper x to put locks in force; the error is that of the message.
func (w *world) commits(t *testing.T, x abaton.KeeperIndex, locks ...keeper.Commit) ([]keeper.Result, error) {
	t.Helper()
	answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteCommit, wire.Marshal(keeper.Commits{V: 1, Patient: w.ana.ID, Locks: locks}))
	if err != nil {
		return nil, err
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r.Results, nil
}

// locksAt are the numbers of the locks keeper x holds, the one in force first.
func (w *world) locksAt(t *testing.T, x abaton.KeeperIndex, batch abaton.BatchName) (numbers []uint64) {
	t.Helper()
	whole, err := w.Keepers[x].Store.Whole(w.ana.ID, batch, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	var s wire.Signed
	if err := wire.Unmarshal(whole.Notice.Lock, &s); err != nil {
		t.Fatal(err)
	}
	l, err := spread.DecodeLock(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	numbers = append(numbers, l.Number)
	for _, b := range whole.Beside {
		numbers = append(numbers, b.Number)
	}
	return numbers
}

// TestPrepareAndCommit: prepared, a lock changes nothing for readers; with four
// receipts it is in force and the old shares are gone.
func TestPrepareAndCommit(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	first := w.deposits(t, sealed)
	w.announces(t, 2)
	made := w.newLock(t, sealed, 2, nil)
	hash := spread.LockHash(made.Lock.Body)
	var receipts [][]byte
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		r := w.prepares(t, x, made, nil)
		if r.Reason != "" {
			t.Fatalf("keeper %d: prepare refused: %s", x, r.Reason)
		}
		if again := w.prepares(t, x, made, nil); !bytes.Equal(again.OK, r.OK) {
			t.Errorf("keeper %d: the same lock again: got another receipt", x)
		}
		receipts = append(receipts, r.OK)
	}
	s := w.SignIn(t, w.ana)
	own := w.release(sealed, 0b1111)
	own.Grant, own.Purpose = abaton.GrantID{}, abaton.PatientAccess
	if r := w.mustAsk(t, s, 1, own, keeper.Permitted, ""); len(r.Pieces) != 1 || lockOf(t, r.Pieces[0]) != spread.LockHash(sealed.Lock.Body) {
		t.Errorf("release while prepared: got %d pieces, want one under the old lock", len(r.Pieces))
	}
	own.Mode = session.Locks
	if r := w.mustAsk(t, s, 1, own, keeper.Permitted, ""); len(r.Pieces) != 2 || lockOf(t, r.Pieces[1]) != hash {
		t.Errorf("every lock: got %d pieces, want the old and the new", len(r.Pieces))
	}
	before, err := w.Keepers[1].Store.Shares(w.ana.ID, sealed.Name)
	if err != nil {
		t.Fatal(err)
	}
	size := w.Keepers[1].LedgerSize()
	c := keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: receipts}
	for range 2 { // the second time without effect
		results, err := w.commits(t, 1, c)
		if err != nil || results[0].Reason != "" {
			t.Fatalf("commit: got %v, %v, want in force", results, err)
		}
		if n := w.Keepers[1].LedgerSize(); n != size+1 {
			t.Errorf("ledger: got %d entries more, want 1", n-size)
		}
	}
	after, err := w.Keepers[1].Store.Shares(w.ana.ID, sealed.Name)
	if err != nil {
		t.Fatal(err)
	}
	for j := range after {
		if after[j].Bytes == before[j].Bytes || after[j].Bytes != made.Rekeys[0].Shares[j] {
			t.Errorf("record %d: the share is not the new one", j)
		}
	}
	if got := w.locksAt(t, 1, sealed.Name); len(got) != 1 || got[0] != 2 {
		t.Errorf("locks: got %v, want number 2 alone", got)
	}
	if got := w.locksAt(t, 2, sealed.Name); len(got) != 2 {
		t.Errorf("keeper without the commit: got locks %v, want both", got)
	}
	if again := w.deposits(t, sealed); !bytes.Equal(again[1].OK, first[1].OK) || again[1].Reason != "" {
		t.Errorf("upload tried again after the re-lock: got %q, want the old receipt", again[1].Reason)
	}
}

func lockOf(t *testing.T, piece []byte) spread.Hash32 {
	t.Helper()
	p, err := spread.ParsePiece(piece)
	if err != nil {
		t.Fatal(err)
	}
	return spread.LockHash(p.Lock.Body)
}

// TestPrepareRefused: who may lock, to what, under which number.
func TestPrepareRefused(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	w.announces(t, 2)
	w.announces(t, 3)
	good := w.newLock(t, sealed, 3, nil)
	stranger := w.newLock(t, sealed, 3, func(r *seal.Relocking) { r.Locker = w.doctor.Manage })
	writer := w.newLock(t, sealed, 3, func(r *seal.Relocking) { r.Locker = w.org.Writer })
	third := w.newLock(t, sealed, 3, func(r *seal.Relocking) { r.Continues = lockIn(t, good.Lock) })
	fourth := w.newLock(t, sealed, 3, func(r *seal.Relocking) { r.Continues = lockIn(t, third.Lock) })
	baseOf := func(l wire.Signed) func(*keeper.Prepare) {
		return func(m *keeper.Prepare) { m.Base = wire.Marshal(l) }
	}
	rekey := func(change func(*spread.Rekey)) func(*keeper.Prepare) {
		return func(m *keeper.Prepare) {
			r, err := spread.ParseRekey(m.Rekey)
			if err != nil {
				t.Fatal(err)
			}
			change(r)
			m.Rekey = r.Bytes()
		}
	}
	for name, c := range map[string]struct {
		made   *seal.Relocked
		change func(*keeper.Prepare)
		want   abaton.Reason
	}{
		"a stranger's key":               {stranger, nil, abaton.ReasonWriter},
		"the writer's key":               {writer, nil, abaton.ReasonWriter},
		"the epoch before":               {w.newLock(t, sealed, 2, nil), nil, abaton.ReasonEpoch},
		"the first epoch":                {w.newLock(t, sealed, 1, nil), nil, abaton.ReasonEpoch},
		"a segment of no line":           {w.newLock(t, sealed, 9, nil), nil, abaton.ReasonEpoch},
		"a lock it does not continue":    {fourth, nil, abaton.ReasonParent},
		"a base that is not the one":     {fourth, baseOf(good.Lock), abaton.ReasonMalformed},
		"a base with a false signature":  {fourth, func(m *keeper.Prepare) { b := third.Lock; b.Sig = good.Lock.Sig; m.Base = wire.Marshal(b) }, abaton.ReasonSignature},
		"a base that is no lock":         {fourth, func(m *keeper.Prepare) { m.Base = []byte{1} }, abaton.ReasonMalformed},
		"an erased record's bit":         {w.newLock(t, sealed, 3, func(r *seal.Relocking) { r.Gone = 2 }), nil, abaton.ReasonErased},
		"another patient":                {good, func(m *keeper.Prepare) { m.Patient = w.org.ID }, abaton.ReasonNotFound},
		"nobody":                         {good, func(m *keeper.Prepare) { m.Patient = abaton.ActorID{7} }, abaton.ReasonActor},
		"another version":                {good, func(m *keeper.Prepare) { m.V = 2 }, abaton.ReasonMalformed},
		"a changed share":                {good, rekey(func(r *spread.Rekey) { r.Shares[1][0] ^= 1 }), abaton.ReasonShare},
		"a changed capsule":              {good, rekey(func(r *spread.Rekey) { r.Capsule[0] ^= 1 }), abaton.ReasonCapsule},
		"another keeper's part":          {good, rekey(func(r *spread.Rekey) { *r = *good.Rekeys[1] }), abaton.ReasonKeeperSet},
		"a lock with a false signature":  {good, rekey(func(r *spread.Rekey) { r.Lock.Sig = third.Lock.Sig }), abaton.ReasonSignature},
		"bytes that are no rekey at all": {good, func(m *keeper.Prepare) { m.Rekey = []byte("no") }, abaton.ReasonMalformed},
	} {
		if got := w.prepares(t, 1, c.made, c.change); got.Reason != c.want {
			t.Errorf("%s: got %q, want %q", name, got.Reason, c.want)
		}
	}
	if got := w.prepares(t, 1, fourth, baseOf(third.Lock)); got.Reason != "" { // a keeper that was away in between
		t.Errorf("continues a lock that came along: got %q, want a receipt", got.Reason)
	}
	if got := w.prepares(t, 1, good, nil); got.Reason != "" {
		t.Errorf("a lower number that nobody has: got %q, want a receipt", got.Reason)
	}
	if got := w.prepares(t, 1, w.newLock(t, sealed, 3, nil), nil); got.Reason != abaton.ReasonSlot {
		t.Errorf("another lock of a number: got %q, want %q", got.Reason, abaton.ReasonSlot)
	}
	w.Publish(t, w.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: sealed.Name, Bits: 2}}}))
	if got := w.prepares(t, 1, third, baseOf(good.Lock)); got.Reason != abaton.ReasonErased {
		t.Errorf("a lock that brings an erased record back: got %q, want %q", got.Reason, abaton.ReasonErased)
	}
}

func lockIn(t *testing.T, s wire.Signed) *spread.Lock {
	t.Helper()
	l, err := spread.DecodeLock(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPreparedLocksAreBounded: abandoned locks fill no disk.
func TestPreparedLocksAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	made := w.newLock(t, sealed, 1, nil)
	for i := range store.BesideMax + 1 {
		got, want := w.prepares(t, 1, made, nil).Reason, abaton.Reason("")
		if i == store.BesideMax {
			want = abaton.ReasonTooLarge
		}
		if got != want {
			t.Errorf("lock %d: got %q, want %q", i+2, got, want)
		}
		before := made
		made = w.newLock(t, sealed, 1, func(r *seal.Relocking) { r.Continues = lockIn(t, before.Lock) })
	}
}

// TestCommitRefused: below four receipts nothing is destroyed.
func TestCommitRefused(t *testing.T) {
	w := newWorld(t, 1)
	sealed, other := w.seals(t, 1, 2), w.seals(t, 2, 1)
	w.mustDeposit(t, sealed)
	w.mustDeposit(t, other)
	w.announces(t, 2)
	made, made2 := w.newLock(t, sealed, 2, nil), w.newLock(t, other, 2, nil)
	var receipts, foreign [][]byte
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		receipts = append(receipts, w.prepares(t, x, made, nil).OK)
		foreign = append(foreign, w.prepares(t, x, made2, nil).OK)
	}
	hash := spread.LockHash(made.Lock.Body)
	forged := wire.Marshal(key.NewSigning().Seal(wire.Receipt, wire.Marshal(keeper.Receipt{V: 1, Keeper: 5, Batch: sealed.Name, Lock: hash})))
	for name, c := range map[string]struct {
		commit keeper.Commit
		want   abaton.Reason
	}{
		"three receipts":                {keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: receipts[:3]}, abaton.ReasonCertificate},
		"none":                          {keeper.Commit{Batch: sealed.Name, Lock: hash}, abaton.ReasonCertificate},
		"one twice":                     {keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: append(receipts[:3:3], receipts[2])}, abaton.ReasonCertificate},
		"one forged":                    {keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: append(receipts[:3:3], forged)}, abaton.ReasonCertificate},
		"one of another lock":           {keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: append(receipts[:3:3], foreign[3])}, abaton.ReasonCertificate},
		"receipts of the lock in force": {keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: w.oks(w.deposits(t, sealed))}, abaton.ReasonCertificate},
	} {
		results, err := w.commits(t, 1, c.commit)
		if err != nil || results[0].Reason != c.want {
			t.Errorf("%s: got %v, %v, want %q", name, results, err, c.want)
		}
		if got := w.locksAt(t, 1, sealed.Name); len(got) != 2 || got[0] != 1 {
			t.Fatalf("%s: got locks %v, want the old one in force", name, got)
		}
	}
	full := keeper.Commit{Batch: sealed.Name, Lock: hash, Receipts: receipts}
	many := make([]keeper.Commit, abaton.RequestRowsMax+1)
	for i := range many {
		many[i].Batch[0] = byte(i)
	}
	if _, err := w.commits(t, 1, many...); reasonOf(err) != abaton.ReasonTooLarge {
		t.Errorf("%d locks: got %v, want too-large", len(many), err)
	}
	if _, err := w.commits(t, 1); reasonOf(err) != abaton.ReasonMalformed {
		t.Errorf("no lock: got %v, want malformed", err)
	}
	if _, err := w.commits(t, 1, full, full); reasonOf(err) != abaton.ReasonMalformed {
		t.Errorf("a batch twice: got %v, want malformed", err)
	}
	if results, err := w.commits(t, 5, full); err != nil || results[0].Reason != abaton.ReasonNotFound {
		t.Errorf("a keeper that did not prepare: got %v, %v, want none", results, err)
	}
	// What fails of a message does not hold up the rest.
	results, err := w.commits(t, 1, keeper.Commit{Batch: other.Name, Lock: hash, Receipts: receipts}, full)
	if err != nil || results[0].Reason == "" || results[1].Reason != "" {
		t.Errorf("one of two: got %v, %v, want the second in force", results, err)
	}
	if results, err := w.commits(t, 1, keeper.Commit{Batch: sealed.Name, Lock: spread.LockHash(sealed.Lock.Body), Receipts: w.oks(w.deposits(t, sealed))}); err != nil || results[0].Reason != abaton.ReasonNotFound {
		t.Errorf("back to the first lock: got %v, %v, want none", results, err)
	}
	if got := w.locksAt(t, 1, sealed.Name); len(got) != 1 || got[0] != 2 {
		t.Errorf("locks: got %v, want number 2", got)
	}
}

func (w *world) oks(results map[abaton.KeeperIndex]keeper.Result) (out [][]byte) {
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		out = append(out, results[x].OK)
	}
	return out
}

// TestLocksOverOneAnother: of two locks that both gather receipts, each keeper
// keeps the higher until it is in force, whatever it puts in force before.
func TestLocksOverOneAnother(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 2)
	w.mustDeposit(t, sealed)
	second := w.newLock(t, sealed, 1, nil)
	third := w.newLock(t, sealed, 1, func(r *seal.Relocking) { r.Continues = lockIn(t, second.Lock) })
	var low, high [][]byte
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		low = append(low, w.prepares(t, x, second, nil).OK)
		high = append(high, w.prepares(t, x, third, nil).OK)
	}
	lowest := keeper.Commit{Batch: sealed.Name, Lock: spread.LockHash(second.Lock.Body), Receipts: low}
	highest := keeper.Commit{Batch: sealed.Name, Lock: spread.LockHash(third.Lock.Body), Receipts: high}
	for x := abaton.KeeperIndex(1); x <= 2; x++ {
		if _, err := w.commits(t, x, lowest); err != nil {
			t.Fatal(err)
		}
	}
	for x := abaton.KeeperIndex(3); x <= 5; x++ {
		if _, err := w.commits(t, x, highest); err != nil {
			t.Fatal(err)
		}
		if r, err := w.commits(t, x, lowest); err != nil || r[0].Reason != abaton.ReasonNotFound {
			t.Errorf("keeper %d: back to the lower: got %v, %v, want none", x, r, err)
		}
	}
	have := 0
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		for _, n := range w.locksAt(t, x, sealed.Name) {
			if n == 3 {
				have++
			}
		}
	}
	if have != 5 {
		t.Errorf("the higher lock: got it at %d keepers, want 5", have)
	}
}
