package custody_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// circle is where keepers speak to one another, and others ask for key logs.
type circle struct {
	*depot
	gone *key.Signing // was in the doctor's log
}

func newCircle(t *testing.T) *circle {
	t.Helper()
	w := &circle{depot: newDepot(t), gone: key.NewSigning()}
	add := w.doctor.Event(&actor.KeyAdd{Key: actor.Key{ID: w.gone.ID(), Rights: actor.Write}})
	add.Proofs = append(add.Proofs, actor.ByKey(w.gone, add.Event))
	w.Publish(t, add, w.doctor.Event(&actor.KeyRemove{ID: w.gone.ID()}))
	return w
}

// queryRow is the row of one kind of question for key logs, feeds or the time.
func (w *circle) queryRow(kind keeper.QueryKind) row {
	peer := kind == keeper.QueryFeed || kind == keeper.QueryTime
	own, no := w.doctor.Manage, refuses(abaton.ReasonCredential)
	if peer {
		own, no = w.Keepers[2].Identity.Key, refuses(abaton.ReasonPeer)
	}
	about := w.doctor.ID
	if kind == keeper.QueryHeld || kind == keeper.QuerySteer {
		own, about = w.org.Manage, w.org.ID
	}
	say := func(by *key.Signing, after time.Duration) *said {
		q := keeper.Query{V: wire.Version, Kind: kind, Time: uint64(time.Now().Add(after).Unix()), Key: by.ID()}
		switch {
		case kind == keeper.QueryTouched:
			q.Look = &ledger.Look{Organisation: w.org.ID, Until: 1 << 40}
			rand.Read(q.Look.Name[:])
		case !peer:
			q.Actors = []abaton.ActorID{about}
		}
		rand.Read(q.Nonce[:])
		return &said{body: wire.Marshal(q), seal: signedBy(wire.Query, by, w.ana.Manage), max: abaton.ControlBodyMax,
			send: func(x abaton.KeeperIndex, m []byte) abaton.Reason {
				_, err := w.Keepers[x].Call(context.Background(), keeper.RouteQuery, m)
				return whyNot(err)
			}}
	}
	by := func(k *key.Signing) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(k, 0)) }
	}
	if kind == keeper.QueryTouched {
		own = w.org.Manage
	}
	form := refuses(abaton.ReasonMalformed)
	stranger := w.ana.Manage // for peers' questions: a live key, and no keeper's
	if kind == keeper.QueryLog {
		stranger = key.NewSigning() // any live key may read a key log: docs/THREATS.md
	}
	r := row{
		name: fmt.Sprintf("query %d", kind), is: []string{fmt.Sprintf("query %d", kind), "label " + string(wire.Query)}, zero: keeper.Query{},
		say: func(_ *testing.T, after time.Duration) *said { return say(own, after) },
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: no.by(by(stranger)), removed: no.by(by(w.gone)), unknown: no.by(by(key.NewSigning())),
			replayed:  {same: true}, // it changes nothing, and the answer is about what is so now
			reordered: cannot("questions have no order"), forked: cannot("questions continue nothing"),
			expired: refuses(abaton.ReasonTime), early: refuses(abaton.ReasonTime),
			truncated: form, oversized: refuses(abaton.ReasonTooLarge), loose: form, unforeseen: form, zeroValue: form,
		},
	}
	if kind == keeper.QuerySteer {
		r.cells[replayed] = cell{same: true, entries: 1} // each look is ledgered
	}
	if kind == keeper.QueryTime {
		why := "who asks for the time may have a wrong clock: that is why it asks"
		r.cells[expired], r.cells[early] = cannot(why), cannot(why)
	}
	return r
}

