package thief

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// StealFiles copies a folder that is no keeper's, such as a gateway's, and
// looks at its files only.
func StealFiles(ctx context.Context, dir, from string) (*Loot, error) {
	l := &Loot{dir: filepath.Join(dir, "disk"), name: filepath.Base(from)}
	if err := copyTree(ctx, l.dir, from); err != nil {
		return nil, fmt.Errorf("copy stolen folder: %w", err)
	}
	var err error
	if l.files, err = filesOf(l.dir); err != nil {
		return nil, fmt.Errorf("list stolen folder: %w", err)
	}
	return l, nil
}

// Control lays some of the facts out in dir, each file hiding them in another
// way, and says in how many of them the opener finds something. Whoever
// trusts a report without findings runs it first: found must be kinds.
func Control(ctx context.Context, dir string, facts []Fact) (found, kinds int, err error) {
	if len(facts) == 0 {
		return 0, 1, errors.New("no facts to hide")
	}
	var text bytes.Buffer
	for _, f := range facts[:min(len(facts), 64)] {
		text.WriteString(f.Text + "\n")
	}
	hidden, err := hide(text.Bytes())
	if err != nil {
		return 0, 1, err
	}
	for name, b := range hidden {
		from := filepath.Join(dir, name)
		if err := os.MkdirAll(from, 0o700); err != nil {
			return 0, len(hidden), err
		}
		if err := os.WriteFile(filepath.Join(from, "file"), append(make([]byte, 100), b...), 0o600); err != nil {
			return 0, len(hidden), err
		}
		l, err := StealFiles(ctx, from+"-stolen", from)
		if err != nil {
			return 0, len(hidden), err
		}
		r, err := Open(ctx, facts, l)
		if err != nil {
			return 0, len(hidden), err
		}
		if r.Found > 0 {
			found++
		}
	}
	return found, len(hidden), nil
}

// hide gives the text in each disguise that a careless keeper might use.
func hide(text []byte) (map[string][]byte, error) {
	dictionary, err := dictionaryFiles.ReadFile("dictionary/r4-1.zdict")
	if err != nil {
		return nil, err
	}
	bare, errBare := zstd.NewWriter(nil)
	lettered, errLettered := zstd.NewWriter(nil, zstd.WithEncoderDict(dictionary))
	if err := errors.Join(errBare, errLettered); err != nil {
		return nil, err
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return map[string][]byte{
		"raw":        text,
		"hex":        []byte(hex.EncodeToString(text)),
		"base64":     []byte(base64.StdEncoding.EncodeToString(text)),
		"zstd":       bare.EncodeAll(text, nil),
		"dictionary": lettered.EncodeAll(text, nil),
		"gzip":       zipped.Bytes(),
	}, nil
}
