package abaton_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	linkPattern    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	anchorPattern  = regexp.MustCompile(`<a id="([^"]+)"></a>`)
	headingPattern = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	citePattern    = regexp.MustCompile(`PROTOCOL\.md#([a-z0-9-]+)`)
	codePattern    = regexp.MustCompile("`([^`\n]+)`")
	fencePattern   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// pages are the Markdown files of the repository.
func pages(t *testing.T) (files []string) {
	t.Helper()
	walkModule(t, func(file string) {
		if path.Ext(file) == ".md" {
			files = append(files, file)
		}
	})
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}

// TestLinks follows every link inside the repository, to the anchor.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range linkPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(read(t, page), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat(filepath.FromSlash(target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, target)
				continue
			}
			if anchor == "" || path.Ext(target) != ".md" {
				continue
			}
			if !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s#%s: no such anchor", page, target, anchor)
			}
		}
	}
}

// anchors are those set by hand and those of headings.
func anchors(text string) (ids []string) {
	for _, m := range anchorPattern.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1])
	}
	for _, m := range headingPattern.FindAllStringSubmatch(text, -1) {
		slug := strings.ToLower(strings.TrimSpace(m[1]))
		slug = regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(slug, "")
		ids = append(ids, strings.ReplaceAll(slug, " ", "-"))
	}
	return ids
}

// TestArchitecture: the map names every folder that holds code, nothing that
// is not there, and the walks name functions that exist.
func TestArchitecture(t *testing.T) {
	text := read(t, "docs/ARCHITECTURE.md")
	named := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)/?` \\|").FindAllStringSubmatch(text, -1) {
		folder := strings.TrimSuffix(m[1], "/")
		named[folder] = true
		if _, err := os.Stat(filepath.FromSlash(folder)); err != nil {
			t.Errorf("the map names %s, which does not exist", folder)
		}
	}
	for name := range rooms(t) {
		if name == "abaton" {
			name = "."
		}
		if !named[name] {
			t.Errorf("the map does not name %s", name)
		}
	}
	known := declaredIn(t)
	_, walks, ok := strings.Cut(text, "## A write")
	if !ok {
		t.Fatal("docs/ARCHITECTURE.md walks no write")
	}
	for _, m := range codePattern.FindAllStringSubmatch(walks, -1) {
		if !regexp.MustCompile(`^[a-z]+\.[A-Za-z]\w*(\.\w+)?$`).MatchString(m[1]) {
			continue
		}
		if !known[m[1]] {
			t.Errorf("the walks name %s, which does not exist", m[1])
		}
	}
}

// declaredIn lists package.Name and package.Type.Member of the module.
func declaredIn(t *testing.T) map[string]bool {
	known := make(map[string]bool)
	for name, r := range rooms(t) {
		base := path.Base(name)
		for _, f := range r.files {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil {
						known[base+"."+d.Name.Name] = true
					} else {
						known[base+"."+receiver(d)+"."+d.Name.Name] = true
					}
				case *ast.GenDecl:
					declareSpecs(known, base, d)
				}
			}
		}
	}
	return known
}

func declareSpecs(known map[string]bool, base string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			known[base+"."+s.Name.Name] = true
			if i, ok := s.Type.(*ast.InterfaceType); ok {
				for _, method := range i.Methods.List {
					for _, id := range method.Names {
						known[base+"."+s.Name.Name+"."+id.Name] = true
					}
				}
			}
		case *ast.ValueSpec:
			for _, id := range s.Names {
				known[base+"."+id.Name] = true
			}
		}
	}
}

// TestThreats: every row of THREATS.md names tests that exist, or says open.
func TestThreats(t *testing.T) {
	rows := 0
	for line := range strings.Lines(read(t, "docs/THREATS.md")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 || strings.HasPrefix(strings.TrimSpace(cells[1]), "adversary") || strings.HasPrefix(cells[1], "---") {
			continue
		}
		rows++
		adversary, shown := strings.TrimSpace(cells[1]), cells[5]
		for i, cell := range cells[1:6] {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("THREATS.md, %s: cell %d is empty", adversary, i+1)
			}
		}
		tests := codePattern.FindAllStringSubmatch(shown, -1)
		if len(tests) == 0 && !strings.Contains(shown, "open") {
			t.Errorf("THREATS.md, %s: want a test in backticks or the word open", adversary)
		}
		for _, m := range tests {
			if err := testExists(m[1]); err != nil {
				t.Errorf("THREATS.md, %s: %v", adversary, err)
			}
		}
	}
	if rows < 20 {
		t.Errorf("THREATS.md has %d rows, want one for each adversary", rows)
	}
}

// testExists looks for folder/TestName, or for a file.
func testExists(name string) error {
	if path.Ext(name) != "" {
		_, err := os.Stat(filepath.FromSlash(name))
		return err
	}
	dir, function := path.Split(name)
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(path.Clean("./"+dir)), "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("\nfunc "+function+"(")) {
			return nil
		}
	}
	return fmt.Errorf("no test %s", name)
}

// TestDecisions: no two pages have one number (one that was kept free is no
// fault), all are listed, and each weighs.
func TestDecisions(t *testing.T) {
	files, err := filepath.Glob("docs/adr/[0-9]*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions found: %v", err)
	}
	index := read(t, "docs/adr/README.md")
	taken := make(map[string]string)
	for _, file := range files {
		name := filepath.Base(file)
		number, _, ok := strings.Cut(name, "-")
		if !ok || len(number) != 4 || taken[number] != "" {
			t.Errorf("%s: want a number of four digits that no other page has (%s)", name, taken[number])
		}
		taken[number] = name
		if !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/adr/README.md does not list %s", name)
		}
		text := read(t, filepath.ToSlash(file))
		for _, part := range []string{"\n## Context\n", "\n## Options\n", "\n## Decision\n", "\n## What would change our mind\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no part %q", name, strings.TrimSpace(part))
			}
		}
	}
}

// TestCases: every test and story that docs/CASES.md names is there, and each
// case has a row of its own.
func TestCases(t *testing.T) {
	stories := make(map[string]bool)
	tests := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, pattern := range []string{"cmd/abaton/testdata/*.txtar", "interop/*/*.mjs"} {
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			stories[filepath.Base(file)] = true
		}
	}
	walkModule(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range tests.FindAllStringSubmatch(read(t, file), -1) {
				stories[m[1]] = true
			}
		}
	})
	seen := make(map[string]bool)
	for _, row := range regexp.MustCompile(`(?m)^\| (H\d+b?) .*$`).FindAllStringSubmatch(read(t, "docs/CASES.md"), -1) {
		if seen[row[1]] {
			t.Errorf("%s has two rows", row[1])
		}
		seen[row[1]] = true
		for _, m := range codePattern.FindAllStringSubmatch(row[0], -1) {
			if !stories[m[1]] {
				t.Errorf("%s names %s, which does not exist", row[1], m[1])
			}
		}
	}
	if len(seen) == 0 {
		t.Error("docs/CASES.md has no row")
	}
}
