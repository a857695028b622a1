package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// thing has every kind of field that signed objects have.
type thing struct {
	V     uint8    `cbor:"1,keyasint"`
	Name  [4]byte  `cbor:"2,keyasint"`
	Size  uint64   `cbor:"3,keyasint"`
	Bytes []byte   `cbor:"4,keyasint"`
	Text  string   `cbor:"5,keyasint"`
	Yes   bool     `cbor:"6,keyasint"`
	List  [][]byte `cbor:"7,keyasint"`
}

var example = thing{V: 1, Name: [4]byte{1, 2, 3, 4}, Size: 300, Bytes: []byte{9}, Text: "abc", Yes: true, List: [][]byte{{7}, {8}}}

// exampleHex is example by hand (RFC 8949, section 3).
const exampleHex = "a7" + "0101" + "024401020304" + "0319012c" + "044109" + "0563616263" + "06f5" + "078241074108"

func TestMarshalKnownAnswer(t *testing.T) {
	if got := hex.EncodeToString(wire.Marshal(example)); got != exampleHex {
		t.Errorf("Marshal: got %s, want %s", got, exampleHex)
	}
	var back thing
	if err := wire.Unmarshal(fromHex(t, exampleHex), &back); err != nil || !bytes.Equal(wire.Marshal(back), fromHex(t, exampleHex)) {
		t.Errorf("Unmarshal: got %v, want the same object back", err)
	}
}

func TestNilAndEmptyAreOne(t *testing.T) {
	got, want := wire.Marshal(thing{}), wire.Marshal(thing{Bytes: []byte{}, List: [][]byte{}})
	if !bytes.Equal(got, want) {
		t.Errorf("nil fields: got %x, want %x", got, want)
	}
}

func TestOtherFormsAreRefused(t *testing.T) {
	for _, c := range otherForms() {
		t.Run(c.name, func(t *testing.T) {
			var into thing
			if err := wire.Unmarshal(fromHex(t, c.input), &into); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("Unmarshal(%s): got %v, want ErrMalformed", c.input, err)
			}
		})
	}
}

func TestDepthAndSizeAreBounded(t *testing.T) {
	nest := func(depth int) []byte {
		return append(bytes.Repeat([]byte{0x81}, depth), 0x01)
	}
	var into any
	if err := wire.Unmarshal(nest(abaton.DepthMax), &into); err != nil {
		t.Errorf("depth %d: got %v, want it read", abaton.DepthMax, err)
	}
	if err := wire.Unmarshal(nest(abaton.DepthMax+1), &into); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("depth %d: got %v, want ErrMalformed", abaton.DepthMax+1, err)
	}
	var list []uint8
	claims := []byte{0x9a, 0xff, 0xff, 0xff, 0xff} // four thousand million elements, none there
	if err := wire.Unmarshal(claims, &list); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("claimed length: got %v, want ErrMalformed", err)
	}
	var long [][]byte
	many := append([]byte{0x9a, 0, 1, 0, 1}, bytes.Repeat([]byte{0x40}, abaton.ElementsMax+1)...)
	if err := wire.Unmarshal(many, &long); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("%d elements: got %v, want ErrMalformed", abaton.ElementsMax+1, err)
	}
}

func TestSignedIsAnArrayOfTwo(t *testing.T) {
	const want = "82" + "4101" + "4102"
	if got := hex.EncodeToString(wire.Marshal(wire.Signed{Body: []byte{1}, Sig: []byte{2}})); got != want {
		t.Errorf("Signed: got %s, want %s", got, want)
	}
	for _, input := range []string{"81" + "4101", "83" + "4101" + "4102" + "4103", "82" + "4101" + "02", "a2" + "014101" + "024102"} {
		var s wire.Signed
		if err := wire.Unmarshal(fromHex(t, input), &s); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("Signed %s: got %v, want ErrMalformed", input, err)
		}
	}
}

func TestMarshalPanicsOnWhatCannotBeEncoded(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Marshal of a channel: got no panic, want one")
		}
	}()
	wire.Marshal(make(chan int))
}

func TestHashAndMessage(t *testing.T) {
	want := sha256.Sum256([]byte("abaton/v1/actor\x00onetwo"))
	if got := wire.Hash(wire.Actor, []byte("one"), []byte("two")); got != want {
		t.Errorf("Hash: got %x, want %x", got, want)
	}
	if got, want := wire.Message(wire.Event, []byte("body")), []byte("abaton/v1/event\x00body"); !bytes.Equal(got, want) {
		t.Errorf("Message: got %q, want %q", got, want)
	}
	if wire.Hash(wire.Actor) == wire.Hash(wire.Event) {
		t.Error("two labels over nothing: got one hash, want two")
	}
}

func TestIntegersAreBigEndian(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{{wire.U16(0x0102), "0102"}, {wire.U32(0x01020304), "01020304"}, {wire.U64(0x0102030405060708), "0102030405060708"}} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	seed, err := hex.DecodeString(exampleHex)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(wire.Marshal(thing{}))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var into thing
		if wire.Unmarshal(data, &into) == nil && !bytes.Equal(wire.Marshal(into), data) {
			t.Errorf("%x was read and is written otherwise", data)
		}
	})
}

func FuzzUnmarshalSigned(f *testing.F) {
	f.Add(wire.Marshal(wire.Signed{Body: []byte{1}, Sig: make([]byte, 64)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s wire.Signed
		if wire.Unmarshal(data, &s) == nil && !bytes.Equal(wire.Marshal(s), data) {
			t.Errorf("%x was read and is written otherwise", data)
		}
	})
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("hex %q: %v", text, err)
	}
	return b
}
