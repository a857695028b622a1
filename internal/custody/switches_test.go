package custody_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/detect"
)

// switches are all that the mutant build can switch off in a keeper, and for each
// a test of this package that goes red without it (TestMutantIsSeen).
func switches() map[string]string {
	return map[string]string{
		// The checks of a request, in their order.
		"signature": "TestUncountedRequestsAreNotLedgered",
		"session":   "TestLostDevice",
		"standing":  "TestBackdatedRoster",
		"lease":     "TestCutOffKeeperRefuses",
		"grant":     "TestRevokedRefusesAtOnce",
		"step-up":   "TestStepUpForStrictLines",
		"policy":    "TestPolicyKnowsRoleAndPasskey",
		"budget":    "TestBudgets",
		"watch":     "TestFastExport",

		// The rules that a few minutes at a keeper can show.
		"rule/D0":  "TestRulesSpeakAtKeepers",
		"rule/D1":  "TestRulesSpeakAtKeepers",
		"rule/D2":  "TestRulesSpeakAtKeepers",
		"rule/D5":  "TestRulesSpeakAtKeepers",
		"rule/D6":  "TestNotice",
		"rule/D7":  "TestRulesSpeakAtKeepers",
		"rule/D8":  "TestUnconscious",
		"rule/D9":  "TestHoney",
		"rule/D10": "TestOffShiftIsAsked",
		"rule/D12": "TestRulesSpeakAtKeepers",

		// The ladder's rungs, and whom they are about.
		"rung/notify":          "TestNotice",
		"rung/step-up":         "TestRungs",
		"rung/throttle":        "TestRungs",
		"rung/suspend-session": "TestRungs",
		"rung/suspend-person":  "TestRungs",
		"rung/quarantine":      "TestRungs",
		"kind/session":         "TestRungs",
		"kind/person":          "TestRungs",
		"kind/device":          "TestRungs",
		"kind/organisation":    "TestRungs",
		"live":                 "TestRungs", // sessions that were open before

		// Whose word counts how far, and for how long.
		"verdict":      "TestOwnVerdict",
		"ladder/own":   "TestOwnVerdict",
		"ladder/one":   "TestOneLyingKeeper",
		"ladder/cap":   "TestOneLyingKeeper",
		"ladder/two":   "TestCareGoesOn",
		"ladder/bound": "TestOneLyingKeeper",
		"ladder/proof": "TestHoney",
		"ladder/end":   "TestVerdictsEnd",
		"ladder/lift":  "TestOwnVerdict",
		"forgive":      "TestOwnVerdict",
		"evidence":     "TestHoney",
		"proof":        "TestHoney",

		// Care goes on, with a second clinician who is not held back.
		"second":      "TestCareGoesOn",
		"care":        "TestCareGoesOn",
		"second-held": "TestCareGoesOn",

		// Between keepers, and over a restart.
		"ledgered": "TestOwnVerdict",
		"feed":     "TestRevocationReachesAKeeperThatWasDown",
		"tell":     "TestHoney",
		"hear":     "TestHoney",
		"again":    "TestVerdictReachesAKeeperThatWasAway",
		"kept":     "TestVerdictReachesAKeeperThatWasAway",
		"muted":    "TestOneLyingKeeper",
		"recall":   "TestRestartInMidAttack",

		// What keepers find of themselves and of each other (D13).
		"longer":               "TestRolledBackKeeperIsQuarantined", // a peer remembers a longer ledger
		"silent":               "TestSilentPeer",
		"finding/clock":        "TestDoubtedClock",
		"finding/quarantine":   "TestRecoverAfterRollback",
		"finding/cloned":       "TestFindingsAreKept",
		"finding/equivocation": "TestDepositsRefused",
		"finding/time":         "TestBackdatedRoster",
		"finding/peer":         "TestSilentPeer",
		"finding/budget":       "TestOneLyingKeeper",
	}
}

// TestEverySwitchHasAStory holds the table to the code: what is asked for by
// name, every rung, kind of subject and finding there is; nothing else; and each
// test is there. That it goes red, the mutant build shows.
func TestEverySwitchHasAStory(t *testing.T) {
	want := map[string]bool{}
	for _, name := range skipped(t, ".") {
		want[name] = true
	}
	for _, step := range skipped(t, "../contain") {
		want["ladder/"+step] = true
	}
	for l := detect.Notify; l <= detect.Quarantine; l++ {
		want["rung/"+l.String()] = true
	}
	for k := contain.Kind(1); k.String() != contain.Kind(0).String(); k++ {
		want["kind/"+k.String()] = true
	}
	for _, r := range custody.Findable() {
		want["finding/"+string(r)] = true
	}
	// The others speak after hours or days, or of keepers (below): stories in
	// internal/detect alone.
	const apart = 1<<detect.D3 | 1<<detect.D4 | 1<<detect.D11 | 1<<detect.D13 | 1<<detect.D14
	for r := detect.D0; detect.AllRules.Has(r); r++ {
		if apart&(1<<r) == 0 {
			want["rule/"+r.String()] = true
		}
	}
	all, tests := switches(), testsHere(t)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if all[name] == "" {
			t.Errorf("%s can be switched off: got no test in the table that goes red without it", name)
		}
	}
	for name, test := range all {
		if !want[name] {
			t.Errorf("%s: the table has it, and nothing in the code", name)
		}
		if !tests[test] {
			t.Errorf("%s: got no test %s in this package", name, test)
		}
	}
}

// skipped are the names by which the code of a room asks whether something is
// off, and those of the checks of Request.decide.
func skipped(t *testing.T, room string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(room, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: got %d files, %v", room, len(files), err)
	}
	literal := func(e ast.Expr) {
		if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.STRING {
			name, err := strconv.Unquote(b.Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		ast.Inspect(sourceOf(t, path), func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "skips" {
					literal(n.Args[0])
				}
			case *ast.CompositeLit: // {"standing", (*verdict).standing}
				if len(n.Elts) == 2 {
					if s, ok := n.Elts[1].(*ast.SelectorExpr); ok && filepath.Base(path) == "request.go" && isMethod(s) {
						literal(n.Elts[0])
					}
				}
			}
			return true
		})
	}
	return names
}

// isMethod reports whether s is (*verdict).something.
func isMethod(s *ast.SelectorExpr) bool {
	_, ok := s.X.(*ast.ParenExpr)
	return ok
}

func sourceOf(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// testsHere are the tests of this package.
func testsHere(t *testing.T) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && path != "." {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, d := range sourceOf(t, path).Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				all[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
