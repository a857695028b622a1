package custody_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// A stolen phone sends events that only narrow, all in one slot. Each is
// weighed against all others, so there must be an end.
func TestAttackFloodOfNarrowingEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t, 1)
	accepted := 0
	for round := range 2 {
		var events [][]byte
		for i := range 200 {
			p := *w.ana
			events = append(events, p.Event(&actor.Bar{Actor: abaton.ActorID{1, byte(i), byte(round)}}).Marshal())
		}
		for _, r := range w.sendsAll(t, 1, events) {
			if r.Reason == "" || r.Reason == abaton.ReasonSlot {
				accepted++
			}
		}
	}
	if accepted > custody.OpenMax {
		t.Errorf("got %d uncertified events of one log accepted, want at most %d", accepted, custody.OpenMax)
	}
	// The owner's passkey still takes the thief's grant back.
	p := *w.ana
	event := actor.New(p.ID, 2, []actor.Hash{w.head(t)}, time.Now().Unix(), &actor.Revoke{Grant: w.grant.ID()})
	a, err := p.Passkey.Assert(actor.HashOf(event))
	if err != nil {
		t.Fatal(err)
	}
	if r := w.sends(t, 1, actor.Signed(event, actor.ByPasskey(a))); r.Reason != abaton.ReasonSlot {
		t.Errorf("revocation by another proof of the owner: got %q, want in force without a vote", r.Reason)
	}
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.mustAsk(t, w.SignIn(t, w.doctor), 1, w.release(sealed, 1), keeper.Refused, abaton.ReasonRevoked)
}

func (w *world) sendsAll(t *testing.T, x abaton.KeeperIndex, events [][]byte) []keeper.Result {
	t.Helper()
	answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteEvents, wire.Marshal(keeper.Events{V: wire.Version, Events: events}))
	if err != nil {
		t.Fatal(err)
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r.Results
}

// Strangers sign events for somebody else's log. They must not push out the
// branch that its owner is about to merge.
func TestAttackStrangersPushOutABranch(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t, 1)
	other := *w.ana
	won := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.doctor.ID, 1, 9).Marshal()})
	w.Publish(t, won)
	lost := other.Event(&actor.Granted{Grant: other.Grant(w.doctor.ID, 1, 8).Marshal()})
	for x := range w.Keepers {
		w.sends(t, x, lost)
	}
	stranger := key.NewSigning()
	for round := range 5 {
		var events [][]byte
		for i := range 250 {
			e := actor.New(w.ana.ID, 7, []actor.Hash{{byte(i), byte(round), 1}}, 1, &actor.Bar{Actor: abaton.ActorID{1}})
			events = append(events, actor.Signed(e, actor.ByKey(stranger, e)).Marshal())
		}
		for x := range w.Keepers {
			w.sendsAll(t, x, events)
		}
	}
	w.Publish(t, other.Merge(won, lost))
}

// A removed key goes on signing, in places long taken. It must not push out the
// branch that the owner is about to merge, and its own is remembered: the merge
// of a split in which it got votes has to name it.
func TestAttackRemovedKeyPushesOutABranch(t *testing.T) {
	w := newWorld(t, 1)
	thief, other := *w.ana, *w.ana
	place := func(n byte) *actor.Granted {
		return &actor.Granted{Grant: w.ana.Grant(w.doctor.ID, 1, uint32(n)).Marshal()}
	}
	stolen := thief.Event(place(1))
	remove := passkeyed(t, &other, other.Event(&actor.KeyRemove{ID: w.ana.Manage.ID()}))
	further, device := *w.ana, *w.ana
	lost := passkeyed(t, &device, device.Event(place(2)))
	w.sends(t, 5, stolen)
	for x := range w.Keepers {
		w.sends(t, x, remove)
		if x != 5 {
			w.sends(t, x, stolen)
		}
		w.sends(t, x, lost)
	}
	for x := range w.Keepers {
		var events [][]byte
		for i := range 200 {
			e := further
			events = append(events, e.Event(&actor.Bar{Actor: abaton.ActorID{1, byte(i)}}).Marshal())
		}
		w.sendsAll(t, x, events)
	}
	for x := range w.Keepers {
		w.sends(t, x, stolen) // as whoever merges does
	}
	w.Publish(t, passkeyed(t, w.ana, other.Merge(stolen, remove, lost)))
}

