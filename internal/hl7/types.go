package hl7

import (
	"net/url"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// authority is the FHIR system of an assigning authority (HD, or the parts of
// EI): its universal id where it has one, else what the settings say of its
// namespace; "" if that is nothing.
func (x *mapping) authority(namespace, universal, kind string) string {
	switch strings.ToUpper(kind) {
	case "ISO":
		if universal != "" {
			return "urn:oid:" + universal
		}
	case "UUID", "GUID":
		if universal != "" {
			return "urn:uuid:" + strings.ToLower(universal)
		}
	case "URI", "HCD":
		if u, err := url.Parse(universal); err == nil && u.Scheme != "" {
			return universal
		}
	}
	return x.o.Systems[namespace]
}

// own is a system for numbers of the sender that name no authority: they are
// unique there and nowhere else.
func (x *mapping) own(kind string) string {
	return "urn:x-hl7v2:" + url.PathEscape(x.h.Sender) + ":" + url.PathEscape(x.h.Facility) + ":" + kind
}

// identifierOf is a CX (HL7 v2.5.1, section 2.A.14).
func (x *mapping) identifierOf(f Field) (code fhir.Code, out object) {
	hd := f.Part(4)
	code = fhir.Code{System: x.authority(hd.Sub(1).Text(), hd.Sub(2).Text(), hd.Sub(3).Text()), Value: f.Part(1).Text()}
	if code.Value == "" {
		return code, nil
	}
	if kind := f.Part(5).Text(); kind != "" {
		out.put("type", object{{"coding", list{object{{"system", systemIdentifier}, {"code", kind}}}}})
	}
	out.put("system", code.System)
	out.put("value", code.Value)
	return code, out
}

// entity is an EI, or an EI that an older version wrote as text (HL7 v2.5.1,
// section 2.A.28).
func (x *mapping) entity(f Field, kind string) fhir.Code {
	value := f.Part(1).Text()
	if value == "" {
		return fhir.Code{}
	}
	system := x.authority(f.Part(2).Text(), f.Part(3).Text(), f.Part(4).Text())
	if system == "" {
		system = x.own(kind)
	}
	return fhir.Code{System: system, Value: value}
}

func identifier(c fhir.Code) (o object) {
	o.put("system", c.System)
	o.put("value", c.Value)
	return o
}

// query is the condition by which a resource is found again by its identifier.
func query(c fhir.Code) string {
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`, `,`, `\,`, `$`, `\$`)
	return "identifier=" + url.QueryEscape(escape.Replace(c.System)+"|"+escape.Replace(c.Value))
}

// concept is a CWE or CE: two codings and a text (HL7 v2.5.1, section 2.A.13).
// system is used where the field names none.
func (x *mapping) concept(f Field, system string) (o object) {
	var codings list
	for _, at := range []int{1, 4} {
		codings.add(x.coding(f.Part(at).Text(), f.Part(at+1).Text(), f.Part(at+2).Text(), system))
	}
	text := f.Part(9).Text()
	if text == "" && len(codings) == 0 {
		text = f.Part(2).Text()
	}
	o.put("coding", codings)
	o.put("text", text)
	return o
}

func (x *mapping) coding(code, display, name, system string) (o object) {
	if code == "" {
		return nil
	}
	if name != "" {
		if system = codeSystem(name); system == "" {
			system = x.own("codes:" + url.PathEscape(name))
		}
	}
	o.put("system", system)
	o.put("code", strings.TrimSpace(code))
	o.put("display", display)
	return o
}

// humanName is an XPN or, from offset 1, the name parts of an XCN.
func humanName(f Field, offset int, use string) (o object) {
	family := f.Part(1 + offset).Sub(1).Text()
	var given, prefix, suffix list
	for _, at := range []int{2, 3} {
		given.add(f.Part(at + offset).Text())
	}
	suffix.add(f.Part(4 + offset).Text())
	prefix.add(f.Part(5 + offset).Text())
	suffix.add(f.Part(6 + offset).Text())
	if family == "" && len(given) == 0 {
		return nil
	}
	o.put("use", use)
	o.put("family", family)
	o.put("given", given)
	o.put("prefix", prefix)
	o.put("suffix", suffix)
	return o
}

// address is an XAD (HL7 v2.5.1, section 2.A.88).
func address(f Field) (o object) {
	var lines list
	lines.add(f.Part(1).Text())
	lines.add(f.Part(2).Text())
	kind := f.Part(7).Text()
	o.put("use", addressUse(kind))
	if kind == "M" {
		o.put("type", "postal")
	}
	o.put("line", lines)
	o.put("city", f.Part(3).Text())
	o.put("district", f.Part(9).Text())
	o.put("state", f.Part(4).Text())
	o.put("postalCode", f.Part(5).Text())
	o.put("country", f.Part(6).Text())
	if len(lines) == 0 && f.Part(3).Empty() && f.Part(5).Empty() && f.Part(6).Empty() && f.Part(4).Empty() {
		return nil
	}
	return o
}

// telecom is an XTN (HL7 v2.5.1, section 2.A.89). use is that of the field
// where the value names none.
func telecom(f Field, use string) (o object) {
	kind, equipment := f.Part(2).Text(), f.Part(3).Text()
	system := telecomSystem(equipment, kind)
	value := f.Part(12).Text()
	if value == "" && system == "email" {
		value = f.Part(4).Text()
	}
	if value == "" {
		value = f.Part(1).Text()
	}
	if value == "" {
		value = numberOf(f)
	}
	if value == "" {
		return nil
	}
	if own := telecomUse(kind, equipment); own != "" {
		use = own
	}
	o.put("system", system)
	o.put("value", value)
	o.put("use", use)
	return o
}

// numberOf puts the parts of a telephone number together.
func numberOf(f Field) string {
	local := f.Part(7).Text()
	if local == "" {
		return ""
	}
	var parts []string
	if country := f.Part(5).Text(); country != "" {
		parts = append(parts, "+"+strings.TrimPrefix(country, "+"))
	}
	if area := f.Part(6).Text(); area != "" {
		parts = append(parts, area)
	}
	parts = append(parts, local)
	if extension := f.Part(8).Text(); extension != "" {
		parts = append(parts, "x"+extension)
	}
	return strings.Join(parts, " ")
}

// professional is an XCN as a reference by identifier: the directory is not
// asked, and nothing is added to it (HL7 v2.5.1, section 2.A.86).
func (x *mapping) professional(f Field) (o object) {
	hd := f.Part(9)
	id := fhir.Code{System: x.authority(hd.Sub(1).Text(), hd.Sub(2).Text(), hd.Sub(3).Text()), Value: f.Part(1).Text()}
	var words []string
	for _, at := range []int{6, 3, 4, 2, 5} { // prefix, given, second, family, suffix
		if w := f.Part(at).Sub(1).Text(); w != "" {
			words = append(words, w)
		}
	}
	return reference("Practitioner", id, strings.Join(words, " "))
}

// organisation is an XON as a reference by identifier and name.
func (x *mapping) organisation(f Field) object {
	hd := f.Part(6)
	value := f.Part(10).Text()
	if value == "" {
		value = f.Part(3).Text()
	}
	return reference("Organization", fhir.Code{System: x.authority(hd.Sub(1).Text(), hd.Sub(2).Text(), hd.Sub(3).Text()), Value: value}, f.Part(1).Text())
}

// place is a PL as a reference by name: ward, room, bed (HL7 v2.5.1, section
// 2.A.53).
func place(f Field) object {
	var words []string
	for _, at := range []int{4, 7, 8, 1, 2, 3} { // facility, building, floor, ward, room, bed
		if w := f.Part(at).Text(); w != "" {
			words = append(words, w)
		}
	}
	return reference("Location", fhir.Code{}, strings.Join(words, " "))
}

// reference is a logical reference, nil if there is nothing to say.
func reference(kind string, id fhir.Code, display string) (o object) {
	if id.Value == "" && display == "" {
		return nil
	}
	o.put("type", kind)
	o.put("identifier", withValue(id))
	o.put("display", display)
	return o
}

func withValue(id fhir.Code) object {
	if id.Value == "" {
		return nil
	}
	return identifier(id)
}

// quantity is a number with its unit, a CWE.
func (x *mapping) quantity(value number, unit Field) (o object) {
	if value == "" {
		return nil
	}
	o.put("value", value)
	code, text := unit.Part(1).Text(), unit.Part(2).Text()
	if text == "" {
		text = code
	}
	o.put("unit", text)
	if codeSystem(unit.Part(3).Text()) == systemUnits {
		o.put("system", systemUnits)
		o.put("code", code)
	}
	return o
}
