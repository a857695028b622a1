package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// issuesOf reads an OperationOutcome: severity and diagnostics of each issue.
func issuesOf(t *testing.T, body []byte) (out []string) {
	t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Severity, Diagnostics string
			Expression            []string
		}
	}
	if err := json.Unmarshal(body, &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
		t.Fatalf("got no OperationOutcome with issues: %v", err)
	}
	for _, i := range o.Issue {
		out = append(out, i.Severity+" "+strings.Join(i.Expression, ",")+" "+i.Diagnostics)
	}
	return out
}

func has(issues []string, want string) bool {
	return slices.ContainsFunc(issues, func(s string) bool { return strings.Contains(s, want) })
}

func TestValidateOperation(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	good := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}}`
	planted := `{"resourceType":"Observation","status":"planted-secret","planted-member":1}`
	for _, c := range []struct {
		name, path, body string
		want             []string
	}{
		{"valid", "/Observation/$validate", good, []string{"information  no error was found; not checked: codes of http://loinc.org"}},
		{"invalid", "/Observation/$validate?mode=create", planted, []string{"error Observation.status binding: ", "error Observation min: Observation.code", "unknown-member", "errors were found"}},
		{"not JSON", "/Observation/$validate", `{"resourceType":`, []string{"fatal", "json: the body is not strict JSON"}},
		{"wrong type", "/Patient/$validate", good, []string{"type: the resource's type is not that of the URL"}},
		{"in Parameters", "/Observation/$validate", `{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"update"},{"name":"resource","resource":` + good + `}]}`, []string{"no error was found"}},
		{"Parameters itself", "/Parameters/$validate", `{"resourceType":"Parameters","parameter":[{"name":"x"}]}`, []string{"inv-1"}},
		{"other id", "/Observation/abc/$validate", strings.Replace(good, `"status"`, `"id":"abd","status"`, 1), []string{"id: the resource's id is not that of the URL"}},
		{"profile", "/Observation/$validate?profile=http://hl7.org/fhir/StructureDefinition/bp", good, []string{"profile-min: the profile needs at least 1 of subject"}},
		{"unknown profile", "/Observation/$validate?profile=http://planted.example/p", good, []string{"not checked: codes of http://loinc.org; profiles that are not part of the definitions"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, body := k.c.want(http.StatusOK, "POST", c.path, c.body, nil)
			got := issuesOf(t, body)
			for _, want := range c.want {
				if !has(got, want) {
					t.Errorf("issues: got %q, want one with %q", got, want)
				}
			}
			if bytes.Contains(body, []byte("planted")) {
				t.Error("the outcome quotes what was sent")
			}
		})
	}
	k.c.want(http.StatusBadRequest, "POST", "/Observation/$validate?mode=guess", good, nil)
	k.c.want(http.StatusBadRequest, "POST", "/Observation/$validate", `{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"}]}`, nil)
	k.c.want(http.StatusNotFound, "POST", "/Observation/nobodys/$validate?mode=delete", `{"resourceType":"Parameters"}`, nil)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(""), nil)
	k.c.want(http.StatusOK, "POST", "/Observation/"+idOf(resp)+"/$validate?mode=delete", `{"resourceType":"Parameters"}`, nil)
	if strings.Contains(k.logged.String(), "planted") {
		t.Error("the log quotes what was sent")
	}
}

func TestValidateWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	bad := k.observation(`,"planted-member":1`) // no code, and a member that is none
	count := func() string {
		_, body := k.c.want(http.StatusOK, "GET", "/Observation?patient="+k.id+"&_count=0", "", nil)
		return string(body)
	}
	outcome := k.c.with("Prefer", "return=OperationOutcome")

	_, body := outcome.want(http.StatusCreated, "POST", "/Observation", bad, nil)
	if got := issuesOf(t, body); len(got) != 1 || !has(got, "four keepers") {
		t.Errorf("off: got %q, want the write alone", got)
	}
	k.gateway.validation = ValidateWarn
	_, body = outcome.want(http.StatusCreated, "POST", "/Observation", bad, nil)
	if got := issuesOf(t, body); !has(got, "four keepers") || !has(got, "Observation.code is missing") || !has(got, "unknown-member") {
		t.Errorf("warn: got %q, want the write and what is wrong", got)
	}
	_, body = outcome.want(http.StatusOK, "POST", "/", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":`+bad+`,"request":{"method":"POST","url":"Observation"}}]}`, nil)
	if !bytes.Contains(body, []byte("Observation.code is missing")) || !bytes.Contains(body, []byte("201 Created")) {
		t.Errorf("warn in a batch: got %s", body)
	}

	k.gateway.validation = ValidateRefuse
	before := count()
	_, body = k.c.want(http.StatusUnprocessableEntity, "POST", "/Observation", bad, nil)
	if got := issuesOf(t, body); !has(got, "no valid FHIR R4") || !has(got, "Observation.code is missing") {
		t.Errorf("refuse: got %q, want what is wrong", got)
	}
	if bytes.Contains(body, []byte("planted")) {
		t.Error("the outcome quotes what was sent")
	}
	good := k.observation(`,"code":{"text":"x"}`)
	k.c.want(http.StatusUnprocessableEntity, "POST", "/", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+good+`,"request":{"method":"POST","url":"Observation"}},{"resource":`+bad+`,"request":{"method":"POST","url":"Observation"}}]}`, nil)
	if after := count(); after != before {
		t.Errorf("after refusals: got %s, want %s", after, before)
	}
	k.c.want(http.StatusCreated, "POST", "/Observation", good, nil)
}

func TestParseValidation(t *testing.T) {
	for s, want := range map[string]Validation{"": ValidateOff, "off": ValidateOff, "warn": ValidateWarn, "refuse": ValidateRefuse} {
		if got, err := ParseValidation(s); got != want || err != nil {
			t.Errorf("ParseValidation(%q): got %v, %v, want %v", s, got, err, want)
		}
	}
	if _, err := ParseValidation("Refuse"); err == nil {
		t.Error("ParseValidation: got no error for another spelling")
	}
}
