package abaton_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/abaton-health/abaton"

// plan is the plan of the house: "a < b" means that b may import a, and with
// it all that a may import. It is a statement of policy: who wants another
// import changes this text, and docs/ARCHITECTURE.md with it.
const plan = `
	NONE < abaton < wire < key < grant < actor < session;
	key < spread < seal;
	actor, spread < internal/escrow;
	actor < internal/audience < internal/gateway, cmd/abaton;
	key < ledger < internal/report < internal/exact < bench, cmd/abaton;
	internal/durable < internal/exact;
	NONE < internal/pdf < internal/report;
	session, ledger, spread < keeper;
	keeper, seal, internal/quorum < client;
	client, internal/escrow < internal/careteam, internal/emergency;

	abaton < internal/store < internal/store/storetest;
	abaton < internal/quorum;
	actor < internal/policy;
	wire < internal/detect;
	session, internal/detect < internal/contain < internal/custody, cmd/abaton;
	session, internal/policy < internal/blast < cmd/abaton;
	NONE < internal/ocsf < internal/disclosure;
	internal/contain, internal/ocsf < internal/alert;
	NONE < internal/deliver < internal/gateway, cmd/abaton-gateway;
	internal/alert, internal/deliver, internal/durable < internal/courier < cmd/abaton;
	actor < internal/relation < internal/custody, internal/people, cmd/abaton;
	internal/relation, internal/durable, internal/fhir < internal/gateway/feed < internal/gateway;
	keeper, internal/store, internal/policy < internal/custody;
	client, internal/custody < internal/custody/custodytest;
	NONE < internal/fhir, internal/durable;
	NONE < internal/dice < bench/hl7, bench/kill, bench/peer, cmd/abaton;
	NONE < internal/settings < cmd/abaton-authority, cmd/abaton-keeper, cmd/abaton-gateway;
	internal/durable, keeper < internal/daemon < cmd/abaton-authority, cmd/abaton-keeper, cmd/abaton-gateway;
	internal/fhir < internal/smart;
	session < internal/gateway/login;
	internal/fhir < internal/fhir/search;
	NONE < internal/fhir/search/searchtest;
	client, internal/durable, internal/fhir, internal/gateway/login, internal/smart < internal/gateway, internal/people;
	internal/careteam, internal/emergency < internal/people;
	internal/careteam < cmd/abaton-gateway;
	internal/durable, internal/emergency < cmd/abaton-authority;
	NONE < internal/qr < cmd/abaton;
	internal/fhir < internal/ages < cmd/abaton;
	internal/fhir/search < internal/gateway;
	NONE < web < internal/gateway;
	key < internal/attest < internal/gateway, cmd/abaton-gateway;
	grant, ledger, internal/fhir < internal/fhir/view;
	internal/fhir/view < internal/gateway, cmd/abaton;
	ledger < internal/disclosure < cmd/abaton;
	client, internal/custody, internal/quorum, internal/store < internal/sim;

	internal/custody, internal/durable, internal/store, keeper < cmd/abaton-keeper;
	internal/fhir < internal/hl7 < internal/feeder;
	internal/fhir < internal/cda < internal/gateway;
	internal/gateway, internal/hl7 < internal/intake < cmd/abaton-gateway;
	NONE < testdata/patients;
	internal/durable, internal/people < internal/local;
	seal, internal/fhir, internal/store < internal/thief;
	internal/feeder, internal/local, internal/policy, internal/thief, testdata/patients < cmd/abaton;

	internal/fhir < internal/fhir/gen;
	NONE < internal/fhir/structure < internal/fhir/structure/gen;
	internal/fhir, internal/fhir/structure < internal/fhir/path < internal/fhir/validate < internal/gateway;
	seal, internal/fhir < seal/dictionary/sample < seal/dictionary/gen;
	internal/custody, internal/local, internal/store < bench;
	internal/local, testdata/patients < bench/kill;
	internal/feeder, internal/local, testdata/patients < bench/hl7;
	internal/local, testdata/patients < bench/peer;
	internal/contain, internal/dice < bench/hospital;
	NONE < bench/machine < bench, bench/hl7, bench/hospital, bench/peer;
`

