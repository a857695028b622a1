package hl7

// Every maximum of the package, its unit and why that number.
const (
	// MessageBytesMax bounds one message: a scanned letter of 5 MB in an OBX
	// is 7 MB of base64.
	MessageBytesMax = 8 << 20
	// SegmentsMax bounds the segments of a message. The longest laboratory
	// reports have some hundreds.
	SegmentsMax = 4096
	// FieldsMax bounds the fields of a segment. OBX and PV1, the longest of
	// the standard, have some fifty.
	FieldsMax = 256
	// RepetitionsMax bounds the repetitions of one field.
	RepetitionsMax = 512
	// ComponentsMax bounds the components of one repetition, and the
	// sub-components of a component.
	ComponentsMax = 128
	// ResourcesMax bounds what one message may become.
	ResourcesMax = 2048
	// headBytesMax is how much of a frame over MessageBytesMax is kept, so
	// that it can be answered by its name.
	headBytesMax = 4 << 10
)
