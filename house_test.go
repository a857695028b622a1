package abaton_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// fileLinesMax is how long a file of code may be.
const fileLinesMax = 500

// forbiddenWords do not appear in names: they mean too much or nothing.
var forbiddenWords = []string{"token", "node", "server", "user", "data", "manager", "util", "utils", "common", "helper", "helpers"}

// borrowed are names that a standard or the library beneath has, each with its
// source.
var borrowed = map[string]string{
	"authdata":     "WebAuthn Level 3, section 6.1: authenticator data",
	"clientdata":   "WebAuthn Level 3, section 5.8.1: client data",
	"userpresent":  "WebAuthn Level 3, section 6.1: user present",
	"userverified": "WebAuthn Level 3, section 6.1: user verified",
	"httpserver":   "net/http: http.Server",
}

func TestPackageComments(t *testing.T) {
	for name, r := range rooms(t) {
		var comments []string
		var short string
		for _, f := range r.files {
			short = f.Name.Name
			if f.Doc != nil {
				comments = append(comments, f.Doc.Text())
			}
		}
		want := "Package " + short + " "
		if short == "main" {
			want = "Command "
		}
		if len(comments) == 0 {
			t.Errorf("package %q has no comment: say what it is, the shortest correct use, what it does not protect", name)
		}
		if !slices.ContainsFunc(comments, func(c string) bool { return strings.HasPrefix(c, want) }) {
			t.Errorf("package %q: its comment does not begin with %q", name, want)
		}
		if name != "abaton" && short != "main" && short != path.Base(name) {
			t.Errorf("folder %q holds package %q: the two names are one", name, short)
		}
	}
}

// TestExportedNamesAreDocumented looks at the public rooms. A comment on a
// group or on the line counts; so does the contract of a method that the
// standard library names.
func TestExportedNamesAreDocumented(t *testing.T) {
	all := rooms(t)
	for _, name := range publicRooms {
		if all[name] == nil {
			t.Errorf("public room %q does not exist", name)
			continue
		}
		for file, f := range all[name].files {
			for _, undocumented := range undocumentedNames(f) {
				t.Errorf("%s: %s has no comment (units, errors, source)", file, undocumented)
			}
		}
	}
}

var knownMethods = []string{
	"String", "GoString", "Error", "Is", "As", "Unwrap", "LogValue",
	"MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON", "MarshalCBOR", "UnmarshalCBOR", "Close", "ServeHTTP",
}

func undocumentedNames(f *ast.File) (names []string) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			known := d.Recv != nil && (slices.Contains(knownMethods, d.Name.Name) || !ast.IsExported(receiver(d)))
			if d.Name.IsExported() && d.Doc == nil && !known {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				names = append(names, undocumentedSpec(d, spec)...)
			}
		}
	}
	return names
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) (names []string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && d.Doc == nil && s.Comment == nil {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, id := range s.Names {
			if id.IsExported() && s.Doc == nil && d.Doc == nil && s.Comment == nil {
				names = append(names, id.Name)
			}
		}
	}
	return names
}

func receiver(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ.Name
	case *ast.IndexExpr:
		if id, ok := typ.X.(*ast.Ident); ok {
			return id.Name
		}
	}
	return ""
}

func TestNames(t *testing.T) {
	for name, r := range rooms(t) {
		for part := range strings.SplitSeq(name, "/") {
			if part != "internal" && part != "cmd" && forbiddenIn(part) != "" {
				t.Errorf("folder %s: the word %q is not used in names", name, forbiddenIn(part))
			}
		}
		for file, f := range r.files {
			if w := forbiddenIn(strings.TrimSuffix(path.Base(file), ".go")); w != "" {
				t.Errorf("%s: the word %q is not used in names", file, w)
			}
			for _, declared := range declaredNames(f) {
				if w := forbiddenIn(declared); w != "" && !isBorrowed(declared) {
					t.Errorf("%s: %s: the word %q is not used in names", file, declared, w)
				}
			}
		}
	}
}

func isBorrowed(name string) bool {
	for word := range borrowed {
		if strings.Contains(strings.ToLower(name), word) {
			return true
		}
	}
	return false
}

// declaredNames are the names at package level, methods and exported fields;
// locals are free.
func declaredNames(f *ast.File) (names []string) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
					names = append(names, fieldNames(s)...)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						names = append(names, id.Name)
					}
				}
			}
		}
	}
	return names
}

