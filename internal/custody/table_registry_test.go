package custody_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// judgedElsewhere are the signed statements that no keeper reads, each with the
// test in which whoever reads it is told false ones.
var judgedElsewhere = map[wire.Label]string{
	wire.Answer:    "client/TestForgedOpenings",
	wire.Reply:     "client/TestForgedReplies",
	wire.Released:  "internal/emergency/TestAuthorityAsks",
	wire.Author:    "seal/TestAuthors",
	wire.Enrolment: "internal/gateway/TestAttestationsRefused",
	// Reports never reach a keeper: whoever reads one verifies it.
	wire.Incident: "internal/report/TestALieSignedAnew", wire.ReportDraft: "internal/report/TestALieSignedAnew", wire.Notice: "internal/report/TestALieSignedAnew",
}

// signedByNobody are labels that the protocol keeps for a signature which no
// code makes or reads yet.
var signedByNobody = []wire.Label{wire.Never}

// checkComplete holds the rows against what the code knows: its labels, kinds
// of events, modes, questions and routes.
func checkComplete(t *testing.T, rows []row, posted map[string]bool, paths []string) {
	t.Helper()
	covered := make(map[string]bool)
	for _, r := range rows {
		for _, is := range r.is {
			covered[is] = true
		}
	}
	need := func(what string) {
		if !covered[what] {
			t.Errorf("%s has no row: say what becomes of each defect of it", what)
		}
	}
	for k := range actor.EventKind(255) {
		if k.Valid() {
			need(fmt.Sprintf("event %d", k))
		}
	}
	found := modes()
	for _, m := range found {
		need(fmt.Sprintf("mode %d", m))
	}
	if named := constants(t, "session/request.go", "Mode"); len(named) != len(found) {
		t.Errorf("session names %d modes, and ParseRequest takes %d", len(named), len(found))
	}
	for _, n := range constants(t, "keeper/messages.go", "QueryKind") {
		need("query " + n)
	}
	for _, n := range constants(t, "keeper/repair.go", "RepairKind") {
		need("repair " + n)
	}
	checkLabels(t, covered)
	for _, p := range paths {
		if route, post := strings.CutPrefix(p, "POST "); post && !posted[route] {
			t.Errorf("route %s takes something, and no row sends anything there", route)
		}
	}
}

// checkLabels: each label under which anything is signed has a row, or is read
// by others alone.
func checkLabels(t *testing.T, covered map[string]bool) {
	t.Helper()
	used := signatures(t)
	for name, label := range labels(t) {
		elsewhere := judgedElsewhere[label]
		row := covered["label "+string(label)]
		switch {
		case row && elsewhere != "":
			t.Errorf("label %s has a row and is said to be judged elsewhere", label)
		case elsewhere != "":
			if !testExists(t, elsewhere) {
				t.Errorf("label %s: there is no test %s", label, elsewhere)
			}
		case used[name] && !row && !slices.Contains(signedByNobody, label):
			t.Errorf("label %s is signed under, and has no row", label)
		}
	}
	for _, label := range signedByNobody {
		if covered["label "+string(label)] {
			t.Errorf("label %s has a row: somebody signs under it", label)
		}
	}
}

// root is the module's folder.
const root = "../.."

// labels are the constants of wire/labels.go, by name.
func labels(t *testing.T) map[string]wire.Label {
	t.Helper()
	all := make(map[string]wire.Label)
	ast.Inspect(parsed(t, filepath.Join(root, "wire/labels.go")), func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok && len(s.Values) == 1 {
			if lit, ok := s.Values[0].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				all[s.Names[0].Name] = wire.Label(text)
			}
		}
		return true
	})
	if len(all) < 50 {
		t.Fatalf("labels: got %d, want all of them", len(all))
	}
	return all
}

// signatures are the names of labels under which something is signed or asserted:
// docs/PROTOCOL.md says so, or code passes them to what signs and verifies.
func signatures(t *testing.T) map[string]bool {
	t.Helper()
	used := make(map[string]bool)
	for name, label := range labels(t) {
		used[name] = says(t, label)
	}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "interop" || d.Name() == "tools" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		ast.Inspect(parsed(t, path), func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !signs(call.Fun) {
				return true
			}
			for _, a := range call.Args {
				if s, ok := a.(*ast.SelectorExpr); ok {
					if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "wire" {
						used[s.Sel.Name] = true
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// signs reports whether what is called makes or checks a labelled signature.
func signs(called ast.Expr) bool {
	name := ""
	switch f := called.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	switch name {
	case "Seal", "Sign", "sign", "Verify", "verified", "readInvited":
		return true
	}
	return false
}

// says reports whether the protocol's table of labels says that something is
// signed, or is what a passkey signs.
func says(t *testing.T, label wire.Label) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "| `"+string(label)+"` |")
	if !found {
		t.Errorf("docs/PROTOCOL.md does not have label %s", label)
	}
	use, _, _ := strings.Cut(rest, "|")
	return strings.Contains(use, "signature") || strings.Contains(use, "challenge")
}

// constants are the values of a type's constants in one file, counted as the
// compiler does.
func constants(t *testing.T, file, typ string) (values []string) {
	t.Helper()
	for _, d := range parsed(t, filepath.Join(root, file)).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		counting := false
		for i, spec := range g.Specs {
			s := spec.(*ast.ValueSpec)
			if s.Type != nil || len(s.Values) > 0 {
				id, ok := s.Type.(*ast.Ident)
				counting = ok && id.Name == typ
			}
			if !counting {
				continue
			}
			value := strconv.Itoa(i + 1) // iota + 1
			if len(s.Values) == 1 {
				if lit, ok := s.Values[0].(*ast.BasicLit); ok {
					value = lit.Value
				}
			}
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		t.Errorf("%s: no constant of type %s", file, typ)
	}
	return values
}

func parsed(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// testExists finds a test by folder and name.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.Dir(name), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+filepath.Base(name)+"(t *testing.T)") {
			return true
		}
	}
	return false
}

var testName = regexp.MustCompile(`Test[A-Z]\w+`)

// checkExcuses: a test that an excuse names is there.
func checkExcuses(t *testing.T, excused []string) {
	t.Helper()
	for _, why := range excused {
		for _, name := range testName.FindAllString(why, -1) {
			if !testExists(t, "internal/custody/"+name) {
				t.Errorf("an excuse names %s, which does not exist", name)
			}
		}
	}
}

// TestTheTableIsHeldToTheCode: a kind without a row is found, whichever list
// it comes from.
func TestTheTableIsHeldToTheCode(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	if got := len(modes()); got != int(session.Confirm) {
		t.Errorf("modes: got %d, want %d", got, session.Confirm)
	}
	used := signatures(t)
	for _, want := range []string{"Head", "Lock", "Receipt", "Event", "Vote", "Invitation", "Session", "DeviceProof", "Posture",
		"StepUp", "Emergency", "Approval", "Request", "Query", "Feed", "Peer", "Reply", "Answer", "Released", "Author", "Enrolment"} {
		if !used[want] {
			t.Errorf("label %s: not found to be signed under", want)
		}
	}
	for _, not := range []string{"BodyKey", "PieceBox", "Outbox", "LedgerLeaf", "SegmentSeed"} {
		if used[not] {
			t.Errorf("label %s: found to be signed under, and is not", not)
		}
	}
}
