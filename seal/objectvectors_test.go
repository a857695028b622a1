package seal

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// sampleObject has three parts, the last of one byte.
func sampleObject() *Object {
	return &Object{Version: wire.Version, Upload: "aaaqeayeaudaocajbifqydiob4", Content: "application/dicom", About: "Patient/ana",
		Bytes: 2<<20 + 1, PartBytes: 1 << 20, Sum: fill32("whole"),
		Parts: []abaton.BatchName{fill32("part 0"), fill32("part 1"), fill32("part 2")}}
}

func objectVectors(*testing.T, []vector) (out []vector) {
	add := func(comment, expect string, change func(*Object)) {
		o := sampleObject()
		change(o)
		out = append(out, vector{comment, "PROTOCOL.md#object", input{Content: hex.EncodeToString(o.Marshal())}, expect})
	}
	add("three parts, the last of one byte", "ok", func(*Object) {})
	add("two whole parts", "ok", func(o *Object) { o.Bytes, o.Parts = 2<<20, o.Parts[:2] })
	add("one byte", "ok", func(o *Object) { o.Bytes, o.Parts = 1, o.Parts[:1] })
	add("of nobody in particular", "ok", func(o *Object) { o.About = "" })
	add("version 2", "envelope", func(o *Object) { o.Version = 2 })
	add("no upload", "envelope", func(o *Object) { o.Upload = "" })
	add("no media type", "envelope", func(o *Object) { o.Content = "" })
	add("a media type without subtype", "envelope", func(o *Object) { o.Content = "dicom" })
	add("a media type that breaks a header", "envelope", func(o *Object) { o.Content = "text/plain;\r\n x=1" })
	add("a media type of 256 characters", "envelope", func(o *Object) { o.Content = "text/" + strings.Repeat("x", 251) })
	add("a context with a line end", "envelope", func(o *Object) { o.About = "Patient/a\n" })
	add("no bytes", "envelope", func(o *Object) { o.Bytes, o.Parts = 0, nil })
	add("parts of no bytes", "envelope", func(o *Object) { o.PartBytes = 0 })
	add("parts larger than a record", "envelope", func(o *Object) { o.PartBytes, o.Bytes, o.Parts = PartBytesMax+1, 1, o.Parts[:1] })
	add("a part too few", "envelope", func(o *Object) { o.Parts = o.Parts[:2] })
	add("a part too many", "envelope", func(o *Object) { o.Bytes-- })
	add("a part twice", "envelope", func(o *Object) { o.Parts[2] = o.Parts[0] })
	add("a part of no name", "envelope", func(o *Object) { o.Parts[2] = abaton.BatchName{} })
	add("a length that overflows", "envelope", func(o *Object) { o.Bytes = 1<<64 - 1 })
	whole := sampleObject().Marshal()
	for comment, b := range map[string][]byte{
		"nothing": nil, "cut short": whole[:len(whole)-1], "a byte after": append(slices.Clone(whole), 0),
		"a field more": append([]byte{whole[0] + 1}, append(slices.Clone(whole[1:]), 9, 0)...),
	} {
		out = append(out, vector{comment, "PROTOCOL.md#object", input{Content: hex.EncodeToString(b)}, "envelope"})
	}
	slices.SortStableFunc(out[len(out)-4:], func(a, b vector) int { return strings.Compare(a.Comment, b.Comment) })
	return out
}

func decideObject(in input) string {
	_, err := ParseObject(unhex(in.Content))
	return step(err)
}

func FuzzParseObject(f *testing.F) {
	f.Add(sampleObject().Marshal())
	f.Fuzz(func(t *testing.T, content []byte) {
		o, err := ParseObject(content)
		if err != nil {
			return
		}
		if string(o.Marshal()) != string(content) {
			t.Error("parsed and written again, the object differs")
		}
		sum := uint64(0)
		for i := range o.Parts {
			sum += uint64(o.PartLength(i))
		}
		if sum != o.Bytes {
			t.Errorf("the parts have %d bytes, want %d", sum, o.Bytes)
		}
	})
}
