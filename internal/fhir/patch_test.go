package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestPatchCases holds the cases of RFC 6902, appendix A, and the bytes that a
// patch must leave alone.
func TestPatchCases(t *testing.T) {
	for _, c := range []struct{ name, doc, patch, want string }{
		{"A.1 member", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo":"bar","baz":"qux"}`},
		{"A.2 element", `{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`},
		{"A.3 remove member", `{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`},
		{"A.4 remove element", `{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`},
		{"A.5 replace", `{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`},
		{"A.6 move", `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`,
			`{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`},
		{"A.7 move element", `{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`},
		{"A.8 test", `{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, `{"baz":"qux","foo":["a",2,"c"]}`},
		{"A.10 nested", `{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{"a":1}}}]`, `{"foo":"bar","child":{"grandchild":{"a":1}}}`},
		{"A.11 unknown member", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo":"bar","baz":"qux"}`},
		{"A.14 escapes", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`},
		{"A.16 append array", `{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`},
		{"replace by add", `{"a":1}`, `[{"op":"add","path":"/a","value":2.50}]`, `{"a":2.50}`},
		{"white space and literals", "{ \"a\" : 1.00 ,\n  \"b\" : [ 1e2,\n  2 ] }", `[{"op":"add","path":"/b/-","value":3.0},{"op":"add","path":"/c","value":null}]`,
			"{ \"a\" : 1.00 ,\n  \"b\" : [ 1e2,\n  2,\n  3.0 ],\n  \"c\" : null }"},
		{"first of several", "[1,\n 2]", `[{"op":"add","path":"/0","value":0}]`, "[0,1,\n 2]"},
		{"before the last", "[1,\n 2]", `[{"op":"add","path":"/1","value":0}]`, "[1,\n 0,\n 2]"},
		{"remove last", `{"a":1, "b":2 }`, `[{"op":"remove","path":"/b"}]`, `{"a":1 }`},
		{"into the empty", `{"a":{},"b":[]}`, `[{"op":"add","path":"/a/x","value":1},{"op":"add","path":"/b/0","value":2}]`, `{"a":{"x":1},"b":[2]}`},
		{"copy", `{"a":[1],"b":2}`, `[{"op":"copy","from":"/b","path":"/a/0"}]`, `{"a":[2,1],"b":2}`},
		{"move to itself", `{"a":1,"b":2}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1,"b":2}`},
		{"empty name", `{"":1,"a":2}`, `[{"op":"replace","path":"/","value":3}]`, `{"":3,"a":2}`},
		{"whole", `{"a":1}`, `[{"op":"replace","path":"","value":[1]}]`, `[1]`},
		{"escaped key", `{"\u0061":1}`, `[{"op":"replace","path":"/a","value":2}]`, `{"\u0061":2}`},
		{"numbers by value", `{"a":1.50,"b":100,"c":-0}`, `[{"op":"test","path":"/a","value":15e-1},{"op":"test","path":"/b","value":1E2},{"op":"test","path":"/c","value":0.0}]`, `{"a":1.50,"b":100,"c":-0}`},
		{"members in any order", `{"a":{"x":1,"y":"\u0041"}}`, `[{"op":"test","path":"/a","value":{"y":"A","x":1.0}}]`, `{"a":{"x":1,"y":"\u0041"}}`},
		{"nothing to do", `{"a":1}`, `[]`, `{"a":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ParsePatch([]byte(c.patch))
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			got, err := p.Apply([]byte(c.doc))
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestPatchRefusals(t *testing.T) {
	const doc = `{"a":[1,2],"b":{"c":"x"}}`
	for _, c := range []struct {
		name, patch string
		status      int
	}{
		{"not JSON", `[`, 400},
		{"no array", `{}`, 400},
		{"no op", `[{"path":"/a"}]`, 400},
		{"unknown op", `[{"op":"delete","path":"/a"}]`, 400},
		{"no path", `[{"op":"remove"}]`, 400},
		{"no value", `[{"op":"add","path":"/x"}]`, 400},
		{"no from", `[{"op":"move","path":"/x"}]`, 400},
		{"two ops", `[{"op":"add","op":"remove","path":"/a","value":1}]`, 400},
		{"no slash", `[{"op":"remove","path":"a"}]`, 400},
		{"bad escape", `[{"op":"remove","path":"/a~2"}]`, 400},
		{"tilde at the end", `[{"op":"remove","path":"/a~"}]`, 400},
		{"path a number", `[{"op":"remove","path":1}]`, 400},
		{"into itself", `[{"op":"move","from":"/b","path":"/b/c"}]`, 400},
		{"too many", "[" + strings.Repeat(`{"op":"test","path":"/b/c","value":"x"},`, PatchStepsMax) + `{"op":"remove","path":"/a"}]`, 413},
		{"absent member", `[{"op":"remove","path":"/x"}]`, 422},
		{"absent to replace", `[{"op":"replace","path":"/x","value":1}]`, 422},
		{"absent holder", `[{"op":"add","path":"/x/y","value":1}]`, 422},
		{"a string as holder", `[{"op":"add","path":"/b/c/d","value":1}]`, 422},
		{"past the end", `[{"op":"add","path":"/a/3","value":1}]`, 422},
		{"leading zero", `[{"op":"add","path":"/a/01","value":1}]`, 422},
		{"negative", `[{"op":"add","path":"/a/-1","value":1}]`, 422},
		{"dash to remove", `[{"op":"remove","path":"/a/-"}]`, 422},
		{"dash to test", `[{"op":"test","path":"/a/-","value":1}]`, 422},
		{"a long index", `[{"op":"remove","path":"/a/00000000000000000001"}]`, 422},
		{"the whole", `[{"op":"remove","path":""}]`, 422},
		{"test", `[{"op":"test","path":"/b/c","value":"y"}]`, 422},
		{"test of another kind", `[{"op":"test","path":"/a/0","value":"1"}]`, 422},
		{"test after a change", `[{"op":"replace","path":"/b/c","value":"y"},{"op":"test","path":"/b/c","value":"x"}]`, 422},
		{"empty array", `[{"op":"remove","path":"/a/0"},{"op":"remove","path":"/a/0"}]`, 422},
		{"empty object", `[{"op":"remove","path":"/b/c"}]`, 422},
		{"empty value", `[{"op":"add","path":"/x","value":{"y":[]}}]`, 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := []byte(doc)
			p, err := ParsePatch([]byte(c.patch))
			if err == nil {
				_, err = p.Apply(src)
			}
			if o := AsOutcome(err); err == nil || o.Status != c.status {
				t.Errorf("got %v, want status %d", err, c.status)
			}
			if string(src) != doc {
				t.Errorf("the source was changed: %s", src)
			}
		})
	}
}

// TestPatchGrowth: a patch that doubles what is there ends at the limit of
// work, not of memory.
func TestPatchGrowth(t *testing.T) {
	p, err := ParsePatch([]byte("[" + strings.Repeat(`{"op":"copy","from":"/a","path":"/a/-"},`, PatchStepsMax-1) + `{"op":"test","path":"/a/0","value":1}]`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Apply([]byte(`{"a":[1]}`))
	if err == nil {
		t.Error("a patch that grows without end: applied, want it refused")
	}
	big := []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `","b":1}`)
	p, err = ParsePatch([]byte("[" + strings.Repeat(`{"op":"test","path":"/b","value":1},`, PatchStepsMax-1) + `{"op":"test","path":"/b","value":1}]`))
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := errors.AsType[*OutcomeError](second(p.Apply(big))); !ok || o.Status != 413 {
		t.Errorf("256 looks at a megabyte: got %v, want 413", o)
	}
}

func second(_ []byte, err error) error { return err }

func TestNarrativeAfterPatch(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"resourceType":"Basic","text":{"status":"generated","div":"<div/>"},"a":1}`, `{"resourceType":"Basic","a":1}`},
		{`{"resourceType":"Basic","text":{"status":"empty","div":"<div/>"},"a":1}`, `{"resourceType":"Basic","text":{"status":"empty","div":"<div/>"},"a":1}`},
		{`{"resourceType":"Basic","a":1}`, `{"resourceType":"Basic","a":1}`},
		{`{"resourceType":"Basic","text":{"status":"additional","div":"<div/>"},"a":1}`, ""},
		{`{"resourceType":"Basic","text":{"div":"<div/>"},"a":1}`, ""},
	} {
		got, err := WithoutNarrative([]byte(c.doc))
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got %s, %v, want %q", c.doc, got, err, c.want)
		}
	}
	p, err := ParsePatch([]byte(`[{"op":"test","path":"/text/div","value":1},{"op":"move","from":"/a/0","path":"/b"}]`))
	if err != nil || p.Touches("text") || !p.Touches("a") || !p.Touches("b") {
		t.Errorf("touches: got text %v, a %v, b %v, %v", p.Touches("text"), p.Touches("a"), p.Touches("b"), err)
	}
}

func TestTimeline(t *testing.T) {
	at := func(n int) time.Time { return time.UnixMilli(int64(n)).UTC() }
	v := func(id, version string, n int, parents ...string) Version {
		return Version{Type: "Basic", ID: id, VersionID: version, LastUpdated: at(n), Parents: parents, Body: []byte(`{"resourceType":"Basic"}`)}
	}
	var c Chart
	gone := v("a", "3", 9, "2")
	gone.Deleted = true
	if err := c.Add(v("a", "2", 5, "1"), v("b", "1", 7), v("a", "1", 5), gone); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		kind  string
		since time.Time
		list  string
	}{{"", time.Time{}, "a3 b1 a2 a1"}, {"Basic", at(6), "a3 b1"}, {"Patient", time.Time{}, ""}} {
		var got []string
		for _, v := range c.Timeline(want.kind, want.since) {
			got = append(got, v.ID+v.VersionID)
		}
		if strings.Join(got, " ") != want.list {
			t.Errorf("timeline of %q since %v: got %v, want %s", want.kind, want.since, got, want.list)
		}
	}
}

// FuzzPatch: what is applied is strict JSON again, the source is untouched,
// and a reference implementation over encoding/json comes to the same value.
func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{"foo":["bar","baz"],"a":{"b":1}}`), []byte(`[{"op":"add","path":"/foo/1","value":"qux"},{"op":"move","from":"/a/b","path":"/foo/-"}]`))
	f.Add([]byte(`{"a":1.0}`), []byte(`[{"op":"copy","from":"/a","path":"/b"},{"op":"test","path":"/b","value":1}]`))
	f.Add([]byte(`{"~":[1]}`), []byte(`[{"op":"remove","path":"/~0/0"}]`))
	f.Fuzz(func(t *testing.T, src, patch []byte) {
		before := bytes.Clone(src)
		p, err := ParsePatch(patch)
		if err != nil {
			return
		}
		got, err := p.Apply(src)
		if !bytes.Equal(src, before) {
			t.Fatal("the source was changed")
		}
		if err != nil {
			return
		}
		if _, err := Parse(got); err != nil {
			t.Fatalf("the result is not strict JSON: %v", err)
		}
		for _, s := range p.steps {
			if s.op != "add" && s.op != "replace" || len(s.path) != 1 {
				return
			}
		}
		var want map[string]any
		if json.Unmarshal(src, &want) != nil {
			return
		}
		for _, s := range p.steps {
			var value any
			if json.Unmarshal(s.value.Raw(), &value) != nil {
				return
			}
			want[s.path[0]] = value
		}
		var have map[string]any
		if err := json.Unmarshal(got, &have); err != nil {
			return // numbers out of range
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(have)
		if !bytes.Equal(a, b) {
			t.Errorf("got %s, want %s", b, a)
		}
	})
}
