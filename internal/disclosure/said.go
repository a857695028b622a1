package disclosure

import (
	"math/bits"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// Said is one row of a list that people read: one line of the history, or
// several of one day that say the same.
type Said struct {
	First    int64 // unix seconds
	Last     int64
	Times    int // how many lines it stands for
	Line     *ledger.Line
	Keepers  int // the fewest ledgers that hold one of them
	Released int // records, each once
	Refused  int
	Renewals int
	Disputed bool
	Parts    []string        // of the record, as far as known
	Reasons  []abaton.Reason // why anything was refused
	records  map[abaton.BatchName]uint64
}

// List is a history as people read it. Estonia's tracker taught both halves: a
// look by a person drowns where every automatic step stands beside it, and an
// intermediary's name in place of who asked is what people complain of.
type List struct {
	Opened    []Said // a person opened or asked
	Processed []Said // a system did its work
}

// Lists sorts the history for people: who opened apart from what was processed,
// and similar lines of one day as one row. Refused and disputed lines, emergencies
// and openings of another kind are never folded into others, and nothing is left
// out. The day is that of zone; nil is UTC.
func Lists(v View, zone *time.Location) List {
	var out List
	if zone == nil {
		zone = time.UTC
	}
	places := v.Places()
	for i := range v.History.Lines {
		l := &v.History.Lines[i]
		rows := &out.Processed
		if v.byPerson(l) {
			rows = &out.Opened
		}
		s := saidOf(l)
		s.Parts = v.PartsOf(l, places)
		if before := slices.IndexFunc(*rows, func(b Said) bool { return alike(&b, &s, zone) }); before >= 0 {
			(*rows)[before].join(&s)
			continue
		}
		*rows = append(*rows, s)
	}
	return out
}

func saidOf(l *ledger.Line) Said {
	s := Said{Keepers: len(l.Keepers), records: make(map[abaton.BatchName]uint64), First: l.First, Last: max(l.Last, l.Renewed), Times: 1, Line: l, Renewals: l.Renewals, Disputed: l.Disputed, Reasons: l.Reasons()}
	s.Released, s.Refused = counts(l)
	for _, r := range l.Rows {
		s.records[r.Batch] |= r.Released
	}
	return s
}

// alike reports whether two rows say the same to whoever reads them: the same
// person in the same place, for the same reason, by the same right, on one day.
func alike(a, b *Said, zone *time.Location) bool {
	x, y := a.Line, b.Line
	plain := func(s *Said) bool {
		return !s.Disputed && s.Refused == 0 && len(s.Reasons) == 0 && s.Line.Op != ledger.OpEmergency && s.Line.Op != ledger.OpConfirm
	}
	return plain(a) && plain(b) && x.Op == y.Op && x.Actor == y.Actor && x.Organisation == y.Organisation && x.Device == y.Device && x.Role == y.Role &&
		x.Behalf == y.Behalf && x.Onward == y.Onward && x.Purpose == y.Purpose && x.Grant == y.Grant && slices.Equal(a.Parts, b.Parts) &&
		day(a.First, zone) == day(b.First, zone)
}

func (s *Said) join(b *Said) {
	s.First, s.Last = min(s.First, b.First), max(s.Last, b.Last)
	s.Times += b.Times
	s.Keepers = min(s.Keepers, b.Keepers)
	s.Renewals += b.Renewals
	s.Released = 0
	for batch, released := range b.records {
		s.records[batch] |= released
	}
	for _, released := range s.records {
		s.Released += bits.OnesCount64(released)
	}
}

func day(unix int64, zone *time.Location) string {
	return time.Unix(unix, 0).In(zone).Format(time.DateOnly)
}
