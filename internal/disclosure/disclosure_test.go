package disclosure

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

var (
	ana    = abaton.ActorID{1}
	doctor = abaton.ActorID{2}
	house  = abaton.ActorID{3}
	robot  = abaton.ActorID{4}
	other  = abaton.ActorID{5}
	shut   = abaton.Line{7}
)

// morning is 8:00 UTC of some day.
const morning = int64(1_767_600_000)/86400*86400 + 8*3600

func read(second int64, who abaton.ActorID) ledger.Line {
	return ledger.Line{Request: [32]byte{byte(second), byte(second >> 8), 1}, Op: ledger.OpRelease, Actor: who, Organisation: house, Device: abaton.ActorID{8}, Role: "physician",
		Session: abaton.SessionID{4}, Purpose: abaton.Treatment, Grant: abaton.GrantID{5}, First: morning + second, Last: morning + second + 1,
		Keepers: []abaton.KeeperIndex{1, 2, 4}, Lines: []abaton.Line{shut},
		Rows: []ledger.LineRow{{Batch: abaton.BatchName{6}, Released: 0b101, Confirmed: 0b1}},
		Told: []ledger.Told{{Keeper: 1, Outcome: ledger.Permitted, Policy: 7, Watch: ledger.Watch{Rules: 1, Level: 2, Fired: 2}}}}
}

func refusedRead(second int64, who abaton.ActorID) ledger.Line {
	l := read(second, who)
	l.Lines, l.Rows = nil, []ledger.LineRow{{Batch: abaton.BatchName{6}, Refused: 0b111}}
	l.Told = []ledger.Told{{Keeper: 1, Outcome: ledger.Refused, Reason: abaton.ReasonPolicy, Policy: 7}}
	return l
}

func deposit(second int64) ledger.Line {
	return ledger.Line{Request: [32]byte{9}, Op: ledger.OpDeposit, Actor: house, Organisation: house, First: morning + second, Last: morning + second,
		Keepers: []abaton.KeeperIndex{1, 2, 3, 4}, Lines: []abaton.Line{shut}, Rows: []ledger.LineRow{{Batch: abaton.BatchName{6}, Released: 0b111}},
		Told: []ledger.Told{{Keeper: 1, Outcome: ledger.Permitted}}}
}

func emergency(second int64) ledger.Line {
	l := read(second, doctor)
	l.Op, l.Purpose, l.Rows, l.Lines = ledger.OpEmergency, abaton.Emergency, nil, nil
	return l
}

func viewOf(lines ...ledger.Line) View {
	return View{History: &ledger.History{Lines: lines, Verdict: ledger.Complete, Answered: 4}, Patient: ana, KeeperSet: abaton.ActorID{11},
		Who: func(id abaton.ActorID) Party {
			return map[abaton.ActorID]Party{doctor: {Person, "dr. A. Example"}, house: {Kind: Organisation}, robot: {Kind: Program}, ana: {Patient, "A. Patient"}}[id]
		},
		Part: func(l abaton.Line) string { return map[abaton.Line]string{shut: "psychiatric"}[l] }}
}

// each is the events of a rendering as plain JSON.
func each(t *testing.T, v View) (nen map[string]any, ocsf []map[string]any) {
	t.Helper()
	if err := json.Unmarshal(NEN7513(v), &nen); err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(OCSF(v)) {
		var e map[string]any
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		ocsf = append(ocsf, e)
	}
	return nen, ocsf
}

// pick follows a path of fields and places, such as users.0.userID.
func pick(v any, path string) any {
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			if i := int(step[0] - '0'); i < len(x) {
				v = x[i]
			} else {
				return nil
			}
		default:
			return nil
		}
	}
	return v
}

func wants(t *testing.T, name string, got any, want map[string]any) {
	t.Helper()
	for path, w := range want {
		if g := pick(got, path); g != w {
			t.Errorf("%s, %s: got %v, want %v", name, path, g, w)
		}
	}
}

