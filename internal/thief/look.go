package thief

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"

	"github.com/fxamacker/cbor/v2"
)

// deepest is how many layers of compression are undone.
const deepest = 3

// look searches b as it is, and wherever a compressed stream may begin in it.
func (o *opener) look(b []byte, how, where string, depth int) {
	o.words.each(b, func(p *pattern, _ int) { o.found(p.what, join(how, p.how), where) })
	if depth >= deepest {
		return
	}
	o.streams(b, func(format string, plain []byte) {
		o.report.Frames++
		o.look(plain, join(how, format), where, depth+1)
	}, func(what, format string) { o.found(what, join(how, format), where) })
}

func join(how, next string) string {
	if how == "" {
		return next
	}
	return how + ", " + next
}

// file looks at the raw bytes: blocks of tables, the write-ahead log, keys.
func (o *opener) file(l *Loot, path string) error {
	b, err := os.ReadFile(filepath.Join(l.dir, path))
	if err != nil {
		return err
	}
	o.report.Files++
	o.report.FileBytes += int64(len(b))
	o.look(b, "", l.name+" "+path, 0)
	return nil
}

// value looks at one value of a database: as it is, as a stream without a
// magic number, and as CBOR or JSON.
func (o *opener) value(b []byte, where string) {
	o.look(b, "", where, 0)
	o.inflate(b, where)
	if plain := innards(b); len(plain) > 0 {
		o.report.Parsed++
		for _, p := range plain {
			o.look(p, "parsed", where, 1)
		}
	}
}

// partsMax bounds the strings taken out of one value.
const partsMax = 1024

// innards are the strings inside a CBOR or JSON value, undone from their
// escapes. Bytes in CBOR may hold CBOR again.
func innards(b []byte) (out [][]byte) {
	take := func(p []byte) {
		if len(p) >= factBytesMin && len(out) < partsMax {
			out = append(out, p)
		}
	}
	var v any
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 1 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Unmarshal(trimmed, &v) == nil {
		collect(v, "", func(_, text string) { take([]byte(text)) })
		return out
	}
	inCBOR(b, 0, take)
	return out
}

// inCBOR takes the strings of a whole CBOR value. A bare number is no find:
// any byte below 0x18 is one.
func inCBOR(b []byte, depth int, take func([]byte)) {
	if len(b) < 2 || depth > deepest || cbor.Wellformed(b) != nil {
		return
	}
	var v any
	if cbor.Unmarshal(b, &v) != nil {
		return
	}
	walkCBOR(v, func(p []byte) {
		take(p)
		inCBOR(p, depth+1, take)
	})
}

func walkCBOR(v any, take func([]byte)) {
	switch v := v.(type) {
	case []byte:
		take(v)
	case string:
		take([]byte(v))
	case []any:
		for _, e := range v {
			walkCBOR(e, take)
		}
	case map[any]any:
		for name, e := range v {
			walkCBOR(name, take)
			walkCBOR(e, take)
		}
	}
}

// measure is the entropy of all fragments together.
func (o *opener) measure(stolen []*Loot) {
	var counts [256]float64
	var total float64
	for _, l := range stolen {
		for _, f := range l.fragments {
			for _, c := range f.bytes {
				counts[c]++
			}
			total += float64(len(f.bytes))
		}
	}
	if total == 0 {
		return
	}
	for _, c := range counts {
		if c > 0 {
			o.report.BitsPerByte -= c / total * math.Log2(c/total)
		}
	}
	if total >= fragmentBytesLeast && o.report.BitsPerByte < entropyLeast {
		o.found("pattern", "entropy of the fragments", "all fragments")
	}
}
