// Command gen trains a dictionary for package seal from a folder of FHIR R4
// transaction Bundles (gzip or plain JSON), and says how well it does on
// patients it was not trained on.
//
//	go run ./seal/dictionary/gen -in FOLDER -size 65536 -out seal/dictionary/NAME.zdict
//
// Train on synthetic patients only: a dictionary is public.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/abaton-health/abaton/seal/dictionary/sample"
	"github.com/abaton-health/abaton/spread"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	in := flags.String("in", "", "folder of Bundles")
	out := flags.String("out", "", "file to write; empty only measures")
	size := flags.Int("size", 64<<10, "bytes of history in the dictionary")
	id := flags.Uint("id", 0x61620001, "dictionary id (RFC 8878, section 5)")
	perType := flags.Int("per-type", 3, "training samples of one type and code from one patient")
	level := flags.Int("level", 1, "compression level: 1 fastest, 2 default, 3 better")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := train(*in, *out, *size, uint32(*id), *perType, zstd.EncoderLevel(*level), stdout); err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	return 0
}

func train(in, out string, size int, id uint32, perType int, level zstd.EncoderLevel, stdout io.Writer) error {
	trained, held, err := samples(in, perType)
	if err != nil {
		return err
	}
	d, err := build(trained, size, id, level)
	if err != nil {
		return fmt.Errorf("build dictionary: %w", err)
	}
	fmt.Fprintf(stdout, "trained on %d records, dictionary %d bytes, sha256 %x\n", len(trained), len(d), sha256.Sum256(d))
	for _, candidate := range [][]byte{nil, d} {
		if err := measure(candidate, held, level, stdout); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	return os.WriteFile(out, d, 0o644)
}

// training is one sample: the record with its envelope, the resource alone,
// and what it is an example of.
type training struct {
	record, resource []byte
	name             string
}

// samples splits the patients of a folder by file name: every fourth is held
// out.
func samples(folder string, perType int) (trained []training, held [][]byte, err error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.json*"))
	if err != nil || len(names) == 0 {
		return nil, nil, fmt.Errorf("no Bundles in the folder: %w", os.ErrNotExist)
	}
	slices.Sort(names)
	for i, name := range names {
		resources, err := bundle(name)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", filepath.Base(name), err)
		}
		count := make(map[string]int)
		for _, r := range resources {
			record, kind, err := sample.Record(r)
			if err != nil {
				return nil, nil, fmt.Errorf("read %s: %w", filepath.Base(name), err)
			}
			if i%4 == 3 {
				held = append(held, record)
			} else if count[kind]++; count[kind] <= perType {
				trained = append(trained, training{record: record, resource: r, name: kind})
			}
		}
	}
	return trained, held, nil
}

func bundle(name string) ([]json.RawMessage, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.NewDecoder(r).Decode(&b); err != nil {
		return nil, err
	}
	var out []json.RawMessage
	for _, e := range b.Entry {
		var compact bytes.Buffer
		if err := json.Compact(&compact, e.Resource); err != nil {
			return nil, err
		}
		out = append(out, compact.Bytes())
	}
	return out, nil
}

// build puts whole typical records into the dictionary's history: records of
// the same type and code differ in a few values only, so one long match covers
// most of a new one. The most frequent stand last, where offsets are short.
func build(trained []training, size int, id uint32, level zstd.EncoderLevel) ([]byte, error) {
	var history []byte
	var contents [][]byte
	for _, t := range typical(trained) {
		if len(history)+len(t) <= size {
			history = append(append([]byte(nil), t...), history...)
		}
	}
	for i := 0; i < len(trained); i += max(1, len(trained)/4000) {
		contents = append(contents, trained[i].record)
	}
	return zstd.BuildDict(zstd.BuildDictOptions{
		ID: id, Contents: contents, History: history, Offsets: [3]int{1, 4, 8}, CompatV155: true, Level: level,
	})
}

// typical gives one record of each (type, code), the most frequent first.
func typical(trained []training) [][]byte {
	type group struct {
		record []byte
		count  int
		name   string
	}
	byName := make(map[string]*group)
	for _, t := range trained {
		if byName[t.name] == nil {
			byName[t.name] = &group{record: t.resource, name: t.name}
		}
		byName[t.name].count++
	}
	groups := slices.SortedFunc(maps.Values(byName), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.name, b.name))
	})
	var out [][]byte
	for _, g := range groups {
		out = append(out, g.record)
	}
	return out
}

// measure prints what the held-out records take, in frames and in buckets.
func measure(d []byte, held [][]byte, level zstd.EncoderLevel, stdout io.Writer) error {
	options := []zstd.EOption{
		zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
	}
	if len(d) > 0 {
		options = append(options, zstd.WithEncoderDict(d))
	}
	e, err := zstd.NewWriter(nil, options...)
	if err != nil {
		return fmt.Errorf("make encoder: %w", err)
	}
	var raw, frames, buckets int
	var buffer []byte
	start := time.Now()
	for _, r := range held {
		buffer = e.EncodeAll(r, buffer[:0])
		raw, frames = raw+len(r), frames+len(buffer)
		buckets += spread.Bucket(spread.PlainHeaderBytes + min(len(buffer), len(r)))
	}
	took := time.Since(start)
	n := max(len(held), 1)
	fmt.Fprintf(stdout, "dictionary %6d: %d held-out records, mean raw %d, frame %d, bucket %d bytes, %d µs a record\n",
		len(d), len(held), raw/n, frames/n, buckets/n, int(took.Microseconds())/n)
	return nil
}
