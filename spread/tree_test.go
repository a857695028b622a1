package spread

import (
	"crypto/sha256"
	"testing"
)

// slowRoot is the definition of RFC 6962, section 2.1, on leaves already
// hashed.
func slowRoot(leaves []Hash32) Hash32 {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	l, r := slowRoot(leaves[:k]), slowRoot(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

func TestTreeOfEverySize(t *testing.T) {
	for m := 1; m <= 64; m++ {
		leaves := make([]Hash32, m)
		for j := range leaves {
			leaves[j] = sha256.Sum256([]byte{byte(m), byte(j)})
		}
		root := Root(leaves)
		if root != slowRoot(leaves) {
			t.Fatalf("root of %d leaves differs from the definition", m)
		}
		for j := range leaves {
			path := Path(leaves, j)
			if len(path) > 6 || !VerifyPath(leaves[j], j, m, path, root) {
				t.Fatalf("path of %d of %d does not verify", j, m)
			}
			for other := range m {
				if other != j && VerifyPath(leaves[j], other, m, path, root) {
					t.Fatalf("path of %d of %d also verifies at %d", j, m, other)
				}
			}
			for i := range path {
				bad := append([]Hash32(nil), path...)
				bad[i][0] ^= 1
				if VerifyPath(leaves[j], j, m, bad, root) {
					t.Fatalf("altered path of %d of %d verifies", j, m)
				}
			}
			if VerifyPath(leaves[j], j, m, append(path, Hash32{}), root) {
				t.Fatalf("longer path of %d of %d verifies", j, m)
			}
		}
		if VerifyPath(leaves[0], -1, m, nil, root) || VerifyPath(leaves[0], m, m, nil, root) {
			t.Fatalf("a place outside %d leaves verifies", m)
		}
	}
}
