package spread

import (
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// RowState says what a row of a piece is. The zero RowState is refused.
type RowState uint8

// The states of version 1.
const (
	RowReleased RowState = 1 // fragment and share are here
	RowErased   RowState = 2 // the record was erased; Share is its share leaf
)

// Piece is a keeper's answer for some records of one batch
// (PROTOCOL.md#piece). Asked for at least half of the batch, it carries the m
// body leaves and the share leaves of the records it does not release; asked
// for less, each row carries its two paths.
type Piece struct {
	Version     uint64             `cbor:"1,keyasint"`
	Head        wire.Signed        `cbor:"2,keyasint"`
	Lock        wire.Signed        `cbor:"3,keyasint"`
	X           abaton.KeeperIndex `cbor:"4,keyasint"`
	Capsule     []byte             `cbor:"5,keyasint"`
	Bitmap      uint64             `cbor:"6,keyasint"` // records answered, bit j for record j
	Leaves      []Hash32           `cbor:"7,keyasint"` // whole form: m body leaves
	ShareLeaves []Hash32           `cbor:"8,keyasint"` // whole form: of records not in Bitmap
	Rows        []PieceRow         `cbor:"9,keyasint"` // for each bit of Bitmap, ascending
}

// PieceRow is one record's part of a piece.
type PieceRow struct {
	_         struct{} `cbor:",toarray"`
	State     RowState
	Length    uint32   // of the code word, in bytes; 0 when erased
	Fragment  []byte   // empty when erased
	Share     [32]byte // the share leaf when erased
	Path      []Hash32 // path form: the body leaf, then its path
	SharePath []Hash32 // path form: the path of the share leaf
}

// Stored is what a keeper holds of one batch, as MakePiece needs it.
type Stored struct {
	Head    wire.Signed
	Lock    wire.Signed
	X       abaton.KeeperIndex
	Capsule []byte
	Leaves  []Hash32    // all body leaves
	Rows    []StoredRow // one for each record
}

// StoredRow is what a keeper holds of one record. Fragment and Length are
// needed only for records that are released. ShareLeaf is needed when Erased;
// otherwise zero means that MakePiece computes it from Share.
type StoredRow struct {
	Erased    bool
	Length    uint32
	Fragment  []byte
	Share     [32]byte
	ShareLeaf Hash32
}

// Stored is c in the form that MakePiece takes.
func (c *Checked) Stored() *Stored {
	s := &Stored{Head: c.HeadSigned, Lock: c.LockSigned, X: c.X, Capsule: c.Capsule, Leaves: c.Leaves, Rows: make([]StoredRow, len(c.Rows))}
	for j := range c.Rows {
		r := &c.Rows[j]
		s.Rows[j] = StoredRow{Length: r.Length, Fragment: r.Fragment, Share: r.Share, ShareLeaf: r.ShareLeaf}
	}
	return s
}

// MakePiece answers for the records in bitmap, which must name at least one
// record of the batch and none beyond it (ReasonMalformed). Which records may
// be released is the caller's decision, made before.
func MakePiece(s *Stored, bitmap uint64) (*Piece, error) {
	head, lock, err := s.decode()
	if err != nil {
		return nil, err
	}
	m := int(head.Dims.M)
	if bitmap == 0 || bits.Len64(bitmap) > m || len(s.Rows) != m || len(s.Leaves) != m {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	shares := s.shareLeaves(Ctx(head.Line, lock), lock.Gone)
	p := &Piece{Version: wire.Version, Head: s.Head, Lock: s.Lock, X: s.X, Capsule: s.Capsule, Bitmap: bitmap}
	whole := wholeForm(bitmap, m)
	for j := range m {
		asked := bitmap>>j&1 == 1
		if whole && !asked {
			p.ShareLeaves = append(p.ShareLeaves, shares[j])
		}
		if !asked {
			continue
		}
		row := s.row(j, lock.Gone, shares[j])
		if !whole {
			row.Path = append([]Hash32{s.Leaves[j]}, Path(s.Leaves, j)...)
			row.SharePath = Path(shares, j)
		}
		p.Rows = append(p.Rows, row)
	}
	if whole {
		p.Leaves = s.Leaves
	}
	return p, nil
}

// wholeForm says which of the two forms a piece has.
func wholeForm(bitmap uint64, m int) bool { return 2*bits.OnesCount64(bitmap) >= m }

func (s *Stored) decode() (*Head, *Lock, error) {
	head, err := DecodeHead(s.Head.Body)
	if err != nil {
		return nil, nil, err
	}
	lock, err := DecodeLock(s.Lock.Body)
	return head, lock, err
}

func (s *Stored) shareLeaves(ctx Hash32, gone uint64) []Hash32 {
	leaves := make([]Hash32, len(s.Rows))
	for j := range s.Rows {
		r := &s.Rows[j]
		switch {
		case gone>>j&1 == 1:
			leaves[j] = GoneLeaf(ctx, s.X, uint16(j))
		case r.Erased || r.ShareLeaf != Hash32{}:
			leaves[j] = r.ShareLeaf
		default:
			leaves[j] = ShareLeaf(ctx, s.X, uint16(j), r.Share)
		}
	}
	return leaves
}

func (s *Stored) row(j int, gone uint64, leaf Hash32) PieceRow {
	r := &s.Rows[j]
	if r.Erased || gone>>j&1 == 1 {
		return PieceRow{State: RowErased, Share: leaf}
	}
	return PieceRow{State: RowReleased, Length: r.Length, Fragment: r.Fragment, Share: r.Share}
}

// Bytes is the canonical form.
func (p *Piece) Bytes() []byte { return wire.Marshal(p) }

// ParsePiece reads the canonical form; it refuses with ReasonMalformed or
// ReasonTooLarge. What it holds is checked by Gather.
func ParsePiece(data []byte) (*Piece, error) {
	if len(data) > abaton.ReplyBodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	p := new(Piece)
	if wire.Unmarshal(data, p) != nil || p.Version != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return p, nil
}
