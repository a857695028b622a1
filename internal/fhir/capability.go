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
	System      []string  // system interactions: transaction, batch, history-system
	OAuth       *OAuth    // rest.security of SMART apps, nil without
	Operations  []OperationName
	Types       []TypeCapability
}

// A TypeCapability is what is supported on one resource type.
type TypeCapability struct {
	Type              string
	Interactions      []string // read, vread, update, patch, delete, history-instance, history-type, create, search-type
	Versioning        string   // no-version, versioned or versioned-update
	ConditionalCreate bool
	ConditionalUpdate bool
	ConditionalDelete bool // of one match; several are refused
	ConditionalRead   bool // If-None-Match and If-Modified-Since
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
	if len(c.Operations) > 0 {
		out = appendList(append(out, `,"operation":`...), c.Operations, appendOperation)
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
	if t.ConditionalRead {
		out = append(out, `,"conditionalRead":"full-support"`...)
	}
	if t.ConditionalUpdate {
		out = append(out, `,"conditionalUpdate":true`...)
	}
	if t.ConditionalDelete {
		out = append(out, `,"conditionalDelete":"single"`...)
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
		out = appendList(append(out, `,"operation":`...), t.Operations, appendOperation)
	}
	return append(out, '}')
}

func appendOperation(out []byte, o OperationName) []byte {
	out = appendText(append(out, `{"name":`...), o.Name)
	return append(appendMember(out, "definition", o.Definition), '}')
}
