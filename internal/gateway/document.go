package gateway

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/abaton-health/abaton/internal/cda"
	"github.com/abaton-health/abaton/internal/fhir"
)

// document answers POST /Patient/[id]/$document: a CDA, a PDF or a text, kept
// as it is in a Binary with a DocumentReference to it. The same document again
// adds nothing.
func (g *Gateway) document(ctx context.Context, c *call) (*answer, error) {
	media, _, err := mime.ParseMediaType(c.media)
	if err != nil {
		return nil, noDocument()
	}
	patient, err := g.patientByID(ctx, c.person, c.id)
	if err != nil {
		return nil, err
	}
	chart, err := g.chartOf(ctx, c.person, patient, c.purpose, false)
	if err != nil {
		return nil, err
	}
	v, _, err := chart.find("Patient", c.id)
	if err != nil {
		return nil, err
	}
	var d *cda.Document
	switch media {
	case cda.ContentType, "application/xml", "text/xml":
		if d, err = cda.Parse(c.body); err != nil {
			return nil, noCDA()
		}
		if born := birthDate(v.Body); born != "" && d.BirthDate != "" && born != d.BirthDate {
			return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "the document is about somebody born on another day; post it to that patient")
		}
		media = cda.ContentType
	case "application/pdf":
		if !bytes.HasPrefix(c.body, []byte("%PDF-")) {
			return nil, refusal(http.StatusUnprocessableEntity, "structure", "the body is no PDF; correct Content-Type or the body")
		}
	default:
		if !utf8.Valid(c.body) {
			return nil, refusal(http.StatusUnprocessableEntity, "structure", "the text is not UTF-8; convert it")
		}
		media = "text/plain; charset=utf-8"
	}
	wrapped := *c
	wrapped.imports, wrapped.body, wrapped.kind, wrapped.id = true, cda.Wrap(c.id, media, c.body, d), "", ""
	return g.bundle(ctx, &wrapped)
}

// birthDate is a Patient's.
func birthDate(body []byte) string {
	r, err := fhir.ParseResource(body)
	if err != nil {
		return ""
	}
	return r.Get("birthDate").Text()
}

// noCDA is the one answer to what cda.Parse refuses: its own words name the
// place, and an error from inside a document is nothing to repeat.
func noCDA() error {
	return refusal(http.StatusUnprocessableEntity, "structure", "the body is no CDA document that can be read; send one in UTF-8 without a document type, or another kind of document")
}

// documentMedia reports whether a Content-Type is one that $document takes.
// Archives are not: what is in them is not what was bounded.
func documentMedia(media, charset string) bool {
	switch media {
	case cda.ContentType, "application/xml", "text/xml", "text/plain":
		return charset == "" || strings.EqualFold(charset, "utf-8")
	case "application/pdf":
		return true
	}
	return false
}

func noDocument() error {
	return refusal(http.StatusUnsupportedMediaType, "not-supported", "the body must be application/hl7-cda+xml, application/xml, application/pdf or text/plain in UTF-8; archives are not taken")
}
