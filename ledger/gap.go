package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
)

// GapKind says how a gap shows.
type GapKind uint8

// The kinds of gaps, from proof to question.
const (
	GapBroken  GapKind = iota + 1 // its own numbering breaks: it left something out
	GapMissing                    // it lacks what reaches every keeper and all others show
	GapShort                      // requests that too few show: they opened nothing, or it keeps them back
)

// Gap is what is missing in what keepers told of a patient, and whose telling
// would close it (PROTOCOL.md#ledger-gaps).
type Gap struct {
	Kind     GapKind
	Keepers  []abaton.KeeperIndex // ascending; one of these. Empty: no single keeper explains it
	From, To int64                // unix seconds: what is missing lies between; To 0 for no end
	Requests int                  // how many others show and these do not; 0 if unknown
}

// String names the keeper and what is missing; it accuses of no more than that.
func (g Gap) String() string {
	switch g.Kind {
	case GapBroken:
		return fmt.Sprintf("%s left something out of its own numbered list", keepersWord(g.Keepers))
	case GapMissing:
		return fmt.Sprintf("%s does not show %d entries that reach every keeper and all others show", keepersWord(g.Keepers), g.Requests)
	case GapShort:
		if len(g.Keepers) == 0 {
			return fmt.Sprintf("%d requests stand in too few ledgers to have opened anything; if they did, more than one keeper keeps them back", g.Requests)
		}
		return fmt.Sprintf("%d requests stand in too few ledgers to have opened anything; if they did, %s keeps them back", g.Requests, keepersWord(g.Keepers))
	}
	return "unknown gap"
}

func keepersWord(xs []abaton.KeeperIndex) string {
	words := make([]string, len(xs))
	for i, x := range xs {
		words[i] = strconv.Itoa(int(x))
	}
	return "keeper " + strings.Join(words, " or ")
}

// gapSlack is how long what reaches every keeper may be on its way, in
// seconds: two rounds of the feeds and a clock that is off by a minute.
const gapSlack = 120

// span is the time of which one answer tells.
type span struct{ first, last int64 }

// brokenAt is the gap of a chain that does not fit: between the entry before
// the first wrong place and the one after it.
func brokenAt(e *GapError, shown []Entry) Gap {
	g := Gap{Kind: GapBroken, Keepers: []abaton.KeeperIndex{e.Keeper}}
	for i := range shown {
		switch en := &shown[i]; {
		case en.PatientSeq < e.Seq:
			g.From = max(g.From, en.Time)
		case g.To == 0 || en.Time < g.To:
			g.To = en.Time
		}
	}
	if g.To < g.From {
		g.To = 0
	}
	return g
}

// gaps adds what the merged lines show to be missing.
func (h *History) gaps(spans map[abaton.KeeperIndex]span, s Shape) {
	var keepers []abaton.KeeperIndex
	for x := range spans {
		keepers = append(keepers, x)
	}
	slices.Sort(keepers)
	h.Gaps = append(h.Gaps, missing(h.Lines, keepers, spans, s)...)
	if g, found := short(h.Lines, keepers, spans, s); found {
		h.Gaps = append(h.Gaps, g)
	}
}

// missing are the gaps of single keepers: key-log events and erasures reach
// every keeper, so one that tells of the time around them and lacks one that
// all others have, at least t of them, left it out or never heard it.
func missing(lines []Line, keepers []abaton.KeeperIndex, spans map[abaton.KeeperIndex]span, s Shape) (out []Gap) {
	for _, x := range keepers {
		g := Gap{Kind: GapMissing, Keepers: []abaton.KeeperIndex{x}}
		for i := range lines {
			l := &lines[i]
			everywhere := l.Op == OpEvent || l.Op == OpErase
			if !everywhere || slices.Contains(l.Keepers, x) || l.First < spans[x].first || l.Last+gapSlack > spans[x].last {
				continue
			}
			if told := telling(keepers, spans, l); len(l.Keepers) >= max(s.Threshold, len(told)-1) {
				g.add(l)
			}
		}
		if g.Requests > 0 {
			out = append(out, g)
		}
	}
	return out
}

// short are requests of which a keeper says that it released something, and
// that fewer than t could have answered even if all that are away did. One
// keeper explains them only if it shows none of them.
func short(lines []Line, keepers []abaton.KeeperIndex, spans map[abaton.KeeperIndex]span, s Shape) (g Gap, found bool) {
	g.Kind = GapShort
	for i := range lines {
		l := &lines[i]
		told := telling(keepers, spans, l)
		away := s.Keepers - len(told)
		if !l.Op.Opens() || !released(l) || len(l.Keepers)+away >= s.Threshold {
			continue
		}
		absent := slices.DeleteFunc(told, func(x abaton.KeeperIndex) bool { return slices.Contains(l.Keepers, x) })
		if g.Requests == 0 {
			g.Keepers = absent
		} else {
			g.Keepers = slices.DeleteFunc(g.Keepers, func(x abaton.KeeperIndex) bool { return !slices.Contains(absent, x) })
		}
		g.add(l)
	}
	return g, g.Requests > 0
}

// telling are the keepers whose answers reach back to a line.
func telling(keepers []abaton.KeeperIndex, spans map[abaton.KeeperIndex]span, l *Line) (out []abaton.KeeperIndex) {
	for _, x := range keepers {
		if spans[x].first <= l.First {
			out = append(out, x)
		}
	}
	return out
}

func released(l *Line) bool {
	for _, r := range l.Rows {
		if r.Released != 0 {
			return true
		}
	}
	return len(l.Rows) == 0 && l.Outcome() != Refused
}

func (g *Gap) add(l *Line) {
	if g.Requests++; g.From == 0 || l.First < g.From {
		g.From = l.First
	}
	g.To = max(g.To, l.Last)
}
