package blast

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// Reach is what a thief of the things reaches.
type Reach struct {
	Things   []Thing
	Patients int // whose records open, at once or within the budgets of a reader
	Records  int // that open, of the owners whose records were counted
	// Uncounted are the owners reached whose records nobody counted.
	Uncounted int
	Opens     []Open
	More      []More
	Powers    []Power
	Until     time.Time // when the last of Opens ends by itself; zero: never
	later     int       // patients of More, each once
}

// Open is what opens of one owner by one right.
type Open struct {
	Owner   abaton.ActorID
	House   bool           // the owner is an organisation: its directory, its quarantine
	Grant   abaton.GrantID // zero: as the owner
	Grantee abaton.ActorID // whom the grant names, or whom it was handed on to: a person or a team
	Onward  abaton.Handed  // who handed it on; zero normally
	Lines   []Line
	Records int
	Until   time.Time // zero: until somebody ends it
	endless bool
}

// Line is one line of an owner that opens.
type Line struct {
	ID      abaton.Line
	Level   uint8
	Records int
}

// gathering is what opens, each record once.
type gathering struct {
	w     *World
	seen  map[abaton.SegmentID]int // records of a segment that open already
	lines map[place]bool
	opens map[openName]*Open
	used  map[abaton.GrantID]int // records that a grant opens, by whomever
}

type openName struct {
	owner  abaton.ActorID
	grant  abaton.GrantID
	onward abaton.Handed
}

// Reach computes what a thief of all these things together reaches.
func (w *World) Reach(things ...Thing) *Reach {
	return w.reach(w.holding(things...), things, nil)
}

// reach leaves out what a cut would end.
func (w *World) reach(h *hold, things []Thing, cut func(grantee abaton.ActorID) bool) *Reach {
	g := &gathering{w: w, seen: make(map[abaton.SegmentID]int), lines: make(map[place]bool), opens: make(map[openName]*Open), used: make(map[abaton.GrantID]int)}
	askers := w.askers(h)
	for _, owner := range w.owners {
		for _, a := range askers {
			g.owner(a, owner, cut)
		}
	}
	r := &Reach{Things: slices.Clone(things)}
	r.More, r.later = w.more(h, askers, cut)
	r.Powers = w.powers(h, r.More)
	r.add(g, w)
	return r
}

