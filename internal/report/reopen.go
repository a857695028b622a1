package report

import "github.com/abaton-health/abaton"

// Reopened is an incident with all that made it: letters can be made of it later, or
// on after an end in the middle, without asking keepers anew.
type Reopened struct {
	Incident *Incident
	Proofs   *Proofs
	Asked    *Asked
	Key      abaton.KeyID // who signs, and must sign what is made of it
}

// Reopen verifies an incident's signed file; the error is that of Verify.
func Reopen(data []byte, t *Trust) (*Reopened, error) {
	o, err := open(data, t)
	if err != nil {
		return nil, err
	}
	if o.Kind != IncidentFile {
		return nil, fails("it is no incident")
	}
	i, err := o.incident()
	if err != nil {
		return nil, err
	}
	r := &Reopened{Incident: i, Proofs: o.proofs, Asked: &Asked{Look: o.look}, Key: o.by}
	copy(r.Asked.Salt[:], o.Salt)
	return r, nil
}
