package fhir

import (
	"encoding/json"
	"testing"
	"time"
)

func TestOperationOutcome(t *testing.T) {
	got := refuse(412, "conflict", "Basic.id", "a \"quote\" \n \x01 \xff").Outcome()
	want := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"conflict","details":{"coding":[{"system":"urn:abaton:outcome","code":"412-conflict"}]},"diagnostics":"a \"quote\" \n \u0001 ` + "\uFFFD" + `","expression":["Basic.id"]}]}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	mustResource(t, string(got))
	two := OperationOutcome(Issue{Severity: "warning", Code: "processing"}, Issue{Severity: "information", Code: "informational", Diagnostics: "d"})
	if got := mustResource(t, string(two)).Get("issue").Len(); got != 2 {
		t.Errorf("got %d issues, want 2", got)
	}
}

func TestAsOutcomeHidesUnknownErrors(t *testing.T) {
	o := AsOutcome(&json.SyntaxError{})
	if o.Status != 500 || o.Code != "exception" {
		t.Errorf("got %v, want 500 exception", o)
	}
}

func TestOutBundle(t *testing.T) {
	resource := []byte(`{ "resourceType":"Basic","n":1.00 }`)
	for _, c := range []struct {
		name string
		b    OutBundle
		want string
	}{
		{"empty searchset", OutBundle{Kind: "searchset"}, `{"resourceType":"Bundle","type":"searchset","total":0}`},
		{"searchset", OutBundle{Kind: "searchset", ID: "b", Timestamp: noon(), Total: 2, Self: "http://h/?a=b&c", Next: "http://h/n", Entries: []OutEntry{
			{FullURL: "http://h/Basic/1", Resource: resource, Search: "match"}, {Resource: resource, Search: "outcome"}}},
			`{"resourceType":"Bundle","id":"b","type":"searchset","timestamp":"` + noonText + `","total":2,"link":[{"relation":"self","url":"http://h/?a=b&c"},{"relation":"next","url":"http://h/n"}],"entry":[{"fullUrl":"http://h/Basic/1","resource":{ "resourceType":"Basic","n":1.00 },"search":{"mode":"match"}},{"resource":{ "resourceType":"Basic","n":1.00 },"search":{"mode":"outcome"}}]}`},
		{"no total", OutBundle{Kind: "history", Total: -1, Next: "n"}, `{"resourceType":"Bundle","type":"history","link":[{"relation":"next","url":"n"}]}`},
		{"collection", OutBundle{Kind: "collection", Entries: []OutEntry{{Resource: resource}}}, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{ "resourceType":"Basic","n":1.00 }}]}`},
		{"response", OutBundle{Kind: "transaction-response", Entries: []OutEntry{
			{Status: "201 Created", Location: "Basic/1/_history/2", ETag: ETag("2"), Modified: noon(), Outcome: []byte(`{"resourceType":"OperationOutcome"}`)},
			{Status: "204 No Content"}, {}}},
			`{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created","location":"Basic/1/_history/2","etag":"W/\"2\"","lastModified":"` + noonText + `","outcome":{"resourceType":"OperationOutcome"}}},{"response":{"status":"204 No Content"}},{}]}`},
		{"history", OutBundle{Kind: "history", Total: 1, Entries: []OutEntry{{Method: "DELETE", URL: "Basic/1", Status: "204"}}},
			`{"resourceType":"Bundle","type":"history","total":1,"entry":[{"request":{"method":"DELETE","url":"Basic/1"},"response":{"status":"204"}}]}`},
	} {
		got := c.b.Bytes()
		if string(got) != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		if _, err := ParseBundle(got); err != nil {
			t.Errorf("%s: what is written does not read: %v", c.name, err)
		}
	}
}

func TestCapability(t *testing.T) {
	c := Capability{
		Software: "abaton-gateway", Release: "1.0", Date: noon(), Base: "http://h/fhir", Description: "a gateway", Security: "sign in",
		System: []string{"transaction", "batch"},
		Types: []TypeCapability{
			{Type: "Patient", Interactions: []string{"read", "create"}, Versioning: "versioned", ConditionalCreate: true, UpdateCreate: true,
				Parameters: []Parameter{{"_id", "token"}, {"patient", "reference"}}, Operations: []OperationName{{"everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"}}},
			{Type: "Basic"},
		},
	}
	r := mustResource(t, string(c.Bytes()))
	for path, want := range map[[2]string]string{
		{"status"}: "active", {"fhirVersion"}: "4.0.1", {"kind"}: "instance", {"date"}: noonText,
		{"software", "version"}: "1.0", {"implementation", "description"}: "a gateway", {"implementation", "url"}: "http://h/fhir",
	} {
		v := r.Get(path[0])
		if path[1] != "" {
			v = v.Get(path[1])
		}
		if !v.Is(want) {
			t.Errorf("%v: got %q, want %q", path, v.Text(), want)
		}
	}
	for rest := range r.Get("rest").Children() {
		if rest.Get("resource").Len() != 2 || rest.Get("interaction").Len() != 2 {
			t.Error("got another number of types or interactions than the table has")
		}
		for one := range rest.Get("resource").Children() {
			if one.Get("type").Is("Patient") && (!one.Get("conditionalCreate").True() || one.Get("searchParam").Len() != 2 || one.Get("operation").Len() != 1) {
				t.Errorf("got %s", one.Raw())
			}
		}
	}
	mustResource(t, string(Capability{Date: time.Time{}}.Bytes()))
}

func FuzzAppendText(f *testing.F) {
	f.Add("a\"\\\u2028\x00\xff😀")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(appendText(nil, s))
		if err != nil {
			t.Fatalf("a written string does not read: %v", err)
		}
		if got, want := d.Root().Text(), string([]rune(s)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
