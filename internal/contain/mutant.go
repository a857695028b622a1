//go:build mutant

package contain

// Mutation makes a ladder that lacks one step, for drills and tests only:
// release packages are never built with the tag.
type Mutation struct {
	// Skip is the step: "own", the own word counts in full; "one", one other's
	// counts at all; "cap", and no further than a throttle; "two", two others' count
	// as what both say; "proof", and one with proof in full; "bound", a keeper that
	// says too much counts no more; "end", verdicts end; "lift", and can be lifted.
	Skip string
}

func (m Mutation) skips(step string) bool { return m.Skip == step }

// Mutate sets what the ladder lacks, and returns it.
func (l *Ladder) Mutate(m Mutation) *Ladder {
	l.mutation = m
	return l
}
