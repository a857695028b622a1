package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/abaton-health/abaton"
)

// Shape is the keeper set's (n, t, f): how many keepers, how many open a
// record, how many may be dishonest. The zero Shape is never complete.
type Shape struct {
	Keepers   int // n
	Threshold int // t
	Faulty    int // f
}

// Answer is what one keeper said about one patient: all its disclosures, the
// paths of which the caller has verified (Extract.Verify).
type Answer struct {
	Keeper      abaton.KeeperIndex
	Disclosures []Disclosure
	// Since is when its ledger followed one that was lost, in unix seconds; 0
	// for a ledger as old as the keeper set.
	Since int64
}

// Renewal says since when a keeper's ledger speaks: what it told before, the
// others must tell (PROTOCOL.md#ledger-history).
type Renewal struct {
	Keeper abaton.KeeperIndex
	Since  int64 // unix seconds
}

// Line is one request as the patient sees it, from all ledgers that hold it.
type Line struct {
	Request      [32]byte
	Op           Op
	Actor        abaton.ActorID
	Organisation abaton.ActorID
	Device       abaton.ActorID // where a clinician sat; zero for none
	Role         string         // in which role; empty for a patient
	Behalf       abaton.ActorID // in whose place; zero normally
	Onward       abaton.Handed  // who handed the grant on, and which hand-on; zero normally
	Session      abaton.SessionID
	Purpose      abaton.Purpose
	Grant        abaton.GrantID
	First, Last  int64 // unix seconds: the earliest and latest keeper's time
	Rows         []LineRow
	Lines        []abaton.Line
	Keepers      []abaton.KeeperIndex // whose ledgers hold it, ascending
	Told         []Told               // what each of these ledgers says for itself, by keeper, then index
	Renewals     int                  // permits of the same session folded into this line
	Renewed      int64                // unix seconds of the last of them; 0 for none
	Disputed     bool                 // ledgers tell different facts of this request; each version is a line
}

// LineRow is one batch of a Line; one bit a record.
type LineRow struct {
	Batch     abaton.BatchName
	Released  uint64 // at least one keeper released it
	Refused   uint64 // at least one keeper refused it
	Confirmed uint64 // at least t keepers released it: it could be opened
}

// Verdict is how complete a History is. The zero Verdict is incomplete.
type Verdict int

// The verdicts (PROTOCOL.md#ledger-history).
const (
	Incomplete     Verdict = iota // too few answers: lines may be missing
	CompleteUnless                // complete unless some of those that answered lie
	Complete                      // complete even if f of those that answered lie
)

// History is the union of what several keepers told of one patient.
type History struct {
	Lines    []Line // by time, then request
	Verdict  Verdict
	Answered int                  // keepers whose whole chain fits
	Liars    int                  // with CompleteUnless: how many liars it would take
	Since    int64                // unix seconds; older entries are redacted somewhere; 0 for none
	Faults   []error              // *GapError of each answer that does not count
	Counted  []abaton.KeeperIndex // the keepers behind Answered
	Renewed  []Renewal            // keepers that answered for less than the whole time, ascending
}

// String is the sentence people read; it never says more than is known.
func (h *History) String() string {
	switch h.Verdict {
	case Complete:
		return "complete"
	case CompleteUnless:
		if h.Liars == 1 {
			return fmt.Sprintf("complete unless one of these %d lies", h.Answered)
		}
		return fmt.Sprintf("complete unless %d of these %d lie", h.Liars, h.Answered)
	}
	return "incomplete"
}

// facts is what all honest ledgers say alike about a request.
type facts struct {
	op      Op
	actor   abaton.ActorID
	org     abaton.ActorID
	device  abaton.ActorID
	role    string
	behalf  abaton.ActorID
	session abaton.SessionID
	purpose abaton.Purpose
	grant   abaton.GrantID
	onward  abaton.Handed
}

type requestFacts struct {
	request [32]byte
	facts   facts
}

type place struct {
	keeper abaton.KeeperIndex
	index  uint64
}

// draft is a line being gathered.
type draft struct {
	line  Line
	rows  map[abaton.BatchName]*rowDraft
	folds map[requestFacts]int // keepers that say it renews that request
}

type rowDraft struct {
	released, refused uint64
	by                [abaton.BatchRecordsMax]int // keepers that released each record
}

// Merge is the union of answers: every line of every answer is in it, also of
// those whose chain does not fit, but only whole chains count towards the
// verdict. Any n-t+1 honest answers meet every opening; f more stand in for
// liars.
func Merge(patient abaton.ActorID, answers []Answer, s Shape) History {
	m := merging{holds: make(map[place]requestFacts), drafts: make(map[requestFacts]*draft), chains: make(map[abaton.KeeperIndex]Chain)}
	seen := make(map[abaton.KeeperIndex]bool)
	for i := range answers {
		a := &answers[i]
		if a.Keeper == 0 || int(a.Keeper) > s.Keepers || seen[a.Keeper] {
			m.history.Faults = append(m.history.Faults, &GapError{Keeper: a.Keeper, Check: "answer"})
			continue
		}
		seen[a.Keeper] = true
		m.take(patient, a)
	}
	m.countRenewed(s)
	m.history.judge(s)
	m.history.Lines = fold(m.drafts, s)
	return m.history
}

