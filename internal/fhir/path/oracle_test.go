package path

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// oracleFolder holds what fhirpath.js gave for every invariant and every
// search expression of R4 over one example of each type; interop/fhirpath/run
// makes it anew with fhirpath.js itself.
var oracleFolder = filepath.Join("..", "..", "..", "interop", "fhirpath")

type oracleCase struct{ Type, Expression, Source string }

// disagreements are the expressions in which fhirpath.js and this package
// differ on some sample, each with the reason.
var disagreements = map[string]string{
	"ele-1":                 "fhirpath.js counts resourceType among the descendants",
	"ConceptMap-source-uri": "a canonical is no uri for as, by HL7's suite (testInheritance)",
	"ConceptMap-target-uri": "a canonical is no uri for as, by HL7's suite (testInheritance)",
}

// agreed reports whether a difference is listed.
func agreed(source string) bool {
	return disagreements[source] != "" || strings.HasPrefix(source, "Resource-") || strings.HasPrefix(source, "DomainResource-") // fhirpath.js takes the name of the base type for a member
}

// TestOracle compares with fhirpath.js, result by result.
func TestOracle(t *testing.T) {
	var cases []oracleCase
	text, err := os.ReadFile(filepath.Join(oracleFolder, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	samples := readSamples(t)
	compiled := make([]*Expression, len(cases))
	for i, c := range cases {
		if compiled[i], err = Compile(c.Expression); err != nil {
			var bad *SyntaxError
			if !errors.As(err, &bad) || !bad.Unknown { // hasExtension() is of no specification; the oracle does not have it either
				t.Errorf("%s: %v", c.Source, err)
			}
		}
	}
	f, err := os.Open(filepath.Join(oracleFolder, "oracle.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, compared, differ := bufio.NewScanner(f), 0, map[[2]string]string{}
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row [3]json.RawMessage
		var s, n int
		if json.Unmarshal(lines.Bytes(), &row) != nil || json.Unmarshal(row[0], &s) != nil || json.Unmarshal(row[1], &n) != nil {
			t.Fatal("oracle.ndjson: a line is none")
		}
		if compared++; compiled[n] == nil {
			t.Fatalf("%s: the oracle has a result", cases[n].Source)
		}
		if why := agrees(compiled[n], samples[s], row[2]); why != "" {
			differ[[2]string{samples[s].Type, cases[n].Source}] = cases[n].Expression + ": " + why
		}
	}
	report(t, differ, compared)
}

func report(t *testing.T, differ map[[2]string]string, compared int) {
	t.Helper()
	var names [][2]string
	for key := range differ {
		names = append(names, key)
	}
	slices.SortFunc(names, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, key := range names {
		if !agreed(key[1]) {
			t.Errorf("%v %.300s", key, differ[key])
		}
	}
	for source := range disagreements {
		if !slices.ContainsFunc(names, func(key [2]string) bool { return key[1] == source }) {
			t.Errorf("%s is listed as a disagreement, and is none", source)
		}
	}
	t.Logf("%d results compared, %d differ", compared, len(differ))
	if compared < 5000 {
		t.Errorf("results: got %d, want at least 5,000", compared)
	}
}

func readSamples(t *testing.T) (samples []fhir.Resource) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(oracleFolder, "samples.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		r, err := fhir.ParseResource(bytes.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, r)
	}
	return samples
}

// agrees is "" if the expression gives what the oracle gave.
func agrees(e *Expression, r fhir.Resource, oracle json.RawMessage) string {
	out, err := e.Eval(Scope{Types: structure.R4(), Focus: Of(structure.R4(), r.Value)})
	if err != nil {
		return err.Error()
	}
	var got, want []any
	if err := json.Unmarshal(oracle, &want); err != nil {
		return err.Error()
	}
	for _, it := range out {
		got = append(got, asJSON(it))
	}
	if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("got %v, want %v", got, want)
	}
	return ""
}

// asJSON is an item as fhirpath.js prints it.
func asJSON(it Item) (v any) {
	raw := it.value.Raw()
	if it.lit != nil {
		switch lit := it.lit.(type) {
		case bool, string:
			return lit
		}
		text, _ := it.Text()
		raw = []byte(text)
	}
	if raw != nil && json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return v
}
