package detect

// misses are the last different patients at whom something was refused.
type misses [missesMax]miss

type miss struct {
	patient uint64
	at      uint32
}

// add takes one in; the oldest gives way.
func (m *misses) add(patient uint64, now uint32) {
	at := &m[0]
	for i := range m {
		if m[i].at != 0 && m[i].patient == patient {
			at = &m[i]
			break
		}
		if m[i].at < at.at {
			at = &m[i]
		}
	}
	*at = miss{patient, max(now, at.at)}
}

// count is how many patients there are within span.
func (m *misses) count(now, span uint32) (n int) {
	for i := range m {
		if within(now, m[i].at, span) {
			n++
		}
	}
	return n
}

func (m *misses) has(patient uint64, now, span uint32) bool {
	for i := range m {
		if m[i].patient == patient && within(now, m[i].at, span) {
			return true
		}
	}
	return false
}
