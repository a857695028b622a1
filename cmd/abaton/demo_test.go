package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton"
)

// wantSteps are the steps that a demonstration must have.
var wantSteps = []string{
	"import", "read_back", "read_without_grant", "give_access", "read", "two_keepers_killed", "one_lost_one_lying",
	"access_stopped", "disk_stolen", "disclosures_exact", "ledgers_verified", "memory",
}

// TestDemo runs the whole story with binaries whose sealing is the identity: that
// must turn disk_stolen red, and nothing else. With those that ship, "make demo"
// runs it.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("runs eleven processes")
	}
	mutant := filepath.Join(built, "mutant")
	module := "github.com/abaton-health/abaton/cmd/"
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "mutant", "-o", mutant+string(filepath.Separator),
		module+"abaton", module+"abaton-keeper", module+"abaton-gateway", module+"abaton-authority")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	steps, err := runDemo(t, mutant)
	if err == nil {
		t.Error("a build that seals nothing passed the demonstration")
	}
	for _, s := range steps {
		if want := s.Name != "disk_stolen"; s.OK != want {
			t.Errorf("sealing is the identity, %s: got ok %v, want %v: %s", s.Name, s.OK, want, s.Detail)
		}
	}
}

func runDemo(t *testing.T, binaries string) ([]step, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(binaries, "abaton"), "demo", "--json", "--seed", "5")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	ended := c.Run()
	var out struct{ Steps []step }
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("demo --json: %v, %v\n%s", ended, err, stderr.String())
	}
	var names []string
	for _, s := range out.Steps {
		names = append(names, s.Name)
	}
	if len(names) != len(wantSteps) {
		t.Fatalf("steps: got %v, want %v", names, wantSteps)
	}
	for i, name := range wantSteps {
		if names[i] != name {
			t.Errorf("step %d: got %s, want %s", i, names[i], name)
		}
	}
	return out.Steps, ended
}

func TestSameRecords(t *testing.T) {
	name := func(j uint16) abaton.RecordName { return abaton.RecordName{Batch: abaton.BatchName{1}, Index: j} }
	both := records{name(1): true, name(2): true}
	for what, c := range map[string]struct {
		got, want records
		same      bool
	}{
		"the same":         {both, records{name(2): true, name(1): true}, true},
		"one not listed":   {records{name(1): true}, both, false},
		"one listed extra": {both, records{name(1): true}, false},
		"none":             {records{}, both, false},
	} {
		if err := sameRecords(c.got, c.want); (err == nil) != c.same {
			t.Errorf("%s: got %v, want same %v", what, err, c.same)
		}
	}
}

func TestInStatus(t *testing.T) {
	parent, kb := inStatus([]byte("Name:\tabaton-keeper\nPPid:\t42\nVmHWM:\t 999 kB\nVmRSS:\t   51234 kB\n"))
	if parent != 42 || kb != 51234 {
		t.Errorf("got parent %d, %d kB, want 42, 51234", parent, kb)
	}
}
