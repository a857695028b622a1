package fhir

// Every maximum of the package. Bytes are bytes of JSON text.
const (
	// DocumentBytesMax bounds one JSON document, so that offsets fit 32 bits
	// with room. The largest Synthea patient Bundle is 11.3 MB; four times
	// that is legal.
	DocumentBytesMax = 48 << 20

	// ValuesMax bounds the JSON values of one document, at 24 bytes each in
	// memory, so that a hostile body of nothing but brackets costs 100 MB and
	// no more. Real charts hold one value for every 20 to 30 bytes.
	ValuesMax = 4 << 20

	// ResourceBytesMax bounds one resource. The largest of the Synthea set is
	// 213 KB; large objects go another way (Binary streams, a later issue).
	ResourceBytesMax = 16 << 20

	// DepthMax bounds nesting of arrays and objects. The deepest of all R4
	// examples nests 23 levels.
	DepthMax = 64

	// EntriesMax bounds the entries of one Bundle.
	EntriesMax = 20_000

	// QueryBytesMax and QueryParametersMax bound a search query.
	QueryBytesMax      = 8 << 10
	QueryParametersMax = 64

	// CountDefault and CountMax are entries per page.
	CountDefault = 100
	CountMax     = 1000

	// idBytesMax is the longest id R4 allows (datatypes.html#id).
	idBytesMax = 64

	// codesMax is how many codes Codes reports: what the batch index carries.
	codesMax = 4

	// patientsMax and followMax bound the lists of a Place, and with them the
	// work on a resource that is nothing but references. Two patients are a
	// refusal already.
	patientsMax = 8
	followMax   = 256

	// urnsMax bounds how many links inside one narrative are rewritten.
	urnsMax = 4096

	// PatchStepsMax bounds the operations of one JSON Patch, and PatchWorkMax
	// the bytes read over all of them: each is a look at the whole resource.
	PatchStepsMax = 256
	PatchWorkMax  = 64 << 20
)
