package detect

// readers are the unrelated people at one patient in the last day.
type readers struct {
	who    [readersMax]uint64
	at     [readersMax]uint32
	raised uint32 // since when everybody is looked at
}

// others counts those within a day besides one.
func (r *readers) others(who uint64, now uint32) (n int) {
	for i := range r.at {
		if r.who[i] != who && within(now, r.at[i], day) {
			n++
		}
	}
	return n
}

func (r *readers) add(who uint64, now uint32) {
	at := 0
	for i := range r.at {
		if r.at[i] != 0 && r.who[i] == who {
			at = i
			break
		}
		if r.at[i] < r.at[at] {
			at = i
		}
	}
	r.who[at], r.at[at] = who, now
}

// drop takes out who had a reason after all. What was raised stays for its day.
func (r *readers) drop(who uint64) {
	for i := range r.at {
		if r.who[i] == who {
			r.who[i], r.at[i] = 0, 0
		}
	}
}

func (r *readers) alive(now uint32) bool {
	for _, at := range r.at {
		if within(now, at, day) && !ahead(now, at) {
			return true
		}
	}
	return within(now, r.raised, day) && !ahead(now, r.raised)
}

// readers is D12: several unrelated people at one patient within a day. From
// then on every unrelated one steps up, and of the others the patient is told.
func (v *view) readers() Level {
	r, ok := v.w.readers[v.id]
	if !ok {
		if v.unrelated() && len(v.w.readers) >= PatientsMax {
			return v.ask() // no room to count: as if there were enough
		}
		return 0
	}
	raised := within(v.now, r.raised, day)
	switch {
	case v.unrelated() && (raised || !v.a.Program && r.others(short(v.a.Actor), v.now)+1 >= int(v.w.t.Readers)):
		return v.ask()
	case raised && v.fresh(day):
		return Notify
	}
	return 0
}

// read notes an unrelated reader of a patient.
func (w *Watch) read(patient, who uint64, now uint32) {
	r, ok := w.readers[patient]
	if !ok && len(w.readers) >= PatientsMax {
		return
	}
	if r.others(who, now)+1 >= int(w.t.Readers) {
		r.raised = now
	}
	r.add(who, now)
	w.readers[patient] = r
}
