package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// call is one request as a handler sees it. The variable parts of the path
// and the headers have been checked; the body is whole.
type call struct {
	place
	method                            string
	query                             string
	media                             string // Content-Type
	body                              []byte
	person                            *person        // nil on open routes
	access                            [32]byte       // the name of the access value it came with
	patient                           abaton.ActorID // of the header Abaton-Patient, zero without one
	imports                           bool           // the header Abaton-Import: ids follow the source (RULINGS 26)
	ifMatch, ifNoneMatch, ifNoneExist string
	ifModifiedSince                   string
	returns                           string // minimal, OperationOutcome or representation, which is also the default
	preferred                         bool   // the caller asked for what returns says
	strict                            bool
	async                             bool           // Prefer: respond-async
	html                              bool           // the caller would rather have a page for people
	path                              string         // as it came, without the query
	purpose                           abaton.Purpose // of the header Abaton-Purpose, empty without one
	base                              string
	r                                 *http.Request // for routes that read headers of their own
	native                            *native       // on routes that look at the request themselves
}

// Headers of this gateway.
const (
	headerPatient = "Abaton-Patient"
	headerPurpose = "Abaton-Purpose"
	headerImport  = "Abaton-Import"
)

// callOf reads the headers that all routes share.
func callOf(r *http.Request, way *route, at place) (*call, error) {
	c := &call{place: at, method: r.Method, path: r.URL.EscapedPath(), query: r.URL.RawQuery, media: r.Header.Get("Content-Type"), returns: "representation", base: "http://" + r.Host, r: r,
		ifMatch: r.Header.Get("If-Match"), ifNoneMatch: r.Header.Get("If-None-Match"), ifNoneExist: r.Header.Get("If-None-Exist"),
		ifModifiedSince: r.Header.Get("If-Modified-Since")}
	if r.TLS != nil {
		c.base = "https://" + r.Host
	}
	for _, prefer := range strings.Split(strings.Join(r.Header.Values("Prefer"), ","), ",") {
		c.prefer(strings.ReplaceAll(strings.TrimSpace(prefer), " ", ""))
	}
	if text := r.Header.Get(headerPatient); text != "" {
		id, err := abaton.ParseActorID(text)
		if err != nil {
			return nil, refusal(http.StatusBadRequest, "value", "the header Abaton-Patient must name one actor, act1...; correct it")
		}
		c.patient = id
	}
	if text := r.Header.Get(headerPurpose); text != "" {
		if c.purpose = abaton.Purpose(text); !c.purpose.Valid() {
			return nil, refusal(http.StatusBadRequest, "value", "the header Abaton-Purpose is none of the purposes known here; use TREAT, PATRQT, HOPERAT or another of PurposeOfUse")
		}
	}
	switch r.Header.Get(headerImport) {
	case "", "false":
	case "true":
		c.imports = true
	default:
		return nil, refusal(http.StatusBadRequest, "value", "the header Abaton-Import is true or false; correct it")
	}
	if way.native {
		return c, nil
	}
	return c, c.accept(r)
}

// prefer reads one preference; unknown ones are passed over (RFC 7240).
func (c *call) prefer(text string) {
	name, value, _ := strings.Cut(text, "=")
	switch strings.ToLower(name) {
	case "return":
		if value == "minimal" || value == "OperationOutcome" || value == "representation" {
			c.returns, c.preferred = value, true
		}
	case "respond-async":
		c.async = true
	case "handling":
		c.strict = value == "strict"
	}
}

// accept refuses a caller who wants anything but JSON, and takes _format out
// of the query.
func (c *call) accept(r *http.Request) error {
	kept := make([]string, 0, 4)
	format := ""
	for part := range strings.SplitSeq(c.query, "&") {
		if name, value, _ := strings.Cut(part, "="); name == "_format" {
			format, _ = url.QueryUnescape(value)
			continue
		}
		kept = append(kept, part)
	}
	c.query = strings.Join(kept, "&")
	if format != "" {
		if !jsonMedia(strings.ReplaceAll(format, " ", "+")) {
			return notAcceptable()
		}
		return nil
	}
	accepts := strings.Join(r.Header.Values("Accept"), ",")
	if accepts == "" {
		return nil
	}
	for part := range strings.SplitSeq(accepts, ",") {
		media, params, _ := strings.Cut(part, ";")
		c.html = c.html || strings.TrimSpace(media) == "text/html"
		if strings.ReplaceAll(strings.TrimSpace(params), " ", "") != "q=0" && jsonMedia(strings.TrimSpace(media)) {
			return nil
		}
	}
	if c.html && c.path == "/status" {
		return nil
	}
	return notAcceptable()
}

