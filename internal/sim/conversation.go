package sim

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// Times of the conversation between keepers, longer than in life (5 s and
// 1 s), so that a seed is short; the lease is the real one.
const (
	feedEvery   = 15 * time.Second
	retryEvery  = 500 * time.Millisecond
	cosignEvery = 30 * time.Second
)

// hearing is how far a keeper has read each peer's feed in this life, and
// which of its trees each peer has cosigned.
type hearing struct {
	at     [keepers + 1]uint64
	yours  [keepers + 1][]byte
	claims [keepers + 1]uint64 // size of our own ledger that the peer remembers
	shown  [keepers + 1]uint64
	once   [keepers + 1]bool
}

// converse begins the conversations of this life.
func (k *keeper) converse() {
	for y := abaton.KeeperIndex(1); y <= keepers; y++ {
		if y != k.x {
			k.again(k.w.between(0, retryEvery), func() { k.pull(y) })
		}
	}
	k.again(k.w.between(0, cosignEvery), k.seek)
	k.again(cosignEvery, k.tick)
}

func (k *keeper) tick() {
	k.submit(job{inputs: []custody.Input{custody.Tick{}}})
	k.again(2*cosignEvery, k.tick)
}

// page is a peer's answer about its feed.
type page struct {
	statements []store.Statement
	from, head uint64
	yours      []byte
}

// pull reads one peer's feed to its head; only then the peer has been heard.
func (k *keeper) pull(y abaton.KeeperIndex) {
	life, from, clock := k.life, k.heard.at[y], k.clock()
	again := func() {
		wait := feedEvery
		if k.mode() == custody.Starting {
			wait = retryEvery
		}
		k.again(wait, func() { k.pull(y) })
	}
	k.w.call(k.place(), y, peerTimeout, func(peer *keeper, reply func(func())) {
		if d := peer.clock().Sub(clock); d > abaton.ClockSkewMax || d < -abaton.ClockSkewMax {
			return // one of the two clocks is wrong
		}
		p, ok := peer.feed(k.x, from)
		if !ok {
			return
		}
		reply(func() {
			if k.up && k.life == life {
				k.learn(y, p, again)
			}
		})
	}, func() {
		if k.up && k.life == life {
			again()
		}
	})
}

// feed is what this keeper tells a peer.
func (k *keeper) feed(to abaton.KeeperIndex, from uint64) (page, bool) {
	if k.mode() == custody.Stopped {
		return page{}, false
	}
	p := page{from: from, head: k.store.FeedHead(), yours: k.answers.Remembered(to)}
	err := k.store.Feed(from, func(s store.Statement) bool {
		p.statements = append(p.statements, s)
		return true
	})
	if k.lies(LieFeed) && len(p.statements) > 0 {
		p.statements, p.head = nil, from // nothing new here
	}
	if k.lies(LieForge) {
		p.statements = append(p.statements, k.forged()...)
	}
	return p, err == nil
}

// learn takes a page of statements, each verified, then notes that the peer
// was heard.
func (k *keeper) learn(y abaton.KeeperIndex, p page, again func()) {
	if p.head < p.from { // the peer was restored or began anew: read it again
		k.heard.at[y] = 0
		k.pull(y)
		return
	}
	var inputs []custody.Input
	for _, s := range p.statements {
		if k.knows(s) {
			continue
		}
		if in, err := k.w.stated(s.Bytes); err == nil {
			inputs = append(inputs, in)
		}
	}
	hear := func([]custody.Output) {
		k.heard.at[y] = p.head
		k.submit(job{inputs: []custody.Input{k.hears(y, p.yours)}, answer: func(out []custody.Output) {
			k.w.note("hears", k.place(), int(y), int(k.mode()))
			k.w.checker.heard(k, y)
			again()
		}})
	}
	if len(inputs) == 0 {
		hear(nil)
		return
	}
	k.submit(job{inputs: inputs, answer: hear})
}

// knows reports whether this very statement is stored here.
func (k *keeper) knows(s store.Statement) bool {
	held, err := k.store.Statement(s.Actor, s.Seq, s.Hash)
	return err == nil && bytes.Equal(held.Bytes, s.Bytes)
}

// hears is the news that a peer was read to its head. What it remembers of our
// ledger is shown to Core once: in one life a ledger only grows.
func (k *keeper) hears(y abaton.KeeperIndex, yours []byte) custody.Heard {
	if bytes.Equal(yours, k.heard.yours[y]) {
		return custody.Heard{Peer: y}
	}
	own := k.w.pool.evidence[k.x]
	k.heard.claims[y], k.heard.yours[y] = 0, yours
	if c, err := ledger.VerifyCheckpoint(yours, own.Origin, own.Ledger); err == nil {
		k.heard.claims[y] = c.Size
	}
	if k.mutates(NoQuarantine) {
		yours = nil
	}
	return custody.Heard{Peer: y, Yours: yours}
}

