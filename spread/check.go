package spread

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Checked is an upload whose content holds: what a keeper stores. Slices
// alias the upload.
type Checked struct {
	Name       abaton.BatchName
	Head       *Head
	Lock       *Lock
	HeadSigned wire.Signed
	LockSigned wire.Signed
	LockHash   Hash32
	Ctx        Hash32
	X          abaton.KeeperIndex
	Capsule    []byte
	Leaves     []Hash32 // body leaves, one for each record
	Rows       []CheckedRow
}

// CheckedRow is one record's immutable fragment and its share. A store keeps
// the share apart, in a table that is really rewritten.
type CheckedRow struct {
	Length    uint32
	Fragment  []byte
	Share     [32]byte
	ShareLeaf Hash32
}

// Check is the content part of PROTOCOL.md#ingest: everything a keeper can
// know from the upload, its keeper set and its own place there. Entitlement,
// epochs, equivocation and tombstones are the caller's. Errors are
// *abaton.RefusedError.
func Check(u *Upload, shape Shape, set abaton.ActorID, x abaton.KeeperIndex) (*Checked, error) {
	position, ok := shape.Position(x)
	if shape.Validate() != nil || !ok || u.X != x {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	c, err := checkSigned(u, shape, set)
	if err != nil {
		return nil, err
	}
	if err := checkSizes(u, c.Head); err != nil {
		return nil, err
	}
	if CapsuleHash(c.Ctx, x, u.Capsule) != c.Lock.Kappa[position] {
		return nil, abaton.Refuse(abaton.ReasonCapsule)
	}
	if err := c.fill(u, position); err != nil {
		return nil, err
	}
	return c, nil
}

// checkSigned is the part of Check that concerns HEAD and LOCK.
func checkSigned(u *Upload, shape Shape, set abaton.ActorID) (*Checked, error) {
	if u.Version != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	head, err := ParseHead(u.Head)
	if err != nil {
		return nil, err
	}
	lock, err := ParseLock(u.Lock)
	if err != nil {
		return nil, err
	}
	name := NameOf(u.Head.Body)
	if !lock.matches(name, head) || lock.Number != 1 {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if !lock.lockedBy(head) {
		return nil, abaton.Refuse(abaton.ReasonWriter)
	}
	if !lock.spreadOver(head, set, shape) {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	return &Checked{
		Name: name, Head: head, Lock: lock, HeadSigned: u.Head, LockSigned: u.Lock,
		LockHash: LockHash(u.Lock.Body), Ctx: Ctx(head.Line, lock), X: u.X, Capsule: u.Capsule,
	}, nil
}

func checkSizes(u *Upload, head *Head) error {
	if len(u.Rows) != int(head.Dims.M) || len(u.Capsule) != FragmentBytes(CapsuleBytes, head.Dims.K) {
		return abaton.Refuse(abaton.ReasonMalformed)
	}
	for i := range u.Rows {
		row := &u.Rows[i]
		if int64(row.Length) > int64(CodeWordBytesMax()) {
			return abaton.Refuse(abaton.ReasonTooLarge)
		}
		if !ValidCodeWordBytes(int(row.Length)) || len(row.Others) != int(head.Dims.N)-1 ||
			len(row.Fragment) != FragmentBytes(int(row.Length), head.Dims.K) {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
	}
	return nil
}

// fill computes the leaves and checks both roots.
func (c *Checked) fill(u *Upload, position int) error {
	shares := make([]Hash32, len(u.Rows))
	c.Leaves = make([]Hash32, len(u.Rows))
	c.Rows = make([]CheckedRow, len(u.Rows))
	fragments := make([]Hash32, c.Head.Dims.N)
	for i := range u.Rows {
		row, j := &u.Rows[i], uint16(i)
		copy(fragments, row.Others[:position])
		copy(fragments[position+1:], row.Others[position:])
		fragments[position] = FragmentHash(c.X, j, row.Fragment)
		c.Leaves[i] = BodyLeaf(j, row.Length, fragments)
		shares[i] = ShareLeaf(c.Ctx, c.X, j, row.Share)
		c.Rows[i] = CheckedRow{Length: row.Length, Fragment: row.Fragment, Share: row.Share, ShareLeaf: shares[i]}
	}
	if Root(c.Leaves) != c.Head.BodyRoot {
		return abaton.Refuse(abaton.ReasonBody)
	}
	if Root(shares) != c.Lock.Rho[position] {
		return abaton.Refuse(abaton.ReasonShare)
	}
	return nil
}
