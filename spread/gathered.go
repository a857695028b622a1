package spread

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Gathered is what a Gather has so far.
type Gathered struct {
	Name       abaton.BatchName
	Head       *Head // nil until the first valid answer
	HeadSigned wire.Signed
	Found      []Found
	Missing    []Missing
}

// Found is a record that can be opened with the segment's key: its code word,
// proven to be the writer's, and what hides its key.
type Found struct {
	Index    uint16
	CodeWord []byte
	Capsule  *Capsule
	// Masked are the candidates for S_j: one, unless the locker dealt shares
	// off the polynomial. The commitment decides between them.
	Masked [][32]byte
}

// Capsule is a capsule proven to be the locker's, shared by the records found
// under one lock.
type Capsule struct {
	Lock       *Lock
	LockSigned wire.Signed
	Ctx        Hash32
	Bytes      []byte
}

// Missing is a record asked for that cannot be opened yet, and how many valid
// parts there are under the best lock.
type Missing struct {
	Index                       uint16
	Body                        bool // the code word is there
	Fragments, Shares, Capsules int
	Erased                      int  // keepers that say it is erased
	Gone                        bool // so many that it can never open, or the lock says so
}

// Err is ErrErased or a TooFewError.
func (m *Missing) Err(shape Shape) error {
	if m.Gone {
		return abaton.ErrErased
	}
	if !m.Body {
		return &abaton.TooFewError{Have: m.Fragments, Need: int(shape.K)}
	}
	return &abaton.TooFewError{Have: min(m.Shares, m.Capsules), Need: int(shape.T)}
}

// Complete reports whether every record asked for was found.
func (g *Gathered) Complete() bool { return g.Head != nil && len(g.Missing) == 0 }

// Settled reports whether waiting for more keepers is pointless: each record
// is found or gone.
func (g *Gathered) Settled() bool {
	for i := range g.Missing {
		if !g.Missing[i].Gone {
			return false
		}
	}
	return g.Head != nil
}

// Result works out what the answers so far give. It may be called again after
// more answers; work already done is kept.
func (g *Gather) Result() *Gathered {
	out := &Gathered{Name: g.name}
	if len(g.answers) == 0 {
		for j := range bits.Len64(g.rows) {
			if g.rows>>j&1 == 1 {
				out.Missing = append(out.Missing, Missing{Index: uint16(j)})
			}
		}
		return out
	}
	out.Head, out.HeadSigned = g.answers[0].head, g.answers[0].piece.Head
	groups := g.groups()
	for j := range bits.Len64(g.rows) {
		if g.rows>>j&1 == 0 {
			continue
		}
		found, missing := g.record(uint16(j), groups)
		if found != nil {
			out.Found = append(out.Found, *found)
		} else {
			out.Missing = append(out.Missing, missing)
		}
	}
	return out
}

func (g *Gather) record(j uint16, groups []*group) (*Found, Missing) {
	b := g.body(j)
	missing := Missing{Index: j, Body: b.word != nil, Fragments: b.fragments, Erased: b.erased}
	missing.Gone = b.erased > int(g.shape.N)-int(g.shape.T)
	for i, group := range groups {
		if i == 0 {
			missing.Capsules = len(group.members)
			missing.Gone = missing.Gone || group.members[0].lock.Gone>>j&1 == 1
		}
		masked, have := g.masked(j, group)
		if i == 0 {
			missing.Shares = have
		}
		if masked != nil && group.capsule != nil && b.word != nil {
			return &Found{Index: j, CodeWord: b.word, Capsule: group.capsule, Masked: masked}, missing
		}
	}
	return nil, missing
}

// group is the answers that carry one and the same LOCK.
type group struct {
	members []*answer
	capsule *Capsule // nil until k fragments agree with all n kappa
}

