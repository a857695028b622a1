package spread

import (
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// question is what a reader asked of one keeper, as far as a piece can be
// judged by it.
type question struct {
	name  abaton.BatchName
	set   abaton.ActorID
	shape Shape
	x     abaton.KeeperIndex
}

// verified remembers signed objects that were found good, so that five pieces
// with one HEAD cost one verification. The zero value remembers nothing.
type verified struct {
	heads map[string]*Head
	locks map[string]*Lock
}

func newVerified() verified {
	return verified{heads: make(map[string]*Head), locks: make(map[string]*Lock)}
}

func (v verified) head(s wire.Signed) (*Head, error) {
	id := string(s.Body) + string(s.Sig)
	if h := v.heads[id]; h != nil {
		return h, nil
	}
	h, err := ParseHead(s)
	if err == nil && v.heads != nil {
		v.heads[id] = h
	}
	return h, err
}

func (v verified) lock(s wire.Signed) (*Lock, error) {
	id := string(s.Body) + string(s.Sig)
	if l := v.locks[id]; l != nil {
		return l, nil
	}
	l, err := ParseLock(s)
	if err == nil && v.locks != nil {
		v.locks[id] = l
	}
	return l, err
}

// answer is a piece that holds in all that one piece can show: signatures,
// paths, capsule fragment, shares. Only its fragments are still unjudged,
// because a body leaf speaks of all n together.
type answer struct {
	question
	raw      []byte
	piece    *Piece
	head     *Head
	lock     *Lock
	lockHash Hash32
	ctx      Hash32
	position int
	rows     map[uint16]*PieceRow
}

// inspect judges one piece alone. An error of any reason but ReasonKeeperSet
// is a proof against the keeper: an honest one never stored or sent this.
func (q question) inspect(raw []byte, v verified) (*answer, error) {
	p, err := ParsePiece(raw)
	if err != nil {
		return nil, err
	}
	position, known := q.shape.Position(q.x)
	if !known {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	if p.X != q.x || NameOf(p.Head.Body) != q.name {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	a := &answer{question: q, raw: raw, piece: p, position: position}
	if err := a.signed(v); err != nil {
		return nil, err
	}
	if err := a.sizes(); err != nil {
		return nil, err
	}
	if err := a.content(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *answer) signed(v verified) (err error) {
	if a.head, err = v.head(a.piece.Head); err != nil {
		return err
	}
	if a.lock, err = v.lock(a.piece.Lock); err != nil {
		return err
	}
	if !a.lock.matches(a.name, a.head) {
		return abaton.Refuse(abaton.ReasonMalformed)
	}
	if !a.lock.lockedBy(a.head) {
		return abaton.Refuse(abaton.ReasonWriter)
	}
	if !a.lock.spreadOver(a.head, a.set, a.shape) {
		return abaton.Refuse(abaton.ReasonKeeperSet)
	}
	a.lockHash, a.ctx = LockHash(a.piece.Lock.Body), Ctx(a.head.Line, a.lock)
	return nil
}

// sizes checks every length and sorts the rows by record.
func (a *answer) sizes() error {
	p, m, k := a.piece, int(a.head.Dims.M), a.head.Dims.K
	count := bits.OnesCount64(p.Bitmap)
	leaves, shareLeaves := 0, 0
	whole := wholeForm(p.Bitmap, m)
	if whole {
		leaves, shareLeaves = m, m-count
	}
	if count == 0 || bits.Len64(p.Bitmap) > m || len(p.Rows) != count || len(p.Leaves) != leaves ||
		len(p.ShareLeaves) != shareLeaves || len(p.Capsule) != FragmentBytes(CapsuleBytes, k) {
		return abaton.Refuse(abaton.ReasonMalformed)
	}
	a.rows = make(map[uint16]*PieceRow, count)
	next := 0
	for j := range m {
		if p.Bitmap>>j&1 == 0 {
			continue
		}
		row := &p.Rows[next]
		next++
		if !row.sized(j, m, k, whole, a.lock.Gone>>j&1 == 1) {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
		a.rows[uint16(j)] = row
	}
	return nil
}

func (r *PieceRow) sized(j, m int, k uint8, whole, gone bool) bool {
	path, sharePath := 0, 0
	if !whole {
		sharePath = pathLength(j, m)
		path = 1 + sharePath
	}
	if len(r.Path) != path || len(r.SharePath) != sharePath {
		return false
	}
	switch r.State {
	case RowReleased:
		return !gone && ValidCodeWordBytes(int(r.Length)) && len(r.Fragment) == FragmentBytes(int(r.Length), k)
	case RowErased:
		return r.Length == 0 && len(r.Fragment) == 0
	}
	return false
}

// content checks the capsule fragment and both trees.
func (a *answer) content() error {
	if CapsuleHash(a.ctx, a.x, a.piece.Capsule) != a.lock.Kappa[a.position] {
		return abaton.Refuse(abaton.ReasonCapsule)
	}
	if !a.bodyHolds() {
		return abaton.Refuse(abaton.ReasonBody)
	}
	if !a.sharesHold() {
		return abaton.Refuse(abaton.ReasonShare)
	}
	return nil
}

func (a *answer) bodyHolds() bool {
	if len(a.piece.Leaves) > 0 {
		return Root(a.piece.Leaves) == a.head.BodyRoot
	}
	for j, row := range a.rows {
		if !VerifyPath(row.Path[0], int(j), int(a.head.Dims.M), row.Path[1:], a.head.BodyRoot) {
			return false
		}
	}
	return true
}

func (a *answer) sharesHold() bool {
	rho := a.lock.Rho[a.position]
	if len(a.piece.Leaves) > 0 {
		return Root(a.allShareLeaves()) == rho
	}
	for j, row := range a.rows {
		if !VerifyPath(a.shareLeaf(j, row), int(j), int(a.head.Dims.M), row.SharePath, rho) {
			return false
		}
	}
	return true
}

// shareLeaf is the leaf that row stands for.
func (a *answer) shareLeaf(j uint16, row *PieceRow) Hash32 {
	switch {
	case a.lock.Gone>>j&1 == 1:
		return GoneLeaf(a.ctx, a.x, j)
	case row.State == RowErased:
		return row.Share
	}
	return ShareLeaf(a.ctx, a.x, j, row.Share)
}

// allShareLeaves is the keeper's whole share tree, in the whole form.
func (a *answer) allShareLeaves() []Hash32 {
	leaves, rest := make([]Hash32, a.head.Dims.M), a.piece.ShareLeaves
	for j := range leaves {
		if row := a.rows[uint16(j)]; row != nil {
			leaves[j] = a.shareLeaf(uint16(j), row)
		} else {
			leaves[j], rest = rest[0], rest[1:]
		}
	}
	return leaves
}

// bodyLeaf is the authenticated body leaf of record j.
func (a *answer) bodyLeaf(j uint16) Hash32 {
	if len(a.piece.Leaves) > 0 {
		return a.piece.Leaves[j]
	}
	return a.rows[j].Path[0]
}

// bodyPath is the path of that leaf.
func (a *answer) bodyPath(j uint16) []Hash32 {
	if len(a.piece.Leaves) > 0 {
		return Path(a.piece.Leaves, int(j))
	}
	return a.rows[j].Path[1:]
}

// sharePath is the path of record j's share leaf.
func (a *answer) sharePath(j uint16) []Hash32 {
	if len(a.piece.Leaves) > 0 {
		return Path(a.allShareLeaves(), int(j))
	}
	return a.rows[j].SharePath
}
