//go:build mutant

package custody_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/custody/custodytest"
)

// TestMutantIsSeen: with any one check, rung, step or finding off in all five
// keepers a test goes red, and with nothing off each of those tests is green.
func TestMutantIsSeen(t *testing.T) {
	all := switches()
	honest := slices.Compact(slices.Sorted(maps.Values(all)))
	if out, red := runs(t, "", honest...); red || bytes.Count(out, []byte("\n--- PASS"))+1 < len(honest) {
		t.Fatalf("with nothing off: got red or too few tests, want %d green\n%s", len(honest), out)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, red := runs(t, name, all[name]); !red {
				t.Errorf("%s is off: got %s green, want it red\n%s", name, all[name], out)
			}
		})
	}
}

// runs runs tests in a process of their own, with something off in its keepers.
// Red is a test that failed, and not a process that could not run it.
func runs(t *testing.T, off string, tests ...string) (out []byte, red bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", "^("+strings.Join(tests, "|")+")$")
	c.Env = append(os.Environ(), custodytest.Off+"="+off)
	out, err := c.CombinedOutput()
	failed := bytes.Contains(out, []byte("--- FAIL"))
	if (err != nil) != failed || bytes.Contains(out, []byte("panic:")) {
		t.Fatalf("%s off: %v\n%s", off, err, out)
	}
	return out, failed
}
