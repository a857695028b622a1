package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/abaton-health/abaton"
)

// Touched is what several keepers told of an organisation's own entries: of
// whom what was opened, and what was only asked for.
type Touched struct {
	// History says who answered and how complete it is. Its Lines are the acts
	// about nobody: other looks, events. Since is not used.
	History
	Look     Look
	Shape    Shape
	Patients []TouchedPatient // ascending by name
	Gone     uint64           // the most entries in this time whose retention is over, at one keeper
}

// TouchedPatient is what was done about one patient.
type TouchedPatient struct {
	Patient     abaton.ActorID
	Lines       []Line         // each request, by time
	Batches     []TouchedBatch // ascending; those that somebody asked to open
	First, Last int64          // unix seconds, of all lines
}

// TouchedBatch is one batch of a patient and what became of its records, over
// all requests of the answer together: shares of one record that were gathered
// by several requests open it like those of one. One bit a record; no record is
// in two of the fields.
type TouchedBatch struct {
	Batch abaton.BatchName
	// Opened: released by at least t keepers.
	Opened uint64
	// Close: released by fewer than t, but so that f keepers that hide an entry,
	// with those that did not answer, would make up t.
	Close uint64
	// Asked: asked for, and not opened however f keepers lie.
	Asked uint64
}

// Counts are the records of p by outcome.
func (p *TouchedPatient) Counts() (opened, near, asked int) {
	for i := range p.Batches {
		b := &p.Batches[i]
		opened += bits.OnesCount64(b.Opened)
		near += bits.OnesCount64(b.Close)
		asked += bits.OnesCount64(b.Asked)
	}
	return opened, near, asked
}

// WithheldError says what is wrong with one keeper's answer to a Look: what
// does not verify, or an entry that another of its own entries shows missing.
type WithheldError struct {
	Keeper abaton.KeeperIndex
	Check  string
	Index  uint64 // of the entry where it shows; 0 for an answer that never came
}

func (e *WithheldError) Error() string {
	return fmt.Sprintf("keeper %d: answer does not count: %s at entry %d", e.Keeper, e.Check, e.Index)
}

// Survey puts the answers to one Look together, page by page. It is not safe
// for concurrent use.
//
//	s := ledger.NewSurvey(look, shape)
//	err := s.Take(keeper, &page) // for each page that Extract.Verify accepts
//	s.Done(keeper, since)        // after its last
//	touched := s.Touched()
type Survey struct {
	look    Look
	shape   Shape
	about   map[abaton.ActorID]*merging
	ends    map[abaton.ActorID][]chainEnd
	keepers map[abaton.KeeperIndex]*surveyed
}

// chainEnd is the newest entry that one keeper told of one patient.
type chainEnd struct {
	keeper abaton.KeeperIndex
	seq    uint64
	tie    [32]byte
}

// surveyed is one keeper's answer so far.
type surveyed struct {
	began       bool
	first, last uint64 // indexes
	gone        uint64
	own         bool // it showed where it ledgered the question
	done        bool
	since       int64
	fault       *WithheldError
}

// NewSurvey begins a survey; the zero Shape is never complete.
func NewSurvey(look Look, s Shape) *Survey {
	return &Survey{look: look, shape: s, about: make(map[abaton.ActorID]*merging),
		ends: make(map[abaton.ActorID][]chainEnd), keepers: make(map[abaton.KeeperIndex]*surveyed)}
}

func (v *Survey) keeper(x abaton.KeeperIndex) *surveyed {
	k := v.keepers[x]
	if k == nil {
		k = new(surveyed)
		v.keepers[x] = k
	}
	return k
}

// Take adds a page whose checkpoint and paths the caller verified. A
// *WithheldError says that the keeper's answer no longer counts as whole; what
// it proved before stays.
func (v *Survey) Take(x abaton.KeeperIndex, page *Found) error {
	k := v.keeper(x)
	k.gone += page.Gone
	for i := range page.Disclosures {
		d := &page.Disclosures[i]
		if check := v.take(x, k, d); check != "" {
			v.Fault(x, check, d.Index)
			return k.fault
		}
	}
	return nil
}

// Fault notes that a keeper's answer does not count, and why. The first stays.
func (v *Survey) Fault(x abaton.KeeperIndex, check string, index uint64) {
	if k := v.keeper(x); k.fault == nil {
		k.fault = &WithheldError{Keeper: x, Check: check, Index: index}
	}
}

// Done notes that a keeper has told all; since is when its ledger followed one
// that was lost, 0 for never.
func (v *Survey) Done(x abaton.KeeperIndex, since int64) {
	k := v.keeper(x)
	k.done, k.since = true, since
}

func (v *Survey) take(x abaton.KeeperIndex, k *surveyed, d *Disclosure) (check string) {
	p, check := v.admit(x, k, d)
	if check != "" {
		return check
	}
	return v.keep(k, &p)
}

