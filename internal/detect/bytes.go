package detect

// What one of each takes, with what Go's maps and allocator add. TestSizes
// holds them against the compiler.
const (
	pairBytes    = 24
	openBytes    = 72
	trailBytes   = 1152
	readersBytes = 192
	deskBytes    = 96
	actorBytes   = 128 // the place in the map, and the name
	cellBytes    = 24
)

// PersonBytesMax is the most memory one person takes, in bytes; ProgramBytesMax
// the most of a program.
const (
	PersonBytesMax  = actorBytes + trailBytes + PairsMax*pairBytes + OpensMax*openBytes
	ProgramBytesMax = actorBytes + trailBytes + ProgramPairsMax*pairBytes + OpensMax*openBytes
)

// Bytes is about how much memory the Watch holds.
func (w *Watch) Bytes() int {
	n := len(w.baselines)*48*cellBytes + len(w.readers)*readersBytes + len(w.desks)*deskBytes + len(w.members)*actorBytes
	for _, t := range w.trails {
		n += actorBytes + trailBytes + cap(t.pairs)*pairBytes + cap(t.opens)*openBytes
	}
	return n
}