// merging is a Merge under way.
type merging struct {
	history History
	holds   map[place]requestFacts // where each entry lies, to follow folds
	drafts  map[requestFacts]*draft
	renewed []Answer
	chains  map[abaton.KeeperIndex]Chain // whole ones of renewed
	born    int64                        // the patient's first entry in ledgers that count; 0 when unknown
	aged    bool                         // a ledger that counts no longer shows its first entry
}

// countRenewed counts the ledgers that began anew before there was anything to
// tell of the patient: more than f others that reach further back show when that
// was.
func (m *merging) countRenewed(s Shape) {
	known := m.history.Answered > s.Faulty && m.born != 0 && !m.aged
	slices.SortFunc(m.renewed, func(a, b Answer) int { return cmp.Compare(a.Keeper, b.Keeper) })
	for _, a := range m.renewed {
		if c, whole := m.chains[a.Keeper]; whole && known && m.born > a.Since {
			m.history.count(c)
			continue
		}
		m.history.Renewed = append(m.history.Renewed, Renewal{Keeper: a.Keeper, Since: a.Since})
	}
}

// take adds one keeper's answer.
func (m *merging) take(patient abaton.ActorID, a *Answer) {
	c, err := CheckChain(a.Keeper, patient, a.Disclosures)
	if err == nil && c.Redacted > 0 && len(c.Entries) == 0 {
		err = &GapError{Keeper: a.Keeper, Check: "redacted"} // since when, it cannot say
	}
	if err != nil {
		m.history.Faults = append(m.history.Faults, err)
		c = salvage(patient, a)
	}
	switch {
	case a.Since != 0:
		m.renewed = append(m.renewed, *a)
		if err == nil {
			m.chains[a.Keeper] = c
		}
	case err == nil:
		m.history.count(c)
		m.aged = m.aged || c.Redacted > 0
		if len(c.Entries) > 0 && (m.born == 0 || c.Entries[0].Time < m.born) {
			m.born = c.Entries[0].Time
		}
	}
	for i := range c.Entries {
		m.holds[place{a.Keeper, c.Indexes[i]}] = factsOf(&c.Entries[i])
	}
	done := make(map[requestFacts]map[abaton.BatchName]uint64) // a record counts once a keeper
	for i := range c.Entries {
		m.gather(&c.Entries[i], c.Indexes[i], done)
	}
}

func (h *History) count(c Chain) {
	h.Answered++
	h.Counted = append(h.Counted, c.Keeper)
	if c.Redacted > 0 {
		h.Since = max(h.Since, c.Entries[0].Time)
	}
}

// salvage keeps what can be read of an answer whose chain does not fit: a
// line too many is better than one too few.
func salvage(patient abaton.ActorID, a *Answer) Chain {
	c := Chain{Keeper: a.Keeper}
	for i := range a.Disclosures {
		d := &a.Disclosures[i]
		if en, check := readLink(d, a.Keeper, patient); check == "" {
			c.Entries = append(c.Entries, en)
			c.Indexes = append(c.Indexes, d.Index)
		}
	}
	return c
}

func factsOf(en *Entry) requestFacts {
	return requestFacts{en.Request, facts{en.Op, en.Actor, en.Organisation, en.Device, en.Role, en.Behalf, en.Session, en.Purpose, en.Grant, en.Onward}}
}

func (m *merging) gather(en *Entry, index uint64, done map[requestFacts]map[abaton.BatchName]uint64) {
	key := factsOf(en)
	d := m.drafts[key]
	if d == nil {
		d = newDraft(en)
		m.drafts[key] = d
	}
	d.add(en, index)
	if done[key] == nil {
		done[key] = make(map[abaton.BatchName]uint64)
	}
	for i := range en.Rows {
		d.addRow(&en.Rows[i], done[key])
	}
	if index, folds := en.Folded(); folds {
		if into, found := m.holds[place{en.Keeper, index}]; found {
			d.folds[into]++
		}
	}
}

func newDraft(en *Entry) *draft {
	d := &draft{rows: make(map[abaton.BatchName]*rowDraft), folds: make(map[requestFacts]int)}
	d.line = Line{Request: en.Request, Op: en.Op, Actor: en.Actor, Organisation: en.Organisation,
		Device: en.Device, Role: en.Role, Behalf: en.Behalf, Onward: en.Onward,
		Session: en.Session, Purpose: en.Purpose, Grant: en.Grant, First: en.Time, Last: en.Time}
	return d
}

func (d *draft) add(en *Entry, index uint64) {
	l := &d.line
	l.Told = append(l.Told, tellOf(en, index))
	l.First, l.Last = min(l.First, en.Time), max(l.Last, en.Time)
	if !slices.Contains(l.Keepers, en.Keeper) {
		l.Keepers = append(l.Keepers, en.Keeper)
	}
	for _, x := range en.Lines {
		if !slices.Contains(l.Lines, x) {
			l.Lines = append(l.Lines, x)
		}
	}
}

