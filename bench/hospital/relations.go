package main

// relations are what the feed has told: for a patient, whom until when. All
// five keepers are told the same at the same moment here.
type relations struct {
	of   map[int32][]tell
	seat map[int32]int // the unit a person is seated in
}

func newRelations(w *world) *relations {
	r := &relations{of: make(map[int32][]tell), seat: make(map[int32]int)}
	for i := range w.people {
		r.seat[int32(i)] = w.people[i].unit
	}
	return r
}

// hear takes one in, and forgets what is over about the same patient.
func (r *relations) hear(t tell) {
	kept := r.of[t.patient][:0]
	for _, old := range r.of[t.patient] {
		if old.until > t.told {
			kept = append(kept, old)
		}
	}
	r.of[t.patient] = append(kept, t)
}

// related says that one stands for the person, or for the team of the person.
func (r *relations) related(who, patient int32, at int64) bool {
	for _, t := range r.of[patient] {
		if t.from <= at && at < t.until && r.names(&t, who) {
			return true
		}
	}
	return false
}

func (r *relations) names(t *tell, who int32) bool {
	return t.whom == who || t.whom == team(r.seat[who])
}

// settle forgets what is over.
func (r *relations) settle(now int64) {
	for p, all := range r.of {
		kept := all[:0]
		for _, t := range all {
			if t.until > now {
				kept = append(kept, t)
			}
		}
		if r.of[p] = kept; len(kept) == 0 {
			delete(r.of, p)
		}
	}
}
