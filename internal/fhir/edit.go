package fhir

// An edit replaces the bytes start to end of a source by text. Edits of one
// list are in the order of the source and do not overlap.
type edit struct {
	start, end int
	text       []byte
}

// apply carries out the edits; every byte outside of them is kept.
func apply(src []byte, edits []edit) []byte {
	size := len(src)
	for _, e := range edits {
		size += len(e.text) - (e.end - e.start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		if e.start < at || e.end < e.start {
			panic("fhir: edits overlap or are out of order")
		}
		out = append(out, src[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	return append(out, src[at:]...)
}
