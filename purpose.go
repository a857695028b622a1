package abaton

// Purpose is why a record is asked for: a code of HL7 v3 PurposeOfUse. The
// zero Purpose is refused everywhere.
type Purpose string

// The purposes version 1 knows; anything else is refused. The list is short
// on purpose: finer codes would tell keepers more.
const (
	Treatment     Purpose = "TREAT"    // care of the patient
	Emergency     Purpose = "ETREAT"   // emergency care
	PatientAccess Purpose = "PATRQT"   // the patient's own request
	Operations    Purpose = "HOPERAT"  // running the practice, imports
	Research      Purpose = "HRESCH"   // research
	Payment       Purpose = "HPAYMT"   // payment
	PublicHealth  Purpose = "PUBHLTH"  // public health duty
	Coverage      Purpose = "COVERAGE" // coverage under a policy
	Legal         Purpose = "HLEGAL"   // a complaint, liability: opens duty copies alone, and no grant gives it
)

// Valid reports whether p is a purpose that version 1 knows.
func (p Purpose) Valid() bool {
	switch p {
	case Treatment, Emergency, PatientAccess, Operations, Research, Payment, PublicHealth, Coverage, Legal:
		return true
	}
	return false
}
