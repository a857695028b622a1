package exact

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// A book is what one keeper told: pages one behind the other, each
//
//	u32 length || u32 CRC-32C of the body || u64 next || u32 entries || body
//
// with a body of canonical CBOR (page). The checksum finds a page that a crash cut;
// what it says is proven by the page's cover.
type book struct {
	file    *os.File
	next    uint64 // where the answer goes on
	told    bool   // the last page was told
	entries uint64
	end     int64 // of the last whole page
}

const bookHead = 4 + 4 + 8 + 4

// pageBytesMax bounds one page: as many entries as one answer may hold, each of its
// longest.
const pageBytesMax = abaton.DisclosuresMax * (ledger.EntryBytesMax + 128)

// page is a page of an answer as it is kept.
type page struct {
	_          struct{} `cbor:",toarray"`
	Checkpoint []byte
	Cover      []byte
	Gone       uint64
	Entries    []told
}

// told is one entry; its leaf and number follow from it.
type told struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	Salt  []byte
	Entry []byte
}

// openBook opens or makes a book. What a crash left half written is written over.
func openBook(path string) (*book, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	b := &book{file: f}
	if err := b.walk(func(head, []byte) error { return nil }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

// head is what stands before a page.
type head struct {
	length, sum uint32
	next        uint64
	entries     uint32
}

func (h *head) bytes() []byte {
	b := make([]byte, 0, bookHead)
	b = binary.BigEndian.AppendUint32(b, h.length)
	b = binary.BigEndian.AppendUint32(b, h.sum)
	b = binary.BigEndian.AppendUint64(b, h.next)
	return binary.BigEndian.AppendUint32(b, h.entries)
}

func parseHead(b []byte) head {
	return head{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])}
}

func sumOf(body []byte) uint32 { return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) }

// walk reads the book from its beginning and shows each whole page; the body is
// valid until the next. It sets what the book knows of itself.
func (b *book) walk(page func(head, []byte) error) error {
	b.next, b.told, b.entries, b.end = 0, false, 0, 0
	r := bufio.NewReaderSize(io.NewSectionReader(b.file, 0, math.MaxInt64), 1<<20)
	var body []byte
	for raw := make([]byte, bookHead); !b.told; {
		if _, err := io.ReadFull(r, raw); err != nil {
			return endOf(err)
		}
		h := parseHead(raw)
		if h.length > pageBytesMax {
			return nil
		}
		if cap(body) < int(h.length) {
			body = make([]byte, h.length)
		}
		body = body[:h.length]
		if _, err := io.ReadFull(r, body); err != nil {
			return endOf(err)
		}
		if sumOf(body) != h.sum {
			return nil
		}
		if err := page(h, body); err != nil {
			return err
		}
		b.count(&h)
	}
	return nil
}

// endOf is no error where a file ends, in the middle of a page or not.
func endOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (b *book) count(h *head) {
	b.next, b.told, b.entries = h.next, h.next == 0, b.entries+uint64(h.entries)
	b.end += bookHead + int64(h.length)
}

// add appends a page.
func (b *book) add(f *ledger.Found) error {
	p := page{Checkpoint: f.Checkpoint, Gone: f.Gone, Entries: make([]told, len(f.Disclosures))}
	for i := range f.Cover {
		p.Cover = append(p.Cover, f.Cover[i][:]...)
	}
	for i := range f.Disclosures {
		d := &f.Disclosures[i]
		p.Entries[i] = told{Index: d.Index, Salt: d.Salt[:], Entry: d.Entry}
	}
	body := wire.Marshal(&p)
	h := head{uint32(len(body)), sumOf(body), f.Next, uint32(len(p.Entries))}
	if _, err := b.file.WriteAt(append(h.bytes(), body...), b.end); err != nil {
		return err
	}
	b.count(&h)
	return nil
}

var errPage = errors.New("a page is not in its form")

// parsePage reads a page; nothing in it is verified.
func parsePage(body []byte, next uint64) (*ledger.Found, error) {
	var p page
	if err := wire.Unmarshal(body, &p); err != nil || len(p.Cover)%tlog.HashSize != 0 || len(p.Entries) > abaton.DisclosuresMax {
		return nil, errPage
	}
	f := &ledger.Found{Extract: ledger.Extract{Checkpoint: p.Checkpoint}, Next: next, Gone: p.Gone}
	for c := p.Cover; len(c) > 0; c = c[tlog.HashSize:] {
		f.Cover = append(f.Cover, tlog.Hash(c))
	}
	f.Disclosures = make([]ledger.Disclosure, 0, len(p.Entries))
	for i := range p.Entries {
		if len(p.Entries[i].Salt) != ledger.SaltSize {
			return nil, errPage
		}
		d, err := ledger.NewDisclosure(p.Entries[i].Index, [ledger.SaltSize]byte(p.Entries[i].Salt), p.Entries[i].Entry)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPage, err)
		}
		f.Disclosures = append(f.Disclosures, d)
	}
	return f, nil
}
