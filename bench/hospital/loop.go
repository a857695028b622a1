package main

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/dice"
)

// loop drives days of a hospital, and thieves among its people, through five
// keepers' watches, one act after the other.
type loop struct {
	w     *world
	h     *hospital
	n     *network
	honey int // made-up patients beside the true ones

	scripts []*script
	runs    int // of each script
	train   int // days before the first attack and before anything is counted
	days    int

	thieves []*thief
	active  []*thief       // of them, those not done
	used    map[int32]bool // whose access a thief uses
	struck  map[int32]bool // of them, since the attack began
	open    map[int32][]opening
	shifts  map[int32][]shift // of yesterday and today, by person
	onlooks []onlooker
	count   *counts
}

// opening is one of an unrelated reader, until it is explained.
type opening struct {
	who int32
	at  int64
}

// onlooker sees what was opened and refuses nothing: what hospitals have today.
type onlooker interface {
	name() string
	saw(a *act, d *detect.Act)
	night() []int32 // of the last day, whom it names
}

// run is the whole time.
func (l *loop) run() {
	l.used, l.struck = make(map[int32]bool), make(map[int32]bool)
	l.open, l.shifts = make(map[int32][]opening), make(map[int32][]shift)
	plan := l.plan()
	for d := range l.days {
		acts, tells := l.h.next(d)
		l.keepShifts()
		l.enlist(plan[d], d)
		l.day(d, acts, tells)
		l.count.day(l, d)
	}
	l.count.finish(l)
}

// plan spreads the runs of all scripts over the days after the training: by
// day, the scripts that begin then.
func (l *loop) plan() [][]*script {
	out := make([][]*script, l.days)
	span := l.days - l.train
	if span <= 0 {
		return out
	}
	d := l.w.dice('A', 0)
	var all []*script
	for range l.runs {
		all = append(all, l.scripts...)
	}
	for i, at := range d.Order(len(all)) {
		// Not on the last days: slow ones need time, and are cut at the end.
		day := l.train + i%max(1, span*3/4)
		out[day] = append(out[day], all[at])
	}
	return out
}

// enlist starts a day's thieves, each at a random time of the day.
func (l *loop) enlist(scripts []*script, d int) {
	l.active = slices.DeleteFunc(l.active, func(t *thief) bool { return t.done })
	for _, s := range scripts {
		seed := l.w.dice('T', len(l.thieves))
		for range 20 {
			at := clock(d, 7.5) + int64(seed.Below(int(16*hour)))
			if people := l.accomplices(s, at, seed); people != nil {
				t := newThief(s, len(l.thieves), at, seed, people)
				l.thieves, l.active = append(l.thieves, t), append(l.active, t)
				break
			}
		}
	}
}

// day is all acts, those of thieves among them, and what is told, by time.
func (l *loop) day(d int, acts []act, tells []tell) {
	end, settled := clock(d+1, 0), clock(d, 0)
	for {
		at, t := end, l.earliest(end)
		if t != nil {
			at = t.next
		}
		if len(acts) > 0 && acts[0].at <= at {
			at, t = acts[0].at, nil
		}
		for len(tells) > 0 && tells[0].told <= at {
			l.hear(tells[0])
			tells = tells[1:]
		}
		for settled += hour; settled <= at; settled += hour {
			l.n.settle(settled)
			if (settled-clock(d, 0))/hour == nightly {
				l.night(settled)
			}
		}
		settled -= hour
		switch {
		case t != nil:
			l.steal(t)
		case len(acts) > 0 && acts[0].at < end:
			l.honest(&acts[0])
			acts = acts[1:]
		default:
			return
		}
	}
}

// nightly is the hour of the day at which onlookers have looked.
const nightly = 6

// night takes in whom the onlookers name.
func (l *loop) night(at int64) {
	for _, o := range l.onlooks {
		for _, who := range o.night() {
			if t := l.thiefOf(who); t != nil {
				if _, known := t.flagged[o.name()]; !known && t.acts > 0 {
					t.flagged[o.name()] = at
				}
			} else if at >= l.count.from {
				l.count.flags[o.name()]++
			}
		}
	}
}

// thiefOf is who uses a person's access, nil for nobody so far.
func (l *loop) thiefOf(who int32) *thief {
	for _, t := range l.thieves {
		for _, p := range t.people {
			if p.person == who && l.struck[who] {
				return t
			}
		}
	}
	return nil
}

// earliest is the thief whose next act comes first, before end.
func (l *loop) earliest(end int64) (first *thief) {
	for _, t := range l.active {
		if !t.done && t.next < end {
			first, end = t, t.next
		}
	}
	return first
}

// hear takes a relation in; whoever opened the patient without one has now a
// reason that came late.
func (l *loop) hear(t tell) {
	l.n.relations.hear(t)
	kept := l.open[t.patient][:0]
	for _, o := range l.open[t.patient] {
		if !l.n.relations.names(&t, o.who) {
			kept = append(kept, o)
			continue
		}
		l.count.explained()
		for _, m := range l.n.members {
			m.watch.Explain(l.personName(o.who), l.patientName(t.patient))
		}
	}
	if l.open[t.patient] = kept; len(kept) == 0 {
		delete(l.open, t.patient)
	}
}

