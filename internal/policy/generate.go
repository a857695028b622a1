package policy

import (
	"iter"
	"maps"

	"github.com/abaton-health/abaton"
)

// generatedNow is the moment of generated requests: Wednesday 13 January 2027 at
// noon by the text's own clock.
const generatedNow = 1799841600

// variation is one respect in which a request may differ from an ordinary one.
// Of one aspect a request has only one variation.
type variation struct {
	aspect string
	coarse bool // tried together with others too
	change func(*Facts)
}

// Generate makes requests that tell two texts apart: every kind of asker and
// every role that one of them names, every purpose and level; in each mode in an
// ordinary situation; and as releases in every situation that differs from it in one
// respect, at, just below and just above every number that stands in the texts, or
// plainly in two. The same two texts give the same requests.
func Generate(before, after *Rules) iter.Seq[*Facts] {
	v := newVocabulary(before, after)
	kinds := v.variations(after.clock)
	return func(yield func(*Facts) bool) {
		for f := range v.ordinary(after.clock) {
			if !vary(f, kinds, yield) {
				return
			}
		}
	}
}

// vary yields f and, for releases, which are what a request is for, its
// variations.
func vary(f *Facts, kinds []variation, yield func(*Facts) bool) bool {
	if !yield(f) || f.Mode != Release {
		return f.Mode != Release
	}
	for i, one := range kinds {
		first := f.clone()
		one.change(first)
		if !yield(first) {
			return false
		}
		for _, other := range kinds[i+1:] {
			if !one.coarse || !other.coarse || other.aspect == one.aspect {
				continue
			}
			second := first.clone()
			other.change(second)
			if !yield(second) {
				return false
			}
		}
	}
	return true
}

// clone shares nothing that a variation changes.
func (f *Facts) clone() *Facts {
	c := *f
	if f.Grant != nil {
		g := *f.Grant
		c.Grant = &g
	}
	if f.Device != nil {
		d := *f.Device
		c.Device = &d
	}
	c.Training = maps.Clone(f.Training)
	return &c
}

// ordinary requests come at noon from a sound device, with every training in date,
// a passkey just touched, a grant for a month and one patient.
func (v *vocabulary) ordinary(c clock) iter.Seq[*Facts] {
	now := c.at(generatedNow)
	training := make(map[string]int64)
	for course := range v.courses {
		training[course] = now + 86400
	}
	return func(yield func(*Facts) bool) {
		for _, who := range v.askers() {
			for _, p := range []abaton.Purpose{abaton.Treatment, abaton.Emergency, abaton.Operations, abaton.Research, abaton.Payment, abaton.PublicHealth, abaton.Coverage, abaton.Legal} {
				for level := int64(1); level <= 3; level++ {
					for _, m := range []Mode{Release, Permit, List, Index, Parts, Unseal} {
						touched := int64(0)
						f := &Facts{Kind: who.kind, Roles: who.roles, Organisation: "act1", Mode: m, Purpose: p, Level: level, Now: now,
							PatientsHour: 1, PatientsDay: 1, Training: training, StepUp: &touched,
							Grant: &GrantFacts{NotBefore: now - 86400, Expires: now + 29*86400}}
						if who.kind == Person {
							f.Device = &DeviceFacts{Enrolled: true, Level: 3, Posture: now + 86400}
						}
						if !yield(f) {
							return
						}
					}
				}
			}
		}
	}
}

type asker struct {
	kind  Kind
	roles []string
}

func (v *vocabulary) askers() []asker {
	all := []asker{{kind: Person}, {Person, []string{"role-of-no-rule"}}, {kind: Agent}, {kind: Device}, {kind: Organisation}}
	for _, word := range sorted(v.words) {
		if len(word) <= WordBytesMax {
			all = append(all, asker{Person, []string{word}}, asker{Agent, []string{word}})
		}
	}
	return all
}

// adding takes up variations.
type adding struct{ all []variation }

