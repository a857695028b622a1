package custody_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// depot is where records come in and are locked anew.
type depot struct {
	*world
	seq      uint64
	retired  *key.Signing        // wrote for the organisation once
	unlocker *key.Signing        // managed the patient's log once
	bea      *custodytest.Person // a patient whose first epoch ended at once
	held     *seal.Sealed        // locked to the second epoch by prepare
}

func newDepot(t *testing.T) *depot {
	t.Helper()
	w := &depot{world: newWorld(t, 1), retired: key.NewSigning(), unlocker: key.NewSigning()}
	w.bea = custodytest.NewPatient(t, w.Set, w.org, 1)
	w.Publish(t, w.bea.Inception, w.bea.Event(&actor.Epoch{Line: w.bea.Root.Line(custodytest.General), Level: 1, Epoch: 2, Urgent: true,
		Segment: w.bea.Root.Segment(custodytest.General, 2).Public().Bytes()}))
	retire := func(p *custodytest.Person, k *key.Signing, rights actor.Rights) {
		add := p.Event(&actor.KeyAdd{Key: actor.Key{ID: k.ID(), Rights: rights}})
		add.Proofs = append(add.Proofs, actor.ByKey(k, add.Event))
		w.Publish(t, add, p.Event(&actor.KeyRemove{ID: k.ID()}))
	}
	retire(w.org, w.retired, actor.Write)
	retire(w.ana, w.unlocker, actor.Manage)
	w.held = w.fresh(t, w.world)
	w.mustDeposit(t, w.held)
	w.announces(t, 2) // locks to the first are still taken
	return w
}

// fresh is a sealed batch that nobody has seen.
func (w *depot) fresh(t *testing.T, as *world) *seal.Sealed {
	t.Helper()
	w.seq++
	return as.seals(t, w.seq, 2)
}

// as is the world with another writer or patient.
func (w *depot) as(change func(*world)) *world {
	other := *w.world
	org := *w.org
	other.org = &org
	change(&other)
	return &other
}

// fields is a canonical map of the fields 1, 2, .., each already encoded: in no
// form that only a careful encoder makes.
func fields(values ...[]byte) []byte {
	out := []byte{0xa0 | byte(len(values))}
	for i, v := range values {
		out = append(append(out, byte(i+1)), v...)
	}
	return out
}

// deposit hands keeper x its part, with these bytes for HEAD and LOCK.
func (w *depot) deposit(x abaton.KeeperIndex, s *seal.Sealed, head, lock []byte) abaton.Reason {
	u := s.Uploads[x-1]
	message := fields(wire.Marshal(1), head, lock, wire.Marshal(x), wire.Marshal(u.Capsule), wire.Marshal(u.Rows))
	return w.boxed(x, wire.PieceBox, message, keeper.RouteDeposit, func(sealed []byte) any {
		return keeper.Deposits{V: wire.Version, Uploads: [][]byte{sealed}}
	})
}

// boxed seals a message to keeper x and sends it.
func (w *depot) boxed(x abaton.KeeperIndex, label wire.Label, message []byte, route string, envelope func([]byte) any) abaton.Reason {
	box, err := w.Set.BoxOf(x)
	if err != nil {
		return whyNot(err)
	}
	id := w.Set.ID()
	sealed, err := box.SealTo(label, append(id[:], byte(x)), message)
	if err != nil {
		return whyNot(err)
	}
	return w.item(x, route, wire.Marshal(envelope(sealed)))
}

// emptied stands for nothing at all where bytes are due.
func emptied(m []byte) []byte {
	if len(m) == 0 {
		return []byte{0xf6}
	}
	return m
}

