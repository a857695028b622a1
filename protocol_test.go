package abaton_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write the index of PROTOCOL.md anew")

func isProtocol(file string) bool {
	return file == "docs/PROTOCOL.md" || strings.HasPrefix(file, "docs/protocol/")
}

// TestProtocolAnchors: every PROTOCOL.md anchor cited by code or vectors
// exists, and each is set once.
func TestProtocolAnchors(t *testing.T) {
	where := make(map[string]string)
	for _, page := range pages(t) {
		if !isProtocol(page) {
			continue
		}
		for _, m := range anchorPattern.FindAllStringSubmatch(read(t, page), -1) {
			if where[m[1]] != "" {
				t.Errorf("anchor %q is set in %s and in %s", m[1], where[m[1]], page)
			}
			where[m[1]] = page
		}
	}
	walkModule(t, func(file string) {
		if ext := path.Ext(file); ext != ".go" && ext != ".json" {
			return
		}
		for _, m := range citePattern.FindAllStringSubmatch(read(t, file), -1) {
			if where[m[1]] == "" {
				t.Errorf("%s cites PROTOCOL.md#%s, which is not there", file, m[1])
				where[m[1]] = "cited"
			}
		}
	})
}

// TestProtocolIndex: the index of PROTOCOL.md leads to every anchor of the
// chapters. With -update it is written anew.
func TestProtocolIndex(t *testing.T) {
	const head = "## Index of the chapters\n"
	text := read(t, "docs/PROTOCOL.md")
	before, index, ok := strings.Cut(text, head)
	if !ok {
		t.Fatalf("docs/PROTOCOL.md has no part %q", head)
	}
	var want strings.Builder
	for _, page := range pages(t) {
		if !strings.HasPrefix(page, "docs/protocol/") {
			continue
		}
		chapter := strings.TrimPrefix(page, "docs/")
		fmt.Fprintf(&want, "\n%s:", chapter)
		for i, m := range anchorPattern.FindAllStringSubmatch(read(t, page), -1) {
			if i > 0 {
				want.WriteByte(',')
			}
			fmt.Fprintf(&want, "\n[%s](%s#%s)", m[1], chapter, m[1])
		}
		want.WriteString(".\n")
	}
	if *update {
		if err := os.WriteFile(filepath.FromSlash("docs/PROTOCOL.md"), []byte(before+head+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if index != want.String() {
		t.Error("docs/PROTOCOL.md: the index is not that of the chapters; run go test -run TestProtocolIndex -update .")
	}
}

// TestProtocolExample makes the first example of PROTOCOL.md anew.
func TestProtocolExample(t *testing.T) {
	text := read(t, "docs/PROTOCOL.md")
	_, rest, ok := strings.Cut(text, "<!-- example: receipt -->\n```\n")
	if !ok {
		t.Fatal("docs/PROTOCOL.md has no example")
	}
	shown, _, _ := strings.Cut(rest, "\n")
	var seed key.Secret
	copy(seed[:], bytes.Repeat([]byte{1}, len(seed)))
	receipt := keeper.Receipt{V: 1, Keeper: 3, Entry: 1207, Time: 1795305600}
	copy(receipt.Batch[:], bytes.Repeat([]byte{0xb1}, len(receipt.Batch)))
	copy(receipt.Lock[:], bytes.Repeat([]byte{0x10}, len(receipt.Lock)))
	signed := key.SigningFromSeed(seed).Seal(wire.Receipt, wire.Marshal(receipt))
	if got := hex.EncodeToString(wire.Marshal(signed)); got != shown {
		t.Errorf("the example: got %s, want %s", got, shown)
	}
}

// TestProtocolTables compares the tables of PROTOCOL.md with the code.
func TestProtocolTables(t *testing.T) {
	text := read(t, "docs/PROTOCOL.md")
	for _, c := range []struct {
		section string
		want    []string // how each row begins
	}{
		{"labels", labelRows(t)}, {"limits", limitRows(t)}, {"routes", routeRows(t)}, {"refusals", refusalRows(t)},
	} {
		section := sectionOf(t, text, c.section)
		for _, row := range c.want {
			if !strings.Contains(section, "\n"+row) {
				t.Errorf("docs/PROTOCOL.md#%s has no row that begins %q", c.section, row)
			}
		}
		if got := tableRows(firstTable(section)); got != len(c.want) {
			t.Errorf("docs/PROTOCOL.md#%s has %d rows, want %d", c.section, got, len(c.want))
		}
	}
}

// TestProtocolMessages compares each message with its table: number and name
// of every field.
func TestProtocolMessages(t *testing.T) {
	text := read(t, "docs/PROTOCOL.md")
	sections := map[string]string{"Opened": "session-open", "SealedReply": "sealed-reply", "Opening": "emergency-opening"}
	f := parse(t, "keeper/messages.go")
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		st, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		section := sections[spec.Name.Name]
		if section == "" {
			section = strings.ToLower(spec.Name.Name)
		}
		table := firstTable(sectionOf(t, text, section))
		for _, field := range st.Fields.List {
			number := regexp.MustCompile(`cbor:"(\d+),keyasint(?:,omitzero)?"`).FindStringSubmatch(field.Tag.Value)
			if number == nil {
				t.Errorf("keeper.%s.%s: want the tag cbor:\"N,keyasint\"", spec.Name.Name, field.Names[0].Name)
				continue
			}
			if row := fmt.Sprintf("\n| %s | %s | ", number[1], field.Names[0].Name); !strings.Contains(table, row) {
				t.Errorf("docs/PROTOCOL.md#%s has no row %q", section, strings.TrimSpace(row))
			}
		}
		if got, want := tableRows(table), len(st.Fields.List); got != want {
			t.Errorf("docs/PROTOCOL.md#%s: %d rows, want %d", section, got, want)
		}
		return true
	})
}

// sectionOf is the text from an anchor to the next.
func sectionOf(t *testing.T, text, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, `<a id="`+id+`"></a>`)
	if !ok {
		t.Errorf("docs/PROTOCOL.md has no anchor %q", id)
		return ""
	}
	section, _, _ := strings.Cut(rest, `<a id="`)
	return section
}

