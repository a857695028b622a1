package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/wire"
)

// Bounds of large objects. Memory is what they protect: a part on its way in
// is held about eleven times over (text, cipher, fragments, boxes, outbox).
const (
	// PartBytes is the size of a part that this software writes. Measured
	// from 256 KiB to 4 MiB (docs/adr/0016).
	PartBytes = 512 << 10
	// partsAtOnce is how many parts one process writes at a time, and how many
	// it reads, over all objects.
	partsAtOnce = 4
	// partsAhead is how many parts of one upload are under way while the
	// next is read.
	partsAhead = 3
	// partPatience is how many times longer than a Put a part may wait for
	// the write quorum before its upload stops: 30 s. Nothing more is read
	// meanwhile.
	partPatience = 15
	// BacklogBytesMax is how much may lie in the outbox, for a keeper that is
	// away, before large objects are refused: some 2.4 GB of them. Ordinary
	// records are not.
	BacklogBytesMax = 4 << 30
)

// ErrBacklog means that too much waits in the outbox for a keeper that is
// away; large objects are not taken until it is back.
var ErrBacklog = errors.New("too much waits for a keeper that is away")

// Upload is a large object on its way to the keepers: what of it is durable.
// Stored after each part, it lets the upload go on after a crash.
type Upload struct {
	Patient   abaton.ActorID
	Line      abaton.Line
	Type, ID  string // the FHIR resource that it will be
	Name      string // versionId of its parts, from NewUpload
	Person    abaton.ActorID
	PartBytes int
	BytesMax  int64              // more is seal.ErrTooLarge
	Parts     []abaton.BatchName // durable, in order
	Bytes     int64              // in Parts
	Sum       []byte             // state of SHA-256 after Parts; holds no text, for parts are whole blocks
}

// NewUpload begins a large object.
func (w *Writer) NewUpload(patient abaton.ActorID, line abaton.Line, kind, id string, person abaton.ActorID, bytesMax int64) *Upload {
	var nonce [16]byte
	rand.Read(nonce[:])
	return &Upload{Patient: patient, Line: line, Type: kind, ID: id, Person: person, PartBytes: PartBytes, BytesMax: bytesMax,
		Name: seal.VersionID(w.c.Writer.ID(), id, nil, nonce)}
}

// digest is the hash as it stands after the durable parts.
func (u *Upload) digest() (hash.Hash, error) {
	sum := sha256.New()
	if len(u.Sum) == 0 && len(u.Parts) == 0 {
		return sum, nil
	}
	if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.Sum); err != nil {
		return nil, fmt.Errorf("go on with upload: %w", err)
	}
	return sum, nil
}

func (u *Upload) check() error {
	if u.Patient == (abaton.ActorID{}) || u.Line == (abaton.Line{}) || u.Type == "" || u.ID == "" || u.Name == "" ||
		u.PartBytes < sha256.BlockSize || u.PartBytes%sha256.BlockSize != 0 || u.PartBytes > seal.PartBytesMax ||
		u.Bytes%int64(u.PartBytes) != 0 || u.BytesMax < 1 {
		return errors.New("upload is not one that can go on")
	}
	return nil
}

// Object is the manifest of an upload all of whose parts are durable. It is
// written like any record, of kind seal.KindObject.
func (u *Upload) Object(content, about string) (*seal.Object, error) {
	sum, err := u.digest()
	if err != nil {
		return nil, err
	}
	o := &seal.Object{Version: wire.Version, Upload: u.Name, Content: content, About: about,
		Bytes: uint64(u.Bytes), PartBytes: uint64(u.PartBytes), Sum: [32]byte(sum.Sum(nil)), Parts: u.Parts}
	_, err = seal.ParseObject(o.Marshal())
	return o, err
}

// PutParts reads r, seals it part by part and brings each part to all keepers.
// At most partsAhead parts are under way, and no more is read until the oldest
// of them is acknowledged by four keepers; the fifth's copy waits in the
// outbox. After each acknowledged part, in order, u is moved on and noted is
// called; an error of noted ends it.
//
// Whole says that r ends where the object does. Otherwise bytes beyond the
// last whole part are not kept. When r fails, the parts that are under way are
// waited for, and its error is returned: u says where to go on.
func (w *Writer) PutParts(ctx context.Context, u *Upload, r io.Reader, whole bool, noted func() error) error {
	if err := u.check(); err != nil {
		return err
	}
	sum, err := u.digest()
	if err != nil {
		return err
	}
	p := &uploading{w: w, u: u, sum: sum, at: u.Bytes, noted: noted}
	err = p.read(ctx, r, whole)
	for len(p.flying) > 0 {
		if e := p.land(); err == nil {
			err = e
		}
	}
	return err
}

