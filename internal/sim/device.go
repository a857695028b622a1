package sim

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/internal/store"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// device is one device of the patient. It grants, revokes, erases and asks who
// looked, one thing after the other; each time it fetches the log first. A
// second device only takes away.
type device struct {
	w    *world
	i    int
	left int
	busy bool
}

func newDevice(w *world, i int) *device { return &device{w: w, i: i, left: w.plan.Events / (1 + i)} }

func (d *device) place() place { return atDevice + place(d.i) }

func (d *device) idle() bool { return d.left == 0 && !d.busy }

func (d *device) plan() { d.w.after(d.w.between(time.Second, 2*time.Second), d.next) }

// next makes the first grant of each reader, then whatever the seed says.
func (d *device) next() {
	if d.left == 0 {
		return
	}
	d.left--
	d.busy = true
	then := func() {
		d.busy = false
		d.w.after(d.w.between(100*time.Millisecond, d.w.plan.Life/time.Duration(2*d.w.plan.Events)), d.next)
	}
	if d.i == 0 && d.w.rng.IntN(4) == 0 {
		d.history(then)
		return
	}
	d.publish(0, d.choose(), then)
}

// wish is what the next event shall say, and the grant it gives or takes.
type wish struct {
	body actor.Body
	fact *grantFact
}

func (d *device) choose() *wish {
	w := d.w
	live := w.checker.liveGrants()
	if d.i == 0 && (len(live) == 0 || w.rng.IntN(3) == 0) {
		return d.wishGrant(w.rng.IntN(w.plan.Readers))
	}
	if len(live) > 0 && (w.plan.Stage == RevokeThree || w.plan.Stage == NoLease || w.rng.IntN(3) > 0) {
		g := live[w.rng.IntN(len(live))]
		return &wish{body: &actor.Revoke{Grant: g.id, Urgent: w.rng.IntN(2) == 0}, fact: g}
	}
	b := w.pool.batches[w.rng.IntN(w.plan.Batches)]
	bits := b.all()
	if w.rng.IntN(2) == 0 {
		bits = 1 << w.rng.IntN(b.records)
	}
	return &wish{body: &actor.Erase{Rows: []actor.Row{{Batch: b.name, Bits: bits}}}}
}

func (d *device) wishGrant(reader int) *wish {
	g := d.w.pool.patient.grant(d.w.pool.readers[reader].id, grant.Read, d.w.nonce())
	fact := d.w.checker.wanted(reader, g.ID())
	return &wish{body: &actor.Granted{Grant: g.Marshal()}, fact: fact}
}

// triesMax is how often a device signs anew after another event took its slot.
const triesMax = 20

// publish fetches the log, signs after its heads, and brings the event into
// force. A split log is closed by a merge first; where another event took the
// slot, what others left half way is finished and the event signed anew.
func (d *device) publish(try int, wanted *wish, then func()) {
	d.fetch(func(st *actor.State, open []*actor.Authentic) {
		if st == nil {
			d.w.after(time.Second, func() { d.publish(try, wanted, then) })
			return
		}
		heads := st.Heads()
		if len(heads) > 1 { // a split: what all heads name must be known before a merge names it
			d.finish(open, func() {
				d.sign(heads, &actor.Merge{}, nil, func(over bool) { d.retry(try, over, wanted, then) })
			})
			return
		}
		if g, again := wanted.body.(*actor.Granted); again && try > 0 {
			wanted.body, wanted.fact = d.renew(g, wanted.fact)
		}
		d.sign(heads, wanted.body, wanted.fact, func(over bool) {
			if over || try == triesMax {
				then()
				return
			}
			d.finish(open, func() { d.retry(try, false, wanted, then) })
		})
	})
}

// retry goes on with a wish: at once after a merge, or after a pause.
func (d *device) retry(try int, at bool, wanted *wish, then func()) {
	if at {
		d.publish(try, wanted, then)
		return
	}
	d.w.after(d.w.between(100*time.Millisecond, time.Second), func() { d.publish(min(try+1, triesMax), wanted, then) })
}

// renew is the same grant under another name: a keeper that has seen the first
// attempt would refuse it as a replay.
func (d *device) renew(old *actor.Granted, fact *grantFact) (*actor.Granted, *grantFact) {
	again := d.wishGrant(fact.reader)
	return again.body.(*actor.Granted), again.fact
}

// finish publishes again what others left half way.
func (d *device) finish(open []*actor.Authentic, then func()) {
	if len(open) == 0 {
		then()
		return
	}
	d.bring(open[0], 0, func(bool) { d.finish(open[1:], then) })
}

