package validate

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/path"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// primitive checks a value of a primitive type and its companion.
func (w *walk) primitive(v, extra fhir.Value, m structure.Member, h *home) {
	has := v.Kind() != fhir.Absent && v.Kind() != fhir.Null
	more := extra.Kind() != fhir.Absent && extra.Kind() != fhir.Null
	switch {
	case !has && !more:
		w.fail("structure", "null", "null stands for nothing here; leave the element out")
		return
	case more && extra.Kind() != fhir.Object:
		w.fail("structure", "object", "the companion of a primitive must be an object")
		return
	}
	if more {
		w.object(extra, m.Type, m.Element, h)
	}
	if has {
		w.value(v, m, h)
	} else if b := m.Element.Binding; b != nil && b.Strength == "required" && m.Type.Is("code") && !standsFor(extra) {
		w.fail("code-invalid", "binding-no-code", "no code is given, and one of the required value set "+b.ValueSet+" is needed")
	}
	w.rules(path.Element(m.Type, v, extra), m.Type, m.Element, h)
}

// standsFor reports whether a companion carries the value of another release.
func standsFor(extra fhir.Value) bool {
	for x := range extra.Get("extension").Each() {
		if crossVersion(x.Get("url").Text()) {
			return true
		}
	}
	return false
}

// value checks the format of a primitive.
func (w *walk) value(v fhir.Value, m structure.Member, h *home) {
	switch message, text := format(v, m.Type.Name); message {
	case "":
	case blankString, controlString: // R4 only advises against them
		w.report(Warning, "value", message, text)
	default:
		w.fail("value", message, text)
		return
	}
	if v.Kind() == fhir.String && w.v.config.NoHTML && m.Type.Name != "xhtml" && looksLikeHTML(v.Text()) {
		w.fail("invalid", "html-in-string", "the string holds what looks like HTML")
	}
	if m.Element.Binding != nil && m.Type.Is("code") || m.Element.Binding != nil && m.Type.Name == "uri" {
		w.boundCode(v.Text(), m.Element.Binding)
	}
	switch m.Type.Name {
	case "canonical":
		w.canonical(v.Text(), h)
		fallthrough // it is a URI, too
	case "uri", "url":
		h.link(v.Text())
		if w.v.config.NoExamples && exampleURL(v.Text()) {
			w.fail("invalid", "example-url", "URLs for examples are not allowed here")
		}
	}
}

// markup is what a browser could take for a tag.
var markup = regexp.MustCompile(`<[/!]?[A-Za-z][^<>]*>?`)

func looksLikeHTML(s string) bool { return strings.IndexByte(s, '<') >= 0 && markup.MatchString(s) }

const (
	blankString   = "string-blank"
	controlString = "string-control"

	wrongKind   = "the value is of another JSON kind than its type"
	wrongFormat = "the value is not written as its type wants it"
)

// format is which check a value fails and a text for it, "" if none.
func format(v fhir.Value, name string) (message, text string) {
	switch name {
	case "boolean":
		if v.Kind() != fhir.Boolean {
			return "json-kind", wrongKind
		}
		return "", ""
	case "integer", "positiveInt", "unsignedInt", "decimal":
		return number(v, name)
	}
	if v.Kind() != fhir.String {
		return "json-kind", wrongKind
	}
	s := v.Text()
	if s == "" {
		return "empty-string", "a string must not be empty; leave the element out"
	}
	if len(s) > stringBytesMax && name != "base64Binary" && name != "xhtml" {
		return "string-length", "the string is longer than 1 MB"
	}
	return written(s, name)
}

func number(v fhir.Value, name string) (message, text string) {
	if v.Kind() != fhir.Number {
		return "json-kind", wrongKind
	}
	if name == "decimal" {
		return "", ""
	}
	n, err := strconv.ParseInt(string(v.Raw()), 10, 32)
	if err != nil || name == "positiveInt" && n < 1 || name == "unsignedInt" && n < 0 {
		return "number", wrongFormat
	}
	return "", ""
}

// written checks the text of a primitive by its type (datatypes.html).
func written(s, name string) (message, text string) {
	ok := true
	switch name {
	case "string", "markdown":
		return stringText(s)
	case "code":
		ok = strings.TrimSpace(s) == s && !strings.Contains(s, "  ") && !strings.ContainsAny(s, "\t\r\n")
	case "id":
		ok = fhir.IsID(s)
	case "uri", "url", "canonical":
		return uriText(s)
	case "oid":
		ok = oidPattern.MatchString(s)
	case "uuid":
		ok = uuidPattern.MatchString(s)
	case "date":
		ok = path.IsDate(s)
	case "dateTime":
		return dateTimeText(s)
	case "instant":
		ok = path.IsInstant(s)
	case "time":
		ok = path.IsTime(s)
	case "base64Binary":
		ok = isBase64(s)
	case "xhtml":
		if why := narrative(s); why != "" {
			return "xhtml", why
		}
	}
	if !ok {
		return name + "-format", wrongFormat
	}
	return "", ""
}

func stringText(s string) (message, text string) {
	if strings.TrimSpace(s) == "" {
		return blankString, "a string should hold more than blanks"
	}
	for i := range len(s) {
		if b := s[i]; b < 0x20 && b != '\t' && b != '\n' && b != '\r' {
			return controlString, "the string should hold no control character"
		}
	}
	return "", ""
}

func uriText(s string) (message, text string) {
	if strings.ContainsAny(s, " \t\r\n") {
		return "uri-blank", "a URI holds no blanks"
	}
	if rest, ok := strings.CutPrefix(s, "urn:oid:"); ok && !oidPattern.MatchString("urn:oid:"+rest) {
		return "oid-format", "a URI of the scheme urn:oid holds no OID"
	}
	if rest, ok := strings.CutPrefix(s, "urn:uuid:"); ok {
		rest, _, _ = strings.Cut(rest, "#")
		if rest, _, _ = strings.Cut(rest, "|"); !uuidPattern.MatchString("urn:uuid:" + rest) {
			return "uuid-format", "a URI of the scheme urn:uuid holds no lowercase UUID"
		}
	}
	return "", ""
}

func dateTimeText(s string) (message, text string) {
	if path.IsDateTime(s) {
		return "", ""
	}
	if path.IsDateTime(s+"Z") && strings.Contains(s, "T") {
		return "dateTime-zone", "a dateTime with a time needs a time zone"
	}
	return "dateTime-format", wrongFormat
}

var (
	oidPattern  = regexp.MustCompile(`^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$`)
	uuidPattern = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// isBase64 reports whether s is base64, blanks between allowed.
func isBase64(s string) bool {
	if strings.ContainsAny(s, " \t\r\n") {
		s = strings.Join(strings.Fields(s), "")
	}
	if len(s)%4 != 0 || s == "" {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

// decodedLen is how many bytes base64 stands for.
func decodedLen(s string) int {
	s = strings.Join(strings.Fields(s), "")
	return len(s)/4*3 - strings.Count(s, "=")
}
