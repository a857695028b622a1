package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/ledger"
)

// wantDrills are the attacks that must be tried.
var wantDrills = []string{
	"enumeration", "replay", "stolen-organisation-key", "malicious-gateway", "hostile-script",
	"stolen-session", "gateway-memory", "shared-credential", "laptop-fast", "laptop-slow", "laptop-sequential", "insider-export", "snooping-colleague", "break-glass",
	"honey", "restart",
	"api-without-checks", "stolen-disk", "two-keepers", "poisoned-update", "silent-keeper", "lying-verdicts", "ledger-forked", "ledger-shortened", "ransomware",
}

func TestDrillsAreAll(t *testing.T) {
	all := drills()
	if len(all) != len(wantDrills) {
		t.Fatalf("got %d drills, want %d", len(all), len(wantDrills))
	}
	for i, d := range all {
		if d.name != wantDrills[i] || d.run == nil || d.attack == "" {
			t.Errorf("drill %d: got %s, want %s with an attack", i, d.name, wantDrills[i])
		}
	}
}

func TestDrillJudge(t *testing.T) {
	held := loss{seen: time.Second, stopped: time.Second, exact: true}
	with := func(change func(*loss)) loss {
		l := held
		change(&l)
		return l
	}
	for what, c := range map[string]struct {
		d    drill
		l    loss
		want bool
	}{
		"nothing read, seen":               {drill{}, held, true},
		"read without both locks":          {drill{}, with(func(l *loss) { l.records = 1 }), false},
		"read with both":                   {drill{bothLocks: true}, with(func(l *loss) { l.records = 1 }), true},
		"not seen":                         {drill{}, with(func(l *loss) { l.seen = -1 }), false},
		"what cannot be seen":              {drill{silent: true}, with(func(l *loss) { l.seen = -1 }), true},
		"the list is not what was read":    {drill{bothLocks: true}, with(func(l *loss) { l.exact = false }), false},
		"nothing was found out at all":     {drill{silent: true}, loss{}, false},
		"both locks, and never was seen":   {drill{bothLocks: true}, with(func(l *loss) { l.seen = -1 }), false},
		"with both, and never stopped":     {drill{bothLocks: true}, with(func(l *loss) { l.stopped = -1 }), false},
		"nothing to stop where all refuse": {drill{}, with(func(l *loss) { l.stopped = -1 }), true},
	} {
		if err := c.d.judge(&c.l); (err == nil) != c.want {
			t.Errorf("%s: got %v, want held %v", what, err, c.want)
		}
	}
}