func fieldNames(s *ast.TypeSpec) (names []string) {
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	for _, field := range st.Fields.List {
		for _, id := range field.Names {
			if id.IsExported() {
				names = append(names, id.Name)
			}
		}
	}
	return names
}

// forbiddenIn gives the forbidden word among the words of a camel-case name.
func forbiddenIn(name string) string {
	var word strings.Builder
	var words []string
	for _, r := range name {
		if unicode.IsUpper(r) || r == '_' || r == '-' {
			words = append(words, word.String())
			word.Reset()
		}
		word.WriteRune(unicode.ToLower(r))
	}
	for _, w := range append(words, word.String()) {
		if w = strings.Trim(w, "_-0123456789"); slices.Contains(forbiddenWords, w) {
			return w
		}
	}
	return ""
}

// TestNoPackageState refuses assignments to variables of a package: state has
// an owner, and tests run beside each other.
func TestNoPackageState(t *testing.T) {
	for name, r := range rooms(t) {
		for _, found := range assigned(r.fset, slices.Collect(maps.Values(r.files))) {
			t.Errorf("package %q assigns its own variable %s: give it to a value that owns it", name, found)
		}
	}
}

// assigned lists the assignments to variables of the package that the files
// are. It type-checks without imports: names of the package itself resolve
// exactly, and no more is asked.
func assigned(fset *token.FileSet, files []*ast.File) (found []string) {
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: noImports{}, Error: func(error) {}}
	pkg, _ := config.Check("p", fset, files, info) // errors are the missing imports
	check := func(e ast.Expr) {
		if id := rootOf(e); id != nil {
			if v, ok := info.Uses[id].(*types.Var); ok && pkg != nil && v.Parent() == pkg.Scope() {
				found = append(found, id.Name)
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, left := range n.Lhs {
						check(left)
					}
				}
			case *ast.IncDecStmt:
				check(n.X)
			}
			return true
		})
	}
	return found
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not looked at") }

func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func TestFilesAreSmall(t *testing.T) {
	for _, r := range rooms(t) {
		for file, f := range r.files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(string(b), "\n"); lines > fileLinesMax && !ast.IsGenerated(f) {
				t.Errorf("%s has %d lines, want at most %d: one noun per file", file, lines, fileLinesMax)
			}
		}
	}
}

// TestErrorTexts refuses texts that stack at every layer, and unfinished work.
func TestErrorTexts(t *testing.T) {
	unfinished := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX|HA` + `CK)\b`)
	for _, r := range rooms(t) {
		for file, f := range r.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && strings.Contains(lit.Value, "failed to ") {
					t.Errorf("%s: %s: name the operation and leave out %q", file, lit.Value, "failed to")
				}
				return true
			})
		}
	}
	walkModule(t, func(file string) {
		if path.Ext(file) != ".go" {
			return
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := unfinished.Find(b); found != nil {
			t.Errorf("%s holds %q: finish it or write it down as open in docs/", file, found)
		}
	})
}

// TestTheHouseIsChecked shows that the checks of this file can fail.
func TestTheHouseIsChecked(t *testing.T) {
	fset := token.NewFileSet()
	source := `package x
import "strings"
var count, table = 0, map[string]int{}
var fixed = strings.NewReplacer()
type Thing struct { UserName string }
func (t *Thing) String() string { count++; return "" }
func Do() { count := 1; count++; table["a"] = count; fixed.Replace("") }
// Named is.
func Named() {}
`
	f, err := parser.ParseFile(fset, "x.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := assigned(fset, []*ast.File{f}), []string{"count", "table"}; !slices.Equal(got, want) {
		t.Errorf("assigned variables: got %v, want %v", got, want)
	}
	if got, want := undocumentedNames(f), []string{"Thing", "Do"}; !slices.Equal(got, want) {
		t.Errorf("undocumented: got %v, want %v", got, want)
	}
	got := make(map[string]string)
	for _, name := range append(declaredNames(f), "nodeID", "NewServer", "anode", "Database", "userData", "util", "dataset_user") {
		if w := forbiddenIn(name); w != "" {
			got[name] = w
		}
	}
	want := map[string]string{"UserName": "user", "nodeID": "node", "NewServer": "server", "userData": "user", "util": "util", "dataset_user": "user"}
	if !maps.Equal(got, want) {
		t.Errorf("forbidden words: got %v, want %v", got, want)
	}
}
