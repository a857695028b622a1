package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
)

// stopNotes is the file beside a network in which the clinic keeps why it
// stopped somebody: the key log has who signed and when, and tells everybody
// nothing of a person at work that they need not know.
const stopNotes = "stops.jsonl"

// stopNote is one line.
type stopNote struct {
	At    int64  `json:"at"`    // unix seconds
	Event string `json:"event"` // of the key log
	Actor string `json:"actor"` // who was stopped
	Why   string `json:"why"`
}

func noteStop(n *local.Network, event actor.Hash, who, why string, at time.Time) error {
	b, err := json.Marshal(stopNote{at.Unix(), hex.EncodeToString(event[:]), who, why})
	if err != nil {
		return fmt.Errorf("note why: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(n.Dir(), stopNotes), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("note why: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("note why: %w", err)
	}
	return nil
}

// readStops are the reasons by event. A torn line is one reason forgotten.
func readStops(n *local.Network) (map[string]string, error) {
	why := make(map[string]string)
	f, err := os.Open(filepath.Join(n.Dir(), stopNotes))
	if errors.Is(err, fs.ErrNotExist) {
		return why, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read why people were stopped: %w", err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		var s stopNote
		if json.Unmarshal(in.Bytes(), &s) == nil && s.Event != "" {
			why[s.Event] = s.Why
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read why people were stopped: %w", err)
	}
	return why, nil
}
