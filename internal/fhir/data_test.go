package fhir

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// dataFolder is where the whole data sets lie: ABATON_FHIR_DATA. Tests
// over them skip where they are absent.
func dataFolder(t testing.TB, sub string) string {
	t.Helper()
	folder := os.Getenv("ABATON_FHIR_DATA")
	if folder == "" {
		t.Skip("set ABATON_FHIR_DATA to the folder of the whole data sets, as make data-check does")
	}
	folder = filepath.Join(folder, sub)
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the whole data sets are not here; set ABATON_FHIR_DATA to their folder to run this over all of them")
	}
	return folder
}

// gunzip is the content of a .gz file.
func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eachFile calls f for every file of a .tar.gz.
func eachFile(t testing.TB, archive string, f func(name string, text []byte)) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f(h.Name, text)
	}
}

// eachBundle calls f for every Bundle of the synthea set, read.
func eachBundle(t testing.TB, f func(name string, b *Bundle)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dataFolder(t, "synthea"), "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Fatal("no Bundles in the synthea folder")
	}
	for i, name := range names {
		if raceEnabled && i > 1 && i%12 != 0 {
			continue // the race detector makes the whole set a matter of minutes
		}
		b, err := ParseBundle(gunzip(t, name))
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(name), err)
		}
		f(filepath.Base(name), b)
	}
}