// repairRow is the row of one step of a repair that keeper 5 asks for.
func (w *circle) repairRow(t *testing.T, kind keeper.RepairKind) row {
	rows := []keeper.RepairRow{{Batch: w.held.Name, Lock: spread.LockHash(w.held.Lock.Body), Bits: 1}}
	from := []abaton.KeeperIndex{1, 2, 3}
	asker := w.Keepers[5].Identity.Key
	question := func(kind keeper.RepairKind) keeper.Repair {
		q := keeper.Repair{V: wire.Version, Kind: kind, Keeper: 5, Patient: w.ana.ID, Run: [16]byte{byte(kind)}, Time: uint64(time.Now().Unix())}
		switch kind {
		case keeper.RepairPieces:
			q.Rows = rows
		case keeper.RepairParts, keeper.RepairSums:
			q.Rows, q.From, q.Run = rows, from, [16]byte{3}
		case keeper.RepairGone:
			q.Patient = abaton.ActorID{}
		}
		return q
	}
	call := func(x abaton.KeeperIndex, m []byte) ([]byte, error) {
		return w.Keepers[x].Call(context.Background(), keeper.RouteRepair, m)
	}
	right := question(kind)
	at := []abaton.KeeperIndex{1, 2, 3, 4} // the fifth asks
	switch kind {
	case keeper.RepairParts:
		at = from
	case keeper.RepairSums:
		at = from[:1] // each has boxes of its own
		for _, x := range from {
			q := question(keeper.RepairParts)
			answer, err := call(x, wire.Marshal(asker.Seal(wire.Peer, wire.Marshal(q))))
			var a keeper.Repaired
			if err != nil || wire.Unmarshal(answer, &a) != nil || len(a.Boxes) != len(from) {
				t.Fatalf("keeper %d: parts of a repair: %v", x, err)
			}
			right.Parts = append(right.Parts, a.Boxes[0])
		}
	}
	say := func(change func(*keeper.Repair), by *key.Signing) *said {
		q := right
		if change != nil {
			change(&q)
		}
		return &said{body: wire.Marshal(q), seal: signedBy(wire.Peer, by, w.Keepers[1].Identity.Key),
			big:  func() []byte { return make([]byte, abaton.DepositBodyMax+1) },
			send: func(x abaton.KeeperIndex, m []byte) abaton.Reason { _, err := call(x, m); return whyNot(err) }}
	}
	with := func(change func(*keeper.Repair), by *key.Signing) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(change, by)) }
	}
	again := cell{same: true}
	if kind == keeper.RepairPieces || kind == keeper.RepairParts {
		again.entries = 1 // each time it is handed out is in the patient's history
	}
	no, form := refuses(abaton.ReasonSignature), refuses(abaton.ReasonMalformed)
	return row{
		name: fmt.Sprintf("repair %d", kind), is: []string{fmt.Sprintf("repair %d", kind), "label " + string(wire.Peer)}, zero: keeper.Repair{}, at: at,
		say: func(_ *testing.T, after time.Duration) *said {
			return say(func(q *keeper.Repair) { q.Time = uint64(time.Now().Add(after).Unix()) }, asker)
		},
		cells: map[defect]cell{
			forged: no, foreign: no, removed: no.by(with(nil, w.gone)),
			unknown:   refuses(abaton.ReasonPeer).by(with(func(q *keeper.Repair) { q.Keeper = 9 }, asker)),
			replayed:  again,
			reordered: cannot("each step stands alone: what it needs of an earlier one it brings, boxed to this run"),
			forked:    cannot("questions continue nothing; parts of two runs never meet in one sum"),
			expired:   refuses(abaton.ReasonTime), early: refuses(abaton.ReasonTime),
			truncated: form, oversized: refuses(abaton.ReasonTooLarge), loose: form, unforeseen: form, zeroValue: form,
		},
	}
}

// feedRow is the row of what one keeper tells another.
func (w *circle) feedRow() row {
	asked := [32]byte{1}
	own := w.Keepers[5].Identity.Key
	say := func(change func(*keeper.Statements), by *key.Signing) *said {
		a := keeper.Statements{V: wire.Version, Keeper: 5, Query: asked, Time: uint64(time.Now().Unix())}
		if change != nil {
			change(&a)
		}
		return &said{body: wire.Marshal(a), seal: signedBy(wire.Feed, by, w.Keepers[1].Identity.Key),
			send: func(x abaton.KeeperIndex, m []byte) abaton.Reason { return whyNot(w.Keepers[x].ReadFeed(5, asked, m)) },
			big: func() []byte {
				a.Statements = make([][]byte, 513)
				return wire.Marshal(by.Seal(wire.Feed, wire.Marshal(a)))
			}}
	}
	with := func(change func(*keeper.Statements), by *key.Signing) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(change, by)) }
	}
	no, form := refuses(abaton.ReasonSignature), refuses(abaton.ReasonMalformed)
	return row{
		name: "answer to a query", is: []string{"label " + string(wire.Feed)}, zero: keeper.Statements{}, at: []abaton.KeeperIndex{1, 2, 3, 4}, // the fifth tells
		say: func(*testing.T, time.Duration) *said { return say(nil, own) },
		cells: map[defect]cell{
			forged: no, foreign: no, removed: no.by(with(nil, w.gone)), unknown: refuses(abaton.ReasonReplay).by(with(func(a *keeper.Statements) { a.Keeper = 9 }, own)),
			replayed:  refuses(abaton.ReasonReplay).by(with(func(a *keeper.Statements) { a.Query = [32]byte{2} }, own)), // to another question
			reordered: cannot("each statement in it is verified alone; one that continues nothing known is dropped: events, reordered"),
			forked:    cannot("a feed is no log: two orders of arrival give one state, TestFiveKeepersAgree"),
			expired:   cannot("its time is only compared with the reader's clock: TestClockMedian"),
			early:     cannot("its time is only compared with the reader's clock: TestClockMedian"),
			truncated: form, oversized: refuses(abaton.ReasonTooLarge), loose: form, unforeseen: form,
			zeroValue: refuses(abaton.ReasonReplay), // it answers nothing
		},
	}
}

