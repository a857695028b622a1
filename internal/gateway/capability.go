package gateway

import (
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// capability is the CapabilityStatement: what routes really does.
func capability(release string, now time.Time) []byte {
	c := fhir.Capability{
		Software: "Abaton gateway", Release: release, Date: now,
		Description: "FHIR R4 over records that are sealed at the writer and spread over independent keepers; every opening is in their ledgers.",
		Security:    "Sign in with abaton login: a passkey on the person's own device begins a session of at most 60 minutes. Send the value it gives as Authorization: Bearer. There is no password.",
		System:      []string{"transaction", "batch"},
	}
	for _, name := range r4Types {
		c.Types = append(c.Types, typeCapability(name))
	}
	return c.Bytes()
}

func typeCapability(name string) fhir.TypeCapability {
	t := fhir.TypeCapability{Type: name, Versioning: "versioned-update", ConditionalCreate: true, UpdateCreate: true,
		Interactions: []string{"read", "vread", "update", "delete", "history-instance", "create", "search-type"},
		Parameters:   []fhir.Parameter{{Name: "_id", Type: "token"}, {Name: "_lastUpdated", Type: "date"}, {Name: "identifier", Type: "token"}},
	}
	if !fhir.Directory(name) && name != "Patient" {
		t.Parameters = append(t.Parameters, fhir.Parameter{Name: "patient", Type: "reference"})
	}
	if name == "Patient" {
		t.Operations = []fhir.OperationName{{Name: "everything", Definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything"}}
	}
	t.Operations = append(t.Operations, fhir.OperationName{Name: "validate", Definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate"})
	return t
}