func (d *draft) addRow(r *Row, done map[abaton.BatchName]uint64) {
	row := d.rows[r.Batch]
	if row == nil {
		row = &rowDraft{}
		d.rows[r.Batch] = row
	}
	row.released |= r.Released
	row.refused |= r.Refused
	for j := range row.by {
		if r.Released&^done[r.Batch]>>uint(j)&1 == 1 {
			row.by[j]++
		}
	}
	done[r.Batch] |= r.Released
}

// judge sets the verdict from the number of whole chains.
func (h *History) judge(s Shape) {
	slices.Sort(h.Counted)
	need := s.Keepers - s.Threshold + 1
	switch {
	case s.Threshold <= 0 || s.Keepers < s.Threshold || s.Faulty < 0 || h.Answered < need:
		h.Verdict = Incomplete
	case h.Answered >= need+s.Faulty:
		h.Verdict = Complete
	default:
		h.Verdict = CompleteUnless
		h.Liars = h.Answered - need + 1
	}
}

// fold turns drafts into lines, renewals into their first opening.
func fold(drafts map[requestFacts]*draft, s Shape) []Line {
	versions := make(map[[32]byte]int)
	for key := range drafts {
		versions[key.request]++
	}
	folded := make(map[requestFacts]bool)
	for key, d := range drafts {
		d.line.Disputed = versions[key.request] > 1
		if into := d.renews(drafts, s); into != nil {
			into.line.Renewals++
			into.line.Renewed = max(into.line.Renewed, d.line.Last)
			folded[key] = true
		}
	}
	var lines []Line
	for key, d := range drafts {
		if !folded[key] {
			lines = append(lines, d.finish(s))
		}
	}
	slices.SortFunc(lines, compareLines)
	return lines
}

// compareLines orders by time and, where that is equal, by what is shown, so
// that the same answers give the same list.
func compareLines(a, b Line) int {
	return cmp.Or(
		cmp.Compare(a.First, b.First),
		bytes.Compare(a.Request[:], b.Request[:]),
		cmp.Compare(a.Op, b.Op),
		bytes.Compare(a.Actor[:], b.Actor[:]),
		bytes.Compare(a.Organisation[:], b.Organisation[:]),
		bytes.Compare(a.Device[:], b.Device[:]),
		cmp.Compare(a.Role, b.Role),
		bytes.Compare(a.Behalf[:], b.Behalf[:]),
		bytes.Compare(a.Onward.From[:], b.Onward.From[:]), bytes.Compare(a.Onward.ID[:], b.Onward.ID[:]),
		bytes.Compare(a.Session[:], b.Session[:]),
		bytes.Compare(a.Grant[:], b.Grant[:]),
		cmp.Compare(a.Purpose, b.Purpose),
	)
}

// renews finds the opening that d only renews. To hide a line takes more than
// f keepers that say so, the same person, session and grant, and no record
// that the opening did not release. Only permits fold (ParseEntry).
func (d *draft) renews(drafts map[requestFacts]*draft, s Shape) *draft {
	if d.line.Disputed {
		return nil
	}
	var found *draft
	for into, votes := range d.folds {
		first := drafts[into]
		if votes > s.Faulty && d.continues(first) &&
			(found == nil || compareLines(first.line, found.line) < 0) {
			found = first
		}
	}
	return found
}

func (d *draft) continues(first *draft) bool {
	a, b := &d.line, &first.line
	return len(first.folds) == 0 && b.Op.Opens() && a.Actor == b.Actor && a.Organisation == b.Organisation &&
		a.Device == b.Device && a.Role == b.Role && a.Behalf == b.Behalf && a.Session == b.Session && a.Grant == b.Grant && a.Onward == b.Onward && a.Purpose == b.Purpose && d.within(first)
}

func (d *draft) within(first *draft) bool {
	for batch, row := range d.rows {
		f := first.rows[batch]
		if f == nil || row.released&^f.released != 0 || row.refused != 0 {
			return false
		}
	}
	return true
}

func (d *draft) finish(s Shape) Line {
	l := d.line
	slices.Sort(l.Keepers)
	slices.SortFunc(l.Told, func(a, b Told) int { return cmp.Or(cmp.Compare(a.Keeper, b.Keeper), cmp.Compare(a.Index, b.Index)) })
	SortLines(l.Lines)
	for batch := range maps.Keys(d.rows) {
		row := d.rows[batch]
		out := LineRow{Batch: batch, Released: row.released, Refused: row.refused}
		for j, n := range row.by {
			if s.Threshold > 0 && n >= s.Threshold {
				out.Confirmed |= 1 << uint(j)
			}
		}
		l.Rows = append(l.Rows, out)
	}
	slices.SortFunc(l.Rows, func(a, b LineRow) int { return bytes.Compare(a.Batch[:], b.Batch[:]) })
	return l
}