// never is what the shipped binaries do not link, over all their
// dependencies, each with its reason. Anybody can check the same with
// go list -deps.
var never = []struct {
	binary, room, why string
}{
	{"cmd/abaton-keeper", "seal", "a keeper cannot link code that opens a record"},
	{"cmd/abaton-keeper", "client", "a keeper cannot link code that opens a record"},
	{"cmd/abaton-keeper", "internal/fhir", "a keeper knows no record format"},
	{"cmd/abaton-keeper", "internal/gateway", "a keeper is no reader"},
	{"cmd/abaton-keeper", "internal/smart", "a keeper knows no apps: to it an app is an actor"},
	{"cmd/abaton-keeper", "internal/deliver", "a keeper tells nobody but who asks it"},
	{"cmd/abaton-keeper", "internal/people", "a keeper holds no person's device"},
	{"cmd/abaton-gateway", "internal/custody", "a gateway is a reader, never a keeper"},
	{"cmd/abaton-gateway", "internal/store", "a gateway is a reader, never a keeper"},
	{"cmd/abaton-gateway", "internal/people", "a gateway never holds a person's device"},
	{"cmd/abaton-authority", "internal/store", "an authority keeps nothing"},
	{"cmd/abaton-authority", "internal/custody", "an authority is no keeper"},
	{"cmd/abaton-authority", "internal/people", "an authority holds no person's device"},
	{"cmd/abaton-keeper", "internal/sim", "simulated worlds stay in tests"},
	{"cmd/abaton-gateway", "internal/sim", "simulated worlds stay in tests"},
	{"cmd/abaton-keeper", "internal/custody/custodytest", "test networks stay in tests"},
	{"cmd/abaton", "internal/sim", "simulated worlds stay in tests"},
	{"cmd/abaton-keeper", "internal/thief", "a keeper holds no burglar's tools"},
	{"cmd/abaton-gateway", "internal/thief", "a gateway holds no burglar's tools"},
}

// pureRooms are mathematics: no clock, no network, no disk.
var pureRooms = []string{
	"abaton", "wire", "key", "grant", "actor", "session", "spread", "seal",
	"ledger", "internal/quorum", "internal/fhir", "internal/fhir/search", "internal/fhir/view", "internal/smart",
	"internal/fhir/structure", "internal/fhir/path", "internal/fhir/validate",
	"internal/hl7", "internal/cda", "internal/escrow", "internal/policy", "internal/qr", "internal/pdf", "internal/blast", "internal/ages", "internal/audience", "internal/detect", "internal/relation", "internal/disclosure", "internal/report", "internal/contain", "internal/ocsf", "internal/alert",
}

// publicRooms are imported by others; each exported name there is documented.
var publicRooms = []string{
	"abaton", "wire", "key", "grant", "actor", "session", "spread", "seal",
	"ledger", "keeper", "client",
}

// room is one package of the module: its files without tests, under every
// build tag.
type room struct {
	name  string // "abaton" for the root, else the folder
	files map[string]*ast.File
	fset  *token.FileSet
}

func TestPlanOfTheHouse(t *testing.T) {
	allowed, words := readPlan(t, plan)
	rooms := rooms(t)
	for _, name := range words {
		if rooms[name] == nil {
			t.Errorf("the plan names %q, which does not exist: take it out of the plan or build it", name)
		}
	}
	for name, r := range rooms {
		if allowed[name] == nil {
			t.Errorf("package %q is not in the plan: say in arch_test.go what it may import", name)
			continue
		}
		for file, f := range r.files {
			for _, imported := range ownImports(f) {
				if !allowed[name][imported] {
					t.Errorf("%s: %q may not import %q (plan of the house, arch_test.go)", file, name, imported)
				}
			}
		}
	}
}

