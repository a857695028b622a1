package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The committed tables are what the generator writes today.
func TestTablesAreFresh(t *testing.T) {
	definitions := os.Getenv("ABATON_FHIR_DEFINITIONS")
	if definitions == "" {
		definitions = "../../../../shared/data/definitions/hl7.fhir.r4.core-4.0.1.tar.gz"
	}
	if _, err := os.Stat(definitions); err != nil {
		t.Skip("the R4 definitions are not here; set ABATON_FHIR_DEFINITIONS to the core package to check the tables against them")
	}
	files, err := tables(definitions, "../sensitive.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got another text than the generator writes; run go generate ./internal/fhir", name)
		}
	}
}

func TestReadSensitiveRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"four columns":     "genetic\tloinc\t1-1\tLOINC\n",
		"no source":        "genetic\tloinc\t1-1\t\tx\n",
		"unknown category": "secret\tloinc\t1-1\tLOINC\tx\n",
		"unknown system":   "genetic\tmine\t1-1\tLOINC\tx\n",
	} {
		file := filepath.Join(t.TempDir(), "codes.tsv")
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSensitive(file); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
