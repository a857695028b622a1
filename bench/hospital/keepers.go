package main

import (
	"maps"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/key"
)

const (
	keepersN  = 5
	threshold = 3
	refusers  = keepersN - threshold + 1
)

// member is one keeper, as far as the watch goes.
type member struct {
	index  abaton.KeeperIndex
	sign   *key.Signing
	watch  *detect.Watch
	ladder *contain.Ladder
	last   map[abaton.ActorID]int64 // of a throttled person: the last that passed
	known  map[pair]int64           // who opened whose record, the last time
}

type pair struct{ who, whom abaton.ActorID }

// network is five keepers, what they have been told, and verdicts on the way.
type network struct {
	w         *world
	relations *relations
	members   [keepersN]*member
	sent      []sentVerdict // in order of arrival
	delay     int64         // of a verdict to the others
	turn      int
	verdicts  int
}

type sentVerdict struct {
	at   int64
	from int
	said *contain.Said
}

func newNetwork(w *world, t detect.Thresholds, delay int64) *network {
	n := &network{w: w, relations: newRelations(w), delay: delay}
	for i := range n.members {
		x := abaton.KeeperIndex(i + 1)
		n.members[i] = &member{index: x, sign: key.NewSigning(), watch: detect.New(t), ladder: contain.NewLadder(x),
			last: make(map[abaton.ActorID]int64), known: make(map[pair]int64)}
	}
	return n
}

// outcome is what came of an act.
type outcome struct {
	opened  bool
	stepped bool // the person was asked for a fresh assertion
	refused int  // keepers that did
	level   detect.Level
	rules   detect.Rules
	related bool
	slowed  bool // what refused was a throttle, and no suspension
	held    bool // what refused was a suspension
}

// read asks keepers in that order until three have opened, as a client does;
// one that can step up does so when it is asked and asks again.
func (n *network) read(a *detect.Act, at int64, order [keepersN]int, canStep bool) (o outcome) {
	n.deliver(at)
	o.related = a.Related
	asks := n.ask(a, at, order, &o)
	if !o.opened && asks && canStep {
		o.stepped, o.refused, o.slowed, o.held = true, 0, false, false
		a.Stepped = true
		n.ask(a, at, order, &o)
	}
	return o
}

// ask is one round; it reports whether a keeper asked for a step-up.
func (n *network) ask(a *detect.Act, at int64, order [keepersN]int, o *outcome) (asks bool) {
	released := 0
	for _, i := range order {
		if released == threshold {
			break
		}
		said := n.members[i].decide(n, a, at)
		o.level, o.rules = max(o.level, said.level), o.rules|said.finding.Rules
		switch {
		case said.releases:
			released++
			continue
		case said.level >= detect.SuspendSession:
			o.held = true
		case said.slow:
			o.slowed = true
		default:
			asks = true
		}
		o.refused++
	}
	o.opened = released == threshold && a.Refused == ""
	return asks
}

// answer is what one keeper says.
type answer struct {
	finding  detect.Finding
	level    detect.Level // with what is held against the person
	releases bool
	slow     bool // throttled
}

// The rules of internal/custody (watch.go, watching.go), which a test holds this
// against: what makes a verdict, for how long, and whom it holds back.
const (
	tellable = 1<<detect.D0 | 1<<detect.D1 | 1<<detect.D2 | 1<<detect.D3 | 1<<detect.D5 | 1<<detect.D7 |
		1<<detect.D9 | 1<<detect.D11
	aboutUnrelated = 1<<detect.D2 | 1<<detect.D3
	suspendedFor   = 24 * 3600 // seconds
	askedFor       = 3600
	throttleEvery  = 30 * second
)

