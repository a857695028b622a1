package validate

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dataFolder is where the whole data sets lie: ABATON_FHIR_DATA. Tests
// over them skip where they are absent.
func dataFolder(t testing.TB, sub string) string {
	t.Helper()
	folder := os.Getenv("ABATON_FHIR_DATA")
	if folder == "" {
		t.Skip("set ABATON_FHIR_DATA to the folder of the whole data sets, as make data-check does")
	}
	folder = filepath.Join(folder, sub)
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the whole data sets are not here; set ABATON_FHIR_DATA to their folder to run this over all of them")
	}
	return folder
}

// eachFile calls f for every file of a .tar.gz.
func eachFile(t testing.TB, archive string, f func(name string, text []byte)) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f(path.Clean(h.Name), text)
	}
}

// javaCase is one case of the manifest with the outcome of HL7's validator.
type javaCase struct {
	Name, File, Version, Module string
	Java                        json.RawMessage
	Supporting, Packages        json.RawMessage
	Supporting5, Logical        json.RawMessage
	Profiles, Profile           json.RawMessage
	SecurityChecks              bool   `json:"security-checks"`
	NoHTML                      bool   `json:"noHtmlInMarkdown"`
	Examples                    *bool  `json:"examples"`
	AllowComments               bool   `json:"allow-comments"`
	ValidateContains            string `json:"validateContains"`
	errors                      []javaIssue
}

type javaIssue struct {
	Severity, Code string
	Expression     []string
	Details        struct{ Text string }
}

// cases are the R4 JSON cases that need no supporting files and have a
// recorded outcome.
func cases(t *testing.T) (list []*javaCase, files map[string][]byte, left int) {
	t.Helper()
	files = map[string][]byte{}
	eachFile(t, filepath.Join(dataFolder(t, "validator"), "fhir-test-cases-validator-json.tar.gz"), func(name string, text []byte) { files[name] = text })
	var manifest struct {
		Cases []*javaCase `json:"test-cases"`
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	for _, c := range manifest.Cases {
		if !strings.HasPrefix(c.Version, "4.0") || path.Ext(c.File) != ".json" || files[c.File] == nil ||
			c.Supporting != nil || c.Packages != nil || c.Supporting5 != nil || c.Logical != nil || c.Profiles != nil {
			continue
		}
		if c.AllowComments || c.ValidateContains == "IGNORE" {
			left++ // asks for a leniency that there is none of here
			continue
		}
		if issues, ok := outcome(c.Java, files); ok {
			c.errors = issues
			list = append(list, c)
		}
	}
	return list, files, left
}

// outcome reads the errors of a recorded outcome.
func outcome(java json.RawMessage, files map[string][]byte) (found []javaIssue, ok bool) {
	var name string
	if json.Unmarshal(java, &name) == nil {
		if java = files["outcomes/"+name]; java == nil {
			return nil, false
		}
	}
	var o struct {
		ResourceType string
		Issue        []javaIssue
		Outcome      *struct{ Issue []javaIssue }
		ErrorCount   *int
		Output       []string
	}
	if len(java) == 0 || json.Unmarshal(java, &o) != nil {
		return nil, false
	}
	if o.ErrorCount != nil && o.Outcome == nil { // an older form: a count, and texts of "SEVERITY: place: text"
		for range *o.ErrorCount {
			found = append(found, javaIssue{Severity: "error"})
		}
		for i, line := range o.Output {
			if _, rest, ok := strings.Cut(line, ": "); ok && i < len(found) {
				place, text, _ := strings.Cut(rest, ": ")
				found[i].Expression, found[i].Details.Text = []string{place}, text
			}
		}
		return found, true
	}
	if o.ResourceType == "" && o.Outcome == nil {
		return nil, false // nothing is recorded
	}
	if o.Outcome != nil {
		o.Issue = o.Outcome.Issue
	}
	for _, i := range o.Issue {
		if i.Severity == "error" || i.Severity == "fatal" {
			found = append(found, i)
		}
	}
	return found, true
}

// terminology are the texts of errors that need SNOMED CT, LOINC or another
// terminology that the definitions do not hold.
var terminology = regexp.MustCompile(`^Wrong Display Name|^Unknown code .* in the CodeSystem '(http://snomed|http://loinc|http://hl7.org/fhir/sid)|http://snomed.info/sct|is not declared in the base CodeSystem http://loinc|ECL`)

func (c *javaCase) needsTerminology() bool {
	return len(c.errors) > 0 && !slices.ContainsFunc(c.errors, func(i javaIssue) bool { return !terminology.MatchString(i.Details.Text) })
}

// tally counts one class of cases.
type tally struct{ cases, invalid, caught, placed, clean, false int }

// TestAllAgreement compares with the recorded outcomes of HL7's validator and
// reports each class. Floors are the targets of the issue.
func TestAllAgreement(t *testing.T) {
	list, files, left := cases(t)
	validators := map[Config]*Validator{}
	classes := map[string]*tally{}
	var all, term tally
	for _, c := range list {
		config := Config{KnownExtensions: true, NoHTML: c.SecurityChecks || c.NoHTML, NoExamples: c.Examples != nil && !*c.Examples}
		v := validators[config]
		if v == nil {
			var err error
			if v, err = New(config); err != nil {
				t.Fatal(err)
			}
			validators[config] = v
		}
		r := v.Validate(files[c.File])
		class := c.Module
		if class == "" {
			class = "(none)"
		}
		if classes[class] == nil {
			classes[class] = &tally{}
		}
		into := []*tally{classes[class], &all}
		if c.needsTerminology() {
			into = []*tally{&term}
		}
		for _, n := range into {
			n.count(len(c.errors) > 0, r.Errors() > 0, c.samePlace(&r))
		}
		if (len(c.errors) > 0) != (r.Errors() > 0) && !c.needsTerminology() {
			t.Log(describe(c, &r))
		}
	}
	names := make([]string, 0, len(classes))
	for name := range classes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%-18s %s", name, classes[name])
	}
	t.Logf("%-18s %s", "all", &all)
	t.Logf("%-18s %s", "needs terminology", &term)
	t.Logf("left out: %d cases that switch off a check", left)
	if all.caught*100 < 70*all.invalid || all.false*100 > 3*all.clean {
		t.Errorf("agreement: got %s, want 70 %% caught and at most 3 %% false", &all)
	}
}

