package validate

// Every maximum of the package.
const (
	// IssuesMax bounds the issues of one report; more are cut off, and the
	// report says so.
	IssuesMax = 200

	// stepsMax bounds the FHIRPath work on one body, all invariants together.
	// A Synthea Bundle of 11 MB needs a quarter of it.
	stepsMax = 64 << 20

	// stepsEach bounds one invariant on one element.
	stepsEach = 4 << 20

	// stringBytesMax is the longest string R4 allows (datatypes.html#string).
	stringBytesMax = 1 << 20

	// linksMax bounds the references of a Bundle that are followed.
	linksMax = 200_000
)