// admit checks what an entry shows by itself, and its place among its keeper's.
func (v *Survey) admit(x abaton.KeeperIndex, k *surveyed, d *Disclosure) (p Placed, check string) {
	if NewLeaf(d.Salt, d.Entry) != d.Leaf {
		return p, "leaf"
	}
	en, err := ParseEntry(d.Entry)
	switch {
	case err != nil:
		return p, "form"
	case en.Keeper != x:
		return p, "keeper"
	case en.PatientSeq != d.Seq:
		return p, "seq"
	case !v.look.Matches(&en):
		return p, "not asked for"
	case k.began && d.Index <= k.last:
		return p, "order"
	}
	if !k.began {
		k.began, k.first = true, d.Index
	}
	k.last, k.own = d.Index, k.own || v.look.Own(&en)
	return Placed{Index: d.Index, Leaf: d.Leaf, Entry: en}, ""
}

// keep checks an entry against the others about its patient, and adds it to them.
func (v *Survey) keep(k *surveyed, p *Placed) (check string) {
	en := &p.Entry
	if check := v.follows(p); check != "" {
		return check
	}
	m := v.merging(en.Patient)
	if into, folds := en.Folded(); folds && into > k.first && m.holds[place{en.Keeper, into}] == nil {
		check = "withheld" // it says itself that the opening lies there, of the same session
	}
	m.gather(en, p.Index)
	return check
}

// follows checks an entry against the one this keeper told of the patient
// before: between them there may be others', so only neighbours tie.
func (v *Survey) follows(p *Placed) (check string) {
	en, x := &p.Entry, p.Entry.Keeper
	if en.Patient == (abaton.ActorID{}) {
		return ""
	}
	ends := v.ends[en.Patient]
	next := chainEnd{x, en.PatientSeq, p.Leaf.Tie()}
	for i := range ends {
		if ends[i].keeper != x {
			continue
		}
		before := ends[i]
		ends[i] = next
		switch {
		case en.PatientSeq <= before.seq:
			return "seq"
		case en.PatientSeq == before.seq+1 && en.Prev != before.tie:
			return "tie"
		}
		return ""
	}
	v.ends[en.Patient] = append(ends, next)
	return ""
}

func (v *Survey) merging(patient abaton.ActorID) *merging {
	m := v.about[patient]
	if m == nil {
		m = &merging{holds: make(map[place]*draft), drafts: make(map[requestFacts]*draft)}
		v.about[patient] = m
	}
	return m
}

// Touched is the sum of what came so far.
func (v *Survey) Touched() *Touched {
	out := &Touched{Look: v.look, Shape: v.shape}
	for x := abaton.KeeperIndex(1); int(x) <= v.shape.Keepers; x++ {
		k := v.keeper(x)
		out.Gone = max(out.Gone, k.gone)
		switch {
		case k.fault != nil:
			out.Faults = append(out.Faults, k.fault)
		case !k.done:
			out.Faults = append(out.Faults, &WithheldError{Keeper: x, Check: "no answer"})
		case !k.own:
			out.Faults = append(out.Faults, &WithheldError{Keeper: x, Check: "question not ledgered"})
		case k.since > v.look.Since:
			out.Renewed = append(out.Renewed, Renewal{Keeper: x, Since: k.since})
		default:
			out.Answered++
			out.Counted = append(out.Counted, x)
		}
	}
	out.judge(v.shape)
	for id, m := range v.about {
		if id == (abaton.ActorID{}) {
			out.Lines = fold(m.drafts, v.shape)
			continue
		}
		out.Patients = append(out.Patients, v.patient(id, m, out.Answered))
	}
	slices.SortFunc(out.Patients, func(a, b TouchedPatient) int { return bytes.Compare(a.Patient[:], b.Patient[:]) })
	return out
}

// patient sums up what was done about one patient.
func (v *Survey) patient(id abaton.ActorID, m *merging, answered int) TouchedPatient {
	p := TouchedPatient{Patient: id}
	rows := make(map[abaton.BatchName]*rowDraft)
	for _, d := range m.drafts {
		if d.line.Op.Opens() {
			d.addTo(rows)
		}
	}
	for batch, row := range rows {
		p.Batches = append(p.Batches, v.batch(batch, row, answered))
	}
	slices.SortFunc(p.Batches, func(a, b TouchedBatch) int { return bytes.Compare(a.Batch[:], b.Batch[:]) })
	p.Lines = fold(m.drafts, v.shape)
	for i := range p.Lines {
		l := &p.Lines[i]
		p.First = cmp.Or(min(p.First, l.First), l.First)
		p.Last = max(p.Last, l.Last, l.Renewed)
	}
	return p
}

func (d *draft) addTo(rows map[abaton.BatchName]*rowDraft) {
	for batch, r := range d.rows {
		row := rows[batch]
		if row == nil {
			row = &rowDraft{}
			rows[batch] = row
		}
		row.released |= r.released
		row.refused |= r.refused
		for _, b := range r.by {
			row.by = addBy(row.by, b.keeper, b.released)
		}
	}
}

func (v *Survey) batch(name abaton.BatchName, row *rowDraft, answered int) TouchedBatch {
	b := TouchedBatch{Batch: name}
	silent := v.shape.Keepers - answered
	for j, n := range counts(row.by) {
		bit := uint64(1) << uint(j)
		switch {
		case (row.released|row.refused)&bit == 0: // nobody asked for it
		case v.shape.Threshold > 0 && n >= v.shape.Threshold:
			b.Opened |= bit
		case n+silent+v.shape.Faulty >= v.shape.Threshold:
			b.Close |= bit
		default:
			b.Asked |= bit
		}
	}
	return b
}
