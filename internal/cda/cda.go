// Package cda reads the header of a clinical document (HL7 CDA release 2, as
// C-CDA has it) and wraps documents as FHIR, byte for byte.
//
//	d, err := cda.Parse(xml)                          // bounded, no entities, no DTD
//	bundle := cda.Wrap(patientID, cda.ContentType, xml, d)
//	bundle = cda.Wrap(patientID, "application/pdf", pdf, nil)
//
// The package is pure. It does not read the body for facts: the document is
// kept whole and its header indexed. Codes anywhere in it decide under which
// sensitivity category it is sealed; what only the narrative tells is not seen.
package cda

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Every maximum of the package, its unit and why that number.
const (
	// DocumentBytesMax bounds a document: base64 of it fits one resource.
	DocumentBytesMax = 10 << 20
	// depthMax bounds nesting; C-CDA examples nest some thirty levels.
	depthMax = 100
	// elementsMax bounds elements, so that a document of nothing but tags
	// costs little. Long real ones have some fifty thousand.
	elementsMax = 500_000
	// codesMax bounds the different codes that are looked at; a document with
	// more is refused rather than half looked at.
	codesMax = 20_000
	// textMax bounds a title or a name, in bytes.
	textMax = 1024
)

// ContentType is that of a CDA document.
const ContentType = "application/hl7-cda+xml"

// namespace of all CDA elements.
const namespace = "urn:hl7-org:v3"

// ErrDocument says that a document is not taken; the text says why, by a fixed
// sentence.
var ErrDocument = errors.New("not a clinical document that is taken")

func refuse(why string) error { return fmt.Errorf("%w: %s", ErrDocument, why) }

// Document is what a header says.
type Document struct {
	ID           fhir.Code // of the document; zero if it has none
	Patients     []fhir.Code
	BirthDate    string // a FHIR date
	Code         fhir.Code
	CodeDisplay  string
	Title        string
	Date         string // a FHIR instant, "" if the header's has no minute or zone
	Confidential string // N, R or V
	Author       string
	Custodian    string

	codes []fhir.Code // everywhere in it
}

// Parse reads a document's header and all its codes. It refuses document type
// declarations, other character sets than UTF-8, and what is over a limit.
func Parse(document []byte) (*Document, error) {
	if len(document) > DocumentBytesMax {
		return nil, refuse("it is too large")
	}
	if !utf8.Valid(document) {
		return nil, refuse("it is not UTF-8")
	}
	r := &reader{d: xml.NewDecoder(bytes.NewReader(document)), out: new(Document), seen: make(map[fhir.Code]bool)}
	r.d.Strict, r.d.Entity = true, nil
	for {
		part, err := r.d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse("it is not well-formed XML")
		}
		if err := r.take(part); err != nil {
			return nil, err
		}
	}
	if r.elements == 0 || len(r.path) != 0 {
		return nil, refuse("it is not well-formed XML")
	}
	if r.targets != 1 {
		return nil, refuse("it is not about exactly one patient")
	}
	return r.out, nil
}

// reader walks the document once, holding the path of names to where it is.
// Prefixes are taken off: the root's namespace is checked.
type reader struct {
	d        *xml.Decoder
	out      *Document
	path     []string
	elements int
	targets  int
	seen     map[fhir.Code]bool
}

func (r *reader) take(part xml.Token) error {
	switch part := part.(type) {
	case xml.StartElement:
		if r.elements++; r.elements > elementsMax || len(r.path) >= depthMax {
			return refuse("it has too many elements, or nests too deeply")
		}
		if len(r.path) == 0 && (r.elements > 1 || !isRoot(part)) {
			return refuse("its root is no ClinicalDocument")
		}
		r.path = append(r.path, part.Name.Local)
		return r.start(part)
	case xml.EndElement:
		if len(r.path) == 0 || r.path[len(r.path)-1] != part.Name.Local {
			return refuse("it is not well-formed XML")
		}
		r.path = r.path[:len(r.path)-1]
	case xml.CharData:
		r.text(string(part))
	case xml.Directive:
		return refuse("it declares a document type")
	case xml.ProcInst:
		if part.Target == "xml" && !declaresUTF8(string(part.Inst)) {
			return refuse("it is not UTF-8")
		}
	}
	return nil
}

func isRoot(e xml.StartElement) bool {
	prefix := ""
	if e.Name.Space != "" {
		prefix = e.Name.Space
	}
	for _, a := range e.Attr {
		if prefix == "" && a.Name.Space == "" && a.Name.Local == "xmlns" || prefix != "" && a.Name.Space == "xmlns" && a.Name.Local == prefix {
			return e.Name.Local == "ClinicalDocument" && a.Value == namespace
		}
	}
	return false
}

func declaresUTF8(inst string) bool {
	_, encoding, ok := strings.Cut(strings.ToLower(inst), "encoding")
	return !ok || strings.Contains(encoding, "utf-8") || strings.Contains(encoding, "us-ascii")
}

