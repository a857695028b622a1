package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
)

// FuzzFind: a path that is found is exactly its route's, with a valid type
// and id in the places of the variables.
func FuzzFind(f *testing.F) {
	for _, path := range []string{"/", "/metadata", "/Patient/1/$everything", "/Patient/1/%24everything", "/Observation/_search", "/A/../B", "//", "/Patient/1/_history/2"} {
		f.Add("GET", path)
	}
	sealed, err := sealTable(routes())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		way, at, _ := sealed.find(method, path)
		if way == nil {
			return
		}
		again := strings.NewReplacer("{type}", at.kind, "{id}", at.id, "{version}", at.version).Replace(way.pattern)
		if again != strings.Replace(path, "/%24", "/$", 1) || way.method != method && !(method == http.MethodHead && way.method == http.MethodGet && !way.starts) {
			t.Errorf("find(%q, %q): got the route of %q", method, path, again)
		}
		if at.kind != "" && !fhir.IsType(at.kind) || at.id != "" && !fhir.IsID(at.id) {
			t.Errorf("find(%q): got type %q, id %q", path, at.kind, at.id)
		}
	})
}

// FuzzETags: what is read as tags is written back as the same tags.
func FuzzETags(f *testing.F) {
	f.Add(`W/"a"`)
	f.Add(`W/"a", "b"`)
	f.Add(`W/""`)
	f.Fuzz(func(t *testing.T, text string) {
		versions, err := etagsOf(text)
		if err != nil {
			return
		}
		var out []string
		for _, v := range versions {
			out = append(out, fhir.ETag(v))
		}
		again, err := etagsOf(strings.Join(out, ","))
		if err != nil || strings.Join(again, ",") != strings.Join(versions, ",") {
			t.Errorf("etags of %q: got %q, then %q, %v", text, versions, again, err)
		}
	})
}

// FuzzCursor: no text is a cursor but what this session sealed for this query.
func FuzzCursor(f *testing.F) {
	p := newPager(key.Secret{1})
	f.Add(p.seal(everythingPlace{Type: "Patient", ID: "1"}, "/x"), "/x")
	f.Add("AAAA", "")
	other := newPager(key.Secret{2})
	f.Fuzz(func(t *testing.T, text, bound string) {
		var c, again everythingPlace
		if err := other.open(text, bound, &c); err == nil {
			t.Errorf("another session's cursor opens")
		}
		if err := p.open(text, bound, &c); err != nil {
			if o := outcomeOf(err); o.Status != http.StatusBadRequest {
				t.Errorf("bad cursor: got %d, want 400", o.Status)
			}
			return
		}
		if err := p.open(p.seal(c, bound), bound, &again); err != nil || again != c {
			t.Errorf("cursor sealed again: got %+v, %v, want %+v", again, err, c)
		}
	})
}

func TestTypesAreTheParsersOwn(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range r4Types {
		if !fhir.IsType(name) || seen[name] {
			t.Errorf("%s: is no type of R4 or stands twice", name)
		}
		seen[name] = true
	}
	for _, name := range []string{"Patient", "Observation", "VisionPrescription", "Account"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestIDs(t *testing.T) {
	i := ids{key.Secret{1}}
	patient := [32]byte{7}
	one, source := i.imported(patient, "urn:uuid:1", []byte("{}"))
	again, _ := i.imported(patient, "urn:uuid:1", []byte("{}"))
	if one != again || len(source) != 32 {
		t.Errorf("import of the same source: got %q, want %q", again, one)
	}
	others := map[string]bool{one: true}
	for name, id := range map[string]string{
		"fresh": i.fresh(patient), "fresh again": i.fresh(patient),
	} {
		if others[id] {
			t.Errorf("%s: got an id twice", name)
		}
		others[id] = true
	}
	for _, other := range []struct {
		url, content string
		secret       byte
		patient      byte
	}{{"urn:uuid:2", "{}", 1, 7}, {"urn:uuid:1", "{ }", 1, 7}, {"urn:uuid:1", "{}", 2, 7}, {"urn:uuid:1", "{}", 1, 8}, {"urn:uuid:1{", "}", 1, 7}} {
		id, _ := ids{key.Secret{other.secret}}.imported([32]byte{other.patient}, other.url, []byte(other.content))
		if others[id] {
			t.Errorf("another source: got the same id")
		}
		others[id] = true
	}
	for id := range others {
		tag, ok := tagOf(id)
		if !ok || !fhir.IsID(id) || len(tag) != tagChars {
			t.Errorf("id %q: tag %q, %v", id, tag, ok)
		}
	}
	for _, id := range []string{"", "1", strings.Repeat("a", 35), "aaaaaaaa-" + strings.Repeat("A", 26), "aaaaaaa1-" + strings.Repeat("a", 26)} {
		if _, ok := tagOf(id); ok {
			t.Errorf("tagOf(%q): got a tag, want none", id)
		}
	}
}
