package seal

import (
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Errors of opening.
var (
	// ErrSegment says that the key is not that of the lock's segment.
	ErrSegment = errors.New("not the key of this segment")
	// ErrLocker says that the capsule is wrong under the right key: the
	// locker is faulty.
	ErrLocker = errors.New("capsule does not open: the locker is faulty")
	// ErrAuthor says that no key of the named author signed this batch.
	ErrAuthor = errors.New("author's signature does not hold")
	// ErrFaulty says that a record is not what its writer or locker signed
	// for, whoever answered; every reader gets the same refusal.
	ErrFaulty = errors.New("record does not open: its writer or locker is faulty")
)

// Opened is one record, or why it could not be opened.
type Opened struct {
	Name   abaton.RecordName
	Author abaton.ActorID
	Record Record
	Err    error // nil, or ErrSegment, ErrLocker, ErrAuthor or ErrFaulty wrapped
}

// Open opens what was found with the segment's private key. authors gives the
// keys with which an actor may sign as author; an actor with none is refused,
// and so is everybody if authors is nil. Records fail one by one, in
// Opened.Err; the error of Open itself says that there was nothing to open.
func Open(segment *key.Box, g *spread.Gathered, authors func(abaton.ActorID) []abaton.KeyID) ([]Opened, error) {
	if segment == nil || g == nil || g.Head == nil || len(g.Found) == 0 {
		return nil, fmt.Errorf("open: nothing found: %w", abaton.ErrNotFound)
	}
	o := opening{segment: segment, gathered: g, authors: authors, capsules: make(map[*spread.Capsule]*unlocked)}
	out := make([]Opened, len(g.Found))
	for i := range g.Found {
		f := &g.Found[i]
		out[i].Name = abaton.RecordName{Batch: g.Name, Index: f.Index}
		u := o.unlock(f.Capsule)
		if u.err != nil {
			out[i].Err = u.err
			continue
		}
		out[i].Author = u.author
		_, out[i].Record, out[i].Err = o.record(f, u)
	}
	compareWithIndex(out)
	return out, nil
}

type opening struct {
	segment  *key.Box
	gathered *spread.Gathered
	authors  func(abaton.ActorID) []abaton.KeyID
	capsules map[*spread.Capsule]*unlocked
}

// unlocked is lock one of a batch, opened once.
type unlocked struct {
	k1     key.Secret
	box    authorBox
	author abaton.ActorID
	err    error
}

func (o *opening) unlock(c *spread.Capsule) *unlocked {
	if u := o.capsules[c]; u != nil {
		return u
	}
	u := new(unlocked)
	u.err = o.decapsulate(c, u)
	o.capsules[c] = u
	return u
}

func (o *opening) decapsulate(c *spread.Capsule, u *unlocked) error {
	if key.SegmentIDOf(o.segment.Public()) != c.Lock.Segment {
		return fmt.Errorf("open: %w", ErrSegment)
	}
	exporter, err := o.segment.Decapsulate(c.Bytes[:key.EncBytes], c.Ctx[:])
	if err != nil {
		return fmt.Errorf("open: %w", ErrLocker)
	}
	u.k1 = key.ExportSecret(exporter, wire.K1)
	box, ok := openAuthorBox(u.k1, c.Ctx, c.Bytes[key.EncBytes:])
	if !ok {
		return fmt.Errorf("open: %w", ErrLocker)
	}
	u.box = box
	if o.authors == nil {
		return fmt.Errorf("open: %w", ErrAuthor)
	}
	for _, id := range o.authors(box.actor) {
		if key.Verify(id, wire.Author, o.gathered.Name[:], box.sig[:]) {
			u.author = box.actor
			return nil
		}
	}
	return fmt.Errorf("open: %w", ErrAuthor)
}

// record opens one record with each candidate for its masked key; the
// commitment lets at most one text through.
func (o *opening) record(f *spread.Found, u *unlocked) (dek key.Secret, r Record, err error) {
	h := o.gathered.Head
	aad := bodyContext(h.Patient, h.Nonce, int(h.Dims.M), int(f.Index))
	err = errBody
	for _, masked := range f.Masked {
		dek = xor(key.Secret(masked), maskOf(u.k1, int(f.Index)))
		var raw []byte
		if raw, err = openBody(dek, f.CodeWord, aad, h.Dictionary); err == nil {
			r, err = o.inner(f.Index, raw)
			break
		}
	}
	if err != nil {
		return key.Secret{}, Record{}, fmt.Errorf("open: %w: %w", ErrFaulty, err)
	}
	return dek, r, nil
}

// inner checks that the envelope repeats what is signed outside, and that an
// index stands where one must and nowhere else.
func (o *opening) inner(j uint16, raw []byte) (Record, error) {
	h := o.gathered.Head
	r, err := parseRecord(raw)
	if err != nil {
		return Record{}, err
	}
	isIndex := r.Envelope.Kind == KindIndex
	if r.Envelope.Patient != h.Patient || r.Envelope.Line != h.Line || isIndex != (j == 0 && h.Dims.M > 1) {
		return Record{}, ErrEnvelope
	}
	if (r.Envelope.Kind == KindPart) != (h.Class == spread.PartClass) || r.Envelope.Kind == KindObject && !isObject(r.Content) {
		return Record{}, ErrEnvelope
	}
	if !isIndex {
		return r, nil
	}
	x, err := ParseIndex(r.Content)
	if err != nil {
		return Record{}, err
	}
	if len(x.Entries) != int(h.Dims.M)-1 {
		return Record{}, ErrEnvelope
	}
	return r, nil
}

// compareWithIndex refuses records that their index describes differently,
// where both were opened: a list must not say one thing and the record
// another.
func compareWithIndex(all []Opened) {
	var index *Index
	for i := range all {
		if all[i].Err == nil && all[i].Record.Envelope.Kind == KindIndex {
			index, _ = ParseIndex(all[i].Record.Content) // parsed by inner already
		}
	}
	if index == nil {
		return
	}
	for i := range all {
		o := &all[i]
		if o.Err != nil || o.Name.Index == 0 {
			continue
		}
		if !index.Entries[o.Name.Index-1].agrees(&o.Record.Envelope) {
			o.Record, o.Err = Record{}, fmt.Errorf("open: index: %w", ErrFaulty)
		}
	}
}
