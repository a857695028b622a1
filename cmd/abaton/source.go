package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// source is one file to be imported.
type source struct {
	name string // for people and the journal
	size int64  // bytes as it lies there
	open func() (io.ReadCloser, error)
}

// sourcesOf finds the files under paths: each named file, and of folders every
// one that holds FHIR by its name. They come in the order of their names.
func sourcesOf(paths []string) ([]source, error) {
	var all []source
	for _, p := range paths {
		err := filepath.WalkDir(p, func(at string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || at != p && !holdsFHIR(at) {
				return nil
			}
			info, err := os.Stat(at)
			if err != nil {
				return err
			}
			all = append(all, source{name: at, size: info.Size(), open: func() (io.ReadCloser, error) { return os.Open(at) }})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for files: %w", err)
		}
	}
	return all, nil
}

// sourcesIn are the files of a file system that lies in the binary.
func sourcesIn(files fs.FS) ([]source, error) {
	found, err := fs.Glob(files, "*.json.gz")
	if err != nil {
		return nil, fmt.Errorf("look for sample patients: %w", err)
	}
	slices.Sort(found)
	var all []source
	for _, name := range found {
		info, err := fs.Stat(files, name)
		if err != nil {
			return nil, fmt.Errorf("look for sample patients: %w", err)
		}
		all = append(all, source{name: name, size: info.Size(), open: func() (io.ReadCloser, error) { return files.Open(name) }})
	}
	return all, nil
}

func holdsFHIR(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return slices.Contains([]string{".json", ".ndjson", ".jsonl"}, path.Ext(name))
}

// sourceMax caps one uncompressed file, in bytes, so that a small compressed
// one cannot fill the memory. Files of lines may be longer: they are read line
// by line.
const sourceMax = fhir.DocumentBytesMax

// read gives the whole text of a file, uncompressed.
func (s *source) read() ([]byte, error) {
	r, err := s.reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, sourceMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	if len(text) > sourceMax {
		return nil, fmt.Errorf("read %s: over %d MB; split it, or bring it as lines (.ndjson)", s.name, sourceMax>>20)
	}
	return text, nil
}

// plain is a reader over an uncompressed text and the file beneath.
type plain struct {
	io.Reader
	file io.Closer
}

// Close closes the file.
func (p plain) Close() error { return p.file.Close() }

// reader uncompresses by what the file begins with, not by its name.
func (s *source) reader() (io.ReadCloser, error) {
	f, err := s.open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	r := bufio.NewReaderSize(f, 1<<16)
	if head, _ := r.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return plain{r, f}, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	return plain{z, f}, nil
}

// lined reports whether the file holds one resource a line.
func (s *source) lined() bool {
	name := strings.TrimSuffix(strings.ToLower(s.name), ".gz")
	return slices.Contains([]string{".ndjson", ".jsonl"}, path.Ext(name))
}

// lines calls f for each line that is not blank, with its number from 1.
func (s *source) lines(f func(number int, line []byte) error) error {
	r, err := s.reader()
	if err != nil {
		return err
	}
	defer r.Close()
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), fhir.ResourceBytesMax+1)
	for number := 1; in.Scan(); number++ {
		if line := bytes.TrimSpace(in.Bytes()); len(line) > 0 {
			if err := f(number, line); err != nil {
				return err
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	return nil
}
