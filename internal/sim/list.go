package sim

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// listing is one List under way.
type listing struct {
	r        *reader
	g        *grantFact
	asked    *session.Asked
	began    time.Duration
	before   [batchesMax]bool // acknowledged when it began
	pinned   [batchesMax]bool // shown as saved, for good, before it began
	step     *quorum.Collect
	tally    *quorum.Tally
	receipts [batchesMax][locksMax + 1][keepers + 1][]byte // by number of the lock
	told     [batchesMax]quorum.Keepers                    // who has shown or taken the certificate
	then     func()
}

func (r *reader) list(g *grantFact, then func()) {
	w := r.w
	need := w.plan.Mutant.listAnswers()
	l := &listing{
		r: r, g: g, asked: w.question(r.who.session, g.id, session.List, nil), began: w.now,
		before: w.checker.ackedNow(), step: quorum.NewCollect(five, need, need), tally: quorum.NewTally(five), then: then,
	}
	for id := range l.pinned {
		l.pinned[id] = r.pinned[id]
	}
	w.note("lists", r.place(), g.n, 0)
	l.do(l.step.Start())
}

func (l *listing) do(effects []quorum.Effect) {
	w := l.r.w
	for _, e := range effects {
		switch e.Do {
		case quorum.Send:
			x := e.Keeper
			w.ask(l.r.place(), l.r.who.session, x, l.asked, func(a answer) { l.heard(x, a) }, func() { l.do(l.step.Lost(x)) })
		case quorum.Wake:
			w.after(e.After, func() { l.do(l.step.Timer()) })
		case quorum.Changed:
			l.changed()
		}
	}
}

func (l *listing) heard(x abaton.KeeperIndex, a answer) {
	switch {
	case l.then == nil: // over
	case a.reply == nil:
		l.do(l.step.Refuse(x, a.reason))
	case a.reply.Outcome == protocol.Refused:
		l.do(l.step.Refuse(x, a.reply.Reason))
	default:
		for i := range a.reply.Notices {
			l.take(x, &a.reply.Notices[i])
		}
		l.step.Hold(l.tally.Unclear())
		l.do(l.step.Answer(x, false))
	}
}

// take adds one notice.
func (l *listing) take(x abaton.KeeperIndex, n *protocol.Notice) {
	b := l.r.w.batchOf(n.Head)
	if b == nil {
		return
	}
	number := b.numberIn(n.Lock)
	if number == 0 {
		return
	}
	valid := quorum.Keepers(0)
	for _, r := range n.Receipts {
		if y := l.r.w.receiptOf(b, number, r); y != 0 {
			valid = valid.With(y)
			l.receipts[b.id][number][y] = r
		}
	}
	if valid.Len() >= five.W {
		l.told[b.id] = l.told[b.id].With(x)
	}
	l.tally.Add(x, b.name, n.Held, valid)
}

// batchOf is the batch of a signed HEAD.
func (w *world) batchOf(head []byte) *batch {
	for _, b := range w.pool.batches {
		if string(b.head) == string(head) {
			return b
		}
	}
	return nil
}

// changed ends the listing when there are answers enough, or too few.
func (l *listing) changed() {
	if l.then == nil || l.step.State() == quorum.Working {
		return
	}
	w, then := l.r.w, l.then
	l.then = nil
	w.note("list state", l.r.place(), int(l.step.State()), l.step.Answered().Len())
	if l.step.Err() != nil {
		then()
		return
	}
	w.result.Done.Listed++
	standing, incomplete := l.show()
	w.checker.listed(l, standing, incomplete)
	l.writeBack(standing)
	// The list is shown when what it found is written back, or cannot be.
	w.after(callTimeout, func() {
		l.pin(standing)
		then()
	})
}

// show is what the list says of each batch.
func (l *listing) show() (standing [batchesMax]quorum.Standing, incomplete bool) {
	for _, row := range l.tally.Rows() {
		b := l.r.w.pool.byName[row.Batch]
		standing[b.id] = row.Standing(five)
		incomplete = incomplete || standing[b.id] == quorum.Rumour
	}
	for id, s := range standing { // in the pool's order: names differ from pool to pool
		if s != quorum.Rumour {
			l.r.learn(l.r.w.pool.batches[id])
		}
	}
	return standing, incomplete
}

