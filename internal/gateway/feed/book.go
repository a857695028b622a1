package feed

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// book is the file of what stands: sealed frames, each the whole state of one
// resource, the last about it holds. It is an aid, no evidence: a frame that
// does not open ends it, and what came after is told when the resource is
// written again.
type book struct {
	path    string
	file    *os.File
	aead    cipher.AEAD
	size    int64 // bytes
	lived   int64 // bytes after it was written anew
	damaged bool
}

// Limits of the file.
const (
	// frameMax is the largest frame: whom and what was taken back are bounded.
	frameMax = 1 << 20
	// growth is how much the file grows before it is written anew.
	growth = 8 << 20
	// backMax is how much of what was taken back a resource remembers.
	backMax = 1024
)

// frame is a state as it rests.
type frame struct {
	V       uint8            `cbor:"1,keyasint"`
	Name    Name             `cbor:"2,keyasint"`
	Patient abaton.ActorID   `cbor:"3,keyasint"`
	Kind    relation.Kind    `cbor:"4,keyasint"`
	Start   int64            `cbor:"5,keyasint"`
	End     int64            `cbor:"6,keyasint"`
	Open    bool             `cbor:"7,keyasint"`
	Off     bool             `cbor:"8,keyasint"`
	Whom    []abaton.ActorID `cbor:"9,keyasint"`
	Back    []relation.Entry `cbor:"10,keyasint"`
}

// openBook reads the file, leaves out what says nothing at now, and writes it
// anew.
func openBook(path string, secret key.Secret, now int64) (*book, map[Name]*state, error) {
	k := key.Expand(secret[:], wire.RelationBook)
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, nil, err
	}
	b := &book{path: path}
	if b.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("read relations: %w", errors.Unwrap(err))
	}
	held := make(map[Name]*state)
	for len(data) > 0 {
		f, rest, ok := b.open(data)
		if !ok {
			b.damaged = true
			break
		}
		data = rest
		s := &state{patient: f.Patient, whom: f.Whom, back: f.Back, shift: f.Name.shift(),
			meeting: Meeting{Kind: f.Kind, Start: f.Start, End: f.End, Open: f.Open, Off: f.Off}}
		if held[f.Name] = s; s.over(now) {
			delete(held, f.Name)
		}
	}
	if err := b.anew(held); err != nil {
		return nil, nil, err
	}
	return b, held, nil
}

// open reads the first frame of data.
func (b *book) open(data []byte) (f frame, rest []byte, ok bool) {
	if len(data) < 4 {
		return f, nil, false
	}
	size := int(binary.BigEndian.Uint32(data))
	if size > frameMax || size > len(data)-4 {
		return f, nil, false
	}
	plain, err := b.aead.Open(nil, nil, data[4:4+size], nil)
	if err != nil || wire.Unmarshal(plain, &f) != nil || f.V != wire.Version || f.Kind.Life() == 0 || f.Start <= 0 {
		return f, nil, false
	}
	return f, data[4+size:], true
}

func (b *book) seal(into []byte, name Name, s *state) []byte {
	f := frame{V: wire.Version, Name: name, Patient: s.patient, Kind: s.meeting.Kind, Start: s.meeting.Start, End: s.meeting.End,
		Open: s.meeting.Open, Off: s.meeting.Off, Whom: s.whom, Back: s.back[:min(len(s.back), backMax)]}
	sealed := b.aead.Seal(nil, nil, wire.Marshal(f), nil)
	return append(binary.BigEndian.AppendUint32(into, uint32(len(sealed))), sealed...)
}

// write appends states and makes them durable.
func (b *book) write(states map[Name]state) error {
	var data []byte
	for name, s := range states {
		data = b.seal(data, name, &s)
	}
	if _, err := b.file.WriteAt(data, b.size); err != nil {
		return fmt.Errorf("write relations: %w", errors.Unwrap(err))
	}
	b.size += int64(len(data))
	if err := b.file.Sync(); err != nil {
		return fmt.Errorf("write relations: %w", errors.Unwrap(err))
	}
	return nil
}

// full reports whether most of the file says nothing any more.
func (b *book) full() bool { return b.size > 2*b.lived+growth }

// anew writes the whole.
func (b *book) anew(held map[Name]*state) error {
	var data []byte
	for name, s := range held {
		data = b.seal(data, name, s)
	}
	if err := durable.WriteFile(b.path, data, 0o600); err != nil {
		return err
	}
	file, err := os.OpenFile(b.path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Base(b.path), errors.Unwrap(err))
	}
	if b.file != nil {
		b.file.Close()
	}
	b.file, b.size, b.lived = file, int64(len(data)), int64(len(data))
	return nil
}

func (b *book) close() error { return b.file.Close() }