// sign makes the event after heads and publishes it.
func (d *device) sign(heads []actor.Place, body actor.Body, fact *grantFact, then func(over bool)) {
	d.bring(d.signed(heads, body, fact), 0, then)
}

// signed is the event that stands on heads.
func (d *device) signed(heads []actor.Place, body actor.Body, fact *grantFact) *actor.Authentic {
	w := d.w
	seq := uint64(0)
	var prev []actor.Hash
	for _, h := range heads {
		seq, prev = max(seq, h.Seq+1), append(prev, h.Hash)
	}
	slices.SortFunc(prev, func(a, b actor.Hash) int { return bytes.Compare(a[:], b[:]) })
	event := actor.New(w.pool.patient.id, seq, prev, w.clock().Unix(), body)
	a, err := w.authentic(actor.Signed(event, actor.ByKey(w.pool.patient.manage, event)))
	if err != nil {
		panic("sim: a device signs only what is well formed: " + err.Error())
	}
	w.checker.proposed(a, fact)
	return a
}

// bring publishes a signed event; its certificate leaves no earlier than pause.
func (d *device) bring(a *actor.Authentic, pause time.Duration, then func(over bool)) {
	t := &publishing{
		d: d, event: a, pause: pause, then: then, place: actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()},
		step: quorum.NewPublish(d.w.plan.Mutant.publish(five, a.Kind()), actor.Narrows(a.Kind())),
	}
	d.w.note("publishes", d.place(), int(a.Kind()), int(t.place.Seq))
	t.do(t.step.Start())
}

// publishing is one event on its way into force.
type publishing struct {
	d     *device
	event *actor.Authentic
	place actor.Place
	step  *quorum.Publish
	votes []actor.Vote
	pause time.Duration // no certificate is sent before: the device lay in a pocket
	sent  []byte        // statement with the certificate, made of the first votes
	then  func(over bool)
}

func (t *publishing) pending() bool {
	s := t.step.State()
	return s == quorum.Working || s == quorum.Pending
}

func (t *publishing) do(effects []quorum.Effect) {
	w := t.d.w
	for _, e := range effects {
		switch e.Do {
		case quorum.Send:
			t.ask(e.Keeper)
		case quorum.Certify:
			t.certify(e.Keeper)
		case quorum.Wake:
			w.after(e.After, func() { t.do(t.step.Timer(e.Keeper)) })
		case quorum.Changed:
			t.changed()
		}
	}
}

// changed goes on when the event is in force or can never be.
func (t *publishing) changed() {
	t.d.w.note("event state", t.d.place(), int(t.event.Kind()), int(t.step.State()))
	if t.pending() {
		if t.step.State() == quorum.Pending {
			t.d.w.after(pendingPatience, func() { t.say(false) })
		}
		return
	}
	inForce := t.step.State() == quorum.Durable || t.step.State() == quorum.Settled
	if inForce {
		t.d.w.checker.inForce(t)
	}
	t.say(inForce)
}

// pendingPatience is how long a device waits for a missing quorum before it
// looks at the log again; the event goes on in the background.
const pendingPatience = 10 * time.Second

// say lets whoever waits go on, once.
func (t *publishing) say(inForce bool) {
	if then := t.then; then != nil {
		t.then = nil
		then(inForce)
	}
}

func (t *publishing) ask(x abaton.KeeperIndex) {
	w := t.d.w
	w.call(t.d.place(), x, callTimeout, func(k *keeper, reply func(func())) {
		k.vote(t.event, func(v *actor.Vote, reason abaton.Reason) { reply(func() { t.voted(x, v, reason) }) })
	}, func() { t.do(t.step.Lost(x)) })
}

func (t *publishing) voted(x abaton.KeeperIndex, v *actor.Vote, reason abaton.Reason) {
	switch {
	case reason == abaton.ReasonSlot:
		t.do(t.step.Taken(x, [32]byte{}))
	case reason != "":
		t.do(t.step.Refuse(x, reason))
	case string(v.Sig) != string(vote(x, t.place).Sig):
		t.do(t.step.Lost(x))
	default:
		t.votes = append(t.votes, *v)
		t.do(t.step.Vote(x))
	}
}

// vote is a keeper that is asked to vote.
func (k *keeper) vote(a *actor.Authentic, give func(*actor.Vote, abaton.Reason)) {
	place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	if k.fault == Byzantine && !slices.Contains(k.kept.proposed, a) {
		k.kept.proposed = append(k.kept.proposed, a)
	}
	switch {
	case k.lies(LieVote):
		v := vote(k.x, place)
		give(&v, "")
		return
	case k.lies(LieTaken):
		give(nil, abaton.ReasonSlot)
		return
	}
	k.submit(job{inputs: []custody.Input{custody.Publish{Event: a}}, answer: func(out []custody.Output) {
		k.w.note("asked to vote", k.place(), int(place.Seq), len(reasonOf(out[0])))
		if reason := reasonOf(out[0]); reason != "" {
			give(nil, reason)
			return
		}
		v := vote(k.x, out[0].Place)
		give(&v, "")
	}})
}

