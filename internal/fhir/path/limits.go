package path

// Every maximum of the package. An expression or a resource that would go
// over one ends with ErrBudget or a *SyntaxError, never with more work.
const (
	// ExpressionBytesMax bounds an expression. The longest invariant of R4
	// has 600 bytes.
	ExpressionBytesMax = 16 << 10

	// StepsDefault is the budget of one evaluation if the scope names none: an
	// item made, an item compared or 64 bytes of text each cost one. Every
	// invariant of R4 over the largest Synthea resource (213 KB) stays below
	// a tenth of it.
	StepsDefault = 2 << 20

	// depthMax bounds how deep forms nest, linksMax how long a chain of dots
	// may be; both bound the stack of an evaluation.
	depthMax = 100
	linksMax = 200

	argumentsMax = 16

	// callsMax bounds the nesting of an evaluation.
	callsMax = 1000

	// digitsMax bounds the digits of a number, before and after the point
	// together. FHIR wants at least 18.
	digitsMax = 256

	// textBytesMax bounds one string that an evaluation makes.
	textBytesMax = 8 << 20

	// patternBytesMax bounds a regular expression.
	patternBytesMax = 2 << 10
)