func notAcceptable() error {
	return refusal(http.StatusNotAcceptable, "not-supported", "only JSON is spoken here; ask for application/fhir+json")
}

func jsonMedia(media string) bool {
	switch strings.ToLower(media) {
	case "*/*", "application/*", contentNDJSON, "application/ndjson", "application/fhir+json", "application/json", "json", "text/json", "application/json+fhir":
		return true
	}
	return false
}

// settle takes the body as it is. An import brings what other systems printed:
// the white space between JSON values says nothing, takes a fifth more at the
// keepers, and would give the same entry printed otherwise another id.
func (c *call) settle(body []byte) {
	c.body = body
	if !c.imports || len(body) == 0 {
		return
	}
	var small bytes.Buffer
	if json.Compact(&small, body) == nil { // else the parser says what is wrong
		c.body = small.Bytes()
	}
}

// readBody takes the body in, counted while it streams.
func readBody(w http.ResponseWriter, r *http.Request, way *route) ([]byte, error) {
	if way.body == streamBody {
		return nil, nil
	}
	if way.body == noBody {
		if r.ContentLength > 0 || r.ContentLength < 0 && hasBytes(r.Body) {
			return nil, refusal(http.StatusBadRequest, "invalid", "this request takes no body; send it without one")
		}
		return nil, nil
	}
	if way.body == anyBody && r.ContentLength == 0 {
		return nil, nil
	}
	if err := way.checkContent(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > way.bodyMax {
		return nil, tooLarge()
	}
	limited := http.MaxBytesReader(w, r.Body, way.bodyMax)
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "incomplete", "the body ended early; send it again")
	}
	return body, nil
}

func hasBytes(r io.Reader) bool {
	n, _ := io.ReadFull(r, make([]byte, 1))
	return n > 0
}

func tooLarge() error {
	return refusal(http.StatusRequestEntityTooLarge, "too-long", "the body is over the limit; send a Bundle in parts, a resource smaller")
}

// checkContent wants exactly the content type of the route, in UTF-8, not
// compressed.
func (way *route) checkContent(h http.Header) error {
	if h.Get("Content-Encoding") != "" {
		return refusal(http.StatusUnsupportedMediaType, "not-supported", "compressed bodies are not taken; send it plain")
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	ok := err == nil && (charset == "" || charset == "utf-8")
	switch way.body {
	case resourceBody, bundleBody, anyBody:
		if !ok || media != "application/fhir+json" && media != "application/json" {
			return refusal(http.StatusUnsupportedMediaType, "not-supported", "the body must be application/fhir+json; set Content-Type")
		}
	case linesBody:
		if !ok || media != contentNDJSON && media != "application/ndjson" && media != "application/fhir+json" {
			return refusal(http.StatusUnsupportedMediaType, "not-supported", "a part must be application/fhir+ndjson, or a Bundle as application/fhir+json; set Content-Type")
		}
	case patchBody:
		if !ok || media != "application/json-patch+json" {
			return refusal(http.StatusUnsupportedMediaType, "not-supported", "a patch must be application/json-patch+json (RFC 6902); set Content-Type")
		}
	case formBody:
		if !ok || media != "application/x-www-form-urlencoded" {
			return refusal(http.StatusUnsupportedMediaType, "not-supported", "the body must be application/x-www-form-urlencoded; set Content-Type")
		}
	case documentBody:
		if err != nil || !documentMedia(media, charset) {
			return noDocument()
		}
	default:
		if !ok || media != "application/json" {
			return refusal(http.StatusUnsupportedMediaType, "not-supported", "the body must be application/json; set Content-Type")
		}
	}
	return nil
}

// etagOf reads W/"version" or "version"; FHIR's tags are weak.
func etagOf(text string) (version string, ok bool) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "W/")
	if len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false
	}
	version = text[1 : len(text)-1]
	return version, fhir.IsID(version)
}

// etagsOf reads a list of tags, as a caller names all heads of a fork.
func etagsOf(text string) (versions []string, err error) {
	for part := range strings.SplitSeq(text, ",") {
		v, ok := etagOf(part)
		if !ok {
			return nil, refusal(http.StatusBadRequest, "value", `If-Match must be W/"versionId"; take it from the ETag of a read`)
		}
		versions = append(versions, v)
	}
	return versions, nil
}
