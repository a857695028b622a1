package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// journal remembers what an import has already brought, by the hash of what
// was sent, so that a killed import goes on where it was. It is a shortcut:
// what is sent again adds nothing. A torn last line is one entry forgotten.
type journal struct {
	mu   sync.Mutex
	file *os.File
	done map[string]entryDone
}

// entryDone is one line of the journal. It holds no patient facts.
type entryDone struct {
	Hash      string `json:"sha256"`
	Resources int    `json:"resources"`
}

// openJournal reads the journal in dir and appends to it.
func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open import journal: %w", err)
	}
	path := filepath.Join(dir, "journal")
	j := &journal{done: make(map[string]entryDone)}
	old, err := os.Open(path)
	if err == nil {
		err = j.load(old)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open import journal: %w", err)
	}
	if j.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, fmt.Errorf("open import journal: %w", err)
	}
	// A line torn by a crash must not swallow the next one.
	_, err = j.file.WriteString("\n")
	return j, err
}

func (j *journal) load(f *os.File) error {
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		var e entryDone
		if json.Unmarshal(in.Bytes(), &e) == nil && e.Hash != "" {
			j.done[e.Hash] = e
		}
	}
	return in.Err()
}

// has reports whether this was brought, and how many resources it held.
func (j *journal) has(hash [32]byte) (entryDone, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.done[hex.EncodeToString(hash[:])]
	return e, ok
}

// note says that this is durable at the keepers.
func (j *journal) note(hash [32]byte, resources int) error {
	e := entryDone{Hash: hex.EncodeToString(hash[:]), Resources: resources}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done[e.Hash] = e
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write import journal: %w", err)
	}
	return nil
}

// Close closes the file.
func (j *journal) Close() error { return j.file.Close() }

var _ io.Closer = (*journal)(nil)
