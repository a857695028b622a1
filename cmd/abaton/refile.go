package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

func newPatientRefile(e *env) *cobra.Command {
	var as, to string
	var asJSON bool
	c := &cobra.Command{Use: "refile TYPE/ID", Short: "File a record that is another's with the right patient", Args: cobra.ExactArgs(1),
		Long: `File a record that lies with the wrong patient with the right one, and mark it as
entered in error where it lay, in one transaction. References to other records of the
wrong patient are left out of the copy. Who read it until then is in the wrong
patient's list of disclosures: abaton access list --as THAT-PATIENT --record TYPE/ID`,
		Example: "  abaton patient refile Observation/bw32w7qi-... --to qyx5hm3c-... --as dr-anna",
		RunE: func(c *cobra.Command, args []string) error {
			kind, id, ok := strings.Cut(args[0], "/")
			to := strings.TrimPrefix(to, "Patient/")
			if !ok || !fhir.IsType(kind) || !fhir.IsID(id) || kind == "Patient" || !fhir.IsID(to) {
				return usage("name a record as TYPE/ID and a patient by the FHIR id; a Patient itself is not filed elsewhere")
			}
			s, err := e.kept(as)
			if err != nil {
				return err
			}
			done, err := refile(c.Context(), s, kind, id, to)
			if err != nil {
				return err
			}
			e.say("Filed as %s; %s is %s.", done.Filed, done.Was, done.Marked)
			for _, name := range done.LeftOut {
				e.say("Left out of the copy, for it belongs to the other patient: %s", name)
			}
			if asJSON {
				return e.json(done)
			}
			e.print("%s\n", done.Filed)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who does it: somebody who is signed in and was given both charts")
	c.Flags().StringVar(&to, "to", "", "whose it is: the id of the FHIR Patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("to")
	return c
}

// refiled is what became of a record that lay with the wrong patient.
type refiled struct {
	V       int      `json:"v"`
	Was     string   `json:"was"`
	Marked  string   `json:"marked"` // entered-in-error, or deleted where a type knows no such status
	Filed   string   `json:"filed"`
	LeftOut []string `json:"leftOut,omitempty"`
}

// refile sends both halves as one transaction: the copy to the right patient
// and the mark at the wrong one become readable together, or not at all.
func refile(ctx context.Context, s *people.Session, kind, id, to string) (*refiled, error) {
	_, body, etag, err := ask(ctx, s, http.MethodGet, "/"+kind+"/"+id, nil)
	if err != nil {
		return nil, err
	}
	r, err := fhir.ParseResource(body)
	if err != nil {
		return nil, err
	}
	of := fhir.Patients(r)
	if len(of) != 1 || of[0].ID == "" {
		return nil, usage("%s/%s is no one patient's record", kind, id)
	}
	if of[0].ID == to {
		return nil, usage("%s/%s lies with this patient already", kind, id)
	}
	out := &refiled{V: 1, Was: kind + "/" + id, Marked: "marked as entered in error"}
	copied, leftOut, err := copyFor(r, of[0].ID, to)
	if err != nil {
		return nil, err
	}
	out.LeftOut = leftOut
	marked, ok, err := enteredInError(r)
	if err != nil {
		return nil, err
	}
	entries := []bundleEntry{{Resource: copied, Request: bundleRequest{Method: http.MethodPost, URL: kind}}}
	mark := bundleEntry{Resource: marked, Request: bundleRequest{Method: http.MethodPut, URL: out.Was, IfMatch: etag}}
	if !ok {
		mark.Resource, mark.Request.Method, out.Marked = nil, http.MethodDelete, "deleted there; its history has the text"
	}
	text, err := json.Marshal(struct {
		ResourceType string        `json:"resourceType"`
		Type         string        `json:"type"`
		Entry        []bundleEntry `json:"entry"`
	}{"Bundle", "transaction", append(entries, mark)})
	if err != nil {
		return nil, err
	}
	_, answer, _, err := ask(ctx, s, http.MethodPost, "/", text)
	if err != nil {
		return nil, err
	}
	var said struct {
		Entry []struct{ Response struct{ Location string } }
	}
	if json.Unmarshal(answer, &said) != nil || len(said.Entry) != 2 {
		return nil, fmt.Errorf("ask gateway: the answer does not fit the Bundle")
	}
	out.Filed, _, _ = strings.Cut(said.Entry[0].Response.Location, "/_history")
	if at := strings.LastIndex(out.Filed, kind+"/"); at >= 0 {
		out.Filed = out.Filed[at:]
	}
	return out, nil
}

type bundleEntry struct {
	Resource json.RawMessage `json:"resource,omitempty"`
	Request  bundleRequest   `json:"request"`
}

type bundleRequest struct {
	Method  string `json:"method"`
	URL     string `json:"url"`
	IfMatch string `json:"ifMatch,omitempty"`
}

// copyFor is a resource as the right patient's: it names that one, and nothing
// else of the wrong one's. Whole members go, from the top.
func copyFor(r fhir.Resource, from, to string) (text []byte, leftOut []string, err error) {
	moved := r.Rewrite(func(text string) (string, bool) {
		if ref, ok := fhir.ParseRef(text); ok && ref.Type == "Patient" && ref.ID == from && ref.Base == "" {
			return "Patient/" + to, true
		}
		return "", false
	})
	if r, err = fhir.ParseResource(moved); err != nil {
		return nil, nil, err
	}
	gone := []string{"id", "text"} // the narrative may name the other patient
	for member := range r.Children() {
		if name := member.Name(); inChart(member) {
			leftOut, gone = append(leftOut, name), append(gone, name)
		}
	}
	text, err = without(r, gone)
	return text, leftOut, err
}

// inChart reports whether a value refers to what lies in a patient's chart.
func inChart(v fhir.Value) bool {
	if ref, ok := fhir.ParseRef(v.Get("reference").Text()); ok && ref.Type != "" && ref.Type != "Patient" && !fhir.Directory(ref.Type) {
		return true
	}
	if v.Kind() == fhir.Object || v.Kind() == fhir.Array {
		for child := range v.Children() {
			if inChart(child) {
				return true
			}
		}
	}
	return false
}

// enteredInError is the version that takes a resource back; false for a type
// that has no such status.
func enteredInError(r fhir.Resource) ([]byte, bool, error) {
	type step struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	var system string
	switch {
	case r.Type == "Condition":
		system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
	case r.Type == "AllergyIntolerance":
		system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
	case r.Get("status").Kind() != fhir.String || !slices.Contains(takesBack, r.Type):
		return nil, false, nil
	}
	if system == "" {
		text, err := patched(r.Raw(), []any{step{"replace", "/status", "entered-in-error"}})
		return text, true, err
	}
	status := map[string]any{"coding": []any{map[string]string{"system": system, "code": "entered-in-error"}}}
	text, err := without(r, []string{"clinicalStatus"}) // must not stand beside it (con-5, ait-2)
	if err != nil {
		return nil, false, err
	}
	text, err = patched(text, []any{step{"add", "/verificationStatus", status}})
	return text, true, err
}

// takesBack are the types of patients' records whose status may be
// entered-in-error (FHIR R4, the value sets bound to it).
var takesBack = []string{
	"Account", "Appointment", "CarePlan", "CareTeam", "ChargeItem", "Claim", "ClaimResponse", "ClinicalImpression",
	"Communication", "CommunicationRequest", "Composition", "Consent", "Contract", "Coverage", "DetectedIssue", "Device", "DeviceRequest",
	"DeviceUseStatement", "DiagnosticReport", "DocumentManifest", "DocumentReference", "Encounter", "EpisodeOfCare", "ExplanationOfBenefit",
	"FamilyMemberHistory", "Flag", "GuidanceResponse", "ImagingStudy", "Immunization", "ImmunizationEvaluation",
	"Invoice", "List", "Media", "MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement",
	"NutritionOrder", "Observation", "Procedure", "QuestionnaireResponse", "RequestGroup", "RiskAssessment", "ServiceRequest", "Specimen",
	"SupplyDelivery", "SupplyRequest", "Task", "VisionPrescription",
}

// without takes members out of a resource and leaves every other byte alone.
func without(r fhir.Resource, names []string) ([]byte, error) {
	type step struct {
		Op   string `json:"op"`
		Path string `json:"path"`
	}
	var steps []any
	for _, name := range names {
		if r.Get(name).Kind() != fhir.Absent {
			steps = append(steps, step{"remove", "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)})
		}
	}
	return patched(r.Raw(), steps)
}

func patched(body []byte, steps []any) ([]byte, error) {
	if len(steps) == 0 {
		return body, nil
	}
	text, err := json.Marshal(steps)
	if err != nil {
		return nil, err
	}
	p, err := fhir.ParsePatch(text)
	if err != nil {
		return nil, fmt.Errorf("change resource: %w", err)
	}
	return p.Apply(body)
}
