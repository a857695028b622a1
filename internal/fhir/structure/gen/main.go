// Command gen writes the embedded tables of package structure from the
// official R4 definitions and the US Core packages.
//
// The shortest correct use, from internal/fhir/structure:
//
//	go run ./gen -definitions ../../../../shared/data/definitions -out .
//
// It is run by hand when a definition changes; what it writes is committed,
// and a test repeats it where the definitions are at hand. It protects
// nothing: it reads public definitions and trusts them.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

func main() {
	definitions := flag.String("definitions", "", "folder with the packages of definitions")
	out := flag.String("out", ".", "folder of package structure")
	flag.Parse()
	if err := run(*definitions, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(definitions, out string) error {
	t, err := tables(definitions)
	if err != nil {
		return err
	}
	packed, err := pack(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "tables.json.gz"), packed, 0o644); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	return nil
}

func pack(t *structure.Tables) ([]byte, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode tables: %w", err)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("pack tables: %w", err)
	}
	if _, err := z.Write(text); err != nil {
		return nil, fmt.Errorf("pack tables: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack tables: %w", err)
	}
	return b.Bytes(), nil
}

// tables reads all packages.
func tables(definitions string) (*structure.Tables, error) {
	core := &source{}
	if err := core.read(filepath.Join(definitions, "hl7.fhir.r4.core-4.0.1.tar.gz")); err != nil {
		return nil, err
	}
	w := &writer{core: core, rules: map[structure.RuleRow]int{}, needed: map[string]bool{}}
	w.types()
	for _, p := range core.parameters {
		w.out.Parameters = append(w.out.Parameters, structure.Parameter{URL: p.URL, Code: p.Code, Type: p.Type, Bases: p.Base})
	}
	w.extensions(core)
	w.profiles(core, "")
	for _, version := range []string{"6.1.0", "8.0.0"} {
		guide := &source{}
		if err := guide.read(filepath.Join(definitions, "us-core-"+version+".tgz")); err != nil {
			return nil, err
		}
		core.valueSets = append(core.valueSets, guide.valueSets...)
		core.systems = append(core.systems, guide.systems...)
		w.extensions(guide)
		w.profiles(guide, version)
	}
	w.codes()
	return w.sorted(), nil
}
