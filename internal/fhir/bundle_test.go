package fhir

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func mustBundle(t testing.TB, src string) *Bundle {
	t.Helper()
	b, err := ParseBundle([]byte(src))
	if err != nil {
		t.Fatalf("%v in a test's own Bundle", err)
	}
	return b
}

func TestParseBundle(t *testing.T) {
	const resource = `{ "resourceType" : "Basic", "n":1.00 }`
	b := mustBundle(t, `{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"urn:uuid:1","resource":`+resource+`,"request":{"method":"POST","url":"Basic","ifNoneExist":"a=b","ifMatch":"W/\"1\"","ifNoneMatch":"*"}},{}]}`)
	e := b.Entries[0]
	if b.Kind != "batch" || len(b.Entries) != 2 || string(e.Resource.Raw()) != resource || e.FullURL != "urn:uuid:1" || e.Method != "POST" || e.URL != "Basic" || e.IfNoneExist != "a=b" || e.IfMatch != `W/"1"` || e.IfNoneMatch != "*" {
		t.Errorf("got %+v", e)
	}
	if b.Entries[1].Resource.Type != "" || b.Entries[1].Index != 1 {
		t.Errorf("an empty entry: got %+v", b.Entries[1])
	}
}

func TestParseBundleRefuses(t *testing.T) {
	for _, c := range []struct {
		name, src, expression string
		status                int
	}{
		{"no bundle", `{"resourceType":"Basic"}`, "", 400},
		{"no type", `{"resourceType":"Bundle"}`, "Bundle.type", 400},
		{"entry no list", `{"resourceType":"Bundle","type":"batch","entry":{}}`, "Bundle.entry", 400},
		{"entry null", `{"resourceType":"Bundle","type":"batch","entry":null}`, "Bundle.entry", 400},
		{"entry a number", `{"resourceType":"Bundle","type":"batch","entry":[{},1]}`, "Bundle.entry[1]", 400},
		{"resource a string", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":"x"}]}`, "Bundle.entry[0].resource", 400},
		{"resource of no type", `{"resourceType":"Bundle","type":"batch","entry":[{},{"resource":{"resourceType":"X"}}]}`, "Bundle.entry[1].resource", 400},
		{"bad id inside", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic","id":"_"}}]}`, "Bundle.entry[0].resource", 422},
		{"duplicate key", `{"resourceType":"Bundle","type":"batch","type":"batch"}`, "", 400},
		{"too many", `{"resourceType":"Bundle","type":"batch","entry":[{}` + strings.Repeat(",{}", EntriesMax) + `]}`, "Bundle.entry", 413},
	} {
		_, err := ParseBundle([]byte(c.src))
		if err == nil {
			t.Errorf("%s: got no error", c.name)
			continue
		}
		if o := AsOutcome(err); o.Status != c.status || o.Expression != c.expression {
			t.Errorf("%s: got %v, want %d at %q", c.name, err, c.status, c.expression)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	for n, line := range Lines([]byte("{}\r\n\n  \n{\"a\":1}\n[]")) {
		got = append(got, fmt.Sprint(n, string(line)))
	}
	if want := []string{"1{}", `4{"a":1}`, "5[]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// numbered assigns id0, id1, ...
func numbered() func(*Entry) (string, error) {
	n := 0
	return func(*Entry) (string, error) { n++; return fmt.Sprint("id", n-1), nil }
}

func nothing(Ref) (string, error) { return "", nil }

func TestResolveTransaction(t *testing.T) {
	b := mustBundle(t, `{"resourceType":"Bundle","type":"transaction","entry":[
 {"request":{"method":"GET","url":"Observation?_id=7"}},
 {"fullUrl":"http://h/fhir/Basic/u","resource":{"resourceType":"Basic","id":"u","subject":{"reference":"Patient/x"},"author":{"reference":"Practitioner?identifier=s|1"}},"request":{"method":"PUT","url":"Basic/u","ifMatch":"W/\"3\""}},
 {"fullUrl":"urn:uuid:o","resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:p"},"performer":[{"reference":"Practitioner?identifier=s|2"},{"reference":"urn:uuid:gone"}]},"request":{"method":"POST","url":"Observation"}},
 {"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","id":"mine"},"request":{"method":"POST","url":"Patient"}},
 {"request":{"method":"DELETE","url":"Basic/d"}},
 {"fullUrl":"urn:uuid:a","resource":{"resourceType":"Practitioner"},"request":{"method":"POST","url":"Practitioner","ifNoneExist":"identifier=s|1"}},
 {"fullUrl":"urn:uuid:b","resource":{"resourceType":"Practitioner"},"request":{"method":"POST","url":"Practitioner","ifNoneExist":"identifier=s|2"}},
 {"fullUrl":"http://h/fhir/Patient/x","resource":{"resourceType":"Patient","id":"x"},"request":{"method":"POST","url":"Patient"}}]}`)
	asked := map[string]int{}
	got, err := Resolve(b, numbered(), func(r Ref) (string, error) {
		asked[r.String()]++
		if r.Query == "identifier=s|2" {
			return "known", nil
		}
		return "", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, o := range got {
		lines = append(lines, fmt.Sprintf("%d %s %s/%s existing=%v %s", o.Entry, o.Method, o.Type, o.ID, o.Existing, o.Bytes))
	}
	want := []string{
		`4 DELETE Basic/d existing=false `,
		`2 POST Observation/id0 existing=false {"resourceType":"Observation","subject":{"reference":"Patient/id1"},"performer":[{"reference":"Practitioner/known"},{"reference":"urn:uuid:gone"}]}`,
		`3 POST Patient/id1 existing=false {"resourceType":"Patient","id":"mine"}`,
		`5 POST Practitioner/id2 existing=false {"resourceType":"Practitioner"}`,
		`6 POST Practitioner/known existing=true `,
		`7 POST Patient/id3 existing=false {"resourceType":"Patient","id":"x"}`,
		`1 PUT Basic/u existing=false {"resourceType":"Basic","id":"u","subject":{"reference":"Patient/id3"},"author":{"reference":"Practitioner/id2"}}`,
		`0 GET Observation/ existing=false `,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for q, n := range asked {
		if n != 1 {
			t.Errorf("%s: asked %d times, want once", q, n)
		}
	}
}

func TestResolveConditionalUpdate(t *testing.T) {
	b := mustBundle(t, `{"resourceType":"Bundle","type":"transaction","entry":[
 {"resource":{"resourceType":"Basic"},"request":{"method":"PUT","url":"Basic?identifier=s|1"}},
 {"resource":{"resourceType":"Basic"},"request":{"method":"PUT","url":"Basic?identifier=s|2"}}]}`)
	got, err := Resolve(b, numbered(), func(r Ref) (string, error) {
		return map[string]string{"identifier=s|1": "found"}[r.Query], nil
	})
	if err != nil || got[0].ID != "found" || got[0].Created || got[1].ID != "id0" || !got[1].Created {
		t.Errorf("got %+v %v", got, err)
	}
}

// TestResolvePatchAndDelete: patches travel in a Binary, and a DELETE by query
// names what it finds, or nothing.
func TestResolvePatchAndDelete(t *testing.T) {
	const binary = `"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL2EifV0="}`
	b := mustBundle(t, `{"resourceType":"Bundle","type":"transaction","entry":[
 {`+binary+`,"request":{"method":"PATCH","url":"Basic/1"}},
 {`+binary+`,"request":{"method":"PATCH","url":"Basic?identifier=s|1"}},
 {"request":{"method":"DELETE","url":"Basic?identifier=s|2"}},
 {"request":{"method":"DELETE","url":"Basic?identifier=s|3"}},
 {"resource":{"resourceType":"Basic","id":"mine"},"request":{"method":"PUT","url":"Basic?identifier=s|3"}}]}`)
	got, err := Resolve(b, numbered(), func(r Ref) (string, error) {
		return map[string]string{"identifier=s|1": "one", "identifier=s|2": "two"}[r.Query], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		method, id string
		patch      bool
	}{{"DELETE", "two", false}, {"DELETE", "", false}, {"PUT", "mine", false}, {"PATCH", "1", true}, {"PATCH", "one", true}} {
		if o := got[i]; o.Method != want.method || o.ID != want.id || (o.Patch != nil) != want.patch {
			t.Errorf("operation %d: got %s %q patch %v, want %+v", i, o.Method, o.ID, o.Patch != nil, want)
		}
	}
	if got[2].Created || got[2].IfNoneMatch != "*" {
		t.Errorf("update that finds nothing and brings an id: got %+v, want that id, if it is free", got[2])
	}
}

func TestResolveRefuses(t *testing.T) {
	entry := func(e string) string { return `{"resourceType":"Bundle","type":"transaction","entry":[` + e + `]}` }
	const basic = `"resource":{"resourceType":"Basic","id":"1"}`
	for _, c := range []struct {
		name, src, code string
		status          int
	}{
		{"collection", `{"resourceType":"Bundle","type":"collection"}`, "invalid", 400},
		{"no request", entry(`{` + basic + `}`), "required", 400},
		{"no url", entry(`{` + basic + `,"request":{"method":"POST"}}`), "value", 400},
		{"no url to get", entry(`{"request":{"method":"GET"}}`), "required", 400},
		{"patch that is none", entry(`{` + basic + `,"request":{"method":"PATCH","url":"Basic/1"}}`), "invalid", 400},
		{"patch without a place", entry(`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="},"request":{"method":"PATCH","url":"Basic"}}`), "value", 400},
		{"patch of no base64", entry(`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"!"},"request":{"method":"PATCH","url":"Basic/1"}}`), "value", 400},
		{"patch of no JSON", entry(`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"e30="},"request":{"method":"PATCH","url":"Basic/1"}}`), "structure", 400},
		{"patch finds none", entry(`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="},"request":{"method":"PATCH","url":"Basic?a=b"}}`), "not-found", 404},
		{"lower case", entry(`{` + basic + `,"request":{"method":"post","url":"Basic"}}`), "not-supported", 405},
		{"no resource", entry(`{"request":{"method":"POST","url":"Basic"}}`), "required", 400},
		{"another type", entry(`{` + basic + `,"request":{"method":"POST","url":"Group"}}`), "invalid", 400},
		{"unknown type", entry(`{` + basic + `,"request":{"method":"POST","url":"Grop"}}`), "value", 400},
		{"absolute url", entry(`{` + basic + `,"request":{"method":"POST","url":"http://h/Basic"}}`), "value", 400},
		{"POST to an id", entry(`{` + basic + `,"request":{"method":"POST","url":"Basic/1"}}`), "value", 400},
		{"PUT to a type", entry(`{` + basic + `,"request":{"method":"PUT","url":"Basic"}}`), "value", 400},
		{"PUT to another id", entry(`{` + basic + `,"request":{"method":"PUT","url":"Basic/2"}}`), "invalid", 400},
		{"PUT without id", entry(`{"resource":{"resourceType":"Basic"},"request":{"method":"PUT","url":"Basic/2"}}`), "invalid", 400},
		{"PUT too deep", entry(`{` + basic + `,"request":{"method":"PUT","url":"Basic/1/2"}}`), "value", 400},
		{"delete by id and query", entry(`{"request":{"method":"DELETE","url":"Basic/1?a=b"}}`), "value", 400},
		{"delete of a whole type", entry(`{"request":{"method":"DELETE","url":"Basic"}}`), "value", 400},
		{"delete finds many", entry(`{"request":{"method":"DELETE","url":"Basic?identifier=many"}}`), "multiple-matches", 412},
		{"same twice", entry(`{` + basic + `,"request":{"method":"PUT","url":"Basic/1"}},{"request":{"method":"DELETE","url":"Basic/1"}}`), "duplicate", 400},
		{"same fullUrl", entry(`{"fullUrl":"urn:uuid:1",` + basic + `,"request":{"method":"POST","url":"Basic"}},{"fullUrl":"urn:uuid:1",` + basic + `,"request":{"method":"POST","url":"Basic"}}`), "duplicate", 400},
		{"conditional finds none", entry(`{"resource":{"resourceType":"Basic","subject":{"reference":"Patient?identifier=1"}},"request":{"method":"POST","url":"Basic"}}`), "not-found", 412},
		{"conditional finds many", entry(`{"resource":{"resourceType":"Basic","subject":{"reference":"Patient?identifier=many"}},"request":{"method":"POST","url":"Basic"}}`), "multiple-matches", 412},
		{"ifNoneExist finds many", entry(`{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=many"}}`), "multiple-matches", 412},
	} {
		_, err := Resolve(mustBundle(t, c.src), numbered(), func(r Ref) (string, error) {
			if r.Query == "identifier=many" {
				return "", refuse(412, "multiple-matches", "", "several match; say which")
			}
			return "", nil
		})
		o := &OutcomeError{}
		if err != nil {
			o = AsOutcome(err)
		}
		if o.Status != c.status || o.Code != c.code || o.Expression == "" {
			t.Errorf("%s: got %v, want %d %s", c.name, err, c.status, c.code)
		}
	}
}

func TestResolveBatch(t *testing.T) {
	b := mustBundle(t, `{"resourceType":"Bundle","type":"batch","entry":[
 {"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},
 {"resource":{"resourceType":"Patient"},"request":{"method":"HEAD","url":"Patient/1"}},
 {"resource":{"resourceType":"Basic","subject":{"reference":"urn:uuid:p"}},"request":{"method":"POST","url":"Basic"}}]}`)
	got, err := Resolve(b, numbered(), nothing)
	if err != nil {
		t.Fatal(err)
	}
	byEntry := map[int]Operation{}
	for _, o := range got {
		byEntry[o.Entry] = o
	}
	if byEntry[0].Err != nil || byEntry[2].Err != nil || byEntry[1].Err == nil || byEntry[1].Err.Status != 405 {
		t.Errorf("got %+v", byEntry)
	}
	if !bytes.Contains(byEntry[2].Bytes, []byte("urn:uuid:p")) {
		t.Errorf("a batch's entries do not refer to each other: got %s", byEntry[2].Bytes)
	}
}

func FuzzResolve(f *testing.F) {
	addSeeds(f)
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic"},"request":{"method":"POST","url":"Basic"}}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		b, err := ParseBundle(src)
		if err != nil {
			return
		}
		operations, err := Resolve(b, numbered(), func(Ref) (string, error) { return "found", nil })
		if err != nil {
			return
		}
		if len(operations) != len(b.Entries) {
			t.Fatalf("got %d operations for %d entries", len(operations), len(b.Entries))
		}
		for _, o := range operations {
			if o.Err != nil || o.Bytes == nil {
				continue
			}
			r, err := ParseResource(o.Bytes)
			if err != nil || r.Type != o.Type {
				t.Fatalf("a rewritten resource does not read: %v", err)
			}
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	src, err := os.ReadFile("testdata/synthea/patient.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		bundle, err := ParseBundle(src)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Resolve(bundle, numbered(), func(Ref) (string, error) { return "x", nil }); err != nil {
			b.Fatal(err)
		}
	}
}