func (r *Reach) add(g *gathering, w *World) {
	patients, uncounted := make(map[abaton.ActorID]bool), make(map[abaton.ActorID]bool)
	for _, o := range g.opens {
		if len(o.Lines) == 0 {
			continue
		}
		slices.SortFunc(o.Lines, func(a, b Line) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		r.Opens = append(r.Opens, *o)
		r.Records += o.Records
		if !o.House {
			patients[o.Owner] = true
		}
		if !w.f.Counted[o.Owner] {
			uncounted[o.Owner] = true
		}
	}
	slices.SortFunc(r.Opens, func(a, b Open) int {
		return cmp.Or(compare(a.Owner, b.Owner), bytes.Compare(a.Grant[:], b.Grant[:]), bytes.Compare(a.Onward.ID[:], b.Onward.ID[:]))
	})
	r.Patients, r.Uncounted = len(patients), len(uncounted)
	for i, o := range r.Opens {
		if o.Until.IsZero() {
			r.Until = time.Time{}
			return
		}
		if i == 0 || o.Until.After(r.Until) {
			r.Until = o.Until
		}
	}
}

// right is one ground on which a session reads of an owner.
type right struct {
	grant    abaton.GrantID // zero: as the owner
	by       *grant.Grant   // the grant, or the terms on which it was handed on; nil as the owner
	through  *handing       // nil: not handed on
	purposes []abaton.Purpose
	lines    []abaton.Line
	quota    int // of by
	whole    int // of the grant, which all hand-ons share
}

// rights are all grounds on which a session may ask of an owner.
func (w *World) rights(a *asker, owner *actor.State, cut func(abaton.ActorID) bool) (all []right) {
	if a.own(owner) {
		all = append(all, right{purposes: []abaton.Purpose{abaton.PatientAccess}, lines: linesOf(owner), quota: math.MaxUint32, whole: math.MaxUint32})
	}
	for _, id := range sorted(owner.Grants()) {
		one, _ := owner.Grant(id)
		if cut != nil && cut(one.Grantee) {
			continue
		}
		if a.names(one.Grantee) {
			all = append(all, right{id, one, nil, one.Purposes, one.Lines, int(one.Quota), int(one.Quota)})
		}
		for _, h := range w.handed[id] {
			if t := h.Terms; h.live && a.names(t.Grantee) && (cut == nil || !cut(t.Grantee)) {
				all = append(all, right{id, t, h, t.Purposes, t.Lines, int(t.Quota), int(one.Quota)})
			}
		}
	}
	return all
}

// owner is what one session opens of one owner.
func (g *gathering) owner(a *asker, owner *actor.State, cut func(abaton.ActorID) bool) {
	for _, r := range g.w.rights(a, owner, cut) {
		g.right(a, owner, r)
	}
}

func sorted(m map[abaton.GrantID]*grant.Grant) (ids []abaton.GrantID) {
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b abaton.GrantID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

func linesOf(s *actor.State) (lines []abaton.Line) {
	for _, seg := range s.Lines() {
		lines = append(lines, seg.Line)
	}
	return lines
}

// right is what opens by one right, as far as its quota lets.
func (g *gathering) right(a *asker, owner *actor.State, r right) {
	for _, line := range r.lines {
		at := place{owner.Actor(), line}
		if !g.w.opens(a, owner, r, line, nil) {
			continue
		}
		epochs := g.w.epochs(a.seeds, owner, line)
		if len(epochs) == 0 {
			continue
		}
		o := g.open(a, owner, r)
		n := g.take(at, epochs, min(r.quota-o.Records, r.whole-g.used[r.grant]))
		if g.lines[at] && n == 0 {
			continue // another right opens it too
		}
		g.lines[at] = true
		g.used[r.grant] += n
		o.line(Line{ID: line, Level: levelOf(owner, line), Records: n})
	}
}

// opens: keepers let this session read a line by this right, for one of its
// purposes; as is stated of the patient now, or would be.
func (w *World) opens(a *asker, owner *actor.State, r right, line abaton.Line, as *stated) bool {
	return slices.ContainsFunc(r.purposes, func(p abaton.Purpose) bool { return w.permits(a, owner, r, p, line, as) })
}

func (g *gathering) open(a *asker, owner *actor.State, r right) *Open {
	name := openName{owner.Actor(), r.grant, r.through.handed()}
	o := g.opens[name]
	if o == nil {
		o = &Open{Owner: owner.Actor(), House: owner.Kind() == actor.Organisation, Grant: r.grant, Onward: name.onward}
		g.opens[name] = o
	}
	until := a.until
	if r.by != nil {
		o.Grantee, until = r.by.Grantee, min(until, r.by.Expires)
	}
	switch {
	case until == math.MaxInt64:
		o.Until, o.endless = time.Time{}, true
	case !o.endless && time.Unix(until, 0).After(o.Until):
		o.Until = time.Unix(until, 0)
	}
	return o
}

func (o *Open) line(l Line) {
	o.Records += l.Records
	for i := range o.Lines {
		if o.Lines[i].ID == l.ID {
			o.Lines[i].Records += l.Records
			return
		}
	}
	o.Lines = append(o.Lines, l)
}

// take counts the records of a line under these segments that nothing else
// opens, at most so many.
func (g *gathering) take(at place, epochs []actor.Segment, most int) (n int) {
	for _, seg := range epochs {
		all := 0
		for _, b := range g.w.batches[at] {
			if b.Segment == seg.ID {
				all += b.Records
			}
		}
		more := min(all-g.seen[seg.ID], most-n)
		if more > 0 {
			g.seen[seg.ID] += more
			n += more
		}
	}
	return n
}

// epochs are the segments of a line whose seeds these give.
func (w *World) epochs(s seeds, owner *actor.State, line abaton.Line) (out []actor.Segment) {
	all := owner.Segments(line)
	if s.roots[owner.Actor()] {
		return all
	}
	have := make(map[uint32]bool)
	for _, id := range owner.EverGranted() {
		g, revoked := owner.Grant(id)
		over := revoked || g.Expires <= w.f.Now.Unix()
		if g.Actions&grant.Read == 0 || s.live && over || !s.boxes[g.Grantee] && !w.handedTo(s, id, line) {
			continue
		}
		for _, e := range owner.EpochsGiven(id, line) {
			have[e] = true
		}
	}
	for _, seg := range all {
		if have[seg.Epoch] {
			out = append(out, seg)
		}
	}
	return out
}

// handedTo: a hand-on of the grant was sealed to one of these boxes. It can have
// brought whatever the grant brought.
func (w *World) handedTo(s seeds, id abaton.GrantID, line abaton.Line) bool {
	return slices.ContainsFunc(w.handed[id], func(h *handing) bool {
		return s.boxes[h.Terms.Grantee] && (h.live || !s.live) && h.Terms.Covers(line)
	})
}