// passkeyed is the same event, proved by the person's passkey.
func passkeyed(t *testing.T, p *custodytest.Person, e actor.SignedEvent) actor.SignedEvent {
	t.Helper()
	a, err := p.Passkey.Assert(actor.HashOf(e.Event))
	if err != nil {
		t.Fatal(err)
	}
	return actor.Signed(e.Event, actor.ByPasskey(a))
}

// A merge names a sound branch event and an unsound one. What was applied of
// it must not be ahead of the store, or the log cannot be read again.
func TestAttackMergeHalfApplied(t *testing.T) {
	w := newWorld(t, 1)
	good := *w.ana
	won := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.doctor.ID, 1, 9).Marshal()})
	w.Publish(t, won)
	sound := good.Event(&actor.Granted{Grant: good.Grant(w.doctor.ID, 1, 8).Marshal()})
	bad := good
	segment := w.ana.Root.Segment(custodytest.General, 9).Public().Bytes()
	unsound := bad.Event(&actor.Epoch{Line: w.ana.Root.Line(custodytest.General), Level: 1, Epoch: 9, Segment: segment})
	merge := bad.Merge(won, unsound)
	for x := range w.Keepers {
		w.sends(t, x, sound)
		w.sends(t, x, unsound)
		if r := w.sends(t, x, merge); r.Reason != abaton.ReasonEpoch {
			t.Fatalf("keeper %d: merge of an unsound branch: got %q, want %q", x, r.Reason, abaton.ReasonEpoch)
		}
	}
	// It continues the sound branch event, which nobody stored.
	after := good.Event(&actor.Bar{Actor: abaton.ActorID{9}})
	w.sends(t, 2, after)
	w.Restart(t, 2, func() {})
	if got := w.Keepers[2].AwaitMode(t); got != "serving" {
		t.Fatalf("got mode %q, want serving", got)
	}
	w.sends(t, 2, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{8}}))
	if got := w.Keepers[2].Mode(); got != custody.Serving {
		t.Errorf("after reading the log again: got mode %q, want serving", got)
	}
}

// A reader's write-back with fewer receipts, and with an erasure that nobody
// signed, must not replace a better one.
func TestAttackWriteBackForgets(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.Keepers[5].Intercept(func(route string, _ []byte) ([]byte, error) {
		if route == keeper.RouteDeposit {
			return wire.Marshal(keeper.Results{V: 1, Results: []keeper.Result{{Reason: abaton.ReasonStorage}}}), nil
		}
		return nil, nil
	})
	var receipts [][]byte
	for _, r := range w.deposits(t, sealed) {
		if r.Reason == "" {
			receipts = append(receipts, r.OK)
		}
	}
	n := keeper.Notice{Head: wire.Marshal(sealed.Uploads[0].Head), Lock: wire.Marshal(sealed.Uploads[0].Lock), Receipts: receipts}
	w.writesBack(t, n)
	n.Receipts, n.Gone = receipts[:2], 1
	w.writesBack(t, n)
	s := w.SignIn(t, w.doctor)
	r, err := w.Ask(t.Context(), s, 5, w.list())
	if err != nil || len(r.Notices) != 1 {
		t.Fatalf("got %v, want one notice", err)
	}
	if len(r.Notices[0].Receipts) != 4 || r.Notices[0].Gone != 0 {
		t.Errorf("got %d receipts and erasures %b, want 4 and none", len(r.Notices[0].Receipts), r.Notices[0].Gone)
	}
}