// authentic is an event as the door would have verified it.
func (w *world) authentic(event actor.SignedEvent) (*actor.Authentic, error) {
	if a := w.pool.events[string(event.Event)]; a != nil {
		return a, nil
	}
	if a := w.events[string(event.Event)]; a != nil {
		return a, nil
	}
	a, err := actor.Reopen(event)
	if err == nil {
		w.events[string(event.Event)] = a
	}
	return a, err
}

var errVotes = errors.New("too few votes")

// certified reads a statement as a keeper's door takes it from a client:
// certified, or one that only narrows.
func (w *world) certified(statement []byte) (custody.Input, error) {
	in, err := w.stated(statement)
	if p, bare := in.(custody.Publish); err == nil && bare && !actor.Narrows(p.Event.Kind()) {
		return nil, errVotes
	}
	return in, err
}

// stated reads a statement as it travels between keepers: the event's proofs
// and, where it has one, its certificate. The same bytes are read once.
func (w *world) stated(statement []byte) (custody.Input, error) {
	if in := w.inputs[string(statement)]; in != nil {
		return in, nil
	}
	in, err := w.read(statement)
	if err == nil {
		w.inputs[string(statement)] = in
	}
	return in, err
}

func (w *world) read(statement []byte) (custody.Input, error) {
	var s protocol.Statement
	if err := wire.Unmarshal(statement, &s); err != nil {
		return nil, err
	}
	signed, err := actor.ParseSigned(s.Event)
	if err != nil {
		return nil, err
	}
	a, err := w.authentic(signed)
	if err != nil {
		return nil, err
	}
	if len(s.Certificate) == 0 {
		return custody.Publish{Event: a}, nil
	}
	cert, err := actor.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, err
	}
	if votesOf(cert) < w.plan.Mutant.votesNeeded() {
		return nil, errVotes
	}
	return custody.Certify{Event: a, Certificate: cert, Certified: cert.Reopen()}, nil
}

// seek shows a grown ledger to the peers and keeps what they cosign.
func (k *keeper) seek() {
	k.again(cosignEvery, k.seek)
	if k.mode() != custody.Serving {
		return
	}
	for y := abaton.KeeperIndex(1); y <= keepers; y++ {
		if y != k.x && (!k.heard.once[y] || k.ledger().Size() != k.heard.shown[y]) {
			k.show(y, k.heard.shown[y], 0)
		}
	}
}

func (k *keeper) show(y abaton.KeeperIndex, old uint64, try int) {
	add, err := k.ledger().AddCheckpoint(old)
	if err != nil {
		return
	}
	life := k.life
	body := add.Marshal()
	k.w.call(k.place(), y, peerTimeout, func(peer *keeper, reply func(func())) {
		peer.submit(job{inputs: []custody.Input{custody.Cosign{Body: body}}, answer: func(out []custody.Output) {
			answer := out[0]
			reply(func() {
				if k.up && k.life == life {
					k.cosigned(y, add.Checkpoint, answer, try)
				}
			})
		}})
	}, func() {})
}

// cosigned keeps a cosignature, or follows the peer's word on the old size
// once.
func (k *keeper) cosigned(y abaton.KeeperIndex, signed []byte, answer custody.Output, try int) {
	if e, ok := errors.AsType[*protocol.StatusError](answer.Err); ok && e.Status == ledger.StatusConflict && try == 0 {
		if old, err := ledger.ParseSize(e.Body); err == nil {
			k.show(y, old, 1)
		}
		return
	}
	if answer.Err != nil {
		return
	}
	own := k.w.pool.evidence[k.x]
	point, err := ledger.VerifyCheckpoint(signed, own.Origin, own.Ledger)
	if err != nil {
		return
	}
	dated := k.w.pool.evidence[y].Dated
	both, err := ledger.Countersign(signed, answer.Bytes, dated)
	if err != nil {
		return
	}
	k.heard.shown[y], k.heard.once[y] = point.Size, true
	k.w.note("cosigned", k.place(), int(y), int(point.Size))
	if kept, err := k.ledger().Cosigned(); err == nil && len(kept) > 0 {
		if held, err := ledger.VerifyCheckpoint(kept, own.Origin, own.Ledger); err == nil && held.Size >= point.Size {
			return
		}
	}
	k.submit(job{inputs: []custody.Input{custody.Cosigned{Signed: both, Verifiers: []note.Verifier{dated}}}})
}
