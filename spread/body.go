package spread

import (
	"github.com/abaton-health/abaton"
)

// subsetsMax bounds the search for honest fragments: with 5 keepers and 3
// fragments there are 10 subsets; larger sets get a bounded search.
const subsetsMax = 1024

// body is the state of one record's body.
type body struct {
	word      []byte   // once a subset reproduced the leaf
	hashes    []Hash32 // the n fragment hashes under the leaf
	judged    int      // answers compared with hashes so far
	tried     int      // answers there were at the last search
	fragments int      // fragments received
	erased    int      // keepers that say it is erased
}

// body finds the code word of record j if the answers give it: any k
// fragments whose re-encoding reproduces the signed leaf. Only then is a
// keeper whose fragment differs blamed.
func (g *Gather) body(j uint16) *body {
	b := g.bodies[j]
	if b == nil {
		b = new(body)
		g.bodies[j] = b
	}
	var have []*answer
	b.erased = 0
	for _, a := range g.answers {
		row := a.rows[j]
		switch {
		case row == nil:
		case row.State == RowErased:
			b.erased++
		default:
			have = append(have, a)
		}
	}
	b.fragments = len(have)
	if b.word == nil && len(have) >= int(g.shape.K) && b.tried != len(have) {
		b.tried = len(have)
		g.search(j, b, have)
	}
	if b.word != nil {
		g.judge(j, b, have)
	}
	return b
}

// search tries k-subsets of the fragments, those of one stated length at a
// time, and looks for the writer's fault when none fits.
func (g *Gather) search(j uint16, b *body, have []*answer) {
	leaf := have[0].bodyLeaf(j)
	k := int(g.shape.K)
	tries := 0
	subsets(len(have), k, func(pick []int) bool {
		tries++
		places, length := make([][]byte, g.shape.N), have[pick[0]].rows[j].Length
		for _, p := range pick {
			row := have[p].rows[j]
			if row.Length != length {
				return tries < subsetsMax
			}
			places[have[p].position] = row.Fragment
		}
		word, all, err := g.code.Decode(places, int(length))
		if err != nil {
			return tries < subsetsMax
		}
		hashes := make([]Hash32, len(all))
		for p, x := range g.shape.X {
			hashes[p] = FragmentHash(x, j, all[p])
		}
		if BodyLeaf(j, length, hashes) == leaf {
			b.word, b.hashes = word, hashes
			return false
		}
		return tries < subsetsMax
	})
	if b.word == nil && len(have) == int(g.shape.N) {
		g.blameWriter(j, have)
	}
}

// judge names keepers whose fragment is not the one under the reproduced
// leaf.
func (g *Gather) judge(j uint16, b *body, have []*answer) {
	length := uint32(len(b.word))
	for _, a := range have[min(b.judged, len(have)):] {
		if a.fragmentDiffers(j, length, b.hashes) {
			g.blame(Fault{
				Party: KeeperParty, Keeper: a.x, Reason: abaton.ReasonFragment, Piece: a.raw,
				Index: j, Length: length, Hashes: b.hashes,
			})
		}
	}
	b.judged = len(have)
}

// blameWriter: all n fragments are here, together they are under the signed
// leaf, and they are no code word. If they are not under the leaf, some keeper
// lies too and nothing is proven; blame then keeps nothing.
func (g *Gather) blameWriter(j uint16, have []*answer) {
	f := Fault{
		Party: WriterParty, Key: have[0].head.Writer, Reason: abaton.ReasonBody, Index: j,
		Length: have[0].rows[j].Length, Path: have[0].bodyPath(j), Head: have[0].piece.Head, Fragments: make([][]byte, g.shape.N),
	}
	for _, a := range have {
		f.Fragments[a.position] = a.rows[j].Fragment
	}
	g.blame(f)
}

// subsets calls try with each k-subset of 0..n-1 in lexicographic order until
// it returns false.
func subsets(n, k int, try func([]int) bool) {
	pick := make([]int, k)
	for i := range pick {
		pick[i] = i
	}
	for k <= n {
		if !try(pick) {
			return
		}
		i := k - 1
		for i >= 0 && pick[i] == n-k+i {
			i--
		}
		if i < 0 {
			return
		}
		pick[i]++
		for i++; i < k; i++ {
			pick[i] = pick[i-1] + 1
		}
	}
}