func (l *loop) honest(a *act) {
	da := l.judged(a)
	o := l.n.read(&da, a.at, l.n.rotate(), a.bits&batch == 0)
	l.after(a, &da, &o)
	if !l.struck[a.who] {
		l.count.honest(l, a, &da, &o)
	}
}

func (l *loop) steal(t *thief) {
	p := &t.script.phases[t.phase]
	a, ok := t.act(l)
	if !ok {
		return
	}
	for _, p := range t.people {
		l.struck[p.person] = true
	}
	da := l.judged(&a)
	order := t.order(l.n)
	o := l.n.read(&da, a.at, order, t.canStep())
	l.after(&a, &da, &o)
	t.learn(&a, &o, p)
}

// after is what an opening leaves.
func (l *loop) after(a *act, da *detect.Act, o *outcome) {
	if !o.opened {
		return
	}
	if !da.Related {
		l.open[a.patient] = append(l.open[a.patient], opening{a.who, a.at})
	}
	for _, on := range l.onlooks {
		on.saw(a, da)
	}
}

// judged is the act as each of the keepers knows it.
func (l *loop) judged(a *act) detect.Act {
	p := &l.w.people[a.who]
	d := detect.Act{
		Time: a.at / second, Session: abaton.SessionID(name('s', a.session)), Actor: l.personName(a.who), Organisation: name('o', 1), Device: name('d', int64(a.device)),
		Patient: l.patientName(a.patient), Role: p.role, Opens: true,
		Emergency: a.bits&urgently != 0, Program: a.bits&batch != 0, OffShift: a.bits&unknown != 0 && a.bits&batch == 0,
	}
	if a.bits&denied != 0 {
		// A number that nobody has, at random: each another.
		d.Patient = name('x', a.at)
		d.Refused = abaton.ReasonNotFound
		return d
	}
	d.Honey = int(a.patient) >= len(l.w.patients)
	d.Related = a.bits&listed != 0 || l.n.relations.related(a.who, a.patient, a.at)
	d.Delicate = !d.Honey && a.bits&batch == 0 && l.w.delicate(a.who, a.patient)
	return d
}

func (l *loop) personName(i int32) abaton.ActorID  { return name('p', int64(i)) }
func (l *loop) patientName(i int32) abaton.ActorID { return name('c', int64(i)) }

// keepShifts remembers who works, for thieves.
func (l *loop) keepShifts() {
	clear(l.shifts)
	for _, all := range [][]shift{l.h.before, l.h.now} {
		for _, s := range all {
			l.shifts[s.person] = append(l.shifts[s.person], s)
		}
	}
}

// working is somebody's shift at a time, nil for none.
func (l *loop) working(who int32, at int64) *shift {
	for i := range l.shifts[who] {
		if s := &l.shifts[who][i]; s.from <= at && at < s.until {
			return s
		}
	}
	return nil
}

// employed says whether a person has come and not gone, on the day of a time.
func (l *loop) employed(who int, at int64) bool { return l.w.there(who, int((at-beginning)/day)) }

// ofUnit is a patient of the unit where somebody works: in its beds now.
func (l *loop) ofUnit(d *dice.Dice, me *accomplice) int32 {
	stays := l.h.stays[me.unit]
	var now []int32
	for _, s := range stays {
		if s.from <= me.until && s.until > me.from {
			now = append(now, s.patient)
		}
	}
	if len(now) == 0 {
		return int32(d.Below(len(l.w.patients)))
	}
	return now[d.Below(len(now))]
}

// relatedTo is a patient for whom a relation stands for this person.
func (l *loop) relatedTo(d *dice.Dice, me *accomplice) int32 {
	for range 4000 {
		p := int32(d.Below(len(l.w.patients)))
		if len(l.n.relations.of[p]) > 0 && l.n.relations.related(me.person, p, me.from+hour) {
			return p
		}
	}
	return l.ofUnit(d, me)
}

// delicate is somebody whom this person should have a reason to look at.
func (l *loop) delicate(d *dice.Dice, choice string, me *accomplice) int32 {
	own := l.w.people[me.person].chart
	var all []int32
	for i := range l.w.patients {
		p := &l.w.patients[i]
		fits := false
		switch choice {
		case "vip":
			fits = p.vip
		case "kin":
			fits = p.household == l.w.patients[own].household && int32(i) != own
		case "colleagues":
			fits = p.staff >= 0 && p.staff != me.person && l.w.people[p.staff].unit == l.w.people[me.person].unit
		}
		if fits {
			all = append(all, int32(i))
		}
	}
	if len(all) == 0 {
		return -1
	}
	return all[d.Below(len(all))]
}
