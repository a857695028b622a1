package fhir

// NameBytes is Name without copying where it has no escapes; it must not be
// changed.
func (v Value) NameBytes() []byte {
	if v.doc == nil {
		return nil
	}
	return v.nameBytes()
}

// TextBytes is Text without copying where it has no escapes; it must not be
// changed.
func (v Value) TextBytes() []byte { return v.textBytes() }