// samePlace reports whether an error of ours stands where one of Java's does,
// or above or below it.
func (c *javaCase) samePlace(r *Report) bool {
	for _, i := range r.Issues {
		if i.Severity > Fatal {
			continue
		}
		ours := plainPlace(i.Expression)
		for _, e := range c.errors {
			for _, place := range e.Expression {
				java := plainPlace(javaPlace.ReplaceAllString(place, ""))
				if strings.HasPrefix(java, ours) || strings.HasPrefix(ours, java) {
					return true
				}
			}
		}
	}
	return false
}

// javaPlace is what that validator adds to a FHIRPath.
var javaPlace = regexp.MustCompile(`/\*[^*]*\*/|\.ofType\([A-Za-z]*\)`)

func (n *tally) count(java, ours, placed bool) {
	n.cases++
	if java && ours && placed {
		n.placed++
	}
	switch {
	case java && ours:
		n.invalid, n.caught = n.invalid+1, n.caught+1
	case java:
		n.invalid++
	case ours:
		n.clean, n.false = n.clean+1, n.false+1
	default:
		n.clean++
	}
}

func (n *tally) String() string {
	return fmt.Sprintf("%3d cases: %3d of %3d invalid caught (%d at the same place), %d of %3d valid refused", n.cases, n.caught, n.invalid, n.placed, n.false, n.clean)
}

func describe(c *javaCase, r *Report) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s (%s, %s): java %d errors, ours %d", c.Name, c.File, c.Module, len(c.errors), r.Errors())
	for i, e := range c.errors {
		if i < 3 {
			fmt.Fprintf(&b, "\n    java %s %v %.150s", e.Code, e.Expression, e.Details.Text)
		}
	}
	for i, e := range r.Issues {
		if i < 3 && e.Severity <= Fatal {
			fmt.Fprintf(&b, "\n    ours %s %s %s %s", e.Code, e.Message, e.Expression, e.Text)
		}
	}
	return b.String()
}