// checkpointRow is the row of a ledger's head as a peer brings it to be cosigned.
func (w *circle) checkpointRow(t *testing.T) row {
	end := time.Now().Add(30 * time.Second)
	for names := []string(nil); len(names) < 4; { // all four have cosigned the newest tree, and it stands still
		if time.Now().After(end) {
			t.Fatal("peers do not cosign")
		}
		names, _ = w.Keepers[5].Cosigners()
		time.Sleep(20 * time.Millisecond)
	}
	entry := w.Set.Keeper(5)
	size := w.Keepers[5].LedgerSize()
	signedAs := func(origin string, k *key.Signing, c ledger.Checkpoint) []byte {
		s, err := ledger.NewSigner(origin, k)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Sign(&note.Note{Text: string(c.Text())}, s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	newest, err := w.Keepers[5].Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add := func(old uint64, signed []byte) func(*testing.T) []try {
		body := ledger.AddCheckpoint{Old: old, Checkpoint: signed}.Marshal()
		return func(*testing.T) []try { return rightly(w.adds(body)) }
	}
	raw := func(bodies ...[]byte) func(*testing.T) []try {
		return func(*testing.T) (all []try) {
			for _, b := range bodies {
				all = append(all, rightly(w.adds(b))...)
			}
			return all
		}
	}
	right := ledger.AddCheckpoint{Old: size, Checkpoint: newest}.Marshal()
	bent := signedAs(entry.Origin, w.Keepers[5].Identity.Key, ledger.Checkpoint{Origin: entry.Origin, Size: size + 1, Root: tlog.Hash{1}})
	bent = bytes.Replace(bent, fmt.Appendf(nil, "\n%d\n", size+1), fmt.Appendf(nil, "\n%d\n", size+2), 1) // another text under the signature
	fork := ledger.Checkpoint{Origin: entry.Origin, Size: size, Root: tlog.Hash{1}}
	form := refuses("status 400")
	return row{
		name: "checkpoint", is: []string{"note"}, at: []abaton.KeeperIndex{1, 2, 3, 4}, // the fifth's ledger
		cells: map[defect]cell{
			forged:    refuses("status 403").by(add(size, bent)),
			foreign:   refuses("status 403").by(add(size, signedAs(entry.Origin, w.Keepers[4].Identity.Key, fork))),
			removed:   refuses("status 403").by(add(size, signedAs(entry.Origin, w.gone, fork))),
			unknown:   refuses("status 404").by(add(0, signedAs("keeper9.test/ledger", w.gone, ledger.Checkpoint{Origin: "keeper9.test/ledger", Size: 1}))),
			replayed:  {same: true, tries: raw(right)},               // the same tree again
			reordered: refuses("status 409").by(add(size-1, newest)), // from another tree than the one cosigned last
			forked:    refuses("status 422").finds(abaton.ReasonEquivocation).by(add(size, signedAs(entry.Origin, w.Keepers[5].Identity.Key, fork))),
			expired:   cannot("a tree does not end; how old it is stands in cosignatures: session statement, expired"),
			early:     cannot("a tree has no time"),
			truncated: form.by(raw(right[:len(right)/2], nil)), oversized: refuses(abaton.ReasonTooLarge).by(raw(make([]byte, abaton.ControlBodyMax+1))),
			loose:      form.by(raw(bytes.Replace(right, []byte("old "), []byte("old 0"), 1))),
			unforeseen: form.by(raw(bytes.Replace(right, []byte("\n\n—"), []byte("\nmore\n\n—"), 1))),
			zeroValue:  form.by(raw([]byte("old 0\n\n"))),
		},
	}
}

// adds is an add-checkpoint request's bytes on their way.
func (w *circle) adds(body []byte) *said {
	return &said{body: body, seal: func(b []byte, _ hand) []byte { return b },
		send: func(x abaton.KeeperIndex, m []byte) abaton.Reason {
			_, err := w.Keepers[x].Call(context.Background(), keeper.RouteWitness, m)
			return whyNot(err)
		}}
}

func peerRows(t *testing.T) (*custodytest.Network, []row) {
	w := newCircle(t)
	rows := []row{w.feedRow(), w.checkpointRow(t)}
	for k := keeper.QueryLog; k <= keeper.QueryTouched; k++ {
		rows = append(rows, w.queryRow(k))
	}
	rows = append(rows, w.queryRow(keeper.QueryHeld), w.queryRow(keeper.QuerySteer))
	for k := keeper.RepairBatches; k <= keeper.RepairGone; k++ {
		rows = append(rows, w.repairRow(t, k))
	}
	return w.Network, rows
}