// TestDrilledJSON: what never came is null, and not zero seconds.
func TestDrilledJSON(t *testing.T) {
	b, err := json.Marshal(drilled{Name: "x", OK: true, Seen: secondsOf(-1), Stopped: secondsOf(1500 * time.Millisecond), ListExact: true})
	want := `{"name":"x","ok":true,"exposed_records":0,"patients":0,"seen_s":null,"stopped_s":1.5,"list_exact":true,"detail":"","attack":""}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
}

// TestAffectedList: a record counts as opened once three keepers released it,
// for one request or for several, and one keeper counts once.
func TestAffectedList(t *testing.T) {
	batch := abaton.BatchName{1}
	entry := func(request byte, op ledger.Op, released uint64) ledger.Entry {
		return ledger.Entry{Request: [32]byte{request}, Op: op, Rows: []ledger.Row{{Batch: batch, Released: released}}}
	}
	one, two := entry(1, ledger.OpRelease, 1), entry(2, ledger.OpRelease, 1)
	for what, c := range map[string]struct {
		told [][]ledger.Entry
		want int
	}{
		"three keepers, one request":    {[][]ledger.Entry{{one}, {one}, {one}}, 1},
		"three keepers, two requests":   {[][]ledger.Entry{{one}, {two}, {one}}, 1},
		"two keepers, asked again":      {[][]ledger.Entry{{one, two}, {one, two}}, 0},
		"two keepers":                   {[][]ledger.Entry{{one}, {one}}, 0},
		"three that only listed":        {[][]ledger.Entry{{entry(1, ledger.OpList, 1)}, {entry(1, ledger.OpList, 1)}, {entry(1, ledger.OpList, 1)}}, 0},
		"different records at each":     {[][]ledger.Entry{{one}, {entry(1, ledger.OpRelease, 2)}, {entry(1, ledger.OpRelease, 4)}}, 0},
		"two records, one of them at 2": {[][]ledger.Entry{{entry(1, ledger.OpRelease, 3)}, {entry(1, ledger.OpRelease, 3)}, {one}}, 1},
	} {
		a := &affected{opened: make(map[abaton.RecordName]abaton.ActorID), asked: make(map[abaton.ActorID]bool), requests: make(map[[32]byte]bool)}
		a.read(abaton.ActorID{9}, c.told, 3, func(*ledger.Entry) bool { return true })
		if len(a.opened) != c.want {
			t.Errorf("%s: got %d opened, want %d", what, len(a.opened), c.want)
		}
	}
	h, a := newHaul(), &affected{opened: map[abaton.RecordName]abaton.ActorID{{Batch: batch}: {9}}}
	if exact, _ := a.exactly(h); exact {
		t.Error("a record is listed that nobody read: got exact")
	}
	h.add(client.Row{Batch: batch, Records: 1}, abaton.ActorID{9})
	if exact, how := a.exactly(h); !exact {
		t.Errorf("the same record read and listed: got %s", how)
	}
	h.add(client.Row{Batch: batch, Records: 2}, abaton.ActorID{9})
	if exact, _ := a.exactly(h); exact {
		t.Error("a record was read that is not listed: got exact")
	}
}

// reportADrill steals a session and has the drill reported, as a person would: the
// drafts are filled, each patient has a letter, all of it says that it is a drill,
// and who takes that out fails.
func reportADrill(t *testing.T, g *ground) {
	t.Helper()
	stolen, err := chosen("stolen-session")
	if err != nil {
		t.Fatal(err)
	}
	if r := stolen[0].held(t.Context(), g); !r.ListExact || r.Patients == 0 {
		t.Fatalf("the theft: got %+v, want patients read and an exact list", r)
	}
	network, out := g.n.Dir(), t.TempDir()
	abaton := func(args ...string) (code int, text []byte) {
		var b bytes.Buffer
		code = run(t.Context(), append(args, "--dir", network), strings.NewReader(""), &b, io.Discard)
		return code, b.Bytes()
	}
	code, text := abaton("report", "--out", out, "--json")
	var said reportSaid
	if err := json.Unmarshal(text, &said); err != nil || code != 0 || !said.Drill || said.People.Opened != g.size {
		t.Fatalf("report: got %d, %v, a drill %t, %d patients opened; want all %d of a drill", code, err, said.Drill, said.People.Opened, g.size)
	}
	for _, d := range said.Drafts {
		if d.Percent < 80 || len(d.Missing) != d.Of-d.Filled {
			t.Errorf("draft %s: got %d %% filled, %d missing; want 80, and the rest listed", d.Rule, d.Percent, len(d.Missing))
		}
	}
	notices, err := filepath.Glob(filepath.Join(out, "notice-*.html"))
	if err != nil || len(notices) != len(said.Patients) || len(notices) == 0 {
		t.Fatalf("got %d notices, want one for each of %d patients", len(notices), len(said.Patients))
	}
	var files []string
	for _, f := range said.Files {
		files = append(files, filepath.Join(out, f))
	}
	if code, text := abaton(append([]string{"verify"}, files...)...); code != 0 || bytes.Count(text, []byte("a DRILL")) != len(files) {
		t.Errorf("verify: got %d, want %d files of a drill", code, len(files))
	}
	page, err := os.ReadFile(notices[0])
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(t.TempDir(), "notice.html")
	for what, change := range map[string][2]string{
		"no drill on the page":        {"DRILL – not to be sent. This is not real.", ""},
		"no drill in the signed part": {`"drill":true`, `"drill":false`},
		"a record fewer":              {`"opened":4`, `"opened":3`},
	} {
		forged := bytes.ReplaceAll(page, []byte(change[0]), []byte(change[1]))
		if err := os.WriteFile(real, forged, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _ := abaton("verify", real); code == 0 || bytes.Equal(forged, page) {
			t.Errorf("%s: it holds", what)
		}
	}
	if code, text := abaton("report", "status", "--out", out); code != 0 || !bytes.Contains(text, []byte("gdpr-33")) {
		t.Errorf("report status: got %d, want what is due", code)
	}
}

// TestDrillSeesABreach is the drills' control: with the check of grants off at
// three keepers the revoked reader opens the record, the drill says so and does
// not hold; at two it opens nothing.
func TestDrillSeesABreach(t *testing.T) {
	if testing.Short() {
		t.Skip("runs eight processes")
	}
	mutant := filepath.Join(built, "mutant")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "mutant", "-o", mutant+string(filepath.Separator), "github.com/abaton-health/abaton/cmd/abaton-keeper")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	g, err := (&env{stdout: io.Discard, stderr: io.Discard}).newGround(t.Context(), t.TempDir(), built, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	b, err := g.byRevoked(t.Context())
	if err == nil {
		b.rows, err = g.rows(t.Context(), b.ask)
	}
	if err != nil {
		t.Fatal(err)
	}
	reportADrill(t, g)
	for mutants, opens := range map[int]bool{2: false, 3: true} {
		l, h, began := unseen(), newHaul(), time.Now()
		if err := g.tryBypass(t.Context(), &l, h, &b, mutants); err != nil {
			t.Fatalf("%d mutants: %v", mutants, err)
		}
		if _, err := g.account(t.Context(), &l, began, h, by(g.staff[besideHandle].ID)); err != nil && !opens {
			t.Errorf("%d mutants: %v", mutants, err)
		}
		if got := l.records > 0; got != opens {
			t.Errorf("%d mutants: opened: got %v (%d records), want %v", mutants, got, l.records, opens)
		}
		if err := (&drill{}).judge(&l); (err == nil) == opens {
			t.Errorf("%d mutants: got held %v, want %v", mutants, err == nil, !opens)
		}
	}
}