// groups sorts answers by SHA-256(LOCK), never by number alone: two LOCKs of
// one number would otherwise be mixed and honest keepers blamed. Highest
// number first; groups that cannot open anything stay, for counting, behind
// those that can.
func (g *Gather) groups() []*group {
	byLock := make(map[Hash32]*group)
	var all []*group
	for _, a := range g.answers {
		if byLock[a.lockHash] == nil {
			byLock[a.lockHash] = new(group)
			all = append(all, byLock[a.lockHash])
		}
		byLock[a.lockHash].members = append(byLock[a.lockHash].members, a)
	}
	need := int(max(g.shape.K, g.shape.T))
	slices.SortFunc(all, func(a, b *group) int { return compareGroups(a, b, need) })
	for _, group := range all {
		group.capsule = g.capsule(group)
	}
	return all
}

func compareGroups(a, b *group, need int) int {
	aFull, bFull := len(a.members) >= need, len(b.members) >= need
	if aFull != bFull {
		if aFull {
			return -1
		}
		return 1
	}
	x, y := a.members[0], b.members[0]
	if x.lock.Number != y.lock.Number {
		if x.lock.Number > y.lock.Number {
			return -1
		}
		return 1
	}
	return bytes.Compare(x.lockHash[:], y.lockHash[:])
}

// capsule decodes the capsule from the first k members, all of whose
// fragments hash to kappa, and compares the re-encoding with all n kappa. A
// difference proves the locker faulty: it named fragments that are no code
// word.
func (g *Gather) capsule(group *group) *Capsule {
	if len(group.members) < int(g.shape.K) {
		return nil
	}
	a, places := group.members[0], make([][]byte, g.shape.N)
	for _, m := range group.members[:g.shape.K] {
		places[m.position] = m.piece.Capsule
	}
	word, all, err := g.code.Decode(places, CapsuleBytes)
	if err != nil {
		return nil
	}
	if !capsuleHolds(a.ctx, g.shape, a.lock, all) {
		g.blame(Fault{
			Party: LockerParty, Key: a.lock.Locker, Reason: abaton.ReasonCapsule,
			Head: a.piece.Head, Locks: []wire.Signed{a.piece.Lock}, Fragments: places,
		})
		return nil
	}
	return &Capsule{Lock: a.lock, LockSigned: a.piece.Lock, Ctx: a.ctx, Bytes: word}
}

// masked gives the candidates for S_j from the shares under one lock, and how
// many shares there were.
func (g *Gather) masked(j uint16, group *group) ([][32]byte, int) {
	var shares []Share
	var from []*answer
	for _, a := range group.members {
		if row := a.rows[j]; row != nil && row.State == RowReleased {
			shares, from = append(shares, Share{X: a.x, Y: row.Share}), append(from, a)
		}
	}
	t := int(g.shape.T)
	if len(shares) < t {
		return nil, len(shares)
	}
	for i := t; i < len(shares); i++ {
		y, err := Interpolate(shares[:t], shares[i].X)
		if err == nil && y != shares[i].Y {
			g.blameShares(j, append(append([]*answer(nil), from[:t]...), from[i]))
			return allSecrets(shares, t), len(shares)
		}
	}
	s, err := Combine(shares[:t])
	if err != nil {
		return nil, len(shares)
	}
	return [][32]byte{s}, len(shares)
}

func (g *Gather) blameShares(j uint16, from []*answer) {
	a := from[0]
	f := Fault{
		Party: LockerParty, Key: a.lock.Locker, Reason: abaton.ReasonShare, Index: j,
		Head: a.piece.Head, Locks: []wire.Signed{a.piece.Lock},
	}
	for _, b := range from {
		f.Shares = append(f.Shares, ShareProof{X: b.x, Share: b.rows[j].Share, Path: b.sharePath(j)})
	}
	g.blame(f)
}

// allSecrets is what every t of the shares give, each once.
func allSecrets(shares []Share, t int) (out [][32]byte) {
	subsets(len(shares), t, func(pick []int) bool {
		chosen := make([]Share, t)
		for i, p := range pick {
			chosen[i] = shares[p]
		}
		if s, err := Combine(chosen); err == nil && !slices.Contains(out, s) {
			out = append(out, s)
		}
		return true
	})
	return out
}
