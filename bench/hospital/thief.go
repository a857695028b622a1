package main

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/dice"
)

// thief is one run of a script: who does it, how far it is, what came of it.
type thief struct {
	script *script
	index  int
	people []accomplice
	d      *dice.Dice
	start  int64

	phase, read, turn int
	next              int64
	inARow            int // refused
	done              bool
	seq               int32 // of victims in order
	asked             []strangerAsked

	// What came of it. Times are of acts.
	acts      int
	first     int64
	seen      int64           // a keeper asked for a step-up or more; -1 never
	queued    int64           // a rule put it before a person; -1 never
	contained int64           // the first act that n-t+1 keepers refused, after the last that opened; -1 never
	exposed   map[int32]int64 // patients whose records opened, and when first
	rules     detect.Rules
	flagged   map[string]int64 // when each onlooker named one of the people
}

// accomplice is one of those whose access is used.
type accomplice struct{ shift }

type strangerAsked struct {
	at      int64
	by      int
	patient int32
}

func newThief(s *script, index int, start int64, seed *dice.Dice, people []accomplice) *thief {
	return &thief{script: s, index: index, people: people, d: seed, start: start,
		next: start + s.phases[0].wait.Milliseconds(), seen: -1, queued: -1, contained: -1,
		exposed: make(map[int32]int64), flagged: make(map[string]int64), seq: int32(seed.Below(1 << 30))}
}

// canStep says whether a passkey is at hand.
func (t *thief) canStep() bool { return t.script.thief == "passkey" || t.script.thief == "insider" }

// turnOf is whose turn it is.
func (t *thief) turnOf() int { return t.turn % len(t.people) }

// act is the thief's next act, made at time t.next; false when it lets this
// moment pass.
func (t *thief) act(l *loop) (a act, ok bool) {
	p := &t.script.phases[t.phase]
	by := t.turnOf()
	me := &t.people[by]
	if !t.ready(l, p, by) {
		t.turn++
		t.next += p.every.Milliseconds()
		if t.next > t.start+durationMax.Milliseconds() {
			t.done = true
		}
		return act{}, false
	}
	a = act{at: t.next, who: me.person, session: me.session, device: me.device, thief: int16(t.index + 1)}
	if t.script.thief == "insider" {
		a.device, a.session = me.where(a.at)
	}
	if me.until+2*hour < a.at || me.from-2*hour > a.at || me.unknown {
		a.bits |= unknown
	}
	if p.urgent {
		a.bits |= urgently
	}
	a.patient = t.victim(l, p.victims, me)
	if a.patient < 0 {
		a.bits |= denied
	}
	t.pace(p)
	return a, true
}

// ready says whether this one may act now: at work, and under its bounds.
func (t *thief) ready(l *loop, p *phase, by int) bool {
	me := &t.people[by]
	if p.hours == "shift" {
		s := l.working(me.person, t.next)
		if s == nil {
			return false
		}
		if t.script.thief == "insider" {
			me.shift = *s
		}
	}
	for _, u := range p.under {
		n := 0
		for _, s := range t.asked {
			if s.by == by && t.next-s.at < u.in.Milliseconds() {
				n++
			}
		}
		if n >= u.most {
			return false
		}
	}
	return true
}

// pace is when the next act is, and in which phase.
func (t *thief) pace(p *phase) {
	every := p.every.Milliseconds()
	swing := every * int64(p.jitter) / 100
	if swing > 0 {
		every += int64(t.d.Below(int(2*swing))) - swing
	}
	t.next += max(every, 1)
	t.turn++
	if t.read++; t.read >= p.reads {
		t.advance()
	}
}

func (t *thief) advance() {
	t.read, t.inARow = 0, 0
	if t.phase++; t.phase == len(t.script.phases) {
		t.done = true
		return
	}
	t.next += t.script.phases[t.phase].wait.Milliseconds()
}

// victim is whose record is asked for; -1 for one that there is not.
func (t *thief) victim(l *loop, choice string, me *accomplice) int32 {
	n := len(l.w.patients)
	switch choice {
	case "nobody":
		return -1
	case "same":
		return int32(uint32(t.seq) % uint32(n))
	case "own":
		return l.w.people[me.person].chart
	case "sequential":
		t.seq++
		return t.seq % int32(n+l.honey)
	case "ward":
		return l.ofUnit(t.d, me)
	case "related":
		return l.relatedTo(t.d, me)
	case "vip", "kin", "colleagues":
		return l.delicate(t.d, choice, me)
	}
	return int32(t.d.Below(n + l.honey))
}