// uploading is one PutParts.
type uploading struct {
	w      *Writer
	u      *Upload
	sum    hash.Hash
	at     int64 // bytes read, those under way included
	noted  func() error
	flying []*flyingPart
	free   [][]byte
	failed bool // a part is missing: what comes after it does not count
}

// flyingPart is one part under way. Its fields are settled once done is closed.
type flyingPart struct {
	buffer []byte
	size   int
	sum    []byte
	name   abaton.BatchName
	err    error
	done   chan struct{}
}

func (p *uploading) read(ctx context.Context, r io.Reader, whole bool) error {
	for {
		if len(p.flying) == partsAhead {
			if err := p.land(); err != nil {
				return err
			}
		}
		buffer := p.buffer()
		n, err := fill(r, buffer)
		if err != nil && err != io.EOF {
			return err
		}
		if n == len(buffer) || n > 0 && whole {
			if err := p.launch(ctx, buffer, n); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// fill reads until the buffer is full. Unlike io.ReadFull it tells an end from
// a broken connection, whose error is io.ErrUnexpectedEOF too.
func fill(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = r.Read(buffer[n:])
		n += more
	}
	if n == len(buffer) {
		err = nil
	}
	return n, err
}

func (p *uploading) buffer() []byte {
	if last := len(p.free) - 1; last >= 0 {
		b := p.free[last]
		p.free = p.free[:last]
		return b
	}
	return make([]byte, p.u.PartBytes)
}

// launch sends a part on its way.
func (p *uploading) launch(ctx context.Context, buffer []byte, n int) error {
	if p.at += int64(n); p.at > p.u.BytesMax {
		return seal.ErrTooLarge
	}
	if p.w.c.Outbox.Held() > p.w.c.Backlog {
		return ErrBacklog
	}
	p.sum.Write(buffer[:n])
	state, err := p.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return fmt.Errorf("put part: %w", err)
	}
	part := &flyingPart{buffer: buffer, size: n, sum: state, done: make(chan struct{})}
	select {
	case p.w.n.partsIn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.flying = append(p.flying, part)
	record := seal.Record{Content: buffer[:n], Envelope: seal.Envelope{Kind: seal.KindPart, Type: p.u.Type, ID: p.u.ID,
		VersionID: p.u.Name, LastUpdated: uint64(p.w.n.now().UnixMilli()), Person: p.u.Person}}
	write := Write{Patient: p.u.Patient, Line: p.u.Line, Record: record}
	go func() {
		defer close(part.done)
		defer func() { <-p.w.n.partsIn }()
		// What is under way is brought to its end even if its sender is
		// gone: so much less is to be sent again.
		part.name, part.err = p.w.putPart(context.WithoutCancel(ctx), write)
	}()
	return nil
}

func (w *Writer) putPart(ctx context.Context, write Write) (abaton.BatchName, error) {
	written, err := w.putWithin(ctx, []Write{write}, partPatience*w.c.Wait)
	if err != nil {
		return abaton.BatchName{}, err
	}
	return written.Names[0].Batch, nil
}

// land waits for the oldest part and moves the upload on.
func (p *uploading) land() error {
	part := p.flying[0]
	p.flying = p.flying[1:]
	<-part.done
	p.free = append(p.free, part.buffer)
	switch {
	case part.err != nil:
		p.failed = true
		return fmt.Errorf("put part: %w", part.err)
	case p.failed:
		return nil
	}
	p.u.Parts, p.u.Bytes, p.u.Sum = append(p.u.Parts, part.name), p.u.Bytes+int64(part.size), part.sum
	if err := p.noted(); err != nil {
		p.failed = true
		return fmt.Errorf("note part: %w", err)
	}
	return nil
}

// PutObject writes a large object whole: its parts and then the record that
// names them, whose envelope e is. Errors are those of PutParts and Put; parts
// that were written before one stay behind, unnamed.
func (w *Writer) PutObject(ctx context.Context, e seal.Envelope, content, about string, bytesMax int64, r io.Reader) (*seal.Object, *Written, error) {
	u := w.NewUpload(e.Patient, e.Line, e.Type, e.ID, e.Person, bytesMax)
	if err := w.PutParts(ctx, u, r, true, func() error { return nil }); err != nil {
		return nil, nil, fmt.Errorf("put object: %w", err)
	}
	o, err := u.Object(content, about)
	if err != nil {
		return nil, nil, fmt.Errorf("put object: %w", err)
	}
	e.Kind = seal.KindObject
	written, err := w.Put(ctx, Transaction{Writes: []Write{{Patient: e.Patient, Line: e.Line, Record: seal.Record{Envelope: e, Content: o.Marshal()}}}})
	return o, written, err
}
