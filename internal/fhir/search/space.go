package search

import "hash/maphash"

// A Space is where indexes live that are searched together: they share one
// secret seed, under which codes and references are compared by 64-bit
// hashes. Whoever writes a resource does not know the seed, so nobody can
// make two values collide on purpose; by chance, two of a hundred million
// different values do with a probability of 1 in 3,700.
type Space struct{ seed maphash.Seed }

// NewSpace is a space with a fresh seed.
func NewSpace() *Space { return &Space{maphash.MakeSeed()} }

// hash is never zero, which stands for absence.
func (s *Space) hash(b []byte) uint64 { return maphash.Bytes(s.seed, b) | 1 }

func (s *Space) hashText(t string) uint64 { return maphash.String(s.seed, t) | 1 }

// foldMax is up to which length a code is folded without allocating.
const foldMax = 128

// hashFolded hashes a code without regard to the case of ASCII letters:
// tokens compare so unless their system is known to tell cases apart
// (FHIR R4, search.html#token).
func (s *Space) hashFolded(b []byte) uint64 {
	for i, c := range b {
		if c-'A' < 26 {
			var scratch [foldMax]byte
			folded := append(scratch[:0], b...)
			for j := i; j < len(folded); j++ {
				if folded[j]-'A' < 26 {
					folded[j] += 'a' - 'A'
				}
			}
			return s.hash(folded)
		}
	}
	return s.hash(b)
}
