package alert

import (
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
)

// Holding is whom one keeper says it holds back, as it said so (PROTOCOL.md, held).
type Holding struct {
	Kind     contain.Kind
	Subject  [32]byte
	Level    detect.Level
	Rules    detect.Rules
	By       []abaton.KeeperIndex
	Proof    bool
	Since    int64 // unix seconds
	Until    int64 // exclusive
	Verdicts [][32]byte
}

// Answer is what one keeper said when it was asked.
type Answer struct {
	Keeper abaton.KeeperIndex
	Held   []Holding
	Found  map[abaton.Reason]uint64 // what it found, how often ever; nil where it does not say
}

// Look is one round of asking all keepers.
type Look struct {
	Organisation abaton.ActorID
	Now          int64 // unix seconds
	Keepers      []abaton.KeeperIndex
	Answers      []Answer                      // of those that answered, each once
	Lifted       func(verdict [32]byte) bool   // by the organisation; nil lifts none
	Staff        func(who abaton.ActorID) bool // is or was of the organisation; nil knows everybody
}

// Book is which cases are open, so that each is told when it opens, rises and
// ends, and never twice. It is a value that rests as JSON. It is not safe for
// concurrent use. The zero Book has none open.
type Book struct {
	Cases  map[string]*Case                               `json:"cases,omitempty"`  // by subject
	Closed map[string]int64                               `json:"closed,omitempty"` // when a case ended, by its name
	Quiet  map[abaton.KeeperIndex]int64                   `json:"quiet,omitempty"`  // since when a keeper gives no answer
	Found  map[abaton.KeeperIndex]map[abaton.Reason]Count `json:"found,omitempty"`  // what was last told of its findings
}

// Count is how often a keeper had found something, and when that was told.
type Count struct {
	N    uint64 `json:"n"`
	Told int64  `json:"told"`
}

// Case is one subject while it is held back, or one keeper while something is
// wrong with it.
type Case struct {
	Alert    Alert                         `json:"alert"` // as it was last told
	Says     map[abaton.KeeperIndex]Keeper `json:"says,omitempty"`
	Rules    detect.Rules                  `json:"rules,omitempty"`
	By       []abaton.KeeperIndex          `json:"by,omitempty"`
	Verdicts []string                      `json:"verdicts,omitempty"`
}

// Take is what has opened, risen or ended since the last look, in an order that is
// the same for the same looks.
func (b *Book) Take(l *Look) (fresh []Alert) {
	b.begin(l.Now)
	heard, loud := make(map[abaton.KeeperIndex]bool), make(map[abaton.KeeperIndex]bool)
	sayers := countSayers(l.Answers)
	for i := range l.Answers {
		a := &l.Answers[i]
		if heard[a.Keeper] || !slices.Contains(l.Keepers, a.Keeper) {
			continue
		}
		heard[a.Keeper] = true
		loud[a.Keeper] = b.hear(l, a, sayers)
		fresh = append(fresh, b.found(l, a)...)
	}
	fresh = append(fresh, b.judge(l)...)
	for _, x := range l.Keepers {
		fresh = append(fresh, b.silence(l, x, heard[x])...)
		if heard[x] {
			fresh = append(fresh, b.state(l, Loud, x, loud[x])...)
		}
	}
	for i := range fresh {
		fresh[i].Open = len(b.Cases)
	}
	slices.SortStableFunc(fresh, func(x, y Alert) int {
		return cmp.Or(cmp.Compare(y.Severity(), x.Severity()), cmp.Compare(x.ID, y.ID))
	})
	return fresh
}

// Open are the cases that are open, as they were last told.
func (b *Book) Open() (all []Alert) {
	for _, name := range slices.Sorted(maps.Keys(b.Cases)) {
		if c := b.Cases[name]; c.Alert.Valid() {
			all = append(all, c.Alert)
		}
	}
	return all
}

func (b *Book) begin(now int64) {
	if b.Cases == nil {
		b.Cases = make(map[string]*Case)
	}
	if b.Closed == nil {
		b.Closed = make(map[string]int64)
	}
	if b.Quiet == nil {
		b.Quiet = make(map[abaton.KeeperIndex]int64)
	}
	if b.Found == nil {
		b.Found = make(map[abaton.KeeperIndex]map[abaton.Reason]Count)
	}
	maps.DeleteFunc(b.Closed, func(_ string, at int64) bool { return now-at >= closedFor })
}

