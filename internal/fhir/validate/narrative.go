package validate

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// Elements and attributes that a narrative may use (narrative.html#rules).
var (
	htmlElements = strings.Fields("a abbr acronym address b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var map area bdo ins del s u center font")

	htmlAttributes = strings.Fields("title style class id lang dir accesskey tabindex span width align valign char charoff abbr axis headers scope rowspan colspan xmlns name href rel rev alt src border height usemap ismap longdesc cite start value type compact cellpadding cellspacing frame rules summary nowrap shape coords nohref clear size color face bgcolor datetime target charset hreflang")
)

// A narrativeFault is fixed text on why a narrative is refused.
const (
	notXML        = "the narrative is not well-formed XHTML"
	notDiv        = "the narrative must be one div in the XHTML namespace"
	badElement    = "the narrative uses an element that is not allowed"
	badAttribute  = "the narrative uses an attribute that is not allowed"
	badEntity     = "the narrative uses an entity that XHTML in FHIR does not have"
	emptyDiv      = "the narrative shows nothing"
	badInstruct   = "the narrative holds a processing instruction or a document type"
	xhtmlSpace    = "http://www.w3.org/1999/xhtml"
	htmlDepthMax  = 256
	entityPattern = "invalid character entity"
)

// narrative is why an XHTML text is refused, "" if it is not (txt-1, txt-2).
func narrative(s string) string {
	d := xml.NewDecoder(strings.NewReader(s))
	d.Strict = true
	d.Entity = map[string]string{"nbsp": "\u00a0"}
	shows, depth, roots := false, 0, 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if strings.Contains(err.Error(), entityPattern) {
				return badEntity
			}
			return notXML
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth > htmlDepthMax {
				return notXML
			}
			if depth == 1 {
				if roots++; roots > 1 || t.Name.Local != "div" {
					return notDiv
				}
			}
			if why := tag(&t, depth == 1); why != "" {
				return why
			}
			shows = shows || t.Name.Local == "img"
		case xml.EndElement:
			if depth--; depth < 0 {
				return notXML
			}
		case xml.CharData:
			blank := len(strings.TrimSpace(string(t))) == 0
			if depth == 0 && !blank {
				return notDiv
			}
			shows = shows || !blank
		case xml.ProcInst, xml.Directive:
			return badInstruct
		}
	}
	switch {
	case roots != 1 || depth != 0:
		return notDiv
	case !shows:
		return emptyDiv
	}
	return balanced(s)
}

// tag checks one start tag.
func tag(t *xml.StartElement, root bool) string {
	if t.Name.Space != "" || !slices.Contains(htmlElements, t.Name.Local) {
		return badElement
	}
	spaced := false
	for _, a := range t.Attr {
		switch {
		case a.Name.Local == "xmlns" && a.Name.Space == "":
			if a.Value != xhtmlSpace {
				return notDiv
			}
			spaced = true
		case a.Name.Space == "xml" && (a.Name.Local == "lang" || a.Name.Local == "space"), a.Name.Space == "xmlns":
		case a.Name.Space != "", !slices.Contains(htmlAttributes, a.Name.Local):
			return badAttribute
		case (a.Name.Local == "href" || a.Name.Local == "src") && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Value)), "javascript:"):
			return badAttribute
		}
	}
	if root && !spaced {
		return notDiv
	}
	return ""
}

// balanced reads the text once more with matching tags.
func balanced(s string) string {
	d := xml.NewDecoder(strings.NewReader(s))
	d.Entity = map[string]string{"nbsp": "\u00a0"}
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return ""
		} else if err != nil {
			return notXML
		}
	}
}
