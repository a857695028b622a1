package fhir

import (
	"bytes"
	"fmt"
	"iter"
)

// A Bundle is a Bundle read for its entries. Entry resources are views of the
// one parsed document, their bytes the client's own.
type Bundle struct {
	Resource
	Kind    string // Bundle.type: transaction, batch, collection, searchset, history, document, message, ...
	Entries []Entry
}

// An Entry is one entry of a Bundle.
type Entry struct {
	Index       int    // from 0
	FullURL     string // as written, "" if none
	Method      string // of request, "" if none
	URL         string
	IfNoneExist string
	IfMatch     string
	IfNoneMatch string
	Resource    Resource // the zero Resource if none; Resource.Raw() is exact
}

// expression is the FHIRPath to the entry.
func (e *Entry) expression() string { return fmt.Sprintf("Bundle.entry[%d]", e.Index) }

// ParseBundle reads a Bundle of at most DocumentBytesMax bytes and EntriesMax
// entries. Every entry's resource passes the checks of ParseResource; whether
// the requests make sense is for Resolve. Errors are *SyntaxError and
// *OutcomeError.
func ParseBundle(src []byte) (*Bundle, error) {
	d, err := Parse(src)
	if err != nil {
		return nil, err
	}
	r, err := resourceOf(d.Root())
	if err != nil {
		return nil, err
	}
	if r.Type != "Bundle" {
		return nil, refuse(statusBadRequest, "invalid", "", "a Bundle is needed here; post other resources to their own type")
	}
	b := &Bundle{Resource: r, Kind: r.Get("type").Text()}
	if b.Kind == "" {
		return nil, refuse(statusBadRequest, "required", "Bundle.type", "Bundle.type is missing; say transaction or batch")
	}
	list := r.Get("entry")
	if k := list.Kind(); k != Absent && k != Array {
		return nil, refuse(statusBadRequest, "structure", "Bundle.entry", "Bundle.entry must be an array; correct it")
	}
	if list.Len() > EntriesMax {
		return nil, refuse(statusTooLarge, "too-costly", "Bundle.entry", "the Bundle has too many entries; send it in parts")
	}
	for v := range list.Children() {
		if err := b.add(v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Bundle) add(v Value) error {
	request := v.Get("request")
	e := Entry{
		Index:       len(b.Entries),
		FullURL:     v.Get("fullUrl").Text(),
		Method:      request.Get("method").Text(),
		URL:         request.Get("url").Text(),
		IfNoneExist: request.Get("ifNoneExist").Text(),
		IfMatch:     request.Get("ifMatch").Text(),
		IfNoneMatch: request.Get("ifNoneMatch").Text(),
	}
	if v.Kind() != Object {
		return refuse(statusBadRequest, "structure", e.expression(), "an entry must be an object; correct it")
	}
	if resource := v.Get("resource"); resource.Kind() != Absent {
		r, err := resourceOf(resource)
		if err == nil && len(r.Raw()) > ResourceBytesMax {
			err = refuse(statusTooLarge, "too-long", "", "the resource is too large; put large content into a Binary")
		}
		if err != nil {
			o := *AsOutcome(err)
			o.Expression = e.expression() + ".resource"
			return &o
		}
		e.Resource = r
	}
	b.Entries = append(b.Entries, e)
	return nil
}

// Lines yields the lines of NDJSON that are not blank, each with its number
// from 1, without the line end.
func Lines(src []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for n := 1; len(src) > 0; n++ {
			line, rest, _ := bytes.Cut(src, []byte{'\n'})
			src = rest
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(n, line) {
				return
			}
		}
	}
}