// hear puts what one keeper says in the place of what it said before. It reports
// whether the keeper alone says more than can be.
func (b *Book) hear(l *Look, a *Answer, sayers map[string]int) (loud bool) {
	said, alone := make(map[string]bool), 0
	for i := range a.Held {
		h := &a.Held[i]
		if !h.sane() || h.Until <= l.Now {
			continue
		}
		name := h.name()
		c := b.Cases[name]
		if sayers[name] < 2 && c.byNoOther(a.Keeper) {
			alone++
		}
		if alone > aloneMax || c == nil && len(b.Cases) >= casesMax {
			loud = true
			continue
		}
		if c == nil {
			c = &Case{Alert: Alert{What: Held, Kind: h.Kind, Subject: l.subject(h)}}
			b.Cases[name] = c
		}
		said[name] = true
		c.take(a.Keeper, h)
	}
	for name, c := range b.Cases {
		if !said[name] {
			delete(c.Says, a.Keeper)
		}
	}
	return loud
}

// countSayers counts, of each subject, the answers that have it.
func countSayers(all []Answer) map[string]int {
	sayers := make(map[string]int)
	for i := range all {
		for j := range all[i].Held {
			sayers[all[i].Held[j].name()]++
		}
	}
	return sayers
}

// subject is how alerts call a subject. A name that the organisation does not know
// goes nowhere, so that no keeper makes alerts carry a patient's: the alert goes.
func (l *Look) subject(h *Holding) string {
	if h.Kind == contain.KindPerson && l.Staff != nil && !l.Staff(h.Subject) || h.Kind == contain.KindOrganisation && h.Subject != l.Organisation {
		return "unknown"
	}
	return subjectName(h.Kind, h.Subject)
}

func (h *Holding) name() string { return h.Kind.String() + " " + hex.EncodeToString(h.Subject[:]) }

// byNoOther reports whether no other keeper has said it of this subject.
func (c *Case) byNoOther(x abaton.KeeperIndex) bool {
	if c == nil {
		return true
	}
	for y := range c.Says {
		if y != x {
			return false
		}
	}
	return true
}

// sane reports whether it is of a form that keepers give.
func (h *Holding) sane() bool {
	return h.Kind >= contain.KindSession && h.Kind <= contain.KindOrganisation && h.Subject != [32]byte{} &&
		h.Level >= detect.StepUp && h.Level <= detect.Quarantine && h.Since >= 0 && len(h.By) <= abaton.KeepersMax
}

func (c *Case) take(x abaton.KeeperIndex, h *Holding) {
	if c.Says == nil {
		c.Says = make(map[abaton.KeeperIndex]Keeper)
	}
	c.Says[x] = Keeper{Keeper: x, Level: h.Level, Since: h.Since, Until: h.Until, Proof: h.Proof}
	c.Rules |= h.Rules & detect.AllRules
	for _, y := range h.By {
		if at, found := slices.BinarySearch(c.By, y); !found && len(c.By) < abaton.KeepersMax {
			c.By = slices.Insert(c.By, at, y)
		}
	}
	for _, v := range h.Verdicts {
		if s := hex.EncodeToString(v[:]); len(c.Verdicts) < verdictsMax && !slices.Contains(c.Verdicts, s) {
			c.Verdicts = append(c.Verdicts, s)
		}
	}
}

// judge goes over all who are held: told when first said, when two keepers do
// more than before, and when no keeper says it any more.
func (b *Book) judge(l *Look) (fresh []Alert) {
	for _, name := range slices.Sorted(maps.Keys(b.Cases)) {
		c := b.Cases[name]
		if c.Alert.What != Held {
			continue
		}
		maps.DeleteFunc(c.Says, func(_ abaton.KeeperIndex, k Keeper) bool { return k.Until <= l.Now })
		level := c.level()
		switch opened := c.Alert.Case != ""; {
		case level == 0:
			delete(b.Cases, name)
			if opened {
				fresh = append(fresh, b.end(l, c, c.ended(l)))
			}
		case !opened:
			c.Alert.Case = b.name(l, Held, subjectOf(name), c.since())
			fresh = append(fresh, c.tell(l, Create, level))
		case level > c.Alert.Level:
			fresh = append(fresh, c.tell(l, Update, level))
		}
	}
	return fresh
}

// level is how far two keepers hold the subject back, and of one alone at most
// throttle: what the word of one counts at the others.
func (c *Case) level() detect.Level {
	var first, second detect.Level
	for _, k := range c.Says {
		if k.Level > first {
			first, second = k.Level, first
		} else {
			second = max(second, k.Level)
		}
	}
	return max(second, min(first, detect.Throttle))
}

func (c *Case) since() (since int64) {
	for _, k := range c.Says {
		if since == 0 || k.Since < since {
			since = k.Since
		}
	}
	return since
}

