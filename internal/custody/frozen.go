package custody

// frozen reports whether a death is stated in the patient's log and the request
// goes past the grants: in the patient's own name, or by an escrow. Those that
// name a grant are grant.Decide's. A stranger is told no more than before.
func (v *verdict) frozen() bool {
	if !v.patient.Frozen() {
		return false
	}
	e, _ := v.patient.Escrow(v.r.Asked.Grant)
	return e != nil || v.r.Session.Statement().Actor == v.r.Asked.Patient
}
