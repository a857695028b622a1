package fhir

import "testing"

func TestOverlay(t *testing.T) {
	for name, c := range map[string]struct{ base, over, want string }{
		"takes over what it has, keeps the rest byte for byte": {
			`{"resourceType":"Patient","id":"p","gender": "male","extension":[{"url":"x","valueDecimal":1.50}],"photo":[]}`,
			`{"resourceType":"Patient","gender":"female","birthDate":"1980"}`,
			`{"resourceType":"Patient","id":"p","gender":"female","extension":[{"url":"x","valueDecimal":1.50}],"photo":[],"birthDate":"1980"}`,
		},
		"identifiers are added to": {
			`{"resourceType":"Patient","identifier":[{"system":"a","value":"1","type":{"text":"t"}},{"value":"9"}]}`,
			`{"resourceType":"Patient","identifier":[{"system":"a","value":"1"},{"system":"b","value":"1"},{"value":"9"}]}`,
			`{"resourceType":"Patient","identifier":[{"system":"a","value":"1","type":{"text":"t"}},{"value":"9"},{"system":"b","value":"1"}]}`,
		},
		"the narrative goes, and the other form of a choice": {
			`{"resourceType":"Patient","text":{"status":"generated","div":"<div>old</div>"},"deceasedBoolean":false,"multipleBirthInteger":2}`,
			`{"resourceType":"Patient","deceasedDateTime":"2026"}`,
			`{"resourceType":"Patient","multipleBirthInteger":2,"deceasedDateTime":"2026"}`,
		},
		"labels are added, id and version stay": {
			`{"resourceType":"Patient","id":"p","meta":{"versionId":"1","security":[{"code":"R"}],"profile":["x"]}}`,
			`{"resourceType":"Patient","id":"q","meta":{"versionId":"2","security":[{"code":"R"},{"code":"HIV"}]}}`,
			`{"resourceType":"Patient","id":"p","meta":{"versionId":"1","security":[{"code":"R"},{"code":"HIV"}],"profile":["x"]}}`,
		},
		"labels where there were none": {
			`{"resourceType":"Patient","meta":{"profile":["x"]}}`, `{"resourceType":"Patient","meta":{"security":[{"code":"R"}]}}`,
			`{"resourceType":"Patient","meta":{"profile":["x"],"security":[{"code":"R"}]}}`,
		},
	} {
		base, over := mustResource(t, c.base), mustResource(t, c.over)
		if got := string(Overlay(base, over)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if again := mustResource(t, string(Overlay(base, over))); string(Overlay(again, over)) != c.want {
			t.Errorf("%s: laid over twice it is another", name)
		}
	}
}

func TestReplace(t *testing.T) {
	base := mustResource(t, `{"resourceType":"DiagnosticReport","status":"final","conclusion":"old","result":[{"reference":"Observation/a"}],"identifier":[{"value":"1"}]}`)
	over := mustResource(t, `{"resourceType":"DiagnosticReport","status":"corrected","result":[{"reference":"Observation/b"},{"reference":"Observation/a"}]}`)
	want := `{"resourceType":"DiagnosticReport","status":"corrected","result":[{"reference":"Observation/a"},{"reference":"Observation/b"}],"identifier":[{"value":"1"}]}`
	if got := string(Replace(base, over, "identifier", "result")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
