package wire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// TestLabelsAreOneUseEach reads the registry as it is written, so that a new
// label cannot be left out of the check.
func TestLabelsAreOneUseEach(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "labels.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]string) // by label
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if len(spec.Names) != 1 || len(spec.Values) != 1 {
			t.Errorf("%v: want one label a line", spec.Names)
			return true
		}
		label, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Errorf("%s: %v", spec.Names[0].Name, err)
		}
		if names[label] != "" {
			t.Errorf("%s and %s are both %q: one label, one use", names[label], spec.Names[0].Name, label)
		}
		names[label] = spec.Names[0].Name
		return true
	})
	if len(names) < 50 {
		t.Errorf("found %d labels, want the whole registry", len(names))
	}
	for label, name := range names {
		rest, ok := strings.CutPrefix(label, "abaton/v1/")
		if !ok || rest == "" || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%s = %q: want abaton/v1/ and lower-case words with hyphens", name, label)
		}
		if strings.ContainsRune(label, 0) {
			t.Errorf("%s holds the byte that ends a label", name)
		}
	}
}
