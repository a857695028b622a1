package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// uploads are the large objects that come in several requests. What of each is
// durable stands in a file of its own, sealed under a key made of the outbox
// key and the upload's name. The name is the client's alone: it is in no file
// here, so the disk and the gateway's keys open no state of an upload that is
// not under way.
type uploads struct {
	dir    string // empty: there are none
	secret key.Secret

	mu      sync.Mutex
	running map[string]*run
}

// run is one request at an upload. A later one breaks it off: its client has
// lost the connection and begins again.
type run struct {
	end  func()
	done chan struct{}
}

// errUploads says that an upload's state cannot be kept or read.
var errUploads = errors.New("state of uploads")

func (g *Gateway) openUploads(c Config) error {
	g.uploads = &uploads{dir: c.Uploads, secret: c.OutboxKey, running: make(map[string]*run)}
	if c.Uploads == "" {
		return nil
	}
	if err := os.MkdirAll(c.Uploads, 0o700); err != nil {
		return fmt.Errorf("gateway: Uploads: %w", err)
	}
	g.uploads.sweep(g.now())
	return nil
}

// uploadHead is the first frame: whose upload it is and where it goes.
type uploadHead struct {
	V       uint64         `cbor:"1,keyasint"`
	Owner   abaton.ActorID `cbor:"2,keyasint"`
	Patient abaton.ActorID `cbor:"3,keyasint"`
	Line    abaton.Line    `cbor:"4,keyasint"`
	ID      string         `cbor:"5,keyasint"`
	Name    string         `cbor:"6,keyasint"` // versionId of its parts
	Content string         `cbor:"7,keyasint"`
	About   string         `cbor:"8,keyasint"`
	Least   fhir.Category  `cbor:"9,keyasint"`
	Part    uint64         `cbor:"10,keyasint"` // bytes
	Total   uint64         `cbor:"11,keyasint"` // bytes; 0: not said
}

// uploadStep is a later frame: a durable part, or the end.
type uploadStep struct {
	Batch   abaton.BatchName `cbor:"1,keyasint"`
	Bytes   uint64           `cbor:"2,keyasint"` // of the part
	Sum     []byte           `cbor:"3,keyasint"`
	Version string           `cbor:"4,keyasint"` // the end: the version written
}

// upload is one as it stands in its file.
type upload struct {
	*client.Upload
	head    uploadHead
	version string // of the object, once it is written
	file    *os.File
	aead    cipher.AEAD
	frames  uint64
}

// path and cipher of an upload.
func (u *uploads) place(name string) (string, cipher.AEAD) {
	sum := wire.Hash(wire.GatewayUp, []byte(name))
	k := key.Expand(u.secret[:], wire.GatewayUp, []byte(name))
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("gateway: 32 bytes are an AES-256 key")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("gateway: AES has the block size of GCM")
	}
	return filepath.Join(u.dir, hex.EncodeToString(sum[:16])+uploadSuffix), aead
}

const uploadSuffix = ".upload"

// create keeps a new upload and gives it a name.
func (u *uploads) create(h uploadHead) (name string, err error) {
	if u.dir == "" {
		return "", refusal(http.StatusNotImplemented, "not-supported", "this gateway keeps no uploads; send the object in one request")
	}
	if n, err := u.count(); err != nil || n >= uploadsMax {
		return "", errors.Join(refusal(http.StatusServiceUnavailable, "throttled", "too many uploads are unfinished here; finish or delete some"), err)
	}
	var random [32]byte
	rand.Read(random[:])
	name = idEncoding.EncodeToString(random[:])
	path, aead := u.place(name)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUploads, err)
	}
	up := &upload{file: file, aead: aead}
	err = errors.Join(up.append(h), file.Close())
	if err == nil {
		err = syncFolder(u.dir)
	}
	return name, err
}

func (u *uploads) count() (int, error) {
	files, err := filepath.Glob(filepath.Join(u.dir, "*"+uploadSuffix))
	return len(files), err
}

// claim breaks off the request that is at the upload now, if there is one, and
// takes its place. free must be called in the end.
func (u *uploads) claim(name string, end func()) (free func()) {
	own := &run{end: end, done: make(chan struct{})}
	for {
		u.mu.Lock()
		other := u.running[name]
		if other == nil {
			u.running[name] = own
			u.mu.Unlock()
			break
		}
		u.mu.Unlock()
		other.end()
		<-other.done
	}
	return func() {
		u.mu.Lock()
		delete(u.running, name)
		u.mu.Unlock()
		close(own.done)
	}
}

