package fhir

import "time"

// A Capability is the table from which a CapabilityStatement is written.
type Capability struct {
	Software    string    // software.name
	Release     string    // software.version
	Date        time.Time // when the statement last changed
	Base        string    // implementation.url, optional
	Description string    // implementation.description
	Security    string    // rest.security.description, optional
	System      []string  // system interactions: transaction, batch
	OAuth       *OAuth    // rest.security of SMART apps, nil without
	Types       []TypeCapability
}

// A TypeCapability is what is supported on one resource type.
type TypeCapability struct {
	Type              string
	Interactions      []string // read, vread, update, delete, history-instance, create, search-type
	Versioning        string   // no-version, versioned or versioned-update
	ConditionalCreate bool
	UpdateCreate      bool
	Parameters        []Parameter
	Includes          []string // values of _include
	Reverses          []string // values of _revinclude
	Operations        []OperationName
}

// A Parameter is a search parameter: its name and its FHIR search type.
type Parameter struct{ Name, Type string }

// An OperationName is an operation: its name without the dollar sign and the
// canonical of its definition.
type OperationName struct{ Name, Definition string }

// Bytes is the CapabilityStatement of FHIR R4 4.0.1.
func (c Capability) Bytes() []byte {
	out := []byte(`{"resourceType":"CapabilityStatement","status":"active"`)
	out = appendMember(out, "date", Instant(c.Date))
	out = append(out, `,"kind":"instance","software":{"name":`...)
	out = appendText(out, c.Software)
	out = append(appendMember(out, "version", c.Release), '}')
	out = appendText(append(out, `,"implementation":{"description":`...), c.Description)
	out = append(appendMember(out, "url", c.Base), '}')
	out = append(out, `,"fhirVersion":"4.0.1","format":["application/fhir+json","json"],"rest":[{"mode":"server"`...)
	if c.Security != "" {
		out = appendText(append(out, `,"security":{"description":`...), c.Security)
		out = append(c.OAuth.append(out), '}')
	}
	if len(c.Types) > 0 {
		out = appendList(append(out, `,"resource":`...), c.Types, appendType)
	}
	if len(c.System) > 0 {
		out = appendList(append(out, `,"interaction":`...), c.System, appendInteraction)
	}
	return append(out, "}]}"...)
}

// appendList appends a JSON array.
func appendList[T any](out []byte, items []T, one func([]byte, T) []byte) []byte {
	out = append(out, '[')
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = one(out, item)
	}
	return append(out, ']')
}

func appendInteraction(out []byte, code string) []byte {
	return append(appendText(append(out, `{"code":`...), code), '}')
}

func appendType(out []byte, t TypeCapability) []byte {
	out = appendText(append(out, `{"type":`...), t.Type)
	if len(t.Interactions) > 0 {
		out = appendList(append(out, `,"interaction":`...), t.Interactions, appendInteraction)
	}
	out = appendMember(out, "versioning", t.Versioning)
	if t.UpdateCreate {
		out = append(out, `,"updateCreate":true`...)
	}
	if t.ConditionalCreate {
		out = append(out, `,"conditionalCreate":true`...)
	}
	for _, list := range []struct {
		name   string
		values []string
	}{{"searchInclude", t.Includes}, {"searchRevInclude", t.Reverses}} {
		if len(list.values) > 0 {
			out = appendList(append(out, `,"`+list.name+`":`...), list.values, appendText)
		}
	}
	if len(t.Parameters) > 0 {
		out = appendList(append(out, `,"searchParam":`...), t.Parameters, func(out []byte, p Parameter) []byte {
			out = appendText(append(out, `{"name":`...), p.Name)
			return append(appendMember(out, "type", p.Type), '}')
		})
	}
	if len(t.Operations) > 0 {
		out = appendList(append(out, `,"operation":`...), t.Operations, func(out []byte, o OperationName) []byte {
			out = appendText(append(out, `{"name":`...), o.Name)
			return append(appendMember(out, "definition", o.Definition), '}')
		})
	}
	return append(out, '}')
}
