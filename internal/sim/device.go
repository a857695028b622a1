package sim

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// device is one device of the patient. It grants, revokes, erases and asks who
// looked, one thing after the other; each time it fetches the log first. A
// second device, which asks nobody, gives and takes beside it.
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

// wish is what the next event shall say, the grant it gives or takes, and the
// event last signed for it.
type wish struct {
	body   actor.Body
	fact   *grantFact
	signed actor.Hash
}

func (d *device) choose() *wish {
	w := d.w
	live := w.checker.liveGrants()
	if len(live) == 0 || w.rng.IntN(3) == 0 {
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

// publish brings what is wished into force as a client does: it looks at the
// log, closes a split by a merge, finishes what others left half way where
// another event took the place, and signs anew.
func (d *device) publish(try int, wanted *wish, then func()) {
	d.fetch(func(l *actor.View) {
		if l == nil {
			d.w.after(time.Second, func() { d.publish(try, wanted, then) })
			return
		}
		narrows := actor.Narrows(wanted.body.EventKind())
		if !narrows && l.State.Counts(wanted.signed) {
			then() // others have finished it
			return
		}
		step := l.Next(narrows, try > 0)
		on := func() { d.step(try, step, l.State.Knows(wanted.signed), wanted, then) }
		if step.Merge || try > 0 {
			d.finish(l.Open, on)
			return
		}
		on()
	})
}

// step signs what comes next: the merge, or what is wished unless that stands
// in the log already and waits. A grant that is lost is taken back before it is
// given under another name: a keeper that has met it refuses it as a replay, and
// a merge may bring it in.
func (d *device) step(try int, step actor.Step, waits bool, wanted *wish, then func()) {
	again := func(bool) { d.retry(try, false, wanted, then) }
	g, grants := wanted.body.(*actor.Granted)
	switch {
	case step.Merge:
		d.bring(d.signed(step, &actor.Merge{}, nil), 0, func(over bool) { d.retry(try, over, wanted, then) })
	case waits && !actor.Narrows(wanted.body.EventKind()):
		again(false)
	case grants && wanted.signed != (actor.Hash{}):
		d.bring(d.signed(step, &actor.Revoke{Grant: wanted.fact.id}, wanted.fact), 0, func(over bool) {
			if over {
				wanted.body, wanted.fact = d.renew(g, wanted.fact)
				wanted.signed = actor.Hash{}
			}
			again(over)
		})
	default:
		a := d.signed(step, wanted.body, wanted.fact)
		wanted.signed = a.Hash()
		d.bring(a, 0, func(over bool) {
			if over || try == triesMax {
				then()
				return
			}
			again(false)
		})
	}
}

// retry goes on with a wish: at once after a merge, or after a pause.
func (d *device) retry(try int, at bool, wanted *wish, then func()) {
	if at {
		d.publish(try, wanted, then)
		return
	}
	d.w.after(d.w.between(100*time.Millisecond, time.Second), func() { d.publish(min(try+1, triesMax), wanted, then) })
}

// renew is the same grant under another name.
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

// signed is the event that takes the step.
func (d *device) signed(step actor.Step, body actor.Body, fact *grantFact) *actor.Authentic {
	w := d.w
	event := step.Event(w.clock(), body)
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