// open reads an upload's state. abaton.ErrNotFound for one that is not here.
// The caller has claimed it and closes it.
func (u *uploads) open(name string) (*upload, error) {
	if u.dir == "" || len(name) != idEncoding.EncodedLen(32) {
		return nil, abaton.ErrNotFound
	}
	path, aead := u.place(name)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, abaton.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUploads, err)
	}
	up := &upload{file: file, aead: aead}
	if err := up.read(); err != nil {
		file.Close()
		return nil, err
	}
	return up, nil
}

// remove forgets an upload. What of it lies at the keepers stays there,
// unnamed.
func (u *uploads) remove(name string) error {
	path, _ := u.place(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", errUploads, err)
	}
	return nil
}

// sweep removes what nobody has gone on with for long.
func (u *uploads) sweep(now time.Time) {
	if u.dir == "" {
		return
	}
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return // the next request at it says so
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), uploadSuffix) && now.Sub(info.ModTime()) > uploadLife {
			os.Remove(filepath.Join(u.dir, e.Name())) // tried again at the next sweep
		}
	}
}

// append makes one frame durable: length (u32) || nonce and AES-256-GCM
// ciphertext, which authenticates its place.
func (up *upload) append(body any) error {
	sealed := up.aead.Seal(nil, nil, wire.Marshal(body), wire.U64(up.frames))
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...)
	_, err := up.file.Write(frame)
	if err == nil {
		err = up.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUploads, err)
	}
	up.frames++
	return nil
}

// read takes in all frames and cuts off a torn end: the part it told of is
// sent again.
func (up *upload) read() error {
	data, err := io.ReadAll(io.LimitReader(up.file, uploadFileMax))
	if err != nil {
		return fmt.Errorf("%w: %w", errUploads, err)
	}
	size := 0
	for {
		plain, n := up.frame(data[size:])
		if plain == nil {
			break
		}
		if !up.take(plain) {
			return fmt.Errorf("%w: a frame is not one of these", errUploads)
		}
		size += n
		up.frames++
	}
	if up.frames == 0 {
		return abaton.ErrNotFound // it was never told to its client
	}
	if err := up.file.Truncate(int64(size)); err != nil {
		return fmt.Errorf("%w: %w", errUploads, err)
	}
	if _, err := up.file.Seek(int64(size), io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", errUploads, err)
	}
	return nil
}

// frame opens the next one; nil where none is whole.
func (up *upload) frame(data []byte) (plain []byte, n int) {
	if len(data) < 4 {
		return nil, 0
	}
	size := int(binary.BigEndian.Uint32(data))
	if size > len(data)-4 {
		return nil, 0
	}
	plain, err := up.aead.Open(nil, nil, data[4:4+size], wire.U64(up.frames))
	if err != nil {
		return nil, 0
	}
	return plain, 4 + size
}

func (up *upload) take(plain []byte) bool {
	if up.frames == 0 {
		if wire.Unmarshal(plain, &up.head) != nil || up.head.V != wire.Version {
			return false
		}
		h := &up.head
		up.Upload = &client.Upload{Patient: h.Patient, Line: h.Line, Type: "Binary", ID: h.ID, Name: h.Name, Person: h.Owner, PartBytes: int(h.Part)}
		return true
	}
	var s uploadStep
	if wire.Unmarshal(plain, &s) != nil || up.version != "" {
		return false
	}
	if up.version = s.Version; s.Version == "" {
		up.Parts, up.Bytes, up.Sum = append(up.Parts, s.Batch), up.Bytes+int64(s.Bytes), s.Sum
	}
	return true
}

// noted stores the part that has just become durable. The last one, if it is
// shorter, is not stored: the state of the sum would hold some of its text, and
// the object's record follows at once.
func (up *upload) noted() error {
	last := len(up.Parts) - 1
	size := up.Bytes - int64(last)*int64(up.PartBytes)
	if size < int64(up.PartBytes) {
		return nil
	}
	return up.append(uploadStep{Batch: up.Parts[last], Bytes: uint64(size), Sum: up.Sum})
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errUploads, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