// heads is the row of what a writer signs of a batch.
func (w *depot) heads(t *testing.T) row {
	say := func(t *testing.T, as *world) *said {
		s := w.fresh(t, as)
		return &said{body: s.Head.Body, seal: signedBy(wire.Head, as.org.Writer, w.doctor.Manage),
			big: func() []byte { return wire.Marshal(as.org.Writer.Seal(wire.Head, make([]byte, 600))) },
			send: func(x abaton.KeeperIndex, m []byte) abaton.Reason {
				return w.deposit(x, s, emptied(m), wire.Marshal(s.Lock))
			}}
	}
	from := func(change func(*world)) func(*testing.T) []try {
		return func(t *testing.T) []try { return rightly(say(t, w.as(change))) }
	}
	form := refuses(abaton.ReasonMalformed)
	return row{
		name: "HEAD", is: []string{"label " + string(wire.Head)}, zero: spread.Head{},
		say: func(t *testing.T, _ time.Duration) *said { return say(t, w.world) },
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), replayed: {same: true},
			foreign:   refuses(abaton.ReasonWriter).by(from(func(o *world) { o.org.Writer = w.doctor.Manage })), // live, and may not write
			removed:   refuses(abaton.ReasonWriter).by(from(func(o *world) { o.org.Writer = w.retired })),
			unknown:   refuses(abaton.ReasonActor).by(from(func(o *world) { o.ana = custodytest.NewPatient(t, w.Set, w.org, 1) })),
			reordered: cannot("numbers may come in any order and with gaps: only one used twice says something (forked)"),
			forked: refuses(abaton.ReasonEquivocation).finds(abaton.ReasonEquivocation).by(func(t *testing.T) []try {
				w.seq-- // another HEAD under the number of the last one
				return rightly(say(t, w.world))
			}),
			expired:   cannot("a HEAD has no end; what ends is the right to write (removed, and the epoch of its LOCK)"),
			early:     cannot("its hour is for lists and gives nothing"),
			truncated: form, oversized: form, loose: form, unforeseen: form, zeroValue: form,
		},
	}
}

// firstLocks is the row of the LOCK that comes with a batch.
func (w *depot) firstLocks() row {
	say := func(t *testing.T, as *world, change func(*spread.Lock)) *said {
		s := w.fresh(t, as)
		body := s.Lock.Body
		if change != nil {
			l, err := spread.DecodeLock(body)
			if err != nil {
				t.Fatal(err)
			}
			change(l)
			body = l.Bytes()
		}
		return &said{body: body, seal: signedBy(wire.Lock, as.org.Writer, w.doctor.Manage),
			big: func() []byte { return wire.Marshal(as.org.Writer.Seal(wire.Lock, make([]byte, 8192))) },
			send: func(x abaton.KeeperIndex, m []byte) abaton.Reason {
				return w.deposit(x, s, wire.Marshal(s.Head), emptied(m))
			}}
	}
	with := func(as func(*world), change func(*spread.Lock)) func(*testing.T) []try {
		return func(t *testing.T) []try { return rightly(say(t, w.as(as), change)) }
	}
	nobody := func(*world) {}
	form := refuses(abaton.ReasonMalformed)
	return row{
		name: "LOCK, the first", is: []string{"label " + string(wire.Lock)}, zero: spread.Lock{},
		say: func(t *testing.T, _ time.Duration) *said { return say(t, w.world, nil) },
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), replayed: {same: true},
			foreign: refuses(abaton.ReasonWriter).by(func(t *testing.T) []try { // signed well, by one that did not write
				s := say(t, w.world, func(l *spread.Lock) { l.Locker = w.doctor.Manage.ID() })
				m := s.seal(s.body, strange)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, m) }}
			}),
			removed:   refuses(abaton.ReasonWriter).by(with(func(o *world) { o.org.Writer = w.retired }, nil)),
			unknown:   refuses(abaton.ReasonKeeperSet).by(with(nobody, func(l *spread.Lock) { rand.Read(l.Set.Set[:]) })),
			reordered: form.by(with(nobody, func(l *spread.Lock) { l.Number, l.PrevLock = 2, [32]byte{1} })), // a later lock before the first
			expired:   refuses(abaton.ReasonEpoch).by(with(func(o *world) { o.ana = w.bea }, nil)),           // an epoch that ended at once
			early:     refuses(abaton.ReasonEpoch).by(w.toEpoch(9)),
			forked:    refuses(abaton.ReasonEquivocation).finds(abaton.ReasonEquivocation).by(w.twoLocks),
			truncated: form, oversized: form, loose: form, unforeseen: form, zeroValue: form,
		},
	}
}

// toEpoch deposits a batch locked to an epoch that was not announced.
func (w *depot) toEpoch(n uint32) func(*testing.T) []try {
	return func(t *testing.T) []try {
		s := w.fresh(t, w.world)
		l := w.relocked(t, s, func(l *spread.Lock) {
			l.Segment = wire.Hash(wire.SegmentID, w.ana.Root.Segment(custodytest.General, n).Public().Bytes())
		}, nil)
		return []try{func(x abaton.KeeperIndex) abaton.Reason { return w.deposit(x, s, wire.Marshal(s.Head), l) }}
	}
}