// TestWriteBackKeepsNothingTwice: of a batch that is held only the others'
// receipts are kept beside it, and a listing tells all the same.
func TestWriteBackKeepsNothingTwice(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	n := keeper.Notice{Head: wire.Marshal(sealed.Uploads[0].Head), Lock: wire.Marshal(sealed.Uploads[0].Lock)}
	for _, r := range w.deposits(t, sealed) {
		n.Receipts = append(n.Receipts, r.OK)
	}
	w.writesBack(t, n)
	w.writesBack(t, n) // the second finds what the first left
	kept := 0
	if err := w.Keepers[5].Store.Raw('n').Scan(nil, nil, func(_, value []byte) bool { kept += len(value); return true }); err != nil {
		t.Fatal(err)
	}
	if most := 4*len(n.Receipts[0]) + 64; kept == 0 || kept > most {
		t.Errorf("kept of the write-back: got %d bytes, want four receipts, at most %d", kept, most)
	}
	r, err := w.Ask(t.Context(), w.SignIn(t, w.doctor), 5, w.list())
	if err != nil || len(r.Notices) != 1 {
		t.Fatalf("got %v, want one notice", err)
	}
	got := r.Notices[0]
	if !bytes.Equal(got.Head, n.Head) || !bytes.Equal(got.Lock, n.Lock) || !got.Held || len(got.Receipts) != 5 {
		t.Errorf("listing: got %d receipts, held %v, want all five beside HEAD and LOCK", len(got.Receipts), got.Held)
	}
	n.Lock, n.Receipts = w.otherLock(t, sealed)
	results := w.single(t, 5, keeper.RouteNotices, wire.Marshal(keeper.Notices{V: 1, Patient: w.ana.ID, Notices: []keeper.Notice{n}}))
	if results.Reason != abaton.ReasonEquivocation {
		t.Errorf("another first LOCK: got %q, want %q", results.Reason, abaton.ReasonEquivocation)
	}
}

// otherLock is a second first LOCK of the batch, with receipts of three keepers
// that lie or were lied to.
func (w *world) otherLock(t *testing.T, s *seal.Sealed) (lock []byte, receipts [][]byte) {
	t.Helper()
	l, err := spread.ParseLock(s.Uploads[0].Lock)
	if err != nil {
		t.Fatal(err)
	}
	l.Kappa[0][0] ^= 1
	signed := w.org.Writer.Seal(wire.Lock, l.Bytes())
	for x := abaton.KeeperIndex(1); x <= 3; x++ {
		r := keeper.Receipt{V: 1, Keeper: x, Batch: s.Name, Lock: spread.LockHash(signed.Body), Time: uint64(time.Now().Unix())}
		receipts = append(receipts, wire.Marshal(w.Keepers[x].Identity.Key.Seal(wire.Receipt, wire.Marshal(r))))
	}
	return wire.Marshal(signed), receipts
}

func (w *world) writesBack(t *testing.T, n keeper.Notice) {
	t.Helper()
	r := w.single(t, 5, keeper.RouteNotices, wire.Marshal(keeper.Notices{V: 1, Patient: w.ana.ID, Notices: []keeper.Notice{n}}))
	if r.Reason != "" {
		t.Fatalf("write-back refused: %s", r.Reason)
	}
}

// A reader asks at once for more than any reader takes: the keeper must not
// gather it all in memory.
func TestAttackReplyLargerThanAnyReaderTakes(t *testing.T) {
	w := newWorld(t, 1)
	first, second := w.seals(t, 1, 1), w.seals(t, 2, 1)
	w.mustDeposit(t, first)
	w.mustDeposit(t, second)
	s := w.SignIn(t, w.doctor)
	one := w.mustAsk(t, s, 1, w.release(first, 1), keeper.Permitted, "")
	w.Keepers[1].ReplyMax(len(one.Pieces[0]) * 3 / 2)
	q := w.release(first, 1)
	q.Rows = append(q.Rows, session.Row{Batch: second.Name, Bits: 1})
	if _, err := w.Ask(t.Context(), s, 1, q); reasonOf(err) != abaton.ReasonTooLarge {
		t.Errorf("got %v, want too-large", err)
	}
	w.mustAsk(t, s, 1, w.release(second, 1), keeper.Permitted, "")
}

// head is the patient's grant of the doctor, the newest event that everybody
// has certified.
func (w *world) head(t *testing.T) actor.Hash {
	t.Helper()
	p := *w.ana
	a, err := actor.Authenticate(p.Event(&actor.Bar{Actor: abaton.ActorID{1}}), w.Set.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	return a.Event().Prev[0]
}
