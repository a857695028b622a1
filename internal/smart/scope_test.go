package smart

import (
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

func TestParseScopes(t *testing.T) {
	for _, c := range []struct{ text, want, dropped string }{
		{"", "", ""},
		{"patient/Observation.rs", "patient/Observation.rs", ""},
		{"  patient/*.cruds   patient/*.cruds ", "patient/*.cruds", ""},
		{"patient/*.read user/*.write system/*.*", "patient/*.read user/*.write system/*.*", ""},
		{"openid fhirUser launch launch/patient offline_access online_access openid", "openid fhirUser launch launch/patient offline_access online_access", ""},
		{"patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory", ""},
		{"patient/Observation.rs?category=http%3A%2F%2Fx%7Ca&status=final", "patient/Observation.rs?category=http%3A%2F%2Fx%7Ca&status=final", ""},
		{"patient/Observation.sr", "", "patient/Observation.sr"},
		{"patient/Observation.rr", "", "patient/Observation.rr"},
		{"patient/Observation.", "", "patient/Observation."},
		{"patient/Observation", "", "patient/Observation"},
		{"patient/Nothing.rs", "", "patient/Nothing.rs"},
		{"patient/observation.rs", "", "patient/observation.rs"},
		{"nurse/*.rs", "", "nurse/*.rs"},
		{"/Patient.rs", "", "/Patient.rs"},
		{"none/Patient.rs", "", "none/Patient.rs"},
		{"launch/encounter profile email", "", "launch/encounter profile email"},
		{"patient/Observation.rs?", "", "patient/Observation.rs?"},
		{"patient/Observation.rs?category=", "", "patient/Observation.rs?category="},
		{"patient/Observation.rs?category=a,", "", "patient/Observation.rs?category=a,"},
		{"patient/Observation.rs?subject.name=x", "", "patient/Observation.rs?subject.name=x"},
		{"patient/Observation.rs?category:not=laboratory", "", "patient/Observation.rs?category:not=laboratory"},
		{"patient/Observation.read?category=laboratory", "", "patient/Observation.read?category=laboratory"},
		{"patient/Observation.rs?category=a?b", "patient/Observation.rs?category=a%3Fb", ""},
	} {
		s, dropped, err := ParseScopes(c.text)
		if err != nil || s.String() != c.want || strings.Join(dropped, " ") != c.dropped {
			t.Errorf("ParseScopes(%q): got %q, dropped %v, %v; want %q, %q", c.text, s, dropped, err, c.want, c.dropped)
		}
	}
	for name, text := range map[string]string{"long": strings.Repeat("x", ScopeBytesMax+1), "many": strings.Repeat("openid ", scopesMax+1)} {
		if s, _, err := ParseScopes(text); err == nil || !s.Empty() {
			t.Errorf("%s: got %q, %v, want an error", name, s, err)
		}
	}
}

func mustScopes(t testing.TB, text string) Scopes {
	t.Helper()
	s, dropped, err := ParseScopes(text)
	if err != nil || len(dropped) > 0 {
		t.Fatalf("scopes %q: %v, %v", text, dropped, err)
	}
	return s
}

func TestWithin(t *testing.T) {
	for _, c := range []struct{ asked, allowed, want string }{
		{"patient/*.rs", "patient/Observation.r patient/Condition.s", "patient/Observation.r patient/Condition.s"},
		{"patient/Observation.cruds", "patient/*.rs", "patient/Observation.rs"},
		{"patient/*.read", "patient/*.rs", "patient/*.read"},
		{"patient/*.read", "patient/*.r", "patient/*.r"},
		{"patient/*.*", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"},
		{"patient/Observation.rs?status=final", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?status=final&category=laboratory"},
		{"user/*.rs", "patient/*.rs", ""},
		{"patient/Observation.c", "patient/Observation.rs", ""},
		{"patient/Observation.r", "patient/Condition.r", ""},
		{"openid launch patient/*.r", "openid patient/*.r", "openid patient/*.r"},
	} {
		if got := mustScopes(t, c.asked).Within(mustScopes(t, c.allowed)).String(); got != c.want {
			t.Errorf("%q within %q: got %q, want %q", c.asked, c.allowed, got, c.want)
		}
	}
}

func resource(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.ParseResource([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCovers(t *testing.T) {
	lab := resource(t, `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://a","code":"laboratory"}]},{"coding":[{"system":"http://b","code":"x"}]}]}`)
	bare := resource(t, `{"resourceType":"Observation","status":"final"}`)
	text := resource(t, `{"resourceType":"Observation","category":[{"text":"laboratory"}]}`)
	encounter := resource(t, `{"resourceType":"Encounter","class":{"system":"http://c","code":"AMB"},"meta":{"security":[{"system":"http://s","code":"R"}]}}`)
	for _, c := range []struct {
		scopes string
		action Action
		at     Place
		r      fhir.Resource
		want   bool
	}{
		{"patient/Observation.rs", Read, InContext, lab, true},
		{"patient/Observation.rs", Read, Elsewhere, lab, false},
		{"patient/Observation.rs", Read, InDirectory, lab, true},
		{"patient/Observation.cruds", Create, InDirectory, lab, false},
		{"user/Observation.cruds", Create, InDirectory, lab, true},
		{"patient/Observation.rs", Read, 0, lab, false},
		{"user/Observation.rs", Read, Elsewhere, lab, true},
		{"system/Observation.rs", Search, Elsewhere, lab, true},
		{"patient/Observation.rs", Update, InContext, lab, false},
		{"patient/Observation.rs", 0, InContext, lab, false},
		{"patient/Condition.rs", Read, InContext, lab, false},
		{"patient/*.rs", Read, InContext, lab, true},
		{"patient/Observation.r?category=laboratory", Read, InContext, lab, true},
		{"patient/Observation.r?category=laboratory", Read, InContext, bare, false},
		{"patient/Observation.r?category=laboratory", Read, InContext, text, false},
		{"patient/Observation.r?category=laboratory", Read, InContext, fhir.Resource{}, false},
		{"patient/Observation.r", Read, InContext, fhir.Resource{}, true},
		{"patient/Observation.r?category=http%3A%2F%2Fa|laboratory", Read, InContext, lab, true},
		{"patient/Observation.r?category=http%3A%2F%2Fb|laboratory", Read, InContext, lab, false},
		{"patient/Observation.r?category=|laboratory", Read, InContext, lab, false},
		{"patient/Observation.r?category=http%3A%2F%2Fb|", Read, InContext, lab, true},
		{"patient/Observation.r?category=y,x", Read, InContext, lab, true},
		{"patient/Observation.r?category=x&category=laboratory", Read, InContext, lab, true},
		{"patient/Observation.r?category=x&category=y", Read, InContext, lab, false},
		{"patient/Observation.r?status=final", Read, InContext, bare, true},
		{"patient/Observation.r?status=amended", Read, InContext, bare, false},
		{"patient/Encounter.r?class=AMB", Read, InContext, encounter, true},
		{"patient/Encounter.r?_security=http%3A%2F%2Fs|R", Read, InContext, encounter, true},
		{"patient/Encounter.r?_security=N", Read, InContext, encounter, false},
	} {
		kind := c.r.Type
		if kind == "" {
			kind = "Observation"
		}
		if got := mustScopes(t, c.scopes).Covers(c.action, c.at, kind, c.r); got != c.want {
			t.Errorf("%s, %s at %d: got %v, want %v", c.scopes, c.action, c.at, got, c.want)
		}
	}
	if (Scopes{}).Covers(Read, InContext, "Patient", fhir.Resource{}) || (Scope{}).covers(Read, InContext, "Patient") {
		t.Error("the zero scopes cover something")
	}
}

func TestWordsLeaveNothingOut(t *testing.T) {
	for _, c := range []struct{ scopes, want string }{
		{"patient/Observation.cruds", "see, add, change and delete measurements and test results"},
		{"user/Condition.s", "see diagnoses and problems, of every patient you may see"},
		{"patient/Observation.r?category=http%3A%2F%2Fa|laboratory,b", "see measurements and test results, only those whose category is laboratory or b"},
		{"patient/Basic.c", "add records of the kind Basic"},
	} {
		if got := mustScopes(t, c.scopes).Words(); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %q, want %q", c.scopes, got, c.want)
		}
	}
	for _, kind := range []string{"Patient", "Observation", "Binary", "VisionPrescription"} {
		if wordOf(kind) == "" {
			t.Errorf("%s has no words", kind)
		}
	}
}

// FuzzScopes: what was understood is written so that it is understood the same
// again, and narrowing never widens.
func FuzzScopes(f *testing.F) {
	for _, seed := range []string{"patient/*.rs", "patient/Observation.rs?category=a|b,c&status=%20", "openid launch user/*.read", "patient/*.*?x=1", "system/Basic.cruds?_tag=\x00"} {
		f.Add(seed, "patient/*.cruds user/*.rs")
		f.Add("patient/*.cruds", seed)
	}
	f.Fuzz(func(t *testing.T, text, allowed string) {
		s, _, err := ParseScopes(text)
		if err != nil {
			return
		}
		again, dropped, err := ParseScopes(s.String())
		if len(s.String()) <= ScopeBytesMax && (err != nil || len(dropped) > 0 || again.String() != s.String()) {
			t.Errorf("%q is written %q and read %q, %v, %v", text, s, again, dropped, err)
		}
		most, _, err := ParseScopes(allowed)
		if err != nil {
			return
		}
		both := s.Within(most)
		for _, a := range []Action{Create, Read, Update, Delete, Search} {
			for _, kind := range []string{"Patient", "Observation"} {
				if both.Can(a, kind) && (!s.Can(a, kind) || !most.Can(a, kind)) {
					t.Errorf("%q within %q allows %s of %s", text, allowed, a, kind)
				}
			}
		}
		s.Words()
	})
}