func TestNEN7513(t *testing.T) {
	handed := read(50, other)
	handed.Behalf = doctor
	v := viewOf(deposit(1), read(10, doctor), refusedRead(20, doctor), emergency(30), handed, read(60, ana))
	v.History.Lines[5].Organisation, v.History.Lines[5].Grant, v.History.Lines[5].Role = abaton.ActorID{}, abaton.GrantID{}, ""
	v.History.Gaps = []ledger.Gap{{Kind: ledger.GapShort, Keepers: []abaton.KeeperIndex{3}, From: morning, To: morning + 9, Requests: 2}}
	nen, _ := each(t, v)
	grant := "urn:abaton:grant:" + abaton.GrantID{5}.String()
	wants(t, "log", nen, map[string]any{"norm": "NEN 7513:2018", "clientID": ana.String(), "volledigheid": "complete", "hiaten.0.bewaarders.0": 3.0})
	wants(t, "read", pick(nen, "gebeurtenissen.1"), map[string]any{
		"eventID.code": "release", "eventActionCode": "R", "eventDateTime": time.Unix(morning+10, 0).UTC().Format(time.RFC3339), "eventOutcomeIndicator": 0.0, "controles": "TFTF",
		"users.0.userID": doctor.String(), "users.0.userName": "dr. A. Example", "users.0.userIsRequestor": true, "users.0.roleIDCode.code": "physician",
		"users.0.verantwoordelijkeID": doctor.String() + "@" + house.String(), "users.0.purposeOfUse.0.code": "TREAT", "users.0.networkAccessPointTypeCode": "1",
		"participants.0.participantObjectID": ana.String(), "participants.1.participantObjectIDTypeCode": "urn:abaton:batch", "participants.1.participantObjectSensitivity.0": "psychiatric",
		"participants.1.participantObjectPermissionPolicySet": grant, "toestemmingsProfiel": grant, "autorisatieProtocol": "urn:abaton:policy:" + house.String() + ":7",
		"behandelrelatieProtocol": "geen protocol", "auditSource.auditSourceID": abaton.ActorID{11}.String(), "auditSource.auditEnterpriseSiteID": house.String(),
	})
	wants(t, "deposit", pick(nen, "gebeurtenissen.0"), map[string]any{"eventActionCode": "C", "controles": nil, "participants.1.participantObjectDataLifeCycle": "1"})
	wants(t, "refused", pick(nen, "gebeurtenissen.2"), map[string]any{"eventOutcomeIndicator": 8.0, "eventOutcomeDescription.0": "policy", "controles": "FFFF"})
	wants(t, "emergency", pick(nen, "gebeurtenissen.3"), map[string]any{"eventTypeCode.code": "110127", "controles": "TFTT", "participants.1.participantObjectTypeCodeRole": "24"})
	wants(t, "in another's place", pick(nen, "gebeurtenissen.4"), map[string]any{"users.0.userID": other.String(), "users.0.verantwoordelijkeID": doctor.String() + "@" + house.String(),
		"users.1.userID": doctor.String(), "users.1.userIsRequestor": false, "users.1.roleIDCode.code": "rol onbekend"})
	wants(t, "own", pick(nen, "gebeurtenissen.5"), map[string]any{"users.0.roleIDCode.code": "01", "toestemmingsProfiel": "geen", "controles": "TFTF"})
}

// TestNEN7513Cardinality: what the norm demands of every event is there, for
// every operation and for a viewer who knows nothing.
func TestNEN7513Cardinality(t *testing.T) {
	var lines []ledger.Line
	for op := ledger.OpRelease; op <= ledger.OpLook; op++ {
		l := read(int64(op), doctor)
		l.Op = op
		bare := ledger.Line{Request: [32]byte{byte(op)}, Op: op, Actor: other, First: 1}
		lines = append(lines, l, bare)
	}
	v := viewOf(lines...)
	for _, knows := range []bool{true, false} {
		if !knows {
			v.Who, v.Part = nil, nil
		}
		nen, _ := each(t, v)
		events := nen["gebeurtenissen"].([]any)
		if len(events) != len(lines) {
			t.Fatalf("got %d events, want %d", len(events), len(lines))
		}
		for i, e := range events {
			for _, path := range []string{"eventID.code", "eventActionCode", "eventDateTime", "eventOutcomeIndicator", "users.0.userID", "users.0.roleIDCode.code", "users.0.verantwoordelijkeID",
				"participants.0.participantObjectIDTypeCode", "participants.0.participantObjectID", "autorisatieProtocol", "behandelrelatieProtocol", "toestemmingsProfiel", "auditSource.auditSourceID"} {
				if x := pick(e, path); x == nil || x == "" {
					t.Errorf("%s: has no %s", lines[i].Op, path)
				}
			}
			if !strings.Contains("CRUDE", pick(e, "eventActionCode").(string)) {
				t.Errorf("%s: action %v", lines[i].Op, pick(e, "eventActionCode"))
			}
			if c, _ := pick(e, "controles").(string); c != "" && !regexp.MustCompile(`^[TF]{4}$`).MatchString(c) {
				t.Errorf("%s: checks %q", lines[i].Op, c)
			}
			requestors := 0
			for _, u := range pick(e, "users").([]any) {
				if pick(u, "userIsRequestor") == true {
					requestors++
				}
			}
			if requestors != 1 {
				t.Errorf("%s: %d requestors, want one", lines[i].Op, requestors)
			}
		}
	}
}

