package validate

// Every maximum of the package.
const (
	// IssuesMax bounds the issues of one report; more are cut off, and the
	// report says so.
	IssuesMax = 200

	// stepsMax bounds the FHIRPath work on one body, all invariants together.
	// The largest Synthea Bundle (11 MB) needs a twentieth of it.
	stepsMax = 8 << 20

	// stepsEach bounds one invariant on one element.
	stepsEach = 2 << 20

	// stringBytesMax is the longest string R4 allows (datatypes.html#string).
	stringBytesMax = 1 << 20
)