func (t *publishing) certify(x abaton.KeeperIndex) {
	w := t.d.w
	if w.now < t.pause {
		w.after(t.pause-w.now, func() { t.certify(x) })
		return
	}
	if t.sent == nil {
		w.checker.certificate(t)
		cert := actor.NewCertificate(t.place, t.votes)
		t.sent = wire.Marshal(protocol.Statement{Event: t.event.Signed().Marshal(), Certificate: cert.Marshal()})
	}
	w.call(t.d.place(), x, callTimeout, func(k *keeper, reply func(func())) {
		if k.lies(LieAck) {
			reply(func() { t.do(t.step.Ack(x)) })
			return
		}
		in, err := w.certified(t.sent)
		if err != nil {
			reply(func() { t.do(t.step.Refuse(x, abaton.ReasonCertificate)) })
			return
		}
		k.submit(job{inputs: []custody.Input{in}, answer: func(out []custody.Output) {
			reason := reasonOf(out[0])
			k.w.note("certificate", k.place(), int(t.place.Seq), len(reason))
			reply(func() {
				if reason != "" {
					t.do(t.step.Refuse(x, reason))
					return
				}
				t.do(t.step.Ack(x))
			})
		}})
	}, func() { t.do(t.step.Lost(x)) })
}

// fetch is the patient's log as a quorum of keepers tells it, and the events in
// it that give and that no certificate stands for; nil when too few answered.
func (d *device) fetch(then func(*actor.State, []*actor.Authentic)) {
	w := d.w
	step := quorum.NewCollect(five, five.R(), five.R())
	var told []store.Statement
	over := false
	var do func([]quorum.Effect)
	do = func(effects []quorum.Effect) {
		for _, e := range effects {
			switch e.Do {
			case quorum.Send:
				x := e.Keeper
				w.call(d.place(), x, callTimeout, func(k *keeper, reply func(func())) {
					list, ok := k.log(w.pool.patient.id)
					if !ok {
						return
					}
					reply(func() {
						told = append(told, list...)
						do(step.Answer(x, false))
					})
				}, func() { do(step.Lost(x)) })
			case quorum.Wake:
				w.after(e.After, func() { do(step.Timer()) })
			case quorum.Changed:
				if !over && step.State() != quorum.Working {
					over = true
					if step.Err() != nil {
						then(nil, nil)
						return
					}
					then(w.union(told))
				}
			}
		}
	}
	do(step.Start())
}

// log is one keeper's copy of a key log.
func (k *keeper) log(id abaton.ActorID) (out []store.Statement, ok bool) {
	if k.mode() == custody.Stopped || k.lies(LieSilent) {
		return nil, false
	}
	err := k.store.Statements(id, 0, func(s store.Statement) bool {
		out = append(out, s)
		return true
	})
	// In the order of arrival: that of the store depends on names.
	slices.SortFunc(out, func(a, b store.Statement) int { return cmp.Compare(a.Index, b.Index) })
	if k.lies(LieFeed) {
		out = out[:1]
	}
	return out, err == nil
}

// union is the log that the statements of several keepers make together, as a
// client reduces it.
func (w *world) union(told []store.Statement) (*actor.State, []*actor.Authentic) {
	st := new(actor.State)
	slices.SortStableFunc(told, func(a, b store.Statement) int { return cmp.Compare(a.Seq, b.Seq) })
	seen := make(map[[32]byte]bool)
	var bare []*actor.Authentic
	for _, t := range told {
		if seen[t.Hash] {
			continue
		}
		seen[t.Hash] = true
		in, err := w.stated(t.Bytes)
		if err != nil {
			continue
		}
		switch in := in.(type) {
		case custody.Publish:
			// It gives nothing without a certificate, but what continues it
			// may have one, and a merge has to name it.
			_ = st.Apply(in.Event)
			bare = append(bare, in.Event)
		case custody.Certify:
			if st.Apply(in.Event) == nil {
				_ = st.Certify(in.Certified)
			}
		}
	}
	open := bare[:0]
	for _, a := range bare {
		if !st.IsCertified(a.Hash()) && !actor.Narrows(a.Kind()) {
			open = append(open, a)
		}
	}
	return st, open
}