// tableRows counts without the two lines of the head.
func tableRows(table string) int { return strings.Count(table, "\n|") - 2 }

func firstTable(section string) string {
	at := strings.Index(section, "\n|")
	if at < 0 {
		return ""
	}
	table, _, _ := strings.Cut(section[at:], "\n\n")
	return table
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	return f
}

// stringConstants gives name and value of the string constants of a file.
func stringConstants(t *testing.T, file string) (values map[string]string) {
	t.Helper()
	values = make(map[string]string)
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if v, err := strconv.Unquote(lit.Value); err == nil {
					values[spec.Names[0].Name] = v
				}
			}
		}
		return true
	})
	return values
}

func labelRows(t *testing.T) (rows []string) {
	for _, label := range stringConstants(t, "wire/labels.go") {
		rows = append(rows, "| `"+label+"` | ")
	}
	return rows
}

func routeRows(t *testing.T) (rows []string) {
	for name, route := range stringConstants(t, "keeper/routes.go") {
		method := http.MethodPost
		if name == "RouteEvidence" || name == "RouteTiles" || name == "RouteWitnessed" {
			method = http.MethodGet
		}
		rows = append(rows, "| "+method+" | `"+route+"` | ")
	}
	return rows
}

// refusalRows reads the statuses as keeper/http.go maps them.
func refusalRows(t *testing.T) (rows []string) {
	status := make(map[string]string)
	byName := map[string]int{
		"BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404, "Conflict": 409, "Gone": 410,
		"RequestEntityTooLarge": 413, "UnprocessableEntity": 422, "TooManyRequests": 429, "ServiceUnavailable": 503, "InsufficientStorage": 507,
	}
	for _, m := range regexp.MustCompile(`abaton\.(Reason\w+):\s+http\.Status(\w+),`).FindAllStringSubmatch(read(t, "keeper/http.go"), -1) {
		status[m[1]] = strconv.Itoa(byName[m[2]])
	}
	for name, reason := range stringConstants(t, "reasons.go") {
		if status[name] == "" {
			status[name] = "403"
		}
		rows = append(rows, "| `"+reason+"` | "+status[name]+" | ")
	}
	return rows
}

// limitRows evaluates limits.go.
func limitRows(t *testing.T) (rows []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "limits.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := config.Check("limits", fset, []*ast.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok {
			continue
		}
		v, exact := constant.Int64Val(c.Val())
		if !exact {
			t.Fatalf("limit %s is not a whole number", name)
		}
		shown := showNumber(v)
		if c.Type().String() == "time.Duration" {
			shown = showDuration(time.Duration(v))
		}
		rows = append(rows, "| "+name+" | "+shown+" | ")
	}
	return rows
}

func showNumber(v int64) string {
	switch {
	case v >= 1<<20 && v%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", v>>20)
	case v > 65536 && v%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", v>>10)
	case v >= 1000:
		return fmt.Sprintf("%d,%03d", v/1000, v%1000)
	}
	return strconv.FormatInt(v, 10)
}

func showDuration(d time.Duration) string {
	switch {
	case d <= 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d > 100*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}
