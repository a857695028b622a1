package contain

import (
	"cmp"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
)

// Limits of a ladder.
const (
	// SubjectsPerHourMax is about how many different subjects one other keeper
	// may say something within an hour. A hospital of 5,000 meets a handful of
	// false step-ups a day; a keeper that says more is broken or lies, and
	// counts no more for a day.
	SubjectsPerHourMax = 32
	// AgainAfter is how long a keeper's word about a subject at a level stands
	// before a newer one of the same level may take its place, in seconds:
	// each is a ledger entry.
	AgainAfter = 600
	// ownMax bounds the own verdicts held: above it those that say least and
	// end first go.
	ownMax = 8192
	// peersMost is how far one other keeper's word goes alone.
	peersMost = detect.Throttle
)

const hour = int64(time.Hour / time.Second)

// standing is a verdict as the ladder holds it.
type standing struct {
	Name         Name
	Level        detect.Level
	Rules        detect.Rules
	Time, Until  int64
	Proof        bool
	Keeper       abaton.KeeperIndex
	Organisation abaton.ActorID
}

// speech is what one other keeper has said lately.
type speech struct {
	subjects map[Subject]int64 // when the ladder heard of each first within the hour
	muted    int64             // unix seconds: until then it counts no more
}

// Ladder is what one keeper holds of its own verdicts and of the others'. It
// is not safe for concurrent use. Its memory is bounded: for each other keeper
// by SubjectsPerHourMax, for the own by ownMax.
type Ladder struct {
	own    abaton.KeeperIndex
	about  map[Subject][]standing
	others map[abaton.KeeperIndex]*speech
	mine   int // standings of the own keeper

	mutation Mutation // empty but in the mutant build
}

// NewLadder is the empty ladder of the keeper at an index.
func NewLadder(own abaton.KeeperIndex) *Ladder {
	return &Ladder{own: own, about: make(map[Subject][]standing), others: make(map[abaton.KeeperIndex]*speech)}
}

// Put takes a verdict that Verify accepted, heard at now in unix seconds; proof
// says that its evidence was verified and is about a honey patient. It reports
// whether that changed anything: the same again, or one that adds nothing to
// what this keeper said of the subject within AgainAfter, does not. ReasonTime
// for one from the future, ReasonExpired for one that has ended, ReasonBudget
// for a keeper that says too much: Muted tells.
func (l *Ladder) Put(s *Said, proof bool, now int64, lifted Lifted) (took bool, err error) {
	switch {
	case s.Time > now+int64(abaton.ClockSkewMax/time.Second):
		return false, abaton.Refuse(abaton.ReasonTime)
	case now >= s.Until:
		return false, abaton.Refuse(abaton.ReasonExpired)
	}
	at, repeats := l.place(s, proof, lifted)
	if repeats {
		return false, nil
	}
	if s.Keeper != l.own && !proof && !l.listens(s, now) && !l.mutation.skips("bound") {
		return false, abaton.Refuse(abaton.ReasonBudget)
	}
	one := standing{Name: s.Name(), Level: s.Level, Rules: s.Rules, Time: s.Time, Until: s.Until, Proof: proof,
		Keeper: s.Keeper, Organisation: s.Organisation}
	if at >= 0 {
		l.about[s.Subject][at] = one
		return true, nil
	}
	l.about[s.Subject] = append(l.about[s.Subject], one)
	if s.Keeper == l.own {
		if l.mine++; l.mine > ownMax {
			l.crowd(now)
		}
	}
	return true, nil
}

// place is where the same keeper's word about the same subject at the same
// level stands, -1 for nowhere, and whether the new one adds nothing to it.
func (l *Ladder) place(s *Said, proof bool, lifted Lifted) (at int, repeats bool) {
	at = slices.IndexFunc(l.about[s.Subject], func(v standing) bool { return v.Keeper == s.Keeper && v.Level == s.Level })
	if at < 0 {
		return at, false
	}
	old := &l.about[s.Subject][at]
	if old.Name == s.Name() {
		return at, old.Proof || !proof
	}
	if lifted != nil && lifted(old.Organisation, old.Name) {
		return at, false // what was lifted is said anew
	}
	return at, s.Until <= old.Until || s.Time < old.Time+AgainAfter && (old.Proof || !proof)
}

// listens counts a subject against the keeper's hour; false when it has said
// too much.
func (l *Ladder) listens(s *Said, now int64) bool {
	sp := l.others[s.Keeper]
	if sp == nil {
		sp = &speech{subjects: make(map[Subject]int64)}
		l.others[s.Keeper] = sp
	}
	if now < sp.muted {
		return false
	}
	for subject, at := range sp.subjects {
		if now-at >= hour {
			delete(sp.subjects, subject)
		}
	}
	if _, known := sp.subjects[s.Subject]; !known && len(sp.subjects) >= SubjectsPerHourMax {
		sp.muted = now + int64(LifeMax/time.Second)
		return false
	}
	if _, known := sp.subjects[s.Subject]; !known {
		sp.subjects[s.Subject] = now
	}
	return true
}

// Muted is until when another keeper counts no more, in unix seconds; 0 when it
// counts.
func (l *Ladder) Muted(x abaton.KeeperIndex, now int64) int64 {
	if sp := l.others[x]; sp != nil && now < sp.muted {
		return sp.muted
	}
	return 0
}

// Mute is the other end of Muted, after a restart.
func (l *Ladder) Mute(x abaton.KeeperIndex, until int64) {
	if l.others[x] == nil {
		l.others[x] = &speech{subjects: make(map[Subject]int64)}
	}
	l.others[x].muted = max(l.others[x].muted, until)
}

