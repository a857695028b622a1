package abaton_test

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// outcomeRooms are the rooms whose refusals a FHIR client sees, each with the
// function that makes one: where its status, code and text stand.
var outcomeRooms = map[string]struct {
	function           string
	status, code, text int
}{
	"internal/gateway": {"refusal", 0, 1, 2},
	"internal/fhir":    {"refuse", 0, 1, 3},
}

// passedOn are the functions that hand on what another outcome said, or make
// its text from parts.
var passedOn = []string{"take", "homeOf", "refusal", "refuse", "partTrouble"}

// httpStatuses are the names of statuses that refusals use.
var httpStatuses = map[string]string{
	"StatusBadRequest": "400", "StatusUnauthorized": "401", "StatusForbidden": "403", "StatusNotFound": "404", "StatusMethodNotAllowed": "405",
	"StatusNotAcceptable": "406", "StatusConflict": "409", "StatusGone": "410", "StatusPreconditionFailed": "412", "StatusRequestTimeout": "408", "StatusRequestEntityTooLarge": "413",
	"StatusUnsupportedMediaType": "415", "StatusUnprocessableEntity": "422", "StatusTooManyRequests": "429", "StatusInternalServerError": "500",
	"StatusBadGateway": "502", "StatusServiceUnavailable": "503", "StatusRequestedRangeNotSatisfiable": "416", "StatusNotImplemented": "501",
	"statusBadRequest": "400", "statusNotFound": "404", "statusNotAllowed": "405", "statusPrecondition": "412", "statusTooLarge": "413",
	"statusUnprocessable": "422", "statusInternal": "500",
}

// TestErrorCatalogue: every refusal of the gateway is in docs/ERRORS.md, each
// with a cause and a remedy, and nothing else is. With -update the texts are
// written anew; a new code needs its section first.
func TestErrorCatalogue(t *testing.T) {
	said := make(map[string]map[string]bool) // code -> texts
	for name, how := range outcomeRooms {
		r := rooms(t)[name]
		if r == nil {
			t.Fatalf("room %s does not exist", name)
		}
		s := outcomeScan{t: t, how: how.function, at: [3]int{how.status, how.code, how.text}, said: said, constants: constantsOf(r), wrappers: make(map[string][2]string)}
		for _, f := range r.files {
			s.findWrappers(f)
		}
		for name, text := range s.constants { // what homeOf passes on
			if how.function == "refuse" && strings.HasPrefix(name, "reason") {
				s.add("422", "business-rule", text)
			}
		}
		for file, f := range r.files {
			s.file = file
			s.scan(f)
		}
	}
	const page = "docs/ERRORS.md"
	text := read(t, page)
	sections := regexp.MustCompile("(?m)^## `([0-9]{3}-[a-z-]+)`\n").FindAllStringSubmatchIndex(text, -1)
	var out strings.Builder
	written := make(map[string]bool)
	for i, at := range sections {
		end := len(text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		code, body := text[at[2]:at[3]], text[at[1]:end]
		if i == 0 {
			out.WriteString(text[:at[0]])
		}
		written[code] = true
		if said[code] == nil {
			t.Errorf("%s has %s, which the gateway never says", page, code)
			continue
		}
		prose, _, _ := strings.Cut(body, "\nIt says:\n")
		if !strings.Contains(prose, "**Cause.**") || !strings.Contains(prose, "**Remedy.**") {
			t.Errorf("%s: %s has no cause or no remedy", page, code)
		}
		out.WriteString(text[at[0]:at[1]] + strings.TrimRight(prose, "\n") + "\n\nIt says:\n\n")
		for _, line := range slices.Sorted(maps.Keys(said[code])) {
			out.WriteString("- " + line + "\n")
		}
		out.WriteString("\n")
	}
	for _, code := range slices.Sorted(maps.Keys(said)) {
		if !written[code] {
			t.Errorf("%s has no section %s: write its cause and remedy", page, code)
		}
	}
	want := strings.TrimRight(out.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(filepath.FromSlash(page), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != want && !t.Failed() {
		t.Errorf("%s: its texts are not those of the code; run go test -run TestErrorCatalogue -update .", page)
	}
}

type outcomeScan struct {
	t         *testing.T
	how, file string
	at        [3]int // places of status, code and text
	said      map[string]map[string]bool
	constants map[string]string
	wrappers  map[string][2]string // functions of a text alone -> status, code
}

// constantsOf are the string constants and variables of a package.
func constantsOf(r *room) map[string]string {
	found := make(map[string]string)
	for range 2 { // one may be made of another
		for _, f := range r.files {
			for _, d := range f.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.CONST && g.Tok != token.VAR {
					continue
				}
				for _, spec := range g.Specs {
					v := spec.(*ast.ValueSpec)
					for i, id := range v.Names {
						if i < len(v.Values) {
							if s, ok := textOf(v.Values[i], found); ok {
								found[id.Name] = s
							}
						}
					}
				}
			}
		}
	}
	return found
}

// textOf reads a string made of literals and constants.
func textOf(e ast.Expr, constants map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.Ident:
		s, ok := constants[e.Name]
		return s, ok
	case *ast.BinaryExpr:
		a, ok1 := textOf(e.X, constants)
		b, ok2 := textOf(e.Y, constants)
		return a + b, ok1 && ok2 && e.Op == token.ADD
	case *ast.ParenExpr:
		return textOf(e.X, constants)
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" && len(e.Args) > 0 {
			return textOf(e.Args[0], constants)
		}
	}
	return "", false
}

func statusOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		s, ok := httpStatuses[e.Sel.Name]
		return s, ok
	case *ast.Ident:
		s, ok := httpStatuses[e.Name]
		return s, ok
	}
	return "", false
}

// findWrappers notes functions that take a text and return a refusal of it.
func (s *outcomeScan) findWrappers(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || len(fn.Body.List) != 1 || len(fn.Type.Params.List) != 1 {
			continue
		}
		ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
		if !ok || len(ret.Results) != 1 {
			continue
		}
		if status, code, text, ok := s.call(ret.Results[0]); ok {
			if id, isParam := text.(*ast.Ident); isParam && id.Name == fn.Type.Params.List[0].Names[0].Name {
				s.wrappers[fn.Name.Name] = [2]string{status, code}
			}
		}
	}
}

// call reads a call of the room's own function.
func (s *outcomeScan) call(e ast.Expr) (status, code string, text ast.Expr, ok bool) {
	c, isCall := e.(*ast.CallExpr)
	if !isCall || len(c.Args) <= s.at[2] {
		return "", "", nil, false
	}
	if id, isName := c.Fun.(*ast.Ident); !isName || id.Name != s.how {
		return "", "", nil, false
	}
	status, known := statusOf(c.Args[s.at[0]])
	code, named := textOf(c.Args[s.at[1]], s.constants)
	return status, code, c.Args[s.at[2]], known && named
}

func (s *outcomeScan) scan(f *ast.File) {
	for _, d := range f.Decls {
		fn, _ := d.(*ast.FuncDecl)
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				s.scanCall(fn, n)
			case *ast.CompositeLit:
				s.scanLiteral(fn, n)
			}
			return true
		})
	}
}

func (s *outcomeScan) scanCall(fn *ast.FuncDecl, c *ast.CallExpr) {
	id, ok := c.Fun.(*ast.Ident)
	if !ok {
		return
	}
	if w, isWrapper := s.wrappers[id.Name]; isWrapper && len(c.Args) == 1 {
		s.note(fn, w[0], w[1], c.Args[0])
		return
	}
	if id.Name != s.how {
		return
	}
	status, code, text, ok := s.call(c)
	if !ok {
		if fn == nil || !slices.Contains(passedOn, fn.Name.Name) {
			s.t.Errorf("%s: %s is called with a status or code that cannot be read here", s.file, s.how)
		}
		return
	}
	s.note(fn, status, code, text)
}

// scanLiteral reads an OutcomeError written out.
func (s *outcomeScan) scanLiteral(fn *ast.FuncDecl, l *ast.CompositeLit) {
	if id, ok := l.Type.(*ast.Ident); !ok || id.Name != "OutcomeError" {
		return
	}
	parts := make(map[string]ast.Expr)
	for _, e := range l.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			parts[kv.Key.(*ast.Ident).Name] = kv.Value
		}
	}
	status, known := "", false
	if parts["Status"] != nil {
		status, known = statusOf(parts["Status"])
	}
	if !known {
		return
	}
	if code, ok := textOf(parts["Code"], s.constants); ok {
		s.note(fn, status, code, parts["Diagnostics"])
	}
}

func (s *outcomeScan) note(fn *ast.FuncDecl, status, code string, text ast.Expr) {
	said, ok := textOf(text, s.constants)
	if !ok {
		wrapper := fn != nil && (s.wrappers[fn.Name.Name] != [2]string{} || slices.Contains(passedOn, fn.Name.Name))
		if !wrapper {
			where := "a variable"
			if fn != nil {
				where = fn.Name.Name
			}
			s.t.Errorf("%s: in %s, the text of %s-%s cannot be read here; write it where it is refused", s.file, where, status, code)
		}
		return
	}
	s.add(status, code, said)
}

func (s *outcomeScan) add(status, code, text string) {
	if s.said[status+"-"+code] == nil {
		s.said[status+"-"+code] = make(map[string]bool)
	}
	s.said[status+"-"+code][text] = true
}