// order is whom the client of this thief asks, and in which order.
func (t *thief) order(n *network) [keepersN]int {
	switch t.script.keepers {
	case "fixed":
		return [keepersN]int{0, 1, 2, 3, 4}
	case "evade":
		// Spreads each new patient over other three than the last.
		var o [keepersN]int
		for i := range o {
			o[i] = (3*t.acts + i) % keepersN
		}
		return o
	}
	return n.rotate()
}

// learn takes in what came of an act of phase p.
func (t *thief) learn(a *act, o *outcome, p *phase) {
	t.acts++
	if t.first == 0 && !p.cover {
		t.first = a.at
	}
	t.rules |= o.rules
	if t.seen < 0 && o.level >= detect.StepUp {
		t.seen = a.at
	}
	if t.queued < 0 && o.level > 0 {
		t.queued = a.at
	}
	if !o.related && a.patient >= 0 && !slices.ContainsFunc(t.asked, func(s strangerAsked) bool { return s.patient == a.patient }) {
		t.asked = append(t.asked, strangerAsked{a.at, (t.turn - 1) % len(t.people), a.patient})
	}
	if o.opened {
		t.inARow, t.contained = 0, -1
		if _, known := t.exposed[a.patient]; !known && !p.cover {
			t.exposed[a.patient] = a.at
		}
		return
	}
	t.inARow++
	// What does not exist opens nowhere: there, being held is what contains.
	if t.contained < 0 && o.refused >= refusers && (a.patient >= 0 || o.held) {
		t.contained = a.at
	}
	if p.stops > 0 && t.inARow >= p.stops {
		t.done = true
	}
}

// since is the time from the first harm to at, -1 for never, 0 for before.
func (t *thief) since(at int64) time.Duration {
	switch {
	case at < 0:
		return -1
	case t.first == 0 || at < t.first:
		return 0
	}
	return time.Duration(at-t.first) * time.Millisecond
}

// accomplices are people for a script who nobody else uses, on shift at a time
// or not, as it asks.
func (l *loop) accomplices(s *script, at int64, d *dice.Dice) []accomplice {
	var all []accomplice
	for _, i := range d.Order(len(l.w.people)) {
		p := &l.w.people[i]
		if l.used[int32(i)] || p.role == abaton.RoleBatch || s.role != "any" && p.role != s.role || !l.employed(i, at) {
			continue
		}
		if u := l.w.units[p.unit].place; u == pool || s.unit != "any" && s.unit != placeWord(u) {
			continue
		}
		on := l.working(int32(i), at)
		if on == nil && s.shift == "on" || on != nil && s.shift == "off" {
			continue
		}
		a := l.accomplice(s, int32(i), on)
		if !l.hasVictims(s, d, &a) {
			continue
		}
		if all = append(all, a); len(all) == s.count {
			for _, a := range all {
				l.used[a.person] = true
			}
			return all
		}
	}
	return nil
}

// hasVictims says that there is kin, or a colleague, to look at.
func (l *loop) hasVictims(s *script, d *dice.Dice, me *accomplice) bool {
	for _, p := range s.phases {
		switch p.victims {
		case "vip", "kin", "colleagues":
			if l.delicate(d, p.victims, me) < 0 {
				return false
			}
		}
	}
	return true
}

// accomplice is somebody's access: the live session, or one of the thief's own.
func (l *loop) accomplice(s *script, who int32, on *shift) accomplice {
	a := accomplice{shift: shift{person: who, unit: l.w.people[who].unit, unknown: on == nil}}
	if on != nil {
		a.shift = *on
	}
	l.h.sessions++
	switch {
	case s.thief == "laptop" || s.thief == "passkey":
		a.session, a.device, a.moves = l.h.sessions, int32(phones)+who, nil
	case on == nil:
		a.session, a.device = l.h.sessions, int32(a.unit*devicesEach)
	}
	return a
}

func placeWord(p place) string {
	return [...]string{"ward", "urgent", "clinic", "pharmacy", "imaging", "therapy", "archive", "pool"}[p]
}
