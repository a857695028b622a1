package fhir

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 5e6, time.FixedZone("", 3600)) }

const noonText = "2026-11-21T11:00:00.005Z"

func TestSplice(t *testing.T) {
	const meta = `"meta":{"versionId":"v","lastUpdated":"` + noonText + `"}`
	for _, c := range []struct{ name, in, want string }{
		{"nothing there", `{"resourceType":"Basic"}`, `{"resourceType":"Basic","id":"x",` + meta + `}`},
		{"id there", `{"resourceType":"Basic","id":"old","a":1.00}`, `{"resourceType":"Basic","id":"x",` + meta + `,"a":1.00}`},
		{"id first", `{"id":"old","resourceType":"Basic"}`, `{"id":"x",` + meta + `,"resourceType":"Basic"}`},
		{"id last", `{"resourceType":"Basic","a":0,"id":"old"}`, `{"resourceType":"Basic","a":0,"id":"x",` + meta + `}`},
		{"meta empty", `{"resourceType":"Basic","meta":{ }}`, `{"resourceType":"Basic","id":"x","meta":{"versionId":"v","lastUpdated":"` + noonText + `"}}`},
		{"meta first", `{"meta":{"versionId":"1"},"resourceType":"Basic"}`, `{"meta":{"versionId":"v","lastUpdated":"` + noonText + `"},"resourceType":"Basic","id":"x"}`},
		{"meta last", `{"resourceType":"Basic","z":[ ] ,"meta":{"profile":["p"]}}`, `{"resourceType":"Basic","id":"x","z":[ ] ,"meta":{"profile":["p"],"versionId":"v","lastUpdated":"` + noonText + `"}}`},
		{"meta full", `{"resourceType":"Basic","meta":{"lastUpdated":"2001-01-01T00:00:00Z","tag":[],"versionId":"7"}}`, `{"resourceType":"Basic","id":"x","meta":{"lastUpdated":"` + noonText + `","tag":[],"versionId":"v"}}`},
		{"white space", "{\n  \"resourceType\" : \"Basic\" ,\n  \"meta\" : {\n    \"source\" : \"s\"\n  }\n}\n",
			"{\n  \"resourceType\" : \"Basic\",\n  \"id\" : \"x\" ,\n  \"meta\" : {\n    \"source\" : \"s\",\n    \"versionId\" : \"v\",\n    \"lastUpdated\" : \"" + noonText + "\"\n  }\n}"},
		{"escaped name", `{"resourceType":"Basic","i\u0064":"old"}`, `{"resourceType":"Basic","i\u0064":"x",` + meta + `}`},
		{"deeper ones stay", `{"resourceType":"Basic","contained":[{"resourceType":"Basic","id":"c","meta":{"versionId":"1"}}],"id":"o"}`,
			`{"resourceType":"Basic","contained":[{"resourceType":"Basic","id":"c","meta":{"versionId":"1"}}],"id":"x",` + meta + `}`},
	} {
		got, err := Splice([]byte(c.in), "x", "v", noon())
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s %v, want %s", c.name, got, err, c.want)
		}
		again, err := Splice(got, "x", "v", noon())
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: splicing the same again: got %s, want no change", c.name, again)
		}
	}
}

func TestSpliceLeavesEmptyAlone(t *testing.T) {
	const in = ` {"resourceType":"Basic","id":"a","meta":{}} `
	got, err := Splice([]byte(in), "", "", time.Time{})
	if want := strings.TrimSpace(in); err != nil || string(got) != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
}

func TestParseResourceRefuses(t *testing.T) {
	for _, c := range []struct {
		name, src string
		status    int
	}{
		{"array", `[]`, 400},
		{"no type", `{}`, 400},
		{"type no string", `{"resourceType":7}`, 400},
		{"unknown type", `{"resourceType":"Pateint"}`, 400},
		{"abstract type", `{"resourceType":"DomainResource"}`, 400},
		{"data type", `{"resourceType":"HumanName"}`, 400},
		{"empty id", `{"resourceType":"Basic","id":""}`, 422},
		{"long id", `{"resourceType":"Basic","id":"` + strings.Repeat("a", 65) + `"}`, 422},
		{"id with slash", `{"resourceType":"Basic","id":"a/b"}`, 422},
		{"id null", `{"resourceType":"Basic","id":null}`, 422},
		{"meta list", `{"resourceType":"Basic","meta":[]}`, 422},
		{"meta null", `{"resourceType":"Basic","meta":null}`, 422},
		{"not json", `{"resourceType":"Basic"`, 400},
		{"too large", `{"resourceType":"Basic","a":"` + strings.Repeat("a", ResourceBytesMax) + `"}`, 413},
	} {
		_, err := ParseResource([]byte(c.src))
		if err == nil || AsOutcome(err).Status != c.status {
			t.Errorf("%s: got %v, want %d", c.name, err, c.status)
		}
	}
}

