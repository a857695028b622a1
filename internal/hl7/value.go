package hl7

import (
	"encoding/base64"
	"strings"
)

// value puts OBX-5 in by the type that OBX-2 names. What does not hold as its
// type stays as text. Of several repetitions of anything but text, those
// behind the first become components of the same code.
func (x *mapping) value(o *object, obx Segment, code object) {
	kind, all := obx.Field(2).Text(), obx.Field(5).Each()
	if len(all) == 0 {
		return
	}
	if kind == "TX" || kind == "ST" || kind == "FT" || kind == "" {
		var lines []string
		for _, f := range all {
			lines = append(lines, f.Whole())
		}
		o.put("valueString", strings.Join(lines, "\n"))
		return
	}
	name, value := x.typed(kind, all[0], obx.Field(6))
	o.put(name, value)
	var components list
	for _, f := range all[1:] {
		if name, value := x.typed(kind, f, obx.Field(6)); !empty(value) {
			components.add(object{{"code", code}, {name, value}})
		}
	}
	o.put("component", components)
}

// typed is one value as a choice of Observation.value.
func (x *mapping) typed(kind string, f, unit Field) (name string, value any) {
	switch kind {
	case "NM":
		if q := x.quantity(literal(strings.TrimSpace(f.Text())), unit); q != nil {
			return "valueQuantity", q
		}
	case "SN":
		if name, value := x.structured(f, unit); name != "" {
			return name, value
		}
	case "CE", "CWE", "CNE", "CF":
		if c := x.concept(f, ""); c != nil {
			return "valueCodeableConcept", c
		}
	case "ID", "IS":
		return "valueCodeableConcept", object{{"text", f.Text()}}
	case "DT", "TS", "DTM":
		if when := dateTime(f.Text(), x.o.Zone); when != "" {
			return "valueDateTime", when
		}
	case "TM":
		if at := clockTime(f.Text()); at != "" {
			return "valueTime", at
		}
	case "CQ":
		if q := x.quantity(literal(f.Part(1).Text()), f.Part(2)); q != nil {
			return "valueQuantity", q
		}
	}
	return "valueString", f.Whole()
}

// structured is an SN: a comparison, a range, a ratio or a number (HL7 v2.5.1,
// section 2.A.71).
func (x *mapping) structured(f, unit Field) (name string, value any) {
	comparator, first, between, second := f.Part(1).Text(), literal(f.Part(2).Text()), f.Part(3).Text(), literal(f.Part(4).Text())
	switch {
	case first == "":
		return "", nil
	case second == "" && between == "":
		q := x.quantity(first, unit)
		switch comparator {
		case "", "=":
			return "valueQuantity", q
		case "<", "<=", ">", ">=":
			return "valueQuantity", append(object{q[0], {"comparator", comparator}}, q[1:]...)
		}
	case between == "-" && second != "" && comparator == "":
		return "valueRange", object{{"low", x.quantity(first, unit)}, {"high", x.quantity(second, unit)}}
	case (between == ":" || between == "/") && second != "" && comparator == "":
		return "valueRatio", object{{"numerator", object{{"value", first}}}, {"denominator", object{{"value", second}}}}
	}
	return "", nil
}

// encapsulated is an ED as an Attachment; nil if what it holds is not what it
// says (HL7 v2.5.1, section 2.A.24).
func encapsulated(f Field) (o object) {
	f = f.First()
	text := f.Part(5).whole()
	if text == "" {
		return nil
	}
	o.put("contentType", mediaType(f.Part(2).Text(), f.Part(3).Text()))
	switch strings.ToUpper(f.Part(4).Text()) {
	case "BASE64":
		text = strings.Join(strings.Fields(strings.NewReplacer(`\.br\`, "", `\X0D\`, "", `\X0A\`, "").Replace(text)), "")
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return nil
		}
		o.put("data", text)
	case "A", "":
		o.put("data", base64.StdEncoding.EncodeToString([]byte(unescape(text, f.m))))
	default: // Hex
		return nil
	}
	return o
}

// whole is a component with its sub-components, as written.
func (f Field) whole() string {
	if f.Empty() {
		return ""
	}
	return f.text
}

// mediaType is type and subtype of an ED (HL7 tables 0191, 0291).
func mediaType(kind, sub string) string {
	if strings.Contains(kind, "/") {
		return kind
	}
	sub = strings.ToLower(strings.TrimPrefix(sub, "x-hl7-"))
	switch strings.ToLower(sub) {
	case "pdf":
		return "application/pdf"
	case "jpeg", "jpg":
		return "image/jpeg"
	case "png", "gif", "tiff":
		return "image/" + sub
	case "html", "xml", "plain", "rtf":
		return "text/" + sub
	case "cda-level-one", "cda":
		return "application/hl7-cda+xml"
	case "text", "":
		return "text/plain"
	}
	return "application/octet-stream"
}
