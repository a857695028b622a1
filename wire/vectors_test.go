package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

// form is one encoding of the example and what is the matter with it.
type form struct{ name, input string }

// otherForms changes one thing about the one canonical form at a time.
func otherForms() []form {
	change := func(old, new string) string {
		if strings.Count(exampleHex, old) != 1 {
			panic("wire_test: " + old + " is not unique in the example")
		}
		return strings.Replace(exampleHex, old, new, 1)
	}
	return []form{
		{"nothing", ""},
		{"truncated", exampleHex[:len(exampleHex)-2]},
		{"trailing byte", exampleHex + "00"},
		{"trailing object", exampleHex + exampleHex},
		{"missing field", change("a7"+"0101", "a6")},
		{"unknown field", change("a7"+"0101", "a8"+"0101") + "0801"},
		{"duplicate key", change("a7"+"0101", "a8"+"0101"+"0101")},
		{"keys out of order", change("0101"+"024401020304", "024401020304"+"0101")},
		{"text key", change("0101"+"0244", "613101"+"0244")},
		{"field name as key", change("0101"+"0244", "615601"+"0244")},
		{"indefinite map", change("a7"+"0101", "bf"+"0101") + "ff"},
		{"indefinite array", change("078241074108", "079f41074108ff")},
		{"indefinite bytes", change("044109", "045f4109ff")},
		{"indefinite text", change("0563616263", "057f63616263ff")},
		{"long map head", change("a7"+"0101", "b807"+"0101")},
		{"long key", change("0101"+"0244", "180101"+"0244")},
		{"integer in one byte too many", change("0101"+"0244", "011801"+"0244")},
		{"integer in four bytes", change("0319012c", "031a0000012c")},
		{"integer in eight bytes", change("0319012c", "031b000000000000012c")},
		{"long byte string head", change("044109", "04580109")},
		{"long array head", change("078241074108", "07980241074108")},
		{"float for integer", change("0101"+"0244", "01f93c00"+"0244")},
		{"negative integer", change("0101"+"0244", "0120"+"0244")},
		{"bignum for integer", change("0101"+"0244", "01c24101"+"0244")},
		{"tag before field", change("044109", "04d84109")},
		{"tag before object", "d9d9f7" + exampleHex},
		{"integer for true", change("06f5", "0601")},
		{"null for bytes", change("044109", "04f6")},
		{"null for list", change("078241074108", "07f6")},
		{"undefined for bool", change("06f5", "06f7")},
		{"null object", "f6"},
		{"text for bytes", change("044109", "046109")},
		{"bytes for text", change("0563616263", "0543616263")},
		{"array of integers for bytes", change("044109", "048109")},
		{"fixed array too short", change("024401020304", "0243010203")},
		{"fixed array too long", change("024401020304", "02450102030405")},
		{"invalid UTF-8", change("0563616263", "0563ff6263")},
		{"integer over its width", change("0101"+"0244", "01190100"+"0244")},
		{"array for map", "87" + "01" + "4401020304" + "19012c" + "4109" + "63616263" + "f5" + "8241074108"},
		{"reserved head", "1c"},
		{"break alone", "ff"},
	}
}

// vector is one case that another implementation can run.
type vector struct {
	Comment string `json:"comment"`
	Source  string `json:"source"`
	Input   string `json:"input"`
	Expect  string `json:"expect"`
}

// TestVectors keeps vectors/wire/encoding.json: the shape is a map of
// 1 unsigned 8 bits, 2 four bytes, 3 unsigned 64 bits, 4 bytes, 5 text,
// 6 bool, 7 list of bytes.
func TestVectors(t *testing.T) {
	all := []vector{{"the example", "PROTOCOL.md#encoding", exampleHex, "ok"}, {"every field empty", "PROTOCOL.md#encoding", "a7010002440000000003000440056006f40780", "ok"}}
	for _, c := range otherForms() {
		all = append(all, vector{c.name, "PROTOCOL.md#encoding", c.input, "malformed"})
	}
	for _, v := range all {
		var into thing
		if err := wire.Unmarshal(fromHex(t, v.Input), &into); (err == nil) != (v.Expect == "ok") {
			t.Errorf("%s: got %v, want %s", v.Comment, err, v.Expect)
		}
	}
	compare(t, filepath.Join("..", "vectors", "wire", "encoding.json"), all)
}

func compare(t *testing.T, file string, all any) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, out.Bytes()) {
		t.Errorf("%s: got other bytes than the generator makes; run make vectors and look at the difference", file)
	}
}
