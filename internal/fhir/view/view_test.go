package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/ledger"
)

func parsed(t *testing.T, body []byte) fhir.Resource {
	t.Helper()
	r, err := fhir.ParseResource(body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// at is the text at a path of member names; arrays are read at their first
// element.
func at(r fhir.Resource, path string) string {
	v := r.Value
	for name := range strings.SplitSeq(path, ".") {
		for first := range v.Each() {
			v = first
			break
		}
		v = v.Get(name)
	}
	for first := range v.Each() {
		v = first
		break
	}
	if v.Kind() == fhir.String {
		return v.Text()
	}
	return string(v.Raw())
}

func TestConsent(t *testing.T) {
	g := &grant.Grant{Patient: abaton.ActorID{1}, Grantee: abaton.ActorID{2}, Actions: grant.Read | grant.Deposit, NotBefore: 1000, Expires: 2000,
		Quota: 7, Purposes: []abaton.Purpose{abaton.Treatment}, Lines: []abaton.Line{{1}, {2}}}
	given := Given{ID: abaton.GrantID{9}, Grant: g, Patient: "Patient/p", Kind: "Practitioner", Categories: []fhir.Category{fhir.HIVSTI, fhir.General}, Others: 1, Now: time.Unix(1999, 0)}
	r := parsed(t, Consent(given))
	for path, want := range map[string]string{
		"id": given.ID.String(), "status": "active", "scope.coding.code": "patient-privacy", "category.coding.code": "IDSCL", "patient.reference": "Patient/p",
		"dateTime": "1970-01-01T00:16:40Z", "policyRule.coding.code": "OPTIN", "provision.type": "permit", "provision.period.end": "1970-01-01T00:33:20Z",
		"provision.actor.reference.identifier.value": abaton.ActorID{2}.String(), "provision.actor.reference.type": "Practitioner", "provision.actor.role.coding.code": "IRCP",
		"provision.action.coding.code": "access", "provision.purpose.code": "TREAT", "provision.securityLabel.code": "general",
		"provision.extension.valueUnsignedInt": "7", "identifier.value": given.ID.String(),
	} {
		if got := at(r, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	for _, want := range []string{`"collect"`, `"hiv-sti"`, `"HIV"`, `"STD"`, `"other"`} {
		if !bytes.Contains(r.Raw(), []byte(want)) {
			t.Errorf("got %s, want %s in it", r.Raw(), want)
		}
	}
	for name, change := range map[string]func(*Given){
		"expired": func(g *Given) { g.Now = time.Unix(2000, 0) },
		"revoked": func(g *Given) { g.Revoked = true },
		"asleep":  func(g *Given) { g.Asleep = true },
	} {
		one := given
		change(&one)
		if got := at(parsed(t, Consent(one)), "status"); got != "inactive" {
			t.Errorf("%s: got %s, want inactive", name, got)
		}
	}
	one := given
	one.Patient = ""
	if got := at(parsed(t, Consent(one)), "patient.identifier.value"); got != (abaton.ActorID{1}).String() {
		t.Errorf("patient without a FHIR id: got %s", got)
	}
	if id, err := GrantOf(r.ID()); err != nil || id != given.ID {
		t.Errorf("grant of the id: got %v, %v", id, err)
	}
}

func TestAuditEvent(t *testing.T) {
	l := ledger.Line{Request: [32]byte{1}, Op: ledger.OpRelease, Actor: abaton.ActorID{2}, Organisation: abaton.ActorID{3}, Session: abaton.SessionID{4},
		Purpose: abaton.Treatment, Grant: abaton.GrantID{5}, First: 1000, Last: 1001, Keepers: []abaton.KeeperIndex{1, 2, 4},
		Rows: []ledger.LineRow{{Batch: abaton.BatchName{6}, Released: 0b101, Refused: 0b10}}}
	d := Disclosed{Line: &l, Tag: "abcdefgh", Patient: "Patient/p", ID: abaton.ActorID{1}, KeeperSet: abaton.ActorID{7}, Name: func(r abaton.RecordName) string {
		if r.Index == 2 {
			return "Observation/o/_history/v"
		}
		return ""
	}}
	body := AuditEvent(d)
	r := parsed(t, body)
	for path, want := range map[string]string{
		"type.code": "rest", "subtype.code": "read", "action": "R", "recorded": "1970-01-01T00:16:40Z", "period.end": "1970-01-01T00:16:41Z", "outcome": "4",
		"purposeOfEvent.coding.code": "TREAT", "agent.who.identifier.value": abaton.ActorID{2}.String(), "agent.requestor": "true",
		"agent.purposeOfUse.coding.code": "TREAT", "source.site": "ledgers of keepers 1, 2, 4", "entity.what.reference": "Patient/p", "entity.role.code": "1",
	} {
		if got := at(r, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	for _, want := range []string{`"Observation/o/_history/v"`, `{"type":"released","valueString":"0"}`, `{"type":"refused","valueString":"1"}`, `"release"`, abaton.BatchName{6}.String()} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("got %s, want %s in it", body, want)
		}
	}
	if tag, ok := TagOf(r.ID()); !ok || tag != "abcdefgh" || !fhir.IsID(r.ID()) || !Computed("AuditEvent", r.ID()) {
		t.Errorf("id %q: tag %q, %v", r.ID(), tag, ok)
	}
	other := l
	other.Purpose = abaton.Operations // what a liar's ledger says of the same request
	if AuditEventID("abcdefgh", &other) == r.ID() {
		t.Error("two stories of one request have one id")
	}
	l.Rows[0].Released = 0
	if got := at(parsed(t, AuditEvent(d)), "outcome"); got != "8" {
		t.Errorf("refused: got outcome %s, want 8", got)
	}
	for op := ledger.OpRelease; op <= ledger.OpRecover; op++ {
		line := ledger.Line{Op: op, Request: [32]byte{1}, Actor: abaton.ActorID{1}, First: 1}
		r := parsed(t, AuditEvent(Disclosed{Line: &line, Tag: "abcdefgh", ID: abaton.ActorID{1}, Own: true}))
		if at(r, "outcome") != "0" || !strings.Contains("CRUDE", at(r, "action")) {
			t.Errorf("%s: got outcome %s, action %s", op, at(r, "outcome"), at(r, "action"))
		}
	}
}

// TestHandedOn: where a grant may go is said, and who handed it on.
func TestHandedOn(t *testing.T) {
	g := grant.Grant{V: 1, Patient: abaton.ActorID{1}, Grantee: abaton.ActorID{2}, Actions: grant.Read, Lines: []abaton.Line{{1}},
		Purposes: []abaton.Purpose{abaton.Treatment}, Expires: 10, Quota: 7}
	plain := Given{Grant: &g, Now: time.Unix(1, 0)}
	if bytes.Contains(Consent(plain), []byte(OnwardExtension)) {
		t.Error("a grant that stays says that it may go on")
	}
	g.Onward = abaton.ActorID{3}
	if body := Consent(plain); !bytes.Contains(body, []byte(OnwardExtension)) || !bytes.Contains(body, []byte(abaton.ActorID{3}.String())) {
		t.Errorf("a grant that may go on: got %s", body)
	}
	line := ledger.Line{Op: ledger.OpRelease, Request: [32]byte{1}, Actor: abaton.ActorID{1}, Grant: abaton.GrantID{2}, First: 1}
	before := AuditEventID("abcdefgh", &line)
	line.Onward = abaton.Handed{From: abaton.ActorID{4}, ID: abaton.GrantID{5}}
	text := string(AuditEvent(Disclosed{Line: &line, Tag: "abcdefgh", ID: abaton.ActorID{1}}))
	for _, want := range []string{abaton.ActorID{4}.String(), abaton.GrantID{5}.String(), `"REFB"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the event does not hold %s", want)
		}
	}
	if AuditEventID("abcdefgh", &line) == before {
		t.Error("an opening by a hand-on has the id of one without")
	}
}

func TestProvenance(t *testing.T) {
	s := Signed{Tag: "abcdefgh", Type: "Observation", FHIRID: "o", VersionID: "2", Parents: []string{"1"}, Updated: time.UnixMilli(1500),
		Record: abaton.RecordName{Batch: abaton.BatchName{1}, Index: 3}, Person: abaton.ActorID{2}, Author: abaton.ActorID{3}, Writer: abaton.KeyID{4}}
	r := parsed(t, Provenance(s))
	for path, want := range map[string]string{
		"target.reference": "Observation/o/_history/2", "recorded": "1970-01-01T00:00:01.500Z", "activity.coding.code": "UPDATE",
		"agent.who.identifier.value": abaton.ActorID{2}.String(), "agent.onBehalfOf.identifier.value": abaton.ActorID{3}.String(),
		"signature.type.code": "1.2.840.10065.1.12.1.1", "entity.what.identifier.value": s.Record.String(),
	} {
		if got := at(r, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	s.Person, s.Parents = abaton.ActorID{}, nil
	r = parsed(t, Provenance(s))
	if at(r, "agent.who.identifier.value") != (abaton.ActorID{3}).String() || at(r, "activity.coding.code") != "CREATE" {
		t.Errorf("nobody acted: got %s", r.Raw())
	}
	if s.Deleted = true; at(parsed(t, Provenance(s)), "activity.coding.code") != "DELETE" {
		t.Error("a deletion is not shown as one")
	}
}

const asking = `{"resourceType":"Consent","status":"proposed","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}`

func TestRequestOf(t *testing.T) {
	who := abaton.ActorID{5}
	for _, c := range []struct {
		name, rest string
		want       Request
		ok         bool
	}{
		{"nothing named", ``, Request{Categories: []fhir.Category{fhir.General}, Purpose: abaton.Treatment}, true},
		{"all named", `,"patient":{"reference":"Patient/p","identifier":{"system":"urn:abaton:actor","value":"` + who.String() + `"}},"provision":{"type":"permit",
			"period":{"start":"2026-01-01","end":"2026-02-01T00:00:00Z"},"actor":[{"reference":{"identifier":{"system":"urn:abaton:actor","value":"` + who.String() + `"}}}],
			"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HPAYMT"}],
			"securityLabel":[{"system":"urn:abaton:category","code":"imaging"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`,
			Request{Patient: who, Reference: "Patient/p", Grantee: who, Categories: []fhir.Category{fhir.Imaging, fhir.Psychiatric}, Purpose: abaton.Payment,
				Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}, true},
		{"another's identifier", `,"provision":{"actor":[{"reference":{"identifier":{"system":"urn:x","value":"1"}}}]}`, Request{Categories: []fhir.Category{fhir.General}, Purpose: abaton.Treatment}, true},
		{"unknown label", `,"provision":{"securityLabel":[{"system":"urn:abaton:category","code":"everything"}]}`, Request{}, false},
		{"label of nobody", `,"provision":{"securityLabel":[{"code":"R"}]}`, Request{}, false},
		{"unknown purpose", `,"provision":{"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"FUN"}]}`, Request{}, false},
		{"two purposes", `,"provision":{"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HPAYMT"}]}`, Request{}, false},
		{"deny", `,"provision":{"type":"deny"}`, Request{}, false},
		{"nested", `,"provision":{"provision":[{"type":"deny"}]}`, Request{}, false},
		{"two actors", `,"provision":{"actor":[{},{}]}`, Request{}, false},
		{"bad actor", `,"provision":{"actor":[{"reference":{"identifier":{"system":"urn:abaton:actor","value":"act1"}}}]}`, Request{}, false},
		{"bad period", `,"provision":{"period":{"end":"soon"}}`, Request{}, false},
		{"provision a list", `,"provision":[{"securityLabel":[]}]`, Request{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := RequestOf(parsed(t, []byte(asking+c.rest+`}`)))
			if (err == nil) != c.ok {
				t.Fatalf("got %v, want ok %v", err, c.ok)
			}
			if !c.ok {
				return
			}
			same := got.Patient == c.want.Patient && got.Reference == c.want.Reference && got.Grantee == c.want.Grantee && got.Purpose == c.want.Purpose &&
				got.Start.Equal(c.want.Start) && got.End.Equal(c.want.End) && len(got.Categories) == len(c.want.Categories)
			for i := range c.want.Categories {
				same = same && got.Categories[i] == c.want.Categories[i]
			}
			if !same {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	for _, other := range []string{`{"resourceType":"Consent","status":"proposed"}`, strings.Replace(asking, "proposed", "active", 1) + "}", `{"resourceType":"Basic","status":"proposed"}`} {
		if IsRequest(parsed(t, []byte(other))) {
			t.Errorf("%s: is taken for a request", other)
		}
	}
}

// FuzzRequestOf: what is read as a request asks for at least one part and has
// a purpose that a grant may have.
func FuzzRequestOf(f *testing.F) {
	f.Add([]byte(asking + `,"provision":{"period":{"end":"2026-01-01"},"securityLabel":[{"system":"urn:abaton:category","code":"general"}]}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := fhir.ParseResource(src)
		if err != nil {
			return
		}
		q, err := RequestOf(r)
		if err == nil && (len(q.Categories) == 0 || !q.Purpose.Valid() || !IsRequest(r)) {
			t.Errorf("got %+v", q)
		}
	})
}
