package actor_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is one input and what must come of it. Each negative one has a
// single defect, and expect names the check that must find it.
type vector struct {
	Comment string            `json:"comment"`
	Source  string            `json:"source"`
	Now     int64             `json:"now,omitempty"`
	Input   map[string]string `json:"input"`
	Expect  string            `json:"expect"`
	Output  map[string]string `json:"output,omitempty"`
}

// checkVectors compares the vectors this code makes with the committed ones;
// -update writes them.
func checkVectors(t *testing.T, name string, made []vector) {
	t.Helper()
	negative := 0
	for _, v := range made {
		if v.Expect != "ok" {
			negative++
		}
	}
	if negative*2 <= len(made) {
		t.Errorf("%s: %d of %d vectors are negative, want more than half", name, negative, len(made))
	}
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	path := filepath.Join("..", "vectors", "actor", name+".json")
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read vectors: %v", err)
	}
	if !bytes.Equal(committed, text) {
		t.Errorf("%s: the committed vectors are not what this code makes (run with -update and look at the difference)", name)
	}
}
