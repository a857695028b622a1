package fhir

// Level is the assurance level at which patients open the category's line:
// what an opening needs. Notes of a psychotherapy need a fresh passkey touch
// (3). The zero Category needs the most.
func (c Category) Level() uint8 {
	switch c {
	case General, Imaging, Emergency:
		return 1
	case Reproductive, Genetic, Psychiatric, Addiction, HIVSTI, Safeguarding:
		return 2
	}
	return 3
}
