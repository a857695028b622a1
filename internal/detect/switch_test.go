package detect

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
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
