package thief

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"embed"
	"encoding/binary"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The dictionaries that records were ever compressed with. They are public; a
// test compares them with those of package seal.
//
//go:embed dictionary/*.zdict
var dictionaryFiles embed.FS

// plainBytesMax bounds what one stream is decompressed to.
const plainBytesMax = 16 << 20

// unzstd decompresses with and without every dictionary. A stream that was cut
// off gives what came before the cut.
type unzstd struct {
	bare     *zstd.Decoder
	lettered map[uint32]*zstd.Decoder
}

var unzstds = sync.OnceValues(func() (*unzstd, error) {
	u := &unzstd{lettered: make(map[uint32]*zstd.Decoder)}
	var err error
	if u.bare, err = decoder(); err != nil {
		return nil, err
	}
	entries, err := dictionaryFiles.ReadDir("dictionary")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := dictionaryFiles.ReadFile("dictionary/" + e.Name())
		if err != nil {
			return nil, err
		}
		d, err := decoder(zstd.WithDecoderDicts(b))
		if err != nil {
			return nil, err
		}
		u.lettered[binary.LittleEndian.Uint32(b[4:])] = d
	}
	return u, nil
})

func decoder(more ...zstd.DOption) (*zstd.Decoder, error) {
	options := append([]zstd.DOption{
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(plainBytesMax), zstd.WithDecoderMaxWindow(plainBytesMax), zstd.IgnoreChecksum(true),
	}, more...)
	return zstd.NewReader(nil, options...)
}

var (
	magicZstd = []byte{0x28, 0xB5, 0x2F, 0xFD} // RFC 8878, section 3.1.1
	magicGzip = []byte{0x1F, 0x8B, 0x08}       // RFC 1952, section 2.3.1
)

// streams yields what decompresses wherever a magic number stands. A zstd
// header that names one of our dictionaries tells by itself that a record was
// not sealed, even where its stream was cut off: told says so.
func (o *opener) streams(b []byte, yield func(format string, plain []byte), told func(what, format string)) {
	each(b, magicZstd, func(at int) {
		u, err := unzstds()
		if err != nil {
			panic("thief: the dictionaries are embedded and whole")
		}
		var h zstd.Header
		if h.Decode(b[at:]) != nil {
			return
		}
		d, known := u.lettered[h.DictionaryID]
		if known {
			told("compressed record", "zstd with our dictionary")
		} else {
			d = u.bare
		}
		if plain := unzstdAll(d, b[at:]); len(plain) > 0 {
			yield("zstd", plain)
		}
	})
	each(b, magicGzip, func(at int) {
		if r, err := gzip.NewReader(bytes.NewReader(b[at:])); err == nil {
			yieldRead("gzip", r, yield)
		}
	})
	each(b, []byte{0x78}, func(at int) {
		if at+1 < len(b) && (uint(b[at])<<8|uint(b[at+1]))%31 == 0 { // RFC 1950, section 2.2
			if r, err := zlib.NewReader(bytes.NewReader(b[at:])); err == nil {
				yieldRead("zlib", r, yield)
			}
		}
	})
}

func each(b, magic []byte, yield func(at int)) {
	for from := 0; ; {
		i := bytes.Index(b[from:], magic)
		if i < 0 {
			return
		}
		yield(from + i)
		from += i + 1
	}
}

func unzstdAll(d *zstd.Decoder, b []byte) []byte {
	if d.Reset(bytes.NewReader(b)) != nil {
		return nil
	}
	return readAll(d)
}

func yieldRead(format string, r io.Reader, yield func(string, []byte)) {
	if plain := readAll(r); len(plain) > 0 {
		yield(format, plain)
	}
}

// readAll is what can be read before the end or the first error.
func readAll(r io.Reader) []byte {
	plain, _ := io.ReadAll(io.LimitReader(r, plainBytesMax)) // an error ends a guess
	return plain
}

// inflateOffsets are the places of a value at which a stream without a magic
// number could begin: after lengths, commitments and headers.
const inflateOffsets = 64

// inflate tries raw DEFLATE (RFC 1951), which has no magic number.
func (o *opener) inflate(b []byte, where string) {
	source := bytes.NewReader(nil)
	r := flate.NewReader(source)
	out := make([]byte, 4096)
	for at := 0; at < min(inflateOffsets, len(b)-factBytesMin); at++ {
		source.Reset(b[at:])
		if r.(flate.Resetter).Reset(source, nil) != nil {
			return
		}
		if n, _ := io.ReadFull(r, out); n >= factBytesMin {
			o.words.each(out[:n], func(p *pattern, _ int) { o.found(p.what, join("deflate", p.how), where) })
		}
	}
}
