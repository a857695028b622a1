package detect

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNobodySwitchesRulesOff: no file that ships calls Without. Tests, bench
// and the mutant build may.
func TestNobodySwitchesRulesOff(t *testing.T) {
	seen := 0
	for _, root := range []string{"../../cmd", "../../internal"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			seen++
			if switches(f) && !onlyMutant(f) {
				t.Errorf("%s calls Without: a shipped keeper has all its rules", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen == 0 {
		t.Error("no files looked at")
	}
}

// switches reports whether f knows this package and calls something Without.
func switches(f *ast.File) (yes bool) {
	known := false
	for _, spec := range f.Imports {
		known = known || strings.HasSuffix(spec.Path.Value, `/internal/detect"`)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Without" {
			yes = true
		}
		return true
	})
	return known && yes
}

func onlyMutant(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if constraint.IsGoBuild(c.Text) && c.Text == "//go:build mutant" {
				return true
			}
		}
	}
	return false
}

// TestEveryRuleIsMissed: for each rule there is, D0 to the last, something goes
// unsaid when it is off. A rule that nobody wrote a story for is red here.
func TestEveryRuleIsMissed(t *testing.T) {
	missed := map[Rule]func() bool{
		D13: func() bool { return false }, // given by keepers: internal/custody/TestEverySwitchHasAStory has each of its findings
		D14: func() bool { return unexplained(Default()) && !unexplained(Default().Without(D14)) },
	}
	for _, s := range stories() {
		if before := missed[s.rule]; s.level != 0 && (before == nil || !before()) {
			missed[s.rule] = func() bool {
				return judged(Default(), s).Has(s.rule) && !judged(Default().Without(s.rule), s).Has(s.rule)
			}
		}
	}
	for r := range ruleCount {
		if is := missed[r]; is == nil || is() != (r != D13) {
			t.Errorf("%v is off: got nothing that is missed, want a story that shows it", r)
		}
	}
	if _, err := os.Stat(filepath.Join("..", "custody", "switches_test.go")); err != nil {
		t.Errorf("the findings of D13: %v", err)
	}
}

// judged are the rules that speak at the end of a story.
func judged(by Thresholds, s story) Rules {
	w := New(by)
	take(w, s.acts...)
	return w.Judge(&s.last).Rules
}

// unexplained reports whether an opening of yesterday without a reason is listed.
func unexplained(by Thresholds) bool {
	w := New(by)
	take(w, with(opening(start, 2), unrelated))
	return len(w.Unexplained(start+day)) == 1
}
