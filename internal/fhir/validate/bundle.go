package validate

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// bundle checks links, full URLs and what entries must be.
func (w *walk) bundle(v fhir.Value) {
	kind := v.Get("type").Text()
	w.links(v, kind)
	w.entries(v, kind)
	if kind == "document" || kind == "message" {
		w.closure(v, kind)
	}
}

func (w *walk) links(v fhir.Value, kind string) {
	seen := map[string]bool{}
	i := 0
	for l := range v.Get("link").Each() {
		w.push("link", i)
		i++
		relation := l.Get("relation").Text()
		if relation != "" && seen[relation] && contains([]string{"self", "first", "previous", "prev", "next", "last"}, relation) {
			w.fail("invalid", "link-twice", "a link of this relation may be there once")
		}
		if kind == "document" && contains([]string{"first", "previous", "prev", "next", "last"}, relation) {
			w.fail("invalid", "link-kind", "links of pages belong into search results and histories")
		}
		seen[relation] = true
		w.pop()
	}
}

// entries checks each entry.
func (w *walk) entries(v fhir.Value, kind string) {
	urls := map[string]bool{}
	searched := searchedType(v)
	i := 0
	for e := range v.Get("entry").Each() {
		w.push("entry", i)
		i++
		w.fullURL(e, kind, urls)
		if kind == "searchset" {
			w.searchEntry(e, searched)
		}
		w.pop()
	}
}

// fullURL checks the full URL of an entry: absolute, and ending with the
// resource's type and id if it is a RESTful one (bundle.html#bundle-unique).
func (w *walk) fullURL(e fhir.Value, kind string, urls map[string]bool) {
	full := e.Get("fullUrl").Text()
	r := e.Get("resource")
	if full == "" {
		if r.Kind() == fhir.Object && (kind == "document" || kind == "message") {
			w.fail("required", "full-url", "an entry of a document or message needs a fullUrl")
		}
		return
	}
	if !absolute(full) {
		w.fail("invalid", "full-url-absolute", "fullUrl must be an absolute URL")
		return
	}
	version := r.Path("meta", "versionId").Text()
	if key := full + "\x00" + version; kind != "history" && urls[key] {
		w.fail("invalid", "full-url-twice", "two entries have this fullUrl")
	} else {
		urls[key] = true
	}
	ref, ok := fhir.ParseRef(full)
	id := r.Get("id").Text()
	if !ok || ref.URN != "" || ref.ID == "" || r.Kind() != fhir.Object || id == "" {
		return
	}
	if ref.Type != r.Get("resourceType").Text() || ref.ID != id {
		w.fail("invalid", "full-url-id", "fullUrl looks like a RESTful URL, and does not end with the resource's type and id")
	}
}

// searchedType is the type that the self link of a search result asks for, ""
// if it does not tell.
func searchedType(v fhir.Value) string {
	for l := range v.Get("link").Each() {
		if !l.Get("relation").Is("self") {
			continue
		}
		address, query, _ := strings.Cut(l.Get("url").Text(), "?")
		if strings.Contains("&"+query, "&_type=") {
			return ""
		}
		if name := address[strings.LastIndexByte(address, '/')+1:]; fhir.IsType(name) {
			return name
		}
	}
	return ""
}

func (w *walk) searchEntry(e fhir.Value, searched string) {
	r, mode := e.Get("resource"), e.Path("search", "mode").Text()
	if r.Kind() != fhir.Object {
		return
	}
	name := r.Get("resourceType").Text()
	w.push("resource", -1)
	defer w.pop()
	if mode == "outcome" {
		if name != "OperationOutcome" {
			w.fail("invalid", "search-outcome", "an entry of mode outcome must be an OperationOutcome")
		}
		return
	}
	if r.Get("id").Text() == "" && name != "OperationOutcome" {
		w.fail("invalid", "search-id", "what a search found must have an id")
	}
	if mode == "match" && searched != "" && name != searched {
		w.fail("invalid", "search-type", "this match is not of the type that was searched")
	}
}

// closure checks that what the first entry of a document or message refers to
// is in it (bundle.html#references).
func (w *walk) closure(v fhir.Value, kind string) {
	known := map[string]int{}
	var first, firstURL fhir.Value
	n := 0
	for e := range v.Get("entry").Each() {
		if n == 0 {
			first, firstURL = e.Get("resource"), e.Get("fullUrl")
		}
		n++
		full := e.Get("fullUrl").Text()
		known[full]++
		if version := e.Path("resource", "meta", "versionId").Text(); version != "" {
			known[full+"/_history/"+version]++
		}
	}
	base := ""
	if ref, ok := fhir.ParseRef(firstURL.Text()); ok {
		base = ref.Base
	}
	w.push("entry", 0)
	w.push("resource", -1)
	defer func() { w.pop(); w.pop() }()
	for _, part := range closureParts(kind) {
		w.follow(first, part, base, known, 0)
	}
}

// closureParts are the elements of the first entry whose targets must be in
// the Bundle.
func closureParts(kind string) [][]string {
	if kind == "message" {
		return [][]string{{"focus"}}
	}
	return [][]string{{"subject"}, {"encounter"}, {"author"}, {"attester", "party"}, {"custodian"}, {"event", "detail"}, {"section", "author"}, {"section", "focus"}, {"section", "entry"}}
}

// follow goes down a path and checks the references at its end. Sections nest.
func (w *walk) follow(v fhir.Value, part []string, base string, known map[string]int, depth int) {
	if len(part) == 0 {
		w.inBundle(v, base, known)
		return
	}
	list, i := v.Get(part[0]), -1
	for x := range list.Each() {
		if list.Kind() == fhir.Array {
			i++
		}
		w.push(part[0], i)
		w.follow(x, part[1:], base, known, depth)
		if part[0] == "section" && depth < fhir.DepthMax && x.Get("section").Kind() != fhir.Absent {
			w.follow(x, part, base, known, depth+1)
		}
		w.pop()
	}
}

func (w *walk) inBundle(reference fhir.Value, base string, known map[string]int) {
	text := reference.Get("reference").Text()
	ref, ok := fhir.ParseRef(text)
	switch {
	case !ok || ref.Fragment != "" || text == "":
		return
	case ref.URN == "" && ref.Base == "" && base == "":
		w.fail("invalid", "closure", "the reference is relative, and no entry's fullUrl gives it a base")
		return
	case ref.URN == "" && ref.Base == "":
		text = base + "/" + text
	}
	switch known[text] {
	case 0:
		w.fail("invalid", "closure", "what this refers to is not in the Bundle")
	case 1:
	default:
		w.fail("invalid", "closure-several", "what this refers to is in the Bundle more than once")
	}
}
