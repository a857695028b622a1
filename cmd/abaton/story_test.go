package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/abaton-health/abaton/internal/local"
)

// built is the folder of the real binaries, which TestMain builds once.
var built = filepath.Join(os.TempDir(), fmt.Sprintf("abaton-stories-%d", os.Getpid()))

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if flag.Parse(); testing.Short() {
		return m.Run() // no real process is started
	}
	defer os.RemoveAll(built)
	module := "github.com/abaton-health/abaton/cmd/"
	for _, args := range [][]string{append(raceFlags(), module+"abaton"), {module + "abaton-keeper"}, {module + "abaton-gateway"}, {module + "abaton-authority"}} {
		build := exec.Command("go", append([]string{"build", "-o", built + string(filepath.Separator)}, args...)...)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// TestStories runs testdata/*.txtar against real daemons on loopback.
func TestStories(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons for each story; run without -short")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", built+string(os.PathListSeparator)+e.Getenv("PATH"))
			samples, err := filepath.Abs("../../testdata/patients")
			e.Setenv("SAMPLES", samples)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fhir": askFHIR, "killnow": killNow, "await-count": awaitCount, "var": setVar, "cutput": cutPut,
			"appask": appAsk, "appget": appGet, "svcget": serviceGet,
			"alerthook": alertHook,
		},
	})
}

// readyMax bounds the wait for a network; a loaded machine is slow.
const readyMax = 2 * time.Minute

// awaitCount is: await-count FILE TEXT N. It waits until FILE holds TEXT N
// times.
func awaitCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: await-count FILE TEXT N")
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyMax)
	defer cancel()
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Count(string(text), args[1]) >= want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s does not come to hold %q", args[0], args[1])
		}
	}
}

// askFHIR is: fhir DIR HANDLE STATUS PATH [FILE]. It asks the gateway as
// somebody who has signed in ("nobody" sends no access value), or posts a file.
func askFHIR(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 && len(args) != 5 {
		ts.Fatalf("usage: fhir DIR HANDLE STATUS PATH [FILE]")
	}
	method, body := http.MethodGet, ""
	if len(args) == 5 {
		method, body = http.MethodPost, ts.ReadFile(args[4])
	}
	n, err := local.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	r, err := http.NewRequest(method, n.GatewayURL()+strings.TrimSpace(args[3]), strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if args[1] != "nobody" {
		s, err := n.People().Kept(args[1], n.GatewayURL())
		ts.Check(err)
		r.Header.Set("Authorization", "Bearer "+s.Access)
	}
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	if fmt.Sprint(resp.StatusCode) != args[2] {
		ts.Fatalf("%s as %s: got %s, want %s", args[3], args[1], resp.Status, args[2])
	}
}

// killNow is: killnow NAME. It kills a background command as a power cut
// would.
func killNow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: killnow COMMAND")
	}
	for _, c := range ts.BackgroundCmds() {
		if strings.Contains(strings.Join(c.Args, " "), args[0]) {
			ts.Check(c.Process.Kill())
			return
		}
	}
	ts.Fatalf("no background command has %q in it", args[0])
}

// setVar is: var NAME FILE. It sets a variable to what a file holds.
func setVar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: var NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}