// tell notes how a case is told, and gives that.
func (c *Case) tell(l *Look, act Act, level detect.Level) Alert {
	a := &c.Alert
	a.ID, a.Act, a.Time, a.Level, a.Rules = messageName(a.Case, act, level), act, l.Now, level, c.Rules
	a.By, a.Verdicts, a.Since, a.Until, a.Keepers = slices.Clone(c.By), slices.Clone(c.Verdicts), c.since(), 0, nil
	for _, x := range slices.Sorted(maps.Keys(c.Says)) {
		a.Keepers, a.Until = append(a.Keepers, c.Says[x]), max(a.Until, c.Says[x].Until)
	}
	return *a
}

// end is the last word about a case.
func (b *Book) end(l *Look, c *Case, how string) Alert {
	b.Closed[c.Alert.Case] = l.Now
	a := c.Alert
	a.ID, a.Act, a.Time, a.Keepers, a.Ended = messageName(a.Case, Close, 0), Close, l.Now, nil, how
	a.Rules, a.By, a.Verdicts = a.Rules|c.Rules, slices.Clone(c.By), slices.Clone(c.Verdicts)
	return a
}

// ended says why nobody holds a subject any more.
func (c *Case) ended(l *Look) string {
	if l.Lifted != nil {
		for _, text := range c.Verdicts {
			var v [32]byte
			if n, err := hex.Decode(v[:], []byte(text)); err == nil && n == len(v) && l.Lifted(v) {
				return "lifted"
			}
		}
	}
	return "ended"
}

// name names a case that opens: another than one that ended lately.
func (b *Book) name(l *Look, w What, subject [32]byte, since int64) string {
	for again := uint64(0); ; again++ {
		name := caseName(l.Organisation, w, subject, since, again)
		if _, was := b.Closed[name]; !was {
			return name
		}
	}
}

// silence opens a case when a keeper gave no answer in two looks and for
// SilentAfter.
func (b *Book) silence(l *Look, x abaton.KeeperIndex, heard bool) []Alert {
	if heard {
		delete(b.Quiet, x)
		return b.state(l, Silent, x, false)
	}
	since, quiet := b.Quiet[x]
	if !quiet {
		b.Quiet[x] = l.Now
		return nil
	}
	if l.Now-since < SilentAfter {
		return nil
	}
	return b.state(l, Silent, x, true)
}

// state opens or ends a case about a keeper.
func (b *Book) state(l *Look, w What, x abaton.KeeperIndex, on bool) []Alert {
	name := w.String() + " " + strconv.Itoa(int(x))
	c := b.Cases[name]
	switch {
	case on && c == nil:
		c = &Case{Alert: Alert{What: w, Keeper: x, Act: Create, Time: l.Now, Since: l.Now}}
		if w == Silent {
			c.Alert.Since = b.Quiet[x]
		}
		c.Alert.Case = b.name(l, w, keeperSubject(x), c.Alert.Since)
		c.Alert.ID = messageName(c.Alert.Case, Create, 0)
		b.Cases[name] = c
		return []Alert{c.Alert}
	case !on && c != nil:
		delete(b.Cases, name)
		return []Alert{b.end(l, c, "ended")}
	}
	return nil
}

// findings are the reasons that keepers find (docs/OPERATING.md); what else one
// says it found is no alert.
func findings() []abaton.Reason {
	return []abaton.Reason{abaton.ReasonBudget, abaton.ReasonClock, abaton.ReasonCloned, abaton.ReasonEquivocation,
		abaton.ReasonPeer, abaton.ReasonQuarantine, abaton.ReasonTime}
}

// found is what a keeper found since it was last told, at most one alert a reason
// and hour. What it had found before the first look stands in its own metrics.
func (b *Book) found(l *Look, a *Answer) (fresh []Alert) {
	if a.Found == nil {
		return nil
	}
	known, begun := b.Found[a.Keeper]
	if !begun {
		known = make(map[abaton.Reason]Count)
		b.Found[a.Keeper] = known
	}
	for i, r := range findings() {
		n, was := a.Found[r], known[r]
		switch {
		case !begun:
			known[r] = Count{N: n}
		case n > was.N && (was.Told == 0 || l.Now-was.Told >= foundEvery):
			known[r] = Count{n, l.Now}
			subject := keeperSubject(a.Keeper)
			subject[1] = byte(i)
			fresh = append(fresh, once(l.Organisation, Alert{What: Found, Act: Create, Time: l.Now, Keeper: a.Keeper, Reason: r, Count: n}, subject, int64(n)))
		}
	}
	return fresh
}
