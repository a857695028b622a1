package validate

import (
	"net/url"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// complex checks what the tables do not say of data types.
func (w *walk) complex(v fhir.Value, m structure.Member, h *home) {
	switch m.Type.Name {
	case "Reference":
		w.reference(v, m.Element, h)
	case "Coding":
		w.coding(v)
		w.boundCodings(v, []fhir.Value{v}, m.Element.Binding)
	case "CodeableConcept":
		var codings []fhir.Value
		for c := range v.Get("coding").Each() {
			codings = append(codings, c)
		}
		w.boundCodings(v, codings, m.Element.Binding)
	case "Quantity", "Age", "Duration", "Distance", "Count", "SimpleQuantity", "MoneyQuantity":
		if code := v.Get("code").Text(); code != "" && m.Element.Binding != nil && m.Element.Binding.Strength == "required" {
			w.boundCodings(v, []fhir.Value{v}, m.Element.Binding)
		}
	case "Attachment":
		w.attachment(v)
	case "Extension":
		w.extension(v, m)
	case "Identifier":
		w.identifier(v)
	case "Expression":
		w.expression(v)
	}
}

// absolute reports whether a URI has a scheme.
func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != ""
}

func (w *walk) identifier(v fhir.Value) {
	if s := v.Get("system").Text(); s != "" && !absolute(s) {
		w.failAt("system", "invalid", "identifier-system", "Identifier.system must be an absolute URI")
	}
}

func (w *walk) coding(v fhir.Value) {
	system, code := v.Get("system").Text(), v.Get("code").Text()
	switch {
	case system == "":
	case !absolute(system):
		w.failAt("system", "invalid", "coding-system", "Coding.system must be an absolute URI")
	case w.v.types.IsValueSet(system) && w.v.types.InSystem(system, code) == structure.Unknown:
		w.failAt("system", "invalid", "coding-value-set", "Coding.system names a value set; name the code system")
	case code == "":
	default:
		w.systemCode(system, code)
	}
}

// systemCode checks a code against its own system, where that is part of the
// definitions.
func (w *walk) systemCode(system, code string) {
	switch w.v.types.InSystem(system, code) {
	case structure.Unknown:
		w.skip("codes of " + systemName(system))
	case structure.Invalid:
		if strings.HasPrefix(system, "http://hl7.org/fhir/") {
			w.failAt("code", "code-invalid", "code-unknown", "the code is not one of its system")
			return
		}
		w.push("code", -1)
		w.report(Warning, "code-invalid", "code-unknown", "the code is not one of its system in the release these definitions have")
		w.pop()
	}
}

// systemName is a system that everybody knows, or no name: what a client
// writes there is its own.
func systemName(system string) string {
	switch system {
	case "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org", "http://www.nlm.nih.gov/research/umls/rxnorm",
		"http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/cvx", "http://www.ama-assn.org/go/cpt",
		"http://hl7.org/fhir/sid/ndc", "urn:ietf:bcp:47", "urn:ietf:bcp:13", "urn:iso:std:iso:3166", "urn:iso:std:iso:4217":
		return system
	}
	return "a code system that is not part of the definitions"
}

// boundCode checks a plain code.
func (w *walk) boundCode(code string, b *structure.Binding) {
	if b.Strength != "required" {
		return
	}
	switch w.v.types.InValueSet(b.ValueSet, "", code) {
	case structure.Invalid:
		w.fail("code-invalid", "binding", "the code is not one of the required value set "+b.ValueSet)
	case structure.Unknown:
		w.openCode(code, b)
	}
}

// openCode checks the form of codes whose set has no end.
func (w *walk) openCode(code string, b *structure.Binding) {
	switch b.ValueSet {
	case "http://hl7.org/fhir/ValueSet/mimetypes":
		kind, rest, ok := strings.Cut(code, "/")
		if code != "xml" && code != "json" && code != "ttl" && (!ok || kind == "" || rest == "") { // http.html#mime-type: these three are short for FHIR's own
			w.fail("code-invalid", "binding", "the code is no media type")
			return
		}
	case "http://hl7.org/fhir/ValueSet/currencies":
		if len(code) != 3 || strings.ToUpper(code) != code {
			w.fail("code-invalid", "binding", "the code is no ISO 4217 currency")
			return
		}
	}
	w.skip("codes of the value set " + b.ValueSet)
}

// boundCodings checks that one of the codings is of the value set.
func (w *walk) boundCodings(v fhir.Value, codings []fhir.Value, b *structure.Binding) {
	if b == nil || b.Strength != "required" && b.Strength != "extensible" {
		return
	}
	unknown, coded := false, false
	for _, c := range codings {
		code := c.Get("code").Text()
		if code == "" {
			continue
		}
		coded = true
		switch w.v.types.InValueSet(b.ValueSet, c.Get("system").Text(), code) {
		case structure.Valid:
			return
		case structure.Unknown:
			unknown = true
		}
	}
	switch {
	case b.Strength != "required":
		if unknown {
			w.skip("codes of the value set " + b.ValueSet)
		}
	case unknown:
		w.skip("codes of the value set " + b.ValueSet)
	case coded:
		w.fail("code-invalid", "binding", "no coding is of the required value set "+b.ValueSet)
	case v.Get("extension").Kind() == fhir.Absent:
		w.fail("code-invalid", "binding-no-code", "no code is given, and one of the required value set "+b.ValueSet+" is needed")
	}
}

func (w *walk) attachment(v fhir.Value) {
	data, size := v.Get("data"), v.Get("size")
	if data.Kind() != fhir.String {
		return
	}
	text := data.Text()
	if size.Kind() == fhir.Number && isBase64(text) && string(size.Raw()) != itoa(decodedLen(text)) {
		w.fail("structure", "attachment-size", "the stated size is not that of the content")
	}
}

