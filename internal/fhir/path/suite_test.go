package path

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// suite is the official test suite (FHIR/fhir-test-cases, Apache-2.0).
type suite struct {
	Groups []struct {
		Name  string      `xml:"name,attr"`
		Tests []suiteTest `xml:"test"`
	} `xml:"group"`
}

type suiteTest struct {
	Name       string `xml:"name,attr"`
	Input      string `xml:"inputfile,attr"`
	Predicate  bool   `xml:"predicate,attr"`
	Mode       string `xml:"mode,attr"`
	Expression struct {
		Text    string `xml:",chardata"`
		Invalid string `xml:"invalid,attr"`
		Mode    string `xml:"mode,attr"`
	} `xml:"expression"`
	Outputs []struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"output"`
}

// run is "" if the test passes, else what went wrong.
func (s *suiteTest) run(inputs map[string]fhir.Resource) string {
	e, err := Compile(s.Expression.Text)
	if err != nil {
		if s.Expression.Invalid != "" {
			return ""
		}
		return "compile: " + err.Error()
	}
	scope := Scope{Types: structure.R4(), Now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Strict: s.Mode == "strict" || s.Expression.Mode == "strict" || s.Expression.Invalid == "semantic"}
	if s.Input != "" {
		r, ok := inputs[strings.TrimSuffix(strings.TrimSuffix(s.Input, ".xml"), ".json")]
		if !ok {
			return "input missing"
		}
		scope.Focus = Of(scope.Types, r.Value)
	}
	out, err := e.Eval(scope)
	if s.Expression.Invalid != "" {
		if err != nil {
			return ""
		}
		return "no error"
	}
	if err != nil {
		return "eval: " + err.Error()
	}
	if s.Predicate {
		b, known, err := truth(out)
		out = boolean(b && known)
		if err != nil {
			return err.Error()
		}
	}
	return s.compare(out)
}

func (s *suiteTest) compare(out Collection) string {
	var got, want []string
	for i, it := range out {
		text, _ := it.Text()
		kind := it.info().name
		if i < len(s.Outputs) && s.Outputs[i].Type == "" {
			kind = ""
		}
		got = append(got, strings.ToLower(kind)+" "+normal(kind, text))
	}
	for _, o := range s.Outputs {
		want = append(want, strings.ToLower(o.Type)+" "+normal(o.Type, o.Text))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Sprintf("got %v, want %v", got, want)
	}
	return ""
}

// normal is a value as both sides can write it.
func normal(kind, text string) string {
	switch strings.ToLower(kind) {
	case "", "date", "datetime", "time", "instant":
		return strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "@"), "T")
	case "quantity":
		number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
		if d, ok := parseDecimal(number); ok {
			return d.trim().String() + " " + unit
		}
	case "decimal":
		if d, ok := parseDecimal(text); ok {
			return d.trim().String()
		}
	}
	return text
}

func readSuite(t *testing.T, name string) *suite {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Skip("the official suite is not here; set ABATON_FHIR_DATA to its folder to run all of it")
	}
	s := &suite{}
	if err := xml.Unmarshal(text, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func readInputs(t *testing.T) map[string]fhir.Resource {
	t.Helper()
	inputs := map[string]fhir.Resource{}
	names, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.ParseResource(text)
		if err != nil {
			t.Fatal(name, err)
		}
		inputs[strings.TrimSuffix(filepath.Base(name), ".json")] = r
	}
	return inputs
}

// suiteFloor is how many tests of the official suite passed when it was last
// looked at.
const suiteFloor = 919

// TestOfficialSuite runs the whole suite and reports each group.
func TestOfficialSuite(t *testing.T) {
	folder := os.Getenv("ABATON_FHIR_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	s := readSuite(t, filepath.Join(folder, "validator", "fhirpath-tests-r4.xml"))
	inputs := readInputs(t)
	passed, total := 0, 0
	var failed []string
	for _, g := range s.Groups {
		for i := range g.Tests {
			total++
			if why := g.Tests[i].run(inputs); why == "" {
				passed++
			} else {
				failed = append(failed, g.Name+"/"+g.Tests[i].Name+": "+strings.TrimSpace(g.Tests[i].Expression.Text)+": "+why)
			}
		}
	}
	slices.Sort(failed)
	for _, f := range failed {
		t.Log(f)
	}
	t.Logf("passed %d of %d", passed, total)
	if passed < suiteFloor {
		t.Errorf("passed: got %d, want at least %d", passed, suiteFloor)
	}
}
