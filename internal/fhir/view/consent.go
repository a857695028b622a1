package view

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// Given is a grant to be shown.
type Given struct {
	ID         abaton.GrantID
	Grant      *grant.Grant
	Patient    string // Patient/id, empty if its FHIR id is not known
	Kind       string // FHIR type of the grantee: Practitioner, Organization, Device, Patient
	Revoked    bool
	Asleep     bool            // it opens nothing in the case that is stated now, or is not
	Categories []fhir.Category // the parts of the record, as far as the viewer knows them
	Others     int             // lines whose part the viewer does not know
	Now        time.Time
}

// consent is R4 Consent (hl7.org/fhir/R4/consent.html), as far as it is used.
type consent struct {
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id,omitempty"`
	Identifier   []identifier `json:"identifier,omitempty"`
	Status       string       `json:"status"`
	Scope        concept      `json:"scope"`
	Category     []concept    `json:"category"`
	Patient      *reference   `json:"patient,omitempty"`
	DateTime     string       `json:"dateTime,omitempty"`
	Performer    []*reference `json:"performer,omitempty"`
	PolicyRule   *concept     `json:"policyRule,omitempty"`
	Provision    *provision   `json:"provision,omitempty"`
}

type provision struct {
	Extension     []extra   `json:"extension,omitempty"`
	Type          string    `json:"type,omitempty"`
	Period        *period   `json:"period,omitempty"`
	Actor         []player  `json:"actor,omitempty"`
	Action        []concept `json:"action,omitempty"`
	SecurityLabel []coding  `json:"securityLabel,omitempty"`
	Purpose       []coding  `json:"purpose,omitempty"`
}

// extra is an extension of ours.
type extra struct {
	URL    string      `json:"url"`
	Quota  uint32      `json:"valueUnsignedInt,omitempty"`
	Onward *identifier `json:"valueIdentifier,omitempty"`
}

type player struct {
	Role      concept    `json:"role"`
	Reference *reference `json:"reference"`
}

// ConsentID is the id under which a grant is shown.
func ConsentID(id abaton.GrantID) string { return id.String() }

// GrantOf is the grant that a Consent's id names.
func GrantOf(id string) (abaton.GrantID, error) { return abaton.ParseGrantID(id) }

// Consent is a grant as R4 Consent: active while it is live, else inactive.
func Consent(g Given) []byte {
	status := "active"
	if g.Revoked || g.Asleep || g.Now.Unix() >= g.Grant.Expires {
		status = "inactive"
	}
	c := consent{
		ResourceType: "Consent", ID: ConsentID(g.ID), Status: status,
		Identifier: []identifier{{SystemGrant, g.ID.String()}},
		Scope:      conceptOf(systemScope, "patient-privacy"),
		Category:   []concept{conceptOf(systemActCode, "IDSCL")},
		Patient:    patientRef(g.Patient, g.Grant.Patient),
		DateTime:   seconds(g.Grant.NotBefore),
		Performer:  []*reference{patientRef(g.Patient, g.Grant.Patient)},
		PolicyRule: new(conceptOf(systemActCode, "OPTIN")),
		Provision: &provision{
			Extension: []extra{{URL: QuotaExtension, Quota: g.Grant.Quota}}, Type: "permit",
			Period: &period{seconds(g.Grant.NotBefore), seconds(g.Grant.Expires)},
			Actor:  []player{{conceptOf(systemPart, "IRCP"), actorRef(g.Grant.Grantee, g.Kind)}},
		},
	}
	if g.Grant.Onward != (abaton.ActorID{}) {
		c.Provision.Extension = append(c.Provision.Extension, extra{URL: OnwardExtension, Onward: &identifier{SystemActor, g.Grant.Onward.String()}})
	}
	c.Provision.Action = actions(g.Grant.Actions)
	for _, p := range g.Grant.Purposes {
		c.Provision.Purpose = append(c.Provision.Purpose, coding{System: systemReason, Code: string(p)})
	}
	c.Provision.SecurityLabel = labels(g.Categories)
	if g.Others > 0 {
		c.Provision.SecurityLabel = append(c.Provision.SecurityLabel, coding{System: SystemCategory, Code: "other"})
	}
	return text(c)
}

func actions(a grant.Action) (out []concept) {
	if a&grant.Read != 0 {
		out = append(out, conceptOf(systemAction, "access"))
	}
	if a&grant.Deposit != 0 {
		out = append(out, conceptOf(systemAction, "collect"))
	}
	return out
}

// labels are the parts of a record: by our own name, and by HL7's code of
// sensitivity where one says the same.
func labels(categories []fhir.Category) (out []coding) {
	categories = slices.Clone(categories)
	slices.Sort(categories)
	for _, c := range slices.Compact(categories) {
		out = append(out, coding{System: SystemCategory, Code: c.String()})
		for _, code := range sensitivity(c) {
			out = append(out, coding{System: systemActCode, Code: code})
		}
	}
	return out
}

// sensitivity are the codes of HL7 v3 ActInformationSensitivityPolicy that
// say what a part of the record holds; the rows of internal/fhir/sensitive.tsv
// read them back.
func sensitivity(c fhir.Category) []string {
	switch c {
	case fhir.Psychiatric:
		return []string{"PSY"}
	case fhir.PsychotherapyNotes:
		return []string{"PSYTHPN"}
	case fhir.Genetic:
		return []string{"GDIS"}
	case fhir.Reproductive:
		return []string{"SEX"}
	case fhir.Addiction:
		return []string{"ETH", "SUD"}
	case fhir.HIVSTI:
		return []string{"HIV", "STD"}
	case fhir.Safeguarding:
		return []string{"SDV"}
	}
	return nil
}

// seconds is a time as FHIR writes it.
func seconds(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
