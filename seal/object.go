package seal

import (
	"fmt"
	"mime"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Object is the content of a KindObject record: a FHIR Binary whose bytes lie
// in records of their own, its parts (PROTOCOL.md#object). Each part but the
// last has PartBytes bytes.
type Object struct {
	Version   uint64             `cbor:"1,keyasint"`
	Upload    string             `cbor:"2,keyasint"` // the versionId of its parts
	Content   string             `cbor:"3,keyasint"` // media type, RFC 9110
	About     string             `cbor:"4,keyasint"` // Binary.securityContext as the client gave it, or empty
	Bytes     uint64             `cbor:"5,keyasint"` // of the whole
	PartBytes uint64             `cbor:"6,keyasint"`
	Sum       [32]byte           `cbor:"7,keyasint"` // SHA-256 of the whole
	Parts     []abaton.BatchName `cbor:"8,keyasint"` // in order; each is record 0 of its batch
}

// Limits of an object.
const (
	// PartBytesMax is the largest part: a record, less its envelope.
	PartBytesMax = abaton.RecordBytesMax - 16<<10
	// PartsMax is how many parts one object has.
	PartsMax = abaton.ElementsMax
	// contentBytesMax bounds a media type, RFC 6838, section 4.2, with room
	// for parameters.
	contentBytesMax = 255
)

// Marshal is the canonical form, the content of a KindObject record.
func (o *Object) Marshal() []byte { return wire.Marshal(o) }

// ParseObject reads the canonical form; ErrEnvelope if it is none.
func ParseObject(content []byte) (*Object, error) {
	o := new(Object)
	if wire.Unmarshal(content, o) != nil || !o.valid() {
		return nil, fmt.Errorf("parse object: %w", ErrEnvelope)
	}
	return o, nil
}

func isObject(content []byte) bool {
	_, err := ParseObject(content)
	return err == nil
}

func (o *Object) valid() bool {
	return o.Version == wire.Version && o.Upload != "" && isName(o.Upload) && IsMediaType(o.Content) &&
		len(o.About) <= factBytesMax && isPrintable(o.About) &&
		o.PartBytes >= 1 && o.PartBytes <= PartBytesMax && o.Bytes >= 1 && o.Bytes <= o.PartBytes*PartsMax &&
		uint64(len(o.Parts)) == (o.Bytes-1)/o.PartBytes+1 && distinct(o.Parts)
}

// PartLength is the length of part i in bytes.
func (o *Object) PartLength(i int) int {
	if i == len(o.Parts)-1 {
		return int(o.Bytes - uint64(i)*o.PartBytes)
	}
	return int(o.PartBytes)
}

// Owns reports whether an envelope is that of a part of this object, whose own
// envelope is e.
func (o *Object) Owns(e, part *Envelope) bool {
	return part.Kind == KindPart && part.Patient == e.Patient && part.Line == e.Line &&
		part.Type == e.Type && part.ID == e.ID && part.VersionID == o.Upload
}

// IsMediaType reports whether a text is a media type that can stand in a header
// as it is.
func IsMediaType(text string) bool {
	if text == "" || len(text) > contentBytesMax || !isPrintable(text) {
		return false
	}
	media, _, err := mime.ParseMediaType(text)
	return err == nil && strings.Count(media, "/") == 1
}

// isPrintable: ASCII without controls, so that no header or log line breaks.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func distinct(names []abaton.BatchName) bool {
	seen := make(map[abaton.BatchName]struct{}, len(names))
	for _, n := range names {
		seen[n] = struct{}{}
	}
	_, none := seen[abaton.BatchName{}]
	return len(seen) == len(names) && !none
}
