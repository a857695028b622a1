package view

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/ledger"
)

// This is a structural test of IHE BALP 1.1 (profiles.ihe.net/ITI/BALP), written
// from the published profiles: required elements, fixed codes, cardinalities,
// slices and the invariant val-audit-source. It is no validator: bindings to
// value sets that are not fixed codes and FHIR's own rules are HL7's validator's
// matter (interop/validator/run).

// sliceRule is one slice by its fixed type: how many, what must and must not be
// there.
type sliceRule struct {
	name, system, code string
	min, max           int // max 0: any number
	must, never        []string
	fixed              map[string]any
}

type profileRule struct {
	kind, action   string
	subtypes       []string // at least one of these codes
	outcomes       string
	agents, entity []sliceRule
	entityMin      int
	closed         bool // no entity but those of a slice, no subtype but those named
	sameAsSource   string
}

const (
	dcm  = "http://dicom.nema.org/resources/ontology/DCM"
	aet  = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	part = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
)

func end(name, system, code string) sliceRule {
	return sliceRule{name: name, system: system, code: code, min: 1, max: 1, must: []string{"who", "network"}, never: []string{"media"}}
}

func balpRules() map[string]profileRule {
	user := func(code string) sliceRule {
		return sliceRule{name: "user", system: part, code: code, min: 1, max: 1, must: []string{"who"}, never: []string{"media", "network", "altId", "location"},
			fixed: map[string]any{"requestor": true}}
	}
	patient := sliceRule{name: "patient", system: aet, code: "1", min: 1, max: 1, must: []string{"what", "role"}}
	transaction := sliceRule{name: "transaction", system: balp + "CodeSystem/BasicAuditEntityType", code: "XrequestId", max: 1, must: []string{"what"}}
	data := sliceRule{name: "data", system: aet, code: "2", min: 1, max: 1, must: []string{"what", "role"}}
	query := sliceRule{name: "query", system: aet, code: "2", min: 1, max: 1, must: []string{"query", "role"}, never: []string{"what", "lifecycle", "detail"}}
	only := []string{"role", "altId", "name", "location", "media"}
	return map[string]profileRule{
		"PatientRead": {kind: "rest", action: "R", subtypes: []string{"read", "vread"}, outcomes: "0", entityMin: 2,
			agents: []sliceRule{end("client", dcm, "110152"), end("server", dcm, "110153"), user("IRCP")}, entity: []sliceRule{patient, transaction, data}},
		"PatientQuery": {kind: "rest", action: "E", subtypes: []string{"search", "search-type", "search-system"}, outcomes: "0", entityMin: 1,
			agents: []sliceRule{end("client", dcm, "110153"), end("server", dcm, "110152"), user("IRCP")}, entity: []sliceRule{patient, transaction, query}},
		"PatientCreate": {kind: "rest", action: "C", subtypes: []string{"create"}, outcomes: "0", entityMin: 2,
			agents: []sliceRule{end("client", dcm, "110153"), end("server", dcm, "110152"), user("AUT")}, entity: []sliceRule{patient, transaction, data}},
		"PatientDelete": {kind: "rest", action: "D", subtypes: []string{"delete"}, outcomes: "0", entityMin: 2,
			agents: []sliceRule{end("client", dcm, "110150"), end("server", "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"), user("AUT")},
			entity: []sliceRule{patient, transaction, data}},
		"AuthZconsent": {kind: "110113", action: "E", subtypes: []string{"AuthZ-Consent", "AuthZ-Role"}, outcomes: "048", entityMin: 2, closed: true, sameAsSource: "authserver",
			agents: []sliceRule{
				{name: "client", system: dcm, code: "110150", min: 1, max: 1, must: []string{"who", "network"}, never: append(only, "purposeOfUse")},
				user("IRCP"),
				{name: "userorg", system: "http://terminology.hl7.org/CodeSystem/v3-RoleClass", code: "PROV", min: 1, max: 1, must: []string{"who"},
					never: append(only, "policy", "network"), fixed: map[string]any{"requestor": false}},
				{name: "authorizer", system: "http://terminology.hl7.org/CodeSystem/extra-security-role-type", code: "authserver", min: 1, max: 1, must: []string{"who"},
					never: append(only, "policy", "network", "purposeOfUse"), fixed: map[string]any{"requestor": false}},
			},
			entity: []sliceRule{patient, {name: "consent", system: "http://hl7.org/fhir/resource-types", code: "Consent", min: 1, must: []string{"what"}}}},
	}
}