// decide is the watch's step of one keeper's request path.
func (m *member) decide(n *network, a *detect.Act, at int64) (s answer) {
	s.finding = m.watch.Judge(a)
	m.tell(n, a, s.finding, at)
	held := m.ladder.At(a.Time, nil, contain.Session(a.Session), contain.Person(a.Actor), contain.Device(a.Device),
		contain.Organisation(a.Organisation))
	level := held.Level
	if level < detect.SuspendSession && a.Related && held.Rules&^aboutUnrelated == 0 {
		level = 0
	}
	if level == detect.StepUp && held.Rules&aboutUnrelated == 0 && m.watch.Answered(a) {
		level = detect.Notify
	}
	s.level = max(s.finding.Level, level)
	switch {
	case a.Refused != "" || s.level >= detect.SuspendSession:
	case s.level >= detect.StepUp && !a.Stepped:
	case s.level == detect.Throttle && m.tooSoon(a, at):
		s.slow = true
	default:
		s.releases = true
	}
	m.watch.Note(m.noted(a, &s), s.releases)
	if s.releases {
		m.openedTo(a, at, s.level)
	}
	return s
}

// noted is the act with the reason for which it was refused.
func (m *member) noted(a *detect.Act, s *answer) *detect.Act {
	if s.releases || a.Refused != "" {
		return a
	}
	b := *a
	switch {
	case s.level >= detect.SuspendSession:
		b.Refused = "suspended"
	case s.slow:
		b.Refused = "throttled"
	default:
		b.Refused = abaton.ReasonStepUp
	}
	return &b
}

// tooSoon is for a throttled person and a patient who is new and without a
// reason.
func (m *member) tooSoon(a *detect.Act, at int64) bool {
	if a.Related {
		return false
	}
	if last, known := m.known[pair{a.Actor, a.Patient}]; known && at-last < day {
		return false
	}
	last, known := m.last[a.Actor]
	return known && at-last < throttleEvery
}

func (m *member) openedTo(a *detect.Act, at int64, level detect.Level) {
	m.known[pair{a.Actor, a.Patient}] = at
	if level == detect.Throttle && !a.Related {
		m.last[a.Actor] = at
	}
}

// tell makes the keeper's own verdict, when its finding is about somebody and
// none stands that says as much, and sends it.
func (m *member) tell(n *network, a *detect.Act, f detect.Finding, at int64) {
	if f.Level < detect.StepUp || f.Rules&tellable == 0 {
		return
	}
	subject, life := contain.Person(a.Actor), int64(suspendedFor)
	switch {
	case f.Level == detect.SuspendSession:
		subject = contain.Session(a.Session)
	case f.Level <= detect.Throttle:
		life = askedFor
	}
	if level, _ := m.ladder.Own(subject, a.Time, nil); level >= f.Level {
		return
	}
	said, err := contain.Sign(m.sign, contain.Verdict{Keeper: m.index, Organisation: a.Organisation, Subject: subject,
		Level: f.Level, Rules: f.Rules & tellable, Time: a.Time, Until: a.Time + life})
	if err != nil {
		panic("the simulation made a verdict that is none")
	}
	if _, err := m.ladder.Put(said, a.Honey, a.Time, nil); err != nil {
		panic("a keeper refused its own verdict")
	}
	n.verdicts++
	n.sent = append(n.sent, sentVerdict{at + n.delay, int(m.index) - 1, said})
}

// deliver lets the others hear what has arrived. A mute keeper is not heard,
// and that is meant.
func (n *network) deliver(now int64) {
	for len(n.sent) > 0 && n.sent[0].at <= now {
		v := n.sent[0]
		n.sent = n.sent[1:]
		for i, m := range n.members {
			if i != v.from {
				_, _ = m.ladder.Put(v.said, v.said.Rules.Has(detect.D9), now/second, nil)
			}
		}
	}
}

// settle is once a simulated hour.
func (n *network) settle(now int64) {
	n.relations.settle(now)
	for _, m := range n.members {
		m.watch.Settle(now / second)
		m.ladder.Settle(now / second)
		maps.DeleteFunc(m.known, func(_ pair, at int64) bool { return now-at >= day })
	}
}

// rotate is the order in which an ordinary client asks: it begins at another
// keeper each time.
func (n *network) rotate() (order [keepersN]int) {
	n.turn++
	for i := range order {
		order[i] = (n.turn + i) % keepersN
	}
	return order
}
