package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// TestTablesAreCurrent makes the tables again where the definitions are at
// hand. It compares what is packed: compressors change.
func TestTablesAreCurrent(t *testing.T) {
	folder := os.Getenv("ABATON_FHIR_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
	}
	folder = filepath.Join(folder, "definitions")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the definitions are not here; set ABATON_FHIR_DATA")
	}
	fresh, err := tables(folder)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join("..", "tables.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := structure.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(fresh)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(committed)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the committed tables are not what gen makes: run go generate in internal/fhir/structure")
	}
}