// shapes are lines of every operation and outcome.
func shapes() map[string]ledger.Line {
	base := ledger.Line{Request: [32]byte{1}, Actor: abaton.ActorID{2}, Organisation: abaton.ActorID{3}, Device: abaton.ActorID{8}, Role: "physician", Session: abaton.SessionID{4},
		Purpose: abaton.Treatment, Grant: abaton.GrantID{5}, First: 1000, Last: 1001, Keepers: []abaton.KeeperIndex{1, 2, 4}}
	out := make(map[string]ledger.Line)
	for op := ledger.OpRelease; op <= ledger.OpLook; op++ {
		for outcome := ledger.Permitted; outcome <= ledger.Refused; outcome++ {
			l := base
			l.Op = op
			row := ledger.LineRow{Batch: abaton.BatchName{6}, Released: 0b101}
			told := ledger.Told{Keeper: 1, Outcome: outcome, Policy: 7}
			switch outcome {
			case ledger.Partly:
				row.Refused, told.Reason = 0b10, abaton.ReasonNotFound
			case ledger.Refused:
				row.Released, row.Refused, told.Reason = 0, 0b111, abaton.ReasonPolicy
			}
			switch op {
			case ledger.OpList, ledger.OpHistory, ledger.OpEvent, ledger.OpAdmin, ledger.OpRecover, ledger.OpUnseal, ledger.OpEmergency, ledger.OpConfirm, ledger.OpContain, ledger.OpLift, ledger.OpLook:
				l.Lines = []abaton.Line{{1}, {2}}
			default:
				l.Rows = []ledger.LineRow{row, {Batch: abaton.BatchName{9}, Released: row.Released, Refused: row.Refused}}
			}
			if op == ledger.OpEmergency || op == ledger.OpConfirm {
				l.Purpose, told.Urgency, told.Second = abaton.Emergency, 1, abaton.ActorID{12}
			}
			if op == ledger.OpDeposit || op == ledger.OpErase {
				l.Session, l.Purpose, l.Device, l.Grant, l.Role = abaton.SessionID{}, "", abaton.ActorID{}, abaton.GrantID{}, ""
			}
			l.Told = []ledger.Told{told}
			out[op.String()+"-"+outcome.String()] = l
		}
	}
	own := base
	own.Op, own.Actor, own.Organisation, own.Device, own.Role, own.Grant = ledger.OpRelease, abaton.ActorID{1}, abaton.ActorID{}, abaton.ActorID{}, "", abaton.GrantID{}
	own.Purpose, own.Rows = abaton.PatientAccess, []ledger.LineRow{{Batch: abaton.BatchName{6}, Released: 1}}
	out["own-read"] = own
	handed := base
	handed.Op, handed.Rows, handed.Behalf = ledger.OpRelease, own.Rows, abaton.ActorID{10}
	handed.Onward = abaton.Handed{From: abaton.ActorID{11}, ID: abaton.GrantID{12}}
	out["handed-read"] = handed
	return out
}

// knowing is how much a viewer may know: nothing, or all.
func knowing(l *ledger.Line) []Disclosed {
	bare := Disclosed{Line: l, Tag: "abcdefgh", ID: abaton.ActorID{1}, KeeperSet: abaton.ActorID{7}, Own: l.Actor == abaton.ActorID{1}}
	all := bare
	all.Patient = "Patient/p"
	all.Name = func(r abaton.RecordName) string {
		if r.Index == 2 {
			return "Observation/o/_history/v"
		}
		return ""
	}
	all.Part = func(abaton.BatchName) (fhir.Category, bool) { return fhir.Psychiatric, true }
	all.Called = func(abaton.ActorID) string { return "dr. A. Example" }
	return []Disclosed{bare, all}
}