func (a *adding) coarse(aspect string, change func(*Facts)) {
	a.all = append(a.all, variation{aspect, true, change})
}

func (a *adding) fine(aspect string, change func(*Facts)) {
	a.all = append(a.all, variation{aspect, false, change})
}

// variations are every respect that the texts speak of, and those that any text
// should survive.
func (v *vocabulary) variations(c clock) []variation {
	a := new(adding)
	shift := func(seconds int64) func(*Facts) {
		return func(f *Facts) { f.move(c.at(generatedNow+seconds) - f.Now) }
	}
	a.coarse("time", shift((3*60-720)*60))
	a.coarse("time", shift(3*86400)) // Saturday
	a.fine("time", shift(4*86400))   // Sunday
	for _, minute := range v.around("minute", 0, 1439) {
		a.fine("time", shift((minute-720)*60))
	}
	a.coarse("device", func(f *Facts) { f.Device = nil })
	a.coarse("device", func(f *Facts) { f.Device = &DeviceFacts{Enrolled: true, Level: 3, Posture: f.Now} })
	a.fine("device", func(f *Facts) { f.Device = &DeviceFacts{Level: 3, Posture: f.Now + 86400} })
	for level := range int64(3) {
		a.fine("device", func(f *Facts) { f.Device = &DeviceFacts{Enrolled: true, Level: level, Posture: f.Now + 86400} })
	}
	for _, left := range v.around("posture", -86400, secondsMax/2) {
		a.fine("device", func(f *Facts) { f.Device = &DeviceFacts{Enrolled: true, Level: 3, Posture: f.Now + left} })
	}
	a.coarse("training", func(f *Facts) { f.Training = nil })
	for _, course := range sorted(v.courses) {
		a.fine("training", func(f *Facts) { f.Training[course] = f.Now })
	}
	a.coarse("touch", func(f *Facts) { f.StepUp = nil })
	for _, age := range v.around("stepUp", 0, 600) {
		a.fine("touch", func(f *Facts) { f.StepUp = &age })
	}
	a.coarse("duty", func(f *Facts) { f.OnCall = true })
	v.grants(a)
	v.counts(a)
	return a.all
}

func (v *vocabulary) grants(a *adding) {
	a.coarse("grant", func(f *Facts) { f.Grant = nil })
	a.coarse("grant", func(f *Facts) { f.Grant.Delegated = true })
	for _, life := range append(v.around("life", 1, 366*86400), 3600, 366*86400) {
		a.fine("grant", func(f *Facts) { f.Grant.NotBefore, f.Grant.Expires = f.Now-1, f.Now-1+life })
	}
	for _, age := range v.around("age", 0, 366*86400) {
		a.fine("grant", func(f *Facts) { f.Grant.NotBefore = f.Now - age })
	}
	for _, left := range v.around("left", 1, 366*86400) {
		a.fine("grant", func(f *Facts) { f.Grant.Expires = f.Now + left })
	}
}

func (v *vocabulary) counts(a *adding) {
	a.coarse("count", func(f *Facts) { f.PatientsHour, f.PatientsDay = 1000, 5000 })
	for _, n := range v.around("patientsHour", 1, 1<<30) {
		a.fine("count", func(f *Facts) { f.PatientsHour, f.PatientsDay = n, n })
	}
	for _, n := range v.around("patientsDay", 1, 1<<30) {
		a.fine("count", func(f *Facts) { f.PatientsDay = n })
	}
}

// move shifts the request and all that is dated in it.
func (f *Facts) move(by int64) {
	f.Now += by
	if f.Grant != nil {
		f.Grant.NotBefore, f.Grant.Expires = f.Grant.NotBefore+by, f.Grant.Expires+by
	}
	if f.Device != nil {
		f.Device.Posture += by
	}
	for course := range f.Training {
		f.Training[course] += by
	}
}

// at is the moment at which the clock shows that local time, given as if it were
// UTC. It is for winter days.
func (c clock) at(local int64) int64 { return local - c.offset }
