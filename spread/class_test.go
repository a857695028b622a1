package spread

import (
	"testing"

	"github.com/abaton-health/abaton/wire"
)

// TestClassOf: the short way sees what the decoder sees.
func TestClassOf(t *testing.T) {
	d := deal(t, 1)
	head, err := DecodeHead(d.uploads[0].Head.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []Class{Ordinary, PartClass} {
		head.Class = class
		signed := wire.Marshal(d.writer.Seal(wire.Head, head.Bytes()))
		if got, ok := ClassOf(signed); !ok || got != class {
			t.Errorf("got %d, %v, want %d", got, ok, class)
		}
		for cut := range signed {
			if got, ok := ClassOf(signed[:cut]); ok && got != class {
				t.Errorf("cut at %d: got %d, want %d or none", cut, got, class)
			}
		}
	}
	head.Class = 2
	for name, b := range map[string][]byte{"an unknown class": wire.Marshal(d.writer.Seal(wire.Head, head.Bytes())), "nothing": nil,
		"a lock": wire.Marshal(d.uploads[0].Lock), "long length": {0x82, 0x59, 0xff, 0xff, 0xab}} {
		if _, ok := ClassOf(b); ok {
			t.Errorf("%s has a class", name)
		}
	}
}

func FuzzClassOf(f *testing.F) {
	d := deal(f, 1)
	f.Add(wire.Marshal(d.uploads[0].Head))
	f.Fuzz(func(t *testing.T, signed []byte) {
		var s wire.Signed
		if wire.Unmarshal(signed, &s) != nil {
			return
		}
		head, err := DecodeHead(s.Body)
		if err != nil {
			return
		}
		if got, ok := ClassOf(signed); !ok || got != head.Class {
			t.Errorf("got %d, %v, want %d", got, ok, head.Class)
		}
	})
}