// TestOCSF: class 6003 of OCSF 1.8.0, its required attributes and the fixed
// numbers; no name of anybody.
func TestOCSF(t *testing.T) {
	partly := read(40, robot)
	partly.Rows[0].Refused = 0b10
	renewed := read(50, doctor)
	renewed.Renewals, renewed.Renewed = 2, morning+99
	v := viewOf(deposit(1), read(10, doctor), refusedRead(20, doctor), emergency(30), partly, renewed)
	_, events := each(t, v)
	if len(events) != 6 {
		t.Fatalf("got %d events, want 6", len(events))
	}
	for i, e := range events {
		for _, path := range []string{"activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time", "metadata.version", "metadata.product.name", "actor.user.uid", "api.operation",
			"api.request.uid", "src_endpoint.uid", "dst_endpoint.uid", "status_id"} {
			if x := pick(e, path); x == nil || x == "" {
				t.Errorf("event %d has no %s", i, path)
			}
		}
		if e["class_uid"] != 6003.0 || e["category_uid"] != 6.0 || e["type_uid"] != 600300+e["activity_id"].(float64) {
			t.Errorf("event %d: class %v, category %v, type %v, activity %v", i, e["class_uid"], e["category_uid"], e["type_uid"], e["activity_id"])
		}
	}
	wants(t, "read", events[1], map[string]any{"activity_id": 2.0, "time": float64(1000 * (morning + 10)), "status_id": 1.0, "actor.user.type_id": 1.0, "actor.user.groups.0.name": "physician",
		"actor.user.org.uid": house.String(), "actor.authorizations.0.decision": "allowed", "actor.authorizations.1.policy.version": "7", "src_endpoint.uid": abaton.ActorID{8}.String(),
		"resources.0.type": "patient", "resources.1.uid": abaton.BatchName{6}.String(), "resources.1.labels.0": "psychiatric", "unmapped.purpose_of_use": "TREAT", "unmapped.watch.level": 2.0})
	wants(t, "deposit", events[0], map[string]any{"activity_id": 1.0, "actor.user.type_id": 4.0})
	wants(t, "refused", events[2], map[string]any{"status_id": 2.0, "status": "Failure", "status_code": "policy", "actor.authorizations.0.decision": "denied"})
	wants(t, "emergency", events[3], map[string]any{"activity_id": 99.0, "activity_name": "emergency", "unmapped.emergency": true})
	wants(t, "partly", events[4], map[string]any{"status_id": 99.0, "status": "Partial", "actor.user.type_id": 4.0})
	wants(t, "renewed", events[5], map[string]any{"count": 3.0, "start_time": float64(1000 * (morning + 50)), "end_time": float64(1000 * (morning + 99))})
	if b := OCSF(v); bytes.Contains(b, []byte("Example")) || bytes.Contains(b, []byte("A. Patient")) {
		t.Error("a name is in what goes to other systems")
	}
}

func TestListsForPeople(t *testing.T) {
	again := read(20, doctor)
	again.Rows = []ledger.LineRow{{Batch: abaton.BatchName{6}, Released: 0b110}}
	disputed := read(40, doctor)
	disputed.Disputed = true
	kept := read(50, doctor)
	kept.Purpose = abaton.Operations
	v := viewOf(deposit(1), read(10, doctor), again, refusedRead(30, doctor), refusedRead(31, doctor), disputed, kept, emergency(60), emergency(61), read(70, robot),
		read(80, other), read(90, ana), read(86400, doctor))
	l := Lists(v, nil)
	var got []string
	for _, s := range l.Opened {
		got = append(got, s.Line.Op.String()+" "+v.name(s.Line.Actor)[:4]+" "+string(rune('0'+s.Times)))
	}
	want := []string{"release dr.  2", "release dr.  1", "release dr.  1", "release dr.  1", "release dr.  1", "emergency dr.  1", "emergency dr.  1", "release act1 1", "release A. P 1", "release dr.  1"}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("people: got %q, want %q", got, want)
	}
	if len(l.Processed) != 2 || l.Processed[0].Line.Op != ledger.OpDeposit || l.Processed[1].Line.Actor != robot {
		t.Errorf("systems: got %d rows, want the deposit and the program's read", len(l.Processed))
	}
	first := l.Opened[0]
	if first.Released != 3 || first.First != morning+10 || first.Last != morning+21 || len(first.Parts) != 1 || first.Parts[0] != "psychiatric" {
		t.Errorf("folded: got %d records, %d to %d, %v; want each record once, from the first to the last", first.Released, first.First, first.Last, first.Parts)
	}
	times := 0
	for _, s := range append(l.Opened, l.Processed...) {
		times += s.Times
	}
	if times != len(v.History.Lines) {
		t.Errorf("rows stand for %d lines, want all %d", times, len(v.History.Lines))
	}
	// In JSON every line stays.
	nen, ocsf := each(t, v)
	if len(nen["gebeurtenissen"].([]any)) != len(v.History.Lines) || len(ocsf) != len(v.History.Lines) {
		t.Error("a rendering for machines folded lines")
	}
	// Midnight is that of the reader.
	if got := len(Lists(viewOf(read(0, doctor), read(7*3600, doctor)), time.FixedZone("east", 10*3600)).Opened); got != 2 {
		t.Errorf("over midnight: got %d rows, want 2", got)
	}
	// Nobody is known: nothing hides among the machines.
	blind := v
	blind.Who = nil
	if got := len(Lists(blind, nil).Processed); got != 1 {
		t.Errorf("nobody known: got %d processed rows, want the deposit alone", got)
	}
}
