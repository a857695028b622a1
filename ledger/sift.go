package ledger

import (
	"cmp"
	"slices"

	"github.com/abaton-health/abaton"
)

// Placed is an entry that was proven, where its keeper has it, and its leaf.
type Placed struct {
	Index uint64
	Leaf  Leaf
	Entry Entry
	Raw   []byte // Entry as ledgered; only Sift sets it
}

// SortPlaced puts the entries about one patient in the order Check and Patient
// need: by keeper, then index.
func SortPlaced(ps []Placed) {
	slices.SortFunc(ps, func(a, b Placed) int {
		return cmp.Or(cmp.Compare(a.Entry.Keeper, b.Entry.Keeper), cmp.Compare(a.Index, b.Index))
	})
}

// A list that is longer than memory is made in three passes, of which each sees a
// page or a patient at a time:
//
//	err := s.Sift(keeper, &page, put)    // each page that Found.Verify accepts
//	s.Done(keeper, since)                // after its last
//	s.Check(entries)                     // for each patient: all entries about this one
//	touched := s.Touched()               // who counts; without patients
//	p := s.Patient(entries, touched.Answered) // for each patient again

// Sift is Take, but what is about a patient goes to put, which keeps it for Check
// and Patient. An error of put is returned as it is.
func (v *Survey) Sift(x abaton.KeeperIndex, page *Found, put func(*Placed) error) error {
	k := v.keeper(x)
	k.gone += page.Gone
	for i := range page.Disclosures {
		d := &page.Disclosures[i]
		p, check := v.admit(x, k, d)
		if check == "" && p.Entry.Patient == (abaton.ActorID{}) {
			check = v.keep(k, &p)
		}
		if check != "" {
			v.Fault(x, check, d.Index)
			return k.fault
		}
		if p.Entry.Patient == (abaton.ActorID{}) {
			continue
		}
		p.Raw = d.Entry
		if err := put(&p); err != nil {
			return err
		}
	}
	return nil
}

// Check notes what the entries about one patient, in the order of SortPlaced, show
// missing among themselves.
func (v *Survey) Check(about []Placed) { v.alone(about) }

// Patient sums up the entries about one patient, in the order of SortPlaced, when
// so many keepers count (Touched.Answered).
func (v *Survey) Patient(about []Placed, answered int) TouchedPatient {
	one := v.alone(about)
	if len(about) == 0 {
		return TouchedPatient{}
	}
	id := about[0].Entry.Patient
	return one.patient(id, one.about[id], answered)
}

// alone is a survey of one patient within v.
func (v *Survey) alone(about []Placed) *Survey {
	one := NewSurvey(v.look, v.shape)
	for i := range about {
		p := &about[i]
		if check := one.keep(v.keeper(p.Entry.Keeper), p); check != "" {
			v.Fault(p.Entry.Keeper, check, p.Index)
		}
	}
	return one
}
