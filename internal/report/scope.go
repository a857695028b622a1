package report

import (
	"fmt"
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// scopeOf is who and what, from the merged answers alone.
func scopeOf(t *ledger.Touched, ids map[[32]byte][]string) Scope {
	s := Scope{Patients: []Patient{}}
	for i := range t.Patients {
		p := patientOf(&t.Patients[i], ids)
		if s.Count(&t.Look, t.Patients[i].Patient, &p) {
			s.Patients = append(s.Patients, p)
		}
	}
	return s
}

// Count adds what was done about one patient to the sums of s; false for the
// organisation's own records, which are no patient's.
func (s *Scope) Count(q *ledger.Look, id abaton.ActorID, p *Patient) bool {
	if id == q.Organisation {
		s.Directory = p.Records
		return false
	}
	s.Records.Opened += p.Records.Opened
	s.Records.Close += p.Records.Close
	s.Records.Asked += p.Records.Asked
	switch {
	case p.Records.Opened > 0:
		s.People.Opened++
	case p.Records.Close > 0:
		s.People.Close++
	case p.Records.Asked > 0:
		s.People.Asked++
	default:
		s.People.Listed++
	}
	return true
}

// PatientOf is what was done about one patient, with the names of the entries that
// show it: all about this patient, by keeper, then index.
func PatientOf(q *ledger.TouchedPatient, entries []ledger.Placed) Patient {
	ids := make(map[[32]byte][]string)
	for i := range entries {
		e := &entries[i]
		ids[e.Entry.Request] = append(ids[e.Entry.Request], entryID(e.Entry.Keeper, e.Index))
	}
	return patientOf(q, ids)
}

func patientOf(q *ledger.TouchedPatient, ids map[[32]byte][]string) Patient {
	p := Patient{Patient: q.Patient.String(), First: q.First, Last: q.Last, Batches: []Batch{}, Reads: []Read{}}
	p.Records.Opened, p.Records.Close, p.Records.Asked = q.Counts()
	for _, b := range q.Batches {
		lines, first, last := linesOf(q, b.Batch)
		p.Batches = append(p.Batches, Batch{Batch: b.Batch.String(), Opened: bitsText(b.Opened), Close: bitsText(b.Close), Asked: bitsText(b.Asked),
			Lines: lines, First: first, Last: last})
	}
	for i := range q.Lines {
		p.Reads = append(p.Reads, readOf(&q.Lines[i], ids))
	}
	return p
}

func readOf(l *ledger.Line, ids map[[32]byte][]string) Read {
	r := Read{At: l.First, What: l.Op.String(), Purpose: string(l.Purpose), Role: l.Role, Evidence: append([]string{}, ids[l.Request]...)}
	for _, row := range l.Rows {
		if !l.Op.Opens() {
			continue
		}
		r.Opened += bits.OnesCount64(row.Confirmed)
		r.Refused += bits.OnesCount64((row.Released | row.Refused) &^ row.Confirmed)
	}
	return r
}

// encryptedOf is what was asked for and stayed sealed: fewer than t keepers
// released it, which the entries of the requests show.
func encryptedOf(t *ledger.Touched, s Scope) Encrypted {
	e := Encrypted{Threshold: t.Shape.Threshold, Keepers: t.Shape.Keepers, Sealed: s.Records.Asked, Evidence: []string{}}
	for _, p := range s.Patients {
		if p.Records.Asked == 0 {
			continue
		}
		for _, r := range p.Reads {
			if r.Refused > 0 {
				e.Evidence = append(e.Evidence, r.Evidence...)
			}
		}
	}
	return e
}

func bitsText(b uint64) string { return fmt.Sprintf("%016x", b) }

// Counts are an incident for statistics, in the words of VERIS
// (verisframework.org): nothing in them names anybody.
type Counts struct {
	Actor     string        `json:"actor"`  // internal or external: unknown until a person says
	Action    string        `json:"action"` // misuse, hacking, physical, or unknown
	Attribute []string      `json:"attribute"`
	People    int           `json:"data_subjects"`
	Records   int           `json:"data_total"`
	Variety   string        `json:"data_variety"`
	Timeline  CountTimeline `json:"timeline"`
}

// CountTimeline are durations in seconds; -1 is not known.
type CountTimeline struct {
	Compromise  int64 `json:"first_to_last_read"`
	Discovery   int64 `json:"first_read_to_detected"`
	Containment int64 `json:"detected_to_contained"`
}

func countsOf(i *Incident) Counts {
	c := Counts{Actor: "unknown", Action: "unknown", Attribute: []string{"confidentiality.data_disclosure"}, Variety: "medical",
		People: i.Scope.People.Opened, Records: i.Scope.Records.Opened,
		Timeline: CountTimeline{i.Clocks.LastRead - i.Clocks.FirstRead, i.Clocks.Detected - i.Clocks.FirstRead, -1}}
	if i.Clocks.Contained != 0 {
		c.Timeline.Containment = i.Clocks.Contained - i.Clocks.Detected
	}
	switch i.Vector {
	case Insider, SharedAccount, Emergency:
		c.Actor, c.Action = "internal", "misuse.privilege_abuse"
	case StolenSession, Gateway:
		c.Actor, c.Action = "external", "hacking.use_of_stolen_credentials"
	case StolenDevice:
		c.Actor, c.Action = "external", "physical.theft"
	}
	return c
}
