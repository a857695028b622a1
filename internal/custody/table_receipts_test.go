package custody_test

import (
	"context"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// receipt is keeper x's for a lock, signed by k.
func (w *depot) receipt(x abaton.KeeperIndex, batch abaton.BatchName, lock spread.Hash32, k *key.Signing) []byte {
	return wire.Marshal(k.Seal(wire.Receipt, wire.Marshal(keeper.Receipt{V: wire.Version, Keeper: x, Batch: batch, Lock: lock, Time: 1})))
}

// receipts are what a keeper reads receipts in: four, the last of them spoilt.
type receipts struct {
	w     *depot
	batch abaton.BatchName
	lock  spread.Hash32
	send  func(x abaton.KeeperIndex, receipts [][]byte) abaton.Reason
}

func (r *receipts) with(last ...[]byte) func(*testing.T) []try {
	return func(*testing.T) (all []try) {
		good := r.good(3)
		for _, l := range last {
			all = append(all, func(x abaton.KeeperIndex) abaton.Reason { return r.send(x, append(good[:3:3], l)) })
		}
		return all
	}
}

func (r *receipts) good(n int) (all [][]byte) {
	for x := abaton.KeeperIndex(1); int(x) <= n; x++ {
		all = append(all, r.w.receipt(x, r.batch, r.lock, r.w.Keepers[x].Identity.Key))
	}
	return all
}

// changed is the fourth receipt with its body changed and signed again.
func (r *receipts) changed(change func([]byte) []byte) []byte {
	body := change(wire.Marshal(keeper.Receipt{V: wire.Version, Keeper: 4, Batch: r.batch, Lock: r.lock, Time: 1}))
	return wire.Marshal(r.w.Keepers[4].Identity.Key.Seal(wire.Receipt, body))
}

// cells of receipts; no is what a false one makes of the whole, form what one
// that is none does.
func (r *receipts) cells(no, form cell) map[defect]cell {
	fourth := r.good(4)[3]
	own := r.w.Keepers[4].Identity.Key
	bent := append([]byte(nil), fourth...)
	bent[len(bent)-1] ^= 1
	return map[defect]cell{
		forged: no.by(r.with(bent)), foreign: no.by(r.with(r.w.receipt(4, r.batch, r.lock, r.w.Keepers[5].Identity.Key))),
		removed:   no.by(r.with(r.w.receipt(4, r.batch, r.lock, r.w.retired))),
		unknown:   no.by(r.with(r.w.receipt(6, r.batch, r.lock, own))),
		replayed:  no.by(r.with(r.w.receipt(4, r.batch, spread.Hash32{1}, own), r.w.receipt(4, abaton.BatchName{1}, r.lock, own))),
		expired:   cannot("a receipt says what was: it does not end"),
		early:     cannot("its time is for people: what counts is who signed, and for what"),
		truncated: form.by(r.with(fourth[:len(fourth)-1], fourth[:len(fourth)/2])),
		loose:     form.by(r.with(r.changed(loosened))), unforeseen: form.by(r.with(r.changed(widened))),
		zeroValue: form.by(r.with(nil, wire.Marshal(wire.Signed{}))),
	}
}

// receiptsInCommit is the row of receipts that put a lock in force.
func (w *depot) receiptsInCommit(t *testing.T) row {
	s := w.fresh(t, w.world)
	w.mustDeposit(t, s)
	made := w.newLock(t, s, 2, nil)
	for _, x := range five {
		if got := w.prepares(t, x, made, nil).Reason; got != "" {
			t.Fatalf("keeper %d: prepare: %s", x, got)
		}
	}
	r := &receipts{w: w, batch: s.Name, lock: spread.LockHash(made.Lock.Body), send: w.committing(s, spread.LockHash(made.Lock.Body))}
	no := refuses(abaton.ReasonCertificate)
	never := w.newLock(t, w.held, 2, nil)
	return row{name: "receipt, in a commit", is: []string{"label " + string(wire.Receipt)}, cells: over(r.cells(no, no), map[defect]cell{
		reordered: refuses(abaton.ReasonNotFound).by(func(*testing.T) []try { // before what it is for was prepared
			hash := spread.LockHash(never.Lock.Body)
			before := &receipts{w: w, batch: w.held.Name, lock: hash, send: w.committing(w.held, hash)}
			return []try{func(x abaton.KeeperIndex) abaton.Reason { return before.send(x, before.good(4)) }}
		}),
		forked: no.by(r.with(r.good(3)[2])), // the third keeper's twice
		oversized: refuses(abaton.ReasonTooLarge).by(func(*testing.T) []try {
			return []try{func(x abaton.KeeperIndex) abaton.Reason {
				return w.item(x, keeper.RouteCommit, make([]byte, abaton.ControlBodyMax+1))
			}}
		}),
	})}
}

// committing asks a keeper to put one lock in force.
func (w *depot) committing(s *seal.Sealed, lock spread.Hash32) func(abaton.KeeperIndex, [][]byte) abaton.Reason {
	return func(x abaton.KeeperIndex, receipts [][]byte) abaton.Reason {
		m := keeper.Commits{V: wire.Version, Patient: w.ana.ID, Locks: []keeper.Commit{{Batch: s.Name, Lock: lock, Receipts: receipts}}}
		return w.item(x, keeper.RouteCommit, wire.Marshal(m))
	}
}

// receiptsInNotice is the row of receipts that tell of a batch.
func (w *depot) receiptsInNotice(t *testing.T) row {
	s := w.fresh(t, w.world)
	noticing := func(patient abaton.ActorID) func(abaton.KeeperIndex, [][]byte) abaton.Reason {
		return func(x abaton.KeeperIndex, receipts [][]byte) abaton.Reason {
			n := keeper.Notice{Head: wire.Marshal(s.Head), Lock: wire.Marshal(s.Lock), Receipts: receipts}
			return w.item(x, keeper.RouteNotices, wire.Marshal(keeper.Notices{V: wire.Version, Patient: patient, Notices: []keeper.Notice{n}}))
		}
	}
	r := &receipts{w: w, batch: s.Name, lock: spread.LockHash(s.Lock.Body), send: noticing(w.ana.ID)}
	no, form := refuses(abaton.ReasonCertificate), refuses(abaton.ReasonMalformed)
	return row{name: "receipt, in a notice", is: []string{"label " + string(wire.Receipt)}, cells: over(r.cells(no, form), map[defect]cell{
		reordered: cannot("a notice may come before the batch: that is what it is for"),
		forked: no.by(func(*testing.T) []try { // one keeper's twice is one: more than f must have signed
			one := r.good(1)[0]
			return []try{func(x abaton.KeeperIndex) abaton.Reason { return r.send(x, [][]byte{one, one}) }}
		}),
		oversized: refuses(abaton.ReasonTooLarge).by(func(*testing.T) []try {
			return []try{func(x abaton.KeeperIndex) abaton.Reason {
				_, err := w.Keepers[x].Call(context.Background(), keeper.RouteNotices, make([]byte, abaton.ControlBodyMax+1))
				return whyNot(err)
			}}
		}),
	})}
}
