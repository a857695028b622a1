package hl7

import (
	"encoding/base64"
	"strings"
)

// document maps MDM: TXA and its OBX as a DocumentReference
// (segment-txa-to-documentreference).
func (x *mapping) document() error {
	status := "current"
	switch x.h.Event {
	case "T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10":
	case "T11":
		status = "entered-in-error"
	default:
		return refuse(ReasonUnsupported, "MSH-9")
	}
	if err := x.subject(); err != nil {
		return err
	}
	txa := x.m.First("TXA")
	id := x.entity(txa.Field(12), "documents")
	if id.Value == "" {
		return refuse(ReasonIncomplete, "TXA-12")
	}
	x.declare(txa.Field(18))
	contents := x.contents()
	if len(contents) == 0 {
		contents = list{object{{"attachment", object{{"title", "content not sent"}}}}}
	}
	o := object{{"masterIdentifier", identifier(id)}, {"identifier", list{identifier(id)}}, {"status", status}}
	o.put("docStatus", documentStatus(txa.Field(17).Text()))
	o.put("type", x.concept(txa.Field(2), systemDocument))
	o.put("subject", x.patient)
	o.put("date", x.documentDate(txa))
	var authors list
	for _, f := range txa.Field(9).Each() {
		authors.add(x.professional(f))
	}
	o.put("author", authors)
	if signed := txa.Field(10).Each(); len(signed) > 0 {
		o.put("authenticator", x.professional(signed[0]))
	}
	o.put("description", txa.Field(25).Text())
	o.put("content", contents)
	context := object{}
	if at := x.encounter(); at != nil {
		context.put("encounter", list{at})
	}
	if when := dateTime(txa.Field(4).Text(), x.o.Zone); when != "" {
		context.put("period", object{{"start", when}})
	}
	o.put("context", context)
	x.add("DocumentReference", query(id), true, o)
	return nil
}

// documentDate is when the reference was made: transcription, else
// origination.
func (x *mapping) documentDate(txa Segment) string {
	for _, n := range []int{7, 6, 4} {
		if at := instant(txa.Field(n).Text(), x.o.Zone); at != "" {
			return at
		}
	}
	return ""
}

// contents are the OBX: lines of text together, encapsulated documents each.
func (x *mapping) contents() (all list) {
	var lines []string
	for _, s := range x.m.segments {
		if s.Name != "OBX" {
			continue
		}
		if s.Field(2).Text() == "ED" {
			if a := encapsulated(s.Field(5)); a != nil {
				all.add(object{{"attachment", a}})
			}
			continue
		}
		for _, f := range s.Field(5).Each() {
			lines = append(lines, f.Whole())
		}
	}
	if len(lines) == 0 {
		return all
	}
	text := base64.StdEncoding.EncodeToString([]byte(strings.Join(lines, "\n")))
	return append(list{object{{"attachment", object{{"contentType", "text/plain; charset=utf-8"}, {"data", text}}}}}, all...)
}
