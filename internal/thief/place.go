package thief

import "github.com/abaton-health/abaton"

// pieceFact is how many bytes of a stolen piece make a fact: more than chance
// gives twice.
const pieceFact = factBytesMax

// Holds reports what the thief has of one record: its fragment, and its share
// unsealed.
func (l *Loot) Holds(name abaton.RecordName) (fragment, share bool) {
	at := place{batch: name.Batch, j: byte(name.Index)}
	_, fragment = l.fragments[at]
	_, share = l.shares[at]
	return fragment, share
}

// Pieces are facts made of what the thief has of some records: whoever searches
// a later copy of the disk for them sees whether the bytes went.
func (l *Loot) Pieces(names ...abaton.RecordName) (facts []Fact) {
	for _, name := range names {
		at := place{batch: name.Batch, j: byte(name.Index)}
		if f, ok := l.fragments[at]; ok && len(f.bytes) >= pieceFact {
			facts = append(facts, Fact{What: "fragment", Text: string(f.bytes[:pieceFact])})
		}
		if s, ok := l.shares[at]; ok {
			facts = append(facts, Fact{What: "share", Text: string(s[:pieceFact])})
		}
	}
	return facts
}
