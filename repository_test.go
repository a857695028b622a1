package abaton_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

const directDependenciesMax = 12

// TestDependencies compares go.mod with the reasons in ADR 0002.
func TestDependencies(t *testing.T) {
	file, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	var direct, reasoned []string
	for _, r := range file.Require {
		if !r.Indirect {
			direct = append(direct, r.Mod.Path)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9.]+\.[a-z]+/\S+) \| [^|]+ \| [^|]+ \| [^|]+ \|$`).FindAllStringSubmatch(read(t, "docs/adr/0002-dependencies.md"), -1) {
		reasoned = append(reasoned, m[1])
	}
	slices.Sort(direct)
	slices.Sort(reasoned)
	if !slices.Equal(direct, reasoned) {
		t.Errorf("direct dependencies: go.mod has %v, docs/adr/0002-dependencies.md gives reasons for %v", direct, reasoned)
	}
	if len(direct) > directDependenciesMax {
		t.Errorf("%d direct dependencies, want at most %d: one has to leave", len(direct), directDependenciesMax)
	}
	if len(file.Replace) > 0 {
		t.Error("go.mod replaces a module: whoever imports this one would get another")
	}
}

// TestMakefile: under 40 lines, the README's two commands are there, and
// .ci/run runs what check does.
func TestMakefile(t *testing.T) {
	text := read(t, "Makefile")
	if lines := strings.Count(text, "\n"); lines >= 40 {
		t.Errorf("Makefile has %d lines, want fewer than 40", lines)
	}
	m := regexp.MustCompile(`(?m)^check: (.+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("Makefile has no target check with what it needs")
	}
	var run []string
	for _, step := range regexp.MustCompile(`(?m)^step make (\S+)`).FindAllStringSubmatch(read(t, ".ci/run"), -1) {
		run = append(run, step[1])
	}
	if want := strings.Fields(m[1]); !slices.Equal(run, want) {
		t.Errorf(".ci/run makes %v, make check makes %v", run, want)
	}
	readme := read(t, "README.md")
	for _, command := range []string{"make up", "make test"} {
		if !strings.Contains(readme, "\n    "+command+"\n") && !strings.Contains(readme, "\n"+command+"\n") {
			t.Errorf("README.md does not show %q on a line of its own", command)
		}
	}
}

// TestCitedPages: a page that code names is in the repository, with its
// anchor; whoever reads the comment can follow it.
func TestCitedPages(t *testing.T) {
	rulings := read(t, "docs/RULINGS.md")
	pattern := regexp.MustCompile(`([\w/.-]*\b[A-Za-z]+\.md)(?:#([a-z0-9-]+))?`)
	walkModule(t, func(file string) {
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return
		}
		for _, m := range pattern.FindAllStringSubmatch(read(t, file), -1) {
			page := m[1]
			if page == "PROTOCOL.md" || strings.Contains(page, "README.md") {
				continue // PROTOCOL.md: TestProtocolAnchors
			}
			if !strings.Contains(page, "/") {
				page = "docs/" + page
			}
			b, err := os.ReadFile(filepath.FromSlash(page))
			if err != nil {
				t.Errorf("%s cites %s, which is not in the repository", file, m[0])
			} else if m[2] != "" && !slices.Contains(anchors(string(b)), m[2]) {
				t.Errorf("%s cites %s: no such anchor", file, m[0])
			}
		}
		for _, m := range regexp.MustCompile(`RULINGS? (\d+)`).FindAllStringSubmatch(read(t, file), -1) {
			if !strings.Contains(rulings, "\n"+m[1]+". **") {
				t.Errorf("%s cites %s, which docs/RULINGS.md does not have", file, m[0])
			}
		}
	})
}

// TestSettings: docs/OPERATING.md names every setting of the daemons.
func TestSettings(t *testing.T) {
	text := read(t, "docs/OPERATING.md")
	for _, section := range []struct{ anchor, file string }{{"keeper", "cmd/abaton-keeper/config.go"}, {"gateway", "cmd/abaton-gateway/config.go"}, {"authority", "cmd/abaton-authority/config.go"}} {
		part := sectionOf(t, text, section.anchor)
		b, err := os.ReadFile(filepath.FromSlash(section.file))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, m := range regexp.MustCompile("`toml:\"(\\w+)\"`").FindAllStringSubmatch(string(b), -1) {
			if !strings.Contains(part, "`"+m[1]+"`") {
				t.Errorf("docs/OPERATING.md#%s does not name the setting %q", section.anchor, m[1])
			}
		}
	}
}

// TestNoMachinePaths: what is committed holds no path of the machine it was
// made on.
func TestNoMachinePaths(t *testing.T) {
	pattern := regexp.MustCompile(`(^|[\s"'(=:` + "`" + `])(/(work|root|home|Users)/\w|[A-Z]:\\Users)`)
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "run", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Name() == ".git" { // of a second work tree: a file that is not committed
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if found := pattern.Find(b); found != nil && d.Name() != "repository_test.go" {
			t.Errorf("%s holds the path %q", p, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCalmRooms: nothing runs beside anything else in the rooms that "make
// test" runs without the race detector. Worlds of the simulation run side by
// side and share nothing.
func TestCalmRooms(t *testing.T) {
	list := regexp.MustCompile(`(?m)^CALM = ((?:.*\\\n)*.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if list == nil {
		t.Fatal("the Makefile has no list of calm rooms")
	}
	var calm []string
	for _, word := range strings.Fields(strings.ReplaceAll(list[1], "\\\n", " ")) {
		calm = append(calm, strings.TrimPrefix(strings.TrimSuffix(word, "/..."), "./"))
	}
	for name, r := range rooms(t) {
		if name == "abaton" {
			name = "."
		}
		in := slices.ContainsFunc(calm, func(c string) bool { return name == c || c != "." && strings.HasPrefix(name, c+"/") })
		if !in {
			continue
		}
		for _, f := range r.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if _, goes := n.(*ast.GoStmt); goes && name != "internal/sim" {
					t.Errorf("%s starts a goroutine and is tested without the race detector", name)
				}
				return true
			})
		}
	}
}
