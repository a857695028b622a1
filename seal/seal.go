// Package seal turns records into sealed uploads for the keepers of a set, and
// opens what a reader has gathered. Each record has a key of its own, behind
// two locks: the private key of the patient's segment, and a threshold of
// keepers.
//
//	sealed, err := seal.Seal(seal.Batch{...})         // a writer
//	opened, err := seal.Open(segment, gathered, keys) // a reader
//
// It is the only place where record keys and plaintext are handled, and no
// keeper links it. It does not protect what a reader does with an opened
// record, nor the memory of its process. The forms are frozen with protocol
// version 1 (PROTOCOL.md#body, PROTOCOL.md#capsule).
package seal

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Errors of sealing.
var (
	// ErrBatch says that a Batch cannot be sealed as it stands; the text
	// names the field.
	ErrBatch = errors.New("not a sealable batch")
	// ErrTooLarge says that a record is above RecordBytesMax or the batch is
	// above what one deposit carries; seal fewer records together.
	ErrTooLarge = errors.New("too large to seal")
)

// BatchRecordsMax is how many records of a caller one batch takes: with more
// than one, record 0 is their index.
const BatchRecordsMax = abaton.BatchRecordsMax - 1

// Author is who signs for the content: the writing organisation or device.
// The person stands in the envelope.
type Author struct {
	Actor abaton.ActorID
	Key   *key.Signing
}

// Batch is what is sealed together: records of one line, for one segment.
type Batch struct {
	Patient  abaton.ActorID
	Line     abaton.Line
	Segment  key.BoxPublic // the newest epoch of Line
	Set      abaton.ActorID
	Shape    spread.Shape
	Writer   *key.Signing
	Seq      uint64           // reserved durably by the caller, per (writer, patient, line)
	PrevHead abaton.BatchName // of the writer's previous Seq there; zero if none
	Hour     uint32           // hours since 1970-01-01T00:00Z
	Author   Author
	Records  []Record // 1 to BatchRecordsMax; Envelope.Patient and Line must agree
	Facts    []Fact   // for the index: one for each record, or none
}

// Sealed is a batch ready to be sent. The caller stores the uploads, boxed,
// before the first byte goes out, and sends the same bytes again on a retry.
type Sealed struct {
	Name    abaton.BatchName
	Head    wire.Signed
	Lock    wire.Signed
	Uploads []*spread.Upload // by position in Shape.X
	// Places says which record of the batch each of Batch.Records became.
	// The order is random: sizes in order would be a fingerprint.
	Places []uint16
}

// Seal seals b. With more than one record it adds their index as record 0.
func Seal(b Batch) (*Sealed, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	return sealWith(b, fresh(len(b.Records)))
}

func (b *Batch) check() error {
	if err := b.Shape.Validate(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	field := ""
	switch {
	case b.Patient == abaton.ActorID{}:
		field = "Patient"
	case b.Line == abaton.Line{}:
		field = "Line"
	case b.Segment.IsZero():
		field = "Segment"
	case b.Set == abaton.ActorID{}:
		field = "Set"
	case b.Writer == nil:
		field = "Writer"
	case b.Author.Actor == abaton.ActorID{} || b.Author.Key == nil:
		field = "Author"
	case len(b.Records) < 1 || len(b.Records) > BatchRecordsMax:
		field = "Records"
	case len(b.Facts) != 0 && len(b.Facts) != len(b.Records):
		field = "Facts"
	}
	if field != "" {
		return fmt.Errorf("seal: field %s: %w", field, ErrBatch)
	}
	for i := range b.Records {
		e := &b.Records[i].Envelope
		if e.Patient != b.Patient || e.Line != b.Line || e.Kind == KindIndex || e.check() != nil {
			return fmt.Errorf("seal: envelope of record %d: %w", i, ErrBatch)
		}
		if e.Kind == KindPart && len(b.Records) != 1 {
			return fmt.Errorf("seal: a part beside other records: %w", ErrBatch)
		}
		if e.Kind == KindObject && !isObject(b.Records[i].Content) {
			return fmt.Errorf("seal: object of record %d: %w", i, ErrBatch)
		}
	}
	for i := range b.Facts {
		if !b.Facts[i].valid() {
			return fmt.Errorf("seal: facts of record %d: %w", i, ErrBatch)
		}
	}
	return nil
}

// class is what HEAD says of the batch, inside which it cannot be seen.
func (b *Batch) class() spread.Class {
	if b.Records[0].Envelope.Kind == KindPart {
		return spread.PartClass
	}
	return spread.Ordinary
}

// entropy is all the randomness of one batch, so that vectors can fix it.
type entropy struct {
	nonce        [16]byte
	order        []int        // a permutation of the caller's records
	keys         []key.Secret // one for each record, the index included
	coefficients func(j int) [][32]byte
	encapsulate  func(info []byte) ([]byte, key.Exporter, error)
}

// fresh draws the entropy for count records from crypto/rand. Without
// coefficients and encapsulate the real ones are used.
func fresh(count int) *entropy {
	e := &entropy{order: permutation(count), keys: make([]key.Secret, batchSize(count))}
	rand.Read(e.nonce[:])
	for i := range e.keys {
		e.keys[i] = key.NewSecret()
	}
	return e
}

// batchSize is m for count records of the caller.
func batchSize(count int) int {
	if count > 1 {
		return count + 1
	}
	return count
}

// permutation is uniform up to the bias of one byte modulo at most 63, which
// is no secret's bias: the order only blurs sizes.
func permutation(n int) []int {
	order, draws := make([]int, n), make([]byte, n)
	rand.Read(draws)
	for i := range order {
		at := int(draws[i]) % (i + 1)
		order[i] = order[at]
		order[at] = i
	}
	return order
}

func sealWith(b Batch, e *entropy) (*Sealed, error) {
	raws, places, err := b.raws(e.order)
	if err != nil {
		return nil, err
	}
	code, err := spread.NewCode(b.Shape.N, b.Shape.K)
	if err != nil {
		return nil, err
	}
	s := sealing{batch: &b, entropy: e, code: code, shape: b.Shape, m: len(raws)}
	if err := s.bodies(raws); err != nil {
		return nil, err
	}
	s.head()
	if err := s.lock(); err != nil {
		return nil, err
	}
	return &Sealed{Name: s.name, Head: s.headSigned, Lock: s.lockSigned, Uploads: s.uploads(), Places: places}, nil
}

// raws encodes the records in their sealed order, behind their index.
func (b *Batch) raws(order []int) (raws [][]byte, places []uint16, err error) {
	first := batchSize(len(b.Records)) - len(b.Records)
	places = make([]uint16, len(b.Records))
	if first == 1 {
		index := b.index(order)
		raws = append(raws, index.raw())
	}
	for j, i := range order {
		raws = append(raws, b.Records[i].raw())
		places[i] = uint16(first + j)
	}
	total := 0
	for _, raw := range raws {
		if len(raw) > abaton.RecordBytesMax {
			return nil, nil, fmt.Errorf("seal: %w", ErrTooLarge)
		}
		total += len(raw)
	}
	// One fragment of each record and the rest of an upload must fit one
	// deposit; stored text is the worst case.
	if total/int(b.Shape.K)+total/8+len(raws)*1024+(64<<10) > abaton.DepositBodyMax {
		return nil, nil, fmt.Errorf("seal: %w", ErrTooLarge)
	}
	return raws, places, nil
}