func TestIsID(t *testing.T) {
	for _, s := range []string{"a", "A-1.b", strings.Repeat("9", 64)} {
		if !IsID(s) {
			t.Errorf("IsID(%q): got false", s)
		}
	}
	for _, s := range []string{"", " ", "a_b", "é", "a/b", "a[", "@", "`", "{", "a\n", strings.Repeat("9", 65)} {
		if IsID(s) {
			t.Errorf("IsID(%q): got true", s)
		}
	}
}

func TestEqual(t *testing.T) {
	const base = `{"resourceType":"Basic","id":"a","meta":{"versionId":"1","profile":["p"]},"n":1.00,"l":[{"b":null},"\u0041"],"r":{"reference":"urn:uuid:1"}}`
	mapping := func(ref string) (string, bool) { return "Patient/1", ref == "urn:uuid:1" }
	for _, c := range []struct {
		name, out string
		mapping   func(string) (string, bool)
		want      bool
	}{
		{"itself", base, nil, true},
		{"what may differ", `{"l":[{"b":null},"A"],"n":1.00,"meta":{"lastUpdated":"2026-01-01T00:00:00Z","profile":["p"],"versionId":"2"},"id":"z","resourceType":"Basic","r":{"reference":"Patient/1"}}`, mapping, true},
		{"reference not rewritten", base, mapping, false},
		{"reference rewritten unasked", strings.Replace(base, "urn:uuid:1", "Patient/1", 1), nil, false},
		{"number literal", strings.Replace(base, "1.00", "1.0", 1), nil, false},
		{"null lost", strings.Replace(base, `{"b":null}`, `{}`, 1), nil, false},
		{"member added", strings.Replace(base, `"n"`, `"m":0,"n"`, 1), nil, false},
		{"member renamed", strings.Replace(base, `"n"`, `"m"`, 1), nil, false},
		{"member lost", strings.Replace(base, `"n":1.00,`, ``, 1), nil, false},
		{"element added", strings.Replace(base, `"l":[`, `"l":[0,`, 1), nil, false},
		{"order of array", strings.Replace(base, `{"b":null},"\u0041"`, `"A",{"b":null}`, 1), nil, false},
		{"meta member lost", strings.Replace(base, `,"profile":["p"]`, ``, 1), nil, false},
		{"text", strings.Replace(base, `\u0041`, `a`, 1), nil, false},
		{"type", strings.Replace(base, `Basic`, `Group`, 1), nil, false},
		{"kind", strings.Replace(base, `1.00`, `"1.00"`, 1), nil, false},
	} {
		got, err := Equal([]byte(base), []byte(c.out), c.mapping)
		if err != nil || got != c.want {
			t.Errorf("%s: got %v %v, want %v", c.name, got, err, c.want)
		}
	}
}

// spliced checks everything that must hold of one splice.
func spliced(t *testing.T, r Resource) {
	t.Helper()
	out, err := r.Splice("new-id", "v9", noon())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseResource(out)
	if err != nil {
		t.Fatalf("the spliced text does not read: %v", err)
	}
	if got.ID() != "new-id" || got.VersionID() != "v9" || got.LastUpdated() != noonText {
		t.Fatalf("got id %q, version %q, updated %q", got.ID(), got.VersionID(), got.LastUpdated())
	}
	if !sameResource(r, got) {
		t.Fatal("something else changed")
	}
	// Put back what the splice took: the bytes between must be the source's.
	in := r.Raw()
	head, tail := 0, 0
	for head < len(in) && head < len(out) && in[head] == out[head] {
		head++
	}
	for tail < len(in)-head && tail < len(out)-head && in[len(in)-1-tail] == out[len(out)-1-tail] {
		tail++
	}
	if head == 0 || tail == 0 {
		t.Fatal("the text's ends are not those of the source")
	}
}

func FuzzSplice(f *testing.F) {
	addSeeds(f)
	f.Add([]byte("{\"meta\" : {\"x\":1 }\n,\"resourceType\":\"Basic\",\"\\u0069d\":\"q\"}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if r, err := ParseResource(src); err == nil {
			spliced(t, r)
		}
	})
}

func FuzzEqual(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Basic","a":[1,{"b":2}]}`), []byte(`{"a":[1,{"b":2}],"resourceType":"Basic"}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got, err := Equal(a, b, nil)
		if err != nil {
			return
		}
		back, err := Equal(b, a, nil)
		if err != nil || got != back {
			t.Fatal("Equal is not symmetric")
		}
		if want := plain2(t, a) == plain2(t, b); got != want {
			t.Fatalf("got %v, want %v by the standard library", got, want)
		}
	})
}

// plain2 is a resource without what may differ, written by the standard
// library with its number literals and sorted members.
func plain2(t *testing.T, src []byte) string {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var tree map[string]any
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	delete(tree, "id")
	if meta, ok := tree["meta"].(map[string]any); ok {
		delete(meta, "versionId")
		delete(meta, "lastUpdated")
		if len(meta) == 0 {
			delete(tree, "meta")
		}
	}
	out, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func BenchmarkSplice(b *testing.B) {
	src, err := os.ReadFile("testdata/hl7/Observation-f001.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Splice(src, "a", "b", noon()); err != nil {
			b.Fatal(err)
		}
	}
}