// Lifted reports whether an organisation has lifted a verdict. Nil lifts none.
type Lifted func(organisation abaton.ActorID, verdict Name) bool

// stands reports whether a verdict counts now.
func (l *Ladder) stands(v *standing, now int64, lifted Lifted) bool {
	switch {
	case now >= v.Until && !l.mutation.skips("end"):
		return false
	case lifted != nil && lifted(v.Organisation, v.Name) && !l.mutation.skips("lift"):
		return false
	}
	return v.Keeper == l.own || v.Proof || l.Muted(v.Keeper, now) == 0 || l.mutation.skips("bound")
}

// At says how far whoever is all these subjects at once is held back now: the
// session, person, device and organisation of one request. The own word and
// one with proof count in full, one other's at most as throttle and of a session
// or person alone, for a device is a ward's and an organisation everybody's; and
// of two others what both say.
func (l *Ladder) At(now int64, lifted Lifted, subjects ...Subject) Holding {
	var h Holding
	var alone detect.Level
	highest := make(map[abaton.KeeperIndex]detect.Level)
	for _, s := range subjects {
		for i := range l.about[s] {
			v := &l.about[s][i]
			if !l.stands(v, now, lifted) {
				continue
			}
			h.add(v.Keeper, v)
			highest[v.Keeper] = max(highest[v.Keeper], v.Level)
			if v.Proof && !l.mutation.skips("proof") {
				h.Level = max(h.Level, v.Level)
			}
			if s.Kind == KindSession || s.Kind == KindPerson {
				alone = max(alone, l.capped(v.Level))
			}
		}
	}
	var first, second detect.Level
	for x, level := range highest {
		switch {
		case x == l.own && !l.mutation.skips("own"):
			h.Level = max(h.Level, level)
		case level > first:
			first, second = level, first
		case level > second:
			second = level
		}
	}
	h.Level = max(h.Level, l.together(alone, second))
	return h
}

// capped is how far one other keeper's word goes alone.
func (l *Ladder) capped(level detect.Level) detect.Level {
	if l.mutation.skips("cap") {
		return level
	}
	return min(level, peersMost)
}

// together is what one other keeper alone and two together bring about.
func (l *Ladder) together(alone, second detect.Level) detect.Level {
	switch {
	case l.mutation.skips("two"):
		return alone
	case l.mutation.skips("one"):
		return second
	}
	return max(second, alone)
}

// Own is the highest level that this keeper itself says of a subject now, and
// when it said so.
func (l *Ladder) Own(s Subject, now int64, lifted Lifted) (level detect.Level, until int64) {
	for i := range l.about[s] {
		v := &l.about[s][i]
		if v.Keeper == l.own && v.Level >= level && l.stands(v, now, lifted) {
			level, until = v.Level, v.Until
		}
	}
	return level, until
}

// Held is one subject that is held back.
type Held struct {
	Subject      Subject
	Organisation abaton.ActorID
	Holding
}

// About is whom a verdict that is held is about.
func (l *Ladder) About(verdict Name) (Subject, bool) {
	for s, all := range l.about {
		if slices.ContainsFunc(all, func(v standing) bool { return v.Name == verdict }) {
			return s, true
		}
	}
	return Subject{}, false
}

// List is who of an organisation is held back now, those held furthest first.
func (l *Ladder) List(organisation abaton.ActorID, now int64, lifted Lifted) []Held {
	var out []Held
	for s, all := range l.about {
		if !slices.ContainsFunc(all, func(v standing) bool { return v.Organisation == organisation }) {
			continue
		}
		if h := l.At(now, lifted, s); h.Level != 0 {
			out = append(out, Held{Subject: s, Organisation: organisation, Holding: h})
		}
	}
	slices.SortFunc(out, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(a.Since, b.Since), slices.Compare(a.Subject.ID[:], b.Subject.ID[:]))
	})
	return out
}

// Levels counts the subjects that are held back now, by how far.
func (l *Ladder) Levels(now int64, lifted Lifted) map[detect.Level]uint64 {
	out := make(map[detect.Level]uint64)
	for s := range l.about {
		if h := l.At(now, lifted, s); h.Level != 0 {
			out[h.Level]++
		}
	}
	return out
}

// Settle forgets verdicts that have ended.
func (l *Ladder) Settle(now int64) {
	l.drop(func(v *standing) bool { return now >= v.Until })
}

// crowd drops the own verdicts that say least and end first, an eighth of
// them.
func (l *Ladder) crowd(now int64) {
	l.Settle(now)
	if l.mine <= ownMax {
		return
	}
	var own []standing
	for _, all := range l.about {
		for _, v := range all {
			if v.Keeper == l.own {
				own = append(own, v)
			}
		}
	}
	slices.SortFunc(own, func(a, b standing) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Until, b.Until))
	})
	gone := make(map[Name]bool)
	for _, v := range own[:ownMax/8] {
		gone[v.Name] = true
	}
	l.drop(func(v *standing) bool { return gone[v.Name] })
}

func (l *Ladder) drop(ended func(*standing) bool) {
	for s, all := range l.about {
		kept := slices.DeleteFunc(all, func(v standing) bool {
			if !ended(&v) {
				return false
			}
			if v.Keeper == l.own {
				l.mine--
			}
			return true
		})
		if l.about[s] = kept; len(kept) == 0 {
			delete(l.about, s)
		}
	}
}