// twoLocks deposits one HEAD under a second LOCK of number 1, with other shares.
func (w *depot) twoLocks(t *testing.T) []try {
	s := w.fresh(t, w.world)
	w.mustDeposit(t, s)
	l := w.relocked(t, s, nil, func(row *spread.UploadRow) { rand.Read(row.Share[:]) })
	return []try{func(x abaton.KeeperIndex) abaton.Reason { return w.deposit(x, s, wire.Marshal(s.Head), l) }}
}

// relocked is the signed LOCK of a batch made anew over changed uploads: all of
// it holds, as a writer that means harm can make it.
func (w *depot) relocked(t *testing.T, s *seal.Sealed, lock func(*spread.Lock), row func(*spread.UploadRow)) []byte {
	t.Helper()
	l := lockIn(t, s.Lock)
	head, err := spread.DecodeHead(s.Head.Body)
	if err != nil {
		t.Fatal(err)
	}
	if lock != nil {
		lock(l)
	}
	ctx := spread.Ctx(head.Line, l)
	for i, u := range s.Uploads {
		var leaves []spread.Hash32
		for j := range u.Rows {
			if row != nil {
				row(&u.Rows[j])
			}
			leaves = append(leaves, spread.ShareLeaf(ctx, u.X, uint16(j), u.Rows[j].Share))
		}
		l.Kappa[i], l.Rho[i] = spread.CapsuleHash(ctx, u.X, u.Capsule), spread.Root(leaves)
	}
	return wire.Marshal(w.org.Writer.Seal(wire.Lock, l.Bytes()))
}

// laterLocks is the row of a LOCK that replaces another.
func (w *depot) laterLocks() row {
	say := func(t *testing.T, made *seal.Relocked, locker *key.Signing, patient abaton.ActorID) *said {
		return &said{body: made.Lock.Body, seal: signedBy(wire.Lock, locker, w.doctor.Manage),
			big: func() []byte { return wire.Marshal(locker.Seal(wire.Lock, make([]byte, 8192))) },
			send: func(x abaton.KeeperIndex, m []byte) abaton.Reason {
				r := made.Rekeys[x-1]
				p := keeper.Prepare{V: 1, Patient: patient, Rekey: fields(wire.Marshal(1), emptied(m), wire.Marshal(x), wire.Marshal(r.Capsule), wire.Marshal(r.Shares))}
				return w.boxed(x, wire.RekeyBox, wire.Marshal(p), keeper.RoutePrepare, func(sealed []byte) any {
					return keeper.Prepares{V: wire.Version, Prepares: [][]byte{sealed}}
				})
			}}
	}
	with := func(epoch uint32, locker *key.Signing, change func(*seal.Relocking)) func(*testing.T) []try {
		return func(t *testing.T) []try {
			made := w.newLock(t, w.held, epoch, func(r *seal.Relocking) {
				r.Locker = locker
				if change != nil {
					change(r)
				}
			})
			return rightly(say(t, made, locker, w.ana.ID))
		}
	}
	form := refuses(abaton.ReasonMalformed)
	return row{
		name: "LOCK, a later one", is: []string{"label " + string(wire.Lock)}, zero: spread.Lock{},
		say: func(t *testing.T, _ time.Duration) *said {
			return say(t, w.newLock(t, w.held, 2, nil), w.ana.Manage, w.ana.ID)
		},
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonWriter).by(with(2, w.doctor.Manage, nil)), replayed: {same: true},
			removed: refuses(abaton.ReasonWriter).by(with(2, w.unlocker, nil)),
			unknown: refuses(abaton.ReasonActor).by(func(t *testing.T) []try {
				return rightly(say(t, w.newLock(t, w.held, 2, nil), w.ana.Manage, abaton.ActorID{7}))
			}),
			reordered: refuses(abaton.ReasonParent).by(func(t *testing.T) []try { // continues one that no keeper has
				second := w.newLock(t, w.held, 2, nil)
				return with(2, w.ana.Manage, func(r *seal.Relocking) { r.Continues = lockIn(t, second.Lock) })(t)
			}),
			expired: refuses(abaton.ReasonEpoch).by(with(1, w.ana.Manage, nil)), early: refuses(abaton.ReasonEpoch).by(with(9, w.ana.Manage, nil)),
			forked:    refuses(abaton.ReasonSlot).by(with(2, w.ana.Manage, nil)), // another of the number that was taken
			truncated: form, oversized: form, loose: form, unforeseen: form, zeroValue: form,
		},
	}
}

func depositRows(t *testing.T) (*custodytest.Network, []row) {
	w := newDepot(t)
	return w.Network, []row{w.heads(t), w.firstLocks(), w.laterLocks(), w.receiptsInCommit(t), w.receiptsInNotice(t)}
}
