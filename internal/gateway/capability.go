package gateway

import (
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// capability is the CapabilityStatement: what routes really does.
func capability(release string, now time.Time, apps *fhir.OAuth) []byte {
	c := fhir.Capability{
		Software: "Abaton gateway", Release: release, Date: now,
		Description: "FHIR R4 over records that are sealed at the writer and spread over independent keepers; every opening is in their ledgers.",
		Security:    "Sign in with abaton login: a passkey on the person's own device begins a session of at most 60 minutes. Send the value it gives as Authorization: Bearer. There is no password.",
		System:      []string{"transaction", "batch", "history-system"},
		Operations:  []fhir.OperationName{{Name: "export", Definition: "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}},
		OAuth:       apps,
	}
	for _, name := range r4Types {
		c.Types = append(c.Types, typeCapability(name))
	}
	return c.Bytes()
}

func typeCapability(name string) fhir.TypeCapability {
	t := fhir.TypeCapability{Type: name, Versioning: "versioned-update", ConditionalCreate: true, UpdateCreate: true,
		ConditionalUpdate: true, ConditionalDelete: true, ConditionalRead: true,
		Interactions: []string{"read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"},
		Parameters:   search.Parameters(name), Includes: search.Includes(name), Reverses: search.Reverses(name),
	}
	switch name {
	case "Patient":
		t.Operations = []fhir.OperationName{{Name: "everything", Definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
			{Name: "export", Definition: "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"},
			{Name: "merge", Definition: "http://hl7.org/fhir/OperationDefinition/Patient-merge"}}
	case "Subscription":
		t.Operations = []fhir.OperationName{{Name: "status", Definition: "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status"}}
	case "Group":
		t.Operations = []fhir.OperationName{{Name: "export", Definition: "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"}}
	case "DocumentReference":
		t.Operations = []fhir.OperationName{{Name: "docref", Definition: "http://hl7.org/fhir/us/core/OperationDefinition/docref"}}
	}
	t.Operations = append(t.Operations, fhir.OperationName{Name: "validate", Definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate"})
	return t
}
