package fhir

// OAuth are the addresses that SMART apps use: the extension oauth-uris of
// rest.security (SMART App Launch, section "Conformance"). Its definition knows
// neither revocation nor introspection: .well-known/smart-configuration names
// those.
type OAuth struct{ Authorize, Access string }

// append writes cors, service and the extension.
func (o *OAuth) append(out []byte) []byte {
	if o == nil {
		return out
	}
	out = append(out, `,"cors":true,"service":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","code":"SMART-on-FHIR"}]}],`...)
	out = append(out, `"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[`...)
	for i, one := range []struct{ name, uri string }{{"authorize", o.Authorize}, {"token", o.Access}} {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(append(out, `{"url":"`+one.name+`","valueUri":`...), one.uri)
		out = append(out, '}')
	}
	return append(out, "]}]"...)
}
