package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseAccepts(t *testing.T) {
	for _, src := range []string{
		`null`, `true`, ` false `, `0`, `-0.0e+5`, `1.0e-2`, `""`, `"é😀"`, `"\ud83d\ude00"`, `[]`, `{}`, "\t[1 , 2]\r\n",
		`{"a":{"a":1},"b":[{"a":1},{"a":1}]}`, `{"a":1,"A":1}`, `{"":0}`, `"\u0000"`, "\"\x7f\"",
		strings.Repeat("[", DepthMax) + strings.Repeat("]", DepthMax),
	} {
		d, err := Parse([]byte(src))
		if err != nil {
			t.Errorf("Parse(%.40q): got %v, want no error", src, err)
			continue
		}
		if got, want := string(d.Root().Raw()), strings.Trim(src, " \t\r\n"); got != want {
			t.Errorf("Raw: got %q, want %q", got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, src, reason string
		offset            int
	}{
		{"empty", ``, "end of text where a value belongs", 0},
		{"byte order mark", "\xef\xbb\xbf{}", "byte order mark", 0},
		{"trailing", `{} x`, "something after the value", 3},
		{"two values", `1 2`, "something after the value", 2},
		{"duplicate", `{"a":1,"b":2,"a":3}`, "a duplicate member name", 14},
		{"duplicate by escape", `{"a":1,"\u0061":3}`, "a duplicate member name", 8},
		{"duplicate empty", `{"":1,"":3}`, "a duplicate member name", 7},
		{"duplicate inside", `[{"x":{"a":1,"a":1}}]`, "a duplicate member name", 14},
		{"deep", strings.Repeat("[", DepthMax+1) + strings.Repeat("]", DepthMax+1), "nesting too deep", DepthMax},
		{"control", "\"a\nb\"", "a control character in a string", 2},
		{"control after eight", "\"12345678\x01\"", "a control character in a string", 9},
		{"bare newline in name", "{\"a\n\":1}", "a control character in a string", 3},
		{"utf8", "\"a\xffb\"", "invalid UTF-8 in a string", 0},
		{"overlong", "\"\xc0\x80\"", "invalid UTF-8 in a string", 0},
		{"surrogate bytes", "\"\xed\xa0\x80\"", "invalid UTF-8 in a string", 0},
		{"lone high", `"\ud83d"`, "a bad escape", 1},
		{"lone low", `"\ude00"`, "a bad escape", 1},
		{"high twice", `"\ud83d\ud83d"`, "a bad escape", 1},
		{"bad escape", `"\x"`, "a bad escape", 1},
		{"short escape", `"\u12"`, "a bad escape", 1},
		{"open string", `"abc`, "a string without its end", 0},
		{"open array", `[1`, "end of text inside a container", 2},
		{"comma", `[1,]`, "a byte that starts no value", 3},
		{"comma in object", `{"a":1,}`, "a member without a name", 7},
		{"no colon", `{"a" 1}`, "a name without a colon", 5},
		{"no comma", `[1 2]`, "neither a comma nor the closing bracket", 3},
		{"wrong closing", `[1}`, "neither a comma nor the closing bracket", 2},
		{"leading zero", `01`, "something after the value", 1},
		{"plus", `+1`, "a byte that starts no value", 0},
		{"no fraction", `1.`, "a bad number", 0},
		{"no exponent", `1e`, "a bad number", 0},
		{"minus", `-`, "a bad number", 0},
		{"NaN", `NaN`, "a byte that starts no value", 0},
		{"literal", `nul`, "a misspelt literal", 0},
		{"comment", `/**/1`, "a byte that starts no value", 0},
	} {
		_, err := Parse([]byte(c.src))
		s, ok := errors.AsType[*SyntaxError](err)
		if !ok || s.Reason != c.reason || s.Offset != c.offset {
			t.Errorf("%s: got %v, want %q at %d", c.name, err, c.reason, c.offset)
		}
	}
}

func TestParseRefusesManyDuplicates(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 1000 {
		b.WriteString(`"k` + strconv.Itoa(i) + `":0,`)
	}
	if _, err := Parse([]byte(b.String() + `"z":0}`)); err != nil {
		t.Errorf("distinct names: got %v, want no error", err)
	}
	if _, err := Parse([]byte(b.String() + `"k500":0}`)); err == nil {
		t.Error("a duplicate among 1,001 names: got no error, want one")
	}
	if _, err := Parse([]byte(b.String() + `"k50\u0030":0}`)); err == nil {
		t.Error("an escaped duplicate among 1,001 names: got no error, want one")
	}
}

func TestParseLimits(t *testing.T) {
	big := bytes.Repeat([]byte{' '}, DocumentBytesMax+1)
	big[0] = '1'
	if _, err := Parse(big); AsOutcome(err).Status != 413 {
		t.Errorf("one byte too large: got %v, want 413", err)
	}
	if _, err := Parse(big[:DocumentBytesMax]); err != nil {
		t.Errorf("just not too large: got %v, want no error", err)
	}
}

func TestParseValuesLimit(t *testing.T) {
	list := func(n int) []byte { return []byte("[0" + strings.Repeat(",0", n-1) + "]") }
	if _, err := Parse(list(ValuesMax)); err == nil || AsOutcome(err).Status != 413 {
		t.Errorf("one value too many: got %v, want 413", err)
	}
	if _, err := Parse(list(ValuesMax - 1)); err != nil {
		t.Errorf("just not too many: got %v, want no error", err)
	}
}

func TestValue(t *testing.T) {
	d, err := Parse([]byte(`{"a\u0062":[1.00,"x\n\"\\\/\b\f\r\t\u00e9\ud83d\ude00",null,true,{"k":"v"}],"n":"plain"}`))
	if err != nil {
		t.Fatal(err)
	}
	list := d.Root().Get("ab")
	if list.Kind() != Array || list.Len() != 5 || list.Name() != "ab" {
		t.Fatalf("escaped name: got kind %d, %d elements, name %q", list.Kind(), list.Len(), list.Name())
	}
	var raws []string
	for v := range list.Children() {
		raws = append(raws, string(v.Raw()))
		if v.Kind() == String {
			if got, want := v.Text(), "x\n\"\\/\b\f\r\té😀"; got != want {
				t.Errorf("Text: got %q, want %q", got, want)
			}
		}
		if v.Kind() == Boolean && !v.True() {
			t.Error("True: got false")
		}
	}
	if got, want := raws[0], "1.00"; got != want {
		t.Errorf("number literal: got %q, want %q", got, want)
	}
	if !d.Root().Get("n").Is("plain") || d.Root().Get("n").Is("plai") {
		t.Error("Is: got a wrong answer")
	}
	absent := d.Root().Path("x", "y", "z")
	if absent.Kind() != Absent || absent.Text() != "" || absent.Raw() != nil || absent.Len() != 0 || absent.Name() != "" {
		t.Error("an absent value must answer absence")
	}
}

// duplicates is an independent finder of duplicate names: the standard
// library's reader and a map.
func duplicates(src []byte) bool {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	type frame struct {
		names map[string]bool
		name  bool // a name comes next
	}
	var stack []frame
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			panic(err)
		}
		top := len(stack) - 1
		if s, ok := tok.(string); ok && top >= 0 && stack[top].names != nil && stack[top].name {
			if stack[top].names[s] {
				return true
			}
			stack[top].names[s], stack[top].name = true, false
			continue
		}
		switch tok {
		case json.Delim('{'):
			stack = append(stack, frame{map[string]bool{}, true})
			continue
		case json.Delim('['):
			stack = append(stack, frame{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
			top--
		}
		if top >= 0 {
			stack[top].name = true
		}
	}
}

// loneSurrogate finds an escaped surrogate without its pair in valid JSON.
func loneSurrogate(src []byte) bool {
	for i := 0; i < len(src); i++ {
		if src[i] != '\\' {
			continue
		}
		if i++; src[i] != 'u' {
			continue
		}
		r, _ := strconv.ParseUint(string(src[i+1:i+5]), 16, 16)
		i += 4
		switch {
		case r >= 0xdc00 && r < 0xe000:
			return true
		case r >= 0xd800 && r < 0xdc00:
			if i+6 >= len(src) || src[i+1] != '\\' || src[i+2] != 'u' {
				return true
			}
			low, _ := strconv.ParseUint(string(src[i+3:i+7]), 16, 16)
			if low < 0xdc00 || low >= 0xe000 {
				return true
			}
			i += 6
		}
	}
	return false
}

func nesting(src []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(src); i++ {
		switch {
		case quoted && src[i] == '\\':
			i++
		case src[i] == '"':
			quoted = !quoted
		case quoted:
		case src[i] == '{' || src[i] == '[':
			depth++
			deepest = max(deepest, depth)
		case src[i] == '}' || src[i] == ']':
			depth--
		}
	}
	return deepest
}

// strict is what Parse must accept, said with the standard library.
func strict(src []byte) bool {
	return json.Valid(src) && utf8.Valid(src) && !loneSurrogate(src) && nesting(src) <= DepthMax && !duplicates(src)
}

func FuzzParse(f *testing.F) {
	addSeeds(f)
	for _, s := range []string{`{"a":1,"\u0061":2}`, `"\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"", `[1.0e-2,-0,1E+3]`, "{\"0\":0}\x00", `{"a":{},"a":[]}`, `{"\u0000":0,"\u0000":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if want := strict(src); (err == nil) != want {
			t.Fatalf("Parse: got %v, want accepted %v", err, want)
		}
		if err != nil {
			return
		}
		again, err := Parse(d.Root().Raw())
		if err != nil || !bytes.Equal(again.Root().Raw(), d.Root().Raw()) || !same(again.Root(), d.Root()) {
			t.Fatal("reading a value's own bytes gives another value")
		}
		for i := range d.cells {
			v := Value{d, uint32(i)}
			if v.Kind() == String {
				var want string
				if err := json.Unmarshal(v.Raw(), &want); err != nil || v.Text() != want {
					t.Fatalf("Text: got %q, want %q", v.Text(), want)
				}
				back, err := Parse(appendText(nil, v.Text()))
				if err != nil || back.Root().Text() != v.Text() {
					t.Fatal("a written string does not read back")
				}
			}
		}
	})
}

// addSeeds gives a fuzz target the committed examples.
func addSeeds(f *testing.F) {
	f.Helper()
	for _, name := range committed(f) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(text) < 20_000 {
			f.Add(text)
		}
	}
}

// committed are the names of the committed data files.
func committed(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "*", "*.json"))
	if err != nil || len(names) < 10 {
		t.Fatal("the committed test data is missing")
	}
	return names
}

func BenchmarkParse(b *testing.B) {
	src, err := os.ReadFile(filepath.Join("testdata", "synthea", "patient.json"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseMinified(b *testing.B) {
	src, err := os.ReadFile(filepath.Join("testdata", "synthea", "patient.json"))
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, src); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(compact.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(compact.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