// start takes an element's attributes in.
func (r *reader) start(e xml.StartElement) error {
	code := fhir.Code{System: systemOf(attribute(e, "codeSystem")), Value: attribute(e, "code")}
	if code.Value != "" && code.System != "" && !r.seen[code] {
		if len(r.out.codes) == codesMax {
			return refuse("it has too many codes")
		}
		r.seen[code] = true
		r.out.codes = append(r.out.codes, code)
	}
	switch strings.Join(r.path[1:], "/") {
	case "id":
		r.out.ID = identifier(e)
	case "code":
		r.out.Code, r.out.CodeDisplay = code, clip(attribute(e, "displayName"))
	case "effectiveTime":
		r.out.Date = instant(attribute(e, "value"))
	case "confidentialityCode":
		r.out.Confidential = attribute(e, "code")
	case "recordTarget":
		r.targets++
	case "recordTarget/patientRole/id":
		if id := identifier(e); id.Value != "" && len(r.out.Patients) < 64 {
			r.out.Patients = append(r.out.Patients, id)
		}
	case "recordTarget/patientRole/patient/birthTime":
		r.out.BirthDate = date(attribute(e, "value"))
	}
	return nil
}

// text takes in what stands between tags where it is a name or the title.
func (r *reader) text(s string) {
	if len(r.path) == 0 {
		return
	}
	var into *string
	switch at := strings.Join(r.path[1:], "/"); {
	case at == "title":
		into = &r.out.Title
	case strings.HasPrefix(at, "author/assignedAuthor/assignedPerson/name"):
		into = &r.out.Author
	case at == "custodian/assignedCustodian/representedCustodianOrganization/name":
		into = &r.out.Custodian
	default:
		return
	}
	if s = strings.Join(strings.Fields(s), " "); s != "" {
		*into = clip(strings.TrimSpace(*into + " " + s))
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

func clip(s string) string {
	for len(s) > textMax {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// identifier is an II: a root with an extension, or a root alone.
func identifier(e xml.StartElement) fhir.Code {
	root, extension := attribute(e, "root"), attribute(e, "extension")
	switch {
	case root == "":
		return fhir.Code{}
	case extension == "":
		return fhir.Code{System: "urn:ietf:rfc:3986", Value: urn(root)}
	}
	return fhir.Code{System: urn(root), Value: extension}
}

func urn(root string) string {
	if strings.Contains(root, "-") {
		return "urn:uuid:" + strings.ToLower(root)
	}
	return "urn:oid:" + root
}

// systemOf is the FHIR URI of a code system's OID
// (terminology.hl7.org, known external code systems).
func systemOf(oid string) string {
	switch oid {
	case "":
		return ""
	case "2.16.840.1.113883.6.1":
		return "http://loinc.org"
	case "2.16.840.1.113883.6.96":
		return "http://snomed.info/sct"
	case "2.16.840.1.113883.6.90":
		return "http://hl7.org/fhir/sid/icd-10-cm"
	case "2.16.840.1.113883.6.3":
		return "http://hl7.org/fhir/sid/icd-10"
	case "2.16.840.1.113883.6.103", "2.16.840.1.113883.6.42":
		return "http://hl7.org/fhir/sid/icd-9-cm"
	case "2.16.840.1.113883.6.88":
		return "http://www.nlm.nih.gov/research/umls/rxnorm"
	case "2.16.840.1.113883.12.292", "2.16.840.1.113883.6.59":
		return "http://hl7.org/fhir/sid/cvx"
	case "2.16.840.1.113883.6.69":
		return "http://hl7.org/fhir/sid/ndc"
	case "2.16.840.1.113883.6.12":
		return "http://www.ama-assn.org/go/cpt"
	}
	return "urn:oid:" + oid
}

// date is the day of a TS.
func date(ts string) string {
	for _, form := range [][2]string{{"20060102", "2006-01-02"}, {"200601", "2006-01"}, {"2006", "2006"}} {
		if len(ts) >= len(form[0]) {
			if t, err := time.Parse(form[0], ts[:len(form[0])]); err == nil {
				return t.Format(form[1])
			}
		}
	}
	return ""
}

// instant is a TS that has a minute and a zone.
func instant(ts string) string {
	for _, form := range []string{"20060102150405-0700", "200601021504-0700", "20060102150405.000-0700"} {
		if t, err := time.Parse(form, ts); err == nil {
			return t.Format(time.RFC3339)
		}
	}
	return ""
}

// Category is the strictest that the document's codes and confidentiality call
// for.
func (d *Document) Category() fhir.Category {
	strictest := fhir.General
	for part := range slices.Chunk(d.codes, 1000) {
		text := []byte(`{"resourceType":"Basic","code":{"coding":[`)
		for i, c := range part {
			if i > 0 {
				text = append(text, ',')
			}
			text = fmt.Appendf(text, `{"system":%s,"code":%s}`, quote(c.System), quote(c.Value))
		}
		r, err := fhir.ParseResource(append(text, "]}}"...))
		if err != nil {
			return fhir.PsychotherapyNotes // what cannot be told is held most closely
		}
		strictest = fhir.Stricter(strictest, fhir.CategoryOf(r))
	}
	return strictest
}