func TestBALP(t *testing.T) {
	claimed := make(map[string]int)
	for name, l := range shapes() {
		for i, d := range knowing(&l) {
			body := AuditEvent(d)
			emit(t, name+"-"+[]string{"bare", "known"}[i], body)
			var e map[string]any
			if err := json.Unmarshal(body, &e); err != nil {
				t.Fatal(err)
			}
			profile := profileOf(e)
			claimed[profile]++
			if profile == "" {
				continue
			}
			rule, known := balpRules()[profile]
			if !known {
				t.Fatalf("%s: claims %q, which no rule here knows", name, profile)
			}
			for _, fault := range rule.faults(e) {
				t.Errorf("%s, %s: %s", name, profile, fault)
			}
		}
	}
	for profile := range balpRules() {
		if claimed[profile] == 0 {
			t.Errorf("nothing is shown as %s", profile)
		}
	}
}

// TestBALPClaims: what each line says it is. What was refused in part, or
// without a grant, claims nothing.
func TestBALPClaims(t *testing.T) {
	for name, want := range map[string]string{
		"release-permitted": "PatientRead", "release-partly": "", "release-refused": "AuthZconsent", "list-permitted": "PatientQuery", "index-permitted": "PatientQuery",
		"history-permitted": "PatientQuery", "deposit-permitted": "PatientCreate", "deposit-refused": "", "erase-permitted": "PatientDelete",
		"emergency-permitted": "AuthZconsent", "emergency-refused": "AuthZconsent", "unseal-permitted": "AuthZconsent", "own-read": "PatientRead",
		"handed-read": "PatientRead", "event-permitted": "", "admin-permitted": "",
	} {
		l := shapes()[name]
		var e map[string]any
		if err := json.Unmarshal(AuditEvent(knowing(&l)[0]), &e); err != nil {
			t.Fatal(err)
		}
		if got := profileOf(e); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestBALPRulesBite: the rules find each thing that is taken away.
func TestBALPRulesBite(t *testing.T) {
	l := shapes()["release-permitted"]
	refused := shapes()["release-refused"]
	for _, c := range []struct {
		name  string
		line  ledger.Line
		spoil func(map[string]any)
	}{
		{"no network", l, func(e map[string]any) { delete(at0(e, "agent", 1), "network") }},
		{"no requestor", l, func(e map[string]any) { at0(e, "agent", 0)["requestor"] = false }},
		{"no patient", l, func(e map[string]any) { e["entity"] = e["entity"].([]any)[1:] }},
		{"two sets of data", l, func(e map[string]any) { at0(e, "entity", 3)["type"] = map[string]any{"system": aet, "code": "2"} }},
		{"a failure", l, func(e map[string]any) { e["outcome"] = "8" }},
		{"another action", l, func(e map[string]any) { e["action"] = "E" }},
		{"another type", l, func(e map[string]any) { e["type"] = map[string]any{"code": "110113"} }},
		{"no subtype", l, func(e map[string]any) { e["subtype"] = []any{} }},
		{"another source", refused, func(e map[string]any) { e["source"].(map[string]any)["observer"] = map[string]any{"display": "x"} }},
		{"a subtype of our own", refused, func(e map[string]any) {
			e["subtype"] = append(e["subtype"].([]any), map[string]any{"system": SystemOperation, "code": "release"})
		}},
		{"an open entity", refused, func(e map[string]any) {
			e["entity"] = append(e["entity"].([]any), map[string]any{"type": map[string]any{"code": "x"}})
		}},
		{"an address of the organisation", refused, func(e map[string]any) { at0(e, "agent", 3)["network"] = map[string]any{"address": "x"} }},
	} {
		var e map[string]any
		if err := json.Unmarshal(AuditEvent(knowing(&c.line)[1]), &e); err != nil {
			t.Fatal(err)
		}
		rule := balpRules()[profileOf(e)]
		if faults := rule.faults(e); len(faults) != 0 {
			t.Fatalf("%s: before it is spoiled: %v", c.name, faults)
		}
		c.spoil(e)
		if len(rule.faults(e)) == 0 {
			t.Errorf("%s: no rule finds it", c.name)
		}
	}
}

func at0(e map[string]any, list string, i int) map[string]any {
	return e[list].([]any)[i].(map[string]any)
}

func profileOf(e map[string]any) string {
	m, _ := e["meta"].(map[string]any)
	if m == nil {
		return ""
	}
	return strings.TrimPrefix(m["profile"].([]any)[0].(string), balp+"StructureDefinition/IHE.BasicAudit.")
}

// faults are what of an event the profile does not allow.
func (r *profileRule) faults(e map[string]any) (out []string) {
	say := func(ok bool, what string) {
		if !ok {
			out = append(out, what)
		}
	}
	say(codeOf(e["type"]) == r.kind, "type")
	say(e["action"] == r.action, "action")
	say(e["recorded"] != nil, "recorded")
	outcome, _ := e["outcome"].(string)
	say(outcome != "" && strings.Contains(r.outcomes, outcome), "outcome")
	found := false
	subtypes, _ := e["subtype"].([]any)
	for _, s := range subtypes {
		one := slices.Contains(r.subtypes, codeOf(s))
		found = found || one
		say(one || !r.closed, "subtype of another system") // bound to the profile's own value set
	}
	say(found, "subtype")
	agents, _ := e["agent"].([]any)
	entities, _ := e["entity"].([]any)
	source, _ := e["source"].(map[string]any)
	say(source["observer"] != nil, "source.observer")
	say(len(agents) >= 2, "agent 2..*")
	say(len(entities) >= r.entityMin, "entity count")
	for _, a := range agents {
		_, ok := a.(map[string]any)["requestor"].(bool)
		say(ok, "agent.requestor")
		if codeOf(a.(map[string]any)["type"]) == r.sameAsSource && r.sameAsSource != "" {
			say(same(a.(map[string]any)["who"], source["observer"]), "val-audit-source")
		}
	}
	inSlice := 0
	for _, s := range r.agents {
		for _, f := range s.faults(agents) {
			say(false, "agent["+s.name+"] "+f)
		}
	}
	for _, s := range r.entity {
		inSlice += len(s.of(entities))
		for _, f := range s.faults(entities) {
			say(false, "entity["+s.name+"] "+f)
		}
	}
	say(!r.closed || inSlice == len(entities), "entity of no slice")
	return out
}

func (s *sliceRule) of(list []any) (out []map[string]any) {
	for _, x := range list {
		m := x.(map[string]any)
		if c := coded(m["type"]); c["system"] == s.system && c["code"] == s.code {
			out = append(out, m)
		}
	}
	return out
}

func (s *sliceRule) faults(list []any) (out []string) {
	members := s.of(list)
	if len(members) < s.min || s.max > 0 && len(members) > s.max {
		out = append(out, "count")
	}
	for _, m := range members {
		for _, field := range s.must {
			if m[field] == nil {
				out = append(out, "has no "+field)
			}
		}
		for _, field := range s.never {
			if m[field] != nil {
				out = append(out, "has "+field)
			}
		}
		for field, want := range s.fixed {
			if m[field] != want {
				out = append(out, field)
			}
		}
	}
	return out
}

// coded is a Coding, or the first of a CodeableConcept.
func coded(v any) map[string]any {
	m, _ := v.(map[string]any)
	if list, ok := m["coding"].([]any); ok && len(list) > 0 {
		m, _ = list[0].(map[string]any)
	}
	return m
}

func codeOf(v any) string { s, _ := coded(v)["code"].(string); return s }

func same(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}

// emit writes an event for interop/validator/run, where that asks for it.
func emit(t *testing.T, name string, body []byte) {
	t.Helper()
	dir := os.Getenv("ABATON_EMIT")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "balp-"+name+".json"), body, 0o644); err != nil {
		t.Fatal(err)
	}
}