func (r *reader) learn(b *batch) {
	for _, known := range r.known {
		if known == b {
			return
		}
	}
	r.known = append(r.known, b)
}

// writeBack tells keepers that answered without the certificate.
func (l *listing) writeBack(standing [batchesMax]quorum.Standing) {
	w := l.r.w
	rows := make(map[abaton.BatchName]quorum.Row)
	for _, row := range l.tally.Rows() {
		rows[row.Batch] = row
	}
	for id := range batchesMax { // in the pool's order
		b := w.pool.batches[id]
		row, ok := rows[b.name]
		if !ok || row.Receipts.Len() <= five.F || w.plan.Mutant == NoWriteBack {
			continue
		}
		for x := range l.tally.WriteBack(row, l.step.Answered()).Each {
			number := l.newest(id)
			if number == 0 {
				continue
			}
			saved := row.Receipts.Len() >= five.W
			w.sendNotice(l.r.place(), x, b, number, l.receipts[id][number][:], func() {
				if saved {
					l.told[id] = l.told[id].With(x)
				}
			})
		}
	}
}

// newest is the highest lock that more than f keepers gave receipts for.
func (l *listing) newest(id int) (number int) {
	for n := range l.receipts[id] {
		have := 0
		for _, r := range l.receipts[id][n] {
			if r != nil {
				have++
			}
		}
		if have > five.F {
			number = n
		}
	}
	return number
}

// numberIn is the number of a signed LOCK as it came; zero for none of b's.
func (b *batch) numberIn(signed []byte) int {
	var s wire.Signed
	if wire.Unmarshal(signed, &s) != nil {
		return 0
	}
	return b.numberOf(spread.LockHash(s.Body))
}

// pin keeps what was shown as saved and is known to so many keepers that any
// later list of this reader must show it as saved.
func (l *listing) pin(standing [batchesMax]quorum.Standing) {
	for id, s := range standing {
		enough := l.told[id].Len() >= five.N-five.R()+1+five.F
		if l.r.w.plan.Mutant == NoWriteBack { // believes that it has written back
			enough = l.step.Answered().Len() >= five.N-five.R()+1+five.F
		}
		if s == quorum.Saved && enough {
			l.r.pinned[id] = true
		}
	}
}

// take keeps the valid pieces of a reply.
func (t *reading) take(x abaton.KeeperIndex, reply *protocol.Reply) {
	for _, bytes := range reply.Pieces {
		p, err := spread.ParsePiece(bytes)
		if err != nil {
			continue
		}
		b := t.r.w.pool.byName[spread.NameOf(p.Head.Body)]
		if b == nil || p.X != x {
			continue
		}
		t.judge(x, b, p)
	}
}

// judge compares a piece with what the writer sealed for x: what Gather finds
// out by its trees.
func (t *reading) judge(x abaton.KeeperIndex, b *batch, p *spread.Piece) {
	want, number := b.checked[x], b.numberOf(spread.LockHash(p.Lock.Body))
	good := number != 0 && string(p.Capsule) == string(b.capsule(x, number)) && p.Bitmap == b.all()
	shares := uint64(0)
	for i := range p.Rows {
		row := &p.Rows[i]
		switch {
		case i >= len(want.Rows):
			good = false
		case row.State == spread.RowReleased && number != 0 && row.Share == b.share(x, number, i) && string(row.Fragment) == string(want.Rows[i].Fragment):
			shares |= 1 << i
		case row.State != spread.RowReleased: // erased: nothing to open there
			t.erased[b.id] |= 1 << i
		default:
			good = false
		}
	}
	if !good {
		return
	}
	t.valid[b.id][number] = t.valid[b.id][number].With(x)
	t.r.w.checker.share(t, x, b, shares)
}
