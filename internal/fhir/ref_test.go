package fhir

import (
	"slices"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Ref
	}{
		{"Patient/1", Ref{Type: "Patient", ID: "1"}},
		{"Patient/1/_history/2", Ref{Type: "Patient", ID: "1", Version: "2"}},
		{"http://h/fhir/Patient/1", Ref{Base: "http://h/fhir", Type: "Patient", ID: "1"}},
		{"https://h/Patient/1/_history/a", Ref{Base: "https://h", Type: "Patient", ID: "1", Version: "a"}},
		{"Patient?identifier=a|b", Ref{Type: "Patient", Query: "identifier=a|b"}},
		{"urn:uuid:1-2", Ref{URN: "urn:uuid:1-2"}},
		{"urn:oid:1.2", Ref{URN: "urn:oid:1.2"}},
		{"#p", Ref{Fragment: "p"}},
	} {
		got, ok := ParseRef(c.in)
		if !ok || got != c.want || got.String() != c.in {
			t.Errorf("ParseRef(%q): got %+v %v, want %+v", c.in, got, ok, c.want)
		}
	}
	for _, in := range []string{"", "Patient", "Patient/", "/Patient/1", "patient/1", "Pateint/1", "Patient/1/2", "Patient/a b", "Patient?", "Foo?a=b",
		"ftp://h/Patient/1", "x/Patient/1", "Patient/1/_history/", "http://h/ValueSet/a_b", "urn:isbn:1", "Patient/" + strings.Repeat("1", 65)} {
		if got, ok := ParseRef(in); ok {
			t.Errorf("ParseRef(%q): got %+v, want refusal", in, got)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"Patient/1", "http://h/fhir/Patient/1/_history/2", "Patient?a=b", "urn:uuid:1", "#x", "a/_history/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseRef(s)
		if !ok {
			return
		}
		if r.String() != s {
			t.Fatalf("String: got %q, want %q", r.String(), s)
		}
		again, ok := ParseRef(r.String())
		if !ok || again != r {
			t.Fatalf("again: got %+v, want %+v", again, r)
		}
	})
}

func TestRewrite(t *testing.T) {
	table := func(ref string) (string, bool) {
		switch ref {
		case "urn:uuid:1":
			return "Patient/p1", true
		case "Practitioner?identifier=a|b":
			return `Practitioner/"q`, true
		}
		return "", false
	}
	for _, c := range []struct{ name, in, want string }{
		{"reference", `{"resourceType":"Observation", "subject" : {"reference" : "urn:uuid:1" } }`, `{"resourceType":"Observation", "subject" : {"reference" : "Patient/p1" } }`},
		{"escaped", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:\u0031"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/p1"}}`},
		{"quoted on the way out", `{"resourceType":"Observation","performer":[{"reference":"Practitioner?identifier=a|b"}]}`, `{"resourceType":"Observation","performer":[{"reference":"Practitioner/\"q"}]}`},
		{"extension", `{"resourceType":"Basic","extension":[{"url":"urn:uuid:1","valueUri":"urn:uuid:1"},{"url":"x","valueReference":{"reference":"urn:uuid:1"}}]}`,
			`{"resourceType":"Basic","extension":[{"url":"urn:uuid:1","valueUri":"Patient/p1"},{"url":"x","valueReference":{"reference":"Patient/p1"}}]}`},
		{"identifier value is a string", `{"resourceType":"Basic","identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}]}`, ``},
		{"code is a code", `{"resourceType":"Basic","code":{"coding":[{"code":"urn:uuid:1"}]}}`, ``},
		{"uri", `{"resourceType":"DocumentReference","content":[{"attachment":{"url":"urn:uuid:1","title":"urn:uuid:1"}}]}`, `{"resourceType":"DocumentReference","content":[{"attachment":{"url":"Patient/p1","title":"urn:uuid:1"}}]}`},
		{"uris in a list", `{"resourceType":"CarePlan","instantiatesUri":["urn:uuid:2","urn:uuid:1"]}`, `{"resourceType":"CarePlan","instantiatesUri":["urn:uuid:2","Patient/p1"]}`},
		{"same name, a string there", `{"resourceType":"MedicationKnowledge","cost":[{"source":"urn:uuid:1"}],"meta":{"source":"urn:uuid:1"}}`, `{"resourceType":"MedicationKnowledge","cost":[{"source":"urn:uuid:1"}],"meta":{"source":"Patient/p1"}}`},
		{"not only a part of it", `{"resourceType":"Basic","implicitRules":"urn:uuid:12","subject":{"reference":"urn:uuid:11"}}`, ``},
		{"contained", `{"resourceType":"Basic","subject":{"reference":"#urn:uuid:1"}}`, ``},
		{"link in narrative", `{"resourceType":"Basic","text":{"div":"<div><a href=\"urn:uuid:1\">urn:uuid:1</a><img alt='x' src='urn:uuid:1'/><a href = \"urn:uuid:1\"/></div>"}}`,
			`{"resourceType":"Basic","text":{"div":"<div><a href=\"Patient/p1\">urn:uuid:1</a><img alt='x' src='Patient/p1'/><a href = \"Patient/p1\"/></div>"}}`},
		{"no link in narrative", `{"resourceType":"Basic","text":{"div":"<div><a title=\"urn:uuid:1\" data-href=\"urn:uuid:1\" href=\"urn:uuid:1#x\" href=\"urn:uuid:1'>href=urn:uuid:1</a></div>"}}`, ``},
		{"nothing", `{"resourceType":"Basic"}`, ``},
	} {
		if c.want == "" {
			c.want = c.in
		}
		got, err := RewriteReferences([]byte(c.in), table)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s %v, want %s", c.name, got, err, c.want)
		}
	}
}

// f is asked about references and URIs alone, never about another string.
func TestRewriteAsksOnlyAboutReferences(t *testing.T) {
	var asked []string
	_, err := RewriteReferences([]byte(`{"resourceType":"Basic","identifier":[{"value":"urn:uuid:1"}],"implicitRules":"http://x","language":"urn:uuid:2","extension":[{"url":"urn:oid:3","valueUrl":"urn:oid:4"}],"subject":{"reference":"Patient/5","display":"urn:uuid:6"},"author":{"reference":"#urn:uuid:1"},"text":{"div":"<p title=\"urn:uuid:7\">urn:uuid:8</p>"}}`),
		func(ref string) (string, bool) { asked = append(asked, ref); return "", false })
	if want := []string{"urn:oid:4", "Patient/5"}; err != nil || !slices.Equal(asked, want) {
		t.Errorf("got %q %v, want %q", asked, err, want)
	}
}

func FuzzRewrite(f *testing.F) {
	addSeeds(f)
	f.Add([]byte(`{"resourceType":"Basic","text":{"div":"<a href=\"urn:uuid:1\"/>"},"x":[["urn:uuid:1"]]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := ParseResource(src)
		if err != nil {
			return
		}
		kept := r.Rewrite(func(ref string) (string, bool) { return ref, true })
		if k, err := ParseResource(kept); err != nil || !same(k.Value, r.Value) {
			t.Fatal("rewriting to the same references changes the resource")
		}
		seen := 0
		out := r.Rewrite(func(string) (string, bool) { seen++; return "Patient/1", true })
		if _, err := ParseResource(out); err != nil {
			t.Fatalf("the rewritten text does not read: %v", err)
		}
		if seen == 0 && string(out) != string(r.Raw()) {
			t.Fatal("something changed without a reference")
		}
	})
}