func TestNeverLinked(t *testing.T) {
	allowed, _ := readPlan(t, plan)
	deps := make(map[string][]string)
	for _, n := range never {
		if allowed[n.binary] == nil || allowed[n.room] == nil {
			t.Errorf("never names %q or %q, which the plan does not", n.binary, n.room)
		}
		if _, err := os.Stat(n.binary); err != nil {
			t.Errorf("%s does not exist, so it is not known that %s", n.binary, n.why)
			continue
		}
		for _, tags := range []string{"", "mutant"} {
			linked, ok := deps[n.binary+tags]
			if !ok {
				linked = dependencies(t, n.binary, tags)
				deps[n.binary+tags] = linked
			}
			if slices.Contains(linked, modulePath+"/"+n.room) {
				t.Errorf("%s (tags %q) links %s: %s", n.binary, tags, n.room, n.why)
			}
		}
	}
}

// dependencies is what a binary links, as the go command sees it.
func dependencies(t *testing.T, binary, tags string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "./"+binary).Output()
	if err != nil {
		t.Errorf("go list -deps ./%s: %v", binary, err)
	}
	return strings.Fields(string(out))
}

func TestPureRooms(t *testing.T) {
	all := rooms(t)
	for _, name := range pureRooms {
		r := all[name]
		if r == nil {
			t.Errorf("pure room %q does not exist", name)
			continue
		}
		for file, f := range r.files {
			for _, imported := range imports(f) {
				if impure(imported) {
					t.Errorf("%s: a pure room imports %q: no network, no disk, no process", file, imported)
				}
			}
			for _, call := range selectors(f, "time") {
				if slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, call) {
					t.Errorf("%s: a pure room uses time.%s: it takes now as a parameter", file, call)
				}
			}
		}
	}
}

func impure(imported string) bool {
	switch imported {
	case "net/url", "net/netip":
		return false // text, no network
	}
	first, _, _ := strings.Cut(imported, "/")
	return slices.Contains([]string{"net", "os", "syscall", "plugin"}, first) || strings.HasPrefix(imported, "golang.org/x/sys")
}

func TestNoInsecureRandomness(t *testing.T) {
	for name, r := range rooms(t) {
		if name == "internal/sim" || strings.HasSuffix(name, "test") {
			continue // a seed replays a life; a package named after a test is one
		}
		for file, f := range r.files {
			for _, imported := range imports(f) {
				if strings.HasPrefix(imported, "math/rand") {
					t.Errorf("%s imports %s: only internal/sim and tests may", file, imported)
				}
				if imported == "testing" && !strings.HasSuffix(name, "test") {
					t.Errorf("%s imports testing outside a test", file)
				}
			}
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, r := range rooms(t) {
		for file, f := range r.files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s has an init function: build things in run, in order", file)
				}
			}
			for _, spec := range f.Imports {
				if spec.Name != nil && spec.Name.Name == "_" && spec.Path.Value != `"embed"` {
					t.Errorf("%s imports %s for its side effects", file, spec.Path.Value)
				}
			}
		}
	}
}

// readPlan gives, for every package named, the set it may import.
func readPlan(t *testing.T, text string) (allowed map[string]map[string]bool, words []string) {
	t.Helper()
	allowed = make(map[string]map[string]bool)
	for statement := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		var below []string
		for group := range strings.SplitSeq(statement, "<") {
			var here []string
			for word := range strings.SplitSeq(group, ",") {
				word = strings.TrimSpace(word)
				if word == "" {
					t.Fatalf("plan: empty word in %q", statement)
				}
				here = append(here, word)
				if word != "NONE" && allowed[word] == nil {
					allowed[word] = make(map[string]bool)
					words = append(words, word)
				}
			}
			for _, b := range below {
				for _, h := range here {
					if b != "NONE" {
						allowed[h][b] = true
					}
				}
			}
			below = append(below, here...)
		}
	}
	closePlan(t, allowed)
	return allowed, words
}

