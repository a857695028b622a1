package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestClientsOfOthers runs the journeys of FHIR and SMART clients in Node
// against a live network of the binaries that make build made. What a journey
// needs and does not find is said; nothing is fetched here.
func TestClientsOfOthers(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: install it, then npm ci in interop/smart and interop/clients")
	}
	abaton, err := filepath.Abs("../bin/abaton")
	if err != nil {
		t.Fatal(err)
	}
	browser := "/usr/bin/chromium"
	if b := os.Getenv("CHROMIUM"); b != "" {
		browser = b
	}
	for _, c := range []struct {
		folder, script string
		needs          []string
	}{
		{"smart", "launch.mjs", []string{abaton, "smart/node_modules", browser}},
		{"clients", "journeys.mjs", []string{abaton, "clients/node_modules"}},
	} {
		t.Run(c.folder, func(t *testing.T) {
			for _, need := range c.needs {
				if _, err := os.Stat(need); err != nil {
					t.Skipf("needs %s: make build, npm ci --omit=optional in interop/%s, Chromium for smart", filepath.Base(need), c.folder)
				}
			}
			run := exec.CommandContext(t.Context(), node, c.script)
			run.Dir = c.folder
			run.Env = append(os.Environ(), "ABATON="+abaton, "CHROMIUM="+browser)
			out, err := run.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