// extension checks one extension.
func (w *walk) extension(v fhir.Value, m structure.Member) {
	link := v.Get("url").Text()
	if link == "" {
		return // its absence is reported
	}
	inside := len(w.at) >= 2 && (w.at[len(w.at)-2].name == "extension" || w.at[len(w.at)-2].name == "modifierExtension")
	value := false
	for child := range v.Children() {
		value = value || strings.HasPrefix(strings.TrimPrefix(child.Name(), "_"), "value")
	}
	if nested := v.Get("extension").Kind() != fhir.Absent; value == nested {
		w.fail("invariant", "ext-1", "constraint ext-1: an extension has either a value or parts")
	}
	switch {
	case strings.Contains(link, "|"):
		w.failAt("url", "invalid", "extension-version", "the URL of an extension has no version")
	case inside && !strings.Contains(link, ":"):
		return // a part of a complex extension
	case !absolute(link):
		w.failAt("url", "invalid", "extension-url", "the URL of an extension must be absolute")
	default:
		w.definedExtension(v, link, m)
	}
}

func (w *walk) definedExtension(v fhir.Value, link string, m structure.Member) {
	d := w.v.types.Extension(link)
	if d == nil {
		if w.v.config.KnownExtensions && !crossVersion(link) && (!exampleURL(link) || w.v.config.NoExamples) {
			w.fail("structure", "extension-unknown", "the extension is not one of the definitions")
		} else {
			w.skip("extensions that are not part of the definitions")
		}
		return
	}
	if d.Modifier != (m.Element.Name == "modifierExtension") {
		w.fail("structure", "extension-modifier", "a modifier extension belongs into modifierExtension, and no other does")
	}
	w.extensionValue(v, d)
	if len(d.Contexts) > 0 && !strings.Contains(link, "/structuredefinition-") && !w.inContext(d.Contexts) { // HL7 widened those of its own publishing later
		severity := Warning // and others, now and then
		if w.v.config.KnownExtensions {
			severity = Error
		}
		w.report(severity, "structure", "extension-context", "this extension may not stand on this element")
	}
}

func (w *walk) extensionValue(v fhir.Value, d *structure.Extension) {
	if len(d.Types) == 0 {
		return
	}
	t := w.v.types.Type("Extension")
	for child := range v.Children() {
		m, ok := t.Member(strings.TrimPrefix(child.Name(), "_"))
		if !ok || !m.Element.Choice || m.Type == nil {
			continue
		}
		for _, name := range d.Types {
			if m.Type.Name == name || name == "SimpleQuantity" && m.Type.Name == "Quantity" {
				return
			}
		}
		w.fail("structure", "extension-type", "the value of this extension is of a type that its definition does not allow")
	}
}

// exampleURL reports whether a URL is of a domain for examples, which HL7's
// validator lets pass.
func exampleURL(s string) bool {
	return strings.Contains(s, "example.org") || strings.Contains(s, "example.com") || strings.Contains(s, "acme.com") || strings.Contains(s, "acme.org") || strings.Contains(s, "nema.org") || strings.Contains(s, "hl7.org/fhir/tools")
}

// crossVersion reports whether an extension stands for an element of another
// release (versions.html#extensions).
func crossVersion(s string) bool {
	rest, ours := strings.CutPrefix(s, "http://hl7.org/fhir/")
	return ours && len(rest) > 4 && rest[0]-'0' < 10 && strings.Contains(rest, "/StructureDefinition/extension-")
}

// reference checks the form of a literal reference and the type it names.
func (w *walk) reference(v fhir.Value, e *structure.Element, h *home) {
	text := v.Get("reference").Text()
	if text == "" {
		return
	}
	ref, ok := fhir.ParseRef(text)
	switch {
	case !ok && absolute(text):
		w.skip("references to other systems")
		return
	case !ok:
		w.failAt("reference", "invalid", "reference-form", "a relative reference is [type]/[id]")
		return
	case ref.Query != "" && h.bundle != nil && !w.inTransaction(h):
		w.failAt("reference", "invalid", "reference-conditional", "a conditional reference may stand in a transaction alone")
		return
	case ref.Query != "":
		w.skip("conditional references")
	}
	target := ref.Type
	if text[0] == '#' {
		var known bool
		if target, known = h.fragment(ref.Fragment); !known {
			w.fail("invariant", "ref-1", "constraint ref-1: SHALL have a contained resource if a local reference is provided")
		}
	}
	if target != "" && len(e.Targets) > 0 && !contains(e.Targets, target) {
		w.fail("structure", "reference-target", "the reference is to a type that may not be here")
	}
	if named := v.Get("type").Text(); named != "" && target != "" && named != target {
		w.fail("structure", "reference-type", "Reference.type is not the type of the reference")
	}
	if text[0] != '#' {
		w.skip("what references mean outside of the body")
	}
}

func (w *walk) inTransaction(h *home) bool {
	return h.bundle != nil && (h.bundle.Get("type").Is("transaction") || h.bundle.Get("type").Is("batch"))
}

// canonical checks the form of a canonical URL.
func (w *walk) canonical(s string, h *home) {
	if id, local := strings.CutPrefix(s, "#"); local {
		if _, known := h.fragment(id); !known {
			w.fail("invalid", "canonical-contained", "no contained resource has this id")
		}
		return
	}
	if !absolute(s) {
		w.fail("invalid", "canonical-absolute", "a canonical URL must be absolute or name a contained resource")
	}
}
