package path

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// TestExtract runs the committed part of the official suite.
func TestExtract(t *testing.T) {
	s, inputs := readSuite(t, "testdata/extract.xml"), readInputs(t)
	n := 0
	for _, g := range s.Groups {
		for i := range g.Tests {
			n++
			if why := g.Tests[i].run(inputs); why != "" {
				t.Errorf("%s/%s: %s", g.Name, g.Tests[i].Name, why)
			}
		}
	}
	if n < 200 {
		t.Errorf("tests in the extract: got %d, want at least 200", n)
	}
}

func patient(t testing.TB) Item {
	t.Helper()
	text, err := os.ReadFile("testdata/patient-example.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.ParseResource(text)
	if err != nil {
		t.Fatal(err)
	}
	return Of(structure.R4(), r.Value)
}

// evaluate gives the texts of a result, joined by commas.
func evaluate(t testing.TB, source string, s Scope) (string, error) {
	t.Helper()
	e, err := Compile(source)
	if err != nil {
		return "", err
	}
	s.Types = structure.R4()
	out, err := e.Eval(s)
	var texts []string
	for _, it := range out {
		text, _ := it.Text()
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), err
}

func TestArithmeticIsExact(t *testing.T) {
	for source, want := range map[string]string{
		"0.1 + 0.2":                    "0.3",
		"1.50":                         "1.50",
		"1.10 * 1.10":                  "1.2100",
		"1 / 3":                        "0.33333333333333333333",
		"7 div 2":                      "3",
		"-7 mod 2":                     "-1",
		"2147483647 + 1":               "2147483648",
		"9223372036854775807 + 1":      "",
		"1 / 0":                        "",
		"1 / 0.0":                      "",
		"(1.005).round(2)":             "1.01",
		"99999999999999999999.5 + 0.5": "100000000000000000000.0",
		"1.0 = 1.00":                   "true",
		"@2012 < @2012-02":             "",
		"@2012-01-31 + 1 month":        "2012-02-29",
		"@2012-02-29 + 1 year":         "2013-02-28",
		"@2012-02 + 31 days":           "2012-03",
		"@T23:00 + 2 hours":            "01:00",
		"@2012-01-01T10:00:00Z = @2012-01-01T11:00:00+01:00": "true",
		"@2012-01-01T10:00:00Z = @2012-01-01T10:00:00":       "",
		"1 'g' = 1000 'mg'":  "true",
		"1 'g' < 1 'm'":      "",
		"1 year = 12 months": "true",
		"(-5.5).abs() & ''":  "5.5",
		"'a' in ('b' | 'a')": "true",
		"{} and false":       "false",
		"{} or true":         "true",
		"{} implies true":    "true",
		"{} xor true":        "",
	} {
		if got, err := evaluate(t, source, Scope{}); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
}

func TestNavigation(t *testing.T) {
	for source, want := range map[string]string{
		"name.given.first()":                      "Peter",
		"Patient.name.where(use = 'usual').given": "Jim",
		"Resource.id":                             "example",
		"Observation.id":                          "",
		"deceased":                                "false",
		"deceased is boolean":                     "true",
		"birthDate.extension('http://hl7.org/fhir/StructureDefinition/patient-birthTime').value": "1974-12-25T14:35:45-05:00",
		"nothing":      "",
		"%resource.id": "example",
		"%`vs-x`":      "http://hl7.org/fhir/ValueSet/x",
		"managingOrganization.reference.resolve()": "",
		"name[1].given[0]":                         "Jim",
		"name[9]":                                  "",
	} {
		if got, err := evaluate(t, source, Scope{Focus: patient(t)}); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	for _, source := range []string{"now()", "%nothing", "htmlChecks()", "name.single()", "'a' > 1", "name is Nothing"} {
		if _, err := evaluate(t, source, Scope{Focus: patient(t)}); err == nil {
			t.Errorf("%s: got no error", source)
		}
	}
}

// TestHostile: whatever an expression asks for, it ends with an error instead
// of with more work.
func TestHostile(t *testing.T) {
	long := strings.Repeat("a", 1000)
	for name, source := range map[string]string{
		"endless repeat":  "repeatAll($this)",
		"growing repeat":  "(1).repeatAll($this + 1)",
		"doubling text":   "(" + strings.Repeat("1|", 60) + "1).select($this)" + strings.Repeat(".select(%context.descendants())", 6),
		"aggregate":       "descendants().aggregate($total & $total & '" + long + "', '" + long + "').length()",
		"replace":         "'" + long + "'" + strings.Repeat(".replace('', '"+long+"')", 4),
		"power of digits": "descendants().aggregate($total * $total, 9999999999.9).toString()",
		"pairs":           "descendants().select(%context.descendants()).isDistinct()",
	} {
		_, err := evaluate(t, source, Scope{Focus: patient(t), Steps: 200_000})
		if !errors.Is(err, ErrBudget) {
			t.Errorf("%s: got %v, want ErrBudget", name, err)
		}
	}
	for name, source := range map[string]string{
		"brackets": strings.Repeat("(", 100_000),
		"deep":     strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000),
		"signs":    strings.Repeat("-", 5000) + "1",
		"chain":    "a" + strings.Repeat(".a", 5000),
		"indexes":  "a" + strings.Repeat("[0]", 5000),
		"calls":    strings.Repeat("iif(true,", 1500) + "1" + strings.Repeat(")", 1500),
		"digits":   strings.Repeat("9", 1000),
		"large":    "'" + strings.Repeat("x", ExpressionBytesMax) + "'",
		"pattern":  "'a'.matches('(a{1000}){1000}')",
		"look":     "'a'.matches('(?=a)')",
	} {
		if _, err := evaluate(t, source, Scope{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	huge, err := fhir.ParseResource([]byte(`{"resourceType":"Observation","valueQuantity":{"value":1e999999999},"component":[{"valueQuantity":{"value":1e-200}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"value.value + 1 > 0", "component.value.value * component.value.value"} {
		e, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		e.Eval(Scope{Types: structure.R4(), Focus: Of(structure.R4(), huge.Value)}) // ends
	}
}

// TestErrorsAreSilent: no error quotes the expression or the resource.
func TestErrorsAreSilent(t *testing.T) {
	for _, source := range []string{"planted(", "planted()", "'planted' + 1", "'planted'.toInteger().nothing() ", "%planted", "'planted' > 1", "'planted'.matches('(planted')", "1 is planted", "@planted", "$planted", "'planted"} {
		_, err := evaluate(t, source, Scope{Focus: patient(t)})
		if err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("an error is missing or quotes: %v", err)
		}
	}
}

// TestEveryInvariantRuns: the invariants of the definitions compile, and run
// on what they are for.
func TestEveryInvariantRuns(t *testing.T) {
	types := structure.R4()
	n := 0
	for rule := range types.Rules() {
		n++
		e, err := Compile(rule.Expression)
		if err != nil {
			t.Errorf("%s: %v", rule.Key, err)
			continue
		}
		s := Scope{Types: types, Focus: patient(t), HTML: func(string) bool { return true }}
		if _, _, _, err := e.Test(s); err != nil {
			var eval *EvalError
			if !errors.As(err, &eval) {
				t.Errorf("%s: %v", rule.Key, err)
			}
		}
	}
	if n < 200 {
		t.Errorf("invariants: got %d, want at least 200", n)
	}
}

// FuzzEval: any text either is no expression or ends within its budget, and
// what it prints as is the source.
func FuzzEval(f *testing.F) {
	for _, seed := range []string{"name.given", "1 + 2 * 3", "@2012-01-01T10:00:00.5+01:00 + 3 'd'", "name.where(use='official').given.first() & 'x'", "descendants().aggregate($total + 1, 0)",
		"iif(a, b, c)", "1.5 'mg' ~ 2", "`x`.y[0]", "'\\u0041'.matches('A')", "repeat(item).linkId", "$this is FHIR.Patient", "-1.2.round(1)", "@T10:00.highBoundary(9)", "(1|2).sort(-$this)", "birthDate.lowBoundary()"} {
		f.Add(seed)
	}
	focus := patient(f)
	f.Fuzz(func(t *testing.T, source string) {
		e, err := Compile(source)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(source) {
				t.Fatalf("compile: got %v, want a place in the source", err)
			}
			return
		}
		if e.String() != source {
			t.Fatal("String is not the source")
		}
		out, err := e.Eval(Scope{Types: structure.R4(), Focus: focus, Steps: 20_000})
		var eval *EvalError
		if err != nil && !errors.Is(err, ErrBudget) && !errors.As(err, &eval) {
			t.Fatalf("eval: got %T, want one of the package's errors", err)
		}
		for _, it := range out {
			it.Text()
		}
	})
}

// FuzzMoment: what is read is written the same way.
func FuzzMoment(f *testing.F) {
	for _, seed := range []string{"2012", "2012-02", "2012-02-29", "2012-02-29T10:00:00Z", "2012-02-29T10:00:00.123+01:00", "10:00:00", "2012-02-29T10:00:00.1234567891234Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range []momentKind{dateMoment, dateTimeMoment, timeMoment} {
			m, ok := parseMoment(s, kind)
			if !ok {
				continue
			}
			again, ok := parseMoment(m.String(), kind)
			if !ok || fmt.Sprint(again.utc().parts) != fmt.Sprint(m.utc().parts) {
				t.Fatalf("a moment is written otherwise than it was read")
			}
			m.plus(1_000_000, "day")
			momentBoundary(m, -1, true)
		}
	})
}