// closePlan adds what the imported may import, and refuses a circle.
func closePlan(t *testing.T, allowed map[string]map[string]bool) {
	t.Helper()
	for range allowed {
		for _, set := range allowed {
			for below := range set {
				for further := range allowed[below] {
					set[further] = true
				}
			}
		}
	}
	for name, set := range allowed {
		if set[name] {
			t.Fatalf("plan: %q stands above itself", name)
		}
	}
}

// rooms parses every package of the module; nested modules and folders that
// the go command skips are left out.
func rooms(t *testing.T) map[string]*room {
	t.Helper()
	all := make(map[string]*room)
	fset := token.NewFileSet()
	walkModule(t, func(file string) {
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parse %s: %v", file, err)
			return
		}
		name := roomOf(file)
		if all[name] == nil {
			all[name] = &room{name: name, files: make(map[string]*ast.File), fset: fset}
		}
		all[name].files[file] = f
	})
	return all
}

func roomOf(file string) string {
	if dir := path.Dir(file); dir != "." {
		return dir
	}
	return "abaton"
}

// walkModule calls visit with the slash path of every file that go build ./...
// might look at.
func walkModule(t *testing.T, visit func(file string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			visit(filepath.ToSlash(p))
			return nil
		}
		if p == "." {
			return nil
		}
		if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
			return filepath.SkipDir
		}
		if p == "testdata" {
			return nil // its packages embed fixtures
		}
		if strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"testdata", "bin", "run", "node_modules"}, d.Name()) {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
}

func imports(f *ast.File) (paths []string) {
	for _, spec := range f.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

func ownImports(f *ast.File) (names []string) {
	for _, p := range imports(f) {
		if p == modulePath {
			names = append(names, "abaton")
		} else if rest, ok := strings.CutPrefix(p, modulePath+"/"); ok {
			names = append(names, rest)
		}
	}
	return names
}

// selectors lists what f uses of the package imported under path.
func selectors(f *ast.File, imported string) (names []string) {
	local := path.Base(imported)
	found := false
	for _, spec := range f.Imports {
		if strings.Trim(spec.Path.Value, `"`) == imported {
			found = true
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if !found {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == local {
				names = append(names, s.Sel.Name)
			}
		}
		return true
	})
	return names
}

// TestPlanIsKept shows that the checks above can fail: it gives them houses
// with one fault each.
func TestPlanIsKept(t *testing.T) {
	allowed, words := readPlan(t, "NONE < a < b < c; b < d")
	for _, c := range []struct {
		from, to string
		want     bool
	}{{"b", "a", true}, {"c", "a", true}, {"d", "a", true}, {"a", "b", false}, {"d", "c", false}, {"c", "d", false}, {"a", "a", false}} {
		if got := allowed[c.from][c.to]; got != c.want {
			t.Errorf("%s may import %s: got %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if want := []string{"a", "b", "c", "d"}; !slices.Equal(words, want) {
		t.Errorf("words: got %v, want %v", words, want)
	}
	source := fmt.Sprintf("package x\nimport (\n clock \"time\"\n \"net/http\"\n %q\n)\nvar now = clock.Now", modulePath+"/seal")
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", bytes.NewBufferString(source), parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got := selectors(f, "time"); !slices.Equal(got, []string{"Now"}) {
		t.Errorf("selectors of time: got %v, want Now", got)
	}
	if got := ownImports(f); !slices.Equal(got, []string{"seal"}) {
		t.Errorf("own imports: got %v, want seal", got)
	}
	if !impure("net/http") || !impure("os") || impure("net/url") || impure("encoding/json") {
		t.Error("impure does not tell net/http and os from net/url and encoding/json")
	}
}
